//! Values of dimensions, of which only so many are told apart; the rest is `other`.
//!
//! Which ones are told apart follows from the set of all values that were ever stored, in whatever order they came: those
//! that are configured to go first, then those with the least hashes (XXH3). A value that is not among them never will be, as
//! the set only grows: so all that is ever remembered are those that are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tributary_contracts::keys;
use tributary_core::kpi::Dimension;
use xxhash_rust::xxh3::xxh3_64;

use crate::runtime::stage::Broken;

/// What values that are not told apart are called.
pub(crate) const OTHER: &str = "other";

/// Dimensions of which only so many values are told apart.
pub(crate) const BOUNDED: [Dimension; Dimension::BOUNDED.len()] = Dimension::BOUNDED;

/// The dimension of that name, if its values are bounded.
pub(crate) fn bounded(name: &str) -> Option<Dimension> {
    Dimension::named(name).filter(|dimension| BOUNDED.contains(dimension))
}

/// The key under which a stage stores that it remembers a value.
pub(crate) fn stored_key(
    prefix: &[u8],
    workspace: &str,
    dimension: Dimension,
    value: &str,
) -> Vec<u8> {
    let parts = keys::joined(&[workspace, dimension.name(), value]);
    [prefix, &parts].concat()
}

/// Workspace, dimension and value of such a key.
pub(crate) fn split_key<'k>(
    prefix: &[u8],
    key: &'k [u8],
) -> Result<(&'k str, Dimension, &'k str), Broken> {
    let parts = || {
        let text = std::str::from_utf8(key.strip_prefix(prefix)?).ok()?;
        let mut parts = text.splitn(3, '\0');
        Some((parts.next()?, bounded(parts.next()?)?, parts.next()?))
    };
    parts().ok_or_else(|| Broken("a stored value of a dimension is malformed".to_owned()))
}

/// How many values of a dimension are told apart, and which of them go before all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    pub(crate) most: u64,
    /// Sorted.
    pub(crate) first: Vec<Box<str>>,
}

impl Limit {
    /// Whether what is told apart by it is known where another was obeyed, whatever was passed over there.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.first == other.first && self.most <= other.most
    }

    /// The least are told apart.
    fn rank(&self, value: &str) -> Rank {
        let is_first = self.first.binary_search_by(|first| (**first).cmp(value));
        (is_first.is_err(), xxh3_64(value.as_bytes()))
    }
}

/// The limits of all dimensions, as configured.
#[derive(Clone, Debug)]
pub struct Limits([Option<Limit>; BOUNDED.len()]);

impl Limits {
    /// So many values of each dimension that is counted, those before others that are named for it.
    #[must_use]
    pub fn new(most: usize, first: &BTreeMap<String, Vec<String>>, counted: &[Dimension]) -> Self {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        Self(BOUNDED.map(|dimension| {
            let named = first.get(dimension.name()).into_iter().flatten();
            let mut first: Vec<Box<str>> = named.map(|value| value.as_str().into()).collect();
            first.sort_unstable();
            first.dedup();
            counted
                .contains(&dimension)
                .then_some(Limit { most, first })
        }))
    }

    /// None where nothing is counted by the dimension, or it has no limit.
    pub(crate) fn of(&self, dimension: Dimension) -> Option<&Limit> {
        let place = BOUNDED.iter().position(|bounded| *bounded == dimension)?;
        self.0[place].as_ref()
    }
}

/// Whether a value comes behind those that are configured to go first, and its hash.
type Rank = (bool, u64);

/// The values of a dimension that are told apart, by rank. Of two with one hash the lesser is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values(BTreeMap<Rank, Box<str>>);

/// What became of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is one of those that are told apart.
    Known,
    /// It has become one; another may no longer be one.
    New {
        /// Which that is.
        displaced: Option<Box<str>>,
    },
    /// It is `other`.
    Other,
}

impl Seen {
    /// Whether that value, or another because of it, is one of the others.
    pub(crate) const fn passes_over(&self) -> bool {
        matches!(self, Self::Other | Self::New { displaced: Some(_) })
    }
}

impl Values {
    /// Sees a value, within a limit.
    pub(crate) fn see(&mut self, value: &str, limit: &Limit) -> Seen {
        if value == OTHER || limit.most == 0 {
            return Seen::Other;
        }
        let rank = limit.rank(value);
        match self.0.get(&rank).map(|known| (**known).cmp(value)) {
            Some(std::cmp::Ordering::Equal) => return Seen::Known,
            Some(std::cmp::Ordering::Less) => return Seen::Other,
            Some(std::cmp::Ordering::Greater) => {
                let displaced = self.0.insert(rank, value.into());
                return Seen::New { displaced };
            }
            None => {}
        }
        if self.0.len() as u64 >= limit.most
            && self
                .0
                .last_key_value()
                .is_some_and(|(last, _)| *last < rank)
        {
            return Seen::Other;
        }
        self.0.insert(rank, value.into());
        Seen::New {
            displaced: self.shrink(limit),
        }
    }

    /// Takes up one that was told apart, by what goes first in a limit, however many there are.
    pub(crate) fn restore(&mut self, value: &str, limit: &Limit) {
        self.0.insert(limit.rank(value), value.into());
    }

    /// Takes out a value that is one too many, if there is one.
    pub(crate) fn shrink(&mut self, limit: &Limit) -> Option<Box<str>> {
        if self.0.len() as u64 <= limit.most {
            return None;
        }
        self.0.pop_last().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn limit(most: u64, first: &[&str]) -> Limit {
        Limit {
            most,
            first: first.iter().map(|value| Box::from(*value)).collect(),
        }
    }

    proptest! {
        #[test]
        fn whatever_the_order_the_same_values_are_told_apart(
            values in prop::collection::vec("[a-d]{1,2}", 0..40), most in 0..6_u64, first in prop::sample::subsequence(vec!["a", "bc", "d"], 0..=3),
        ) {
            let mut ranked: Vec<&String> = values.iter().collect::<BTreeSet<_>>().into_iter().collect();
            ranked.sort_by_key(|value| (!first.contains(&&***value), xxh3_64(value.as_bytes())));
            ranked.truncate(most as usize);
            let limit = limit(most, &first);
            let (mut seen, mut told_apart) = (Values::default(), BTreeSet::new());
            for value in &values {
                match seen.see(value, &limit) {
                    Seen::Known => prop_assert!(told_apart.contains(value)),
                    Seen::Other => prop_assert!(!told_apart.contains(value)),
                    Seen::New { displaced } => {
                        told_apart.insert(value.clone());
                        if let Some(displaced) = displaced {
                            prop_assert!(told_apart.remove(&*displaced));
                        }
                    }
                }
            }
            prop_assert_eq!(&told_apart, &ranked.into_iter().cloned().collect::<BTreeSet<_>>());
            let mut restored = Values::default();
            told_apart.iter().for_each(|value| restored.restore(value, &limit));
            prop_assert_eq!(restored, seen);
        }
    }

    #[test]
    fn less_is_known_where_more_was_and_nothing_else() {
        let known = limit(3, &["a"]);
        assert!(limit(3, &["a"]).is_within(&known) && limit(2, &["a"]).is_within(&known));
        assert!(!limit(4, &["a"]).is_within(&known));
        assert!(!limit(2, &[]).is_within(&known) && !limit(2, &["a", "b"]).is_within(&known));
    }

    #[test]
    fn a_dimension_that_is_not_counted_has_no_limit() {
        let first = BTreeMap::from([(
            "campaign".to_owned(),
            vec!["b".to_owned(), "a".to_owned(), "b".to_owned()],
        )]);
        let limits = Limits::new(3, &first, &[Dimension::Campaign, Dimension::Goal]);
        assert_eq!(limits.of(Dimension::Campaign), Some(&limit(3, &["a", "b"])));
        assert_eq!(limits.of(Dimension::Store), None);
        assert_eq!(limits.of(Dimension::Goal), None, "goals are configured");
    }

    #[test]
    fn a_value_that_is_called_other_is_one_of_the_others() {
        assert_eq!(Values::default().see(OTHER, &limit(9, &[])), Seen::Other);
        assert!(bounded("campaign").is_some() && bounded("status").is_none());
    }
}
