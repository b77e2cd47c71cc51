use tributary_platform::config::Config;
use tributary_platform::metrics::Metrics;

use super::*;
use crate::metrics::EventMetrics;
use crate::split::{self, Element};

fn source(channel: &str) -> Source {
    let mut config = Config::default();
    let workspace = &mut config.workspaces[0];
    let badge = workspace.identity.types["email"].clone();
    workspace.identity.types.insert("badge".to_owned(), badge);
    let source = tributary_platform::config::Source {
        channel: channel.to_owned(),
        ..config.source.clone()
    };
    Source::new(&config, &source, &EventMetrics::new(&Metrics::default()))
}

/// Reads one event of that call and hands the result to `look`.
fn with<R>(
    call: Option<Call>,
    body: &str,
    look: impl FnOnce(Result<Message<'_>, Refusal>) -> R,
) -> R {
    let request = split::single(body).unwrap_or_else(|error| panic!("{body}: {error:?}"));
    let Element::Event(event) = &request.elements[0] else {
        panic!("{body} is no object")
    };
    let source = source("");
    look(message(
        event,
        &Given {
            source: &source,
            call,
            sent_at: Ok(None),
            context: None,
            max_event_bytes: 32_768,
        },
    ))
}

fn identifiers_of(call: Call, body: &str) -> Vec<String> {
    with(Some(call), body, |message| {
        let message = message.unwrap_or_else(|refusal| panic!("{body}: {refusal:?}"));
        message
            .identifiers
            .iter()
            .map(|(r#type, value)| format!("{}={value}", r#type.name()))
            .collect()
    })
}

#[test]
fn identifiers_come_from_their_places_and_from_nowhere_else() {
    for (call, body, expected) in [
        (
            Call::Track,
            r#"{"event":"e","userId":7,"anonymousId":"c"}"#,
            &["user_id=7", "anonymous_id=c"][..],
        ),
        (
            Call::Track,
            r#"{"event":"e","properties":{"email":"p@x.org"},"traits":{"email":"t@x.org","phone":"1"},"context":{"traits":{"email":"c@x.org"}}}"#,
            &["email=t@x.org", "phone=1", "email=c@x.org"],
        ),
        (
            Call::Screen,
            r#"{"context":{"device":{"id":"d","advertisingId":"a","token":"p"}}}"#,
            &["device_id=d", "advertising_id=a", "push_token=p"],
        ),
        (
            Call::Identify,
            r#"{"context":{"externalIds":[{"id":"1","type":"crm_id","collection":"users"},{"id":2,"type":"loyalty_card"},{"id":"3","type":"ga_client_id"},{"id":"4","type":"ios.idfa"},5]}}"#,
            &["crm_id=1", "loyalty_card=2", "advertising_id=4"],
        ),
        (
            Call::Identify,
            r#"{"context":{"externalIds":[{"id":"Ann@Gate","type":"badge"},{"id":"2","type":"fax"}]}}"#,
            &["badge=Ann@Gate"],
        ),
        (
            Call::Alias,
            r#"{"userId":"u","previousId":"old"}"#,
            &["user_id=u", "anonymous_id=old"],
        ),
        (
            Call::Track,
            r#"{"event":"e","userId":"u","previousId":"old"}"#,
            &["user_id=u"],
        ),
        (
            Call::Group,
            r#"{"groupId":"g","userId":"u","traits":{"email":"info@x.org"}}"#,
            &["user_id=u"],
        ),
        (
            Call::Identify,
            r#"{"userId":null,"anonymousId":"c","traits":{"email":null,"phone":{}}}"#,
            &["anonymous_id=c", "phone="],
        ),
    ] {
        assert_eq!(identifiers_of(call, body), expected, "{body}");
    }
}

#[test]
fn a_wrong_field_is_named_and_refuses_the_event() {
    let long = format!(r#"{{"messageId":"{}","event":"e"}}"#, "m".repeat(257));
    for (call, body, reason, field) in [
        (None, "{}", Reason::MissingField, "type"),
        (None, r#"{"type":"purchase"}"#, Reason::UnknownType, "type"),
        (None, r#"{"type":7}"#, Reason::UnknownType, "type"),
        (Some(Call::Track), "{}", Reason::MissingField, "event"),
        (
            Some(Call::Track),
            r#"{"event":" "}"#,
            Reason::MissingField,
            "event",
        ),
        (
            Some(Call::Track),
            r#"{"event":{}}"#,
            Reason::InvalidField,
            "event",
        ),
        (
            Some(Call::Track),
            r#"{"event":"e","userId":{"id":1}}"#,
            Reason::InvalidField,
            "userId",
        ),
        (
            Some(Call::Track),
            r#"{"event":"e","anonymousId":true}"#,
            Reason::InvalidField,
            "anonymousId",
        ),
        (
            Some(Call::Track),
            r#"{"event":"e","properties":[]}"#,
            Reason::InvalidField,
            "properties",
        ),
        (
            Some(Call::Track),
            r#"{"event":"e","context":"x"}"#,
            Reason::InvalidField,
            "context",
        ),
        (
            Some(Call::Track),
            r#"{"event":"e","context":{"ip":1,"ip":2}}"#,
            Reason::InvalidField,
            "context",
        ),
        (
            Some(Call::Identify),
            r#"{"traits":1}"#,
            Reason::InvalidField,
            "traits",
        ),
        (
            Some(Call::Track),
            r#"{"event":"e","timestamp":"soon"}"#,
            Reason::InvalidTime,
            "timestamp",
        ),
        (
            Some(Call::Track),
            r#"{"event":"e","originalTimestamp":5}"#,
            Reason::InvalidTime,
            "originalTimestamp",
        ),
        (
            Some(Call::Track),
            r#"{"event":"e","sentAt":"x"}"#,
            Reason::InvalidTime,
            "sentAt",
        ),
        (Some(Call::Track), &long, Reason::InvalidField, "messageId"),
        (
            Some(Call::Track),
            r#"{"event":"e","messageId":"a\u0000"}"#,
            Reason::InvalidField,
            "messageId",
        ),
        (
            Some(Call::Group),
            r#"{"userId":"u"}"#,
            Reason::MissingField,
            "groupId",
        ),
        (
            Some(Call::Alias),
            r#"{"userId":"u"}"#,
            Reason::MissingField,
            "previousId",
        ),
        (
            Some(Call::Track),
            r#"{"event":"Order Completed","properties":{"total":"x"}}"#,
            Reason::InvalidAmount,
            "properties.total",
        ),
        (
            Some(Call::Track),
            r#"{"event":"e","context":{"consent":{"categoryPreferences":{"ads":1}}}}"#,
            Reason::InvalidField,
            "context.consent.categoryPreferences",
        ),
    ] {
        with(call, body, |message| {
            let refusal = message.err().unwrap_or_else(|| panic!("{body} was taken"));
            assert_eq!(
                (refusal.reason, &*refusal.field),
                (reason, field),
                "{body}: {}",
                refusal.message
            );
        });
    }
}

#[test]
fn an_event_above_the_limit_is_refused() {
    let body = format!(
        r#"{{"event":"e","properties":{{"a":"{}"}}}}"#,
        "x".repeat(32_768)
    );
    with(Some(Call::Track), &body, |message| {
        assert_eq!(message.unwrap_err().reason, Reason::TooLarge)
    });
}

#[test]
fn the_original_timestamp_is_the_clients_and_the_batchs_sent_at_is_each_events() {
    let body = r#"{"event":"e","timestamp":"1970-01-01T00:00:09Z","originalTimestamp":"1970-01-01T00:00:01Z"}"#;
    let request = split::single(body).unwrap();
    let Element::Event(event) = &request.elements[0] else {
        panic!("no object")
    };
    let sent_at = RawValue::from_string(r#""1970-01-01T00:00:02Z""#.to_owned()).unwrap();
    let context = RawValue::from_string(r#"{"store":{"id":"s1"}}"#.to_owned()).unwrap();
    let source = source("");
    let given = Given {
        source: &source,
        call: Some(Call::Track),
        sent_at: super::sent_at(Some(&sent_at)),
        context: Some(&context),
        max_event_bytes: 32_768,
    };
    let message = message(event, &given).unwrap();
    assert_eq!(
        (message.client_time, message.sent_at),
        (Some(Timestamp(1000)), Some(Timestamp(2000)))
    );
    assert_eq!(
        (&*message.store, message.context_json),
        ("s1", context.get())
    );
}

#[test]
fn a_message_without_id_gets_one_of_its_own() {
    let id = || {
        with(Some(Call::Page), "{}", |message| {
            message.unwrap().message_id.into_owned()
        })
    };
    let (first, second) = (id(), id());
    assert_ne!(first, second);
    assert_eq!(Uuid::parse_str(&first).unwrap().get_version_num(), 4);
}

#[test]
fn pages_are_named_and_placed_by_context_or_properties() {
    for (body, expected) in [
        (
            r#"{"name":"Home","properties":{"name":"no","url":"https://no/"},"context":{"page":{"url":"https://x/","referrer":"https://r/"}}}"#,
            ["Home", "https://x/", "https://r/"],
        ),
        (
            r#"{"properties":{"name":"Home","url":"https://x/","referrer":"https://r/"}}"#,
            ["Home", "https://x/", "https://r/"],
        ),
        ("{}", ["", "", ""]),
    ] {
        with(Some(Call::Page), body, |message| {
            let message = message.unwrap();
            assert_eq!(
                [&*message.event, &*message.url, &*message.referrer],
                expected,
                "{body}"
            );
        });
    }
}

#[test]
fn a_store_is_named_by_the_context_or_in_stores_by_the_properties() {
    for (channel, body, store) in [
        ("", r#"{"event":"e","context":{"store":"s1"}}"#, "s1"),
        ("store", r#"{"event":"e","properties":{"store_id":7}}"#, "7"),
        ("", r#"{"event":"e","properties":{"store_id":7}}"#, ""),
        (
            "store",
            r#"{"event":"e","context":{"store":{"id":"s1"}},"properties":{"store_id":7}}"#,
            "s1",
        ),
    ] {
        let request = split::single(body).unwrap();
        let Element::Event(event) = &request.elements[0] else {
            panic!("no object")
        };
        let source = source(channel);
        let given = Given {
            source: &source,
            call: Some(Call::Track),
            sent_at: Ok(None),
            context: None,
            max_event_bytes: 32_768,
        };
        assert_eq!(
            message(event, &given).unwrap().store,
            store,
            "{channel} {body}"
        );
    }
}
