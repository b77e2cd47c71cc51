//! A world in which a writer lives several lives: a log in Kafka, what the group has noted, an engine that drops blocks
//! of known tokens, and a plan of what goes wrong.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tributary_platform::clickhouse::Error;
use tributary_platform::kafka::consumer::{Committed, Lost};

use crate::mark::{Mark, Range};
use crate::ports::{Letter, Letters, NotSent, Offsets, Warehouse};
use crate::table::Table;

/// What goes wrong with a call to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing was done.
    Refused,
    /// All was done, and the answer got lost.
    AnswerLost,
    /// The rows of one month were stored, those of another not.
    HalfStored,
    /// The engine died after noting the token and before storing the rows.
    TokenOnly,
}

/// When the writer is killed: at this step, before or after what it does takes effect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    pub(super) step: usize,
    pub(super) after: bool,
}

#[derive(Default)]
struct State {
    committed: Option<Committed>,
    /// Rows by table and offset.
    rows: BTreeMap<(&'static str, i64), usize>,
    tokens: HashSet<(&'static str, String, i64)>,
    letters: BTreeSet<i64>,
    steps: usize,
    kill: Option<Kill>,
    faults: Vec<Option<Fault>>,
}

#[derive(Default)]
pub(super) struct World {
    state: Mutex<State>,
    pub(super) dead: Notify,
    /// Offsets of rows, as the writer encoded them, are read back through this.
    offsets_of: Mutex<Vec<(Vec<u8>, i64)>>,
}

/// Two months, as far as tokens and parts go.
fn month(offset: i64) -> i64 {
    offset % 2
}

impl World {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin_life(
        &self,
        kill: Option<Kill>,
        faults: Vec<Option<Fault>>,
        forget_tokens: bool,
    ) {
        let mut state = self.state();
        state.steps = 0;
        state.kill = kill;
        state.faults = faults;
        if forget_tokens {
            state.tokens.clear();
        }
    }

    pub(super) fn committed(&self) -> Option<Committed> {
        self.state().committed.clone()
    }

    pub(super) fn rows(&self) -> BTreeMap<(&'static str, i64), usize> {
        self.state().rows.clone()
    }

    pub(super) fn letters(&self) -> BTreeSet<i64> {
        self.state().letters.clone()
    }

    /// Tells which offset a marker in encoded rows stands for.
    pub(super) fn know(&self, marker: Vec<u8>, offset: i64) {
        self.offsets_of
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((marker, offset));
    }

    /// Offsets of encoded rows, in order, by the message ids in them.
    fn offsets_in(&self, rows: &[Bytes]) -> Vec<i64> {
        let bytes = rows.concat();
        let known = self
            .offsets_of
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (marker, offset) in &*known {
            for at in 0..bytes.len().saturating_sub(marker.len() - 1) {
                if bytes[at..].starts_with(marker) {
                    found.push((at, *offset));
                }
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, offset)| offset).collect()
    }

    /// A step: does `effect` unless the writer is killed before it; never returns if it is killed.
    async fn step<T>(&self, effect: impl FnOnce(&mut State) -> T) -> T {
        let result = {
            let mut state = self.state();
            state.steps += 1;
            let kill = state.kill.filter(|kill| kill.step == state.steps);
            match kill {
                None => Some(effect(&mut state)),
                Some(kill) => {
                    if kill.after {
                        effect(&mut state);
                    }
                    None
                }
            }
        };
        match result {
            Some(result) => result,
            None => {
                self.dead.notify_one();
                std::future::pending().await
            }
        }
    }
}

fn unreachable() -> Error {
    Error::Unreachable {
        cause: "killed".to_owned(),
    }
}

impl Warehouse for &World {
    async fn insert(
        &self,
        table: &'static Table,
        rows: &[Bytes],
        token: Option<&str>,
    ) -> Result<(), Error> {
        let offsets = self.offsets_in(rows);
        let token = token
            .expect("every table of touchpoints counts its rows")
            .to_owned();
        self.step(move |state| {
            let fault = state.faults.pop().flatten();
            if fault == Some(Fault::Refused) {
                return Err(unreachable());
            }
            let months: BTreeSet<i64> = offsets.iter().map(|offset| month(*offset)).collect();
            for (index, part) in months.into_iter().enumerate() {
                if fault == Some(Fault::HalfStored) && index > 0 {
                    break;
                }
                if !state.tokens.insert((table.name, token.clone(), part))
                    || fault == Some(Fault::TokenOnly)
                {
                    continue;
                }
                for offset in offsets.iter().filter(|offset| month(**offset) == part) {
                    *state.rows.entry((table.name, *offset)).or_default() += 1;
                }
            }
            if fault.is_some() {
                Err(unreachable())
            } else {
                Ok(())
            }
        })
        .await
    }

    async fn held(
        &self,
        table: &'static Table,
        _: i32,
        _: &str,
        range: Range,
    ) -> Result<HashSet<i64>, Error> {
        self.step(|state| {
            if state.faults.pop().flatten() == Some(Fault::Refused) {
                return Err(unreachable());
            }
            let held = state
                .rows
                .keys()
                .filter(|(name, _)| *name == table.name)
                .map(|(_, offset)| *offset);
            Ok(held
                .filter(|offset| (range.first..=range.last).contains(offset))
                .collect())
        })
        .await
    }

    async fn readable(&self, _: &'static Table, _: &[Bytes]) -> Result<bool, Error> {
        Ok(true)
    }
}

impl Letters for &World {
    async fn send(&self, letters: &[Letter<'_>]) -> Result<(), NotSent> {
        let offsets: Vec<i64> = letters.iter().map(|letter| letter.offset).collect();
        self.step(|state| state.letters.extend(offsets)).await;
        Ok(())
    }
}

impl Offsets for &World {
    async fn note(&self, offset: i64, mark: &Mark) -> Result<(), Lost> {
        let committed = Committed {
            offset,
            metadata: mark.to_metadata(),
        };
        self.step(|state| state.committed = Some(committed)).await;
        Ok(())
    }

    fn note_soon(&self, offset: i64, mark: &Mark) -> Result<(), Lost> {
        // Whoever is killed right after this has noted it or not.
        let mut state = self.state();
        let lost = state
            .kill
            .is_some_and(|kill| !kill.after && kill.step == state.steps + 1);
        if !lost {
            state.committed = Some(Committed {
                offset,
                metadata: mark.to_metadata(),
            });
        }
        Ok(())
    }
}
