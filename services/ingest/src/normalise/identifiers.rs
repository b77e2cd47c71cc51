//! Identifiers: normalised, placeholders left out, at most twenty, the highest first; and the one that the event is
//! filed under.

use std::borrow::Cow;

use tributary_contracts::wire::identifier_flags::{
    BEYOND_LIMIT, NOT_NORMALISED, PLACEHOLDER, TOO_LONG,
};
use tributary_core::identifier::IdentifierType;
use tributary_core::identity::{Normalisation, Types};
use tributary_platform::config::Workspace;

use super::phone::{self, Region};

/// Identifiers with a value that one event may have.
const MOST: usize = 20;
/// Bytes of a normalised value.
const LONGEST: usize = 512;

/// An identifier of an event, as it was sent and as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identifier<'a> {
    pub(crate) r#type: IdentifierType,
    /// Empty where it was left out.
    pub(crate) value: Cow<'a, str>,
    pub(crate) raw: Cow<'a, str>,
    pub(crate) flags: i32,
}

/// The forms in which the values of a workspace are compared.
#[derive(Debug)]
pub(crate) struct Forms {
    /// Each type says the form of its values.
    pub(crate) types: Types,
    /// Country of phone numbers that come without one.
    region: Region,
}

impl Forms {
    /// As the workspace is configured.
    pub(crate) fn of(workspace: &Workspace) -> Self {
        Self {
            // What contradicts itself was refused when the configuration was read.
            types: workspace.identity.types().unwrap_or_default(),
            region: Region::named(&workspace.phone_region),
        }
    }

    fn of_type(&self, r#type: IdentifierType) -> Normalisation {
        self.types
            .get(r#type)
            .map_or(Normalisation::None, |rule| rule.normalisation)
    }
}

/// The form in which ingest keeps a value of that type; nothing for what it leaves out (placeholders, too long).
#[must_use]
pub fn kept(r#type: IdentifierType, value: &str, workspace: &Workspace) -> Option<String> {
    let identifier = normalise(r#type, Cow::Borrowed(value), &Forms::of(workspace));
    (!identifier.value.is_empty()).then(|| identifier.value.into_owned())
}

/// Normalises all of an event. Those with a value come first, in the order of types, which knows no rules, and bytes;
/// equal ones once.
pub(crate) fn normalised<'a>(
    sent: Vec<(IdentifierType, Cow<'a, str>)>,
    forms: &Forms,
) -> Vec<Identifier<'a>> {
    let mut identifiers: Vec<_> = sent
        .into_iter()
        .map(|(r#type, raw)| normalise(r#type, raw, forms))
        .collect();
    identifiers.sort_by(|a, b| {
        (a.value.is_empty(), a.r#type, &a.value).cmp(&(b.value.is_empty(), b.r#type, &b.value))
    });
    identifiers.dedup_by(|a, b| {
        a.r#type == b.r#type && a.value == b.value && (!a.value.is_empty() || a.raw == b.raw)
    });
    for identifier in identifiers
        .iter_mut()
        .skip(MOST)
        .filter(|identifier| !identifier.value.is_empty())
    {
        identifier.value = Cow::Borrowed("");
        identifier.flags |= BEYOND_LIMIT;
    }
    identifiers
}

/// The identifier that names the timeline, of those with a value.
pub(crate) fn timeline<'i, 'a>(identifiers: &'i [Identifier<'a>]) -> Option<&'i Identifier<'a>> {
    let with_value = identifiers
        .iter()
        .filter(|identifier| !identifier.value.is_empty());
    with_value.min_by(|a, b| {
        (a.r#type.timeline_rank(), &a.value).cmp(&(b.r#type.timeline_rank(), &b.value))
    })
}

fn normalise<'a>(r#type: IdentifierType, raw: Cow<'a, str>, forms: &Forms) -> Identifier<'a> {
    let form = forms.of_type(r#type);
    let (value, flags) = match trimmed(&raw) {
        text if is_placeholder(&text) => (Cow::Borrowed(""), PLACEHOLDER),
        text if text.len() > LONGEST => (Cow::Borrowed(""), TOO_LONG),
        text if form == Normalisation::Email => {
            let flags = if looks_like_email(&text) {
                0
            } else {
                NOT_NORMALISED
            };
            (lowercase(text), flags)
        }
        text if form == Normalisation::Phone => match phone::e164(&text, forms.region) {
            Some(number) => (number, 0),
            None => (text, NOT_NORMALISED),
        },
        text if form == Normalisation::Lowercase => (lowercase(text), 0),
        text => (text, 0),
    };
    // Lower case can be longer than upper case.
    let (value, flags) = if value.len() > LONGEST {
        (Cow::Borrowed(""), TOO_LONG)
    } else {
        (value, flags)
    };
    Identifier {
        r#type,
        value,
        raw,
        flags,
    }
}

fn trimmed<'a>(raw: &Cow<'a, str>) -> Cow<'a, str> {
    match raw {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

/// What stands for nothing, of any type and in any case. A NUL would break the keys that values are part of.
fn is_placeholder(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0' | b'-'))
        || ["null", "undefined", "none"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
        || text.contains('\0')
}

fn looks_like_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let plain = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    plain(local)
        && plain(domain)
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
}

fn lowercase(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.chars().any(|c| c.is_uppercase() || !c.is_ascii()) {
        Cow::Owned(text.to_lowercase())
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_core::identifier::BUILT_IN;
    use tributary_core::identity::TypeRule;

    fn forms(region: &str) -> Forms {
        Forms {
            types: Types::default(),
            region: Region::named(region),
        }
    }

    fn named(name: &str) -> IdentifierType {
        IdentifierType::named(name).unwrap()
    }

    fn run(sent: &[(&str, &str)], region: &str) -> Vec<(String, String, i32)> {
        let sent = sent
            .iter()
            .map(|(name, value)| (named(name), Cow::Owned((*value).to_owned())))
            .collect();
        let identifiers = normalised(sent, &forms(region));
        identifiers
            .into_iter()
            .map(|i| (i.r#type.name().to_owned(), i.value.into_owned(), i.flags))
            .collect()
    }

    fn check(name: &str, raw: &str, region: &str, value: &str, flags: i32) {
        assert_eq!(
            run(&[(name, raw)], region),
            [(name.to_owned(), value.to_owned(), flags)],
            "{name} {raw:?}"
        );
    }

    #[test]
    fn values_are_normalised_by_their_type() {
        check("email", " Ann@Example.COM ", "", "ann@example.com", 0);
        check("email", "ÄNN@example.com", "", "änn@example.com", 0);
        check("email", "Ann at home", "", "ann at home", NOT_NORMALISED);
        check(
            "email",
            "ann@localhost",
            "",
            "ann@localhost",
            NOT_NORMALISED,
        );
        check("phone", "06 12 34 56 78", "FR", "+33612345678", 0);
        check(
            "phone",
            " 06 12 34 56 78",
            "",
            "06 12 34 56 78",
            NOT_NORMALISED,
        );
        check("user_id", " Ann ", "", "Ann", 0);
        check("anonymous_id", "C-0", "", "C-0", 0);
    }

    #[test]
    fn an_added_type_has_the_form_that_its_rule_says_and_comes_last() {
        let badge = IdentifierType::of("badge").expect("a type");
        let mut rules = Types::default().by_priority().to_vec();
        rules.insert(
            0,
            TypeRule {
                r#type: badge,
                normalisation: Normalisation::Lowercase,
                ..rules[0].clone()
            },
        );
        let forms = Forms {
            types: Types::new(rules).expect("each type once"),
            region: Region::named(""),
        };
        let sent = vec![
            (badge, Cow::Borrowed(" GATE-7 ")),
            (badge, Cow::Borrowed("None")),
            (IdentifierType::USER_ID, Cow::Borrowed("Ann")),
        ];
        let identifiers = normalised(sent, &forms);
        let told: Vec<_> = identifiers
            .iter()
            .map(|identifier| {
                (
                    identifier.r#type.name(),
                    &*identifier.value,
                    identifier.flags,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("user_id", "Ann", 0),
                ("badge", "gate-7", 0),
                ("badge", "", PLACEHOLDER)
            ]
        );
        let filed =
            |identifiers: &[Identifier<'_>]| timeline(identifiers).map(|first| first.r#type);
        assert_eq!(filed(&identifiers), Some(IdentifierType::USER_ID));
        assert_eq!(filed(&identifiers[1..]), Some(badge));
    }

    #[test]
    fn placeholders_of_every_type_and_case_are_left_out() {
        for (name, _) in BUILT_IN {
            for raw in [
                "",
                "  ",
                "null",
                "NULL",
                "Undefined",
                "none",
                "0",
                "000",
                "-",
                "00000000-0000-0000-0000-000000000000",
            ] {
                check(name, raw, "FR", "", PLACEHOLDER);
            }
            check(name, "a\0b", "FR", "", PLACEHOLDER);
        }
        check("user_id", "nullable", "", "nullable", 0);
        check("user_id", "10", "", "10", 0);
        check("user_id", "anonymous", "", "anonymous", 0);
    }

    #[test]
    fn a_value_longer_than_512_bytes_is_left_out() {
        check("user_id", &"a".repeat(512), "", &"a".repeat(512), 0);
        check("user_id", &"a".repeat(513), "", "", TOO_LONG);
        check("user_id", &"é".repeat(257), "", "", TOO_LONG);
    }

    #[test]
    fn at_most_twenty_are_kept_the_first_by_priority_and_bytes() {
        let mut sent: Vec<(&str, String)> = (0..19)
            .map(|n| ("email", format!("a{n:02}@example.com")))
            .collect();
        sent.insert(0, ("device_id", "d".to_owned()));
        sent.insert(0, ("anonymous_id", "c".to_owned()));
        sent.push(("user_id", "u".to_owned()));
        let sent: Vec<(&str, &str)> = sent
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let kept = run(&sent, "");
        assert_eq!(kept.len(), 22);
        assert_eq!((kept[0].0.as_str(), kept[0].1.as_str()), ("user_id", "u"));
        assert!(
            kept[..20]
                .iter()
                .all(|(_, value, flags)| !value.is_empty() && *flags == 0)
        );
        assert_eq!(
            kept[20],
            ("device_id".to_owned(), String::new(), BEYOND_LIMIT)
        );
        assert_eq!(
            kept[21],
            ("anonymous_id".to_owned(), String::new(), BEYOND_LIMIT)
        );
    }

    #[test]
    fn equal_identifiers_are_one() {
        let kept = run(
            &[
                ("email", "ann@x.org"),
                ("user_id", "ann@x.org"),
                ("email", "ANN@x.org"),
                ("email", "bob@x.org"),
            ],
            "",
        );
        let values: Vec<_> = kept
            .iter()
            .map(|(name, value, _)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            values,
            [
                ("user_id", "ann@x.org"),
                ("email", "ann@x.org"),
                ("email", "bob@x.org")
            ]
        );
    }

    #[test]
    fn the_timeline_is_the_devices_before_the_persons() {
        for (sent, expected) in [
            (
                &[("user_id", "u"), ("push_token", "p")][..],
                Some(("push_token", "p")),
            ),
            (
                &[("anonymous_id", "c"), ("device_id", "d")],
                Some(("device_id", "d")),
            ),
            (
                &[
                    ("advertising_id", "a"),
                    ("push_token", "p"),
                    ("anonymous_id", "c"),
                ],
                Some(("anonymous_id", "c")),
            ),
            (
                &[
                    ("email", "b@x.org"),
                    ("email", "a@x.org"),
                    ("phone", "+33612345678"),
                ],
                Some(("email", "a@x.org")),
            ),
            (
                &[("device_id", "null"), ("crm_id", "7")],
                Some(("crm_id", "7")),
            ),
            (&[("device_id", "null")], None),
            (&[], None),
        ] {
            let sent = sent
                .iter()
                .map(|(name, value)| (named(name), Cow::Borrowed(*value)))
                .collect();
            let identifiers = normalised(sent, &forms(""));
            let timeline = timeline(&identifiers)
                .map(|identifier| (identifier.r#type.name(), &*identifier.value));
            assert_eq!(timeline, expected, "{identifiers:?}");
        }
    }
}
