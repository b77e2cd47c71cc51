//! What was used lately, decoded: a cache in two generations, so that a use costs one move and eviction nothing.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// What an entry costs, in units of the caller's.
pub(crate) trait Weight {
    /// At least 1.
    fn weight(&self) -> usize;
}

/// A bounded map. Whoever works on an entry takes it out and puts it back, so nothing in work is ever evicted.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: FxHashMap<K, V>,
    old: FxHashMap<K, V>,
    young_weight: usize,
    limit: usize,
}

impl<K: Eq + Hash, V: Weight> Recent<K, V> {
    /// A cache whose entries weigh about `limit` at most.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            young: FxHashMap::default(),
            old: FxHashMap::default(),
            young_weight: 0,
            limit,
        }
    }

    /// Takes an entry out.
    pub(crate) fn take(&mut self, key: &K) -> Option<V> {
        match self.young.remove(key) {
            Some(value) => {
                self.young_weight = self.young_weight.saturating_sub(value.weight());
                Some(value)
            }
            None => self.old.remove(key),
        }
    }

    /// Puts an entry in; what was not used for a generation goes.
    pub(crate) fn put(&mut self, key: K, value: V) {
        self.young_weight += value.weight();
        self.young.insert(key, value);
        if self.young_weight > self.limit / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_weight = 0;
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.young_weight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weight for u32 {
        fn weight(&self) -> usize {
            1
        }
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes_within_two_generations() {
        let mut recent = Recent::new(20);
        recent.put(1_000, 7_u32);
        for key in 0..100 {
            let used = recent.take(&1_000).expect("used all the time");
            recent.put(1_000, used);
            recent.put(key, key);
            assert!(recent.young.len() + recent.old.len() <= 22, "bounded");
        }
        assert_eq!(recent.take(&0), None);
        assert_eq!(recent.take(&99), Some(99));
    }
}
