//! What touchpoints say beside that they were: answers, leads, loyalty points.

use serde::Deserialize;
use tributary_contracts::wire::{
    AnswerGiven, LeadMade, Moment, PointsMoved, Said, SpendReported, Subject, Touchpoint,
};
use tributary_core::money::Amount;

use super::goals::Goals;
use super::stored::{Facts, Header, Says, StoredEvent};

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

/// What the touchpoint says: nothing where a bot sent it.
pub(super) fn of(touchpoint: &Touchpoint<'_>, goals: &Goals) -> Vec<Says> {
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
    });
    let mut says: Vec<Says> = answers.collect();
    if touchpoint.r#type == "track" && touchpoint.subject == Subject::Customer {
        if goals.is_reached(LEAD, touchpoint.event) {
            says.push(Says::Lead(is_qualified(touchpoint.properties)));
        }
        let points = POINTS.iter().find(|(event, _)| *event == touchpoint.event);
        let moved = points.and_then(|(_, sign)| Some(sign * points_of(touchpoint.properties)?));
        says.extend(moved.map(Says::Points));
    }
    if touchpoint.subject == Subject::Source && touchpoint.event == SPEND {
        says.extend(spend_of(touchpoint.properties));
    }
    says
}

/// Not where the event says that it is none.
fn is_qualified(properties: &str) -> bool {
    #[derive(Deserialize)]
    struct Stated {
        qualified: Option<bool>,
    }
    let stated: Result<Stated, _> = serde_json::from_str(properties);
    stated.ok().and_then(|stated| stated.qualified) != Some(false)
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
) -> Vec<Moment<'a>> {
    let mut moments = Vec::new();
    for event in events {
        let facts = &header.facts[event.facts.get()];
        let begun = begun.unwrap_or(facts);
        moments.extend(event.says().iter().map(|says| Moment {
            occurred_at: event.time(),
            message_id: &event.message,
            channel: facts.channel(),
            traffic_source: begun.traffic_source(),
            campaign: begun.campaign(),
            store: facts.store(),
            device_type: facts.device_type(),
            said: said(says),
        }));
    }
    moments
}

fn said(says: &Says) -> Said<'_> {
    match says {
        Says::Answer {
            question,
            kind,
            aspect,
            scale,
            value,
            comment,
            product,
        } => Said::AnswerGiven(AnswerGiven {
            question_id: question,
            kind,
            aspect,
            scale,
            value: value.map(Amount::from_millionths),
            comment,
            product,
        }),
        Says::Lead(qualified) => Said::LeadMade(LeadMade {
            qualified: *qualified,
        }),
        Says::Spend(amount, currency) => Said::SpendReported(SpendReported {
            amount: Amount::from_millionths(*amount),
            currency,
        }),
        Says::Points(points) => Said::PointsMoved(PointsMoved {
            points: Amount::from_millionths(*points),
        }),
    }
}
