//! A scenario's own workspace.

use crate::client::Answer;
use crate::system::System;
use crate::wait::until;
use serde_json::{Value, json};
use std::time::Duration;

const BATCH: usize = 500;
/// As long as a broker takes to come back.
const TAKEN_WITHIN: Duration = Duration::from_secs(180);

/// What L1 speaks of, beside the marks of KPIs, without what may differ.
const VIEWS: [(&str, &str); 9] = [
    ("identities", "*"),
    ("profile_aliases", "*"),
    ("identity_refusals", "*"),
    // Quintiles are as of the last midnight, which may pass amid a test.
    ("profiles_current", "* EXCEPT rfm"),
    ("groups_current", "*"),
    ("sessions_current", "*"),
    ("orders_current", "*"),
    ("links", "*"),
    (
        "touchpoints_current",
        "* EXCEPT (received_at, sent_at, links_offset, kafka_partition, kafka_offset, kafka_epoch)",
    ),
];

/// A workspace of a running system.
#[derive(Debug, Clone, Copy)]
pub struct Tenant<'a> {
    /// The system.
    pub system: &'a System,
    /// The workspace's place, from 0.
    pub number: usize,
}

impl Tenant<'_> {
    /// The workspace's name.
    pub fn workspace(&self) -> String {
        format!("w{}", self.number)
    }

    /// The rows of each view that L1 speaks of, once all is settled, with the KPIs' marks up to `end` (Unix seconds).
    ///
    /// # Panics
    /// When ClickHouse does not answer.
    pub fn state(&self, end: i64) -> Vec<(&'static str, Vec<Value>)> {
        self.settled();
        let views = VIEWS.iter().map(|(view, columns)| {
            let sql =
                format!("SELECT {columns} FROM {view} WHERE workspace = {{w:String}} ORDER BY ALL");
            (sql, *view)
        });
        let kpis = format!(
            "SELECT * FROM kpis_current WHERE workspace = {{w:String}} AND window_end <= toDateTime64({end}, 3, 'UTC') ORDER BY ALL"
        );
        views
            .chain([(kpis, "kpis_current")])
            .map(|(sql, view)| (view, self.query(&sql)))
            .collect()
    }

    /// The write key of one of its sources: `web`, `till`, `history`.
    pub fn key(&self, source: &str) -> String {
        format!("w{}-{source}", self.number)
    }

    /// Sends events from a source, in batches; each must be taken.
    ///
    /// # Panics
    /// When one is not.
    pub fn send(&self, source: &str, events: &[Value]) {
        for batch in events.chunks(BATCH) {
            let answer = self
                .post(source, batch)
                .unwrap_or_else(|error| panic!("ingest does not answer: {error}"));
            accepted(&answer);
        }
    }

    /// Sends events as an SDK does: again, under the same message ids, until they are acknowledged.
    ///
    /// # Panics
    /// When ingest takes none for minutes, or refuses one.
    pub fn send_stubbornly(&self, source: &str, events: &[Value]) {
        for batch in events.chunks(BATCH) {
            let answer = until("an acknowledgement", TAKEN_WITHIN, || {
                match self.post(source, batch)? {
                    Answer {
                        status: 429 | 500..=599,
                        body,
                        ..
                    } => Err(body),
                    answer => Ok(answer),
                }
            });
            accepted(&answer);
        }
    }

    fn post(&self, source: &str, batch: &[Value]) -> Result<Answer, String> {
        let body = json!({ "batch": batch }).to_string();
        self.system
            .ingest("/v1/batch?verbose=1", &self.key(source), body.as_bytes())
    }

    /// Waits until everything that was sent is in ClickHouse.
    pub fn settled(&self) {
        self.system.settled();
    }

    /// Checks with `tributary verify kpis` that every KPI is what SQL makes of all touchpoints, once all is settled; where
    /// there are none, that it says so.
    ///
    /// # Panics
    /// When one is not, with what the command has printed.
    pub fn verify_kpis(&self, arguments: &[&str]) {
        self.settled();
        let workspace = self.workspace();
        let all = [&["verify", "kpis", "--workspace", &workspace], arguments].concat();
        let output = self.system.job(&all);
        let (said, why) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        if self.count("touchpoints") == 0 {
            assert!(
                output.status.code() == Some(1) && why.contains("has no touchpoints"),
                "KPIs of {workspace}, which is empty: {said}{why}"
            );
        } else {
            assert!(output.status.success(), "KPIs of {workspace}: {said}{why}");
        }
    }

    /// Rows of a query; `{w:String}` is the workspace.
    pub fn query(&self, sql: &str) -> Vec<Value> {
        self.system.query(sql, &[("w", &self.workspace())])
    }

    /// The only row of a query.
    ///
    /// # Panics
    /// When there is another number of rows.
    pub fn row(&self, sql: &str) -> Value {
        let mut rows = self.query(sql);
        assert_eq!(rows.len(), 1, "rows of {sql}: {rows:?}");
        rows.remove(0)
    }

    /// The number of rows of a table or view that belong to the workspace.
    ///
    /// # Panics
    /// When ClickHouse does not answer with a number.
    pub fn count(&self, table: &str) -> u64 {
        let row = self.row(&format!(
            "SELECT count() AS count FROM {table} WHERE workspace = {{w:String}}"
        ));
        row["count"]
            .as_u64()
            .unwrap_or_else(|| panic!("no number in {row}"))
    }
}

fn accepted(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["refused"], 0, "{}", answer.body);
}
