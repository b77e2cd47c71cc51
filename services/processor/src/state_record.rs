//! Records of the local store and its changelog, framed.

use tributary_contracts::framing::{self, Encoder};
use tributary_contracts::wire::State;

use crate::runtime::stage::Broken;

/// The rules that these records were decided by, until rules have versions.
const RULES_VERSION: i64 = 1;

/// Encodes records, reusing its buffer.
#[derive(Debug)]
pub(crate) struct StateEncoder {
    encoder: Encoder,
    buffer: Vec<u8>,
}

impl StateEncoder {
    /// An encoder.
    pub(crate) fn new() -> Self {
        Self {
            encoder: Encoder::new("state"),
            buffer: Vec::new(),
        }
    }

    /// The framed record of a stage that reads no links.
    pub(crate) fn encode(&mut self, revision: i64, body: &[u8]) -> Result<&[u8], Broken> {
        self.buffer.clear();
        let state = State {
            revision,
            rules_version: RULES_VERSION,
            links_offset: -1,
            body,
        };
        self.encoder
            .encode(&state, &mut self.buffer)
            .map_err(|error| Broken(format!("encode a state record: {error}")))?;
        Ok(&self.buffer)
    }
}

/// Reads a record.
pub(crate) fn decode(record: &[u8]) -> Result<State<'_>, Broken> {
    framing::decode(record).map_err(|error| {
        Broken(format!(
            "a state record {error}: delete the local store, it is rebuilt"
        ))
    })
}
