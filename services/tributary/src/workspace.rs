//! The workspace that a command is about.

use crate::exit::Failure;
use tributary_platform::config::{Config, Workspace};

/// The workspace of this name, by default the first of the configuration; one that is not configured is wrong usage.
pub(crate) fn named<'c>(name: Option<&str>, config: &'c Config) -> Result<&'c Workspace, Failure> {
    let Some(name) = name else {
        return Ok(&config.workspaces[0]);
    };
    config.workspace(name).ok_or_else(|| {
        let names: Vec<&str> = config
            .workspaces
            .iter()
            .map(|workspace| workspace.name.as_str())
            .collect();
        Failure::usage(format!(
            "--workspace: there is no workspace `{name}`; there are {}",
            names.join(", ")
        ))
    })
}
