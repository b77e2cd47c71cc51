//! `tributary verify`: checks the running system against what is known otherwise.

mod identity;
mod kpis;

use crate::exit::Failure;
use tributary_platform::config::Config;

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    check: Check,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Check {
    /// How well customers were recognised, where it is known who did what
    #[command(after_help = identity::EXAMPLES)]
    Identity(identity::Options),
    /// Whether every KPI is what SQL over all touchpoints makes of it
    #[command(after_help = kpis::EXAMPLES)]
    Kpis(kpis::Options),
}

/// Runs the check.
pub(crate) fn run(options: &Options, config: &Config) -> Result<(), Failure> {
    match &options.check {
        Check::Identity(options) => identity::run(options, config),
        Check::Kpis(options) => kpis::run(options, config),
    }
}
