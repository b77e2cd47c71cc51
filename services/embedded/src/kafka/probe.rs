//! Asks a broker for the versions of its API: it answers as soon as it serves requests.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A busy machine may take a while; a listener that is no broker would never answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a broker on this port of the loopback address serves requests.
pub async fn answers(port: u16) -> bool {
    matches!(tokio::time::timeout(PATIENCE, ask(port)).await, Ok(Ok(())))
}

async fn ask(port: u16) -> io::Result<()> {
    // ApiVersions (18), version 0, correlation id 1, client id "p".
    const REQUEST: [u8; 15] = [0, 0, 0, 11, 0, 18, 0, 0, 0, 0, 0, 1, 0, 1, b'p'];
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(&REQUEST).await?;
    let mut header = [0; 8];
    stream.read_exact(&mut header).await?;
    match header[4..] {
        [0, 0, 0, 1] => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
