//! Publishing: the values of a block's marks, as one record that replaces the block's earlier one.

use tributary_contracts::framing::Encoder;
use tributary_contracts::keys;
use tributary_contracts::wire::KpiBlock;
use tributary_core::kpi::{Block, Sum, Value, Window};
use tributary_core::money::Amount;

use crate::runtime::stage::{Broken, Outputs};

use super::tally::Tally;

/// Topic of values.
const TOPIC: &str = "kpis";

/// The values of a block at its marks up to the clock.
#[derive(Debug, Default)]
pub(super) struct Values {
    marks: Vec<i32>,
    numerators: Vec<Amount>,
    denominators: Vec<i64>,
    /// The sum at the last mark.
    pub(super) last: Sum,
}

impl Values {
    /// The values of the first `marks` marks.
    pub(super) fn of(tally: &Tally, block: &Block, base: Sum, marks: i64) -> Self {
        let mut values = Self {
            last: base,
            ..Self::default()
        };
        block.running(base, marks, |offset, sum| {
            values.last = sum;
            if let Some(value) = Value::of(tally.kpi, sum) {
                values.marks.push(i32::from(offset));
                values.numerators.push(value.numerator);
                values.denominators.push(value.denominator);
            }
        });
        values
    }

    /// Whether no mark has a value.
    pub(super) const fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }
}

/// Sends records, reusing its buffer.
#[derive(Debug)]
pub(super) struct Records {
    encoder: Encoder,
    buffer: Vec<u8>,
}

impl Records {
    pub(super) fn new() -> Self {
        Self {
            encoder: Encoder::new("kpi"),
            buffer: Vec::new(),
        }
    }

    /// Sends the values of a block.
    pub(super) fn send(
        &mut self,
        tally: &Tally,
        window: Window,
        block: i64,
        values: Values,
        revision: i64,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let [workspace, kpi, currency, dimension, dimension_value] = tally.parts();
        let record = KpiBlock {
            workspace,
            kpi,
            window: window.name(),
            currency,
            dimension,
            dimension_value,
            block_start: window.time_of(window.block_start(block)),
            step_ms: window.step(),
            marks: values.marks,
            numerators: values.numerators,
            denominators: values.denominators,
            revision,
        };
        self.buffer.clear();
        self.encoder
            .encode(&record, &mut self.buffer)
            .map_err(|error| Broken(format!("encode a KPI's block: {error}")))?;
        let key = keys::joined(&[
            workspace,
            kpi,
            window.name(),
            currency,
            dimension,
            dimension_value,
            &block.to_string(),
        ]);
        let partition = keys::partition(tally.key.as_bytes(), outputs.partitions(TOPIC));
        outputs.send(TOPIC, partition, &key, &self.buffer)
    }
}
