//! Who may run migrations, on a ClickHouse without Keeper.
//!
//! A claim is an insert of the next term under a deduplication token made of that term: of two inserts the engine stores
//! one, so whoever reads back its own name holds the lock. Ages are taken by the server's clock alone. A holder that
//! died is succeeded when its lease ends.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{Error, insert_json};
use crate::clickhouse::{Client, Deduplicate, quoted};

/// A claim that was not renewed for this long is void. Short, because a start after a kill waits for it.
pub(super) const LEASE: Duration = Duration::from_secs(5);
/// How long to wait for others; migrations of tables without data take seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(200);

/// A held lock.
pub(super) struct Lock<'a> {
    client: &'a Client,
    term: u32,
    holder: String,
    lease: Duration,
}

#[derive(Debug, Deserialize)]
struct State {
    term: u32,
    holder: String,
    event: String,
    age_ms: i64,
}

/// Waits for the lock and takes it.
pub(super) async fn acquire(
    client: &Client,
    lease: Duration,
    patience: Duration,
) -> Result<Lock<'_>, Error> {
    let holder = format!(
        "process {} {}",
        std::process::id(),
        uuid::Uuid::new_v4().simple()
    );
    let begin = Instant::now();
    let mut skipped = 0;
    loop {
        let state = newest(client).await?;
        let free = state.as_ref().is_none_or(|state| {
            state.event == "released" || state.age_ms > lease.as_millis() as i64
        });
        if free {
            let term = state.as_ref().map_or(0, |state| state.term) + 1 + skipped;
            let lock = Lock {
                client,
                term,
                holder: holder.clone(),
                lease,
            };
            lock.tell(
                "claimed",
                Deduplicate::Token(&format!("{}/migration_lock/{term}", client.database())),
            )
            .await?;
            match lock.claimant().await? {
                Some(claimant) if claimant == holder => return Ok(lock),
                Some(_) => {}
                // The engine died between noting the token and storing the row: this term can never be claimed.
                None => skipped += 1,
            }
        } else if begin.elapsed() > patience {
            let holder = state.map_or_else(String::new, |state| state.holder);
            return Err(Error::Locked {
                database: client.database().to_owned(),
                holder,
                waited: patience,
            });
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn newest(client: &Client) -> Result<Option<State>, Error> {
    let select = format!(
        "SELECT l.term AS term, argMin(l.holder, (l.event != 'claimed', l.at)) AS holder, \
         argMax(l.event, (l.at, l.event = 'released')) AS event, \
         toUnixTimestamp64Milli(now64(3)) - toUnixTimestamp64Milli(max(l.at)) AS age_ms \
         FROM {}.migration_lock AS l GROUP BY l.term ORDER BY l.term DESC LIMIT 1",
        quoted(client.database())
    );
    Ok(client.rows(&select).await?.pop())
}

impl Lock<'_> {
    /// Renews the lease while `work` is under way; gives `work` up when the lock is lost.
    pub(super) async fn keep_while<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut work = std::pin::pin!(work);
        let mut ticks = tokio::time::interval(self.lease / 4);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = ticks.tick() => {
                    if newest(self.client).await?.is_none_or(|state| state.term != self.term) {
                        return Err(Error::LockLost { database: self.client.database().to_owned() });
                    }
                    self.tell("renewed", Deduplicate::Never).await?;
                }
            }
        }
    }

    pub(super) async fn release(self) -> Result<(), Error> {
        self.tell("released", Deduplicate::Never).await
    }

    async fn tell(&self, event: &str, deduplicate: Deduplicate<'_>) -> Result<(), Error> {
        let row = json!([self.term, self.holder, event]);
        insert_json(
            self.client,
            "migration_lock",
            "term, holder, event",
            &row,
            deduplicate,
        )
        .await
    }

    async fn claimant(&self) -> Result<Option<String>, Error> {
        #[derive(Deserialize)]
        struct Claimant {
            holder: String,
        }
        let select = format!(
            "SELECT holder FROM {}.migration_lock WHERE term = {} AND event = 'claimed'",
            quoted(self.client.database()),
            self.term
        );
        let claimants: Vec<Claimant> = self.client.rows(&select).await?;
        Ok(claimants.into_iter().next().map(|claimant| claimant.holder))
    }
}
