//! What is encoded is what the engine reads, and what is stored is stored once.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tributary_contracts::framing;
use tributary_contracts::wire::{
    Alert, Campaign, Consent, DeadLetter, Emails, IdentifierTypeRule, Identity, KpiBlock,
    LastAnswer, Link, Operation, OperationKind, OrderState, Override, OverrideMessage,
    OverrideRange, Profile, ProfileConsent, ProfileIdentifier, Provenance, Refusal, Rules, Session,
    SharedDevices, Since, Span, Spending, Strangers,
};
use tributary_core::identifier::Kind;
use tributary_core::identity::Normalisation;
use tributary_core::money::Amount;
use tributary_core::time::{DAY, Timestamp};
use tributary_platform::admin_http::Readiness;
use tributary_platform::clickhouse::Client;
use tributary_platform::lifecycle::shutdown;
use tributary_platform::metrics::Metrics as Registry;
use tributary_platform::migrate;

use super::engine::{database, text};
use super::events::{START, answer, order, profile, resolved, session, touchpoint};
use crate::encode::{Position, Topic};
use crate::mark::{Mark, Range};
use crate::metrics::Metrics;
use crate::store::{Intended, store};
use crate::turns::Turns;
use crate::warehouse::ClickHouse;

/// Stores records of a topic as one range that begins at offset `first`; returns the offsets that could not be.
pub(super) async fn put(
    client: &Client,
    topic: &str,
    first: i64,
    messages: &[Vec<u8>],
) -> HashSet<i64> {
    put_as(client, topic, first, messages, &Mark::new(), false).await
}

async fn put_as(
    client: &Client,
    topic: &str,
    first: i64,
    messages: &[Vec<u8>],
    mark: &Mark,
    again: bool,
) -> HashSet<i64> {
    let topic = Topic::named(topic).expect("a topic of the sink");
    let mut rows = topic.no_rows();
    for (offset, message) in (first..).zip(messages) {
        let position = Position {
            partition: 3,
            offset,
            epoch: &mark.epoch,
        };
        (topic.encode)(message, position, &mut rows)
            .unwrap_or_else(|error| panic!("{}: {error}", topic.name));
    }
    let metrics = Metrics::new(
        &Registry::default(),
        Readiness::default().check("clickhouse"),
    );
    let (_trigger, shutdown) = shutdown();
    let range = Range {
        first,
        last: first + messages.len() as i64 - 1,
    };
    let warehouse = ClickHouse::new(client.clone());
    let turns = Turns::new(1, Duration::ZERO);
    let mut unreadable = HashSet::new();
    for rows in rows.into_iter().filter(|rows| !rows.is_empty()) {
        let intended = Intended {
            topic: topic.name,
            partition: 3,
            mark,
            range,
            again,
        };
        unreadable.extend(
            store(
                &warehouse,
                intended,
                rows,
                &mut turns.take().await,
                &metrics,
                &shutdown,
            )
            .await
            .expect("nobody stops it"),
        );
    }
    unreadable
}

fn message<T: framing::Message + serde::Serialize>(value: &T) -> Vec<u8> {
    framing::encode(value).expect("it fits its schema")
}

#[tokio::test]
async fn a_touchpoint_with_everything_reads_back_as_it_was_sent() {
    let client = database().await;
    let mut event = touchpoint("m'1\n", "c\\1", START);
    event.consents = vec![
        Consent {
            purpose: "marketing",
            granted: true,
        },
        Consent {
            purpose: "analytics",
            granted: false,
        },
    ];
    event.campaign = Campaign {
        name: "spring",
        source: "mail",
        medium: "email",
        term: "t",
        content: "c",
    };
    event.order = Some(order("o1", &["p1", "p2"]));
    event.answers = vec![answer("très bien")];
    event.traits = r#"{"name":"Ann","since":"2020-01-01","plan":null}"#;
    event.bot = true;
    event.clock_correction_ms = -7;
    put(&client, "resolved", 40, &[resolved(event)]).await;
    for (select, expected) in [
        (
            "workspace, message_id, event, channel, source, subject, activity, bot, historic",
            "default\tm\\'1\\n\tProduct Viewed\tweb\tshop\tcustomer\tactive\ttrue\tfalse",
        ),
        (
            "occurred_at, received_at, sent_at, original_timestamp, clock_correction_ms",
            "2026-01-01 00:00:00.000\t2026-01-01 00:00:01.500\t2026-01-01 00:00:01.000\t\\N\t-7",
        ),
        (
            "timeline, identifiers, identifier_problems, user_id, anonymous_id, email",
            "anonymous_id:c\\\\1\t[('user_id','u1'),('anonymous_id','c\\\\1')]\t[('email','null','placeholder')]\tu1\tc\\\\1",
        ),
        (
            "session_id, profile_id, links_offset",
            "00000000-0000-0000-0000-00005e550001\t00000000-0000-0000-0000-0000f11e0001\t7",
        ),
        (
            "order_kind, order_namespace, order_id, revenue, margin, currency",
            "placed\tonline\to1\t99.999999\t\\N\tEUR",
        ),
        (
            "campaign, campaign_source, campaign_medium, campaign_term, campaign_content",
            "spring\tmail\temail\tt\tc",
        ),
        (
            "consents, traits.name, traits.since::String, null_traits, properties.price, context.library.name",
            "{'marketing':true,'analytics':false}\tAnn\t2020-01-01\t['plan']\t9.5\ttest",
        ),
        (
            "kafka_partition, kafka_offset, length(kafka_epoch)",
            "3\t40\t16",
        ),
    ] {
        assert_eq!(
            text(&client, &format!("SELECT {select} FROM {{db}}.touchpoints")).await,
            expected,
            "{select}"
        );
    }
    let lines = text(&client, "SELECT line, product_id, name, quantity, price, currency, timeline FROM {db}.order_lines ORDER BY line").await;
    assert_eq!(
        lines,
        "1\tp1\tBall\t2\t12.5\tEUR\tanonymous_id:c\\\\1\n2\tp2\tBall\t2\t12.5\tEUR\tanonymous_id:c\\\\1"
    );
    let answers = text(&client, "SELECT answer, question_id, aspect, scale, value, comment, profile_id IS NULL, bot FROM {db}.answers").await;
    assert_eq!(answers, "1\tq1\tnps\t0-10\t9\ttrès bien\t0\ttrue");
}

#[tokio::test]
async fn json_that_the_engine_would_refuse_is_stored_all_the_same() {
    let client = database().await;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(2_000), "]".repeat(2_000));
    let texts = [
        r#"{"a":123456789012345678901234567890}"#,
        r#"{"a":1e400,"b":-1e-400}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":1,"a":2,"b":{"c":1},"b.c":3}"#,
        r#"{"":{"":1},"a b":"2020-01-01 00:00:00","\u0000":null}"#,
        r#"{"a":[{"b":[1,"x",{"c":null}]},2.5,true]}"#,
        deep.as_str(),
        "",
    ];
    let ids: Vec<String> = (0..texts.len())
        .map(|number| format!("m{number}"))
        .collect();
    let messages: Vec<Vec<u8>> = ids
        .iter()
        .zip(texts)
        .map(|(id, properties)| {
            let mut event = touchpoint(id, "c1", START);
            event.properties = properties;
            resolved(event)
        })
        .collect();
    assert!(put(&client, "resolved", 0, &messages).await.is_empty());
    assert_eq!(
        text(&client, "SELECT count() FROM {db}.touchpoints").await,
        texts.len().to_string()
    );
    assert_eq!(
        text(
            &client,
            "SELECT properties.a::String FROM {db}.touchpoints WHERE message_id = 'm0'"
        )
        .await,
        "123456789012345678901234567890"
    );
    assert_eq!(
        text(
            &client,
            "SELECT properties.`a b`::String FROM {db}.touchpoints WHERE message_id = 'm4'"
        )
        .await,
        "2020-01-01 00:00:00"
    );
    assert_eq!(
        text(
            &client,
            "SELECT length(properties._text::String) FROM {db}.touchpoints WHERE message_id = 'm6'"
        )
        .await,
        deep.len().to_string()
    );
}

#[tokio::test]
async fn rows_that_the_engine_cannot_read_are_found_and_the_others_stored() {
    let client = database().await;
    let ids: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
    let messages: Vec<Vec<u8>> = (0..)
        .zip(&ids)
        .map(|(number, id)| {
            let mut event = touchpoint(id, "c1", START + number * 10 * DAY);
            // No JSON at all: what only another producer than ingest could send.
            event.properties = if [3, 4, 39].contains(&number) {
                "{\"a\":tru}"
            } else {
                "{\"a\":1}"
            };
            resolved(event)
        })
        .collect();
    assert_eq!(
        put(&client, "resolved", 100, &messages).await,
        HashSet::from([103, 104, 139])
    );
    assert_eq!(
        text(
            &client,
            "SELECT count(), sum(properties.a::Int64) FROM {db}.touchpoints"
        )
        .await,
        "37\t37"
    );
}

#[tokio::test]
async fn a_range_that_is_sent_again_adds_only_what_is_missing() {
    let client = database().await;
    let ids: Vec<String> = (0..30).map(|number| format!("m{number}")).collect();
    let messages: Vec<Vec<u8>> = (0..)
        .zip(&ids)
        .map(|(number, id)| resolved(touchpoint(id, "c1", START + number * 10 * DAY)))
        .collect();
    let mark = Mark::new();
    let count = "SELECT count(), uniqExact(message_id) FROM {db}.touchpoints";
    put_as(&client, "resolved", 0, &messages, &mark, false).await;
    // The token alone drops it.
    put_as(&client, "resolved", 0, &messages, &mark, false).await;
    put_as(&client, "resolved", 0, &messages, &mark, true).await;
    assert_eq!(text(&client, count).await, "30\t30");
    // A token that the engine knows without having the rows: as after a crash between the two.
    let lose = format!(
        "ALTER TABLE {}.touchpoints DELETE WHERE kafka_offset BETWEEN 5 AND 20 SETTINGS mutations_sync = 2",
        client.database()
    );
    client
        .execute(&lose)
        .await
        .unwrap_or_else(|error| panic!("{}", error.detail()));
    assert_eq!(text(&client, count).await, "14\t14");
    put_as(&client, "resolved", 0, &messages, &mark, true).await;
    assert_eq!(text(&client, count).await, "30\t30");
    // Another life of the topic: the same offsets are other events.
    put(&client, "resolved", 0, &messages).await;
    assert_eq!(text(&client, count).await, "60\t30");
}

#[tokio::test]
async fn state_of_every_topic_reads_back_newest_first_and_gone_is_gone() {
    let client = database().await;
    let person = |revision, gone| {
        message(&Profile {
            workspace: "default",
            profile_id: profile(1),
            identifiers: vec![ProfileIdentifier {
                r#type: "user_id",
                value: "u1",
            }],
            traits: r#"{"plan":"gold"}"#,
            first_seen: Some(Timestamp(START)),
            last_seen: None,
            sessions: 2,
            touchpoints: 9,
            orders: revision,
            revenue: BTreeMap::from([
                ("EUR", "12.34".parse().expect("an amount")),
                ("USD", Amount::from_units(-3)),
            ]),
            channels: vec!["web", "store"],
            revision,
            gone,
            spending: vec![Spending {
                currency: "EUR",
                orders: 2,
                total: "25".parse().expect("an amount"),
                margin: "6.5".parse().expect("an amount"),
            }],
            first_order: Some(Timestamp(START)),
            last_order: Some(Timestamp(START + 36 * 3_600_000)),
            loyalty_points: "60.5".parse().expect("an amount"),
            last_answers: vec![LastAnswer {
                aspect: "nps",
                scale: "0-10",
                value: 9,
                occurred_at: Timestamp(START),
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
                name: "plan",
                rule: "latest",
                source: "crm",
                occurred_at: Timestamp(START),
                message_id: "m1",
            }],
            consents: vec![ProfileConsent {
                purpose: "marketing",
                granted: false,
                occurred_at: Timestamp(START),
                source: "web",
            }],
            groups: vec!["team-1"],
            statuses: vec![
                Since {
                    what: "customer",
                    since: Timestamp(START),
                },
                Since {
                    what: "lapsed",
                    since: Timestamp(START + 365 * 86_400_000 * 99),
                },
            ],
            quadrants: Vec::new(),
        })
    };
    put(
        &client,
        "profiles",
        0,
        &[person(2, false), person(1, false)],
    )
    .await;
    let shown = text(&client, "SELECT profile_id, identifiers, traits.plan, first_seen, last_seen, orders, revenue, channels FROM {db}.profiles_current").await;
    assert_eq!(
        shown,
        "00000000-0000-0000-0000-0000f11e0001\t[('user_id','u1')]\tgold\t2026-01-01 00:00:00.000\t\\N\t2\t{'EUR':12.34,'USD':-3}\t['web','store']"
    );
    let computed = text(&client, "SELECT margin, average_basket, first_order, days_between_orders, loyalty_points, last_nps, last_csat, last_answers[1].5, emails_sent, emails_delivered, emails_opened, emails_clicked, emails_unsubscribed, mentions, trait_provenance, consents, groups, lifecycle, loyalty_quadrant FROM {db}.profiles_current").await;
    assert_eq!(
        computed,
        "{'EUR':6.5}\t{'EUR':12.5}\t2026-01-01 00:00:00.000\t1.5\t60.5\t9\t\\N\tquick\t5\t4\t3\t2\t1\t6\t[('plan','latest','crm','2026-01-01 00:00:00.000','m1')]\t[('marketing',false,'2026-01-01 00:00:00.000','web')]\t['team-1']\tcustomer"
    );
    put(&client, "profiles", 2, &[person(3, true)]).await;
    assert_eq!(
        text(&client, "SELECT count() FROM {db}.profiles_current").await,
        "0"
    );

    let visit = Session {
        workspace: "default",
        session_id: session(1),
        profile_id: None,
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        started_at: Timestamp(START),
        ended_at: Timestamp(START + 60_000),
        touchpoints: 3,
        views: 2,
        channel: "web",
        traffic_source: "google / cpc",
        campaign: "",
        store: "",
        device_type: "mobile",
        source: "shop",
        goals: BTreeMap::from([("purchase", 1)]),
        revision: 1,
        gone: false,
    };
    put(&client, "sessions", 0, &[message(&visit)]).await;
    let shown = text(&client, "SELECT profile_id, timeline, ended_at, touchpoints, goals, device_type FROM {db}.sessions_current").await;
    assert_eq!(
        shown,
        "\\N\tanonymous_id:c1\t2026-01-01 00:01:00.000\t3\t{'purchase':1}\tmobile"
    );

    let bought = OrderState {
        workspace: "default",
        order_namespace: "online",
        order_id: "o1",
        currency: "EUR",
        total: Amount::from_units(100),
        refunded: "0.5".parse().expect("an amount"),
        margin: None,
        ordered_at: Timestamp(START),
        message_id: "m1",
        timeline_type: "user_id",
        timeline_value: "u1",
        channel: "web",
        source: "shop",
        traffic_source: "direct",
        campaign: "",
        store: "",
        device_type: "",
        session_id: Some(session(1)),
        profile_id: Some(profile(1)),
        cancelled: false,
        claims: 2,
        revision: 1,
        gone: false,
    };
    put(&client, "orders", 0, &[message(&bought)]).await;
    assert_eq!(
        text(
            &client,
            "SELECT total, refunded, revenue, margin, claims, cancelled FROM {db}.orders_current"
        )
        .await,
        "100\t0.5\t99.5\t\\N\t2\tfalse"
    );

    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock that is past 1970");
    let lately = OrderState {
        workspace: "other",
        ordered_at: Timestamp(now.as_millis() as i64 - 40 * DAY),
        ..bought
    };
    put(&client, "orders", 1, &[message(&lately)]).await;
    for (days, customers) in [
        (None, "1"),
        (Some(30), "0"),
        (Some(30), "0"),
        (Some(60), "1"),
    ] {
        if let Some(days) = days {
            migrate::tell_customer_days(&client, days)
                .await
                .expect("a setting");
        }
        let select = "SELECT count() FROM {db}.rfm_current WHERE workspace = 'other'";
        assert_eq!(text(&client, select).await, customers, "{days:?}");
    }
}

#[tokio::test]
async fn identities_links_and_refusals_read_back_as_spans_and_minima() {
    let client = database().await;
    let spans = vec![
        Span {
            profile_id: profile(1),
            valid_from: Timestamp::MIN,
            valid_to: Timestamp(START),
        },
        Span {
            profile_id: profile(2),
            valid_from: Timestamp(START),
            valid_to: Timestamp::MAX,
        },
    ];
    let known = Identity {
        workspace: "default",
        identifier_type: "anonymous_id",
        identifier_value: "c1",
        own_profile_id: profile(9),
        profile_id: profile(2),
        hub: false,
        spans,
        revision: 1,
        gone: false,
        part: 0,
    };
    put(&client, "identities", 0, &[message(&known)]).await;
    let shown = text(&client, "SELECT profile_id = toUUID('00000000-0000-0000-0000-0000f11e0001'), valid_from, valid_to FROM {db}.identities ORDER BY valid_from").await;
    assert_eq!(
        shown,
        "1\t1970-01-01 00:00:00.000\t2026-01-01 00:00:00.000\n0\t2026-01-01 00:00:00.000\t2299-12-31 00:00:00.000"
    );
    assert_eq!(
        text(
            &client,
            "SELECT own_profile_id, profile_id FROM {db}.profile_aliases"
        )
        .await,
        "00000000-0000-0000-0000-0000f11e0009\t00000000-0000-0000-0000-0000f11e0002"
    );

    let seen = |partition, source, may_link, first: i64, id, last_day| {
        message(&Link {
            workspace: "default",
            higher_type: "user_id",
            higher_value: "u1",
            lower_type: "anonymous_id",
            lower_value: "c1",
            source,
            may_link,
            partition,
            first_seen: Timestamp(first),
            first_message_id: id,
            last_day,
        })
    };
    let rules = |version, sources: &[&'static str]| {
        message(&Rules {
            workspace: "default",
            version,
            published_at: Timestamp(START),
            device_bridges: true,
            shared_devices: SharedDevices::Certain,
            consent_required: false,
            hub: 10,
            limits: BTreeMap::from([("email", 5), ("user_id", 1)]),
            blocked_values: vec!["guest", "test"],
            blocked_patterns: vec!["email:*@test.*"],
            sources_without_links: sources.to_vec(),
            types: vec![IdentifierTypeRule {
                name: "fax",
                kind: Kind::Person,
                normalisation: Normalisation::Phone,
                limit: 3,
                can_be_hub: true,
            }],
            strangers: Strangers::Session,
        })
    };
    let observations = [
        seen(0, "shop", true, START + 5, "late", 20_500),
        seen(1, "shop", true, START, "m2", 20_400),
        seen(1, "app", true, START, "m1", 20_454),
        seen(1, "till", true, 0, "never", 30_000),
        // Two of one person type are no link.
        message(&Link {
            workspace: "default",
            higher_type: "fax",
            higher_value: "1",
            lower_type: "fax",
            lower_value: "2",
            source: "shop",
            may_link: true,
            partition: 0,
            first_seen: Timestamp(START),
            first_message_id: "m0",
            last_day: 20_454,
        }),
        rules(1, &[]),
        rules(2, &["till"]),
        // Another processor was first.
        rules(2, &["app"]),
        // The partition knows more by now.
        seen(0, "shop", true, START + 3, "earlier", 20_454),
    ];
    put(&client, "links", 0, &observations).await;
    let shown = text(
        &client,
        "SELECT first_seen, first_message_id, last_day, sources FROM {db}.links",
    )
    .await;
    assert_eq!(
        shown,
        "2026-01-01 00:00:00.000\tm1\t2026-01-01\t['app','shop']"
    );

    assert_eq!(
        text(
            &client,
            "SELECT * EXCEPT (workspace, published_at) FROM {db}.identity_rules ORDER BY version",
        )
        .await,
        [
            "1\tfalse\ttrue\tcertain\tsession\tfalse\t10\t{'email':5,'user_id':1}\t['guest','test']\t['email:*@test.*']\t[]\t[('fax','person','phone',3,true)]",
            "2\ttrue\ttrue\tcertain\tsession\tfalse\t10\t{'email':5,'user_id':1}\t['guest','test']\t['email:*@test.*']\t['till']\t[('fax','person','phone',3,true)]",
        ]
        .join("\n")
    );

    let refused = |revision, gone| {
        let (workspace, higher_type, higher_value, lower_type, lower_value) =
            ("default", "user_id", "u1", "email", "a@b.c");
        message(&Refusal {
            workspace,
            higher_type,
            higher_value,
            lower_type,
            lower_value,
            reason: "limit email",
            revision,
            gone,
        })
    };
    put(&client, "refusals", 0, &[refused(1, false)]).await;
    assert_eq!(
        text(
            &client,
            "SELECT higher_value, lower_value, reason FROM {db}.identity_refusals"
        )
        .await,
        "u1\ta@b.c\tlimit email"
    );
    put(&client, "refusals", 1, &[refused(2, true)]).await;
    assert_eq!(
        text(&client, "SELECT count() FROM {db}.identity_refusals").await,
        "0"
    );
}

#[tokio::test]
async fn entries_of_operators_stand_beside_links_and_know_who_undid_them() {
    let client = database().await;
    let id = |number| uuid::Uuid::from_u128(number);
    let entry = |number, kind, undoes: Option<u128>| {
        message(&Operation {
            workspace: "default",
            operation_id: id(number),
            kind,
            first_type: "user_id",
            first_value: "ann",
            second_type: "",
            second_value: "",
            undoes: undoes.map(id),
            entered_at: Timestamp(START),
            entered_by: "ops",
            reason: "a till's default card",
        })
    };
    let link = message(&Link {
        workspace: "default",
        higher_type: "user_id",
        higher_value: "ann",
        lower_type: "anonymous_id",
        lower_value: "c1",
        source: "shop",
        may_link: true,
        partition: 0,
        first_seen: Timestamp(START),
        first_message_id: "m1",
        last_day: 20_454,
    });
    let log = [
        entry(1, OperationKind::Block, None),
        link,
        entry(2, OperationKind::Undo, Some(1)),
        entry(3, OperationKind::Undo, Some(2)),
        entry(4, OperationKind::Undo, Some(1)),
    ];
    put(&client, "links", 0, &log).await;
    assert_eq!(text(&client, "SELECT count() FROM {db}.links").await, "1");
    let shown = text(
        &client,
        "SELECT number, kind, first_value, undoes, undone_by, entered_at, entered_by, reason FROM {db}.identity_operations ORDER BY number",
    )
    .await;
    let rest = "2026-01-01 00:00:00.000\tops\ta till\\'s default card";
    assert_eq!(
        shown,
        [
            format!("0\tblock\tann\t\\N\t[2,4]\t{rest}"),
            format!("2\tundo\tann\t0\t[3]\t{rest}"),
            format!("3\tundo\tann\t2\t[]\t{rest}"),
            format!("4\tundo\tann\t0\t[]\t{rest}"),
        ]
        .join("\n")
    );
}

#[tokio::test]
async fn kpi_blocks_are_replaced_whole_and_dead_letters_sent_twice_are_one() {
    let client = database().await;
    let block = |revision, marks: Vec<i32>| {
        message(&KpiBlock {
            workspace: "default",
            kpi: "revenue",
            window: "24h",
            currency: "EUR",
            dimension: "",
            dimension_value: "",
            block_start: Timestamp(START),
            step_ms: 900_000,
            numerators: marks
                .iter()
                .map(|mark| Amount::from_units(i64::from(*mark) + 1))
                .collect(),
            denominators: marks.iter().map(|_| 2).collect(),
            marks,
            revision,
        })
    };
    let alert = |cleared_at| {
        message(&Alert {
            workspace: "default",
            alert: "bad_buzz",
            raised_at: Timestamp(START),
            cleared_at,
            value: Amount::from_units(7),
            usual: "0.25".parse().expect("an amount"),
            most: Amount::from_units(6),
            revision: i64::from(cleared_at.is_some()),
        })
    };
    let cleared = alert(Some(Timestamp(START + 60_000)));
    put(&client, "alerts", 0, &[cleared, alert(None)]).await;
    let shown = text(&client, "SELECT * FROM {db}.alerts").await;
    assert_eq!(
        shown,
        "default\tbad_buzz\t2026-01-01 00:00:00.000\t2026-01-01 00:01:00.000\t7\t0.25\t6"
    );
    // A revision is the time at which it was published.
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let now = i64::try_from(now.as_millis()).expect("small");
    put(&client, "kpis", 0, &[block(now, vec![0, 1, 2])]).await;
    put(&client, "kpis", 1, &[block(now + 1_500, vec![0, 95])]).await;
    let shown = text(&client, "SELECT kpi, window, window_end, value, numerator, denominator FROM {db}.kpis_current ORDER BY window_end").await;
    assert_eq!(
        shown,
        "revenue\t24h\t2026-01-01 00:00:00.000\t0.5\t1\t2\nrevenue\t24h\t2026-01-01 23:45:00.000\t48\t96\t2"
    );
    put(&client, "kpis", 2, &[block(now + 9_000, Vec::new())]).await;
    let believed = format!(
        "SELECT toUnixTimestamp64Milli(believed_from) - {now}, toUnixTimestamp64Milli(believed_until) - {now}, numerator FROM {{db}}.kpi_history \
         WHERE window_end = toDateTime64('2026-01-01 00:15:00', 3, 'UTC') OR window_end = toDateTime64('2026-01-01 23:45:00', 3, 'UTC') ORDER BY window_end"
    );
    assert_eq!(
        text(&client, &believed).await,
        "0\t1500\t2\n1500\t9000\t96",
        "what was once believed, and no longer is"
    );
    assert_eq!(
        text(&client, "SELECT count() FROM {db}.kpis_current").await,
        "0"
    );

    let letter = |stage, topic, offset| {
        message(&DeadLetter {
            workspace: "",
            source: "",
            stage,
            reason: "malformed",
            detail: "",
            message_id: "",
            received_at: Timestamp(START),
            payload: b"\x00\xff'",
            topic,
            partition: if topic.is_empty() { -1 } else { 2 },
            offset,
        })
    };
    let letters = [
        letter("sink", "t", 5),
        letter("sink", "t", 5),
        letter("sink", "t", 6),
        letter("observe", "t", 6),
        letter("ingest", "", -1),
        letter("ingest", "", -1),
    ];
    put(&client, "dead_letters", 0, &letters).await;
    let shown = text(&client, "SELECT stage, count(), any(hex(payload)) FROM {db}.dead_letters GROUP BY stage ORDER BY stage").await;
    assert_eq!(
        shown,
        "ingest\t2\t00FF27\nobserve\t1\t00FF27\nsink\t2\t00FF27"
    );
}

/// An override of a page of the timeline `c1`.
pub(super) fn page(
    number: i64,
    revision: i64,
    ranges: Vec<OverrideRange>,
    messages: Vec<OverrideMessage<'_>>,
) -> Vec<u8> {
    message(&Override {
        workspace: "default",
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        page: number,
        revision,
        ranges,
        messages,
    })
}
