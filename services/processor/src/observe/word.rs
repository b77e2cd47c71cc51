//! What stands on the links log beside links: entries of operators, consents, and rules.

use tributary_contracts::framing::{self, Message as _};
use tributary_contracts::wire::{self, Operation as Entry, OperationKind, StitchingConsent};
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::identity::{Blocked, Graph, NodeId, Operation, Rules};
use tributary_core::time::Timestamp;
use uuid::Uuid;

use crate::rules;
use crate::runtime::stage::Poison;

/// It counts from its place in the log on, for all events; nobody uses it before the log brings it.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// An entry of an operator, under its id.
    Operation(Uuid, Operation),
    /// A decision on being stitched.
    Consent(Identifier, Timestamp, bool),
}

/// What such a record says.
#[derive(Debug)]
pub(super) enum Said {
    Word(Word),
    /// A version of the rules.
    Rules(Box<Rules>),
}

impl Word {
    /// Tells the graph; returns the identifiers that it changes something of.
    pub(super) fn tell(self, graph: &mut Graph) -> Vec<NodeId> {
        match self {
            Self::Operation(id, operation) => graph.operate(id, operation),
            Self::Consent(identifier, at, granted) => {
                let node = graph.intern(&identifier);
                graph.consent(node, at, granted);
                vec![node]
            }
        }
    }
}

/// The workspace and what is said of it, by a record that is no link; `no_link` says why it is none.
pub(super) fn read<'m>(
    message: &'m [u8],
    no_link: &framing::Error,
) -> Result<(&'m str, Said), Poison> {
    let unreadable = |error: framing::Error| poison(error.to_string());
    let found = match no_link {
        framing::Error::WrongSchema { found, .. } => *found,
        _ => return Err(poison(no_link.to_string())),
    };
    match found {
        Entry::SCHEMA => {
            let entry: Entry<'_> = framing::decode(message).map_err(unreadable)?;
            let word = Word::Operation(entry.operation_id, operation(&entry)?);
            Ok((entry.workspace, Said::Word(word)))
        }
        StitchingConsent::SCHEMA => {
            let consent: StitchingConsent<'_> = framing::decode(message).map_err(unreadable)?;
            let identifier = identifier(consent.identifier_type, consent.identifier_value)?;
            let word = Word::Consent(identifier, consent.decided_at, consent.granted);
            Ok((consent.workspace, Said::Word(word)))
        }
        wire::Rules::SCHEMA => {
            let record: wire::Rules<'_> = framing::decode(message).map_err(unreadable)?;
            let rules = rules::read(&record).map_err(|error| poison(error.to_string()))?;
            Ok((record.workspace, Said::Rules(Box::new(rules))))
        }
        _ => Err(poison(no_link.to_string())),
    }
}

fn poison(detail: String) -> Poison {
    Poison {
        reason: "unreadable_link",
        detail,
    }
}

/// What the entry says.
fn operation(entry: &Entry<'_>) -> Result<Operation, Poison> {
    let pair = |make: fn(Identifier, Identifier) -> Operation| {
        Ok(make(
            identifier(entry.first_type, entry.first_value)?,
            identifier(entry.second_type, entry.second_value)?,
        ))
    };
    Ok(match entry.kind {
        OperationKind::Cut => pair(Operation::Cut)?,
        OperationKind::Separate => pair(Operation::Separate)?,
        OperationKind::Pin => pair(Operation::Pin)?,
        OperationKind::Block if entry.first_type.is_empty() => {
            Operation::Block(Blocked::Value(entry.first_value.to_owned()))
        }
        OperationKind::Block => Operation::Block(Blocked::Identifier(identifier(
            entry.first_type,
            entry.first_value,
        )?)),
        OperationKind::Undo => Operation::Undo(
            entry
                .undoes
                .ok_or_else(|| poison("an undo does not say of what".to_owned()))?,
        ),
    })
}

/// An identifier on the log.
pub(super) fn identifier(r#type: &str, value: &str) -> Result<Identifier, Poison> {
    let known = IdentifierType::of(r#type)
        .map_err(|error| poison(format!("identifier type {} {error}", r#type)))?;
    Ok(Identifier::new(known, value))
}
