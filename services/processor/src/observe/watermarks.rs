//! Up to which event time the partitions are taken to be complete. Nothing waits for it: what comes late corrects what was
//! published.

use std::collections::BTreeMap;

use tributary_core::time::Timestamp;

/// The watermark of each partition. It never goes back: bounded out-of-orderness, and the clock where there is nothing left
/// to read (Akidau et al. 2015, "The Dataflow Model", call it a heuristic watermark).
#[derive(Debug)]
pub(super) struct Watermarks {
    /// In milliseconds.
    out_of_orderness: i64,
    by_partition: BTreeMap<i32, i64>,
}

impl Watermarks {
    /// None is known yet; events may come so many milliseconds later than others.
    pub(super) fn new(out_of_orderness: i64) -> Self {
        Self {
            out_of_orderness,
            by_partition: BTreeMap::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_partition.clear();
    }

    /// Sees an event, and says whether it is late.
    pub(super) fn see(&mut self, partition: i32, occurred_at: Timestamp) -> bool {
        let watermark = self.by_partition.entry(partition).or_insert(i64::MIN);
        let is_late = occurred_at.0 < *watermark;
        *watermark = (*watermark).max(occurred_at.0 - self.out_of_orderness);
        is_late
    }

    /// Everything up to now was read of the partition: it is as complete as one with events.
    pub(super) fn idle(&mut self, partition: i32, now: Timestamp) {
        self.see(partition, now);
    }

    pub(super) fn of(&self, partition: i32) -> Option<Timestamp> {
        self.by_partition.get(&partition).copied().map(Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_follows_the_newest_event_and_the_clock_where_there_is_none() {
        let mut watermarks = Watermarks::new(60);
        assert_eq!(watermarks.of(0), None);
        for (event, is_late, watermark) in [
            (1_000, false, 940),
            (940, false, 940),
            (939, true, 940),
            (2_000, false, 1_940),
            (1_000, true, 1_940),
        ] {
            assert_eq!(watermarks.see(0, Timestamp(event)), is_late, "{event}");
            assert_eq!(watermarks.of(0), Some(Timestamp(watermark)), "{event}");
        }
        watermarks.idle(0, Timestamp(9_000));
        watermarks.idle(1, Timestamp(9_000));
        assert_eq!(watermarks.of(0), watermarks.of(1));
        assert!(watermarks.see(1, Timestamp(8_939)), "after an idle time");
        watermarks.idle(1, Timestamp(8_000));
        assert_eq!(
            watermarks.of(1),
            Some(Timestamp(8_940)),
            "it never goes back"
        );
    }
}
