//! Turns a body into text, decompressing no further than the cap.
//!
//! A bomb is stopped at the cap: memory is bounded by it, whatever the ratio. Damaged gzip and bytes that are not
//! UTF-8 are refused with 400.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use hyper::header::{CONTENT_ENCODING, HeaderMap};

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

/// Why a body cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// Damaged, or not gzip at all.
    Damaged,
    /// Longer than the cap once unpacked.
    TooLarge,
    /// Not UTF-8.
    NotText,
}

impl Encoding {
    /// What the header says; nothing where it is an encoding that we do not know.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let Some(value) = headers.get(CONTENT_ENCODING) else {
            return Some(Self::Identity);
        };
        match value.as_bytes().trim_ascii() {
            b"" => Some(Self::Identity),
            value if value.eq_ignore_ascii_case(b"identity") => Some(Self::Identity),
            value
                if value.eq_ignore_ascii_case(b"gzip") || value.eq_ignore_ascii_case(b"x-gzip") =>
            {
                Some(Self::Gzip)
            }
            _ => None,
        }
    }
}

/// A request's body as text.
#[derive(Debug)]
pub(crate) enum Text {
    /// As received.
    Received(Bytes),
    /// Unpacked.
    Unpacked(String),
}

/// Unpacks a body of at most `limit` bytes.
pub(crate) fn body(bytes: Bytes, encoding: Encoding, limit: usize) -> Result<Text, Error> {
    match encoding {
        Encoding::Identity if bytes.len() > limit => Err(Error::TooLarge),
        Encoding::Identity => Ok(Text::Received(bytes)),
        Encoding::Gzip => {
            let mut unpacked = Vec::with_capacity(limit.min(bytes.len().saturating_mul(4)));
            let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            let mut gzip = MultiGzDecoder::new(&bytes[..]).take(most);
            gzip.read_to_end(&mut unpacked)
                .map_err(|_| Error::Damaged)?;
            if unpacked.len() > limit {
                return Err(Error::TooLarge);
            }
            String::from_utf8(unpacked)
                .map(Text::Unpacked)
                .map_err(|_| Error::NotText)
        }
    }
}

impl Text {
    /// The text itself. A byte order mark, which Windows programs write, is left out.
    pub(crate) fn as_str(&self) -> Result<&str, Error> {
        let text = match self {
            Self::Received(bytes) => std::str::from_utf8(bytes).map_err(|_| Error::NotText)?,
            Self::Unpacked(text) => text,
        };
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use hyper::header::HeaderValue;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn a_body_of_the_limit_passes_and_one_byte_more_does_not() {
        for encoding in [Encoding::Identity, Encoding::Gzip] {
            for (length, result) in [(10, Ok(10)), (11, Err(Error::TooLarge))] {
                let text = vec![b'a'; length];
                let packed = if encoding == Encoding::Gzip {
                    gzip(&text)
                } else {
                    text.into()
                };
                let unpacked = body(packed, encoding, 10).and_then(|text| Ok(text.as_str()?.len()));
                assert_eq!(unpacked, result, "{encoding:?} {length}");
            }
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = gzip(&vec![0; 50_000_000]);
        assert!(bomb.len() < 100_000);
        assert_eq!(
            body(bomb, Encoding::Gzip, 500_000).err(),
            Some(Error::TooLarge)
        );
    }

    #[test]
    fn damaged_truncated_and_binary_bodies_are_told_apart() {
        let whole = gzip(b"{\"a\":1}");
        assert_eq!(
            body(whole.slice(..whole.len() - 5), Encoding::Gzip, 100).err(),
            Some(Error::Damaged)
        );
        assert_eq!(
            body(Bytes::from_static(b"{}"), Encoding::Gzip, 100).err(),
            Some(Error::Damaged)
        );
        assert_eq!(
            body(gzip(&[0xff, 0xfe]), Encoding::Gzip, 100).err(),
            Some(Error::NotText)
        );
        let binary = body(Bytes::from_static(&[0xff]), Encoding::Identity, 100).unwrap();
        assert_eq!(binary.as_str().err(), Some(Error::NotText));
    }

    #[test]
    fn the_byte_order_mark_is_left_out() {
        let text = body(
            Bytes::from_static("\u{feff}{}".as_bytes()),
            Encoding::Identity,
            100,
        )
        .unwrap();
        assert_eq!(text.as_str(), Ok("{}"));
    }

    #[test]
    fn encodings_are_known_in_any_case_or_refused() {
        for (value, encoding) in [
            ("gzip", Some(Encoding::Gzip)),
            ("GZIP ", Some(Encoding::Gzip)),
            ("identity", Some(Encoding::Identity)),
            ("", Some(Encoding::Identity)),
            ("br", None),
            ("gzip, gzip", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(Encoding::of(&headers), encoding, "{value}");
        }
        assert_eq!(Encoding::of(&HeaderMap::new()), Some(Encoding::Identity));
    }
}
