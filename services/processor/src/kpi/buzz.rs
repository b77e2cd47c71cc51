//! Bad buzz: negative mentions of a workspace, by hour, and whether more come than usual since it was spoken of first.
//!
//! What is told is what was known at the mark: a mention that comes later changes the hours, but no alert of the past.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tributary_contracts::framing::Encoder;
use tributary_contracts::keys;
use tributary_contracts::wire::Alert;
use tributary_core::buzz::{Band, KEPT_HOURS, hour_of};
use tributary_core::kpi::{Dimension, Kpi};
use tributary_core::money::Amount;
use tributary_core::time::{MINUTE, Timestamp};

use crate::runtime::stage::{Broken, Outputs};
use crate::state_record::{self, StateEncoder};

use super::tally::Tally;
use super::{Report, Reported};

/// What begins the keys of the store.
pub(super) const HOURS: u8 = b'h';

/// Topic of alerts.
const TOPIC: &str = "alerts";
const ALERT: &str = "bad_buzz";

/// The sentiment of what is said against the brand.
const NEGATIVE: &str = "negative";

/// Minutes of an hour.
const HOUR: i64 = 60;

/// What is said against the brand in a workspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Watch {
    workspace: String,
    partition: i32,
    /// The hour of the first mention of any kind: from then on it is known that nothing was said against the brand.
    since: i64,
    /// By hour; those without any are left out.
    hours: BTreeMap<i64, i64>,
    /// By minute, of the last hour or two.
    minutes: BTreeMap<i64, i64>,
    raised: Option<Raised>,
    #[serde(skip)]
    changed: bool,
    /// The minute at which it was looked at last.
    #[serde(skip)]
    looked_at: Option<i64>,
}

/// An alert that stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Raised {
    /// The minute.
    at: i64,
    /// In millionths: negative mentions, what is usual, and the most that would not have raised it.
    value: i128,
    usual: i128,
    most: i128,
}

/// All workspaces.
pub(super) struct Buzz {
    /// By the key of the sum of negative mentions.
    watches: BTreeMap<Box<str>, Watch>,
    encoder: Encoder,
    state: StateEncoder,
    report: Report,
}

impl std::fmt::Debug for Buzz {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Buzz")
            .field("watches", &self.watches)
            .finish_non_exhaustive()
    }
}

impl Buzz {
    pub(super) fn new(report: Report) -> Self {
        Self {
            watches: BTreeMap::new(),
            encoder: Encoder::new("alert"),
            state: StateEncoder::new(),
            report,
        }
    }

    /// Forgets all: another instance may watch now.
    pub(super) fn clear(&mut self) {
        for watch in std::mem::take(&mut self.watches).into_values() {
            (self.report)(Reported::BadBuzz(&watch.workspace, false));
        }
    }

    /// Begins again from a record of the store.
    pub(super) fn restore(&mut self, stored_key: &[u8], record: &[u8]) -> Result<(), Broken> {
        let malformed = || Broken("stored mentions are malformed".to_owned());
        let watch: Watch =
            postcard::from_bytes(state_record::decode(record)?.body).map_err(|_| malformed())?;
        let key = std::str::from_utf8(&stored_key[1..]).map_err(|_| malformed())?;
        (self.report)(Reported::BadBuzz(&watch.workspace, watch.raised.is_some()));
        self.watches.insert(key.into(), watch);
        Ok(())
    }

    /// Counts what a sum takes, if it is one of mentions by sentiment: all of a workspace are in one partition.
    pub(super) fn count(&mut self, tally: &Tally) {
        let [workspace, slug, currency, dimension, value] = tally.parts();
        if tally.kpi != Kpi::Mentions || dimension != Dimension::Sentiment.name() {
            return;
        }
        let key = keys::joined(&[workspace, slug, currency, dimension, NEGATIVE]);
        let key = String::from_utf8(key).expect("text joined by NUL is text");
        let watch = self.watches.entry(key.into()).or_insert_with(|| Watch {
            workspace: workspace.to_owned(),
            partition: tally.partition,
            since: i64::MAX,
            ..Watch::default()
        });
        for (window, minute, sum) in &tally.taken {
            if window.is_some() {
                continue;
            }
            if hour_of(*minute) < watch.since {
                watch.since = hour_of(*minute);
                watch.changed = true;
            }
            if value != NEGATIVE {
                continue;
            }
            let mentions = (sum.numerator / 1_000_000) as i64;
            for (counts, place) in [
                (&mut watch.minutes, *minute),
                (&mut watch.hours, hour_of(*minute)),
            ] {
                let count = counts.entry(place).or_default();
                *count += mentions;
                if *count == 0 {
                    counts.remove(&place);
                }
            }
            watch.changed = true;
        }
    }

    /// Whether the clock has passed a mark at which an alert may be cleared though no mention came.
    pub(super) fn due(&self, passed: i64) -> bool {
        self.watches
            .values()
            .any(|watch| watch.raised.is_some() && watch.looked_at < Some(passed))
    }

    /// Looks at the hour up to the last mark that the clock has passed: raises and clears alerts.
    pub(super) fn look(
        &mut self,
        passed: i64,
        outputs: &mut dyn Outputs,
    ) -> Result<Vec<i32>, Broken> {
        let mut written = Vec::new();
        let (encoder, state, report) = (&mut self.encoder, &mut self.state, &self.report);
        for (key, watch) in &mut self.watches {
            if !watch.changed && watch.looked_at >= Some(passed) {
                continue;
            }
            watch.looked_at = Some(passed);
            let raised = watch.judge(passed);
            let cleared_at = match (watch.raised, raised) {
                (None, Some(_)) => None,
                (Some(_), None) => Some(Timestamp(passed * MINUTE)),
                _ if watch.changed => {
                    watch.write(key, state, outputs)?;
                    written.push(watch.partition);
                    continue;
                }
                _ => continue,
            };
            if let Some(told) = raised.or(watch.raised) {
                let raised_at = Timestamp(told.at * MINUTE);
                let alert = Alert {
                    workspace: &watch.workspace,
                    alert: ALERT,
                    raised_at,
                    cleared_at,
                    value: Amount::from_millionths(told.value),
                    usual: Amount::from_millionths(told.usual),
                    most: Amount::from_millionths(told.most),
                    revision: 2 * passed + i64::from(cleared_at.is_some()),
                };
                let mut buffer = Vec::new();
                encoder
                    .encode(&alert, &mut buffer)
                    .map_err(|error| Broken(format!("encode an alert: {error}")))?;
                let at = raised_at.0.to_string();
                let key = keys::joined(&[&watch.workspace, ALERT, &at]);
                let partition = keys::partition(&key, outputs.partitions(TOPIC));
                outputs.send(TOPIC, partition, &key, &buffer)?;
                report(Reported::BadBuzz(&watch.workspace, raised.is_some()));
            }
            watch.raised = raised;
            watch.write(key, state, outputs)?;
            written.push(watch.partition);
        }
        Ok(written)
    }
}

impl Watch {
    /// The alert that stands at a minute: the one that stood before, or a new one.
    fn judge(&self, passed: i64) -> Option<Raised> {
        let band = Band::at(passed, &self.hours, self.since)?;
        let count: i64 = self
            .minutes
            .range(passed - HOUR + 1..=passed)
            .map(|(_, count)| count)
            .sum();
        if !band.is_left_by(count) {
            return None;
        }
        let millionths = |number: f64| (number * 1e6).round() as i128;
        Some(self.raised.unwrap_or(Raised {
            at: passed,
            value: i128::from(count) * 1_000_000,
            usual: millionths(band.usual),
            most: millionths(band.most()),
        }))
    }

    fn write(
        &mut self,
        key: &str,
        state: &mut StateEncoder,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        self.changed = false;
        let passed = self.looked_at.unwrap_or_default();
        // A mention that comes late still finds its hour.
        self.minutes = self.minutes.split_off(&(passed - 2 * HOUR));
        self.hours = self.hours.split_off(&(hour_of(passed) - KEPT_HOURS - 1));
        let body = postcard::to_allocvec(self)
            .map_err(|error| Broken(format!("encode mentions: {error}")))?;
        let key = [&[HOURS], key.as_bytes()].concat();
        outputs.put(self.partition, &key, Some(state.encode(passed, &body)?))
    }
}
