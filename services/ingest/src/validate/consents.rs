//! Consents, as Segment's consent manager states them: `context.consent.categoryPreferences`, by category.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::refusal::Refusal;

const FIELD: &str = "context.consent.categoryPreferences";

/// A decision by purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consent<'a> {
    pub(crate) purpose: Cow<'a, str>,
    pub(crate) granted: bool,
}

#[derive(Deserialize)]
struct Stated<'a> {
    #[serde(borrow, rename = "categoryPreferences")]
    categories: Option<BTreeMap<Cow<'a, str>, Value>>,
}

/// Reads the consents of an event, by purpose in lower case. A decision that cannot be understood refuses the event:
/// to guess would be to act without consent.
pub(super) fn consents(raw: Option<&RawValue>) -> Result<Vec<Consent<'_>>, Refusal> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok(Vec::new());
    };
    let refusal = || {
        Refusal::invalid(
            FIELD,
            "must be an object of true and false by category such as {\"analytics\": true}",
        )
    };
    let stated: Stated<'_> = serde_json::from_str(raw.get()).map_err(|_| refusal())?;
    let decision = |(purpose, granted): (Cow<'_, str>, Value)| {
        let granted = granted.as_bool().ok_or_else(refusal)?;
        Ok(Consent {
            purpose: Cow::Owned(purpose.to_lowercase()),
            granted,
        })
    };
    stated
        .categories
        .unwrap_or_default()
        .into_iter()
        .map(decision)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_read_by_purpose_and_never_guessed() {
        for (json, expected) in [
            (
                r#"{"categoryPreferences":{"Analytics":true,"stitching":false},"provider":"x"}"#,
                Some(&[("analytics", true), ("stitching", false)][..]),
            ),
            (r#"{"categoryPreferences":{}}"#, Some(&[])),
            (r#"{"categoryPreferences":null}"#, Some(&[])),
            (r#"{"other":1}"#, Some(&[])),
            ("null", Some(&[])),
            (r#"{"categoryPreferences":{"analytics":"yes"}}"#, None),
            (r#"{"categoryPreferences":[true]}"#, None),
            ("true", None),
        ] {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            let found = consents(Some(&raw));
            let found = found.as_ref().map(|found| {
                found
                    .iter()
                    .map(|c| (&*c.purpose, c.granted))
                    .collect::<Vec<_>>()
            });
            assert_eq!(found.ok().as_deref(), expected, "{json}");
        }
        assert_eq!(consents(None), Ok(Vec::new()));
    }
}
