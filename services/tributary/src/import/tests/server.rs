//! An ingest that remembers what it acknowledged, and fails as it is told.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How it answers.
#[derive(Debug, Default)]
pub(super) struct Behaviour {
    /// The first answers' status; 0 hangs up.
    pub(super) answers: Vec<u16>,
    /// A user whose events are refused alone.
    pub(super) refused_user: Option<&'static str>,
    /// A user; batches with events of theirs are answered 400.
    pub(super) stop_at: Option<&'static str>,
}

#[derive(Debug, Default)]
struct State {
    behaviour: Behaviour,
    bodies: Vec<String>,
    authorization: String,
}

/// The server; its threads end with the test's process.
#[derive(Debug)]
pub(super) struct Ingest {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Ingest {
    pub(super) fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            behaviour,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || while serve(&connection, &state).is_some() {});
            }
        });
        Ingest { port, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        self.state.lock().unwrap().behaviour = behaviour;
    }

    /// Bodies of the acknowledged batches.
    pub(super) fn bodies(&self) -> Vec<String> {
        self.state.lock().unwrap().bodies.clone()
    }

    pub(super) fn authorization(&self) -> String {
        self.state.lock().unwrap().authorization.clone()
    }

    /// All acknowledged events.
    pub(super) fn events(&self) -> Vec<Value> {
        let batches = self
            .bodies()
            .into_iter()
            .map(|body| serde_json::from_str::<Value>(&body).unwrap());
        batches
            .flat_map(|batch| batch["batch"].as_array().unwrap().clone())
            .collect()
    }

    pub(super) fn message_ids(&self) -> Vec<String> {
        self.events()
            .iter()
            .map(|event| event["messageId"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Answers one request; none when the connection should close.
fn serve(connection: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let (mut length, mut authorization) = (0, String::new());
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    assert!(line.starts_with("POST /v1/batch?verbose=1 "), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (status, answer) = decide(&mut state.lock().unwrap(), body, authorization)?;
    let retry = if status == 429 {
        "Retry-After: 0\r\n"
    } else {
        ""
    };
    let head = format!(
        "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n{retry}Content-Length: {}\r\n\r\n",
        answer.len()
    );
    let mut writer = connection;
    writer.write_all(head.as_bytes()).ok()?;
    writer.write_all(answer.as_bytes()).ok()
}

fn decide(state: &mut State, body: Vec<u8>, authorization: String) -> Option<(u16, String)> {
    if !state.behaviour.answers.is_empty() {
        let status = state.behaviour.answers.remove(0);
        return (status != 0).then(|| (status, "{\"error\":\"as told\"}".to_owned()));
    }
    let text = String::from_utf8(body).unwrap();
    let batch: Value = serde_json::from_str(&text).unwrap();
    let events = batch["batch"].as_array().unwrap();
    let stop_at = state.behaviour.stop_at;
    if stop_at.is_some()
        && events
            .iter()
            .any(|event| event["userId"].as_str() == stop_at)
    {
        return Some((400, "{\"error\":\"no more\"}".to_owned()));
    }
    assert!(
        text.len() <= 500_000 && events.len() <= 500,
        "{} bytes, {} events",
        text.len(),
        events.len()
    );
    let refused = state.behaviour.refused_user;
    let verdict = |index: usize| match refused.is_some()
        && events[index]["userId"].as_str() == refused
    {
        true => {
            json!({"index": index, "message_id": "", "status": "refused", "reason": "unwanted", "field": "userId", "message": "is not wanted"})
        }
        false => json!({"index": index, "message_id": "", "status": "accepted"}),
    };
    let verdicts: Vec<Value> = (0..events.len()).map(verdict).collect();
    state.bodies.push(text);
    state.authorization = authorization;
    Some((
        200,
        json!({"success": true, "events": verdicts}).to_string(),
    ))
}
