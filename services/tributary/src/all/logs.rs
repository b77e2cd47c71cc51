//! Where log lines go: to a file while a person looks at the terminal, else to standard error.

use crate::exit::Failure;
use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tributary_platform::config::Config;
use tributary_platform::telemetry;

/// The log of a part, in the data folder.
pub(super) fn path(data: &Path, part: &str) -> PathBuf {
    data.join("logs").join(format!("{part}.log"))
}

/// Sets up logs, for the children too. Those of the last run are put aside, in the place of those before.
pub(super) fn init(config: &Config) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::failed(format!(
            "cannot write logs in {}: {error}",
            config.data.display()
        ))
    };
    std::fs::create_dir_all(config.data.join("logs")).map_err(cannot)?;
    for part in ["tributary", "kafka", "clickhouse"] {
        let path = path(&config.data, part);
        if path.exists() {
            std::fs::rename(&path, path.with_extension("log.old")).map_err(cannot)?;
        }
    }
    if !std::io::stderr().is_terminal() {
        telemetry::init(&config.telemetry)?;
        return Ok(());
    }
    let file = File::options()
        .create(true)
        .append(true)
        .open(path(&config.data, "tributary"))
        .map_err(cannot)?;
    telemetry::init_with(&config.telemetry, Arc::new(file), false)?;
    Ok(())
}
