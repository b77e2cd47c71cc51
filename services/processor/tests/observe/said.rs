//! What the stage has sent, as far as it counts in the end.

use std::collections::{BTreeMap, BTreeSet};

use tributary_contracts::framing;
use tributary_contracts::wire::{
    Activity, Atom, AtomBody, ChannelActivity, Claim, Identity, Moment, Override, Refusal,
    ResolvedTouchpoint, Session, Span, Trait,
};
use tributary_core::time::Timestamp;
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
        let mut spans = BTreeMap::new();
        let mut stated = AllStated::new();
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
                    let identity: Identity<'_> = framing::decode(value).expect("an identity");
                    let name = (identity.identifier_type, identity.identifier_value);
                    if identity.part == 0 && !identity.gone {
                        let held = format!("{name:?} {} {}", identity.profile_id, identity.hub);
                        said.identities.insert(held);
                    }
                    // Which span is in which part is the timeline's matter.
                    let of_all_parts: &mut Vec<_> = spans.entry(name).or_default();
                    of_all_parts.extend(identity.spans);
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
                        Some(AtomBody::SessionAtom(session)) => {
                            let sums = (session.started_at, session.ended_at);
                            let counts = (session.touchpoints, session.views, &session.goals);
                            let facts = (session.channel, session.store, session.device_type);
                            let owned = Owned::of(&atom);
                            owned.add(&mut said.atoms, format!("{sums:?} {counts:?} {facts:?}"));
                            let begun = (session.traffic_source, session.campaign);
                            owned.activity(&mut said.atoms, begun, &session.activity);
                            owned.moments(&mut said.atoms, &session.moments);
                            let all = [&*session.traits, &*session.consents, &*session.groups];
                            owned.stated(&mut stated, all);
                        }
                        Some(AtomBody::SessionPartAtom(part)) => {
                            let owned = Owned::of(&atom);
                            let begun = (part.traffic_source, part.campaign);
                            owned.activity(&mut said.atoms, begun, &part.activity);
                            owned.moments(&mut said.atoms, &part.moments);
                            let all = [&*part.traits, &*part.consents, &*part.groups];
                            owned.stated(&mut stated, all);
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
        let stated = stated.iter().map(|stated| format!("{stated:?}"));
        said.atoms.extend(stated);
        for (name, mut spans) in spans {
            spans.sort_by_key(|span| span.valid_from);
            check_spans(name, &spans);
            said.identities
                .extend(spans.iter().map(|span| format!("{name:?} {span:?}")));
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

/// A session and its owner: in which parts it comes depends on arrival, what they hold does not.
struct Owned<'a> {
    owner: String,
    session: &'a str,
}

/// How often it was stated, first when and where, and last.
type Times<'a> = (i64, (Option<Timestamp>, &'a str), (Timestamp, &'a str));

/// By session and owner, and by kind, name, source and value.
type AllStated<'a> = BTreeMap<(String, usize, &'a str, &'a str, &'a str), Times<'a>>;

impl<'a> Owned<'a> {
    fn of(atom: &Atom<'a>) -> Self {
        let mut parts = atom.atom_id.split(':');
        assert_eq!(parts.next(), Some("session"));
        Self {
            owner: atom.profile_id.to_string(),
            session: parts.next().expect("the id of a session"),
        }
    }

    fn add(&self, all: &mut BTreeSet<String>, said: String) {
        let Self { owner, session } = self;
        let is_new = all.insert(format!("{session} of {owner}: {said}"));
        assert!(is_new, "{session} says twice {said}");
    }

    fn activity(
        &self,
        all: &mut BTreeSet<String>,
        begun: (&str, &str),
        activity: &[ChannelActivity<'_>],
    ) {
        let Self { owner, session } = self;
        for activity in activity {
            let place = (activity.channel, activity.store, activity.device_type);
            let place = format!("{session} of {owner}: {begun:?} {place:?}");
            let minutes = activity.minutes.iter();
            let minutes = minutes.flat_map(|run| run.first..run.first + run.length);
            all.extend(minutes.map(|minute| format!("{place} {minute}")));
            for reached in &activity.goals {
                let minutes = reached.minutes.iter();
                all.extend(minutes.map(|minute| format!("{place} {} {minute}", reached.goal)));
            }
        }
    }

    fn moments(&self, all: &mut BTreeSet<String>, moments: &[Moment<'_>]) {
        for moment in moments {
            self.add(all, format!("{moment:?}"));
        }
    }

    fn stated(&self, all: &mut AllStated<'a>, stated: [&[Trait<'a>]; 3]) {
        let Self { owner, session } = self;
        for (kind, stated) in stated.into_iter().enumerate() {
            for stated in stated {
                let of = format!("{session} of {owner}");
                let key = (of, kind, stated.name, stated.source, stated.value);
                let first = (stated.first_at, stated.first_message_id);
                let last = (stated.occurred_at, stated.message_id);
                let times = all.entry(key).or_insert((0, first, last));
                *times = (
                    times.0 + stated.times,
                    times.1.min(first),
                    times.2.max(last),
                );
            }
        }
    }
}

/// Spans of all parts touch, from the beginning to the end of time, and neighbours differ.
fn check_spans(name: (&str, &str), spans: &[Span]) {
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
        return;
    };
    let ends = (first.valid_from, last.valid_to);
    assert_eq!(
        ends,
        (Timestamp::MIN, Timestamp::MAX),
        "{name:?}: {spans:?}"
    );
    for pair in spans.windows(2) {
        assert_eq!(pair[0].valid_to, pair[1].valid_from, "{name:?}: {spans:?}");
        assert_ne!(
            pair[0].profile_id, pair[1].profile_id,
            "{name:?}: {spans:?}"
        );
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
