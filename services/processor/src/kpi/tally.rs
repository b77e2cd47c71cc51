//! All windows of one sum.

use tributary_core::kpi::{Kpi, Sum, Window};

use super::series::Series;

/// A sum that changed, by window: none is an amount at a minute.
pub(super) type Taken = Vec<(Option<Window>, i64, Sum)>;

/// A KPI of a workspace in a currency, dimension and value.
#[derive(Debug)]
pub(super) struct Tally {
    /// Workspace, slug, currency, dimension and value, NUL between them.
    pub(super) key: Box<str>,
    /// The KPI.
    pub(super) kpi: Kpi,
    /// Of the input, and so of the store.
    pub(super) partition: i32,
    /// By window.
    pub(super) series: [Series; 6],
    /// What came since the last flush.
    pub(super) taken: Taken,
}

impl Tally {
    /// A sum of nothing yet; none if its key is not one of a KPI that is known.
    pub(super) fn new(key: &str, partition: i32) -> Option<Self> {
        let kpi = Kpi::named(parts(key)?[1])?;
        Some(Self {
            key: key.into(),
            kpi,
            partition,
            series: Default::default(),
            taken: Vec::new(),
        })
    }

    /// Workspace, slug, currency, dimension and value.
    pub(super) fn parts(&self) -> [&str; 5] {
        parts(&self.key).expect("was checked when it was made")
    }

    /// Whether there is anything that it sums up, or was before it was folded away.
    pub(super) fn is_something(&self) -> bool {
        self.series
            .iter()
            .any(|series| !series.folded.is_zero() || series.slots.values().any(|slot| slot.stored))
    }

    /// What was taken, as differences by window.
    pub(super) fn differences(&mut self) -> [Vec<(i64, Sum)>; 6] {
        let mut differences: [Vec<(i64, Sum)>; 6] = Default::default();
        for (window, mark, sum) in std::mem::take(&mut self.taken) {
            if let Some(window) = window {
                differences[window.index()].push((mark, sum));
                continue;
            }
            for window in Window::ALL {
                let first = window.mark_of_minute(mark);
                differences[window.index()].extend([(first, sum), (first + window.marks(), -sum)]);
            }
        }
        differences.map(super::series::summed)
    }
}

fn parts(key: &str) -> Option<[&str; 5]> {
    let mut parts = key.split('\0');
    let five = [
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
    ];
    parts.next().is_none().then_some(five)
}
