//! What happens when Kafka, a client or the process goes away.

mod world;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use world::{KEY, World, basic, eventually, receive, send};

const EVENT: &str = r#"{"event":"e","userId":"u"}"#;

/// Sends the head of a request, and as much of its body as `sent`.
fn begin(world: &World, body: &str, sent: usize) -> std::net::TcpStream {
    let mut connection = world.connect();
    let head = format!(
        "POST /v1/track HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n{}",
        basic(KEY),
        body.len(),
        &body[..sent]
    );
    connection
        .write_all(head.as_bytes())
        .expect("the server reads");
    connection
}

#[test]
fn while_kafka_is_unreachable_the_answer_is_503_and_readiness_says_so_until_it_is_back() {
    let world = World::start(|config| config.ingest.acks_timeout = Duration::from_secs(1));
    assert_eq!(world.post("/v1/track", EVENT).status, 200);
    world.cluster.broker_down(1).unwrap();
    eventually("ingest is not ready", || !world.readiness.is_ready());
    let answer = world.post("/v1/track", EVENT);
    assert_eq!(
        (answer.status, answer.error().0.as_str()),
        (503, "kafka_unavailable")
    );
    assert!(answer.headers["retry-after"].parse::<u32>().unwrap() > 0);
    assert!(
        world.readiness.waiting_for()[0].contains("kafka does not answer"),
        "{:?}",
        world.readiness.waiting_for()
    );
    world.cluster.broker_up(1).unwrap();
    eventually("ingest takes events again", || {
        world.post("/v1/track", EVENT).status == 200
    });
    eventually("ingest is ready", || world.readiness.is_ready());
}

#[test]
fn what_kafka_does_not_acknowledge_is_not_answered_with_200() {
    let world = World::start(|config| config.ingest.acks_timeout = Duration::from_secs(1));
    let refuse = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
    world
        .cluster
        .request_errors(RDKafkaApiKey::Produce, &refuse);
    let answer = world.post("/v1/track", EVENT);
    assert_eq!(
        (answer.status, answer.error().0.as_str()),
        (503, "not_acknowledged"),
        "{answer:?}"
    );
    assert_eq!((world.events("accepted"), world.events("failed")), (0, 1));
    eventually("events are taken again", || {
        world.post("/v1/track", EVENT).status == 200
    });
}

#[test]
fn a_record_that_times_out_fails_its_request_only() {
    let world = World::start(|config| config.ingest.acks_timeout = Duration::from_secs(1));
    world
        .cluster
        .broker_round_trip_time(1, Duration::from_secs(5))
        .unwrap();
    assert_eq!(world.post("/v1/track", EVENT).status, 503);
    world
        .cluster
        .broker_round_trip_time(1, Duration::ZERO)
        .unwrap();
    eventually("events are taken again", || {
        world.post("/v1/track", EVENT).status == 200
    });
}

#[test]
fn without_topics_nothing_is_taken_and_readiness_names_the_topic() {
    let world = World::boot(|config| config.kafka.topic_prefix = "other".to_owned());
    eventually("readiness says why", || {
        world.readiness.waiting_for()[0].contains("other.touchpoints")
    });
    assert_eq!(world.post("/v1/track", EVENT).status, 503);
    world
        .cluster
        .create_topic("other.touchpoints", 2, 1)
        .unwrap();
    world
        .cluster
        .create_topic("other.dead_letters", 1, 1)
        .unwrap();
    eventually("ingest is ready", || world.readiness.is_ready());
    assert_eq!(world.post("/v1/track", EVENT).status, 200);
}

#[test]
fn above_the_bound_of_requests_in_flight_the_answer_is_429() {
    let world = World::start(|config| config.ingest.max_in_flight_requests = 1);
    let mut first = begin(&world, EVENT, 5);
    eventually("the first is in flight", || {
        world.metric("tributary_ingest_in_flight_requests") == 1
    });
    let second = world.post("/v1/track", EVENT);
    assert_eq!(
        (second.status, second.error().0.as_str()),
        (429, "too_many_requests")
    );
    assert_eq!(second.headers["retry-after"], "1");
    first.write_all(&EVENT.as_bytes()[5..]).unwrap();
    assert_eq!(receive(&mut first).status, 200);
    assert_eq!(world.post("/v1/track", EVENT).status, 200);
}

#[test]
fn at_the_bound_of_connections_further_clients_wait() {
    let world = World::start(|config| config.ingest.max_connections = 1);
    let mut first = world.connect();
    send(
        &mut first,
        "POST",
        "/v1/track",
        &[("Authorization", &basic(KEY))],
        EVENT.as_bytes(),
    );
    assert_eq!(receive(&mut first).status, 200);
    let mut second = world.connect();
    send(
        &mut second,
        "POST",
        "/v1/track",
        &[("Authorization", &basic(KEY))],
        EVENT.as_bytes(),
    );
    assert_eq!(world.metric("tributary_ingest_connections"), 1);
    drop(first);
    assert_eq!(receive(&mut second).status, 200);
}

#[test]
fn a_client_that_dawdles_over_its_headers_is_closed_and_over_its_body_is_told() {
    let world = World::start(|config| {
        config.ingest.header_timeout = Duration::from_millis(300);
        config.ingest.body_timeout = Duration::from_millis(300);
    });
    let mut slow = world.connect();
    slow.write_all(b"POST /v1/track HTTP/1.1\r\nHost").unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(
        rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&rest)
    );

    let mut slow = begin(&world, EVENT, 5);
    let answer = receive(&mut slow);
    assert_eq!(
        (answer.status, answer.error().0.as_str()),
        (408, "body_timeout")
    );
}

#[test]
fn an_event_is_counted_though_its_client_went_away() {
    let world = World::start(|config| config.ingest.linger = Duration::from_millis(500));
    drop(begin(&world, EVENT, EVENT.len()));
    eventually("the event is counted", || {
        world.events("accepted") + world.events("failed") == 1
    });
    eventually("its place is free", || {
        world.metric("tributary_ingest_in_flight_requests") == 0
    });
}

#[test]
fn a_stop_answers_what_is_in_flight_and_takes_nothing_more() {
    let mut world = World::start(|_| ());
    let mut connection = begin(&world, EVENT, 5);
    eventually("the request is in flight", || {
        world.metric("tributary_ingest_in_flight_requests") == 1
    });
    let stop = world.begin_stop();
    eventually("no connection is taken", || {
        std::net::TcpStream::connect(&world.address).is_err()
    });
    connection.write_all(&EVENT.as_bytes()[5..]).unwrap();
    assert_eq!(receive(&mut connection).status, 200);
    assert!(world.wait(stop).is_empty(), "a task did not stop in time");
    assert_eq!(world.events("accepted"), 1);
}
