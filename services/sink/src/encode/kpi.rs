//! KPIs in blocks of marks, and alerts.

use tributary_contracts::framing;
use tributary_contracts::wire::{Alert, KpiBlock};

use super::Position;
use crate::rows::Rows;

pub(super) fn block(
    message: &[u8],
    position: Position<'_>,
    rows: &mut [Rows],
) -> Result<(), framing::Error> {
    let block: KpiBlock<'_> = framing::decode(message)?;
    // The engine demands arrays of one length, and a mark without its values is no value.
    let marks = block.marks.len();
    if block.numerators.len() != marks || block.denominators.len() != marks {
        return Err(framing::Error::Malformed("kpi"));
    }
    rows[0].add(position.offset, |row| {
        row.text(block.workspace)
            .text(block.kpi)
            .text(block.window)
            .text(block.currency)
            .text(block.dimension)
            .text(block.dimension_value)
            .time(block.block_start)
            .long(block.step_ms)
            .array(block.marks.iter(), |row, mark| {
                row.integer(*mark);
            })
            .array(block.numerators.iter(), |row, numerator| {
                row.amount(*numerator);
            })
            .array(block.denominators.iter(), |row, denominator| {
                row.long(*denominator);
            })
            .long(block.revision);
        position.append(row);
    });
    Ok(())
}

pub(super) fn alert(
    message: &[u8],
    position: Position<'_>,
    rows: &mut [Rows],
) -> Result<(), framing::Error> {
    let alert: Alert<'_> = framing::decode(message)?;
    rows[0].add(position.offset, |row| {
        row.text(alert.workspace)
            .text(alert.alert)
            .time(alert.raised_at)
            .optional_time(alert.cleared_at)
            .amount(alert.value)
            .amount(alert.usual)
            .amount(alert.most)
            .long(alert.revision);
        position.append(row);
    });
    Ok(())
}
