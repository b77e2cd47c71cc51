//! The one acknowledgement of a batch: counts what is still out, and wakes whoever waits, once.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::NotAcknowledged;

/// Is told how a batch ended, once, also when nobody waits any more (the client went away): so every record is counted.
pub trait Settled: Send + Sync + 'static {
    /// So many records were acknowledged, and so many failed.
    fn settled(&self, delivered: usize, failed: usize);
}

/// Shared by a batch and its records.
#[derive(Debug)]
pub(super) struct Receipt<S> {
    /// Records out, and one for the batch itself until all are queued.
    out: AtomicUsize,
    total: AtomicUsize,
    failed: AtomicUsize,
    done: Notify,
    settled: S,
}

impl<S: Settled> Receipt<S> {
    pub(super) fn new(settled: S) -> Self {
        Self {
            out: AtomicUsize::new(1),
            total: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            done: Notify::new(),
            settled,
        }
    }

    /// Before a record is handed over: its report may come before the call returns.
    pub(super) fn sent(&self) {
        self.out.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    /// A record's report.
    pub(super) fn reported(&self, failed: bool) {
        if failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.complete();
    }

    /// One less is out; the last one tells.
    pub(super) fn complete(&self) {
        if self.out.fetch_sub(1, Ordering::AcqRel) == 1 {
            let (total, failed) = (
                self.total.load(Ordering::Relaxed),
                self.failed.load(Ordering::Relaxed),
            );
            if total > 0 {
                self.settled.settled(total - failed, failed);
            }
            self.done.notify_one();
        }
    }

    pub(super) async fn settled(&self) -> Result<(), NotAcknowledged> {
        while self.out.load(Ordering::Acquire) > 0 {
            self.done.notified().await;
        }
        let (total, failed) = (
            self.total.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
        );
        if failed > 0 {
            Err(NotAcknowledged { failed, total })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<(usize, usize)>>>);

    impl Settled for Told {
        fn settled(&self, delivered: usize, failed: usize) {
            self.0.lock().unwrap().push((delivered, failed));
        }
    }

    #[tokio::test]
    async fn a_batch_is_settled_once_whatever_the_order_of_reports() {
        let told = Told::default();
        let receipt = Receipt::new(told.clone());
        receipt.sent();
        receipt.reported(false);
        receipt.sent();
        assert!(
            told.0.lock().unwrap().is_empty(),
            "settled before all records were handed over"
        );
        receipt.complete();
        assert!(
            told.0.lock().unwrap().is_empty(),
            "settled before the last report"
        );
        receipt.reported(true);
        assert_eq!(*told.0.lock().unwrap(), [(1, 1)]);
        assert_eq!(
            receipt.settled().await,
            Err(NotAcknowledged {
                failed: 1,
                total: 2
            })
        );
    }

    #[tokio::test]
    async fn a_batch_without_records_is_acknowledged_and_tells_nobody() {
        let told = Told::default();
        let receipt = Receipt::new(told.clone());
        receipt.complete();
        assert_eq!(receipt.settled().await, Ok(()));
        assert!(told.0.lock().unwrap().is_empty());
    }
}
