//! Values of dimensions, of which only so many are told apart; the rest is `other`.
//!
//! Which ones are told apart follows from the set of all values that were ever stored, in whatever order they came: those
//! with the least hashes (XXH3). A value that is not among them never will be, as the set only grows: so all that is ever
//! remembered are those that are.

use std::collections::BTreeMap;

use tributary_contracts::keys;
use tributary_core::kpi::Dimension;
use xxhash_rust::xxh3::xxh3_64;

use crate::runtime::stage::Broken;

/// What values that are not told apart are called.
pub(crate) const OTHER: &str = "other";

/// Dimensions whose values senders choose. Those of the others are few: goals, statuses, quadrants, sentiments.
pub(crate) const BOUNDED: [Dimension; 11] = [
    Dimension::Channel,
    Dimension::Source,
    Dimension::Campaign,
    Dimension::DeviceType,
    Dimension::Store,
    Dimension::Product,
    Dimension::Question,
    Dimension::Touchpoint,
    Dimension::Network,
    Dimension::Post,
    Dimension::Influencer,
];

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

/// The values of a dimension that are told apart, by hash. Of two with one hash the lesser is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values(BTreeMap<u64, Box<str>>);

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
    /// Sees a value, where so many are told apart.
    pub(crate) fn see(&mut self, value: &str, most: usize) -> Seen {
        if value == OTHER || most == 0 {
            return Seen::Other;
        }
        let hash = xxh3_64(value.as_bytes());
        match self.0.get(&hash).map(|known| (**known).cmp(value)) {
            Some(std::cmp::Ordering::Equal) => return Seen::Known,
            Some(std::cmp::Ordering::Less) => return Seen::Other,
            Some(std::cmp::Ordering::Greater) => {
                let displaced = self.0.insert(hash, value.into());
                return Seen::New { displaced };
            }
            None => {}
        }
        if self.0.len() >= most
            && self
                .0
                .last_key_value()
                .is_some_and(|(last, _)| *last < hash)
        {
            return Seen::Other;
        }
        self.0.insert(hash, value.into());
        Seen::New {
            displaced: self.shrink(most),
        }
    }

    /// Takes out a value that is one too many, if there is one.
    pub(crate) fn shrink(&mut self, most: usize) -> Option<Box<str>> {
        if self.0.len() <= most {
            return None;
        }
        self.0.pop_last().map(|(_, value)| value)
    }
}

/// How many values of a dimension are told apart. It can be made less at any time, and more only where nothing was counted as
/// `other` yet.
#[derive(Debug)]
pub(crate) struct Limit {
    most: usize,
    /// By partition: the least at which a value was passed over, as its store says. What is `other` cannot be taken apart.
    final_at: BTreeMap<i32, usize>,
}

impl Limit {
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            most,
            final_at: BTreeMap::new(),
        }
    }

    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    pub(crate) fn clear(&mut self) {
        self.final_at.clear();
    }

    /// Takes up what a partition's store says.
    ///
    /// # Errors
    /// When it says less than is to be told apart now.
    pub(crate) fn restore(&mut self, partition: i32, before: usize) -> Result<(), Broken> {
        let most = self.most;
        if before < most {
            return Err(Broken(format!(
                "kpi.max_values is {most}, but there is a dimension of which {before} values are told apart and the rest is \
                 counted as `other`, which cannot be taken apart: set kpi.max_values = {before}, or less"
            )));
        }
        self.final_at.insert(partition, before);
        Ok(())
    }

    /// A value of the partition is passed over. Returns what is to be stored of it, if that is new.
    pub(crate) fn pass_over(&mut self, partition: i32) -> Option<usize> {
        let before = self.final_at.insert(partition, self.most);
        (before != Some(self.most)).then_some(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn whatever_the_order_the_same_values_are_told_apart(
            values in prop::collection::vec("[a-d]{1,2}", 0..40), most in 0..6_usize,
        ) {
            let mut by_hash: Vec<&String> = values.iter().collect::<BTreeSet<_>>().into_iter().collect();
            by_hash.sort_by_key(|value| xxh3_64(value.as_bytes()));
            by_hash.truncate(most);
            let (mut seen, mut told_apart) = (Values::default(), BTreeSet::new());
            for value in &values {
                match seen.see(value, most) {
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
            prop_assert_eq!(told_apart, by_hash.into_iter().cloned().collect::<BTreeSet<_>>());
        }
    }

    #[test]
    fn more_can_be_told_apart_only_where_nothing_was_passed_over() {
        let mut limit = Limit::new(3);
        assert_eq!(limit.pass_over(0), Some(3));
        assert_eq!(limit.pass_over(0), None);
        assert_eq!(limit.pass_over(1), Some(3), "another partition");
        let mut less = Limit::new(2);
        less.restore(0, 3).expect("less");
        assert_eq!(less.pass_over(0), Some(2));
        let mut more = Limit::new(5);
        let refused = more.restore(0, 3).expect_err("more").to_string();
        assert!(
            refused.ends_with("set kpi.max_values = 3, or less"),
            "{refused}"
        );
    }

    #[test]
    fn a_value_that_is_called_other_is_one_of_the_others() {
        assert_eq!(Values::default().see(OTHER, 9), Seen::Other);
        assert!(bounded("campaign").is_some() && bounded("status").is_none());
    }
}
