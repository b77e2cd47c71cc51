//! Operations, as they stand on the links log.

use tributary_contracts::wire::{Operation as Entry, OperationKind};
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::identity::{Blocked, Operation};

use crate::runtime::stage::Poison;

/// What the entry says.
pub(super) fn read(entry: &Entry<'_>) -> Result<Operation, Poison> {
    let pair = || {
        Ok((
            identifier(entry.first_type, entry.first_value)?,
            identifier(entry.second_type, entry.second_value)?,
        ))
    };
    Ok(match entry.kind {
        OperationKind::Cut => {
            let (one, other) = pair()?;
            Operation::Cut(one, other)
        }
        OperationKind::Separate => {
            let (one, other) = pair()?;
            Operation::Separate(one, other)
        }
        OperationKind::Pin => {
            let (one, other) = pair()?;
            Operation::Pin(one, other)
        }
        OperationKind::Block if entry.first_type.is_empty() => {
            Operation::Block(Blocked::Value(entry.first_value.to_owned()))
        }
        OperationKind::Block => Operation::Block(Blocked::Identifier(identifier(
            entry.first_type,
            entry.first_value,
        )?)),
        OperationKind::Undo => Operation::Undo(entry.undoes.ok_or_else(|| Poison {
            reason: "unreadable_operation",
            detail: "an undo does not say of what".to_owned(),
        })?),
    })
}

fn identifier(r#type: &str, value: &str) -> Result<Identifier, Poison> {
    let known = IdentifierType::named(r#type).ok_or_else(|| Poison {
        reason: "unreadable_operation",
        detail: format!("identifier type {} is unknown", r#type),
    })?;
    Ok(Identifier::new(known, value))
}
