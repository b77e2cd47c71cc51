//! Why one event is refused: a reason of few values, the field, and how to mend it. Never the value itself.

use std::borrow::Cow;

use tributary_platform::metrics::Label;

/// The reasons, as they stand in answers, dead letters and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    NotAnObject,
    TooLarge,
    UnknownType,
    MissingField,
    InvalidField,
    InvalidTime,
    InvalidAmount,
    InvalidAnswer,
    NoIdentifier,
}

impl Label for Reason {
    const ALL: &'static [Self] = &[
        Self::NotAnObject,
        Self::TooLarge,
        Self::UnknownType,
        Self::MissingField,
        Self::InvalidField,
        Self::InvalidTime,
        Self::InvalidAmount,
        Self::InvalidAnswer,
        Self::NoIdentifier,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::NotAnObject => "not_an_object",
            Self::TooLarge => "too_large",
            Self::UnknownType => "unknown_type",
            Self::MissingField => "missing_field",
            Self::InvalidField => "invalid_field",
            Self::InvalidTime => "invalid_time",
            Self::InvalidAmount => "invalid_amount",
            Self::InvalidAnswer => "invalid_answer",
            Self::NoIdentifier => "no_identifier",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// One event's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    /// Where, as a path from the event: `properties.products[2].price`.
    pub(crate) field: Cow<'static, str>,
    /// What is wrong and how to mend it.
    pub(crate) message: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(
        reason: Reason,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            reason,
            field: field.into(),
            message: message.into(),
        }
    }

    pub(crate) fn missing(field: &'static str, message: &'static str) -> Self {
        Self::new(Reason::MissingField, field, message)
    }

    pub(crate) fn invalid(field: impl Into<Cow<'static, str>>, message: &'static str) -> Self {
        Self::new(Reason::InvalidField, field, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_index() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), index, "{reason:?}");
        }
    }
}
