use super::*;

fn events<'a>(request: &'a Request<'a>) -> Vec<Option<&'a Event<'a>>> {
    let event = |element: &'a Element<'a>| match element {
        Element::Event(event) => Some(event),
        Element::NotAnObject => None,
    };
    request.elements.iter().map(event).collect()
}

#[test]
fn fields_are_slices_of_the_body_as_they_were_sent() {
    let body = r#"{"userId" : "a\u0041" ,"properties":{"a": [1, 2]},"x":{"userId":"no"},"event":null,"writeKey":"key"}"#;
    let request = single(body).unwrap();
    let event = events(&request)[0].unwrap();
    assert_eq!(event.user_id.unwrap().get(), r#""a\u0041""#);
    assert_eq!(event.properties.unwrap().get(), r#"{"a": [1, 2]}"#);
    assert!(event.event.is_none(), "null is the same as absent");
    assert_eq!(request.write_key, "key");
    assert_eq!(event.size, body.len() - r#"{"userId" : "#.len() - "}".len());
}

#[test]
fn a_batch_shares_its_key_time_and_context_and_keeps_the_order() {
    let body = r#"{"batch":[{"messageId":"1"},7,{"messageId":"2"},"x",[{}],null],"sentAt":"now","context":{"a":1},"writeKey":5}"#;
    let request = batch(body, 10).unwrap();
    let ids: Vec<_> = events(&request)
        .iter()
        .map(|event| event.and_then(|event| Some(event.message_id?.get())))
        .collect();
    assert_eq!(
        ids,
        [Some(r#""1""#), None, Some(r#""2""#), None, None, None]
    );
    assert_eq!(request.sent_at.unwrap().get(), r#""now""#);
    assert_eq!(request.context.unwrap().get(), r#"{"a":1}"#);
    assert_eq!(request.write_key, "5");
    let raw: Vec<_> = raw_events(body).iter().map(|raw| raw.get()).collect();
    assert_eq!(
        raw,
        [
            r#"{"messageId":"1"}"#,
            "7",
            r#"{"messageId":"2"}"#,
            r#""x""#,
            "[{}]",
            "null"
        ]
    );
}

#[test]
fn of_a_field_that_stands_twice_the_last_counts() {
    let request = single(r#"{"userId":"a","userId":"b"}"#).unwrap();
    assert_eq!(
        events(&request)[0].unwrap().user_id.unwrap().get(),
        r#""b""#
    );
}

#[test]
fn a_body_that_is_not_json_is_refused_with_the_position_and_without_its_content() {
    for (body, line, column) in [
        ("", 1, 0),
        ("{\"batch\":[{\"secret\":1,}]}", 1, 23),
        ("{\n \"batch\": [secret]\n}", 2, 12),
        ("{\"batch\":[]} secret", 1, 14),
        ("{\"batch\":[{\"secret", 1, 18),
        ("{\"batch\":[],\"batch\":[]}", 1, 19),
    ] {
        let Err(Error::Malformed {
            line: at_line,
            column: at_column,
            what,
        }) = batch(body, 10)
        else {
            panic!("{body} was taken");
        };
        assert_eq!((at_line, at_column), (line, column), "{body}: {what}");
        assert!(!what.is_empty() && !what.contains("secret"), "{what}");
    }
}

#[test]
fn what_is_json_but_no_request_is_refused_by_its_shape() {
    for (body, error) in [
        ("[]", Error::NotAnObject),
        ("1", Error::NotAnObject),
        ("null", Error::NotAnObject),
        ("{}", Error::NoBatch),
        (r#"{"batch":{"a":1}}"#, Error::NoBatch),
        (r#"{"batch":"x"}"#, Error::NoBatch),
        (r#"{"batch":null}"#, Error::NoBatch),
        (r#"{"batch":[1,2,3]}"#, Error::TooManyEvents { found: 3 }),
    ] {
        assert_eq!(batch(body, 2).err(), Some(error), "{body}");
    }
    assert_eq!(single("[]").err(), Some(Error::NotAnObject));
    assert!(batch(r#"{"batch":[]}"#, 2).unwrap().elements.is_empty());
}

#[test]
fn more_elements_than_any_batch_may_have_are_counted_but_not_kept() {
    let body = format!("{{\"batch\":[{}0]}}", "0,".repeat(200_000));
    assert_eq!(
        batch(&body, usize::MAX).err(),
        Some(Error::TooManyEvents { found: 200_001 })
    );
}
