//! Confluent framing: a zero byte, the schema's id as four bytes big-endian, the Avro datum.

use serde::{Deserialize, Serialize};

use crate::registry::{self, Schema};

/// Bytes before the datum.
pub const HEADER: usize = 5;

/// Why a message could not be read. None of these is mended by trying again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Shorter than a header, or the first byte is not zero.
    #[error("is not framed: a message starts with a zero byte and a schema id of four bytes")]
    NotFramed,
    /// An id that schemas/avro/registry.toml does not list.
    #[error(
        "was written with schema id {0}, which this version does not know: upgrade, or find who wrote it"
    )]
    UnknownSchema(u32),
    /// A schema of another topic.
    #[error("was written with the schema {found}, where {expected} belongs")]
    WrongSchema {
        /// What the id names.
        found: &'static str,
        /// What the reader wants.
        expected: &'static str,
    },
    /// The datum does not fit its schema.
    #[error("does not fit the schema {0}")]
    Malformed(&'static str),
}

/// A value that stands on a topic.
pub trait Message {
    /// The name of its schema.
    const SCHEMA: &'static str;
}

/// Encodes messages of one schema, reusing what can be reused. One per thread.
pub struct Encoder {
    id: u32,
    config: serde_avro_fast::ser::SerializerConfig<'static>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Encoder")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Encoder {
    /// An encoder of the newest version of the schema.
    #[must_use]
    pub fn new(schema: &'static str) -> Self {
        let schema = registry::latest(schema);
        Self {
            id: schema.id,
            config: serde_avro_fast::ser::SerializerConfig::new(&schema.parsed),
        }
    }

    /// Appends the framed message to `buffer`.
    ///
    /// # Errors
    /// When the value does not fit the schema; `buffer` is as it was.
    pub fn encode<T: Serialize>(
        &mut self,
        message: &T,
        buffer: &mut Vec<u8>,
    ) -> Result<(), serde_avro_fast::ser::SerError> {
        let start = buffer.len();
        header(self.id, buffer);
        let result = serde_avro_fast::to_datum(message, &mut *buffer, &mut self.config).map(|_| ());
        if result.is_err() {
            buffer.truncate(start);
        }
        result
    }
}

/// Appends the header.
pub(crate) fn header(id: u32, buffer: &mut Vec<u8>) {
    buffer.push(0);
    buffer.extend_from_slice(&id.to_be_bytes());
}

/// The framed message as a buffer of its own, by an encoder made for it: for tests and rare messages.
///
/// # Errors
/// When the value does not fit the schema.
pub fn encode<T: Message + Serialize>(
    message: &T,
) -> Result<Vec<u8>, serde_avro_fast::ser::SerError> {
    let mut buffer = Vec::new();
    Encoder::new(T::SCHEMA).encode(message, &mut buffer)?;
    Ok(buffer)
}

/// Splits a framed message into its schema and datum.
///
/// # Errors
/// [`Error::NotFramed`] and [`Error::UnknownSchema`].
pub fn split(message: &[u8]) -> Result<(&'static Schema, &[u8]), Error> {
    let [0, a, b, c, d, datum @ ..] = message else {
        return Err(Error::NotFramed);
    };
    let id = u32::from_be_bytes([*a, *b, *c, *d]);
    Ok((registry::by_id(id).ok_or(Error::UnknownSchema(id))?, datum))
}

/// The same, of a message that must be of that schema.
pub(crate) fn split_as<'a>(
    expected: &'static str,
    message: &'a [u8],
) -> Result<(&'static Schema, &'a [u8]), Error> {
    let (schema, datum) = split(message)?;
    if schema.name == expected {
        Ok((schema, datum))
    } else {
        Err(Error::WrongSchema {
            found: schema.name,
            expected,
        })
    }
}

/// Decodes a framed message, borrowing its strings.
///
/// # Errors
/// See [`Error`].
pub fn decode<'a, T: Message + Deserialize<'a>>(message: &'a [u8]) -> Result<T, Error> {
    let (schema, datum) = split_as(T::SCHEMA, message)?;
    serde_avro_fast::from_datum_slice(datum, &schema.parsed)
        .map_err(|_| Error::Malformed(schema.name))
}
