//! Where events and truth go.

use super::world::Event;
use crate::exit::Failure;
use crate::import::client::{Client, Error};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tributary_platform::config::Config;
use tributary_platform::endpoints::Endpoints;

/// Events a request.
const BATCH: usize = 500;
/// So long a batch is tried again when ingest takes nothing.
const PATIENCE: Duration = Duration::from_secs(600);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A file, or ingest.
pub(super) enum Output {
    File(Lines),
    Ingest {
        client: Client,
        body: Vec<u8>,
        events: usize,
    },
}

/// Lines of a file, or of standard output.
pub(super) struct Lines {
    path: PathBuf,
    writer: BufWriter<Box<dyn Write>>,
}

impl Lines {
    fn create(path: &Path) -> Result<Self, Failure> {
        let writer: Box<dyn Write> = if path == Path::new("-") {
            Box::new(std::io::stdout().lock())
        } else {
            let file = File::create(path).map_err(|error| {
                Failure::failed(format!("cannot write {}: {error}", path.display()))
            })?;
            Box::new(file)
        };
        Ok(Lines {
            path: path.to_owned(),
            writer: BufWriter::new(writer),
        })
    }

    fn add(&mut self, line: &serde_json::Value) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.writer, line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.writer.write_all(b"\n"))
            .map_err(|error| self.failed(&error))
    }

    fn finish(mut self) -> Result<(), Failure> {
        let flushed = self.writer.flush();
        flushed.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        Failure::failed(format!("cannot write {}: {error}", self.path.display()))
    }
}

impl Output {
    pub(super) fn open(
        file: Option<&Path>,
        ingest: Option<&str>,
        write_key: Option<&str>,
        config: &Config,
    ) -> Result<Self, Failure> {
        if let Some(path) = file {
            return Ok(Output::File(Lines::create(path)?));
        }
        let client = match (ingest, write_key) {
            (Some(ingest), Some(key)) => Client::new(ingest, key),
            (_, key) => {
                let endpoints = Endpoints::read(&config.data).map_err(Failure::failed)?;
                let (Some(ingest), Some(own)) = (endpoints.ingest, endpoints.write_key) else {
                    return Err(Failure::failed(
                        "no ingest runs on this folder; name one with --ingest URL --write-key KEY, or write a file with \
                         --events FILE",
                    ));
                };
                Client::new(&ingest, key.unwrap_or(&own))
            }
        };
        Ok(Output::Ingest {
            client,
            body: Vec::new(),
            events: 0,
        })
    }

    pub(super) fn add(&mut self, event: &Event) -> Result<(), Failure> {
        match self {
            Output::File(lines) => lines.add(&event.message),
            Output::Ingest { body, events, .. } => {
                body.extend_from_slice(if *events == 0 { b"{\"batch\":[" } else { b"," });
                serde_json::to_writer(&mut *body, &event.message).map_err(Failure::failed)?;
                *events += 1;
                if *events == BATCH {
                    self.send()
                } else {
                    Ok(())
                }
            }
        }
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.send()?;
        match self {
            Output::File(lines) => lines.finish(),
            Output::Ingest { .. } => Ok(()),
        }
    }

    /// Sends what waits, again until it is taken: under the same message ids nothing is stored twice.
    fn send(&mut self) -> Result<(), Failure> {
        let Output::Ingest {
            client,
            body,
            events,
        } = self
        else {
            return Ok(());
        };
        if *events == 0 {
            return Ok(());
        }
        body.extend_from_slice(b"]}");
        let (begin, mut pause) = (Instant::now(), FIRST_PAUSE);
        let refused = loop {
            match client.send(body) {
                Ok(refused) => break refused,
                Err(Error::Never(reason)) => return Err(Failure::failed(reason)),
                Err(Error::Later { reason, .. }) if begin.elapsed() > PATIENCE => {
                    return Err(Failure::failed(reason));
                }
                Err(Error::Later { after, .. }) => {
                    std::thread::sleep(after.unwrap_or(pause).min(LONGEST_PAUSE));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        };
        if let Some(first) = refused.first() {
            return Err(Failure::failed(format!(
                "ingest refuses {} of {events} events; the first: {} {}",
                refused.len(),
                first.field,
                first.message
            )));
        }
        body.clear();
        *events = 0;
        Ok(())
    }
}

/// Who did what.
pub(super) struct Truth(Lines);

impl Truth {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        Lines::create(path).map(Truth)
    }

    /// An event that comes again is the same.
    pub(super) fn add(&mut self, event: &Event) -> Result<(), Failure> {
        if event.again {
            return Ok(());
        }
        self.0.add(&json!({
            "message_id": event.message["messageId"],
            "timestamp": event.message["timestamp"],
            "person": format!("person-{}", event.person),
            "identifiers": event.identifiers,
        }))
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        self.0.finish()
    }
}

/// So many a second, over any time: who was held up catches up.
pub(super) struct Pace {
    begin: Instant,
    each: Duration,
    sent: u32,
}

impl Pace {
    pub(super) fn new(rate: u32) -> Self {
        Pace {
            begin: Instant::now(),
            each: Duration::from_secs(1) / rate,
            sent: 0,
        }
    }

    pub(super) fn wait(&mut self) {
        let due = self.each * self.sent;
        self.sent += 1;
        if let Some(early) = due.checked_sub(self.begin.elapsed()) {
            std::thread::sleep(early);
        }
    }
}
