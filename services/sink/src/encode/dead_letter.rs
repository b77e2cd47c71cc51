//! Dead letters of every stage, the sink's own included.

use tributary_contracts::framing;
use tributary_contracts::wire::DeadLetter;

use super::Position;
use crate::rows::Rows;

pub(super) fn dead_letter(
    message: &[u8],
    position: Position<'_>,
    rows: &mut [Rows],
) -> Result<(), framing::Error> {
    let letter: DeadLetter<'_> = framing::decode(message)?;
    // A stage that was killed sends the same record again; ingest, which reads none, never does.
    let same = match letter.topic {
        "" => format!(
            "{}/{}/{}",
            position.epoch, position.partition, position.offset
        ),
        topic => format!(
            "{}/{topic}/{}/{}",
            letter.stage, letter.partition, letter.offset
        ),
    };
    rows[0].in_month_of(letter.received_at);
    rows[0].add(position.offset, |row| {
        row.text(letter.workspace)
            .text(letter.source)
            .text(letter.stage)
            .text(letter.reason)
            .text(letter.detail)
            .text(letter.message_id)
            .time(letter.received_at)
            .bytes(letter.payload)
            .text(letter.topic)
            .integer(letter.partition)
            .long(letter.offset)
            .text(&same);
        position.append(row);
    });
    Ok(())
}
