//! Listening sockets, with an error that says which port, for what, and by which setting it is changed.

use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

/// A port cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program has it.
    #[error(
        "port {port}, wanted by {what}, is in use: stop the program that listens there, or choose another port with \
         `ports.{setting}` (TRIBUTARY__PORTS__{}=...), or start with --ports auto",
        setting.to_uppercase()
    )]
    InUse {
        /// The port.
        port: u16,
        /// What wants it.
        what: &'static str,
        /// The key of `[ports]`.
        setting: &'static str,
    },
    /// Any other reason.
    #[error("{what} cannot listen on {address} (`listen`, `ports.{setting}`): {cause}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// What wants it.
        what: &'static str,
        /// The key of `[ports]`.
        setting: &'static str,
        /// What the system says.
        cause: io::Error,
    },
}

/// Binds a non-blocking listener; port 0 takes a free one. Must be called within a tokio runtime.
pub fn bind(
    address: IpAddr,
    port: u16,
    what: &'static str,
    setting: &'static str,
) -> Result<tokio::net::TcpListener, Error> {
    let other = |cause| Error::Other {
        address: SocketAddr::new(address, port),
        what,
        setting,
        cause,
    };
    let listener = TcpListener::bind((address, port)).map_err(|cause| match cause.kind() {
        io::ErrorKind::AddrInUse => Error::InUse {
            port,
            what,
            setting,
        },
        _ => other(cause),
    })?;
    listener.set_nonblocking(true).map_err(other)?;
    tokio::net::TcpListener::from_std(listener).map_err(other)
}

/// Below the ports that the system gives to outgoing connections: a connection that is opened between our choice and
/// the child's listening cannot take it.
const CHOICE: std::ops::Range<u16> = 20_000..32_000;

/// The port itself if it is free, or a free one for 0: for a child that binds it a moment later.
pub fn reserve(
    address: IpAddr,
    port: u16,
    what: &'static str,
    setting: &'static str,
) -> Result<u16, Error> {
    let is_free = |port| match TcpListener::bind((address, port)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(false),
        Err(cause) => Err(Error::Other {
            address: SocketAddr::new(address, port),
            what,
            setting,
            cause,
        }),
    };
    if port != 0 {
        return match is_free(port)? {
            true => Ok(port),
            false => Err(Error::InUse {
                port,
                what,
                setting,
            }),
        };
    }
    for _ in 0..100 {
        let port = random_choice();
        if is_free(port)? {
            return Ok(port);
        }
    }
    Err(Error::InUse {
        port: CHOICE.start,
        what,
        setting,
    })
}

fn random_choice() -> u16 {
    // The standard library's only source of randomness: each state has keys of its own.
    let random = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    let width = u64::from(CHOICE.end - CHOICE.start);
    CHOICE.start + u16::try_from(random % width).expect("below the width of a range of u16")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_port_in_use_is_named_with_its_setting() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let error = reserve(Ipv4Addr::LOCALHOST.into(), port, "ingest", "ingest").unwrap_err();
        let text = error.to_string();
        for part in [
            port.to_string().as_str(),
            "`ports.ingest`",
            "TRIBUTARY__PORTS__INGEST",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn port_zero_takes_a_free_one() {
        let port = reserve(Ipv4Addr::LOCALHOST.into(), 0, "ingest", "ingest").unwrap();
        assert_ne!(port, 0);
    }
}
