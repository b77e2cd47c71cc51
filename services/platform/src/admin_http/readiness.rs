//! Readiness: named checks, each set by the part that knows.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// All checks of a process; ready when each is. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    checks: BTreeMap<&'static str, Status>,
    stopping: bool,
}

/// One check as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Status {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Readiness {
    /// Declares a check, not ready until it is set.
    pub fn check(&self, name: &'static str) -> Check {
        let check = Check {
            name,
            readiness: self.clone(),
        };
        check.not_ready("starting");
        check
    }

    /// From now on nothing is ready: the first step of a stop, so that no new work is sent here.
    pub fn stop(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stopping = true;
    }

    /// Whether all checks are ready.
    pub fn is_ready(&self) -> bool {
        self.report().0
    }

    /// The checks that are not ready, with their reasons, for people.
    pub fn waiting_for(&self) -> Vec<String> {
        let (_, checks) = self.report();
        checks
            .into_iter()
            .filter(|(_, status)| !status.ready)
            .map(|(name, status)| format!("{name}: {}", status.reason.unwrap_or_default()))
            .collect()
    }

    pub(super) fn report(&self) -> (bool, BTreeMap<&'static str, Status>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut checks = state.checks.clone();
        if state.stopping {
            checks.insert(
                "process",
                Status {
                    ready: false,
                    reason: Some("stopping".to_owned()),
                },
            );
        }
        (checks.values().all(|status| status.ready), checks)
    }
}

/// The handle of one check. Clones set the same one.
#[derive(Debug, Clone)]
pub struct Check {
    name: &'static str,
    readiness: Readiness,
}

impl Check {
    /// This part can do its work.
    pub fn ready(&self) {
        self.set(Status {
            ready: true,
            reason: None,
        });
    }

    /// It cannot, and why: a phrase without personal data or secrets.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Status {
            ready: false,
            reason: Some(reason.into()),
        });
    }

    fn set(&self, status: Status) {
        let mut state = self
            .readiness
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let old = state.checks.insert(self.name, status.clone());
        if old.as_ref().is_none_or(|old| *old != status) {
            let reason = status.reason.as_deref();
            tracing::info!(
                check = self.name,
                ready = status.ready,
                reason,
                "readiness changed"
            );
        }
    }
}
