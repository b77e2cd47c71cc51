//! The engine behind its HTTP interface, alone: `cargo run --example clickhouse -- DATA [ADDRESS]`.

use std::path::PathBuf;
use tributary_embedded::clickhouse::{self, Options};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options::new(arguments.next().unwrap_or_else(|| ".clickhouse".to_owned()));
    if let Some(library) = std::env::var_os("TRIBUTARY_LIBCHDB") {
        options.library = PathBuf::from(library);
    }
    if let Some(address) = arguments.next() {
        options.listen = address.parse()?;
    }
    let listener = clickhouse::listen(&options).await?;
    clickhouse::run(options, listener, async {
        let _ = tokio::signal::ctrl_c().await;
    })
    .await?;
    Ok(())
}
