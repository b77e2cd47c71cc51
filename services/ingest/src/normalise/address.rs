//! Truncates IP addresses: what is left names a network, not a household.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::value::RawValue;

/// The context with its `ip` truncated: IPv4 to /24, IPv6 to /48; what is no address becomes null.
///
/// `ip` must be a slice of `context`.
pub(crate) fn truncated<'a>(context: &'a str, ip: Option<&'a RawValue>) -> Cow<'a, str> {
    let Some(raw) = ip
        .map(RawValue::get)
        .filter(|raw| *raw != "null" && *raw != "\"\"")
    else {
        return Cow::Borrowed(context);
    };
    let replacement = network(raw.trim_matches('"'))
        .map_or_else(|| "null".to_owned(), |network| format!("\"{network}\""));
    if replacement == raw {
        return Cow::Borrowed(context);
    }
    let start = raw.as_ptr().addr() - context.as_ptr().addr();
    let (before, rest) = context.split_at(start);
    Cow::Owned([before, &replacement, &rest[raw.len()..]].concat())
}

fn network(text: &str) -> Option<IpAddr> {
    Some(match text.trim().parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Context<'a> {
        #[serde(borrow)]
        ip: Option<&'a RawValue>,
    }

    #[test]
    fn addresses_lose_their_host_and_everything_else_stays() {
        for (context, expected) in [
            (
                r#"{"ip":"192.168.17.4","a":1}"#,
                r#"{"ip":"192.168.17.0","a":1}"#,
            ),
            (
                r#"{"a":1, "ip" : "2001:db8:1:2:3::9" }"#,
                r#"{"a":1, "ip" : "2001:db8:1::" }"#,
            ),
            (r#"{"ip":"::ffff:10.1.2.3"}"#, r#"{"ip":"10.1.2.0"}"#),
            (r#"{"ip":"10.1.2.3:8080"}"#, r#"{"ip":null}"#),
            (r#"{"ip":"10.1.2.0"}"#, r#"{"ip":"10.1.2.0"}"#),
            (r#"{"ip":{"v4":"10.1.2.3"}}"#, r#"{"ip":null}"#),
            (r#"{"ip":""}"#, r#"{"ip":""}"#),
            (r#"{"ip":null}"#, r#"{"ip":null}"#),
            (r#"{"page":{"ip":1}}"#, r#"{"page":{"ip":1}}"#),
        ] {
            let parsed: Context<'_> = serde_json::from_str(context).unwrap();
            assert_eq!(truncated(context, parsed.ip), expected, "{context}");
        }
    }
}
