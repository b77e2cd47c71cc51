//! What the stage has sent, as far as it counts in the end.

use std::collections::{BTreeMap, BTreeSet};

use tributary_contracts::framing;
use tributary_contracts::wire::{
    Activity, Atom, AtomBody, Claim, Identity, Override, Refusal, ResolvedTouchpoint, Session,
};
use tributary_processor::runtime::memory::MemoryOutputs;

/// What counts in the end.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) touchpoints: BTreeMap<String, (String, String)>,
    pub(crate) sessions: BTreeSet<String>,
    pub(crate) identities: BTreeSet<String>,
    pub(crate) refusals: BTreeSet<String>,
    pub(crate) atoms: BTreeSet<String>,
    /// By owner: how passive touchpoints are spread over pages depends on arrival; what they add up to does not.
    pub(crate) passive: BTreeMap<String, i64>,
    pub(crate) claims: BTreeMap<String, String>,
}

impl Said {
    pub(crate) fn by(outputs: &MemoryOutputs) -> Self {
        check_revisions(outputs);
        let compacted = outputs.compacted();
        let mut said = Said::default();
        let mut messages: BTreeMap<String, (String, i64, bool, bool, String, String)> =
            BTreeMap::new();
        for sent in &outputs.sent {
            if sent.topic == "resolved" {
                let resolved: ResolvedTouchpoint<'_> =
                    framing::decode(&sent.value).expect("a resolved touchpoint");
                let touchpoint = &resolved.touchpoint;
                let active = touchpoint.activity == Activity::Active && !touchpoint.bot;
                let timeline =
                    format!("{}:{}", touchpoint.timeline_type, touchpoint.timeline_value);
                let row = (
                    timeline,
                    touchpoint.occurred_at.0,
                    active,
                    false,
                    format!("{:?}", resolved.session_id),
                    format!("{:?}", resolved.profile_id),
                );
                let before = messages.insert(touchpoint.message_id.to_owned(), row);
                assert!(before.is_none(), "{} came out twice", touchpoint.message_id);
            }
        }
        for ((topic, _), value) in &compacted {
            match *topic {
                "sessions" => {
                    let mut session: Session<'_> = framing::decode(value).expect("a session");
                    session.revision = 0;
                    if !session.gone {
                        said.sessions.insert(format!("{session:?}"));
                    }
                }
                "identities" => {
                    let mut identity: Identity<'_> = framing::decode(value).expect("an identity");
                    identity.revision = 0;
                    if !identity.gone {
                        said.identities.insert(format!("{identity:?}"));
                    }
                }
                "refusals" => {
                    let mut refusal: Refusal<'_> = framing::decode(value).expect("a refusal");
                    refusal.revision = 0;
                    if !refusal.gone {
                        said.refusals.insert(format!("{refusal:?}"));
                    }
                }
                "atoms" => {
                    let mut atom: Atom<'_> = framing::decode(value).expect("an atom");
                    atom.revision = 0;
                    match &atom.body {
                        None => {}
                        Some(AtomBody::PassiveAtom(passive)) => {
                            let of_owner = said.passive.entry(atom.profile_id.to_string());
                            *of_owner.or_default() += passive.touchpoints;
                        }
                        Some(_) => {
                            said.atoms.insert(format!("{atom:?}"));
                        }
                    }
                }
                "overrides" => {
                    let overrides: Override<'_> = framing::decode(value).expect("overrides");
                    let timeline =
                        format!("{}:{}", overrides.timeline_type, overrides.timeline_value);
                    for range in overrides.ranges {
                        let within = |row: &(String, i64, bool, bool, String, String)| {
                            row.0 == timeline
                                && row.2
                                && (range.from.0..=range.to.0).contains(&row.1)
                        };
                        for row in messages.values_mut().filter(|row| within(row)) {
                            assert!(!row.3, "two overrides of one touchpoint");
                            (row.3, row.4, row.5) = (
                                true,
                                format!("{:?}", range.session_id),
                                format!("{:?}", range.profile_id),
                            );
                        }
                    }
                    for message in overrides.messages {
                        let row = messages
                            .get_mut(message.message_id)
                            .expect("an override is of a touchpoint that came out");
                        assert!(!row.3, "two overrides of one touchpoint");
                        (row.3, row.4, row.5) = (
                            true,
                            format!("{:?}", message.session_id),
                            format!("{:?}", message.profile_id),
                        );
                    }
                }
                _ => {}
            }
        }
        let mut claims: BTreeMap<String, String> = BTreeMap::new();
        for sent in outputs.sent.iter().filter(|sent| sent.topic == "claims") {
            let claim: Claim<'_> = framing::decode(&sent.value).expect("a claim");
            if claim.gone {
                claims.remove(claim.message_id);
            } else {
                claims.insert(claim.message_id.to_owned(), format!("{claim:?}"));
            }
        }
        said.claims = claims;
        said.touchpoints = messages
            .into_iter()
            .map(|(message, row)| (message, (row.4, row.5)))
            .collect();
        said
    }
}

/// What is stored last under a key must be of the highest revision: ClickHouse goes by that, not by the order of arrival.
fn check_revisions(outputs: &MemoryOutputs) {
    let mut newest: BTreeMap<(&str, &[u8]), i64> = BTreeMap::new();
    for sent in &outputs.sent {
        fn read<'m, T: framing::Message + serde::Deserialize<'m>>(value: &'m [u8]) -> T {
            framing::decode(value).expect("a message of its topic")
        }
        let revision = match sent.topic {
            "sessions" => read::<Session<'_>>(&sent.value).revision,
            "identities" => read::<Identity<'_>>(&sent.value).revision,
            "refusals" => read::<Refusal<'_>>(&sent.value).revision,
            "atoms" => read::<Atom<'_>>(&sent.value).revision,
            _ => continue,
        };
        let before = newest.insert((sent.topic, &sent.key), revision);
        assert!(
            before <= Some(revision),
            "{} is sent again under an older revision",
            sent.topic
        );
    }
}
