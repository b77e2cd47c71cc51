//! Requests over connections that are kept, from one thread: as little of the machine as a sender can take.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;

/// When an event happened, by its number.
pub(crate) type Schedule = Arc<dyn Fn(u64) -> i64 + Send + Sync>;
/// Told the number of each acknowledged event.
pub(crate) type Acknowledged = Arc<dyn Fn(u64) + Send + Sync>;

/// What to send.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) write_key: String,
    pub(crate) connections: u32,
    /// 1 goes to the single call, more is a batch.
    pub(crate) events_a_request: u64,
    /// Requests a second over all connections; without one, each sends the next as soon as it has its answer.
    pub(crate) pace: Option<f64>,
    /// Number of the first event.
    pub(crate) first: u64,
    pub(crate) schedule: Schedule,
    pub(crate) acknowledged: Option<Acknowledged>,
}

/// Requests under way.
pub(crate) struct Load {
    state: Arc<State>,
    thread: JoinHandle<anyhow::Result<()>>,
}

struct State {
    plan: Plan,
    next: AtomicU64,
    acknowledged: AtomicU64,
    stop: AtomicBool,
    /// The first answer that is no acknowledgement.
    refusal: Mutex<Option<String>>,
}

impl Load {
    pub(crate) fn start(plan: Plan) -> anyhow::Result<Self> {
        let state = Arc::new(State {
            next: AtomicU64::new(plan.first),
            acknowledged: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            refusal: Mutex::new(None),
            plan,
        });
        let shared = Arc::clone(&state);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let tasks: Vec<_> = (0..shared.plan.connections)
                        .map(|index| tokio::spawn(connection(Arc::clone(&shared), index)))
                        .collect();
                    for task in tasks {
                        task.await.context("a connection's task panicked")??;
                    }
                    Ok(())
                })
            })?;
        Ok(Load { state, thread })
    }

    /// Events acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.state.acknowledged.load(Ordering::Relaxed)
    }

    /// Events that were sent, by number, are those below.
    pub(crate) fn next(&self) -> u64 {
        self.state.next.load(Ordering::Relaxed)
    }

    /// Lets each connection have its last answer.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.state.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(result) => result.context("a connection to ingest broke")?,
            Err(_) => bail!("the sender panicked"),
        }
        match self
            .state
            .refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            Some(refusal) => bail!("ingest answered {refusal}"),
            None => Ok(()),
        }
    }
}

async fn connection(state: Arc<State>, index: u32) -> anyhow::Result<()> {
    let plan = &state.plan;
    let mut stream = TcpStream::connect(plan.address).await?;
    stream.set_nodelay(true)?;
    let authorization =
        base64::engine::general_purpose::STANDARD.encode(format!("{}:", plan.write_key));
    let path = if plan.events_a_request == 1 {
        "/v1/track"
    } else {
        "/v1/batch"
    };
    let (mut body, mut request, mut answer) = (Vec::new(), Vec::new(), Vec::new());
    let mut pace = plan.pace.map(|requests| {
        let interval = Duration::from_secs_f64(f64::from(plan.connections) / requests);
        let mut pace = tokio::time::interval_at(
            (Instant::now() + interval * index / plan.connections).into(),
            interval,
        );
        // Whoever is late must not catch up in a burst.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    });
    while !state.stop.load(Ordering::Relaxed) {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let first = state
            .next
            .fetch_add(plan.events_a_request, Ordering::Relaxed);
        let numbers = first..first + plan.events_a_request;
        body.clear();
        if plan.events_a_request == 1 {
            super::events::write(first, (plan.schedule)(first), &mut body);
        } else {
            body.extend_from_slice(br#"{"batch":["#);
            for number in numbers.clone() {
                super::events::write(number, (plan.schedule)(number), &mut body);
                body.push(b',');
            }
            body.pop();
            body.extend_from_slice(b"]}");
        }
        request.clear();
        let length = body.len();
        write!(
            request,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {authorization}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
            plan.address
        )?;
        request.extend_from_slice(&body);
        stream.write_all(&request).await?;
        match read_answer(&mut stream, &mut answer).await? {
            200 => {
                state
                    .acknowledged
                    .fetch_add(plan.events_a_request, Ordering::Relaxed);
                if let Some(acknowledged) = &plan.acknowledged {
                    numbers.for_each(|number| acknowledged(number));
                }
            }
            _ => {
                let mut refusal = state.refusal.lock().unwrap_or_else(PoisonError::into_inner);
                refusal.get_or_insert_with(|| String::from_utf8_lossy(&answer).into_owned());
            }
        }
    }
    Ok(())
}

/// The status of an answer, which is read whole.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<u16> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            bail!("ingest closed the connection");
        }
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&answer[..end])?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .context("an answer without a status")?
            .parse()?;
        let length = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = length.map_or(Ok(0), |(_, value)| value.trim().parse())?;
        while answer.len() < end + 4 + length {
            if stream.read_buf(answer).await? == 0 {
                bail!("ingest closed the connection amid an answer");
            }
        }
        return Ok(status);
    }
}
