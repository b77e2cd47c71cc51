//! Atoms as they stand on the topic, as the core knows them.

use tributary_contracts::wire::{self, AtomBody};
use tributary_core::email::Outcome;
use tributary_core::identifier::{BUILT_IN, Kind};
use tributary_core::profile::{
    Activity, Answer, Atom, Definitions, Email, Facets, Identifier, Mention, Moment, Note, Order,
    Part, Passive, Product, Refund, Report, Runs, Said, Session, Social, Source, Stated, Trait,
};
use tributary_core::time::{MINUTE, Timestamp};

/// Names the field that cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfRange(pub(super) &'static str);

/// The core's view of an atom's body, in a workspace and by definitions of what is said in it.
pub(super) fn atom<'a>(
    body: &AtomBody<'a>,
    workspace: &str,
    definitions: &Definitions,
) -> Result<Atom<'a>, OutOfRange> {
    let moments = |all: &[wire::Moment<'a>]| moments(all, workspace, definitions);
    Ok(match body {
        AtomBody::SessionAtom(session) => Atom::Session(Session {
            timeline: (session.timeline_type, session.timeline_value),
            started_at: time("started_at", session.started_at)?,
            ended_at: time("ended_at", session.ended_at)?,
            touchpoints: session.touchpoints,
            facets: Facets {
                channel: value(session.channel),
                source: value(session.traffic_source),
                campaign: value(session.campaign),
                device_type: value(session.device_type),
                store: value(session.store),
            },
            goals: session
                .goals
                .iter()
                .filter(|(_, events)| **events > 0)
                .map(|(goal, events)| (*goal, *events))
                .collect(),
            views: session.views,
            activity: activities(&session.activity)?,
            stated: Stated {
                traits: each_stated(&session.traits),
                consents: each_stated(&session.consents),
                groups: each_stated(&session.groups),
            },
            moments: moments(&session.moments)?,
        }),
        AtomBody::SessionPartAtom(part) => Atom::Part(Part {
            timeline: (part.timeline_type, part.timeline_value),
            source: value(part.traffic_source),
            campaign: value(part.campaign),
            activity: activities(&part.activity)?,
            stated: Stated {
                traits: each_stated(&part.traits),
                consents: each_stated(&part.consents),
                groups: each_stated(&part.groups),
            },
            moments: moments(&part.moments)?,
        }),
        AtomBody::PassiveAtom(passive) => Atom::Passive(Passive {
            timeline: (passive.timeline_type, passive.timeline_value),
            touchpoints: passive.touchpoints,
            first_seen: time("first_seen", passive.first_seen)?,
            stated: Stated {
                traits: each_stated(&passive.traits),
                consents: each_stated(&passive.consents),
                groups: each_stated(&passive.groups),
            },
            moments: moments(&passive.moments)?,
        }),
        AtomBody::OrderAtom(order) => Atom::Order(Order {
            ordered_at: time("ordered_at", order.ordered_at)?,
            currency: value(order.currency),
            total: order.total,
            margin: order.margin,
            facets: Facets {
                channel: value(order.channel),
                source: value(order.traffic_source),
                campaign: value(order.campaign),
                device_type: value(order.device_type),
                store: value(order.store),
            },
            message_id: order.message_id,
            timeline: (order.timeline_type, order.timeline_value),
            products: order.products.iter().map(product).collect(),
        }),
        AtomBody::RefundAtom(refund) => Atom::Refund(Refund {
            refunded_at: time("refunded_at", refund.refunded_at)?,
            currency: value(refund.currency),
            amount: refund.amount,
            facets: Facets {
                channel: value(refund.channel),
                source: value(refund.traffic_source),
                campaign: value(refund.campaign),
                device_type: value(refund.device_type),
                store: value(refund.store),
            },
            products: (refund.products.iter())
                .map(|product| (value(product.product_id), product.amount))
                .collect(),
        }),
        AtomBody::IdentifierAtom(identifier) => Atom::Identifier(Identifier {
            r#type: identifier.r#type,
            value: identifier.value,
            is_person: identifier
                .person
                .unwrap_or_else(|| BUILT_IN.contains(&(identifier.r#type, Kind::Person))),
        }),
        AtomBody::SourceAtom(source) => Atom::Source(Source {
            timeline: (source.timeline_type, source.timeline_value),
            moments: moments(&source.moments)?,
        }),
        AtomBody::EmailAtom(email) => Atom::Email(Email {
            sent_at: time("sent_at", email.sent_at)?,
            campaign: value(email.campaign),
            outcome: Outcome {
                delivered: email.delivered,
                opened: email.opened,
                prefetched: email.prefetched,
                clicked: email.clicked,
                unsubscribed: email.unsubscribed,
            },
        }),
    })
}

/// A dimension's value. NUL parts keys, so a value ends before one.
fn value(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

fn time(field: &'static str, time: Timestamp) -> Result<Timestamp, OutOfRange> {
    if time == time.clamped() {
        Ok(time)
    } else {
        Err(OutOfRange(field))
    }
}

fn activities<'a>(all: &[wire::ChannelActivity<'a>]) -> Result<Vec<Activity<'a>>, OutOfRange> {
    all.iter().map(activity).collect()
}

fn activity<'a>(activity: &wire::ChannelActivity<'a>) -> Result<Activity<'a>, OutOfRange> {
    let latest = Timestamp::MAX.0 / MINUTE;
    let fits = |run: &wire::MinuteRun| {
        (0..=latest).contains(&run.first) && (1..=latest).contains(&run.length)
    };
    if !activity.minutes.iter().all(fits) {
        return Err(OutOfRange("activity"));
    }
    Ok(Activity {
        channel: value(activity.channel),
        store: value(activity.store),
        device_type: value(activity.device_type),
        minutes: Runs::of(activity.minutes.iter().map(|run| (run.first, run.length))),
        goals: activity
            .goals
            .iter()
            .map(|reached| {
                if !reached
                    .minutes
                    .iter()
                    .all(|minute| (0..=latest).contains(minute))
                {
                    return Err(OutOfRange("goals"));
                }
                let minutes = reached.minutes.iter().map(|minute| (*minute, 1));
                Ok((reached.goal, Runs::of(minutes)))
            })
            .collect::<Result<_, _>>()?,
    })
}

fn moments<'a>(
    moments: &[wire::Moment<'a>],
    workspace: &str,
    definitions: &Definitions,
) -> Result<Vec<Moment<'a>>, OutOfRange> {
    let mut answered = ("", 0);
    let each = |moment: &wire::Moment<'a>| {
        if let wire::Said::AnswerGiven(_) = moment.said {
            answered = match answered {
                (message, number) if message == moment.message_id => (message, number + 1),
                _ => (moment.message_id, 1),
            };
        }
        Ok(Moment {
            occurred_at: time("moments", moment.occurred_at)?,
            message_id: moment.message_id,
            facets: Facets {
                channel: value(moment.channel),
                source: value(moment.traffic_source),
                campaign: value(moment.campaign),
                device_type: value(moment.device_type),
                store: value(moment.store),
            },
            said: said(&moment.said, answered.1, workspace, definitions),
        })
    };
    moments.iter().map(each).collect()
}

/// `number` is that of the answer, if it is one, among those on its event.
fn said<'a>(
    said: &wire::Said<'a>,
    number: u32,
    workspace: &str,
    definitions: &Definitions,
) -> Said<'a> {
    match said {
        wire::Said::AnswerGiven(answer) => Said::Answer(Answer {
            number,
            question: value(answer.question_id),
            note: answer
                .value
                .and_then(|value| Note::of(answer.aspect, answer.scale, value)),
            comment: answer.comment,
            product: value(answer.product),
            touchpoint: value(answer.touchpoint),
        }),
        wire::Said::LeadMade(lead) => {
            let qualified = lead.stated.then_some(lead.qualified);
            Said::Lead(definitions.is_lead(workspace, lead.source, qualified))
        }
        wire::Said::PointsMoved(moved) => Said::Points(moved.points),
        wire::Said::SpendReported(spend) => Said::Spend(spend.amount, value(spend.currency)),
        wire::Said::SocialReported(reported) => Said::Report(Report {
            social: Social {
                network: value(reported.network),
                post: value(reported.post),
                influencer: value(reported.influencer),
            },
            followers: reported.followers,
            reach: reported.reach,
            impressions: reported.impressions,
            engagement: reported.engagement,
        }),
        wire::Said::BrandMentioned(mentioned) => Said::Mention(Mention {
            social: Social {
                network: value(mentioned.network),
                post: value(mentioned.post),
                influencer: value(mentioned.influencer),
            },
            sentiment: value(mentioned.sentiment),
        }),
    }
}

fn each_stated<'a>(stated: &[wire::Trait<'a>]) -> Vec<Trait<'a>> {
    let each = |stated: &wire::Trait<'a>| Trait {
        name: stated.name,
        value: stated.value,
        source: stated.source,
        times: stated.times,
        first: match stated.first_at {
            Some(first_at) => (first_at, stated.first_message_id),
            None => (stated.occurred_at, stated.message_id),
        },
        occurred_at: stated.occurred_at,
        message_id: stated.message_id,
    };
    stated.iter().map(each).collect()
}

fn product<'a>(product: &wire::ProductSold<'a>) -> Product<'a> {
    Product {
        id: value(product.product_id),
        amount: product.amount,
        margin: product.margin,
    }
}
