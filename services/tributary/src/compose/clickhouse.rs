//! `tributary clickhouse`: the engine, in this process, behind ClickHouse's HTTP interface.

use super::{multi_threaded, stop_signal};
use crate::exit::Failure;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tributary_embedded::clickhouse::{Error, Options, run as run_engine};
use tributary_platform::config::Config;
use tributary_platform::listen;

/// Runs until a signal.
pub(crate) fn run(config: &Config) -> Result<(), Failure> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let password = &config.clickhouse.password;
    let options = Options {
        listen: SocketAddr::new(loopback, config.ports.clickhouse),
        user: config.clickhouse.user.clone(),
        password: (!password.is_empty()).then(|| password.expose().to_owned()),
        ..Options::new(config.data.join("clickhouse"))
    };
    multi_threaded()?.block_on(async {
        // Its error names the setting, which the engine does not know.
        let listener = listen::bind(
            loopback,
            config.ports.clickhouse,
            "clickhouse",
            "clickhouse",
        )?;
        run_engine(options, listener, stop_signal())
            .await
            .map_err(|error| match error {
                Error::LibraryMissing { .. }
                | Error::LibraryTruncated { .. }
                | Error::LibraryUnreadable { .. }
                | Error::LibraryUnusable { .. }
                | Error::Path { .. }
                | Error::Exposed { .. } => Failure::usage(error),
                _ => Failure::failed(error),
            })
    })
}
