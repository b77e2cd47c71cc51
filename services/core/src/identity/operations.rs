//! What operators say of identifiers, as a set: an entry counts unless an entry that counts undoes it.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::Rules;
use crate::identifier::Identifier;

/// An entry of the operations' log. Block beats separate, separate beats pin, pin beats cut.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blocked {
    /// One identifier.
    Identifier(Identifier),
    /// A value of any type, in any case. Build it with [`Blocked::value`].
    Value(String),
}

impl Blocked {
    /// A value of any type, in any case.
    #[must_use]
    pub fn value(value: &str) -> Self {
        Self::Value(value.to_lowercase())
    }

    /// Whether it is of that identifier.
    #[must_use]
    pub fn is_of(&self, identifier: &Identifier) -> bool {
        match self {
            Self::Identifier(blocked) => blocked == identifier,
            Self::Value(value) => *value == identifier.value.to_lowercase(),
        }
    }
}

/// What an entry does to the graph while it counts; several entries can do the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Effect {
    Cut(Identifier, Identifier),
    Separate(Identifier, Identifier),
    Pin(Identifier, Identifier),
    Block(Blocked),
}

/// All entries of one workspace.
#[derive(Debug, Default)]
pub(super) struct Operations {
    entries: FxHashMap<Uuid, Operation>,
    /// How many counting entries undo that one; also of entries that are yet to come.
    undone: FxHashMap<Uuid, u32>,
    /// How many counting entries have that effect.
    effects: FxHashMap<Effect, u32>,
    /// The blocks among the effects, which new identifiers are held against.
    blocked: BTreeSet<Blocked>,
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
                    if let Some(effect) = effect(operation) {
                        changed.extend(self.count(effect, counts));
                    }
                    break;
                }
            }
        }
        changed
    }

    /// Whether the rules or an operation take the identifier from every event.
    pub(super) fn blocks(&self, rules: &Rules, identifier: &Identifier) -> bool {
        rules.blocks(identifier)
            || (!self.blocked.is_empty()
                && (self
                    .blocked
                    .contains(&Blocked::Identifier(identifier.clone()))
                    || self.blocked.contains(&Blocked::value(&identifier.value))))
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
        if let Effect::Block(blocked) = &effect {
            if now {
                self.blocked.insert(blocked.clone());
            } else {
                self.blocked.remove(blocked);
            }
        }
        (now != before).then_some((effect, now))
    }
}

/// Pairs have no order, and an identifier is no pair with itself.
fn effect(operation: &Operation) -> Option<Effect> {
    let (one, other, make): (_, _, fn(Identifier, Identifier) -> Effect) = match operation {
        Operation::Cut(one, other) => (one, other, Effect::Cut),
        Operation::Separate(one, other) => (one, other, Effect::Separate),
        Operation::Pin(one, other) => (one, other, Effect::Pin),
        Operation::Block(blocked) => return Some(Effect::Block(blocked.clone())),
        Operation::Undo(_) => return None,
    };
    (one != other).then(|| make(one.min(other).clone(), one.max(other).clone()))
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
    fn a_value_is_blocked_for_every_type_and_case_and_an_identifier_alone() {
        let mut operations = Operations::default();
        operations.enter(id(1), Operation::Block(Blocked::value("Guest")));
        operations.enter(id(2), Operation::Block(Blocked::Identifier(user("ann"))));
        let email = |value| Identifier::new(IdentifierType::EMAIL, value);
        let rules = Rules::default();
        for (identifier, blocked) in [
            (user("GUEST"), true),
            (email("guest"), true),
            (user("ann"), true),
            (email("ann"), false),
            (user("Ann"), false),
        ] {
            assert_eq!(
                operations.blocks(&rules, &identifier),
                blocked,
                "{identifier:?}"
            );
        }
    }
}
