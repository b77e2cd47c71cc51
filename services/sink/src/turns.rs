//! Who may insert now.
//!
//! What an insert costs the engine is mostly the same for one row and for a thousand: a part of its own, with a file for
//! most columns, and the merges that follow. So partitions take turns, and after an insert its turn rests three times as
//! long as the insert took. Under load, batches wait and grow, and four turns are one core's worth of inserts for the
//! engine instead of all it can get; without load nobody notices. A full batch costs by its rows, and its turn does not
//! rest.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, sleep_until};

/// A turn's rest, in the time that its insert took.
const REST: u32 = 3;

/// The turns of a process.
#[derive(Debug)]
pub(crate) struct Turns {
    free: Semaphore,
    /// When the rests end of the turns that are free.
    rests: Mutex<Vec<Instant>>,
    longest_rest: Duration,
}

/// Leave to insert; for whoever waits on drop.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    permit: Option<SemaphorePermit<'a>>,
    /// Since when it is used.
    since: Option<Instant>,
    rests: bool,
}

impl Turns {
    /// So many at a time.
    pub(crate) fn new(count: usize, longest_rest: Duration) -> Self {
        Self {
            free: Semaphore::new(count),
            rests: Mutex::default(),
            longest_rest,
        }
    }

    /// Waits for a turn; who came first goes first. Gives the turn up when it is dropped.
    pub(crate) async fn take(&self) -> Turn<'_> {
        let mut turn = Turn {
            turns: self,
            permit: None,
            since: None,
            rests: true,
        };
        turn.take().await;
        turn
    }

    /// The turn that is free soonest.
    fn soonest(&self) -> Option<Instant> {
        let mut rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let (index, _) = rests.iter().enumerate().min_by_key(|(_, until)| **until)?;
        Some(rests.swap_remove(index))
    }

    fn rest_until(&self, until: Instant) {
        self.rests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(until);
    }
}

impl Turn<'_> {
    /// The insert is as large as an insert may be.
    pub(crate) fn is_for_a_full_batch(&mut self) {
        self.rests = false;
    }

    /// Leaves the turn to others for some time, and then waits for another.
    pub(crate) async fn pause(&mut self, time: Duration) {
        self.give_up();
        sleep(time).await;
        self.take().await;
    }

    async fn take(&mut self) {
        self.permit = Some(self.turns.free.acquire().await.expect("never closed"));
        if let Some(until) = self.turns.soonest() {
            // Before `sleep_until` can be dropped: whoever is next must not use the turn before its rest is over.
            let mut resting = Resting {
                turns: self.turns,
                until: Some(until),
            };
            sleep_until(until).await;
            resting.until = None;
        }
        self.since = Some(Instant::now());
    }

    fn give_up(&mut self) {
        if let Some(since) = self.since.take().filter(|_| self.rests) {
            let now = Instant::now();
            let rest = ((now - since) * REST).min(self.turns.longest_rest);
            self.turns.rest_until(now + rest);
        }
        self.permit = None;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// A rest that goes on if nobody waits for its end any more.
struct Resting<'a> {
    turns: &'a Turns,
    until: Option<Instant>,
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        if let Some(until) = self.until {
            self.turns.rest_until(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_turn_rests_three_times_as_long_as_it_was_used() {
        let turns = Turns::new(1, 10 * SECOND);
        let turn = turns.take().await;
        sleep(SECOND).await;
        drop(turn);
        let free = Instant::now();
        drop(turns.take().await);
        assert_eq!(free.elapsed(), 3 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_has_an_end_and_a_full_batch_needs_none() {
        let turns = Turns::new(1, 2 * SECOND);
        let turn = turns.take().await;
        sleep(60 * SECOND).await;
        drop(turn);
        let free = Instant::now();
        let mut turn = turns.take().await;
        assert_eq!(free.elapsed(), 2 * SECOND);
        turn.is_for_a_full_batch();
        sleep(60 * SECOND).await;
        drop(turn);
        let free = Instant::now();
        drop(turns.take().await);
        assert_eq!(free.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_pauses_leaves_the_turn_to_others() {
        let turns = Turns::new(1, SECOND);
        let mut turn = turns.take().await;
        let began = Instant::now();
        let other = async {
            let turn = turns.take().await;
            assert_eq!(began.elapsed(), Duration::ZERO);
            sleep(5 * SECOND).await;
            drop(turn);
        };
        tokio::join!(turn.pause(2 * SECOND), other);
        assert_eq!(
            began.elapsed(),
            6 * SECOND,
            "5 s of the other and 1 s of rest"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_goes_on_when_a_waiter_leaves() {
        let turns = Turns::new(1, 10 * SECOND);
        let turn = turns.take().await;
        sleep(SECOND).await;
        drop(turn);
        let free = Instant::now();
        assert!(timeout(SECOND, turns.take()).await.is_err());
        drop(turns.take().await);
        assert_eq!(free.elapsed(), 3 * SECOND);
    }
}
