//! What touchpoints say beside that they were: answers, leads, loyalty points, spend, what social networks count, mentions.

use serde::Deserialize;
use tributary_contracts::wire::{
    AnswerGiven, BrandMentioned, LeadMade, Moment, PointsMoved, Said, SocialReported,
    SpendReported, Subject, Touchpoint,
};
use tributary_core::money::Amount;

use super::event::{Reported, Says, StoredEvent};
use super::facts::Facts;
use super::goals::Goals;
use super::stored::Header;

/// The goal whose events make contacts and leads.
const LEAD: &str = "lead";

/// Events that move loyalty points, and in which direction.
const POINTS: [(&str, i128); 3] = [
    ("Loyalty Points Earned", 1),
    ("Loyalty Points Redeemed", -1),
    ("Loyalty Points Expired", -1),
];

/// The event with which a source says what it has spent on advertising.
const SPEND: &str = "Spend Reported";

/// Events with which a source says what a social network counts, and the one with which anybody speaks of the brand.
const FOLLOWERS: &str = "Followers Reported";
const POST: &str = "Post Reported";
const MENTION: &str = "Brand Mentioned";

/// What the touchpoint says: nothing where a bot sent it.
pub(super) fn of(touchpoint: &Touchpoint<'_>) -> Vec<Says> {
    if touchpoint.bot {
        return Vec::new();
    }
    let answers = touchpoint.answers.iter().map(|answer| Says::Answer {
        question: answer.question_id.to_owned(),
        kind: answer.kind.to_owned(),
        aspect: answer.aspect.to_owned(),
        scale: answer.scale.to_owned(),
        value: answer.value.map(Amount::millionths),
        comment: answer.comment.to_owned(),
        product: answer.product.to_owned(),
        touchpoint: answer.touchpoint.to_owned(),
    });
    let mut says: Vec<Says> = answers.collect();
    if touchpoint.r#type == "track" && touchpoint.subject == Subject::Customer {
        says.extend(qualified(touchpoint.properties).map(Says::Lead));
        let points = POINTS.iter().find(|(event, _)| *event == touchpoint.event);
        let moved = points.and_then(|(_, sign)| Some(sign * points_of(touchpoint.properties)?));
        says.extend(moved.map(Says::Points));
    }
    if touchpoint.r#type != "track" {
        return says;
    }
    says.extend(match (touchpoint.event, touchpoint.subject) {
        (SPEND, Subject::Source) => spend_of(touchpoint.properties),
        (FOLLOWERS | POST, Subject::Source) => {
            reported(touchpoint.event, touchpoint.properties).map(Says::Reported)
        }
        (MENTION, _) => mentioned(touchpoint.properties),
        _ => None,
    });
    says
}

/// What social networks are asked for, as ingest let it pass.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Social {
    network: Option<String>,
    account: Option<String>,
    post_id: Option<String>,
    influencer: Option<String>,
    sentiment: Option<String>,
    followers: Option<i64>,
    reach: Option<i64>,
    impressions: Option<i64>,
    likes: Option<i64>,
    shares: Option<i64>,
    comments: Option<i64>,
    clicks: Option<i64>,
}

/// What is counted of an account or of a post.
fn reported(event: &str, properties: &str) -> Option<Reported> {
    let stated: Social = serde_json::from_str(properties).ok()?;
    let engaged = [stated.likes, stated.shares, stated.comments, stated.clicks];
    let engagement = engaged
        .iter()
        .any(Option::is_some)
        .then(|| engaged.iter().flatten().sum());
    let named = Reported {
        network: stated.network.unwrap_or_default(),
        influencer: stated.influencer.unwrap_or_default(),
        ..Reported::default()
    };
    Some(match event {
        FOLLOWERS => Reported {
            account: stated.account?,
            followers: stated.followers,
            ..named
        },
        _ => Reported {
            post: stated.post_id?,
            reach: stated.reach,
            impressions: stated.impressions,
            engagement,
            ..named
        },
    })
}

/// Somebody spoke of the brand.
fn mentioned(properties: &str) -> Option<Says> {
    let stated: Social = serde_json::from_str(properties).ok()?;
    Some(Says::Mentioned([
        stated.network.unwrap_or_default(),
        stated.post_id.unwrap_or_default(),
        stated.influencer.unwrap_or_default(),
        stated.sentiment?,
    ]))
}

/// Whether the event is said to be a qualified lead, if it says so.
fn qualified(properties: &str) -> Option<bool> {
    // Few events do, and to look for a word costs less than to read them all.
    if !properties.contains("qualified") {
        return None;
    }
    #[derive(Deserialize)]
    struct Stated<'a> {
        #[serde(borrow)]
        qualified: &'a serde_json::value::RawValue,
    }
    let stated: Stated<'_> = serde_json::from_str(properties).ok()?;
    // Files and forms send texts.
    let word = stated.qualified.get().trim_matches('"');
    match () {
        () if word.eq_ignore_ascii_case("true") => Some(true),
        () if word.eq_ignore_ascii_case("false") => Some(false),
        () => None,
    }
}

/// The number of points, without a sign, as ingest let it pass.
fn points_of(properties: &str) -> Option<i128> {
    #[derive(Deserialize)]
    struct Stated<'a> {
        #[serde(borrow)]
        points: &'a serde_json::value::RawValue,
    }
    let stated: Stated<'_> = serde_json::from_str(properties).ok()?;
    let points: Amount = stated.points.get().trim_matches('"').parse().ok()?;
    Some(points.millionths().abs())
}

/// What was spent, as ingest let it pass.
fn spend_of(properties: &str) -> Option<Says> {
    #[derive(Deserialize)]
    struct Stated<'a> {
        #[serde(borrow)]
        amount: &'a serde_json::value::RawValue,
        currency: String,
    }
    let stated: Stated<'_> = serde_json::from_str(properties).ok()?;
    let amount: Amount = stated.amount.get().trim_matches('"').parse().ok()?;
    let currency = stated.currency.trim().to_ascii_uppercase();
    Some(Says::Spend(amount.millionths(), currency))
}

/// The moments of these events; source and campaign are those of `begun`, where there is one.
pub(super) fn moments<'a>(
    header: &'a Header,
    events: &[&'a StoredEvent],
    begun: Option<&'a Facts>,
    goals: &Goals,
) -> Vec<Moment<'a>> {
    let mut moments = Vec::new();
    for event in events {
        let facts = &header.facts[event.facts.get()];
        let begun = begun.unwrap_or(facts);
        let name = event.name.map(|name| &*header.names[name.get()]);
        let is_lead = name.is_some_and(|name| goals.is_reached(LEAD, name));
        let lead = is_lead.then(|| lead(event.says(), facts.source()));
        let all = event.says().iter().filter_map(said).chain(lead);
        moments.extend(all.map(|said| Moment {
            occurred_at: event.time(),
            message_id: &event.message,
            channel: facts.channel(),
            traffic_source: begun.traffic_source(),
            campaign: begun.campaign(),
            store: facts.store(),
            device_type: facts.device_type(),
            said,
        }));
    }
    moments
}

/// The lead that an event makes which says this.
fn lead<'a>(says: &[Says], source: &'a str) -> Said<'a> {
    let qualified = says.iter().find_map(|says| match says {
        Says::Lead(qualified) => Some(*qualified),
        _ => None,
    });
    Said::LeadMade(LeadMade {
        qualified: qualified.unwrap_or(true),
        stated: qualified.is_some(),
        source,
    })
}

/// None where it says something only together with the goals.
fn said(says: &Says) -> Option<Said<'_>> {
    Some(match says {
        Says::Answer {
            question,
            kind,
            aspect,
            scale,
            value,
            comment,
            product,
            touchpoint,
        } => Said::AnswerGiven(AnswerGiven {
            question_id: question,
            kind,
            aspect,
            scale,
            value: value.map(Amount::from_millionths),
            comment,
            product,
            touchpoint,
        }),
        Says::Lead(_) => return None,
        Says::Spend(amount, currency) => Said::SpendReported(SpendReported {
            amount: Amount::from_millionths(*amount),
            currency,
        }),
        Says::Points(points) => Said::PointsMoved(PointsMoved {
            points: Amount::from_millionths(*points),
        }),
        Says::Reported(reported) => Said::SocialReported(SocialReported {
            network: &reported.network,
            post: &reported.post,
            influencer: &reported.influencer,
            followers: reported.followers,
            reach: reported.reach,
            impressions: reported.impressions,
            engagement: reported.engagement,
        }),
        Says::Mentioned([network, post, influencer, sentiment]) => {
            Said::BrandMentioned(BrandMentioned {
                network,
                post,
                influencer,
                sentiment,
            })
        }
    })
}
