//! What a link does: whether it joins, and if not, why.

use super::answer::{Link, Refusal};
use crate::identity::log::Entry;
use std::collections::BTreeMap;
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::identity::Rules;

type Name<'a> = (&'a str, &'a str);

/// What operators, customers and rules say of links.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) entries: &'a [Entry],
    /// Of each identifier that has decided, whether it agrees to be stitched.
    pub(super) consents: &'a BTreeMap<(String, String), bool>,
    /// None before the first are published.
    pub(super) rules: Option<&'a Rules>,
}

impl Said<'_> {
    fn blocked(&self, end: Name<'_>) -> Option<String> {
        let identifier = Identifier::new(IdentifierType::of(end.0).ok()?, end.1);
        let rules = self.rules.filter(|rules| rules.blocks(&identifier))?;
        let version = rules.version;
        Some(format!(
            "{}:{} is blocked by the rules, version {version}",
            end.0, end.1
        ))
    }

    fn does_not_agree(&self, end: Name<'_>) -> Option<String> {
        let (r#type, value) = (end.0.to_owned(), end.1.to_owned());
        let text = format!("{type}:{value}");
        match self.consents.get(&(r#type, value)) {
            Some(true) => None,
            Some(false) => Some(text + " refuses to be stitched"),
            None => self
                .rules
                .is_some_and(|rules| rules.consent_required)
                .then_some(text + " has not agreed to be stitched"),
        }
    }
}

/// Says of each link what it does; what operators and customers said goes before what the rules refuse.
pub(super) fn judge(links: &mut [Link], refusals: &[Refusal], said: &Said<'_>) {
    for link in links {
        let ends = [
            (link.higher_type.as_str(), link.higher_value.as_str()),
            (link.lower_type.as_str(), link.lower_value.as_str()),
        ];
        let entry = |kind: &str| {
            said.entries
                .iter()
                .find(|entry| entry.counts && entry.kind == kind && is_of(entry, ends))
                .map(|entry| entry.number)
        };
        let refused = refusals
            .iter()
            .find(|refusal| names(refusal) == ends)
            .map(|refusal| format!("refused: {}", refusal.reason));
        let entered =
            |kind: &str, word: &str| entry(kind).map(|number| format!("{word} by entry {number}"));
        let (pinned, cut) = (entered("pin", "pinned"), entered("cut", "cut"));
        // In the order in which one beats the other.
        let barred = entered("block", "blocked")
            .or_else(|| ends.iter().find_map(|end| said.blocked(*end)))
            .or_else(|| entered("separate", "separated"))
            .or_else(|| ends.iter().find_map(|end| said.does_not_agree(*end)))
            .or(cut.filter(|_| pinned.is_none()));
        link.joins = barred.is_none() && refused.is_none();
        link.standing = barred.unwrap_or_else(|| match (pinned, refused) {
            (Some(pinned), Some(refused)) => format!("{pinned}, {refused}"),
            (Some(what), None) | (None, Some(what)) => what,
            (None, None) => "joins".to_owned(),
        });
    }
}

fn names(refusal: &Refusal) -> [Name<'_>; 2] {
    [
        (&refusal.higher_type, &refusal.higher_value),
        (&refusal.lower_type, &refusal.lower_value),
    ]
}

fn is_of(entry: &Entry, ends: [Name<'_>; 2]) -> bool {
    let first = (entry.first_type.as_str(), entry.first_value.as_str());
    let second = (entry.second_type.as_str(), entry.second_value.as_str());
    if entry.kind != "block" {
        return ends == [first, second] || ends == [second, first];
    }
    ends.iter().any(|end| match first.0 {
        "" => end.1 == first.1 || end.1 == first.1.to_lowercase(),
        _ => *end == first,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(higher: &str, lower: &str) -> Link {
        Link {
            higher_type: "user_id".to_owned(),
            higher_value: higher.to_owned(),
            lower_type: "email".to_owned(),
            lower_value: lower.to_owned(),
            first_seen: String::new(),
            first_message_id: String::new(),
            last_day: String::new(),
            sources: Vec::new(),
            standing: String::new(),
            joins: false,
        }
    }

    fn entry(number: i64, kind: &str, first: (&str, &str), second: (&str, &str)) -> Entry {
        Entry {
            number,
            kind: kind.to_owned(),
            first_type: first.0.to_owned(),
            first_value: first.1.to_owned(),
            second_type: second.0.to_owned(),
            second_value: second.1.to_owned(),
            undoes: None,
            undone_by: Vec::new(),
            entered_at: String::new(),
            entered_by: String::new(),
            reason: String::new(),
            counts: true,
        }
    }

    #[test]
    fn the_strongest_reason_is_told() {
        let mut links = ["a", "b", "c", "d", "e", "f"].map(|name| link(name, "x"));
        let (user, mail) = (|value| ("user_id", value), ("email", "x"));
        let mut undone = entry(9, "cut", user("f"), mail);
        undone.counts = false;
        let entries = [
            entry(1, "cut", mail, user("a")),
            entry(2, "pin", user("b"), mail),
            entry(3, "cut", user("b"), mail),
            entry(4, "block", ("", "C"), ("", "")),
            entry(5, "pin", user("c"), mail),
            undone,
        ];
        let refusals = [Refusal {
            higher_type: "user_id".to_owned(),
            higher_value: "d".to_owned(),
            lower_type: "email".to_owned(),
            lower_value: "x".to_owned(),
            reason: "limit email".to_owned(),
        }];
        let consents = BTreeMap::from([(("user_id".to_owned(), "e".to_owned()), false)]);
        let mut said = Said {
            entries: &entries,
            consents: &consents,
            rules: None,
        };
        judge(&mut links, &refusals, &said);
        let standings: Vec<&str> = links.iter().map(|link| link.standing.as_str()).collect();
        assert_eq!(
            standings,
            [
                "cut by entry 1",
                "pinned by entry 2",
                "blocked by entry 4",
                "refused: limit email",
                "user_id:e refuses to be stitched",
                "joins",
            ]
        );
        let joins = links.each_ref().map(|link| link.joins);
        assert_eq!(joins, [false, true, false, false, false, true]);

        let rules = Rules {
            version: 3,
            consent_required: true,
            blocked_values: ["a".to_owned()].into(),
            ..Rules::default()
        };
        said.rules = Some(&rules);
        judge(&mut links, &refusals, &said);
        assert_eq!(
            links[0].standing,
            "user_id:a is blocked by the rules, version 3"
        );
        assert_eq!(links[5].standing, "user_id:f has not agreed to be stitched");
    }
}
