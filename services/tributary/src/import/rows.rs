//! Cuts a file into rows, in flat memory whatever stands in it.

mod splitter;

use super::mapping::Shape;
use sha2::{Digest, Sha256};
use splitter::Splitter;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// A row longer than this is rejected: an event may have 32 KB, and a quote that never closes would
/// otherwise swallow the rest of the file.
const MAX_ROW_BYTES: u64 = 256 * 1024;
/// What of a rejected row that is too long is kept.
const KEPT_BYTES: usize = 200;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a first pass over the file tells.
#[derive(Debug)]
pub(super) struct Survey {
    /// The first 32 hexadecimal digits of the file's SHA-256.
    pub(super) digest: String,
    /// Lines, of which the last may lack its end.
    pub(super) lines: u64,
    /// Length in bytes.
    pub(super) bytes: u64,
}

impl Survey {
    /// Reads the whole file once.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let kind = file.metadata()?;
        if !kind.is_file() {
            return Err(io::Error::other(
                "it is no regular file, and it must be read twice",
            ));
        }
        let mut hash = Sha256::new();
        let (mut lines, mut bytes, mut last) = (0, 0, b'\n');
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = file.read(&mut buffer)?;
            let Some(end) = buffer[..length].last() else {
                break;
            };
            last = *end;
            hash.update(&buffer[..length]);
            lines += buffer[..length]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count() as u64;
            bytes += length as u64;
        }
        if last != b'\n' {
            lines += 1;
        }
        let digest = hash
            .finalize()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Survey {
            digest,
            lines,
            bytes,
        })
    }
}

/// A place between two rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Lines before it.
    pub(super) lines: u64,
    /// Bytes before it.
    pub(super) bytes: u64,
}

/// A row as it stands in the file.
#[derive(Debug)]
pub(super) struct Row {
    /// Its first line, counted from 1.
    pub(super) line: u64,
    /// The place behind it.
    pub(super) end: Position,
    /// As it stands, without the end of the line; shortened if it is too long.
    pub(super) text: String,
    /// Its values in the order of columns, none for JSON; or why it cannot be cut.
    pub(super) values: Result<Vec<String>, String>,
}

/// The rows of a file, one after the other.
#[derive(Debug)]
pub(super) struct Rows {
    input: BufReader<File>,
    shape: Shape,
    splitter: Splitter,
    position: Position,
}

enum Line {
    Whole,
    TooLong,
    End,
}

impl Rows {
    /// From the start of the file.
    pub(super) fn open(path: &Path, shape: Shape) -> io::Result<Self> {
        let separator = match shape {
            Shape::Csv { separator } => separator,
            _ => b',',
        };
        Ok(Rows {
            input: BufReader::with_capacity(1 << 16, File::open(path)?),
            shape,
            splitter: Splitter::new(separator),
            position: Position::default(),
        })
    }

    /// Goes on from there.
    pub(super) fn seek(&mut self, position: Position) -> io::Result<()> {
        self.input.seek(SeekFrom::Start(position.bytes))?;
        self.position = position;
        Ok(())
    }

    /// The next row that is not blank.
    pub(super) fn next(&mut self) -> io::Result<Option<Row>> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let start = self.position;
            let line = self.line(&mut bytes)?;
            if start.bytes == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            let values = match line {
                Line::End => return Ok(None),
                Line::TooLong => Err(format!("is longer than {MAX_ROW_BYTES} bytes")),
                Line::Whole if bytes.trim_ascii().is_empty() => continue,
                Line::Whole => self.values(&mut bytes)?,
            };
            if values.is_err() {
                bytes.truncate(KEPT_BYTES);
            }
            return Ok(Some(Row {
                line: start.lines + 1,
                end: self.position,
                text: String::from_utf8_lossy(&bytes).into_owned(),
                values,
            }));
        }
    }

    fn values(&mut self, bytes: &mut Vec<u8>) -> io::Result<Result<Vec<String>, String>> {
        match self.shape {
            Shape::Csv { .. } => self.csv(bytes),
            shape => Ok(match std::str::from_utf8(bytes) {
                Err(_) => Err(NOT_UTF8.to_owned()),
                Ok(text) if shape == Shape::Blanks => {
                    Ok(text.split_whitespace().map(str::to_owned).collect())
                }
                Ok(_) => Ok(Vec::new()),
            }),
        }
    }

    /// A quoted value may hold line ends; then further lines belong to the row.
    fn csv(&mut self, bytes: &mut Vec<u8>) -> io::Result<Result<Vec<String>, String>> {
        let first = (self.position, bytes.len());
        self.splitter.reset();
        let mut from = 0;
        while !self.splitter.feed(&bytes[from..]) {
            from = bytes.len() + 1;
            bytes.push(b'\n');
            let line = if bytes.len() as u64 > MAX_ROW_BYTES {
                Line::TooLong
            } else {
                self.line(bytes)?
            };
            if !matches!(line, Line::Whole) {
                bytes.truncate(first.1);
                self.seek(first.0)?;
                return Ok(Err("a quote opens here and is never closed".to_owned()));
            }
        }
        Ok(self.splitter.values())
    }

    /// Appends a line without its end.
    fn line(&mut self, bytes: &mut Vec<u8>) -> io::Result<Line> {
        let length = self
            .input
            .by_ref()
            .take(MAX_ROW_BYTES)
            .read_until(b'\n', bytes)? as u64;
        if length == 0 {
            return Ok(Line::End);
        }
        self.position.bytes += length;
        self.position.lines += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        } else if length == MAX_ROW_BYTES {
            self.skip_line()?;
            return Ok(Line::TooLong);
        }
        Ok(Line::Whole)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let chunk = self.input.fill_buf()?;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(chunk.len(), |end| end + 1);
            self.input.consume(length);
            self.position.bytes += length as u64;
            if end.is_some() || length == 0 {
                return Ok(());
            }
        }
    }
}

const NOT_UTF8: &str =
    "is not UTF-8; convert the file, for example with `iconv -f latin1 -t utf-8`";

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const CSV: Shape = Shape::Csv { separator: b',' };

    fn rows(shape: Shape, bytes: &[u8]) -> Vec<(u64, Result<Vec<String>, String>)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut rows = Rows::open(file.path(), shape).unwrap();
        std::iter::from_fn(|| rows.next().unwrap().map(|row| (row.line, row.values))).collect()
    }

    fn check(shape: Shape, text: &str, expected: &[(u64, &[&str])]) {
        let actual: Vec<(u64, Vec<String>)> = rows(shape, text.as_bytes())
            .into_iter()
            .map(|(line, values)| (line, values.unwrap()))
            .collect();
        let expected: Vec<(u64, Vec<String>)> = expected
            .iter()
            .map(|(line, values)| {
                (
                    *line,
                    values.iter().map(|value| (*value).to_owned()).collect(),
                )
            })
            .collect();
        assert_eq!(actual, expected, "{text:?}");
    }

    #[test]
    fn rows_are_cut_at_separators_and_know_their_line() {
        check(CSV, "a,b\r\n\r\n1,\n", &[(1, &["a", "b"]), (3, &["1", ""])]);
        check(
            CSV,
            "\u{feff}a,b\n1,2",
            &[(1, &["a", "b"]), (2, &["1", "2"])],
        );
        check(
            CSV,
            "\"a,\"\"x\",b\n\"two\nlines\",c\nd,5\" disk\n",
            &[
                (1, &["a,\"x", "b"]),
                (2, &["two\nlines", "c"]),
                (4, &["d", "5\" disk"]),
            ],
        );
        check(
            Shape::Csv { separator: b';' },
            "a;b,c\n",
            &[(1, &["a", "b,c"])],
        );
        check(
            Shape::Blanks,
            " 00001 19970101  1   11.77\r\n\n x\ty\n",
            &[(1, &["00001", "19970101", "1", "11.77"]), (3, &["x", "y"])],
        );
        let wide = "x,".repeat(3000);
        assert_eq!(
            rows(CSV, wide.as_bytes())[0].1.as_ref().map(Vec::len),
            Ok(3001)
        );
    }

    #[test]
    fn a_quote_that_never_closes_costs_only_its_own_line() {
        let rows = rows(CSV, b"a,\"b\nc,d\ne,f\n");
        assert!(
            rows[0]
                .1
                .as_ref()
                .is_err_and(|reason| reason.contains("never closed")),
            "{rows:?}"
        );
        assert_eq!(
            rows[1..],
            [
                (2, Ok(vec!["c".to_owned(), "d".to_owned()])),
                (3, Ok(vec!["e".to_owned(), "f".to_owned()]))
            ]
        );
    }

    #[test]
    fn a_line_without_end_is_rejected_in_flat_memory_and_the_next_is_read() {
        let mut bytes = vec![b'x'; 2_000_000];
        bytes.extend(b"\na,b\n");
        for shape in [CSV, Shape::Blanks, Shape::NdJson] {
            let rows = rows(shape, &bytes);
            assert!(
                rows[0]
                    .1
                    .as_ref()
                    .is_err_and(|reason| reason.contains("longer")),
                "{shape:?}"
            );
            assert_eq!((rows.len(), rows[1].0), (2, 2), "{shape:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_reject_their_row_alone() {
        let rows = rows(CSV, b"caf\xe9,1\nb,2\n");
        assert!(
            rows[0]
                .1
                .as_ref()
                .is_err_and(|reason| reason.contains("UTF-8")),
            "{rows:?}"
        );
        assert!(rows[1].1.is_ok());
    }

    #[test]
    fn reading_goes_on_from_any_position() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"a,b\n\"1\n2\",3\n4,5\n").unwrap();
        let mut rows = Rows::open(file.path(), CSV).unwrap();
        rows.next().unwrap();
        let second = rows.next().unwrap().unwrap();
        let mut again = Rows::open(file.path(), CSV).unwrap();
        again.seek(second.end).unwrap();
        let third = again.next().unwrap().unwrap();
        assert_eq!((third.line, third.text.as_str()), (4, "4,5"));
        assert_eq!(again.next().unwrap().map(|row| row.line), None);
    }

    #[test]
    fn the_survey_counts_lines_and_digests_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"a\nb\nc").unwrap();
        let survey = Survey::of(file.path()).unwrap();
        assert_eq!((survey.lines, survey.bytes), (3, 5));
        assert_eq!(survey.digest, "ea7fb08b7a2dc4619ffb7c7bb38d95a2");
        assert!(Survey::of(Path::new("/dev/null")).is_err());
    }
}
