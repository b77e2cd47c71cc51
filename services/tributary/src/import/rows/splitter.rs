//! Cuts lines into values.

use super::NOT_UTF8;
use csv_core::ReadRecordResult;

/// Cuts lines at a separator, by the rules of RFC 4180.
#[derive(Debug)]
pub(super) struct Splitter {
    reader: csv_core::Reader,
    output: Vec<u8>,
    ends: Vec<usize>,
    written: usize,
    ended: usize,
}

impl Splitter {
    /// By that separator.
    pub(super) fn new(separator: u8) -> Self {
        Splitter {
            reader: csv_core::ReaderBuilder::new().delimiter(separator).build(),
            output: vec![0; 1024],
            ends: vec![0; 64],
            written: 0,
            ended: 0,
        }
    }

    /// Before a row.
    pub(super) fn reset(&mut self) {
        self.reader.reset();
        (self.written, self.ended) = (0, 0);
    }

    /// Takes in a line without its end; false if the row goes on in the next one.
    pub(super) fn feed(&mut self, line: &[u8]) -> bool {
        [line, b"\n"].iter().any(|part| self.feed_part(part))
    }

    fn feed_part(&mut self, mut input: &[u8]) -> bool {
        while !input.is_empty() {
            let (result, read, wrote, ends) = self.reader.read_record(
                input,
                &mut self.output[self.written..],
                &mut self.ends[self.ended..],
            );
            input = &input[read..];
            self.written += wrote;
            self.ended += ends;
            match result {
                ReadRecordResult::InputEmpty => return false,
                ReadRecordResult::OutputFull => self.output.resize(self.output.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => return true,
            }
        }
        false
    }

    /// The values of the row that is complete.
    pub(super) fn values(&self) -> Result<Vec<String>, String> {
        let text =
            std::str::from_utf8(&self.output[..self.written]).map_err(|_| NOT_UTF8.to_owned())?;
        let mut start = 0;
        self.ends[..self.ended]
            .iter()
            .map(|end| {
                // A value that ends within a character was cut from bytes that are no text.
                let value = text.get(start..*end).ok_or_else(|| NOT_UTF8.to_owned())?;
                start = *end;
                Ok(value.to_owned())
            })
            .collect()
    }
}
