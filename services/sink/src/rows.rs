//! Encoded rows of one table, of one range of offsets.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::row::Row;
use crate::table::Table;

/// Rows of one table in the order of their offsets.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) table: &'static Table,
    bytes: Vec<u8>,
    /// Offset of the record that a row comes from, and where the row ends.
    ends: Vec<(i64, usize)>,
    /// Months that these rows fall into, where the table is partitioned by month.
    months: BTreeSet<i32>,
    /// The last row's day: mostly the next row's, too.
    day: Option<i32>,
}

/// The bytes go to the engine in pieces, so that the client does not copy them into one.
const PIECE: usize = 1024 * 1024;

impl Rows {
    pub(crate) const fn new(table: &'static Table) -> Self {
        Self {
            table,
            bytes: Vec::new(),
            ends: Vec::new(),
            months: BTreeSet::new(),
            day: None,
        }
    }

    /// Adds the row that `append` writes, all of it.
    pub(crate) fn add(&mut self, offset: i64, append: impl FnOnce(&mut Row<'_>)) {
        append(&mut Row(&mut self.bytes));
        self.ends.push((offset, self.bytes.len()));
    }

    /// Notes the month of a row, where the table is partitioned by month.
    pub(crate) fn in_month_of(&mut self, time: tributary_core::time::Timestamp) {
        let day = time.day();
        if self.day.replace(day) != Some(day) {
            self.months.insert(month(day));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn months(&self) -> usize {
        self.months.len()
    }

    /// Offsets of the rows; one that has several rows comes several times.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = i64> + '_ {
        self.ends.iter().map(|(offset, _)| *offset)
    }

    /// The rows whose offset is wanted.
    pub(crate) fn only(&self, wanted: impl Fn(i64) -> bool) -> Self {
        let mut rows = Self::new(self.table);
        let mut start = 0;
        for (offset, end) in &self.ends {
            if wanted(*offset) {
                rows.bytes.extend_from_slice(&self.bytes[start..*end]);
                rows.ends.push((*offset, rows.bytes.len()));
            }
            start = *end;
        }
        rows.months.clone_from(&self.months);
        rows
    }

    /// Halves, for a search; none where there is but one offset.
    pub(crate) fn halves(&self) -> Option<(Self, Self)> {
        let (first, last) = (self.ends.first()?.0, self.ends.last()?.0);
        let middle = self.ends[self.ends.len() / 2].0;
        let cut = if middle > first {
            middle
        } else {
            self.offsets().find(|offset| *offset > first)?
        };
        debug_assert!(cut <= last);
        Some((
            self.only(|offset| offset < cut),
            self.only(|offset| offset >= cut),
        ))
    }

    /// The rows' bytes, in pieces.
    pub(crate) fn pieces(self) -> Vec<Bytes> {
        let mut bytes = Bytes::from(self.bytes);
        let mut pieces = Vec::with_capacity(bytes.len() / PIECE + 1);
        while bytes.len() > PIECE {
            pieces.push(bytes.split_to(PIECE));
        }
        pieces.push(bytes);
        pieces
    }
}

/// The number of the month that a day, counted from 1970-01-01, is in: Howard Hinnant's `civil_from_days`.
const fn month(day: i32) -> i32 {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Counted from March; January and February are the last months of the year before.
    let month_from_march = (5 * day_of_year + 2) / 153;
    (era * 400 + year_of_era) * 12 + month_from_march
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::ANSWERS;

    #[test]
    fn days_of_a_month_share_its_number_and_months_follow_each_other() {
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut day = 0;
        let mut expected = month(0);
        for year in 1970..2300 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            for (index, length) in lengths.into_iter().enumerate() {
                let length = if index == 1 && leap { 29 } else { length };
                assert_eq!(
                    (month(day), month(day + length - 1)),
                    (expected, expected),
                    "{year}-{}",
                    index + 1
                );
                day += length;
                expected += 1;
            }
        }
    }

    fn some() -> Rows {
        let mut rows = Rows::new(&ANSWERS);
        for (offset, text) in [(1, "a"), (1, "bb"), (4, ""), (7, "cccc")] {
            rows.add(offset, |row| {
                row.text(text);
            });
        }
        rows
    }

    #[test]
    fn rows_are_chosen_by_offset_whole() {
        let rows = some().only(|offset| offset != 4);
        assert_eq!(rows.offsets().collect::<Vec<_>>(), [1, 1, 7]);
        assert_eq!(rows.pieces().concat(), b"\x01a\x02bb\x04cccc");
    }

    #[test]
    fn halves_never_part_the_rows_of_an_offset() {
        let (left, right) = some().halves().expect("several offsets");
        assert_eq!(
            (
                left.offsets().collect::<Vec<_>>(),
                right.offsets().collect::<Vec<_>>()
            ),
            (vec![1, 1], vec![4, 7])
        );
        assert!(left.halves().is_none());
        let (left, right) = right.halves().expect("two offsets");
        assert_eq!((left.len(), right.len()), (1, 1));
        assert!(left.halves().is_none() && right.halves().is_none());
    }

    #[test]
    fn pieces_put_together_are_the_rows() {
        let mut rows = Rows::new(&ANSWERS);
        let long = "x".repeat(PIECE);
        for offset in 0..3 {
            rows.add(offset, |row| {
                row.text(&long);
            });
        }
        let whole = rows.bytes.clone();
        let pieces = rows.pieces();
        assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(pieces.concat(), whole);
    }
}
