//! Golden records: bytes that were written once must be read for ever, by our decoder and by an independent one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tributary_contracts::framing::{self, Message};
use tributary_contracts::registry;
use tributary_contracts::wire::*;
use tributary_core::identifier::Kind;
use tributary_core::identity::Normalisation;
use tributary_core::ids::{ProfileId, SessionId};
use tributary_core::money::Amount;
use tributary_core::time::Timestamp;
use uuid::Uuid;

fn golden(name: &str, version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../schemas/golden/{name}/v{version}.hex"))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(48) {
        for byte in line {
            write!(text, "{byte:02x}").expect("a string");
        }
        text.push('\n');
    }
    text
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex")
    };
    digits.chunks(2).map(pair).collect()
}

/// The record must be written as the golden file says, read back from it equal, and be read by apache-avro to the end.
fn check<T: Message + Serialize + Deserialize<'static> + PartialEq + std::fmt::Debug>(record: &T) {
    let schema = registry::latest(T::SCHEMA);
    let path = golden(schema.name, schema.version);
    let written =
        framing::encode(record).unwrap_or_else(|error| panic!("{}: {error}", schema.name));
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; a new version's golden record is:\n{}",
            path.display(),
            hex(&written)
        )
    });
    assert_eq!(
        hex(&written),
        golden,
        "{} is written otherwise than its golden record",
        schema.name
    );
    // Leaked, because a record that borrows is compared with one that lives as long as the test.
    let golden: &'static [u8] = Box::leak(bytes(&golden).into_boxed_slice());
    let read: T = framing::decode(golden).unwrap_or_else(|error| panic!("{} {error}", schema.name));
    assert_eq!(
        &read, record,
        "{} is read otherwise than it was written",
        schema.name
    );

    let avro = apache_avro::Schema::parse_str(schema.text).expect("a schema");
    let mut datum = &golden[framing::HEADER..];
    apache_avro::reader::datum::GenericDatumReader::builder(&avro)
        .build()
        .and_then(|reader| reader.read_value(&mut datum))
        .unwrap_or_else(|error| panic!("{}: {error}", schema.name));
    assert!(
        datum.is_empty(),
        "{}: apache-avro leaves {} bytes",
        schema.name,
        datum.len()
    );
}

const PROFILE: ProfileId = ProfileId(Uuid::from_u128(0x0123_4567_89ab_5def_8123_4567_89ab_cdef));
const SESSION: SessionId = SessionId(Uuid::from_u128(0xfedc_ba98_7654_5210_8edc_ba98_7654_3210));
const AT: Timestamp = Timestamp(1_700_000_000_123);

fn amount(text: &str) -> Amount {
    text.parse().expect("an amount")
}

fn touchpoint() -> Touchpoint<'static> {
    Touchpoint {
        workspace: "default",
        message_id: "m-1",
        r#type: "track",
        event: "Order Completed",
        channel: "web",
        source: "site",
        order_namespace: "online",
        subject: Subject::Customer,
        activity: Activity::Active,
        bot: false,
        historic: true,
        may_link: true,
        occurred_at: AT,
        received_at: Timestamp(AT.0 + 40),
        sent_at: Some(Timestamp(AT.0 + 20)),
        original_timestamp: None,
        clock_correction_ms: -60_000,
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        identifiers: vec![
            Identifier {
                r#type: "email",
                value: "ann@example.com",
                raw: "Ann@Example.com",
                flags: 0,
            },
            Identifier {
                r#type: "phone",
                value: "",
                raw: "000",
                flags: identifier_flags::PLACEHOLDER,
            },
            Identifier {
                r#type: "anonymous_id",
                value: "c1",
                raw: "",
                flags: 0,
            },
        ],
        consents: vec![Consent {
            purpose: "marketing",
            granted: false,
        }],
        device_type: "mobile",
        store: "s1",
        traffic_source: "google / cpc",
        campaign: Campaign {
            name: "spring",
            source: "google",
            medium: "cpc",
            term: "shoes",
            content: "a",
        },
        url: "https://shop.example/",
        referrer: "https://search.example/",
        group_id: "g",
        order: Some(Order {
            kind: OrderKind::Placed,
            order_id: "o-1",
            currency: "EUR",
            total: Some(amount("-12.345678")),
            margin: None,
            lines: vec![OrderLine {
                product_id: "p",
                sku: "s",
                name: "Shoe",
                category: "Shoes",
                brand: "B",
                variant: "red",
                coupon: "c",
                quantity: amount("2"),
                price: Some(amount("6.17")),
            }],
        }),
        answers: vec![Answer {
            question_id: "q",
            wording: "How likely?",
            kind: "relation",
            aspect: "nps",
            scale: "0-10",
            value: Some(amount("9")),
            comment: "fine",
            product: "p",
            touchpoint: "delivery",
        }],
        traits: r#"{"name":"Ann"}"#,
        properties: r#"{"a":1}"#,
        context: "",
    }
}

#[test]
fn every_record_is_written_and_read_as_its_golden_bytes_say() {
    check(&touchpoint());
    check(&ResolvedTouchpoint {
        session_id: Some(SESSION),
        profile_id: None,
        links_offset: 300,
        touchpoint: touchpoint(),
    });
    check(&Link {
        workspace: "default",
        higher_type: "user_id",
        higher_value: "ann",
        lower_type: "anonymous_id",
        lower_value: "c1",
        source: "site",
        may_link: true,
        partition: 3,
        first_seen: AT,
        first_message_id: "m-1",
        last_day: AT.day(),
    });
    check(&StitchingConsent {
        workspace: "default",
        identifier_type: "anonymous_id",
        identifier_value: "c1",
        partition: 3,
        decided_at: AT,
        granted: false,
    });
    let mut rules = Rules {
        workspace: "default",
        version: 2,
        published_at: AT,
        device_bridges: false,
        shared_devices: SharedDevices::Certain,
        consent_required: true,
        hub: 10,
        limits: BTreeMap::from([("email", 5)]),
        blocked_values: vec!["guest", "test"],
        blocked_patterns: vec!["email:*@test.*"],
        sources_without_links: vec!["pixel"],
        types: vec![IdentifierTypeRule {
            name: "badge",
            kind: Kind::Person,
            normalisation: Normalisation::Lowercase,
            limit: 3,
            can_be_hub: true,
        }],
        strangers: Strangers::Session,
    };
    check(&rules);
    // What an older version did not know is as if it had said nothing.
    for version in [2, 1] {
        rules.strangers = Strangers::Device;
        if version == 1 {
            rules.types.clear();
        }
        let older = std::fs::read_to_string(golden("rules", version)).expect("a golden record");
        let older = bytes(&older);
        let read: Rules<'_> = framing::decode(&older).expect("an older record");
        assert_eq!(read, rules);
    }
    check(&Operation {
        workspace: "default",
        operation_id: PROFILE.0,
        kind: OperationKind::Undo,
        first_type: "user_id",
        first_value: "ann",
        second_type: "anonymous_id",
        second_value: "c1",
        undoes: Some(SESSION.0),
        entered_at: AT,
        entered_by: "ops",
        reason: "a shared till",
    });
    check(&Identity {
        workspace: "default",
        identifier_type: "user_id",
        identifier_value: "ann",
        own_profile_id: PROFILE,
        profile_id: PROFILE,
        hub: false,
        spans: vec![Span {
            profile_id: PROFILE,
            valid_from: Timestamp::MIN,
            valid_to: Timestamp::MAX,
        }],
        revision: 7,
        gone: false,
        part: 3,
    });
    check(&Refusal {
        workspace: "default",
        higher_type: "user_id",
        higher_value: "bob",
        lower_type: "anonymous_id",
        lower_value: "c1",
        reason: "limit user_id",
        revision: 8,
        gone: false,
    });
    check(&Session {
        workspace: "default",
        session_id: SESSION,
        profile_id: Some(PROFILE),
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        started_at: AT,
        ended_at: Timestamp(AT.0 + 60_000),
        touchpoints: 3,
        views: 2,
        channel: "web",
        traffic_source: "direct",
        campaign: "",
        store: "",
        device_type: "mobile",
        source: "site",
        goals: BTreeMap::from([("purchase", 1)]),
        revision: 9,
        gone: false,
    });
    check(&Override {
        workspace: "default",
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        page: 2,
        revision: 10,
        ranges: vec![OverrideRange {
            from: AT,
            to: AT,
            session_id: Some(SESSION),
            profile_id: Some(PROFILE),
        }],
        messages: vec![OverrideMessage {
            message_id: "m-1",
            session_id: None,
            profile_id: Some(PROFILE),
        }],
    });
}

#[test]
fn every_record_of_orders_profiles_and_kpis_is_written_and_read_as_its_golden_bytes_say() {
    check(&Claim {
        workspace: "default",
        order_namespace: "online",
        order_id: "o-1",
        kind: ClaimKind::Refunded,
        message_id: "m-1",
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        occurred_at: AT,
        currency: "EUR",
        total: Some(amount("5.5")),
        margin: None,
        channel: "web",
        source: "site",
        traffic_source: "direct",
        campaign: "",
        store: "",
        device_type: "",
        session_id: Some(SESSION),
        profile_id: Some(PROFILE),
        gone: false,
        products: vec![ProductAmount {
            product_id: "p1",
            amount: amount("5.5"),
        }],
    });
    check(&EmailClaim {
        workspace: "default",
        email_id: "mail-1",
        recipient_type: "email",
        recipient_value: "ann@example.com",
        kind: EmailClaimKind::Clicked,
        message_id: "m-1",
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        occurred_at: AT,
        campaign: "spring",
        profile_id: Some(PROFILE),
        gone: false,
    });
    check(&OrderState {
        workspace: "default",
        order_namespace: "online",
        order_id: "o-1",
        currency: "EUR",
        total: amount("12.5"),
        refunded: amount("5.5"),
        margin: Some(amount("-0.000001")),
        ordered_at: AT,
        message_id: "m-1",
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        channel: "web",
        source: "site",
        traffic_source: "direct",
        campaign: "",
        store: "",
        device_type: "",
        session_id: Some(SESSION),
        profile_id: Some(PROFILE),
        cancelled: false,
        claims: 2,
        revision: 4,
        gone: false,
    });
    check(&Atom {
        workspace: "default",
        profile_id: PROFILE,
        atom_id: "order:1",
        revision: 3,
        body: Some(AtomBody::OrderAtom(OrderAtom {
            ordered_at: AT,
            currency: "EUR",
            total: amount("25.5"),
            margin: Some(amount("5")),
            channel: "web",
            traffic_source: "search",
            campaign: "spring",
            store: "",
            device_type: "mobile",
            message_id: "m-1",
            timeline_type: "anonymous_id",
            timeline_value: "c1",
            products: vec![ProductSold {
                product_id: "p1",
                amount: amount("25.5"),
                margin: Some(amount("5")),
            }],
        })),
    });
    check(&Contribution {
        workspace: "default",
        kpi: "visitors",
        currency: "",
        dimension: "channel",
        dimension_value: "web",
        changes: vec![Change {
            window: 2,
            mark: 1_888_888,
            numerator: -1_000_000,
            denominator: 0,
        }],
    });
    check(&KpiBlock {
        workspace: "default",
        kpi: "revenue",
        window: "24h",
        currency: "EUR",
        dimension: "",
        dimension_value: "",
        block_start: AT,
        step_ms: 900_000,
        marks: vec![0, 5],
        numerators: vec![amount("12.5"), amount("0.000001")],
        denominators: vec![1, 1],
        revision: 5,
    });
    check(&Alert {
        workspace: "default",
        alert: "bad_buzz",
        raised_at: AT,
        cleared_at: Some(Timestamp(AT.0 + 60_000)),
        value: amount("12"),
        usual: amount("0.25"),
        most: amount("6.05"),
        revision: 2,
    });
    check(&Profile {
        workspace: "default",
        profile_id: PROFILE,
        identifiers: vec![ProfileIdentifier {
            r#type: "user_id",
            value: "ann",
        }],
        traits: r#"{"name":"Ann"}"#,
        first_seen: Some(AT),
        last_seen: None,
        sessions: 1,
        touchpoints: 3,
        orders: 1,
        revenue: BTreeMap::from([("EUR", amount("7"))]),
        channels: vec!["web"],
        revision: 6,
        gone: false,
        spending: vec![Spending {
            currency: "EUR",
            orders: 1,
            total: amount("8"),
            margin: amount("2.5"),
        }],
        first_order: Some(AT),
        last_order: Some(AT),
        loyalty_points: amount("120"),
        last_answers: vec![LastAnswer {
            aspect: "nps",
            scale: "0-10",
            value: 9,
            occurred_at: AT,
            comment: "quick",
        }],
        emails: Some(Emails {
            sent: 5,
            delivered: 4,
            opened: 3,
            clicked: 2,
            unsubscribed: 1,
        }),
        mentions: 6,
        provenance: vec![Provenance {
            name: "name",
            rule: "latest",
            source: "site",
            occurred_at: AT,
            message_id: "m",
        }],
        consents: vec![ProfileConsent {
            purpose: "marketing",
            granted: false,
            occurred_at: AT,
            source: "site",
        }],
        groups: vec!["team-1"],
        statuses: vec![Since {
            what: "customer",
            since: AT,
        }],
        quadrants: vec![Since {
            what: "latent",
            since: AT,
        }],
    });
    check(&DeadLetter {
        workspace: "default",
        source: "site",
        stage: "ingest",
        reason: "no_identifier",
        detail: "send userId or anonymousId",
        message_id: "m-2",
        received_at: AT,
        payload: b"{}",
        topic: "",
        partition: -1,
        offset: -1,
    });
    check(&State {
        revision: 1,
        rules_version: 1,
        links_offset: -1,
        body: &[0, 255],
    });
}

#[test]
fn a_resolved_touchpoint_made_from_bytes_is_the_one_made_from_fields() {
    let touchpoint = touchpoint();
    let framed = framing::encode(&touchpoint).expect("a touchpoint");
    for (session_id, profile_id, links_offset) in [
        (None, None, -1),
        (Some(SESSION), None, 0),
        (None, Some(PROFILE), 1 << 40),
    ] {
        let mut made = Vec::new();
        ResolvedTouchpoint::frame(session_id, profile_id, links_offset, &framed, &mut made)
            .expect("a touchpoint");
        let record = ResolvedTouchpoint {
            session_id,
            profile_id,
            links_offset,
            touchpoint: touchpoint.clone(),
        };
        assert_eq!(made, framing::encode(&record).expect("a record"));
    }
    let mut made = Vec::new();
    let state = framing::encode(&State {
        revision: 1,
        rules_version: 1,
        links_offset: 0,
        body: &[],
    })
    .expect("a state");
    assert!(
        ResolvedTouchpoint::frame(None, None, 0, &state, &mut made).is_err(),
        "a state is no touchpoint"
    );
}

#[test]
fn a_touchpoint_of_version_1_is_read_and_resolved_as_it_was_written() {
    let read_golden = |name| {
        let golden = std::fs::read_to_string(golden(name, 1)).expect("a golden record");
        bytes(&golden)
    };
    let [framed, resolved] = ["touchpoint", "resolved_touchpoint"].map(read_golden);
    let mut expected = touchpoint();
    expected.answers[0].touchpoint = "";
    let read = Touchpoint::unframe(&framed).expect("a touchpoint");
    let read_by_name: Touchpoint<'_> = framing::decode(&framed).expect("a touchpoint");
    assert_eq!([&read, &read_by_name], [&expected; 2]);
    let mut made = Vec::new();
    ResolvedTouchpoint::frame(Some(SESSION), None, 300, &framed, &mut made).expect("a touchpoint");
    assert_eq!(made, resolved);
    let read = ResolvedTouchpoint::unframe(&resolved).expect("a resolved touchpoint");
    assert_eq!(read.touchpoint, expected);
}

#[test]
fn an_atom_of_version_1_is_read_with_what_it_did_not_say_left_out() {
    let golden = std::fs::read_to_string(golden("atom", 1)).expect("a golden record");
    let golden = bytes(&golden);
    let read: Atom<'_> = framing::decode(&golden).expect("an atom");
    assert_eq!(read.body, None);
    // An identifier, as version 1 wrote it: the branch, then type and value.
    let mut framed = golden[..golden.len() - 1].to_vec();
    framed.extend(b"\x08\x0aemail\x06a@b");
    let read: Atom<'_> = framing::decode(&framed).expect("an atom");
    let identifier = IdentifierAtom {
        r#type: "email",
        value: "a@b",
        person: None,
    };
    assert_eq!(read.body, Some(AtomBody::IdentifierAtom(identifier)));
}

#[test]
fn a_session_of_version_3_is_read_as_it_was_written() {
    let golden = std::fs::read_to_string(golden("atom", 3)).expect("a golden record");
    let golden = bytes(&golden);
    let read: Atom<'_> = framing::decode(&golden).expect("an atom");
    let session = Atom {
        workspace: "default",
        profile_id: PROFILE,
        atom_id: "session:1",
        revision: 3,
        body: Some(AtomBody::SessionAtom(SessionAtom {
            timeline_type: "anonymous_id",
            timeline_value: "c1",
            started_at: AT,
            ended_at: Timestamp(AT.0 + 90_000),
            touchpoints: 2,
            views: 1,
            channel: "web",
            traffic_source: "search",
            campaign: "spring",
            store: "",
            device_type: "mobile",
            source: "site",
            goals: BTreeMap::from([("purchase", 1)]),
            activity: vec![ChannelActivity {
                channel: "web",
                store: "",
                device_type: "mobile",
                minutes: vec![MinuteRun {
                    first: 28_333_334,
                    length: 2,
                }],
                goals: vec![GoalMinutes {
                    goal: "purchase",
                    minutes: vec![28_333_335],
                }],
            }],
            traits: vec![stated("city", "\"Rome\"")],
            moments: vec![about("")],
            consents: vec![stated("marketing", "true")],
            groups: vec![stated("team-1", "true")],
        })),
    };
    assert_eq!(read, session);
}

fn stated(name: &'static str, value: &'static str) -> Trait<'static> {
    Trait {
        name,
        value,
        occurred_at: AT,
        message_id: "m",
        source: "site",
        times: 2,
        first_at: Some(Timestamp(AT.0 - 1)),
        first_message_id: "l",
    }
}

fn moment() -> Moment<'static> {
    about("delivery")
}

fn about(touchpoint: &'static str) -> Moment<'static> {
    Moment {
        occurred_at: AT,
        message_id: "m",
        channel: "store",
        traffic_source: "",
        campaign: "spring",
        store: "s1",
        device_type: "till",
        said: Said::AnswerGiven(AnswerGiven {
            question_id: "q1",
            kind: "touchpoint",
            aspect: "nps",
            scale: "0-10",
            value: Some(amount("9")),
            comment: "quick",
            product: "p1",
            touchpoint,
        }),
    }
}

#[test]
fn atoms_of_every_kind_come_back_as_they_went() {
    let atom = |body| Atom {
        workspace: "default",
        profile_id: PROFILE,
        atom_id: "x",
        revision: 1,
        body: Some(body),
    };
    let identifier = atom(AtomBody::IdentifierAtom(IdentifierAtom {
        r#type: "email",
        value: "ann@example.com",
        person: Some(true),
    }));
    let passive = atom(AtomBody::PassiveAtom(PassiveAtom {
        timeline_type: "email",
        timeline_value: "ann@example.com",
        touchpoints: 2,
        first_seen: AT,
        traits: vec![stated("city", "\"Rome\"")],
        moments: vec![moment()],
        consents: Vec::new(),
        groups: Vec::new(),
    }));
    let part = atom(AtomBody::SessionPartAtom(SessionPartAtom {
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        traffic_source: "search",
        campaign: "spring",
        activity: vec![ChannelActivity {
            channel: "web",
            store: "",
            device_type: "mobile",
            minutes: vec![MinuteRun {
                first: 28_333_334,
                length: 2,
            }],
            goals: Vec::new(),
        }],
        traits: vec![stated("city", "\"Rome\"")],
        moments: vec![moment()],
        consents: vec![stated("marketing", "true")],
        groups: vec![stated("team-1", "true")],
    }));
    let source = atom(AtomBody::SourceAtom(SourceAtom {
        timeline_type: "source",
        timeline_value: "kiosk",
        moments: vec![
            Moment {
                said: Said::LeadMade(LeadMade {
                    qualified: true,
                    stated: false,
                    source: "crm",
                }),
                ..moment()
            },
            Moment {
                said: Said::PointsMoved(PointsMoved {
                    points: amount("-5"),
                }),
                ..moment()
            },
            Moment {
                said: Said::SpendReported(SpendReported {
                    amount: amount("99.5"),
                    currency: "EUR",
                }),
                ..moment()
            },
            Moment {
                said: Said::SocialReported(SocialReported {
                    network: "chirper",
                    influencer: "ann",
                    followers: Some(120),
                    ..SocialReported::default()
                }),
                ..moment()
            },
            Moment {
                said: Said::BrandMentioned(BrandMentioned {
                    network: "chirper",
                    post: "p1",
                    influencer: "",
                    sentiment: "negative",
                }),
                ..moment()
            },
        ],
    }));
    let email = atom(AtomBody::EmailAtom(EmailAtom {
        sent_at: AT,
        campaign: "spring",
        delivered: true,
        opened: true,
        prefetched: false,
        clicked: true,
        unsubscribed: false,
    }));
    let refund = atom(AtomBody::RefundAtom(RefundAtom {
        refunded_at: AT,
        currency: "EUR",
        amount: amount("5.5"),
        channel: "web",
        traffic_source: "search",
        campaign: "spring",
        store: "",
        device_type: "mobile",
        products: vec![ProductAmount {
            product_id: "p1",
            amount: amount("5.5"),
        }],
    }));
    for atom in [identifier, part, passive, source, email, refund] {
        let framed = framing::encode(&atom).expect("an atom");
        let read: Atom<'_> = framing::decode(&framed).expect("an atom");
        assert_eq!(read, atom);
    }
}
