//! L1 and L2 on the observe stage: in whatever order, batches and duplicates touchpoints arrive, whenever operations are
//! entered and undone and rules published, in slices of whatever size, and whenever the stage is restarted from its state,
//! what it has sent in the end says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use tributary_contracts::wire::{
    self, Activity, Atom, Campaign, Claim, Consent, Identifier, Identity, Operation, OperationKind,
    Order, OrderKind, Override, Refusal, ResolvedTouchpoint, Session, Subject, Touchpoint,
};
use tributary_contracts::{framing, keys};
use tributary_core::identity::Rules;
use tributary_core::money::Amount;
use tributary_core::time::{SECOND, Timestamp};
use tributary_processor::observe::{Observe, Settings};
use tributary_processor::rules;
use tributary_processor::runtime::memory::MemoryOutputs;
use tributary_processor::runtime::stage::{Input, Stage};
use uuid::Uuid;

const PARTITIONS: [i32; 4] = [0, 1, 2, 3];

#[derive(Clone, Debug)]
struct Sent {
    message: String,
    seconds: i64,
    identifiers: Vec<(&'static str, String)>,
    passive: bool,
    bot: bool,
    order: Option<u8>,
    /// By a source that may not link.
    pixel: bool,
    /// Its decision on being stitched.
    consent: Option<bool>,
}

/// An entry of an operator: what it is, and of which identifiers, or which entry it undoes.
#[derive(Clone, Debug)]
struct Entered {
    id: Uuid,
    kind: OperationKind,
    first: (&'static str, String),
    second: (&'static str, String),
    undoes: Option<Uuid>,
}

/// A version of the rules.
#[derive(Clone, Debug)]
struct Ruled {
    version: i64,
    consent_required: bool,
    certain: bool,
    device_bridges: bool,
    pixel_links: bool,
    blocks: bool,
    hub: i32,
    emails: i32,
}

impl Ruled {
    /// Hands `to` the record that publishes them.
    fn record<R>(&self, to: impl FnOnce(&wire::Rules<'_>) -> R) -> R {
        to(&wire::Rules {
            workspace: "default",
            version: self.version,
            published_at: Timestamp(0),
            device_bridges: self.device_bridges,
            shared_devices: if self.certain {
                wire::SharedDevices::Certain
            } else {
                wire::SharedDevices::Last
            },
            consent_required: self.consent_required,
            hub: self.hub,
            limits: BTreeMap::from([("email", self.emails)]),
            blocked_values: Vec::new(),
            blocked_patterns: if self.blocks {
                vec!["e*1@x"]
            } else {
                Vec::new()
            },
            sources_without_links: if self.pixel_links {
                Vec::new()
            } else {
                vec!["pixel"]
            },
        })
    }

    fn rules(&self) -> Rules {
        self.record(rules::read).expect("rules of this version")
    }
}

/// What comes to the stage.
#[derive(Clone, Debug)]
enum Step {
    Touchpoint(Sent),
    Operation(Entered),
    Rules(Ruled),
}

fn operation(entered: &Entered) -> Vec<u8> {
    let operation = Operation {
        workspace: "default",
        operation_id: entered.id,
        kind: entered.kind,
        first_type: entered.first.0,
        first_value: &entered.first.1,
        second_type: entered.second.0,
        second_value: &entered.second.1,
        undoes: entered.undoes,
        entered_at: Timestamp(0),
        entered_by: "",
        reason: "",
    };
    framing::encode(&operation).expect("an operation")
}

fn stage(ruled: &Ruled, slice: usize) -> Observe {
    let goals = BTreeMap::from([("purchase".to_owned(), vec!["Order Completed".to_owned()])]);
    // Started as it is configured, which states no version.
    let rules = Rules {
        version: 0,
        ..ruled.rules()
    };
    Observe::new(
        Settings {
            rules: BTreeMap::from([("default".to_owned(), rules)]),
            goals,
            cached_events: 30,
            slice,
        },
        Arc::new(|_| {}),
    )
}

fn touchpoint(sent: &Sent) -> (Vec<u8>, Vec<u8>) {
    let order = [
        "device_id",
        "anonymous_id",
        "advertising_id",
        "push_token",
        "user_id",
        "crm_id",
        "loyalty_card",
        "email",
    ];
    let rank = |r#type: &str| order.iter().position(|name| *name == r#type);
    let (timeline_type, timeline_value) = sent
        .identifiers
        .iter()
        .min_by_key(|(r#type, value)| (rank(r#type), value.clone()))
        .expect("an identifier");
    let touchpoint = Touchpoint {
        workspace: "default",
        message_id: &sent.message,
        r#type: "track",
        event: if sent.order.is_some() {
            "Order Completed"
        } else {
            "Looked"
        },
        channel: "web",
        source: if sent.pixel { "pixel" } else { "site" },
        order_namespace: "online",
        subject: Subject::Customer,
        activity: if sent.passive {
            Activity::Passive
        } else {
            Activity::Active
        },
        bot: sent.bot,
        historic: false,
        may_link: !sent.pixel,
        occurred_at: Timestamp(sent.seconds * SECOND),
        received_at: Timestamp(0),
        sent_at: None,
        original_timestamp: None,
        clock_correction_ms: 0,
        timeline_type,
        timeline_value,
        identifiers: sent
            .identifiers
            .iter()
            .map(|(r#type, value)| Identifier {
                r#type,
                value,
                raw: "",
                flags: 0,
            })
            .collect(),
        consents: sent
            .consent
            .iter()
            .map(|granted| Consent {
                purpose: "stitching",
                granted: *granted,
            })
            .collect(),
        device_type: "desktop",
        store: "",
        traffic_source: "direct",
        campaign: Campaign {
            name: "",
            source: "",
            medium: "",
            term: "",
            content: "",
        },
        url: "",
        referrer: "",
        group_id: "",
        order: sent.order.as_ref().map(|_| Order {
            kind: OrderKind::Placed,
            order_id: "o1",
            currency: "EUR",
            total: Some(Amount::from_units(10)),
            margin: None,
            lines: Vec::new(),
        }),
        answers: Vec::new(),
        traits: "",
        properties: "",
        context: "",
    };
    (
        keys::timeline("default", timeline_type, timeline_value),
        framing::encode(&touchpoint).expect("a touchpoint"),
    )
}

/// The stage between topics in memory: what it sends to the links log comes back to it.
struct Run {
    /// The newest rules, as the stage is configured at the next start.
    ruled: Ruled,
    slice: usize,
    stage: Observe,
    outputs: MemoryOutputs,
    links: Vec<Vec<u8>>,
    learned: usize,
    /// Of the links log, what is committed as taken into account.
    committed: usize,
    seen: usize,
    is_starting: bool,
}

impl Run {
    /// Under its first rules, which are published.
    fn new(ruled: &Ruled, slice: usize) -> Self {
        let mut run = Self {
            ruled: ruled.clone(),
            slice,
            stage: stage(ruled, slice),
            outputs: MemoryOutputs::default(),
            links: Vec::new(),
            learned: 0,
            committed: 0,
            seen: 0,
            is_starting: true,
        };
        run.stage
            .assigned(&PARTITIONS, &run.outputs)
            .expect("an empty store");
        run.flush();
        run
    }

    fn take(&mut self, step: &Step) {
        let sent = match step {
            Step::Touchpoint(sent) => sent,
            Step::Operation(entered) => return self.links.push(operation(entered)),
            Step::Rules(ruled) => {
                // A processor that has not begun would be refused, as configured with older rules.
                if self.is_starting {
                    self.flush();
                }
                if ruled.version > self.ruled.version {
                    self.ruled = ruled.clone();
                }
                let record = ruled.record(|record| framing::encode(record).expect("rules"));
                return self.links.push(record);
            }
        };
        let (key, value) = touchpoint(sent);
        let partition = keys::partition(&key, 4);
        self.stage
            .take(
                &Input {
                    partition,
                    offset: 0,
                    key: &key,
                    value: Some(&value),
                },
                &self.outputs,
            )
            .expect("readable");
    }

    fn flush(&mut self) {
        for (offset, link) in self.links.iter().enumerate().skip(self.learned) {
            let input = Input {
                partition: 0,
                offset: offset as i64,
                key: b"",
                value: Some(link),
            };
            self.stage.learn(&input, false).expect("readable");
        }
        self.learned = self.links.len();
        self.is_starting = false;
        self.stage
            .flush(Timestamp(0), &mut self.outputs)
            .expect("memory");
        for sent in &self.outputs.sent[self.seen..] {
            if sent.topic == "links" {
                self.links.push(sent.value.clone());
            }
        }
        self.seen = self.outputs.sent.len();
        self.committed = self.learned;
    }

    /// All that was not flushed is lost, as after a kill; the state and the topics stay.
    fn restart(&mut self) {
        self.is_starting = true;
        self.stage = stage(&self.ruled, self.slice);
        self.stage
            .assigned(&PARTITIONS, &self.outputs)
            .expect("the store");
        for (offset, link) in self.links.iter().enumerate() {
            let input = Input {
                partition: 0,
                offset: offset as i64,
                key: b"",
                value: Some(link),
            };
            self.stage
                .learn(&input, offset < self.committed)
                .expect("readable");
        }
        self.learned = self.links.len();
    }

    fn said(mut self) -> Said {
        self.flush();
        let mut flushes = 0;
        while self.learned < self.links.len() || self.stage.due(Timestamp(0)) {
            self.flush();
            flushes += 1;
            assert!(flushes < 10_000, "it comes to no end");
        }
        let compacted = self.outputs.compacted();
        let mut said = Said::default();
        let mut messages: BTreeMap<String, (String, i64, bool, bool, String, String)> =
            BTreeMap::new();
        for sent in &self.outputs.sent {
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
                    // How passive touchpoints are spread over pages depends on arrival; what they add up to does not.
                    if atom.body.is_some() && !atom.atom_id.starts_with("passive:") {
                        said.atoms.insert(format!("{atom:?}"));
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
        for sent in self
            .outputs
            .sent
            .iter()
            .filter(|sent| sent.topic == "claims")
        {
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

/// What counts in the end.
#[derive(Debug, Default, PartialEq)]
struct Said {
    touchpoints: BTreeMap<String, (String, String)>,
    sessions: BTreeSet<String>,
    identities: BTreeSet<String>,
    refusals: BTreeSet<String>,
    atoms: BTreeSet<String>,
    claims: BTreeMap<String, String>,
}

fn touchpoints() -> impl Strategy<Value = Vec<Step>> {
    let identifiers = (
        prop::option::weighted(0.4, 0..3_u8),
        prop::option::weighted(0.2, 0..4_u8),
        prop::collection::btree_set(0..4_u8, 0..2),
        prop::option::weighted(0.2, 0..2_u8),
    )
        .prop_filter_map(
            "an event has an identifier",
            |(user, email, cookies, device)| {
                let mut all = Vec::new();
                all.extend(user.map(|value| ("user_id", format!("u{value}"))));
                all.extend(email.map(|value| ("email", format!("e{value}@x"))));
                all.extend(
                    cookies
                        .iter()
                        .map(|value| ("anonymous_id", format!("c{value}"))),
                );
                all.extend(device.map(|value| ("device_id", format!("d{value}"))));
                (!all.is_empty()).then_some(all)
            },
        );
    let seconds = prop_oneof![0..7_200_i64, 0..400_000_i64];
    let event = (
        seconds,
        identifiers,
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.05),
        prop::option::weighted(0.1, Just(1_u8)),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.12, any::<bool>()),
    );
    prop::collection::vec(event, 1..60).prop_map(|events| {
        let number = |(index, (seconds, identifiers, passive, bot, order, pixel, consent))| {
            Step::Touchpoint(Sent {
                message: format!("m{index}"),
                seconds,
                identifiers,
                passive,
                bot,
                order,
                pixel,
                consent,
            })
        };
        events.into_iter().enumerate().map(number).collect()
    })
}

fn operations() -> impl Strategy<Value = Vec<Step>> {
    let identifier = prop_oneof![
        (0..3_u8).prop_map(|value| ("user_id", format!("u{value}"))),
        (0..4_u8).prop_map(|value| ("email", format!("e{value}@x"))),
        (0..4_u8).prop_map(|value| ("anonymous_id", format!("c{value}"))),
        (0..2_u8).prop_map(|value| ("device_id", format!("d{value}"))),
    ];
    let kind = prop::sample::select(vec![
        OperationKind::Cut,
        OperationKind::Separate,
        OperationKind::Pin,
        OperationKind::Block,
        OperationKind::Undo,
    ]);
    let entry = (kind, identifier.clone(), identifier, 0..6_u128);
    prop::collection::vec(entry, 0..6).prop_map(|entries| {
        let number = |(index, (kind, first, second, target))| {
            let nothing = ("", String::new());
            let pair = !matches!(kind, OperationKind::Block | OperationKind::Undo);
            Step::Operation(Entered {
                id: Uuid::from_u128(index),
                kind,
                first: if kind == OperationKind::Undo {
                    nothing.clone()
                } else {
                    first
                },
                second: if pair { second } else { nothing },
                // Of an entry before it; a first one undoes nothing.
                undoes: (kind == OperationKind::Undo)
                    .then(|| Uuid::from_u128(if index == 0 { 99 } else { target % index })),
            })
        };
        (0..).zip(entries).map(number).collect()
    })
}

/// The first rules, and what comes.
fn world() -> impl Strategy<Value = (Ruled, Vec<Step>)> {
    let ruled = (
        prop::bool::weighted(0.2),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        1..4_i32,
        1..3_i32,
    );
    let versions = prop::collection::vec(ruled, 1..4).prop_map(|versions| {
        let number = |(
            version,
            (consent_required, certain, device_bridges, pixel_links, blocks, hub, emails),
        )| Ruled {
            version,
            consent_required,
            certain,
            device_bridges,
            pixel_links,
            blocks,
            hub,
            emails,
        };
        (1..).zip(versions).map(number).collect::<Vec<_>>()
    });
    (versions, touchpoints(), operations()).prop_map(|(versions, touchpoints, operations)| {
        let mut versions = versions.into_iter();
        let first = versions.next().expect("at least one");
        let steps = touchpoints.into_iter().chain(operations);
        (first, steps.chain(versions.map(Step::Rules)).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_same_touchpoints_operations_and_rules_in_any_order_with_restarts_say_the_same_in_the_end(
        (first, world, other, breaks) in world().prop_flat_map(|(first, world)| {
            let doubled: Vec<Step> = world.iter().chain(world.iter().step_by(4)).cloned().collect();
            let breaks = prop::collection::vec(0..8_u8, doubled.len());
            (Just(first), Just(world), Just(doubled).prop_shuffle(), breaks)
        }),
        slice in 1..40_usize,
    ) {
        let mut one = Run::new(&first, Settings::SLICE);
        world.iter().for_each(|step| one.take(step));
        let mut two = Run::new(&first, slice);
        for (step, then) in other.iter().zip(breaks) {
            two.take(step);
            match then {
                0 | 1 => two.flush(),
                2 => { two.flush(); two.restart(); }
                // What was taken and not flushed is lost: it comes again from Kafka.
                3 => { two.flush(); two.take(step); two.restart(); two.take(step); }
                _ => {}
            }
        }
        let (one, two) = (one.said(), two.said());
        prop_assert_eq!(&one.touchpoints, &two.touchpoints, "touchpoints");
        prop_assert_eq!(&one.sessions, &two.sessions, "sessions");
        prop_assert_eq!(&one.identities, &two.identities, "identities");
        prop_assert_eq!(&one.refusals, &two.refusals, "refusals");
        prop_assert_eq!(&one.atoms, &two.atoms, "atoms");
        prop_assert_eq!(&one.claims, &two.claims, "claims");
    }
}
