//! What the tests of the running system stand on.
//!
//! ```text
//! run(scenarios) ── System: one `tributary all` in a folder of its own, on free ports
//!                      └── Tenant: a workspace of it, for each scenario; so they run side by side
//!                             send(events) ─> settled() ─> query(sql)
//! ```
//!
//! Nothing here sleeps for a fixed time: whatever takes time is awaited by its condition, and a wait that fails says
//! what it waited for. The system is stopped also when a scenario fails, and its end is checked: no process is left.

pub mod cdnow;
pub mod client;
pub mod process;
mod runner;
pub mod system;
mod tenant;
pub mod wait;

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};

pub use runner::{Scenario, run};
pub use system::{Settings, System};
pub use tenant::Tenant;

/// The release binary beside a bench's own.
///
/// # Errors
/// When it was not built.
pub fn release_binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own
        .parent()
        .and_then(Path::parent)
        .context("a bench is built into a target folder")?;
    let binary = folder.join("tributary");
    match binary.is_file() {
        true => Ok(binary),
        false => bail!(
            "{} is missing: `make bench` builds it first",
            binary.display()
        ),
    }
}

/// A scenario whose name is that of its function, as a sentence.
#[macro_export]
macro_rules! scenarios {
    ($($function:path),+ $(,)?) => {
        &[$($crate::Scenario { name: stringify!($function), body: $function }),+]
    };
}
