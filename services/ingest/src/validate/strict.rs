//! Reads the fields that identify, date or price an event: a wrong shape refuses the event and names the field.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tributary_contracts::wire::Subject;
use tributary_core::money::{Amount, ParseAmountError};
use tributary_core::time::Timestamp;

use super::LONGEST_NAME;
use crate::lenient;
use crate::normalise::time;
use crate::refusal::{Reason, Refusal};

/// A text, or a number as its digits.
pub(super) fn text<'a>(raw: &'a RawValue, field: &'static str) -> Result<Cow<'a, str>, Refusal> {
    match lenient::text(raw.get()) {
        Some(text) => text.map_err(|_| {
            Refusal::invalid(
                field,
                "holds an escape that is no character: send the text as UTF-8",
            )
        }),
        None => Err(Refusal::invalid(
            field,
            "must be a text: put it in double quotes",
        )),
    }
}

/// A text that can be part of a key: in quotes, bounded, without NUL. None where the field is missing or null.
pub(super) fn key<'a>(
    raw: Option<&'a RawValue>,
    field: &'static str,
) -> Result<Option<Cow<'a, str>>, Refusal> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok(None);
    };
    if !raw.get().starts_with('"') {
        return Err(Refusal::invalid(
            field,
            "must be a text: put it in double quotes",
        ));
    }
    let text = text(raw, field)?;
    if text.len() > LONGEST_NAME || text.contains('\0') {
        return Err(Refusal::invalid(
            field,
            "must have at most 512 bytes, and not hold the character NUL",
        ));
    }
    Ok(Some(text))
}

/// A text that may be absent.
pub(super) fn optional<'a>(
    raw: Option<&'a RawValue>,
    field: &'static str,
) -> Result<Option<Cow<'a, str>>, Refusal> {
    raw.map(|raw| text(raw, field)).transpose()
}

/// The JSON of an object; empty where there is none.
pub(super) fn object<'a>(
    raw: Option<&'a RawValue>,
    field: &'static str,
) -> Result<&'a str, Refusal> {
    match raw.map(RawValue::get) {
        None => Ok(""),
        Some(json) if json.starts_with('{') => Ok(json),
        Some(_) => Err(Refusal::invalid(
            field,
            "must be an object such as {\"name\": \"value\"}",
        )),
    }
}

/// Refuses an event that a customer cannot be the subject of, and says why.
pub(super) fn of_source(subject: Subject, why: &'static str) -> Result<(), Refusal> {
    match subject {
        Subject::Source => Ok(()),
        Subject::Customer => Err(Refusal::invalid("context.subject", why)),
    }
}

/// The JSON of properties that are to be read; an empty object where there are none.
pub(super) fn members(properties: &str) -> &str {
    match properties {
        "" => "{}",
        properties => properties,
    }
}

/// A time that may be absent.
pub(super) fn timestamp(
    raw: Option<&RawValue>,
    field: &'static str,
) -> Result<Option<Timestamp>, Refusal> {
    const MESSAGE: &str = "must be a time in ISO 8601 such as \"2025-03-01T12:00:00.000Z\"";
    let Some(raw) = raw else { return Ok(None) };
    let refusal = || Refusal::new(Reason::InvalidTime, field, MESSAGE);
    if !raw.get().starts_with('"') {
        return Err(refusal());
    }
    let text = text(raw, field).map_err(|_| refusal())?;
    time::parse(&text).map(Some).ok_or_else(refusal)
}

/// An amount that may be absent: a number, or a text that holds one.
pub(super) fn amount(
    raw: Option<&RawValue>,
    field: impl Fn() -> Cow<'static, str>,
) -> Result<Option<Amount>, Refusal> {
    let Some(json) = raw.map(RawValue::get) else {
        return Ok(None);
    };
    let refusal = |message| Refusal::new(Reason::InvalidAmount, field(), message);
    let digits = match json.as_bytes() {
        b"null" => return Ok(None),
        [b'"', inner @ .., b'"'] if inner.trim_ascii().is_empty() => return Ok(None),
        [b'"', .., b'"'] => &json[1..json.len() - 1],
        _ => json,
    };
    match digits.parse() {
        Ok(amount) => Ok(Some(amount)),
        Err(ParseAmountError::NotANumber) => Err(refusal(
            "must be a number such as 12.50, without currency or thousands separators",
        )),
        Err(ParseAmountError::TooLarge) => Err(refusal("must not be beyond 1000000000000 (10^12)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn texts_and_numbers_are_texts_and_nothing_else_is() {
        for (json, expected) in [
            (r#""a b""#, Some("a b")),
            (r#""a\u00e9\n""#, Some("aé\n")),
            (r#""""#, Some("")),
            ("12", Some("12")),
            ("-1.50", Some("-1.50")),
            (r#""\ud800""#, None),
            ("true", None),
            ("{}", None),
            ("[1]", None),
        ] {
            assert_eq!(
                text(&raw(json), "field").ok().as_deref(),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn amounts_are_read_exactly_or_refused_by_name() {
        for (json, expected) in [
            ("12.5", Ok(Some("12.5"))),
            (r#""12.50""#, Ok(Some("12.5"))),
            (r#"" 7 ""#, Ok(Some("7"))),
            ("1e2", Ok(Some("100"))),
            ("null", Ok(None)),
            (r#""""#, Ok(None)),
            (r#""12,50""#, Err(())),
            (r#""$12""#, Err(())),
            ("1e99", Err(())),
            ("true", Err(())),
            ("{}", Err(())),
        ] {
            let amount = amount(Some(&raw(json)), || "properties.total".into());
            let shown = amount
                .clone()
                .map(|amount| amount.map(|amount| amount.to_string()));
            assert_eq!(
                shown.map_err(|_| ()),
                expected.map(|text| text.map(str::to_owned)),
                "{json}"
            );
            if let Err(refusal) = amount {
                assert_eq!(
                    (refusal.reason, &*refusal.field),
                    (Reason::InvalidAmount, "properties.total")
                );
            }
        }
    }

    #[test]
    fn times_are_texts() {
        assert_eq!(
            timestamp(Some(&raw(r#""1970-01-01T00:00:01Z""#)), "timestamp"),
            Ok(Some(Timestamp(1000)))
        );
        assert_eq!(timestamp(None, "timestamp"), Ok(None));
        for json in ["1714000000", r#""soon""#, "{}"] {
            let refusal = timestamp(Some(&raw(json)), "timestamp").unwrap_err();
            assert_eq!(
                (refusal.reason, &*refusal.field),
                (Reason::InvalidTime, "timestamp"),
                "{json}"
            );
        }
    }
}
