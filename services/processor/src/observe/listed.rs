//! A list of a timeline that only grows: what each of its events has is a place in it. A change writes the chunk that it is
//! in, and what is known already is found without looking at all of it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::sending::Sending;
use super::stored::decode;
use crate::runtime::stage::{Broken, Store};

/// How many are written together. Up to so many are searched one by one: most timelines have few.
const CHUNK: usize = 16;

/// A list of which the first chunk is written with what it is in, and each further one alone.
#[derive(Debug)]
pub(super) struct Listed<T> {
    all: Vec<T>,
    changed: BTreeSet<usize>,
    /// Of a long list: the last place of each hash.
    places: FxHashMap<u64, usize>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self::from_first(Vec::new())
    }
}

impl<T> Listed<T> {
    fn from_first(all: Vec<T>) -> Self {
        Self {
            all,
            changed: BTreeSet::new(),
            places: FxHashMap::default(),
        }
    }

    /// The place of the one that `is_it`, which is made where there is none. `hash` gives equal ones the same number.
    pub(super) fn place(
        &mut self,
        is_it: impl Fn(&T) -> bool,
        hash: impl Fn(&T) -> u64,
        sought: impl FnOnce() -> u64,
        make: impl FnOnce() -> T,
    ) -> usize {
        let next = self.all.len();
        if next <= CHUNK {
            return match self.all.iter().rposition(is_it) {
                Some(place) => place,
                None => self.push(make()),
            };
        }
        if self.places.is_empty() {
            let all = self.all.iter().enumerate();
            self.places = all.map(|(place, one)| (hash(one), place)).collect();
        }
        match self.places.entry(sought()) {
            Entry::Occupied(known) if is_it(&self.all[*known.get()]) => *known.get(),
            // Another of the same hash: the one that is sought may stand before it.
            Entry::Occupied(mut known) => match self.all.iter().rposition(is_it) {
                Some(place) => place,
                None => {
                    known.insert(next);
                    self.push(make())
                }
            },
            Entry::Vacant(vacant) => {
                vacant.insert(next);
                self.push(make())
            }
        }
    }

    fn push(&mut self, one: T) -> usize {
        let place = self.all.len();
        self.all.push(one);
        self.change(place);
        place
    }

    /// Marks that the one at that place is another than written.
    pub(super) fn change(&mut self, place: usize) {
        self.changed.insert(place / CHUNK);
    }

    pub(super) fn get_mut(&mut self, place: usize) -> &mut T {
        &mut self.all[place]
    }

    pub(super) fn iter_from(&self, place: usize) -> impl Iterator<Item = &T> {
        self.all[place..].iter()
    }

    /// Whether the first chunk is another than written.
    pub(super) fn take_first_changed(&mut self) -> bool {
        self.changed.remove(&0)
    }

    /// The further chunks that are otherwise than written.
    fn take_changed(&mut self) -> impl Iterator<Item = (u32, &[T])> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.map(|number| {
            let begin = number * CHUNK;
            let end = self.all.len().min(begin + CHUNK);
            (number as u32, &self.all[begin..end])
        })
    }

    /// Takes in the further chunks.
    fn extend(&mut self, chunks: BTreeMap<u32, Vec<T>>) {
        self.all.extend(chunks.into_values().flatten());
    }
}

impl<T: Serialize + for<'de> Deserialize<'de>> Listed<T> {
    /// Reads the further chunks, whose keys begin with `prefix`.
    pub(super) fn load(
        &mut self,
        partition: i32,
        prefix: &[u8],
        store: &dyn Store,
    ) -> Result<(), Broken> {
        if self.all.len() < CHUNK {
            return Ok(());
        }
        let mut chunks = BTreeMap::new();
        store.scan(partition, prefix, &mut |_, chunk| {
            let (number, chunk): (u32, Vec<T>) = decode(chunk)?;
            chunks.insert(number, chunk);
            Ok(())
        })?;
        self.extend(chunks);
        Ok(())
    }

    /// Writes the further chunks that are otherwise than written.
    pub(super) fn save(
        &mut self,
        partition: i32,
        prefix: &[u8],
        sending: &mut Sending<'_>,
    ) -> Result<(), Broken> {
        for (number, chunk) in self.take_changed() {
            let key = [prefix, &number.to_be_bytes()].concat();
            sending.put(partition, &key, Some(&(number, chunk)))?;
        }
        Ok(())
    }
}

impl<T> std::ops::Index<usize> for Listed<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.all[place]
    }
}

impl<T: Serialize> Serialize for Listed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all[..self.all.len().min(CHUNK)].serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from_first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(list: &mut Listed<u64>, value: u64, hash: impl Fn(&u64) -> u64) -> usize {
        list.place(|known| *known == value, &hash, || hash(&value), || value)
    }

    #[test]
    fn each_has_one_place_however_long_the_list_and_however_bad_the_hash() {
        for worst in [1, 7, u64::MAX] {
            let hash = |value: &u64| value % worst;
            let mut list = Listed::default();
            for value in 0..300 {
                assert_eq!(place(&mut list, value, hash), value as usize);
                assert_eq!(place(&mut list, value / 2, hash), (value / 2) as usize);
            }
            assert_eq!(list.iter_from(298).collect::<Vec<_>>(), [&298, &299]);
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let hash = |value: &u64| *value;
        let mut list = Listed::default();
        for value in 0..200 {
            assert_eq!(place(&mut list, value, hash), value as usize);
        }
        assert!(list.take_first_changed());
        let mut chunks: BTreeMap<u32, Vec<u64>> = list
            .take_changed()
            .map(|(number, chunk)| (number, chunk.to_vec()))
            .collect();
        assert!(chunks.keys().copied().eq(1..13));
        *list.get_mut(150) = 1_000;
        list.change(150);
        assert!(!list.take_first_changed());
        let changed: Vec<_> = list.take_changed().map(|(number, _)| number).collect();
        assert_eq!(changed, [9]);
        assert_eq!(list.take_changed().count(), 0);

        chunks.get_mut(&9).expect("a chunk")[150 - 144] = 1_000;
        let first = postcard::to_allocvec(&list).expect("numbers");
        let mut read: Listed<u64> = postcard::from_bytes(&first).expect("numbers");
        read.extend(chunks);
        assert_eq!(read.all, list.all);
        assert_eq!(place(&mut read, 1_000, hash), 150);
        assert_eq!(place(&mut read, 150, hash), 200);
    }
}
