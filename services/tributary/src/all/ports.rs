//! Ports: checked, or chosen, before anything starts.

use crate::exit::Failure;
use std::net::{IpAddr, Ipv4Addr};
use tokio::net::TcpListener;
use tributary_platform::config::Config;
use tributary_platform::listen;

/// Listeners of what runs in this process; the children's ports are in the configuration.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) ingest: TcpListener,
    pub(super) metrics: TcpListener,
}

/// Which parts run here rather than elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local {
    pub(super) kafka: bool,
    pub(super) clickhouse: bool,
}

/// Puts the ports that are taken into the configuration.
pub(super) fn take(config: &mut Config, local: Local) -> Result<Listeners, Failure> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let ports = &mut config.ports;
    let ingest = listen::bind(config.listen, ports.ingest, "ingest", "ingest")?;
    let metrics = listen::bind(
        config.listen,
        ports.metrics,
        "metrics and health",
        "metrics",
    )?;
    ports.ingest = port(&ingest)?;
    ports.metrics = port(&metrics)?;
    if local.kafka {
        ports.kafka = listen::reserve(loopback, ports.kafka, "kafka", "kafka")?;
        ports.kafka_controller = listen::reserve(
            loopback,
            ports.kafka_controller,
            "kafka's controller",
            "kafka_controller",
        )?;
    }
    if local.clickhouse {
        ports.clickhouse = listen::reserve(loopback, ports.clickhouse, "clickhouse", "clickhouse")?;
    }
    Ok(Listeners { ingest, metrics })
}

fn port(listener: &TcpListener) -> Result<u16, Failure> {
    let address = listener.local_addr();
    address
        .map(|address| address.port())
        .map_err(Failure::failed)
}
