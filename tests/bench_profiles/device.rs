//! The observe stage and one device with many events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_contracts::wire::{Activity, Campaign, Identifier, Subject, Touchpoint};
use tributary_contracts::{framing, keys};
use tributary_core::identity::Rules;
use tributary_core::kpi::Dimension;
use tributary_core::time::{DAY, MINUTE, SECOND, Timestamp};
use tributary_processor::Limits;
use tributary_processor::observe::{Observe, Settings};
use tributary_processor::runtime::memory::MemoryOutputs;
use tributary_processor::runtime::stage::{Input, Stage};

/// What a device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Visits of ten events, a login in each tenth of them.
    Visits,
    /// A bot's events, one after the other.
    Bot,
    /// Somebody else logs in with each event, as at a kiosk.
    Kiosk,
    /// Ever other people are seen, three times each, by a source that may not link.
    Till,
    /// Events one after the other, in a session without end.
    Endless,
}

impl Habit {
    pub(crate) const ALL: [Self; 5] = [
        Self::Visits,
        Self::Bot,
        Self::Kiosk,
        Self::Till,
        Self::Endless,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Visits => "visits of ten",
            Self::Bot => "of a bot",
            Self::Kiosk => "of as many people",
            Self::Till => "of people without links",
            Self::Endless => "one session without end",
        }
    }
}

const PARTITIONS: usize = 4;

/// The stage with one device.
pub(crate) struct Device {
    stage: Observe,
    outputs: MemoryOutputs,
    habit: Habit,
    events: i64,
    offset: i64,
}

impl Device {
    pub(crate) fn new(habit: Habit) -> Self {
        let rules = Rules {
            sources_without_links: BTreeSet::from(["till".to_owned()]),
            ..Rules::default()
        };
        let settings = Settings {
            rules: BTreeMap::from([("bench".to_owned(), rules)]),
            goals: BTreeMap::new(),
            limits: Limits::new(1_000, &BTreeMap::new(), &Dimension::ALL),
            out_of_orderness: MINUTE,
            page: Settings::PAGE,
            cached_events: 3_200_000,
            slice: Settings::SLICE,
            links: Settings::LINKS,
        };
        let mut device = Self {
            stage: Observe::new(settings, Arc::new(|_| {})),
            outputs: MemoryOutputs::default(),
            habit,
            events: 0,
            offset: 0,
        };
        let partitions: Vec<i32> = (0..PARTITIONS as i32).collect();
        device
            .stage
            .assigned(&partitions, &device.outputs)
            .expect("assigned");
        device.stage.begin().expect("begun");
        device
    }

    /// Takes so many events more, and returns what the flush took. Their links come back before the next.
    pub(crate) fn comes(&mut self, events: i64) -> Duration {
        for _ in 0..events {
            self.take();
        }
        let begin = Instant::now();
        self.flush();
        begin.elapsed()
    }

    fn flush(&mut self) {
        loop {
            let held = self
                .stage
                .flush(Timestamp(20_000 * DAY), &mut self.outputs)
                .expect("memory does not fail");
            let sent = self.outputs.take_sent();
            let links: Vec<_> = sent
                .into_iter()
                .filter(|sent| sent.topic == "links")
                .collect();
            for link in &links {
                let input = Input {
                    partition: 0,
                    offset: self.offset,
                    key: &link.key,
                    value: Some(&link.value),
                };
                self.stage.learn(&input, false).expect("a link");
                self.offset += 1;
            }
            if !held && links.is_empty() {
                return;
            }
        }
    }

    fn take(&mut self) {
        let number = self.events;
        self.events += 1;
        let (message, begin) = (format!("m{number}"), 12_000 * DAY);
        let seconds = match self.habit {
            Habit::Visits => number / 10 * 3_600 + number % 10 * 20,
            Habit::Kiosk => number * 3_600,
            Habit::Till => number * 120,
            Habit::Bot | Habit::Endless => number / 28,
        };
        let of = |r#type, value| Identifier {
            r#type,
            value,
            raw: "",
            flags: 0,
        };
        let mut identifiers = vec![of("anonymous_id", "c1")];
        let user = match self.habit {
            Habit::Visits if number % 100 == 0 => Some("ann".to_owned()),
            Habit::Kiosk => Some(format!("user {number}")),
            Habit::Till => Some(format!("user {}", number / 3)),
            _ => None,
        };
        if let Some(user) = &user {
            identifiers.insert(0, of("user_id", user));
        }
        let touchpoint = Touchpoint {
            workspace: "bench",
            message_id: &message,
            r#type: "page",
            event: "",
            channel: "web",
            source: match self.habit {
                Habit::Till => "till",
                _ => "site",
            },
            order_namespace: "online",
            subject: Subject::Customer,
            activity: Activity::Active,
            bot: self.habit == Habit::Bot,
            historic: false,
            may_link: true,
            occurred_at: Timestamp(begin + seconds * SECOND),
            received_at: Timestamp(begin + seconds * SECOND),
            sent_at: None,
            original_timestamp: None,
            clock_correction_ms: 0,
            timeline_type: "anonymous_id",
            timeline_value: "c1",
            identifiers,
            consents: Vec::new(),
            device_type: "desktop",
            traffic_source: "direct",
            campaign: Campaign {
                name: "",
                source: "",
                medium: "",
                term: "",
                content: "",
            },
            store: "",
            url: "https://shop.example/",
            referrer: "",
            group_id: "",
            order: None,
            answers: Vec::new(),
            traits: "",
            properties: "",
            context: "",
        };
        let key = keys::timeline("bench", "anonymous_id", "c1");
        let value = framing::encode(&touchpoint).expect("a touchpoint");
        let input = Input {
            partition: keys::partition(&key, PARTITIONS as u32),
            offset: number,
            key: &key,
            value: Some(&value),
        };
        self.stage.take(&input, &self.outputs).expect("taken");
    }
}
