//! `tributary all`: everything on one machine.
//!
//! ```text
//! lock ─> keys ─> ports ─> children (kafka, clickhouse) ─> topics, tables ─> services ─> endpoints.json ─> demo
//!                             └── watched, restarted           └── in this process
//! stop: not ready, no endpoints.json ─> ingest ─> processor ─> sink ─> metrics ─> clickhouse and kafka
//! ```

mod children;
mod demo;
mod lock;
mod logs;
mod ports;
mod screen;
mod system;
mod welcome;

use crate::cli::{All, Common, PortChoice};
use crate::compose::{keys, multi_threaded, stop_signal};
use crate::exit::Failure;
use lock::Lock;
use screen::Screen;
use system::System;
use tributary_platform::config::{Config, Ports};
use tributary_platform::endpoints::Endpoints;

/// Runs until a signal, or until something fails that cannot be mended by a restart.
pub(crate) fn run(common: &Common, options: &All, mut config: Config) -> Result<(), Failure> {
    if options.end_with_parent {
        end_with_parent()?;
    }
    // The lock first: nothing of a system that runs may be touched.
    let _lock = Lock::take(&config.data)?;
    let unusable = |error| {
        Failure::failed(format!(
            "cannot use the data folder {}: {error}",
            config.data.display()
        ))
    };
    Endpoints::remove(&config.data).map_err(unusable)?;
    config.data = config.data.canonicalize().map_err(unusable)?;
    logs::init(&config)?;
    if options.ports == Some(PortChoice::Auto) {
        config.ports = Ports::AUTO;
    }
    let write_key = keys::complete(&mut config)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        configuration = config.summary().join(", "),
        "starting"
    );
    let screen = Screen::new();
    multi_threaded()?.block_on(async {
        let mut signal = std::pin::pin!(stop_signal());
        let mut system = System::prepare(config, common)?;
        let result = tokio::select! {
            biased;
            () = &mut signal => Ok(()),
            result = system.serve(&screen, write_key, options.demo) => result,
        };
        screen.step("stopping; Ctrl-C again does not wait");
        tokio::spawn(async {
            stop_signal().await;
            // The children's lives end with ours.
            std::process::exit(1);
        });
        let left = system.stop().await;
        screen.clear();
        if !left.is_empty() {
            // Whatever they had not done is done at the next start: that nothing is lost does not depend on a stop.
            eprintln!("did not stop in time: {}", left.join(", "));
        }
        result
    })
}

/// As if whoever started this had sent SIGTERM when dying: `make run`, killed with -9, leaves nothing either.
fn end_with_parent() -> Result<(), Failure> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(Failure::failed)?;
    match getppid() == parent {
        true => Ok(()),
        false => Err(Failure::failed(
            "the process that started this one is gone already",
        )),
    }
}
