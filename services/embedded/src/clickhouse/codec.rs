//! HTTP content encodings, and the chain from a result's bytes to the response's.

use super::exception::{self, Exception};
use super::native;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use std::io::{self, Read, Write};

/// The level of a server's `http_zlib_compression_level`.
const LEVEL: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
    Lz4,
}

impl Encoding {
    /// What a request's `Content-Encoding` names.
    pub(crate) fn of_content(header: Option<&str>) -> Result<Self, Exception> {
        match header.map(str::trim) {
            None | Some("" | "identity") => Ok(Encoding::Identity),
            Some(name) => Self::named(name).ok_or_else(|| {
                let text =
                    format!("Unknown compression method {name} (use gzip, deflate, zstd or lz4)");
                Exception::new(exception::NOT_IMPLEMENTED, text)
            }),
        }
    }

    /// The cheapest to decode for the size of what a client accepts.
    pub(crate) fn best_of(accepted: &str) -> Self {
        let accepted: Vec<Encoding> = accepted
            .split(',')
            .filter_map(|item| {
                let (name, quality) = item.split_once(';').unwrap_or((item, ""));
                let refused = quality
                    .trim()
                    .strip_prefix("q=")
                    .is_some_and(|q| q.trim().parse() == Ok(0.0));
                if refused {
                    None
                } else {
                    Self::named(name.trim())
                }
            })
            .collect();
        [
            Encoding::Zstd,
            Encoding::Lz4,
            Encoding::Gzip,
            Encoding::Deflate,
        ]
        .into_iter()
        .find(|encoding| accepted.contains(encoding))
        .unwrap_or(Encoding::Identity)
    }

    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Encoding::Gzip),
            "deflate" => Some(Encoding::Deflate),
            "zstd" => Some(Encoding::Zstd),
            "lz4" => Some(Encoding::Lz4),
            _ => None,
        }
    }

    /// The name in the response's header.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Encoding::Identity => None,
            Encoding::Gzip => Some("gzip"),
            Encoding::Deflate => Some("deflate"),
            Encoding::Zstd => Some("zstd"),
            Encoding::Lz4 => Some("lz4"),
        }
    }

    /// Reads what `inner` encodes.
    pub(crate) fn decode<'a>(
        self,
        inner: impl Read + Send + 'a,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Encoding::Identity => Box::new(inner),
            Encoding::Gzip => Box::new(Named(MultiGzDecoder::new(inner), "gzip")),
            Encoding::Deflate => Box::new(Named(ZlibDecoder::new(inner), "deflate")),
            Encoding::Zstd => Box::new(Named(zstd::stream::read::Decoder::new(inner)?, "zstd")),
            Encoding::Lz4 => Box::new(Named(FrameDecoder::new(inner), "lz4")),
        })
    }
}

/// Tells damage from a connection that broke: only the latter carries an exception of its own.
struct Named<R>(R, &'static str);

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            if Exception::from_io(&error).is_some() || error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let text = format!("Cannot decompress: the body is no valid {}", self.1);
            Exception::new(exception::CANNOT_DECOMPRESS, text).into()
        })
    }
}

enum Stage {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Lz4(Box<FrameEncoder<Vec<u8>>>),
}

/// From the engine's bytes to the response's: ClickHouse's blocks if asked for, then the HTTP encoding.
pub(crate) struct Encoder {
    blocks: bool,
    stage: Stage,
}

impl Encoder {
    pub(crate) fn new(blocks: bool, encoding: Encoding) -> io::Result<Self> {
        let level = Compression::new(u32::from(LEVEL));
        let stage = match encoding {
            Encoding::Identity => Stage::Plain(Vec::new()),
            Encoding::Gzip => Stage::Gzip(GzEncoder::new(Vec::new(), level)),
            Encoding::Deflate => Stage::Deflate(ZlibEncoder::new(Vec::new(), level)),
            Encoding::Zstd => Stage::Zstd(zstd::stream::write::Encoder::new(
                Vec::new(),
                i32::from(LEVEL),
            )?),
            Encoding::Lz4 => Stage::Lz4(Box::new(FrameEncoder::new(Vec::new()))),
        };
        Ok(Encoder { blocks, stage })
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        if !self.blocks {
            return self.write_stage(data);
        }
        let mut block = Vec::new();
        native::compress(data, &mut block);
        self.write_stage(&block)
    }

    fn write_stage(&mut self, data: &[u8]) -> io::Result<()> {
        match &mut self.stage {
            Stage::Plain(out) => out.write_all(data),
            Stage::Gzip(stage) => stage.write_all(data),
            Stage::Deflate(stage) => stage.write_all(data),
            Stage::Zstd(stage) => stage.write_all(data),
            Stage::Lz4(stage) => stage.write_all(data),
        }
    }

    /// What is ready to be sent.
    pub(crate) fn take(&mut self) -> Bytes {
        let out = match &mut self.stage {
            Stage::Plain(out) => out,
            Stage::Gzip(stage) => stage.get_mut(),
            Stage::Deflate(stage) => stage.get_mut(),
            Stage::Zstd(stage) => stage.get_mut(),
            Stage::Lz4(stage) => stage.get_mut(),
        };
        std::mem::take(out).into()
    }

    /// The rest, with the encoding's own end.
    pub(crate) fn finish(self) -> io::Result<Bytes> {
        Ok(match self.stage {
            Stage::Plain(out) => out,
            Stage::Gzip(stage) => stage.finish()?,
            Stage::Deflate(stage) => stage.finish()?,
            Stage::Zstd(stage) => stage.finish()?,
            Stage::Lz4(stage) => stage.finish().map_err(io::Error::other)?,
        }
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Encoding; 5] = [
        Encoding::Identity,
        Encoding::Gzip,
        Encoding::Deflate,
        Encoding::Zstd,
        Encoding::Lz4,
    ];

    proptest! {
        #[test]
        fn what_is_encoded_in_pieces_decodes_to_the_same(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..5), blocks: bool) {
            for encoding in ALL {
                let mut encoder = Encoder::new(blocks, encoding).expect("an encoder");
                let mut sent = Vec::new();
                for piece in &pieces {
                    encoder.write(piece).expect("into memory");
                    sent.extend_from_slice(&encoder.take());
                }
                sent.extend_from_slice(&encoder.finish().expect("into memory"));
                let mut plain = Vec::new();
                let mut decoder = encoding.decode(&sent[..]).expect("a decoder");
                if blocks {
                    native::Decompress::new(decoder).read_to_end(&mut plain).expect("valid");
                } else {
                    decoder.read_to_end(&mut plain).expect("valid");
                }
                prop_assert_eq!(&plain, &pieces.concat());
            }
        }
    }

    #[test]
    fn the_best_accepted_encoding_wins() {
        let check =
            |accepted, expected| assert_eq!(Encoding::best_of(accepted), expected, "{accepted}");
        check("gzip, deflate", Encoding::Gzip);
        check("deflate;q=0.5, br", Encoding::Deflate);
        check("lz4,zstd,gzip", Encoding::Zstd);
        check("zstd;q=0, lz4", Encoding::Lz4);
        check("br, identity", Encoding::Identity);
        check("", Encoding::Identity);
    }

    #[test]
    fn damage_is_told_as_such() {
        for encoding in [
            Encoding::Gzip,
            Encoding::Deflate,
            Encoding::Zstd,
            Encoding::Lz4,
        ] {
            let mut plain = Vec::new();
            let error = encoding
                .decode(&b"this is not compressed at all"[..])
                .and_then(|mut d| d.read_to_end(&mut plain));
            let exception =
                Exception::from_io(&error.expect_err("garbage")).expect("an exception of ours");
            assert_eq!(exception.code, exception::CANNOT_DECOMPRESS, "{encoding:?}");
        }
        assert_eq!(
            Encoding::of_content(Some("br")).expect_err("unknown").code,
            exception::NOT_IMPLEMENTED
        );
    }
}
