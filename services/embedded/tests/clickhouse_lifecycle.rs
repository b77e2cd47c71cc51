//! Starting and stopping: one story, since a process can start the engine once.

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{ask, boot, library};
use tributary_embedded::clickhouse::{self, Error, Options};

#[tokio::test]
async fn the_engine_says_what_is_wrong_keeps_its_data_folder_to_itself_and_stops_cleanly() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("clickhouse");

    let refused = async |change: &dyn Fn(&mut Options)| {
        let mut options = Options::new(&data);
        options.library = library();
        options.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        change(&mut options);
        match clickhouse::listen(&options).await {
            Err(error) => error,
            Ok(listener) => clickhouse::run(options, listener, std::future::pending())
                .await
                .expect_err("it must not start"),
        }
    };
    let missing = refused(&|options| options.library = "/nowhere/libchdb.so".into()).await;
    assert!(
        missing.to_string().contains("/nowhere/libchdb.so")
            && missing.to_string().contains("make setup"),
        "{missing}"
    );
    let truncated = folder.path().join("libchdb.so");
    copy_start(&library(), &truncated);
    let error = refused(&|options| options.library.clone_from(&truncated)).await;
    assert!(matches!(error, Error::LibraryTruncated { .. }), "{error}");
    assert!(error.to_string().contains("make setup"), "{error}");
    let exposed = refused(&|options| options.listen = SocketAddr::from(([0, 0, 0, 0], 0))).await;
    assert!(exposed.to_string().contains("password"), "{exposed}");
    let no_folder = refused(&|options| options.data = "/proc/nowhere".into()).await;
    assert!(matches!(no_folder, Error::DataFolder { .. }), "{no_folder}");

    let path = data.clone();
    let (address, stop) = boot(move |options| {
        options.data = path;
        options.drain_timeout = Duration::from_millis(500);
    });
    // It listens before it holds the folder; it answers after.
    ask(address, "GET", "/ping", &[], "").await.ok();
    let locked = refused(&|_| {}).await;
    assert!(
        matches!(locked, Error::Locked { .. }) && locked.to_string().contains("another process"),
        "{locked}"
    );
    let in_use = refused(&|options| options.listen = address).await;
    assert!(
        in_use.to_string().contains(&address.to_string())
            && in_use.to_string().contains("`listen`"),
        "{in_use}"
    );

    ask(
        address,
        "POST",
        "/",
        &[],
        "CREATE TABLE kept (a UInt8) ENGINE = MergeTree ORDER BY a",
    )
    .await
    .ok();
    ask(
        address,
        "POST",
        "/?session_id=open",
        &[],
        "SET max_threads = 1",
    )
    .await
    .ok();
    let endless = tokio::spawn(ask(
        address,
        "POST",
        "/",
        &[],
        "SELECT max(sipHash64(number)) FROM numbers(100000000000)",
    ));
    let question = "SELECT count() FROM system.processes WHERE position(query, 'sipHash64') > 0";
    while ask(address, "POST", "/", &[], question).await.ok() != "2\n" {}
    let begun = Instant::now();
    let stopped = stop.start().join().expect("no panic");
    assert!(stopped.is_ok(), "{stopped:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it waits for no endless query"
    );
    let ended = endless.await;
    assert!(
        ended.is_err() || ended.is_ok_and(|answer| answer.text().contains("QUERY_WAS_CANCELLED"))
    );
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

/// The first half of the file, without reading the rest.
fn copy_start(from: &Path, to: &Path) {
    use std::io::Read;
    let file = std::fs::File::open(from).expect("the library");
    let half = file.metadata().expect("a length").len() / 2;
    std::io::copy(
        &mut file.take(half),
        &mut std::fs::File::create(to).expect("a file"),
    )
    .expect("copied");
}
