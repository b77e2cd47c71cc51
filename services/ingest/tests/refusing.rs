//! What is refused: events alone, requests as a whole, and what the answer says.

mod world;

use std::io::Write as _;

use tributary_contracts::framing;
use tributary_contracts::wire::{DeadLetter, Touchpoint};
use world::{KEY, World, basic, payload};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn a_single_event_too_is_told_what_became_of_it() {
    let world = World::start(|_| ());
    let event = r#"{"messageId":"good","userId":"u"}"#;
    let json = world.post("/v1/page?verbose=1", event).json();
    assert_eq!(json["events"][0]["message_id"].as_str(), Some("good"));
    assert_eq!(json["events"][0]["status"].as_str(), Some("accepted"));
    assert_eq!(json["accepted"].as_u64(), Some(1));
    let refused = world.post("/v1/page?verbose=1", r#"{"userId":"null"}"#);
    assert_eq!(refused.status, 400, "{refused:?}");
}

#[test]
fn a_bad_event_is_refused_alone_and_goes_whole_to_the_dead_letters() {
    let world = World::start(|_| ());
    let bad = r#"{"type":"track","messageId":"bad","event":"Order Completed","userId":"u","properties":{"total":"much"}}"#;
    let body = format!(
        r#"{{"batch":[{{"type":"page","messageId":"good","userId":"u"}},{bad},5,{{"type":"page","messageId":"nobody","userId":"null"}}]}}"#
    );
    let answer = world.post("/v1/batch?verbose=1", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!(
        (
            json["success"].as_bool(),
            json["accepted"].as_u64(),
            json["refused"].as_u64()
        ),
        (Some(true), Some(1), Some(3))
    );
    for (index, id, status, reason, field) in [
        (0, "good", "accepted", None, None),
        (
            1,
            "bad",
            "refused",
            Some("invalid_amount"),
            Some("properties.total"),
        ),
        (2, "", "refused", Some("not_an_object"), None),
        (
            3,
            "nobody",
            "refused",
            Some("no_identifier"),
            Some("userId"),
        ),
    ] {
        let event = &json["events"][index];
        assert_eq!(event["index"].as_u64(), Some(index as u64));
        let found = (
            event["message_id"].as_str(),
            event["status"].as_str(),
            event["reason"].as_str(),
            event["field"].as_str(),
        );
        assert_eq!(found, (Some(id), Some(status), reason, field), "{event}");
        assert_eq!(event["message"].is_string(), status == "refused", "{event}");
    }

    let records = world.records("tributary.dead_letters", 3);
    let letters: Vec<DeadLetter<'_>> = records
        .iter()
        .map(|record| framing::decode(payload(record)).unwrap())
        .collect();
    assert_eq!(letters[0].payload, bad.as_bytes());
    assert_eq!(
        (letters[0].reason, letters[0].message_id, letters[0].stage),
        ("invalid_amount", "bad", "ingest")
    );
    assert_eq!(
        (letters[0].workspace, letters[0].source, letters[0].offset),
        ("default", "site", -1)
    );
    assert!(
        letters[0].detail.starts_with("properties.total: ") && !letters[0].detail.contains("much")
    );
    assert_eq!(
        (letters[1].payload, letters[2].reason),
        (&b"5"[..], "no_identifier")
    );
    assert_eq!(world.records("tributary.touchpoints", 1).len(), 1);
    assert_eq!(
        (
            world.events("accepted"),
            world.events("refused"),
            world.events("failed")
        ),
        (1, 3, 0)
    );

    let quiet = world.post("/v1/batch", &body).json();
    assert!(
        quiet.get("events").is_none() && quiet["refused"] == 3,
        "{quiet}"
    );
}

#[test]
fn a_bad_single_event_gets_400_with_its_field_and_is_kept_too() {
    let world = World::start(|_| ());
    let body = format!(r#"{{"writeKey":"{KEY}","event":"e","anonymousId":"undefined"}}"#);
    let answer = world.request("POST", "/v1/track", &[], body.as_bytes());
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.error(),
        ("no_identifier".to_owned(), "userId".to_owned())
    );
    let records = world.records("tributary.dead_letters", 1);
    let letter: DeadLetter<'_> = framing::decode(payload(&records[0])).unwrap();
    assert_eq!(letter.payload, body.as_bytes());
}

#[test]
fn an_event_too_large_is_refused_and_kept_alone_and_in_a_batch() {
    let world = World::start(|_| ());
    let large = format!(
        r#"{{"type":"page","userId":"u","properties":{{"a":"{}"}}}}"#,
        "x".repeat(33_000)
    );
    let answer = world.post(
        "/v1/batch?verbose=1",
        &format!(r#"{{"batch":[{large},{{"type":"page","userId":"u"}}]}}"#),
    );
    let json = answer.json();
    assert_eq!(
        (answer.status, json["events"][0]["reason"].as_str()),
        (200, Some("too_large")),
        "{json}"
    );
    assert_eq!(json["events"][1]["status"].as_str(), Some("accepted"));
    let alone = world.post("/v1/page", &large);
    assert_eq!(
        (alone.status, alone.error().0.as_str()),
        (413, "too_large"),
        "{alone:?}"
    );
    let records = world.records("tributary.dead_letters", 2);
    for record in &records {
        let letter: DeadLetter<'_> = framing::decode(payload(record)).unwrap();
        assert_eq!(
            (letter.reason, letter.payload),
            ("too_large", large.as_bytes())
        );
    }
}

#[test]
fn a_request_that_is_wrong_as_a_whole_is_told_what_and_where() {
    let world = World::start(|_| ());
    let key = basic(KEY);
    let event = r#"{"event":"e","userId":"u"}"#;
    let many = format!(r#"{{"batch":[{}0]}}"#, "0,".repeat(2_500));
    let large_event = format!(
        r#"{{"event":"e","userId":"u","properties":{{"a":"{}"}}}}"#,
        "x".repeat(512_000)
    );
    let large_batch = format!(r#"{{"batch":[],"a":"{}"}}"#, "x".repeat(512_000));
    let bomb = gzip(&vec![b' '; 50_000_000]);
    let huge = vec![b' '; 6_000_000];
    let check = |method: &str,
                 path: &str,
                 headers: &[(&str, &str)],
                 body: &[u8],
                 status: u16,
                 code: &str,
                 field: &str| {
        let answer = world.request(method, path, headers, body);
        let case = format!(
            "{method} {path} {headers:?} {}",
            String::from_utf8_lossy(&body[..body.len().min(80)])
        );
        assert_eq!(answer.status, status, "{case}: {answer:?}");
        assert_eq!(
            answer.error(),
            (code.to_owned(), field.to_owned()),
            "{case}"
        );
    };
    let auth = ("Authorization", &*key);
    let gzipped = ("Content-Encoding", "gzip");
    check(
        "POST",
        "/v1/track",
        &[auth],
        b"{\"event\":",
        400,
        "malformed_json",
        "body",
    );
    check(
        "POST",
        "/v1/track",
        &[auth],
        b"",
        400,
        "malformed_json",
        "body",
    );
    check(
        "POST",
        "/v1/track",
        &[auth],
        b"[]",
        400,
        "not_an_object",
        "body",
    );
    check(
        "POST",
        "/v1/track",
        &[auth],
        b"{\"event\":\"\xff\"}",
        400,
        "not_utf8",
        "body",
    );
    check(
        "POST",
        "/v1/batch",
        &[auth],
        b"{}",
        400,
        "no_batch",
        "batch",
    );
    check(
        "POST",
        "/v1/batch",
        &[auth, gzipped],
        b"{\"batch\":[]}",
        400,
        "damaged_gzip",
        "body",
    );
    check(
        "POST",
        "/v1/batch",
        &[auth, ("Content-Encoding", "br")],
        b"",
        415,
        "unknown_encoding",
        "Content-Encoding",
    );
    check(
        "POST",
        "/v1/track",
        &[],
        event.as_bytes(),
        401,
        "no_write_key",
        "writeKey",
    );
    check(
        "POST",
        "/v1/track",
        &[("Authorization", &basic("other"))],
        event.as_bytes(),
        401,
        "unknown_write_key",
        "writeKey",
    );
    check(
        "POST",
        "/v1/track",
        &[],
        br#"{"writeKey":"other"}"#,
        401,
        "unknown_write_key",
        "writeKey",
    );
    check(
        "GET",
        "/v1/projects/other/settings",
        &[],
        b"",
        401,
        "unknown_write_key",
        "writeKey",
    );
    check(
        "POST",
        "/v1/batch",
        &[auth],
        many.as_bytes(),
        413,
        "too_many_events",
        "batch",
    );
    check(
        "POST",
        "/v1/track",
        &[auth],
        large_event.as_bytes(),
        413,
        "body_too_large",
        "body",
    );
    check(
        "POST",
        "/v1/batch",
        &[auth],
        large_batch.as_bytes(),
        413,
        "body_too_large",
        "body",
    );
    check(
        "POST",
        "/v1/batch",
        &[auth, gzipped],
        &bomb,
        413,
        "body_too_large",
        "body",
    );
    check(
        "POST",
        "/v1/nothing",
        &[auth],
        event.as_bytes(),
        404,
        "not_found",
        "path",
    );
    check(
        "GET",
        "/v1/track",
        &[auth],
        b"",
        405,
        "wrong_method",
        "method",
    );
    // Told by the header alone, so the client may not get to send it all.
    let mut connection = world.connect();
    let head = format!(
        "POST /v1/batch HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Length: {}\r\n\r\n",
        huge.len()
    );
    connection
        .write_all(head.as_bytes())
        .expect("the server reads");
    assert_eq!(world::receive(&mut connection).status, 413);
    assert_eq!(
        (
            world.events("accepted"),
            world.events("refused"),
            world.events("failed")
        ),
        (0, 0, 0)
    );
    assert_eq!(
        world.metric(r#"tributary_ingest_requests_total{status="413"}"#),
        5
    );
}

#[test]
fn the_message_of_a_syntax_error_says_where_and_holds_nothing_of_the_body() {
    let world = World::start(|_| ());
    let answer = world.post(
        "/v1/batch",
        "{\"batch\": [\n  {\"email\": \"ann@example.org\" \"x\": 1}\n]}",
    );
    let message = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message.contains("line 2, column 31") && !message.contains("ann"),
        "{message}"
    );
}

#[test]
fn browsers_of_allowed_origins_may_read_the_answer_and_others_may_not_send() {
    let world = World::start(|config| {
        config.sources[0].allowed_origins = vec!["https://shop.org".to_owned()]
    });
    let headers = [
        ("Origin", "https://shop.org"),
        ("Access-Control-Request-Method", "POST"),
        (
            "Access-Control-Request-Headers",
            "authorization,content-type,anonymousid",
        ),
    ];
    let preflight = world.request("OPTIONS", "/v1/t", &headers, b"");
    assert_eq!(preflight.status, 200);
    assert_eq!(
        preflight.headers["access-control-allow-origin"],
        "https://shop.org"
    );
    assert_eq!(
        preflight.headers["access-control-allow-headers"],
        "authorization,content-type,anonymousid"
    );
    assert!(preflight.headers["access-control-allow-methods"].contains("POST"));

    let body = format!(r#"{{"writeKey":"{KEY}","anonymousId":"c"}}"#);
    let allowed = world.request(
        "POST",
        "/v1/p",
        &[("Origin", "https://shop.org")],
        body.as_bytes(),
    );
    assert_eq!(
        (
            allowed.status,
            allowed.headers["access-control-allow-origin"].as_str()
        ),
        (200, "https://shop.org")
    );
    let other = world.request(
        "POST",
        "/v1/p",
        &[("Origin", "https://evil.org")],
        body.as_bytes(),
    );
    assert_eq!(
        (other.status, other.error().0.as_str()),
        (403, "origin_not_allowed")
    );
    assert_eq!(
        world.request("POST", "/v1/p", &[], body.as_bytes()).status,
        200,
        "servers have no origin"
    );
}

#[test]
fn with_an_empty_list_of_origins_no_page_may_send_but_servers_may() {
    let world = World::start(|config| config.sources[0].allowed_origins = Vec::new());
    let body = format!(r#"{{"writeKey":"{KEY}","anonymousId":"c"}}"#);
    let page = world.request(
        "POST",
        "/v1/p",
        &[("Origin", "https://shop.org")],
        body.as_bytes(),
    );
    assert_eq!(page.status, 403);
    assert_eq!(
        world.request("POST", "/v1/p", &[], body.as_bytes()).status,
        200
    );
}

#[test]
fn the_browser_sdk_finds_its_settings_and_is_sent_back_here() {
    let world = World::start(|_| ());
    let answer = world.request(
        "GET",
        &format!("/v1/projects/{KEY}/settings"),
        &[("Origin", "https://shop.org")],
        b"",
    );
    let json = answer.json();
    let integration = &json["integrations"]["Segment.io"];
    assert_eq!(integration["apiKey"].as_str(), Some(KEY));
    assert_eq!(
        (
            integration["apiHost"].as_str(),
            integration["protocol"].as_str()
        ),
        (Some("ingest.example/v1"), Some("http"))
    );
    assert_eq!(
        answer.headers["access-control-allow-origin"],
        "https://shop.org"
    );
    let proxied = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "events.shop.org, inner"),
    ];
    let json = world
        .request(
            "GET",
            &format!("/v1/projects/{KEY}/settings"),
            &proxied,
            b"",
        )
        .json();
    let integration = &json["integrations"]["Segment.io"];
    assert_eq!(
        (
            integration["apiHost"].as_str(),
            integration["protocol"].as_str()
        ),
        (Some("events.shop.org/v1"), Some("https"))
    );
    assert_eq!(
        world
            .request("POST", "/v1/m", &[], br#"{"series":[]}"#)
            .status,
        200
    );
}

#[test]
fn what_was_refused_does_not_keep_later_events_of_the_connection_out() {
    let world = World::start(|_| ());
    let mut connection = world.connect();
    let key = basic(KEY);
    let auth = [("Authorization", &*key)];
    world::send(&mut connection, "POST", "/v1/track", &auth, b"{");
    assert_eq!(world::receive(&mut connection).status, 400);
    world::send(
        &mut connection,
        "POST",
        "/v1/page",
        &auth,
        br#"{"userId":"u","messageId":"m"}"#,
    );
    assert_eq!(world::receive(&mut connection).status, 200);
    let records = world.records("tributary.touchpoints", 1);
    assert_eq!(
        framing::decode::<Touchpoint<'_>>(payload(&records[0]))
            .unwrap()
            .message_id,
        "m"
    );
}
