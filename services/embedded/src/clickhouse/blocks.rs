//! Blocks of the format Native for clients that state their protocol's version (`client_protocol_version`), as the Go
//! client does over HTTP.
//!
//! libchdb writes Native as for a client without version. From revision 54454 on, a block begins with its info, and each
//! column says after its type whether it is serialised in a custom way. Where a column ends only its type tells, so a
//! block is followed value by value, and passed on with what is missing.

use super::exception::{self, Exception};
use super::sql;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

/// The first revision that tells columns with a serialization of their own apart.
pub(crate) const FIRST_REVISION: u64 = 54_454;
/// The first one whose block info has a list of delayed buckets.
const WITH_DELAYED_BUCKETS: u64 = 54_480;
/// Reads of a pipe.
const BUFFER: usize = 256 << 10;
/// How a column of JSON says that it is text.
const AS_TEXT: u64 = 1;
/// Types within types; the engine allows no more either.
const DEEPEST: usize = 100;

/// How a type's values lie in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Layout {
    /// So many bytes a value.
    Fixed(u64),
    /// Length and bytes.
    Text,
    Nullable(Box<Layout>),
    Array(Box<Layout>),
    Tuple(Vec<Layout>),
    /// A dictionary for each block; its keys are not nullable.
    LowCardinality(Box<Layout>),
    Variant(Vec<Layout>),
    /// JSON written as text, which is asked for with the revision.
    Json,
}

/// Passes blocks on from `input` to `output` as a client of this revision expects them.
///
/// # Errors
/// When the input breaks off, holds a type whose layout is not known here, or the output fails.
pub(crate) fn pass_on(input: impl Read, revision: u64, output: &mut impl Write) -> io::Result<()> {
    let mut blocks = Blocks {
        input: BufReader::with_capacity(BUFFER, input),
        output,
        revision,
    };
    while !blocks.input.fill_buf()?.is_empty() {
        blocks.block()?;
    }
    Ok(())
}

struct Blocks<'a, R, W> {
    input: BufReader<R>,
    output: &'a mut W,
    revision: u64,
}

impl<R: Read, W: Write> Blocks<'_, R, W> {
    fn block(&mut self) -> io::Result<()> {
        // 1: whether it holds totals above a limit; 2: the bucket of an aggregation, none.
        self.output.write_all(&[1, 0, 2, 0xff, 0xff, 0xff, 0xff])?;
        if self.revision >= WITH_DELAYED_BUCKETS {
            // 3: an empty list.
            self.output.write_all(&[3, 0])?;
        }
        self.output.write_all(&[0])?;
        let columns = self.number()?;
        let rows = self.number()?;
        for _ in 0..columns {
            self.text()?;
            let name = self.text()?;
            let layout = Layout::parse(&name, 0).ok_or_else(|| unsupported(&name))?;
            self.output.write_all(&[0])?;
            if rows > 0 {
                self.prefix(&layout)?;
                self.values(&layout, rows)?;
            }
        }
        Ok(())
    }

    /// What stands before the values, of the whole column first.
    fn prefix(&mut self, layout: &Layout) -> io::Result<()> {
        match layout {
            Layout::Fixed(_) | Layout::Text => Ok(()),
            Layout::Nullable(inner) | Layout::Array(inner) => self.prefix(inner),
            Layout::Tuple(elements) => elements.iter().try_for_each(|element| self.prefix(element)),
            Layout::LowCardinality(_) => self.copy(8),
            Layout::Json => match self.fixed()? {
                AS_TEXT => Ok(()),
                _ => Err(unsupported("JSON in parts")),
            },
            Layout::Variant(variants) => {
                if self.fixed()? != 0 {
                    return Err(unsupported("Variant in compact form"));
                }
                variants.iter().try_for_each(|variant| self.prefix(variant))
            }
        }
    }

    fn values(&mut self, layout: &Layout, rows: u64) -> io::Result<()> {
        match layout {
            Layout::Fixed(size) => self.copy(rows * size),
            Layout::Text | Layout::Json => (0..rows).try_for_each(|_| {
                let length = self.number()?;
                self.copy(length)
            }),
            Layout::Nullable(inner) => {
                self.copy(rows)?;
                self.values(inner, rows)
            }
            Layout::Array(inner) => {
                if rows == 0 {
                    return Ok(());
                }
                self.copy(8 * (rows - 1))?;
                // Where the last one ends.
                let elements = self.fixed()?;
                self.values(inner, elements)
            }
            Layout::Tuple(elements) => elements
                .iter()
                .try_for_each(|element| self.values(element, rows)),
            Layout::LowCardinality(keys) => self.low_cardinality(keys, rows),
            Layout::Variant(variants) => {
                let mut counts = vec![0; variants.len()];
                for _ in 0..rows {
                    let which = self.byte()?;
                    // 255: none.
                    if let Some(count) = counts.get_mut(usize::from(which)) {
                        *count += 1;
                    }
                }
                let mut with_counts = variants.iter().zip(counts);
                with_counts.try_for_each(|(variant, count)| self.values(variant, count))
            }
        }
    }

    fn low_cardinality(&mut self, keys: &Layout, rows: u64) -> io::Result<()> {
        const SHARED_DICTIONARY: u64 = 1 << 8;
        const OWN_KEYS: u64 = 1 << 9;
        if rows == 0 {
            return Ok(());
        }
        let kind = self.fixed()?;
        if kind & SHARED_DICTIONARY != 0 {
            return Err(unsupported("LowCardinality with a shared dictionary"));
        }
        if kind & OWN_KEYS != 0 {
            let count = self.fixed()?;
            self.values(keys, count)?;
        }
        let indexes = self.fixed()?;
        self.copy(indexes << (kind & 0xff).min(3))
    }

    fn copy(&mut self, bytes: u64) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let ready = self.input.fill_buf()?;
            if ready.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let length = ready.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.output.write_all(&ready[..length])?;
            self.input.consume(length);
            left -= length as u64;
        }
        Ok(())
    }

    fn byte(&mut self) -> io::Result<u8> {
        let ready = self.input.fill_buf()?;
        let byte = *ready.first().ok_or(ErrorKind::UnexpectedEof)?;
        self.input.consume(1);
        self.output.write_all(&[byte])?;
        Ok(byte)
    }

    /// A number of variable length.
    fn number(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(ErrorKind::InvalidData.into())
    }

    /// A number of eight bytes.
    fn fixed(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.input.read_exact(&mut bytes)?;
        self.output.write_all(&bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn text(&mut self) -> io::Result<String> {
        let length = self.number()?;
        let mut bytes = Vec::new();
        (&mut self.input).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.output.write_all(&bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Layout {
    fn parse(name: &str, depth: usize) -> Option<Self> {
        if depth > DEEPEST {
            return None;
        }
        let (head, arguments) = match name.split_once('(') {
            Some((head, rest)) => (head, sql::arguments(rest.strip_suffix(')')?)),
            None => (name, Vec::new()),
        };
        let parse = |name: &str| Self::parse(name, depth + 1);
        let elements = || -> Option<Vec<Self>> {
            arguments
                .iter()
                .map(|name| parse(sql::without_name(name)))
                .collect()
        };
        let array = |inner| Self::Array(Box::new(inner));
        Some(match (head, arguments.as_slice()) {
            ("String", []) => Self::Text,
            ("JSON", _) => Self::Json,
            ("Nullable", [inner]) => Self::Nullable(Box::new(parse(inner)?)),
            ("Array", [inner]) => array(parse(inner)?),
            ("Tuple", _) => Self::Tuple(elements()?),
            ("Nested", _) => array(Self::Tuple(elements()?)),
            ("Map", [key, value]) => array(Self::Tuple(vec![parse(key)?, parse(value)?])),
            ("LowCardinality", [inner]) => match parse(inner)? {
                Self::Nullable(keys) => Self::LowCardinality(keys),
                keys => Self::LowCardinality(Box::new(keys)),
            },
            ("Variant", variants) => Self::Variant(
                variants
                    .iter()
                    .map(|name| parse(name))
                    .collect::<Option<_>>()?,
            ),
            ("SimpleAggregateFunction", [_, inner]) => parse(inner)?,
            ("Point", []) => Self::Tuple(vec![Self::Fixed(8), Self::Fixed(8)]),
            ("Ring" | "LineString", []) => array(parse("Point")?),
            ("Polygon" | "MultiLineString", []) => array(parse("Ring")?),
            ("MultiPolygon", []) => array(parse("Polygon")?),
            ("FixedString", [length]) => Self::Fixed(length.parse().ok()?),
            ("Decimal", [precision, _]) => Self::Fixed(match precision.parse::<u32>().ok()? {
                ..=9 => 4,
                10..=18 => 8,
                19..=38 => 16,
                _ => 32,
            }),
            _ => Self::Fixed(size(head)?),
        })
    }
}

/// Bytes of a value of a type whose arguments do not matter.
fn size(head: &str) -> Option<u64> {
    Some(match head {
        "UInt8" | "Int8" | "Bool" | "Enum8" | "Nothing" => 1,
        "UInt16" | "Int16" | "Enum16" | "Date" | "BFloat16" => 2,
        "UInt32" | "Int32" | "Float32" | "Date32" | "DateTime" | "Time" | "IPv4" | "Decimal32" => 4,
        "UInt64" | "Int64" | "Float64" | "DateTime64" | "Time64" | "Decimal64" => 8,
        "UInt128" | "Int128" | "UUID" | "IPv6" | "Decimal128" => 16,
        "UInt256" | "Int256" | "Decimal256" => 32,
        _ if head.starts_with("Interval") => 8,
        _ => return None,
    })
}

fn unsupported(what: &str) -> io::Error {
    let head = what.split('(').next().unwrap_or_default();
    io::Error::other(Exception::new(
        exception::NOT_IMPLEMENTED,
        format!(
            "{head} cannot be sent as Native to a client that states client_protocol_version: cast it to String"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(name: &str) -> Layout {
        Layout::parse(name, 0).unwrap_or_else(|| panic!("{name}"))
    }

    #[test]
    fn types_are_read_with_names_quotes_and_arguments() {
        let fixed = |size| Layout::Fixed(size);
        assert_eq!(layout("Enum8('a,(' = 1, 'b\\'' = 2)"), fixed(1));
        assert_eq!(layout("DateTime64(3, 'Europe/Paris')"), fixed(8));
        assert_eq!(layout("Decimal(38, 6)"), fixed(16));
        assert_eq!(
            layout("Tuple(a UInt8, `b c\\`` Nullable(Decimal(9, 2)), Array(String))"),
            layout("Tuple(UInt8, Nullable(Int32), Array(String))")
        );
        assert_eq!(
            layout("Map(LowCardinality(String), Tuple(x Float64))"),
            layout("Nested(k LowCardinality(Nullable(String)), v Tuple(UInt64))")
        );
        assert_eq!(
            layout("MultiPolygon"),
            layout("Array(Array(Array(Tuple(Int64, Int64))))")
        );
        assert_eq!(layout("SimpleAggregateFunction(sum, UInt64)"), fixed(8));
        for unknown in [
            "AggregateFunction(sum, UInt64)",
            "Dynamic",
            "Array(",
            "Nullable()",
        ] {
            assert_eq!(Layout::parse(unknown, 0), None, "{unknown}");
        }
    }

    #[test]
    fn a_block_gets_what_its_revision_expects() {
        let old = [1, 2, 1, b'a', 5, b'U', b'I', b'n', b't', b'8', 7, 8];
        let mut new = Vec::new();
        pass_on(old.as_slice(), 54_460, &mut new).expect("whole");
        assert_eq!(
            new,
            [
                1, 0, 2, 255, 255, 255, 255, 0, 1, 2, 1, b'a', 5, b'U', b'I', b'n', b't', b'8', 0,
                7, 8
            ]
        );
        let broken = pass_on(&old[..11], 54_460, &mut Vec::new());
        assert_eq!(broken.expect_err("cut").kind(), ErrorKind::UnexpectedEof);
    }
}
