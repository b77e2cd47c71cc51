//! Rows as the tables keep them, the newest of each key.

use serde::Deserialize;
use tributary_core::identifier::IdentifierType;

/// An identifier and whose it is when; times are written as ClickHouse does.
#[derive(Debug, Deserialize)]
pub(super) struct State {
    pub(super) workspace: String,
    pub(super) identifier_type: String,
    pub(super) identifier_value: String,
    pub(super) own_profile_id: String,
    pub(super) profile_id: String,
    span_profile: Vec<String>,
    span_from: Vec<String>,
    span_to: Vec<String>,
    gone: bool,
    part: i32,
}

/// A span of time in which an identifier is somebody's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    pub(super) owner: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
}

/// A row with a mark that says whether it holds.
#[derive(Debug, Deserialize)]
pub(super) struct Kept<T> {
    gone: bool,
    #[serde(flatten)]
    row: T,
}

impl<T> Kept<T> {
    /// The row, unless it is gone.
    pub(super) fn row(self) -> Option<T> {
        (!self.gone).then_some(self.row)
    }
}

impl State {
    /// Whether it says which profile holds the identifier: further parts of its spans do not.
    pub(super) const fn is_held(&self) -> bool {
        self.part == 0 && !self.gone
    }

    /// In the order of time; none where it is gone.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span<'_>> {
        let spans = self
            .span_profile
            .iter()
            .zip(&self.span_from)
            .zip(&self.span_to);
        spans
            .filter(|_| !self.gone)
            .map(|((owner, from), to)| Span { owner, from, to })
    }

    /// The highest types first.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        let built_in = IdentifierType::built_in(&self.identifier_type);
        let (r#type, value) = (self.identifier_type.clone(), self.identifier_value.clone());
        (built_in.is_none(), built_in, r#type, value)
    }
}

impl Span<'_> {
    /// Whether the moment is in it; with none, always.
    pub(super) fn holds_at(&self, at: &str) -> bool {
        at.is_empty() || (self.from <= at && at < self.to)
    }

    /// Whether it reaches over all time.
    pub(super) fn is_always(&self) -> bool {
        self.from.starts_with("1970-") && self.to.starts_with("2299-")
    }
}
