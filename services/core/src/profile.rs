//! A profile as a fold of its atoms, and what each atom contributes to the KPIs.
//!
//! ```text
//! atom before ─┐            ┌─> the profile's counts, traits, identifiers, first and last times
//! atom after ──┴── [Fold] ──┤
//!                           └─> differences of KPI sums
//! ```
//!
//! A fold holds multisets, so an atom can be replaced or taken back as well as added, in any order, at a cost that does
//! not grow with what else the profile holds.

mod answers;
mod atom;
mod contributions;
mod distinct;
mod fold;
mod reports;
mod runs;
mod standing;
mod traits;

pub use answers::Aspect;
pub use atom::{
    Activity, Answer, Atom, Email, Facets, Identifier, Mention, Moment, Note, Order, Part, Passive,
    Product, Refund, Report, Said, Session, Social, Source, Stated, Trait,
};
pub use contributions::{Contributions, Definitions, Difference, follow};
pub use fold::{Emails, Fold, Spending};
pub use runs::Runs;
pub use traits::{Chosen, Rule, TraitRules};
