//! The real broker, from the jars that `make setup` fetches.

use std::net::TcpListener;
use std::path::Path;
use tokio::sync::oneshot;
use tributary_embedded::kafka::{Error, Options, answers, run};

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback address has free ports");
    listener.local_addr().expect("it is bound").port()
}

fn options(folder: &Path) -> Options {
    Options::new(folder.join("kafka"), free_port(), free_port())
}

/// Starts a broker, waits until it answers, lets `body` look at it, and stops it.
async fn with_broker(options: Options, body: impl AsyncFnOnce()) -> Result<(), Error> {
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, is_ready) = oneshot::channel();
    let broker = run(
        options,
        async {
            let _ = stopped.await;
        },
        || ready.send(()).expect("the test waits for it"),
    );
    let test = async {
        // The sender is dropped when the broker fails: its error is the answer then.
        if is_ready.await.is_ok() {
            body().await;
        }
        drop(stop);
    };
    let (result, ()) = tokio::join!(broker, test);
    result
}

fn cluster_id(folder: &Path) -> String {
    let path = folder.join("kafka/log/meta.properties");
    let text = std::fs::read_to_string(path).expect("the folder is formatted");
    let line = text.lines().find(|line| line.starts_with("cluster.id="));
    line.expect("a cluster has an id").to_owned()
}

#[tokio::test]
async fn a_broker_is_formatted_once_and_goes_on_with_its_data_on_other_ports() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let first = options(folder.path());
    let port = first.port;
    with_broker(first, async || assert!(answers(port).await))
        .await
        .expect("it starts and stops");
    assert!(!answers(port).await, "it is stopped");
    let id = cluster_id(folder.path());

    let second = options(folder.path());
    let port = second.port;
    with_broker(second, async || assert!(answers(port).await))
        .await
        .expect("it starts and stops again");
    assert_eq!(cluster_id(folder.path()), id);
}

#[tokio::test]
async fn a_second_broker_on_the_same_folder_ends_and_its_log_says_why() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let second = options(folder.path());
    let test = async || {
        let error = with_broker(second, async || ())
            .await
            .expect_err("the folder is taken");
        let text = error.to_string();
        assert!(matches!(error, Error::Ended { .. }), "{text}");
        assert!(text.contains("lock"), "{text}");
    };
    with_broker(options(folder.path()), test)
        .await
        .expect("the first is not disturbed");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_setting_that_changes_it() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let holder = TcpListener::bind("127.0.0.1:0").expect("the loopback address has free ports");
    let mut options = options(folder.path());
    options.port = holder.local_addr().expect("it is bound").port();
    let port = options.port.to_string();
    let error = with_broker(options, async || ())
        .await
        .expect_err("the port is taken")
        .to_string();
    for part in [port.as_str(), "ports.kafka", "--ports auto"] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn missing_jars_are_an_error_that_names_make_setup() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let mut options = options(folder.path());
    options.jars = Some(folder.path().join("nowhere"));
    let error = with_broker(options, async || ())
        .await
        .expect_err("there are no jars")
        .to_string();
    assert!(error.contains("make setup"), "{error}");
}
