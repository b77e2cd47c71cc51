//! What a web address holds, read without building one: its host, and the values of its query.

use std::borrow::Cow;

/// The host, without user, port and `www.`; empty where the address has none.
pub(crate) fn host(address: &str) -> &str {
    let is_end = |byte: u8| matches!(byte, b'/' | b'?' | b'#');
    // What stands after the scheme, if the first part of the address is one.
    let colon = address
        .bytes()
        .position(|byte| byte == b':' || is_end(byte));
    let Some(rest) = colon.and_then(|colon| address[colon..].strip_prefix("://")) else {
        return "";
    };
    let end = rest.bytes().position(is_end).unwrap_or(rest.len());
    let authority = &rest[..end];
    let user = authority.bytes().rposition(|byte| byte == b'@');
    let host = user.map_or(authority, |at| &authority[at + 1..]);
    let port = host.bytes().position(|byte| byte == b':');
    let host = port.map_or(host, |colon| &host[..colon]);
    match host.get(..4) {
        Some(www) if www.eq_ignore_ascii_case("www.") => &host[4..],
        _ => host,
    }
}

/// The query, without its question mark and without the fragment.
pub(crate) fn query(address: &str) -> &str {
    let address = address
        .split_once('#')
        .map_or(address, |(address, _)| address);
    address.split_once('?').map_or("", |(_, query)| query)
}

/// Names and values of a query, decoded.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name, decode(value)))
    })
}

/// Decodes `%41` and `+`; what is wrongly encoded stays as it is.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes
            .get(at + 1..at + 3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match (
            byte,
            digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()),
        ) {
            (b'%', Some(value)) => {
                decoded.push(value);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            _ => decoded.push(*byte),
        }
        at += 1;
    }
    String::from_utf8(decoded).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_every_address() {
        for (address, expected) in [
            ("https://www.example.com/a?b#c", "example.com"),
            ("https://shop.example.com", "shop.example.com"),
            ("http://ann:secret@example.com:8080/", "example.com"),
            ("https://example.com?x=://", "example.com"),
            (
                "android-app://com.google.android.gm/",
                "com.google.android.gm",
            ),
            ("/relative", ""),
            ("/relative?to=https://example.com", ""),
            ("mailto:ann@example.com", ""),
            ("", ""),
            ("é://ééé", "ééé"),
        ] {
            assert_eq!(host(address), expected, "{address}");
        }
    }

    #[test]
    fn queries_are_decoded_and_never_fail() {
        let pairs: Vec<_> = pairs(query(
            "https://x.org/?a=1&b=c%20d+e&c=%E2%82%AC&d=%zz%4&e&f=%FF#g=1",
        ))
        .collect();
        let expected = [
            ("a", "1"),
            ("b", "c d e"),
            ("c", "€"),
            ("d", "%zz%4"),
            ("f", "%FF"),
        ];
        assert_eq!(
            pairs,
            expected.map(|(name, value)| (name, Cow::Borrowed(value)))
        );
    }
}
