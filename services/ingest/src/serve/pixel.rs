//! The event in a pixel's address: `?data=` with its JSON in base64, of either alphabet, padded or not.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The JSON of the event; nothing where there is none.
pub(super) fn event(query: &str) -> Option<String> {
    let data = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("data="))?;
    let data = data
        .replace('-', "+")
        .replace('_', "/")
        .replace("%2B", "+")
        .replace("%2F", "/")
        .replace("%3D", "=")
        .replace(' ', "+");
    String::from_utf8(BASE64.decode(data).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_read_in_every_way_that_base64_is_written() {
        for (query, expected) in [
            ("data=eyJhIjoiPz8_Pz8-In0", Some(r#"{"a":"?????>"}"#)),
            ("x=1&data=eyJhIjoiPz8/Pz8+In0=", Some(r#"{"a":"?????>"}"#)),
            ("data=eyJhIjoiPz8%2FPz8%2BIn0%3D", Some(r#"{"a":"?????>"}"#)),
            ("data=", Some("")),
            ("data=!", None),
            ("", None),
        ] {
            assert_eq!(event(query).as_deref(), expected, "{query}");
        }
    }
}
