//! Migrations of the database: the numbered files of schemas/clickhouse, each run once.
//!
//! ```text
//! schemas/clickhouse/NNNN_name.sql ──> script (statements) ──> run, under the lock ──> DATABASE.migrations
//! ```
//!
//! A file that was run never changes: its checksum is kept and compared. Statements say `IF NOT EXISTS` or `OR REPLACE`,
//! so a migration that was interrupted is run again from its start.

mod lock;
mod script;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::clickhouse::{self, Block, Client, Deduplicate, quoted};

/// A file of schemas/clickhouse.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number, from 1 without gaps.
    pub version: u32,
    /// Its name, without number and ending.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
}

macro_rules! migrations {
    ($($version:literal $file:literal),* $(,)?) => {
        &[$(Migration { version: $version, name: $file, sql: include_str!(concat!("../../../schemas/clickhouse/", $file, ".sql")) }),*]
    };
}

/// All that this version knows, in order.
pub const ALL: &[Migration] = migrations![
    1 "0001_touchpoints",
    2 "0002_touchpoint_views",
    3 "0003_identity",
    4 "0004_customers",
    5 "0005_kpis",
    6 "0006_dead_letters",
    7 "0007_operations",
    8 "0008_consents",
    9 "0009_rules",
    10 "0010_identifier_types",
    11 "0011_identifier_problems",
    12 "0012_lookups",
    13 "0013_lookups_by_customer",
    14 "0014_strangers",
    15 "0015_segments",
    16 "0016_computed_traits",
    17 "0017_kpi_history",
    18 "0018_engagement",
    19 "0019_alerts",
    20 "0020_customers",
    21 "0021_parts_of_spans",
    22 "0022_touchpoint_of_answers",
    23 "0023_customer_days",
    24 "0024_comments",
    25 "0025_rfm_at",
    26 "0026_last_answers",
    27 "0027_latest",
    28 "0028_rfm_of_profiles",
    29 "0029_rfm_by_rank",
    30 "0030_comments",
];

/// Why the database cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// ClickHouse failed.
    #[error("{0}")]
    ClickHouse(#[from] clickhouse::Error),
    /// A newer version of Tributary was here.
    #[error(
        "database {database} has migration {found}, and this version of tributary knows them up to {known}: use the newer tributary, or another `clickhouse.database`"
    )]
    Newer {
        /// The database.
        database: String,
        /// The newest that was run.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// A file was changed after it was run.
    #[error(
        "migration {name} was run on database {database} with another content: undo the change to the file, and put what is new into a migration of its own"
    )]
    Changed {
        /// The database.
        database: String,
        /// The migration.
        name: String,
    },
    /// A statement of a migration was refused.
    #[error("statement {statement} of migration {name} failed: {}", cause.detail())]
    Statement {
        /// The migration.
        name: &'static str,
        /// The statement, from 1.
        statement: usize,
        /// Why.
        cause: clickhouse::Error,
    },
    /// Somebody else holds the lock for too long.
    #[error("{holder} has been running migrations on database {database} for more than {} s: wait for it, or stop it", waited.as_secs())]
    Locked {
        /// The database.
        database: String,
        /// Who.
        holder: String,
        /// How long we waited.
        waited: std::time::Duration,
    },
    /// Somebody else took the lock while we held it: this process was stopped for longer than the lease.
    #[error(
        "the lock on migrations of database {database} was lost amid a migration: run it again"
    )]
    LockLost {
        /// The database.
        database: String,
    },
}

impl Error {
    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ClickHouse(cause) | Self::Statement { cause, .. } => {
                cause.class() == clickhouse::Class::Transient
            }
            Self::Locked { .. } | Self::LockLost { .. } => true,
            Self::Newer { .. } | Self::Changed { .. } => false,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Done {
    version: u32,
    name: String,
    checksum: String,
}

/// Runs what was not run yet, and says which.
///
/// # Errors
/// See [`Error`].
pub async fn run(client: &Client) -> Result<Vec<&'static str>, Error> {
    run_these(client, ALL).await
}

/// Tells views for how many days an order makes a customer, once migrations have run.
///
/// # Errors
/// See [`Error`].
pub async fn tell_customer_days(client: &Client, days: u32) -> Result<(), Error> {
    let table = format!("{}.kpi_settings", quoted(client.database()));
    let statement = format!(
        "INSERT INTO {table} (name, value) SELECT 'customer_days', {days} WHERE (SELECT count() = 0 OR argMax(value, set_at) != {days} \
         FROM {table} WHERE name = 'customer_days')"
    );
    Ok(client.execute(&statement).await?)
}

/// As [`run`], with other migrations: for tests of this module's promises.
///
/// # Errors
/// See [`Error`].
pub async fn run_these(
    client: &Client,
    migrations: &[Migration],
) -> Result<Vec<&'static str>, Error> {
    prepare(client).await?;
    // Mostly there is nothing to do, and then no lock is needed to see it.
    if pending(client, migrations).await?.is_empty() {
        return Ok(Vec::new());
    }
    let lock = lock::acquire(client, lock::LEASE, lock::PATIENCE).await?;
    let result = lock.keep_while(run_pending(client, migrations)).await;
    // Whoever comes next waits for the lease to end if this fails.
    let _ = lock.release().await;
    result
}

async fn run_pending(
    client: &Client,
    migrations: &[Migration],
) -> Result<Vec<&'static str>, Error> {
    let mut run = Vec::new();
    for migration in pending(client, migrations).await? {
        for (index, statement) in script::statements(migration.sql, client.database())
            .into_iter()
            .enumerate()
        {
            client
                .execute(&statement)
                .await
                .map_err(|cause| Error::Statement {
                    name: migration.name,
                    statement: index + 1,
                    cause,
                })?;
        }
        record(client, &migration).await?;
        tracing::info!(migration = migration.name, "migrated");
        run.push(migration.name);
    }
    Ok(run)
}

/// Creates the database and the two tables that this module itself needs.
async fn prepare(client: &Client) -> Result<(), Error> {
    for statement in script::statements(include_str!("migrate/bookkeeping.sql"), client.database())
    {
        client.execute(&statement).await?;
    }
    Ok(())
}

/// What is still to be run, in order.
async fn pending(client: &Client, migrations: &[Migration]) -> Result<Vec<Migration>, Error> {
    let database = client.database();
    let select = format!(
        "SELECT DISTINCT version, name, checksum FROM {}.migrations ORDER BY version",
        quoted(database)
    );
    let done: Vec<Done> = client.rows(&select).await?;
    let known = migrations.last().map_or(0, |migration| migration.version);
    if let Some(newest) = done
        .iter()
        .map(|done| done.version)
        .max()
        .filter(|newest| *newest > known)
    {
        return Err(Error::Newer {
            database: database.to_owned(),
            found: newest,
            known,
        });
    }
    let mut pending = Vec::new();
    for migration in migrations {
        match done.iter().find(|done| done.version == migration.version) {
            None => pending.push(*migration),
            Some(done) if done.checksum == checksum(migration) => {}
            Some(done) => {
                return Err(Error::Changed {
                    database: database.to_owned(),
                    name: done.name.clone(),
                });
            }
        }
    }
    Ok(pending)
}

async fn record(client: &Client, migration: &Migration) -> Result<(), Error> {
    let (version, name, checksum) = (migration.version, migration.name, checksum(migration));
    insert_json(
        client,
        "migrations",
        "version, name, checksum",
        &serde_json::json!([version, name, checksum]),
        Deduplicate::Never,
    )
    .await
}

/// One row, its values as a JSON array of texts and numbers, laid out as `RowBinary`.
async fn insert_json(
    client: &Client,
    table: &str,
    columns: &str,
    row: &serde_json::Value,
    deduplicate: Deduplicate<'_>,
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    for value in row.as_array().into_iter().flatten() {
        match value {
            serde_json::Value::String(text) => {
                bytes.push(
                    u8::try_from(text.len())
                        .expect("names, checksums and holders are short, as made here"),
                );
                bytes.extend_from_slice(text.as_bytes());
            }
            number => {
                let number = number
                    .as_u64()
                    .and_then(|number| u32::try_from(number).ok());
                bytes.extend_from_slice(
                    &number
                        .expect("versions and terms are small numbers, as made here")
                        .to_le_bytes(),
                );
            }
        }
    }
    let target = format!("{}.{table}", quoted(client.database()));
    let block = Block {
        target: &target,
        columns,
        rows: &[bytes.into()],
    };
    Ok(client.insert(block, deduplicate).await?)
}

fn checksum(migration: &Migration) -> String {
    Sha256::digest(migration.sql.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_schemas_clickhouse_is_known_and_numbered_without_gaps() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/clickhouse");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder of migrations")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect();
        files.sort();
        let known: Vec<String> = ALL
            .iter()
            .map(|migration| format!("{}.sql", migration.name))
            .collect();
        assert_eq!(files, known);
        for (index, migration) in ALL.iter().enumerate() {
            assert_eq!(migration.version as usize, index + 1, "{}", migration.name);
            assert!(
                migration
                    .name
                    .starts_with(&format!("{:04}_", migration.version)),
                "{}",
                migration.name
            );
        }
    }

    #[test]
    fn a_checksum_is_that_of_the_whole_text() {
        let migration = Migration {
            version: 1,
            name: "0001_a",
            sql: "abc",
        };
        assert_eq!(
            checksum(&migration),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
