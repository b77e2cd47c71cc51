//! What a link does: whether it joins, and if not, why.

use super::answer::{Link, Refusal};
use crate::identity::log::Entry;
use std::collections::BTreeSet;

type Name<'a> = (&'a str, &'a str);

/// Says of each link what it does; what operators and customers said goes before what the rules refuse.
pub(super) fn judge(
    links: &mut [Link],
    refusals: &[Refusal],
    entries: &[Entry],
    without_consent: &BTreeSet<(String, String)>,
) {
    for link in links {
        let ends = [
            (link.higher_type.as_str(), link.higher_value.as_str()),
            (link.lower_type.as_str(), link.lower_value.as_str()),
        ];
        let entry = |kind: &str| {
            entries
                .iter()
                .find(|entry| entry.counts && entry.kind == kind && is_of(entry, ends))
                .map(|entry| entry.number)
        };
        let refused = refusals
            .iter()
            .find(|refusal| names(refusal) == ends)
            .map(|refusal| format!("refused: {}", refusal.reason));
        let without = ends
            .iter()
            .find(|(r#type, value)| {
                without_consent
                    .iter()
                    .any(|known| (known.0.as_str(), known.1.as_str()) == (*r#type, *value))
            })
            .map(|(r#type, value)| format!("{type}:{value} refuses to be stitched"));
        let said =
            |kind: &str, word: &str| entry(kind).map(|number| format!("{word} by entry {number}"));
        let (pinned, cut) = (said("pin", "pinned"), said("cut", "cut"));
        // In the order in which one beats the other.
        let barred = said("block", "blocked")
            .or_else(|| said("separate", "separated"))
            .or(without)
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
        let without = BTreeSet::from([("user_id".to_owned(), "e".to_owned())]);
        judge(&mut links, &refusals, &entries, &without);
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
    }
}
