//! What comes to the stage: touchpoints, entries of operators and versions of the rules, made at random.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tributary_contracts::wire::{
    self, Activity, Answer, Campaign, Consent, Identifier, Operation, OperationKind, Order,
    OrderKind, Subject, Touchpoint,
};
use tributary_contracts::{framing, keys};
use tributary_core::identifier::Kind;
use tributary_core::identity::{Normalisation, Rules};
use tributary_core::money::Amount;
use tributary_core::time::{SECOND, Timestamp};
use tributary_processor::rules;
use uuid::Uuid;

#[derive(Clone, Debug)]
pub(crate) struct Sent {
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
pub(crate) struct Entered {
    id: Uuid,
    kind: OperationKind,
    first: (&'static str, String),
    second: (&'static str, String),
    undoes: Option<Uuid>,
}

/// A version of the rules.
#[derive(Clone, Debug)]
pub(crate) struct Ruled {
    pub(crate) version: i64,
    consent_required: bool,
    certain: bool,
    strangers: bool,
    device_bridges: bool,
    pixel_links: bool,
    blocks: bool,
    hub: i32,
    emails: i32,
    /// What a badge names, where it is a type at all.
    badge: Option<Kind>,
    /// The e-mail address is the highest type.
    email_first: bool,
}

impl Ruled {
    fn types(&self) -> Vec<wire::IdentifierTypeRule<'_>> {
        let rule = |name, kind, limit| wire::IdentifierTypeRule {
            name,
            kind,
            normalisation: Normalisation::None,
            limit,
            can_be_hub: name != "user_id",
        };
        let mut types = vec![
            rule("user_id", Kind::Person, 1),
            rule("email", Kind::Person, self.emails),
            rule("device_id", Kind::Device, 20),
            rule("anonymous_id", Kind::Device, 100),
        ];
        types.extend(self.badge.map(|kind| rule("badge", kind, 2)));
        if self.email_first {
            types.swap(0, 1);
        }
        types
    }

    /// Hands `to` the record that publishes them.
    pub(crate) fn record<R>(&self, to: impl FnOnce(&wire::Rules<'_>) -> R) -> R {
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
            strangers: if self.strangers {
                wire::Strangers::Session
            } else {
                wire::Strangers::Device
            },
            consent_required: self.consent_required,
            hub: self.hub,
            limits: BTreeMap::new(),
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
            types: self.types(),
        })
    }

    pub(crate) fn rules(&self) -> Rules {
        self.record(rules::read).expect("rules of this version")
    }
}

/// What comes to the stage.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Touchpoint(Sent),
    Operation(Entered),
    Rules(Ruled),
}

pub(crate) fn operation(entered: &Entered) -> Vec<u8> {
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

pub(crate) fn touchpoint(sent: &Sent) -> (Vec<u8>, Vec<u8>) {
    let order = [
        "device_id",
        "anonymous_id",
        "advertising_id",
        "push_token",
        "user_id",
        "crm_id",
        "loyalty_card",
        "email",
        "badge",
    ];
    let rank = |r#type: &str| order.iter().position(|name| *name == r#type);
    let (timeline_type, timeline_value) = sent
        .identifiers
        .iter()
        .min_by_key(|(r#type, value)| (rank(r#type), value.clone()))
        .expect("an identifier");
    // What it says follows from its number.
    let number: usize = sent.message[1..].parse().expect("a number");
    let traits = match number % 3 {
        0 => format!(r#"{{"city":"c{}","visits":{number}}}"#, number % 2),
        _ => String::new(),
    };
    let answer = Answer {
        question_id: "q1",
        wording: "",
        kind: "touchpoint",
        aspect: "nps",
        scale: "0-10",
        value: Some(Amount::from_units((number % 11) as i64)),
        comment: "",
        product: "",
        touchpoint: "",
    };
    let touchpoint = Touchpoint {
        workspace: "default",
        message_id: &sent.message,
        r#type: if sent.order.is_none() && number % 4 == 1 {
            "page"
        } else {
            "track"
        },
        event: if sent.order.is_some() {
            "Order Completed"
        } else {
            "Looked"
        },
        channel: if number.is_multiple_of(5) {
            "app"
        } else {
            "web"
        },
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
            name: ["", "spring", "autumn"][number % 3],
            source: "",
            medium: "",
            term: "",
            content: "",
        },
        url: "",
        referrer: "",
        group_id: if number % 7 == 2 { "team" } else { "" },
        order: sent.order.as_ref().map(|_| Order {
            kind: OrderKind::Placed,
            order_id: "o1",
            currency: "EUR",
            total: Some(Amount::from_units(10)),
            margin: None,
            lines: Vec::new(),
        }),
        answers: if number % 5 == 1 {
            vec![answer]
        } else {
            Vec::new()
        },
        traits: &traits,
        properties: "",
        context: "",
    };
    (
        keys::timeline("default", timeline_type, timeline_value),
        framing::encode(&touchpoint).expect("a touchpoint"),
    )
}

fn touchpoints() -> impl Strategy<Value = Vec<Step>> {
    let identifiers = (
        prop::option::weighted(0.4, 0..3_u8),
        prop_oneof![
            7 => Just(BTreeSet::new()),
            3 => prop::collection::btree_set(0..4_u8, 1..3)
        ],
        prop::collection::btree_set(0..4_u8, 0..2),
        prop::option::weighted(0.2, 0..2_u8),
        prop::option::weighted(0.2, 0..3_u8),
    )
        .prop_filter_map(
            "an event has an identifier",
            |(user, emails, cookies, device, badge)| {
                let mut all = Vec::new();
                all.extend(user.map(|value| ("user_id", format!("u{value}"))));
                all.extend(emails.iter().map(|value| ("email", format!("e{value}@x"))));
                all.extend(
                    cookies
                        .iter()
                        .map(|value| ("anonymous_id", format!("c{value}"))),
                );
                all.extend(device.map(|value| ("device_id", format!("d{value}"))));
                all.extend(badge.map(|value| ("badge", format!("b{value}"))));
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
        (0..3_u8).prop_map(|value| ("badge", format!("b{value}"))),
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

/// The rules of a workspace that changes none.
pub(crate) fn as_usual() -> Ruled {
    Ruled {
        version: 1,
        consent_required: false,
        certain: false,
        strangers: false,
        device_bridges: false,
        pixel_links: false,
        blocks: false,
        hub: 10,
        emails: 5,
        badge: None,
        email_first: false,
    }
}

/// Somebody does something on the one device.
pub(crate) fn on_the_device(
    number: usize,
    seconds: i64,
    user: Option<String>,
    pixel: bool,
) -> Step {
    let mut identifiers = vec![("anonymous_id", "c0".to_owned())];
    identifiers.extend(user.map(|user| ("user_id", user)));
    Step::Touchpoint(Sent {
        message: format!("m{number}"),
        seconds,
        identifiers,
        passive: false,
        bot: false,
        order: None,
        pixel,
        consent: None,
    })
}

/// The first rules, and what comes.
pub(crate) fn world() -> impl Strategy<Value = (Ruled, Vec<Step>)> {
    let all = (versions(), touchpoints(), operations());
    all.prop_map(|(versions, touchpoints, operations)| {
        let mut versions = versions.into_iter();
        let first = versions.next().expect("at least one");
        let steps = touchpoints.into_iter().chain(operations);
        (first, steps.chain(versions.map(Step::Rules)).collect())
    })
}

/// The same of a single device with many visits, on which somebody logs in now and then.
pub(crate) fn device() -> impl Strategy<Value = (Ruled, Vec<Step>)> {
    let seconds = prop_oneof![
        (0..900_i64).prop_map(|tens| tens * 600),
        (0..90_i64).prop_map(|halves| halves * 1_800)
    ];
    let event = (
        seconds,
        prop::option::weighted(0.1, 0..2_u8),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.1),
        prop::option::weighted(0.1, Just(1_u8)),
        prop::bool::weighted(0.3),
    );
    let events = prop::collection::vec(event, 20..90);
    (versions(), events).prop_map(|(versions, events)| {
        let number = |(index, (seconds, user, passive, bot, order, pixel))| {
            let user: Option<u8> = user;
            let mut identifiers = vec![("anonymous_id", "c0".to_owned())];
            identifiers.extend(user.map(|user| ("user_id", format!("u{user}"))));
            Step::Touchpoint(Sent {
                message: format!("m{index}"),
                seconds,
                identifiers,
                passive,
                bot,
                order,
                pixel,
                consent: None,
            })
        };
        let steps = events.into_iter().enumerate().map(number).collect();
        (versions.into_iter().next().expect("at least one"), steps)
    })
}

fn versions() -> impl Strategy<Value = Vec<Ruled>> {
    let ruled = (
        prop::bool::weighted(0.2),
        (any::<bool>(), any::<bool>()),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        1..4_i32,
        1..3_i32,
        prop::option::of(prop::sample::select(vec![Kind::Person, Kind::Device])),
        prop::bool::weighted(0.3),
    );
    prop::collection::vec(ruled, 1..4).prop_map(|versions| {
        let number = |(
            version,
            (
                consent_required,
                (certain, strangers),
                device_bridges,
                pixel_links,
                blocks,
                hub,
                emails,
                badge,
                email_first,
            ),
        )| Ruled {
            version,
            consent_required,
            certain,
            strangers,
            device_bridges,
            pixel_links,
            blocks,
            hub,
            emails,
            badge,
            email_first,
        };
        (1..).zip(versions).map(number).collect::<Vec<_>>()
    })
}
