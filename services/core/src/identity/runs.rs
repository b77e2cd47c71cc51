//! Sorting in slices.

use std::cmp::Ordering;
use std::vec::IntoIter;

/// Items that are sorted at once: some milliseconds.
const RUN: usize = 1 << 14;

/// What it costs to sort an item in a run, in steps.
const SORTING: usize = 4;

/// Items in sorted runs, which are made one.
#[derive(Debug)]
pub(super) struct Runs<T> {
    open: Vec<T>,
    /// The longest first.
    sorted: Vec<Vec<T>>,
    merging: Option<Merging<T>>,
}

#[derive(Debug)]
struct Merging<T> {
    left: IntoIter<T>,
    right: IntoIter<T>,
    merged: Vec<T>,
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            sorted: Vec::new(),
            merging: None,
        }
    }
}

impl<T> Runs<T> {
    /// Takes in an item; what that costs goes off `steps`.
    pub(super) fn push(
        &mut self,
        item: T,
        compare: impl Fn(&T, &T) -> Ordering,
        steps: &mut usize,
    ) {
        self.open.push(item);
        if self.open.len() == RUN {
            self.close(compare, steps);
        }
    }

    fn close(&mut self, compare: impl Fn(&T, &T) -> Ordering, steps: &mut usize) {
        *steps = steps.saturating_sub(self.open.len() * SORTING);
        self.open.sort_unstable_by(compare);
        self.sorted.push(std::mem::take(&mut self.open));
    }

    /// Goes on making one run of all; true when there is one.
    pub(super) fn merge(
        &mut self,
        compare: impl Fn(&T, &T) -> Ordering,
        steps: &mut usize,
    ) -> bool {
        if !self.open.is_empty() {
            self.close(&compare, steps);
        }
        loop {
            let Some(now) = &mut self.merging else {
                if self.sorted.len() < 2 {
                    return true;
                }
                let (Some(one), Some(other)) = (self.sorted.pop(), self.sorted.pop()) else {
                    return true;
                };
                self.merging = Some(Merging {
                    merged: Vec::with_capacity(one.len() + other.len()),
                    left: one.into_iter(),
                    right: other.into_iter(),
                });
                continue;
            };
            while *steps > 0 {
                let takes_left = match (now.left.as_slice().first(), now.right.as_slice().first()) {
                    (None, None) => break,
                    (Some(_), None) => true,
                    (None, Some(_)) => false,
                    (Some(one), Some(other)) => compare(one, other).is_le(),
                };
                *steps -= 1;
                let taken = if takes_left {
                    now.left.next()
                } else {
                    now.right.next()
                };
                now.merged.extend(taken);
            }
            if now.left.len() + now.right.len() > 0 {
                return false;
            }
            let merged = std::mem::take(&mut now.merged);
            self.merging = None;
            // All of about one length are merged before any that was.
            self.sorted.insert(0, merged);
        }
    }

    /// All items in their order, once they are one run.
    pub(super) fn take(&mut self) -> IntoIter<T> {
        self.sorted.pop().unwrap_or_default().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_in_their_order_whatever_the_slices() {
        for (count, slice) in [
            (0, 1),
            (1, 1),
            (RUN, 7),
            (3 * RUN + 5, 1_000),
            (5 * RUN, usize::MAX),
        ] {
            let mut runs = Runs::default();
            for item in 0..count {
                runs.push(item * 7_919 % count, Ord::cmp, &mut 0);
            }
            let mut rounds = 0;
            while !runs.merge(Ord::cmp, &mut slice.clone()) {
                rounds += 1;
                assert!(rounds < 1_000_000, "it comes to no end");
            }
            assert!(runs.take().eq(0..count), "{count} in slices of {slice}");
        }
    }
}
