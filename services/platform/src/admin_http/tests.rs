use super::*;
use http_body_util::BodyExt;

async fn get(admin: &Admin, path: &str) -> (u16, String) {
    let request = Request::get(path).body(()).unwrap();
    let response = admin.answer(&request).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn ready_names_the_check_that_is_not_and_why() {
    let readiness = Readiness::default();
    let (kafka, sink) = (readiness.check("kafka"), readiness.check("sink"));
    let admin = Admin::new(Metrics::default(), readiness.clone());
    kafka.ready();
    sink.not_ready("clickhouse does not answer");
    let (status, body) = get(&admin, "/ready").await;
    assert_eq!(status, 503);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["checks"]["kafka"]["ready"], true);
    assert_eq!(
        body["checks"]["sink"]["reason"],
        "clickhouse does not answer"
    );
    sink.ready();
    assert_eq!(get(&admin, "/ready").await.0, 200);
    readiness.stop();
    assert_eq!(get(&admin, "/ready").await.0, 503);
}

#[tokio::test]
async fn settled_is_202_until_it_is_200_and_404_where_nobody_can_tell() {
    let admin = Admin::new(Metrics::default(), Readiness::default());
    assert_eq!(get(&admin, "/settled").await.0, 404);
    for (settled, status) in [(false, 202), (true, 200)] {
        let admin = admin.clone().with_settled(move || async move {
            Settled {
                settled,
                detail: json!({ "observe": 7 }),
            }
        });
        let (answered, body) = get(&admin, "/settled").await;
        assert_eq!(answered, status);
        assert!(body.contains(r#""observe":7"#), "{body}");
    }
}

#[tokio::test]
async fn other_paths_are_asked_of_the_registered_handler() {
    let admin = Admin::new(Metrics::default(), Readiness::default()).with_documents(|path| {
        (path == "/schemas/ids/1").then(|| Document {
            status: 200,
            content_type: "application/vnd.schemaregistry.v1+json",
            body: "{}".to_owned(),
        })
    });
    assert_eq!(get(&admin, "/schemas/ids/1").await, (200, "{}".to_owned()));
    assert_eq!(get(&admin, "/schemas/ids/2").await.0, 404);
}

#[tokio::test]
async fn the_server_answers_over_a_socket_and_stops_when_told() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = crate::listen::bind([127, 0, 0, 1].into(), 0, "metrics", "metrics").unwrap();
    let address = listener.local_addr().unwrap();
    let (trigger, shutdown) = crate::lifecycle::shutdown();
    let metrics = Metrics::default();
    metrics.counter("tributary_test_total", "A test.").inc();
    let server = tokio::spawn(Admin::new(metrics, Readiness::default()).serve(listener, shutdown));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("tributary_test_total 1"), "{answer}");
    trigger.trigger();
    server.await.unwrap().unwrap();
}
