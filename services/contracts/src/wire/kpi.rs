//! KPIs: changes to their sums, and their values at marks.

use serde::{Deserialize, Serialize};
use tributary_core::money::Amount;
use tributary_core::time::Timestamp;

super::message!(
    Contribution = "contribution",
    KpiBlock = "kpi",
    Alert = "alert"
);

/// Changes to sums of one KPI and value, as differences at marks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Slug.
    pub kpi: &'a str,
    /// ISO 4217 or empty.
    pub currency: &'a str,
    /// Dimension or empty for the whole.
    pub dimension: &'a str,
    /// Value or empty.
    pub dimension_value: &'a str,
    /// To be added.
    pub changes: Vec<Change>,
}

/// A difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// 0: an amount at a minute, from which all windows are made; 1 to 6: a difference at a mark of the window 1h, 24h, 7d, 30d, 90d, 365d.
    pub window: i32,
    /// Number of the mark since 1970 in the window's steps (minutes for 0).
    pub mark: i64,
    /// In millionths.
    pub numerator: i64,
    /// Count.
    pub denominator: i64,
}

/// The values of one KPI at a block of marks; replaces the block's earlier record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KpiBlock<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// Slug.
    pub kpi: &'a str,
    /// 1h, 24h, 7d, 30d, 90d or 365d.
    pub window: &'a str,
    /// ISO 4217 or empty.
    pub currency: &'a str,
    /// Dimension or empty for the whole.
    pub dimension: &'a str,
    /// Value or empty.
    pub dimension_value: &'a str,
    /// The mark with offset 0.
    pub block_start: Timestamp,
    /// Distance of marks.
    pub step_ms: i64,
    /// Offsets of the marks that have a value, in steps.
    pub marks: Vec<i32>,
    /// Beside marks.
    pub numerators: Vec<Amount>,
    /// Beside marks; 1 where the KPI is a sum.
    pub denominators: Vec<i64>,
    /// Grows with each change.
    pub revision: i64,
}

/// Something of a workspace that somebody should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert<'a> {
    /// The tenant.
    pub workspace: &'a str,
    /// What it is: `bad_buzz`.
    pub alert: &'a str,
    /// Mark at which it was raised.
    pub raised_at: Timestamp,
    /// Mark at which it was cleared; none while it stands.
    pub cleared_at: Option<Timestamp>,
    /// What it was raised by: negative mentions in the hour.
    pub value: Amount,
    /// What is usual: the moving average of the hours before.
    pub usual: Amount,
    /// The most that would not have raised it.
    pub most: Amount,
    /// Grows with each change.
    pub revision: i64,
}
