//! What operators say of identifiers, as a set: an entry counts unless an entry that counts undoes it.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::identifier::Identifier;

/// An entry of the operations' log. Block beats separate, separate beats pin, pin beats cut.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// The link between the two is not to be used.
    Cut(Identifier, Identifier),
    /// The two are never in one profile.
    Separate(Identifier, Identifier),
    /// The two are one customer, whether or not they were seen together.
    Pin(Identifier, Identifier),
    /// The value is taken from every event's identifiers.
    Block(Blocked),
    /// That entry is as if it had not been made.
    Undo(Uuid),
}

/// What a block is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Blocked {
    /// One identifier.
    Identifier(Identifier),
    /// A value of any type, as it stands and in lower case, as e-mail addresses are kept.
    Value(String),
}

/// What an entry does to the graph while it counts; several entries can do the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Effect {
    Cut(Identifier, Identifier),
    Separate(Identifier, Identifier),
    Pin(Identifier, Identifier),
    Block(Identifier),
    /// Of every type.
    BlockValue(Arc<str>),
}

/// All entries of one workspace.
#[derive(Debug, Default)]
pub(super) struct Operations {
    entries: FxHashMap<Uuid, Operation>,
    /// How many counting entries undo that one; also of entries that are yet to come.
    undone: FxHashMap<Uuid, u32>,
    /// How many counting entries have that effect.
    effects: FxHashMap<Effect, u32>,
}

impl Operations {
    /// Takes in an entry; returns the effects that hold from now on (true) or no longer (false). An id that is known
    /// changes nothing.
    pub(super) fn enter(&mut self, id: Uuid, operation: Operation) -> Vec<(Effect, bool)> {
        let mut changed = Vec::new();
        if self.entries.contains_key(&id) || operation == Operation::Undo(id) {
            return changed;
        }
        self.entries.insert(id, operation);
        if self.is_undone(id) {
            return changed;
        }
        let (mut entry, mut counts) = (id, true);
        // An undo of an undo and so on: no entry is met twice, unless they undo each other in a ring, which is cut here.
        for _ in 0..=self.entries.len() {
            match self.entries.get(&entry) {
                None => break,
                Some(Operation::Undo(target)) => {
                    let (target, before) = (*target, self.is_undone(*target));
                    let undone = self.undone.entry(target).or_default();
                    *undone = if counts {
                        *undone + 1
                    } else {
                        undone.saturating_sub(1)
                    };
                    if self.is_undone(target) == before {
                        break;
                    }
                    (entry, counts) = (target, before);
                }
                Some(operation) => {
                    for effect in effects(operation) {
                        changed.extend(self.count(effect, counts));
                    }
                    break;
                }
            }
        }
        changed
    }

    /// Whether an operation takes the identifier from every event.
    pub(super) fn blocks(&self, identifier: &Identifier) -> bool {
        !self.effects.is_empty()
            && (self
                .effects
                .contains_key(&Effect::Block(identifier.clone()))
                || self
                    .effects
                    .contains_key(&Effect::BlockValue(identifier.value.clone())))
    }

    /// All of them.
    pub(super) fn entries(&self) -> Vec<(Uuid, Operation)> {
        let entries = self.entries.iter();
        entries
            .map(|(id, operation)| (*id, operation.clone()))
            .collect()
    }

    /// What counts now.
    pub(super) fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.effects.keys()
    }

    fn is_undone(&self, id: Uuid) -> bool {
        self.undone.get(&id).is_some_and(|undone| *undone > 0)
    }

    fn count(&mut self, effect: Effect, more: bool) -> Option<(Effect, bool)> {
        let count = self.effects.entry(effect.clone()).or_default();
        let before = *count > 0;
        *count = if more {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
        let now = *count > 0;
        if !now {
            self.effects.remove(&effect);
        }
        (now != before).then_some((effect, now))
    }
}

/// What the entry does. Pairs have no order, and an identifier is no pair with itself.
fn effects(operation: &Operation) -> Vec<Effect> {
    let (one, other, make): (_, _, fn(Identifier, Identifier) -> Effect) = match operation {
        Operation::Cut(one, other) => (one, other, Effect::Cut),
        Operation::Separate(one, other) => (one, other, Effect::Separate),
        Operation::Pin(one, other) => (one, other, Effect::Pin),
        Operation::Block(Blocked::Identifier(identifier)) => {
            return vec![Effect::Block(identifier.clone())];
        }
        Operation::Block(Blocked::Value(value)) => {
            let mut values = vec![value.clone(), value.to_lowercase()];
            values.dedup();
            return values
                .into_iter()
                .map(|value| Effect::BlockValue(value.into()))
                .collect();
        }
        Operation::Undo(_) => return Vec::new(),
    };
    if one == other {
        return Vec::new();
    }
    vec![make(one.min(other).clone(), one.max(other).clone())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::IdentifierType;

    fn user(value: &str) -> Identifier {
        Identifier::new(IdentifierType::USER_ID, value)
    }

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn cut() -> (Operation, Effect) {
        (
            Operation::Cut(user("b"), user("a")),
            Effect::Cut(user("a"), user("b")),
        )
    }

    #[test]
    fn an_undo_of_an_undo_brings_the_entry_back() {
        let (operation, effect) = cut();
        let mut operations = Operations::default();
        assert_eq!(operations.enter(id(1), operation), [(effect.clone(), true)]);
        assert_eq!(
            operations.enter(id(2), Operation::Undo(id(1))),
            [(effect.clone(), false)]
        );
        assert_eq!(
            operations.enter(id(3), Operation::Undo(id(2))),
            [(effect.clone(), true)]
        );
        assert_eq!(
            operations.enter(id(4), Operation::Undo(id(3))),
            [(effect, false)]
        );
    }

    #[test]
    fn an_effect_holds_while_one_entry_has_it() {
        let (operation, effect) = cut();
        let mut operations = Operations::default();
        operations.enter(id(1), operation.clone());
        assert_eq!(operations.enter(id(2), operation), []);
        assert_eq!(operations.enter(id(3), Operation::Undo(id(1))), []);
        assert_eq!(
            operations.enter(id(4), Operation::Undo(id(2))),
            [(effect, false)]
        );
    }

    #[test]
    fn an_undo_that_comes_first_counts_and_an_entry_counts_once() {
        let (operation, _) = cut();
        let mut operations = Operations::default();
        assert_eq!(operations.enter(id(2), Operation::Undo(id(1))), []);
        assert_eq!(operations.enter(id(1), operation.clone()), []);
        assert_eq!(operations.enter(id(1), operation), []);
        assert_eq!(operations.enter(id(5), Operation::Undo(id(5))), []);
    }

    #[test]
    fn entries_that_undo_each_other_in_a_ring_come_to_an_end() {
        let mut operations = Operations::default();
        for (number, target) in [(1, 2), (2, 3), (3, 1)] {
            assert_eq!(
                operations.enter(id(number), Operation::Undo(id(target))),
                []
            );
        }
    }

    #[test]
    fn a_value_is_blocked_for_every_type_also_in_lower_case_and_an_identifier_alone() {
        let mut operations = Operations::default();
        operations.enter(id(1), Operation::Block(Blocked::Value("Guest".to_owned())));
        operations.enter(id(2), Operation::Block(Blocked::Identifier(user("ann"))));
        let email = |value| Identifier::new(IdentifierType::EMAIL, value);
        for (identifier, blocked) in [
            (user("Guest"), true),
            (user("GUEST"), false),
            (email("guest"), true),
            (user("ann"), true),
            (email("ann"), false),
        ] {
            assert_eq!(operations.blocks(&identifier), blocked, "{identifier:?}");
        }
        operations.enter(id(3), Operation::Undo(id(1)));
        assert!(!operations.blocks(&user("Guest")));
    }
}
