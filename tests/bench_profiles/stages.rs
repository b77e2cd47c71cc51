//! The profile and kpi stages, one behind the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_contracts::framing;
use tributary_contracts::wire::{
    Atom, AtomBody, ChannelActivity, Contribution, IdentifierAtom, MinuteRun, OrderAtom, Profile,
    SessionAtom, Trait,
};
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::ids::ProfileId;
use tributary_core::kpi::{Dimension, Window, minute_of};
use tributary_core::money::Amount;
use tributary_core::profile::TraitRules;
use tributary_core::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};
use tributary_processor::runtime::memory::MemoryOutputs;
use tributary_processor::runtime::stage::{Input, Stage};
use tributary_processor::{Limits, kpi, profile};

/// A UTC midnight, at which everything has happened.
const NOW: i64 = 20_000 * DAY;

/// Over which sessions are spread.
const YEAR: i64 = 360 * DAY;

pub(crate) struct Stages {
    profiles: (profile::Stage, MemoryOutputs),
    kpis: (kpi::Stage, MemoryOutputs),
    offset: i64,
    now: i64,
    /// Contributions that the kpi stage has yet to take, with their partitions.
    told: Vec<(i32, Vec<u8>)>,
    /// The newest record of each profile.
    records: BTreeMap<ProfileId, i64>,
}

pub(crate) fn profile(name: &str) -> ProfileId {
    ProfileId::of("bench", &Identifier::new(IdentifierType::USER_ID, name))
}

impl Stages {
    /// Set up as by default.
    pub(crate) fn new() -> Self {
        let profiles = profile::Stage::new(profile::Options {
            slice: profile::Options::SLICE,
            cached_profiles: 200_000,
            goals: ["purchase", "signup", "lead", "download", "newsletter"]
                .map(str::to_owned)
                .into(),
            customer_days: 365,
            currencies: BTreeMap::from([("bench".to_owned(), "EUR".to_owned())]),
            qualifying: BTreeMap::new(),
            prefetched_opens: true,
            traits: TraitRules::default(),
            attitudes: (6, 9),
            dimensions: Dimension::ALL.into(),
        });
        let keep = Window::ALL.map(|window| match window {
            Window::Hour => 8 * DAY,
            Window::Day => 100 * DAY,
            _ => 396 * DAY,
        });
        let options = kpi::Options {
            keep,
            cached_differences: 3_200_000,
            limits: Limits::new(1_000, &BTreeMap::new(), &Dimension::ALL),
        };
        let mut stages = Self {
            profiles: (profiles, MemoryOutputs::default()),
            kpis: (
                kpi::Stage::new(options, Arc::new(|_| {})),
                MemoryOutputs::default(),
            ),
            offset: 0,
            now: NOW,
            told: Vec::new(),
            records: BTreeMap::new(),
        };
        let (stage, outputs) = &mut stages.profiles;
        stage.assigned(&[0, 1, 2, 3], outputs).expect("assigned");
        let (stage, outputs) = &mut stages.kpis;
        stage.assigned(&[0, 1, 2, 3], outputs).expect("assigned");
        stages.fold();
        stages.sum();
        stages
    }

    fn take(&mut self, owner: ProfileId, atom_id: &str, body: Option<AtomBody<'_>>) {
        let message = framing::encode(&Atom {
            workspace: "bench",
            profile_id: owner,
            atom_id,
            revision: self.offset,
            body,
        })
        .expect("an atom");
        let input = Input {
            partition: 0,
            offset: self.offset,
            key: b"",
            value: Some(&message),
        };
        self.offset += 1;
        let (stage, outputs) = &mut self.profiles;
        stage.take(&input, outputs).expect("taken");
    }

    /// A session of so many touchpoints, and an order with every tenth.
    pub(crate) fn session(
        &mut self,
        owner: ProfileId,
        name: &str,
        number: usize,
        of: usize,
        touchpoints: i64,
    ) {
        self.goes_on(owner, name, number, of, touchpoints);
        if number.is_multiple_of(10) {
            let order = order(name, start(name, number, of));
            self.take(owner, &format!("order:{name}:{number}"), Some(order));
        }
    }

    /// A session has so many touchpoints now.
    pub(crate) fn goes_on(
        &mut self,
        owner: ProfileId,
        name: &str,
        number: usize,
        of: usize,
        touchpoints: i64,
    ) {
        let body = session(name, start(name, number, of), touchpoints);
        self.take(owner, &format!("session:{name}:{number}"), Some(body));
    }

    /// A session more, right after one that is there.
    pub(crate) fn another(
        &mut self,
        owner: ProfileId,
        name: &str,
        number: usize,
        of: usize,
        repeat: i64,
    ) {
        let start = start(name, number, of) + HOUR + repeat * MINUTE;
        let body = session(name, start, 20);
        self.take(owner, &format!("session:{name}:more {repeat}"), Some(body));
    }

    /// All atoms of a session come to another profile.
    pub(crate) fn moves(
        &mut self,
        from: ProfileId,
        to: ProfileId,
        name: &str,
        number: usize,
        of: usize,
    ) {
        self.take(from, &format!("session:{name}:{number}"), None);
        if number.is_multiple_of(10) {
            self.take(from, &format!("order:{name}:{number}"), None);
        }
        self.session(to, name, number, of, 20);
    }

    pub(crate) fn identifier(&mut self, owner: ProfileId, name: &str) {
        let identifier = AtomBody::IdentifierAtom(IdentifierAtom {
            r#type: "user_id",
            value: name,
            person: Some(true),
        });
        self.take(owner, &format!("identifier:{name}"), Some(identifier));
    }

    pub(crate) fn identifier_moves(&mut self, from: ProfileId, to: ProfileId, name: &str) {
        self.take(from, &format!("identifier:{name}"), None);
        self.identifier(to, name);
    }

    /// Lets the profile stage work on what was taken. Returns how long it took, and how many differences it tells.
    pub(crate) fn fold(&mut self) -> (Duration, usize) {
        let begin = Instant::now();
        let (stage, outputs) = &mut self.profiles;
        stage.flush(Timestamp(self.now), outputs).expect("flushed");
        let taken = begin.elapsed();
        let mut differences = 0;
        for sent in outputs.take_sent() {
            if sent.topic == "contributions" {
                let told: Contribution<'_> = framing::decode(&sent.value).expect("a contribution");
                differences += told.changes.len();
                self.told.push((sent.partition, sent.value));
            } else {
                let record: Profile<'_> = framing::decode(&sent.value).expect("a profile");
                self.records.insert(record.profile_id, record.sessions);
            }
        }
        (taken, differences)
    }

    /// Lets the kpi stage work on what it was told, until nothing is held back for publishing. Returns how long it took.
    pub(crate) fn sum(&mut self) -> Duration {
        let begin = Instant::now();
        let (stage, outputs) = &mut self.kpis;
        for (partition, message) in std::mem::take(&mut self.told) {
            let input = Input {
                partition,
                offset: self.offset,
                key: b"",
                value: Some(&message),
            };
            self.offset += 1;
            stage.take(&input, outputs).expect("taken");
        }
        loop {
            self.now += SECOND;
            let held_back = stage.flush(Timestamp(self.now), outputs).expect("flushed");
            outputs.take_sent();
            if !held_back {
                return begin.elapsed();
            }
        }
    }

    pub(crate) fn sessions_of(&self, owner: ProfileId) -> i64 {
        self.records.get(&owner).copied().unwrap_or_default()
    }

    /// Bytes of the profile stage's store.
    pub(crate) fn profile_bytes(&self) -> usize {
        bytes(&self.profiles.1, |_| true)
    }

    /// Sums that the kpi stage keeps, and bytes of its store for each.
    pub(crate) fn kpi_state(&self) -> (usize, f64) {
        let is_block = |key: &[u8]| key.first() == Some(&b'b');
        let records = self.kpis.1.stored.values().flat_map(BTreeMap::keys);
        // A block's key ends with its window and its number.
        let sums: BTreeSet<&[u8]> = records
            .filter(|key| is_block(key))
            .map(|key| &key[..key.len() - 9])
            .collect();
        let all = bytes(&self.kpis.1, is_block) as f64;
        (sums.len(), all / sums.len().max(1) as f64)
    }
}

fn bytes(outputs: &MemoryOutputs, is_counted: impl Fn(&[u8]) -> bool) -> usize {
    let records = outputs.stored.values().flatten();
    records
        .filter(|(key, _)| is_counted(key))
        .map(|(key, value)| key.len() + value.len())
        .sum()
}

/// Sessions lie apart, those of two people between each other.
fn start(name: &str, number: usize, of: usize) -> i64 {
    let step = YEAR / of as i64;
    let apart = i64::from(name == "bob") * step / 2;
    NOW - YEAR + number as i64 * step + apart - 10 * DAY
}

fn session<'a>(name: &'a str, start: i64, touchpoints: i64) -> AtomBody<'a> {
    AtomBody::SessionAtom(SessionAtom {
        timeline_type: "anonymous_id",
        timeline_value: name,
        started_at: Timestamp(start),
        ended_at: Timestamp(start + 9 * MINUTE + touchpoints),
        touchpoints,
        views: touchpoints - 1,
        channel: "web",
        traffic_source: "google / cpc",
        campaign: "spring",
        store: "",
        device_type: "mobile",
        source: "site",
        goals: BTreeMap::new(),
        activity: vec![ChannelActivity {
            channel: "web",
            store: "",
            device_type: "mobile",
            minutes: vec![MinuteRun {
                first: minute_of(Timestamp(start)),
                length: 10,
            }],
            goals: Vec::new(),
        }],
        traits: vec![Trait {
            name: "plan",
            value: "\"plus\"",
            occurred_at: Timestamp(start),
            message_id: "m",
            source: "site",
            times: 1,
            first_at: None,
            first_message_id: "",
        }],
        moments: Vec::new(),
        consents: Vec::new(),
        groups: Vec::new(),
    })
}

fn order<'a>(name: &'a str, start: i64) -> AtomBody<'a> {
    AtomBody::OrderAtom(OrderAtom {
        ordered_at: Timestamp(start + 9 * MINUTE),
        currency: "EUR",
        total: Amount::from_units(20),
        margin: None,
        channel: "web",
        traffic_source: "google / cpc",
        campaign: "spring",
        store: "",
        device_type: "mobile",
        message_id: "m",
        timeline_type: "anonymous_id",
        timeline_value: name,
        products: Vec::new(),
    })
}
