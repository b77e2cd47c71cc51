//! The profile's record, as the sink stores it.

use tributary_contracts::framing::Encoder;
use tributary_contracts::keys;
use tributary_contracts::wire::{
    Emails, LastAnswer, Profile, ProfileConsent, ProfileIdentifier, Provenance, Since, Spending,
};
use tributary_core::ids::ProfileId;
use tributary_core::profile::{Aspect, Chosen, Fold, Note};
use tributary_core::time::Timestamp;

use crate::runtime::stage::{Broken, Outputs};

/// Topic of profiles.
const TOPIC: &str = "profiles";

/// How many bytes of traits a record has at most, and how many of channels, of consents and of groups: a broker takes 1 MB as
/// a message by default.
const SAID: usize = 128 * 1024;

/// Those that fit into a record, in their order.
fn within<T>(all: impl Iterator<Item = T>, size: impl Fn(&T) -> usize) -> Vec<T> {
    let mut left = SAID;
    let fits = |one: &T| {
        let rest = left.checked_sub(size(one));
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    all.filter(fits).collect()
}

/// Sends records, reusing its buffer.
#[derive(Debug)]
pub(super) struct Records {
    encoder: Encoder,
    buffer: Vec<u8>,
}

impl Records {
    pub(super) fn new() -> Self {
        Self {
            encoder: Encoder::new("profile"),
            buffer: Vec::new(),
        }
    }

    /// Sends what a profile is now.
    pub(super) fn send(
        &mut self,
        workspace: &str,
        profile_id: ProfileId,
        fold: &Fold,
        revision: i64,
        gone: bool,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let chosen = within(fold.traits(), |chosen| {
            let provenance = chosen.name.len() + chosen.source.len() + chosen.message_id.len();
            chosen.name.len() + chosen.value.len() + provenance + 64
        });
        let consents = within(fold.consents(), |consent| {
            consent.purpose.len() + consent.source.len() + 16
        });
        let traits = traits(&chosen);
        let record = Profile {
            workspace,
            profile_id,
            identifiers: fold
                .identifiers()
                .map(|identifier| ProfileIdentifier {
                    r#type: identifier.r#type,
                    value: identifier.value,
                })
                .collect(),
            traits: &traits,
            first_seen: fold.first_seen(),
            last_seen: fold.last_seen(),
            sessions: fold.sessions(),
            touchpoints: fold.touchpoints(),
            orders: fold.orders(),
            revenue: fold
                .spending()
                .map(|(currency, spending)| (currency, spending.revenue))
                .collect(),
            channels: within(fold.channels(), |channel| channel.len() + 8),
            revision,
            gone,
            spending: fold.spending().map(spending).collect(),
            first_order: fold.first_order(),
            last_order: fold.last_order(),
            loyalty_points: fold.points(),
            last_answers: last_answers(fold),
            emails: Some(emails(fold)),
            mentions: fold.mentions(),
            provenance: chosen.iter().map(provenance).collect(),
            consents: consents
                .iter()
                .map(|consent| ProfileConsent {
                    purpose: consent.purpose,
                    granted: consent.granted,
                    occurred_at: consent.occurred_at,
                    source: consent.source,
                })
                .collect(),
            groups: within(fold.groups(), |group| group.len() + 8),
            statuses: fold.statuses().map(since).collect(),
            quadrants: fold.quadrants().map(since).collect(),
        };
        self.buffer.clear();
        self.encoder
            .encode(&record, &mut self.buffer)
            .map_err(|error| Broken(format!("encode a profile: {error}")))?;
        let key = keys::joined(&[workspace, &profile_id.to_string()]);
        outputs.send(
            TOPIC,
            keys::partition(&key, outputs.partitions(TOPIC)),
            &key,
            &self.buffer,
        )
    }
}

fn spending((currency, spending): (&str, tributary_core::profile::Spending)) -> Spending<'_> {
    Spending {
        currency,
        orders: spending.orders,
        total: spending.total,
        margin: spending.margin,
    }
}

fn emails(fold: &Fold) -> Emails {
    let emails = fold.emails();
    Emails {
        sent: emails.sent,
        delivered: emails.delivered,
        opened: emails.opened,
        clicked: emails.clicked,
        unsubscribed: emails.unsubscribed,
    }
}

/// The last note of each aspect, where there is one.
fn last_answers(fold: &Fold) -> Vec<LastAnswer<'_>> {
    let last = [Aspect::Recommendation, Aspect::Satisfaction, Aspect::Effort];
    let last = last.into_iter().filter_map(|aspect| fold.last_note(aspect));
    last.map(|(occurred_at, note, comment)| {
        let (aspect, scale, value) = match note {
            Note::Nps(note) => ("nps", "0-10", note),
            Note::NpsFromOne(note) => ("nps", "1-10", note),
            Note::Stars(stars) => ("csat", "1-5", stars),
            Note::YesNo(satisfied) => ("csat", "yes-no", u8::from(satisfied)),
            Note::Ces(effort) => ("ces", "1-5", effort),
        };
        LastAnswer {
            aspect,
            scale,
            value: i32::from(value),
            occurred_at,
            comment,
        }
    })
    .collect()
}

fn provenance<'a>(chosen: &Chosen<'a>) -> Provenance<'a> {
    Provenance {
        name: chosen.name,
        rule: chosen.rule.name(),
        source: chosen.source,
        occurred_at: chosen.occurred_at,
        message_id: chosen.message_id,
    }
}

const fn since((what, since): (&'static str, Timestamp)) -> Since<'static> {
    Since { what, since }
}

/// A JSON object, by name.
fn traits(chosen: &[Chosen<'_>]) -> String {
    let mut object = String::from("{");
    for Chosen { name, value, .. } in chosen {
        if object.len() > 1 {
            object.push(',');
        }
        object.push_str(&serde_json::Value::from(*name).to_string());
        object.push(':');
        object.push_str(value);
    }
    object.push('}');
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_into_a_record_is_left_out_and_what_does_is_not() {
        let names = ["a", "too long", "b"];
        let size = |name: &&str| if name.len() > 1 { SAID } else { SAID / 2 };
        assert_eq!(within(names.into_iter(), size), ["a", "b"]);
        assert_eq!(within(["too long", "b"].into_iter(), size), ["too long"]);
        assert_eq!(within(0..SAID + 1, |_| 1).len(), SAID);
    }
}
