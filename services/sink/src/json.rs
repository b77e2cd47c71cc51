//! JSON texts that the engine's JSON type can hold.
//!
//! What ingest accepts is valid JSON, and still the engine (26.7) refuses a whole insert for one number beyond 64 bits,
//! one half of a surrogate pair, or nesting beyond 1,000 levels. Such numbers are stored as text, such halves as U+FFFD,
//! and what is nested too deeply as the text that it is, under the key `_text`.

use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Levels of nesting that are kept as JSON.
const DEPTH: usize = 500;

/// The text, changed only where the engine would refuse it.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut changes: Vec<(usize, usize, String)> = Vec::new();
    let (mut at, mut depth) = (0_usize, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string(text, at, &mut changes),
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH {
                    return Cow::Owned(as_text(text));
                }
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let end = at
                    + bytes[at..]
                        .iter()
                        .take_while(|byte| {
                            matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
                        })
                        .count();
                if !is_number(&text[at..end]) {
                    changes.push((at, end, format!("\"{}\"", &text[at..end])));
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if changes.is_empty() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(apply(text, changes))
    }
}

/// The names of an object's members that are null, which the engine does not keep; none of what is no object.
pub(crate) fn nulls(text: &str) -> Vec<String> {
    if !text.contains("null") {
        return Vec::new();
    }
    let members: BTreeMap<String, Option<IgnoredAny>> =
        serde_json::from_str(text).unwrap_or_default();
    members
        .into_iter()
        .filter_map(|(name, value)| value.is_none().then_some(name))
        .collect()
}

/// Whether the engine reads this number: 64 bits, or a finite float.
fn is_number(number: &str) -> bool {
    if number.len() <= 15 && !number.contains(['e', 'E']) {
        return true;
    }
    if number.contains(['.', 'e', 'E']) {
        return number.parse::<f64>().is_ok_and(f64::is_finite);
    }
    number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok()
}

/// Steps over a string, noting lone halves of surrogate pairs in it; returns what follows it.
fn string(text: &str, start: usize, changes: &mut Vec<(usize, usize, String)>) -> usize {
    let bytes = text.as_bytes();
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => match unit(bytes, at) {
                Some(0xd800..=0xdbff) if matches!(unit(bytes, at + 6), Some(0xdc00..=0xdfff)) => {
                    at += 12
                }
                Some(0xd800..=0xdfff) => {
                    changes.push((at, at + 6, "\\ufffd".to_owned()));
                    at += 6;
                }
                _ => at += 2,
            },
            _ => at += 1,
        }
    }
    at
}

/// The code unit of a `\uXXXX` that begins here.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    if !escape.starts_with(b"\\u") {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(&escape[2..]).ok()?, 16).ok()
}

fn apply(text: &str, changes: Vec<(usize, usize, String)>) -> String {
    let mut changed = String::with_capacity(text.len() + 16);
    let mut at = 0;
    for (start, end, with) in changes {
        changed.push_str(&text[at..start]);
        changed.push_str(&with);
        at = end;
    }
    changed.push_str(&text[at..]);
    changed
}

fn as_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 16);
    quoted.push_str("{\"_text\":\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\0'..='\x1f' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            _ => quoted.push(char),
        }
    }
    quoted.push_str("\"}");
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_are_null_are_named() {
        let text = r#"{"b\n":null,"a":null,"c":"null","d":{"e":null},"f":[null]}"#;
        assert_eq!(nulls(text), ["a", "b\n"]);
        for text in ["", "null", "{}", r#"{"a":1}"#, "[null]"] {
            assert!(nulls(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn only_what_the_engine_would_refuse_is_changed() {
        for (text, expected) in [
            (
                r#"{"a":1,"b":[1.5,-2e3,"x"],"c":null}"#,
                r#"{"a":1,"b":[1.5,-2e3,"x"],"c":null}"#,
            ),
            (
                r#"{"a":18446744073709551615,"b":-9223372036854775808}"#,
                r#"{"a":18446744073709551615,"b":-9223372036854775808}"#,
            ),
            (
                r#"{"a":18446744073709551616}"#,
                r#"{"a":"18446744073709551616"}"#,
            ),
            (
                r#"{"a":[-9223372036854775809]}"#,
                r#"{"a":["-9223372036854775809"]}"#,
            ),
            (r#"{"a":1e400,"b":1e-400}"#, r#"{"a":"1e400","b":1e-400}"#),
            (
                r#"{"a":"18446744073709551616"}"#,
                r#"{"a":"18446744073709551616"}"#,
            ),
            (r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#),
            (
                r#"{"a\ud83d":"\ude00\\ud800\n"}"#,
                r#"{"a\ufffd":"\ufffd\\ud800\n"}"#,
            ),
            (
                r#"{"a":"\ud83d\ud83d\ude00"}"#,
                r#"{"a":"\ufffd\ud83d\ude00"}"#,
            ),
            (
                r#"{"a":"é \" 12345678901234567890123"}"#,
                r#"{"a":"é \" 12345678901234567890123"}"#,
            ),
        ] {
            assert_eq!(storable(text), expected);
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_kept_as_text() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(600), "]".repeat(600));
        let stored: serde_json::Value = serde_json::from_str(&storable(&deep)).expect("JSON");
        assert_eq!(stored["_text"], deep.as_str());
        assert!(matches!(
            storable(&format!("{}{}", "[".repeat(500), "]".repeat(500))),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn nothing_makes_it_panic() {
        for text in [
            "",
            "\"",
            "\"\\",
            "\"\\u",
            "\"\\ud8",
            "{",
            "]",
            "-",
            "1e",
            "\"\\ud83d\\u12",
        ] {
            let _ = storable(text);
        }
    }
}
