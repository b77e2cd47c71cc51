//! The request to stop: given once, seen by everyone who holds a token.

use tokio::sync::watch;

/// Requests the stop. Dropping it requests it, too: nobody is left who could.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

impl Trigger {
    /// Requests the stop.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }
}

/// Tells that a stop is requested. Clones see the same request.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Whether a stop is requested; cheap, for loops that block.
    pub fn is_requested(&self) -> bool {
        // Only the request changes it, or that the trigger is gone.
        !matches!(self.0.has_changed(), Ok(false))
    }

    /// Returns once a stop is requested.
    pub async fn requested(&self) {
        let _ = self.0.clone().wait_for(|requested| *requested).await;
    }
}

/// A token and what triggers it.
pub fn shutdown() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

/// The first SIGINT or SIGTERM.
pub async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
