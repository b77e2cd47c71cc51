//! Life of a process: named, tracked tasks, and a stop in stages with a budget of time for each.
//!
//! ```text
//! Lifecycle ── component("ingest", 3 s) ─> Scope ─ spawn("server"), spawn_thread("producer poll")
//!     │        component("sink", 3 s)   ─> Scope ─ ...
//!     └─ stop: components in the order in which they were declared, each told through its Shutdown
//! ```

mod shutdown;
#[cfg(test)]
mod tests;

pub use shutdown::{Shutdown, Trigger, shutdown, signal};

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A task ended with an error or a panic: the process should stop.
#[derive(Debug, thiserror::Error)]
#[error("{component}: {task}: {cause}")]
pub struct Failure {
    /// The component's name.
    pub component: &'static str,
    /// The task's name.
    pub task: String,
    /// What happened.
    pub cause: BoxError,
}

/// All components of a process.
#[derive(Debug)]
pub struct Lifecycle {
    components: Vec<Component>,
    failures: mpsc::UnboundedReceiver<Failure>,
    report: mpsc::UnboundedSender<Failure>,
}

#[derive(Debug)]
struct Component {
    scope: Scope,
    trigger: Trigger,
    budget: Duration,
}

impl Default for Lifecycle {
    fn default() -> Self {
        // Unbounded: at most one message a task.
        let (report, failures) = mpsc::unbounded_channel();
        Lifecycle {
            components: Vec::new(),
            failures,
            report,
        }
    }
}

impl Lifecycle {
    /// Declares a component. Components stop in the order of their declaration, each within its budget.
    pub fn component(&mut self, name: &'static str, budget: Duration) -> Scope {
        let (trigger, shutdown) = shutdown();
        let scope = Scope {
            component: name,
            shutdown,
            running: Arc::new(Running::default()),
            report: self.report.clone(),
        };
        self.components.push(Component {
            scope: scope.clone(),
            trigger,
            budget,
        });
        scope
    }

    /// The first task that fails; pending for as long as none does.
    pub async fn failure(&mut self) -> Failure {
        match self.failures.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Stops all components, one after the other. Tasks that outlast their component's budget are aborted and
    /// named in the answer; threads cannot be, and are only named.
    pub async fn stop(self) -> Vec<String> {
        let mut left = Vec::new();
        for component in self.components {
            let name = component.scope.component;
            component.trigger.trigger();
            let idle = component.scope.running.idle();
            if tokio::time::timeout(component.budget, idle).await.is_err() {
                for task in component.scope.running.abort() {
                    tracing::warn!(component = name, task, budget = ?component.budget, "did not stop in time");
                    left.push(format!("{name}: {task}"));
                }
            }
            tracing::debug!(component = name, "stopped");
        }
        left
    }
}

/// The handle through which a component spawns its tasks and learns that it should stop.
#[derive(Debug, Clone)]
pub struct Scope {
    component: &'static str,
    shutdown: Shutdown,
    running: Arc<Running>,
    report: mpsc::UnboundedSender<Failure>,
}

impl Scope {
    /// Tells that this component should stop.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Spawns an async task. An error or panic of it is the process's [`Lifecycle::failure`].
    pub fn spawn<F, E>(&self, task: impl Into<String>, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        let task = task.into();
        let guard = self.running.enter(&task);
        let inner = tokio::spawn(future);
        self.running.set_abort(guard.id, inner.abort_handle());
        let scope = self.clone();
        tokio::spawn(async move {
            let _guard = guard;
            match inner.await {
                Ok(result) => scope.ended(task, result.map_err(Into::into)),
                Err(error) if error.is_cancelled() => {}
                Err(_) => scope.ended(
                    task,
                    Err("panicked; its message is on standard error".into()),
                ),
            }
        });
    }

    /// Spawns a thread, for calls that block (librdkafka's). An error or panic of it is the process's
    /// [`Lifecycle::failure`].
    pub fn spawn_thread<F, E>(&self, task: impl Into<String>, body: F) -> std::io::Result<()>
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
        E: Into<BoxError>,
    {
        let task = task.into();
        let guard = self.running.enter(&task);
        let scope = self.clone();
        std::thread::Builder::new()
            .name(task.clone())
            .spawn(move || {
                let _guard = guard;
                match catch_unwind(AssertUnwindSafe(body)) {
                    Ok(result) => scope.ended(task, result.map_err(Into::into)),
                    Err(_) => scope.ended(
                        task,
                        Err("panicked; its message is on standard error".into()),
                    ),
                }
            })?;
        Ok(())
    }

    fn ended(&self, task: String, result: Result<(), BoxError>) {
        if let Err(cause) = result {
            // The receiver is gone only once the process stops anyway.
            let _ = self.report.send(Failure {
                component: self.component,
                task,
                cause,
            });
        }
    }
}

#[derive(Debug)]
struct Running {
    tasks: Mutex<BTreeMap<u64, (String, Option<tokio::task::AbortHandle>)>>,
    count: watch::Sender<u64>,
}

impl Default for Running {
    fn default() -> Self {
        Running {
            tasks: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }
}

impl Running {
    fn enter(self: &Arc<Self>, task: &str) -> Guard {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let id = tasks.last_key_value().map_or(0, |(last, _)| last + 1);
        tasks.insert(id, (task.to_owned(), None));
        self.count.send_modify(|count| *count += 1);
        Guard {
            running: Arc::clone(self),
            id,
        }
    }

    fn set_abort(&self, id: u64, handle: tokio::task::AbortHandle) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, abort)) = tasks.get_mut(&id) {
            *abort = Some(handle);
        }
    }

    async fn idle(&self) {
        // Fails only when the sender is gone, and we hold it.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn abort(&self) -> Vec<String> {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks
            .values()
            .map(|(name, handle)| {
                if let Some(handle) = handle {
                    handle.abort();
                }
                name.clone()
            })
            .collect()
    }
}

#[derive(Debug)]
struct Guard {
    running: Arc<Running>,
    id: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut tasks = self
            .running
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tasks.remove(&self.id);
        drop(tasks);
        self.running.count.send_modify(|count| *count -= 1);
    }
}
