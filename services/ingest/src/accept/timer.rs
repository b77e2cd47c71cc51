//! One timer for all deadlines of a connection.
//!
//! hyper asks for a new sleep with each request's head and drops it when the head is there. Each would enter and leave
//! tokio's timer wheel, under its lock. A connection's deadlines only get later, so one sleep is enough: when it ends
//! before the deadline of the day, it sleeps on.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// The timer of one connection.
pub(super) struct ConnectionTimer(Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>);

impl ConnectionTimer {
    pub(super) fn new() -> Self {
        let sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self(Arc::new(Mutex::new(sleep)))
    }
}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Until {
            deadline: deadline.into(),
            sleep: Arc::clone(&self.0),
        })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

/// Ends at a deadline.
struct Until {
    deadline: tokio::time::Instant,
    sleep: Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>,
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut sleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        if sleep.deadline() > self.deadline {
            sleep.as_mut().reset(self.deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if sleep.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(self.deadline);
        }
    }
}

impl Sleep for Until {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_met_though_the_sleep_was_for_another() {
        let timer = ConnectionTimer::new();
        let begin = tokio::time::Instant::now();
        let at = |milliseconds| (begin + Duration::from_millis(milliseconds)).into_std();
        // Given up, as when a head has come; then a later one, an earlier one, and one that has passed.
        let given_up = tokio::time::timeout(Duration::from_millis(10), timer.sleep_until(at(50)));
        assert!(given_up.await.is_err());
        for (deadline, ends) in [(80, 80), (200, 200), (150, 200), (300, 300)] {
            timer.sleep_until(at(deadline)).await;
            assert_eq!(begin.elapsed(), Duration::from_millis(ends), "{deadline}");
        }
        let (late, early) = (timer.sleep_until(at(500)), timer.sleep_until(at(400)));
        drop(tokio::time::timeout(Duration::from_millis(1), late).await);
        early.await;
        assert_eq!(begin.elapsed(), Duration::from_millis(400));
    }
}
