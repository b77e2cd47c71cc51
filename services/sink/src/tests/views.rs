//! Events as known now.

use tributary_contracts::wire::{Activity, OverrideMessage, OverrideRange};
use tributary_core::time::{MINUTE, Timestamp};
use tributary_platform::clickhouse::Client;

use super::engine::{database, text};
use super::events::{START, profile, resolved, session, touchpoint};
use super::stored::{page, put};

/// Ten events a minute apart on `c1`, of which m3 is passive and m4 a bot's; one on another timeline, one of another
/// workspace on a timeline of the same name.
async fn events(client: &Client) {
    let ids: Vec<String> = (0..10).map(|number| format!("m{number}")).collect();
    let mut messages = Vec::new();
    for (number, id) in (0..).zip(&ids) {
        let mut event = touchpoint(id, "c1", START + number * MINUTE);
        event.bot = number == 4;
        event.activity = if number == 3 {
            Activity::Passive
        } else {
            Activity::Active
        };
        messages.push(resolved(event));
    }
    messages.push(resolved(touchpoint("m1", "c2", START + MINUTE)));
    let mut elsewhere = touchpoint("m1", "c1", START + MINUTE);
    elsewhere.workspace = "other";
    messages.push(resolved(elsewhere));
    put(client, "resolved", 0, &messages).await;
}

/// The last digit of session and profile of each event on `c1`.
async fn owners(client: &Client) -> String {
    let select = "SELECT arrayStringConcat(groupArray(concat(message_id, ':', if(session_id IS NULL, '-', right(toString(session_id), 1)), if(profile_id IS NULL, '-', right(toString(profile_id), 1)))), ' ') \
                  FROM (SELECT * FROM {db}.touchpoints_current WHERE workspace = 'default' AND timeline = 'anonymous_id:c1' ORDER BY message_id)";
    text(client, select).await
}

fn range(from: i64, to: i64, number: Option<u128>) -> OverrideRange {
    let (from, to) = (
        Timestamp(START + from * MINUTE),
        Timestamp(START + to * MINUTE),
    );
    OverrideRange {
        from,
        to,
        session_id: number.map(session),
        profile_id: number.map(profile),
    }
}

#[tokio::test]
async fn overrides_hold_at_once_for_ranges_and_for_messages_and_no_row_comes_twice() {
    let client = database().await;
    events(&client).await;
    assert_eq!(
        owners(&client).await,
        "m0:11 m1:11 m2:11 m3:11 m4:11 m5:11 m6:11 m7:11 m8:11 m9:11"
    );

    // Both ends of a range belong to it; what is passive or a bot's does not; a message that is named comes first.
    let messages = vec![
        OverrideMessage {
            message_id: "m3",
            session_id: None,
            profile_id: Some(profile(5)),
        },
        OverrideMessage {
            message_id: "m6",
            session_id: None,
            profile_id: None,
        },
    ];
    put(
        &client,
        "overrides",
        0,
        &[page(
            0,
            1,
            vec![range(1, 2, Some(2)), range(3, 7, Some(3))],
            messages,
        )],
    )
    .await;
    assert_eq!(
        owners(&client).await,
        "m0:11 m1:22 m2:22 m3:-5 m4:11 m5:33 m6:-- m7:33 m8:11 m9:11"
    );

    // Another page adds; a newer revision of a page replaces all of it; an older one that comes late changes nothing.
    put(
        &client,
        "overrides",
        1,
        &[
            page(1, 1, vec![range(9, 9, None)], Vec::new()),
            page(0, 3, vec![range(0, 0, Some(4))], Vec::new()),
            page(0, 2, vec![range(0, 9, Some(6))], Vec::new()),
        ],
    )
    .await;
    assert_eq!(
        owners(&client).await,
        "m0:44 m1:11 m2:11 m3:11 m4:11 m5:11 m6:11 m7:11 m8:11 m9:--"
    );

    let counts = "SELECT count(), uniqExact(workspace, timeline, message_id), countIf(workspace = 'other' AND profile_id = toUUID('00000000-0000-0000-0000-0000f11e0001')) FROM {db}.touchpoints_current";
    assert_eq!(text(&client, counts).await, "12\t12\t1");
    assert_eq!(
        text(
            &client,
            "SELECT channel, count() FROM {db}.touchpoints_current GROUP BY channel"
        )
        .await,
        "web\t12"
    );

    put(
        &client,
        "overrides",
        4,
        &[
            page(0, 4, Vec::new(), Vec::new()),
            page(1, 2, Vec::new(), Vec::new()),
        ],
    )
    .await;
    assert_eq!(
        owners(&client).await,
        "m0:11 m1:11 m2:11 m3:11 m4:11 m5:11 m6:11 m7:11 m8:11 m9:11"
    );
}

#[tokio::test]
async fn as_received_stays_as_received() {
    let client = database().await;
    events(&client).await;
    put(
        &client,
        "overrides",
        0,
        &[page(0, 1, vec![range(0, 9, Some(2))], Vec::new())],
    )
    .await;
    let distinct = "SELECT count(), uniqExact(profile_id) FROM {db}.touchpoints_as_received";
    assert_eq!(text(&client, distinct).await, "12\t1");
    let same = "SELECT groupArray(name) = (SELECT groupArray(name) FROM (SELECT name FROM system.columns WHERE database = '{db}' AND table = 'touchpoints_current' ORDER BY position)) \
                FROM (SELECT name FROM system.columns WHERE database = '{db}' AND table = 'touchpoints_as_received' ORDER BY position)";
    assert_eq!(text(&client, same).await, "1");
}
