//! Changes that the store does not hold yet.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Weak};

/// Keys with their new value; none where it was deleted.
pub(super) type Changes = BTreeMap<Box<[u8]>, Option<Box<[u8]>>>;

/// Two layers: what changed since the last checkpoint began, over what that checkpoint is writing.
#[derive(Default)]
pub(super) struct Overlay {
    changed: Changes,
    changed_bytes: usize,
    /// The writer holds it for as long as it is not in the store.
    written: Weak<Changes>,
}

impl Overlay {
    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.changed_bytes += key.len() + value.map_or(0, <[u8]>::len);
        self.changed.insert(key.into(), value.map(Into::into));
    }

    /// What is known of the key, if anything.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        if let Some(value) = self.changed.get(key) {
            return Some(value.as_deref().map(<[u8]>::to_vec));
        }
        let written = self.written.upgrade()?;
        written
            .get(key)
            .map(|value| value.as_deref().map(<[u8]>::to_vec))
    }

    /// Everything that is known below a prefix, in the order of keys.
    pub(super) fn with_prefix(&self, prefix: &[u8]) -> Changes {
        let mut known = Changes::new();
        let written = self.written.upgrade();
        for layer in written.as_deref().into_iter().chain([&self.changed]) {
            let below = layer.range::<[u8], _>((
                std::ops::Bound::Included(prefix),
                std::ops::Bound::Unbounded,
            ));
            let below = below.take_while(|(key, _)| key.starts_with(prefix));
            known.extend(below.map(|(key, value)| (key.clone(), value.clone())));
        }
        known
    }

    /// The first key behind `after` of which something is known, and whether it has a value.
    pub(super) fn next(&self, after: &[u8]) -> Option<(Vec<u8>, bool)> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let first = |layer: &Changes| {
            let (key, value) = layer.range::<[u8], _>(behind).next()?;
            Some((key.to_vec(), value.is_some()))
        };
        let written = self.written.upgrade().and_then(|written| first(&written));
        match (first(&self.changed), written) {
            (Some(changed), Some(written)) if written.0 < changed.0 => Some(written),
            (Some(changed), _) => Some(changed),
            (None, written) => written,
        }
    }

    /// Hands over what changed; it stays readable here until the last holder drops it.
    pub(super) fn freeze(&mut self) -> Arc<Changes> {
        let frozen = Arc::new(std::mem::take(&mut self.changed));
        self.changed_bytes = 0;
        self.written = Arc::downgrade(&frozen);
        frozen
    }

    pub(super) fn changed_bytes(&self) -> usize {
        self.changed_bytes
    }

    pub(super) fn changed_keys(&self) -> usize {
        self.changed.len()
    }
}
