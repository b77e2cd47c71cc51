//! Rows of one size, of which a snapshot can be taken in parts while they change: a block that is about to change
//! before its part has come is copied first.

use std::ops::Deref;

/// What is kept in rows, and how it is written.
pub(super) trait Row: Copy {
    /// How many bytes a written one has.
    const BYTES: usize;
    /// How many make a block of a snapshot: some kilobytes.
    const BLOCK: usize = 256;

    fn write(&self, to: &mut Vec<u8>);

    /// `bytes` are as many as it has.
    fn read(bytes: &mut Bytes<'_>) -> Self;
}

/// Bytes that are read from the front; behind their end are zeros.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Bytes<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let (front, rest) = self.0.split_at(N.min(self.0.len()));
        taken[..front.len()].copy_from_slice(front);
        self.0 = rest;
        taken
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
}

impl Row for u8 {
    const BYTES: usize = 1;
    const BLOCK: usize = 8192;

    fn write(&self, to: &mut Vec<u8>) {
        to.push(*self);
    }

    fn read(bytes: &mut Bytes<'_>) -> Self {
        let [byte] = bytes.take();
        byte
    }
}

#[derive(Debug)]
pub(super) struct Rows<R> {
    rows: Vec<R>,
    snapshot: Option<Snapshot>,
}

/// A snapshot on its way.
#[derive(Debug)]
struct Snapshot {
    /// How many rows it has.
    rows: usize,
    /// Which of its blocks were written.
    written: Vec<bool>,
    /// Those before are.
    next: usize,
    /// Blocks that were written because they were about to change.
    early: Vec<u8>,
}

impl<R> Default for Rows<R> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            snapshot: None,
        }
    }
}

impl<R> Deref for Rows<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        &self.rows
    }
}

impl<R: Row> Rows<R> {
    pub(super) fn push(&mut self, row: R) {
        self.rows.push(row);
    }

    pub(super) fn extend(&mut self, rows: &[R]) {
        self.rows.extend_from_slice(rows);
    }

    pub(super) fn row_mut(&mut self, place: usize) -> &mut R {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.keep(place / R::BLOCK, &self.rows);
        }
        &mut self.rows[place]
    }

    /// What there is now is what [`part`](Self::part) will give; the number of its rows.
    pub(super) fn begin_snapshot(&mut self) -> u64 {
        self.snapshot = Some(Snapshot {
            rows: self.rows.len(),
            written: vec![false; self.rows.len().div_ceil(R::BLOCK)],
            next: 0,
            early: Vec::new(),
        });
        self.rows.len() as u64
    }

    /// Appends blocks to `part` until it is about `size` long; true once no block is left, and the snapshot has ended.
    pub(super) fn part(&mut self, size: usize, part: &mut Vec<u8>) -> bool {
        let Some(snapshot) = &mut self.snapshot else {
            return true;
        };
        part.append(&mut snapshot.early);
        while part.len() < size {
            match snapshot.written.get(snapshot.next) {
                None => {
                    self.snapshot = None;
                    return true;
                }
                Some(true) => {}
                Some(false) => snapshot.write(snapshot.next, &self.rows, part),
            }
            snapshot.next += 1;
        }
        false
    }

    pub(super) fn end_snapshot(&mut self) {
        self.snapshot = None;
    }

    /// Takes in the first of the blocks that [`part`](Self::part) gave; none where they are no blocks of these rows.
    /// What the rows of blocks that have not come hold means nothing.
    pub(super) fn take_block(&mut self, blocks: &mut Bytes<'_>) -> Option<usize> {
        let (begin, count) = (blocks.u32() as usize * R::BLOCK, blocks.u32() as usize);
        let rows = self.rows.get_mut(begin..begin.checked_add(count)?)?;
        let (mut block, rest) = blocks.0.split_at_checked(count * R::BYTES)?;
        for row in rows {
            let bytes;
            (bytes, block) = block.split_at(R::BYTES);
            *row = R::read(&mut Bytes(bytes));
        }
        blocks.0 = rest;
        Some(count)
    }

    /// As many rows, for [`take_block`](Self::take_block) to fill.
    pub(super) fn empty(count: u64) -> Option<Self> {
        let nothing = R::read(&mut Bytes(&[]));
        Some(Self {
            rows: vec![nothing; usize::try_from(count).ok()?],
            snapshot: None,
        })
    }

    /// All of them, to be changed while no snapshot is on its way.
    pub(super) fn all_mut(&mut self) -> &mut [R] {
        &mut self.rows
    }
}

impl Snapshot {
    /// A row of the block is about to change.
    fn keep<R: Row>(&mut self, block: usize, rows: &[R]) {
        if self.written.get(block) == Some(&false) {
            let mut early = std::mem::take(&mut self.early);
            self.write(block, rows, &mut early);
            self.early = early;
        }
    }

    fn write<R: Row>(&mut self, block: usize, rows: &[R], part: &mut Vec<u8>) {
        self.written[block] = true;
        let rows = &rows[block * R::BLOCK..self.rows.min((block + 1) * R::BLOCK)];
        for number in [block, rows.len()] {
            let number = u32::try_from(number).expect("memory ends long before so many blocks");
            part.extend_from_slice(&number.to_le_bytes());
        }
        for row in rows {
            row.write(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Row for u32 {
        const BYTES: usize = 4;
        const BLOCK: usize = 3;

        fn write(&self, to: &mut Vec<u8>) {
            to.extend_from_slice(&self.to_le_bytes());
        }

        fn read(bytes: &mut Bytes<'_>) -> Self {
            bytes.u32()
        }
    }

    fn read(parts: &[Vec<u8>], count: u64) -> Vec<u32> {
        let mut rows = Rows::<u32>::empty(count).expect("few");
        let mut taken = 0;
        for part in parts {
            let mut bytes = Bytes(part);
            while !bytes.0.is_empty() {
                taken += rows.take_block(&mut bytes).expect("a block of it") as u64;
            }
        }
        assert_eq!(taken, count, "each row comes once");
        rows.to_vec()
    }

    #[test]
    fn a_snapshot_is_of_its_beginning_whatever_changes_meanwhile() {
        let mut rows = Rows::default();
        rows.extend(&[0_u32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        let before = rows.to_vec();
        let count = rows.begin_snapshot();
        let mut parts = Vec::new();
        for turn in 0.. {
            *rows.row_mut(turn * 4 % 11) = 100;
            rows.push(50);
            let last = rows.len() - 1;
            *rows.row_mut(last) = 51;
            let mut part = Vec::new();
            let done = rows.part(1, &mut part);
            parts.push(part);
            if done {
                break;
            }
        }
        assert!(parts.len() > 3, "{parts:?}");
        assert_eq!(read(&parts, count), before);
        // And one after it is of what there is then.
        let (now, count) = (rows.to_vec(), rows.begin_snapshot());
        let mut part = Vec::new();
        assert!(rows.part(usize::MAX, &mut part));
        assert_eq!(read(&[part], count), now);
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let mut rows = Rows::<u32>::empty(4).expect("few");
        for bytes in [
            &[9, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4][..],
            &[0, 0, 0, 0, 2, 0, 0, 0, 1, 2, 3, 4],
            &[0, 0, 0, 0, 5, 0, 0, 0],
        ] {
            assert_eq!(rows.take_block(&mut Bytes(bytes)), None, "{bytes:?}");
        }
    }
}
