//! How each identifier came to its customer.

use super::answer::{BroughtBy, Identity, Link};
use super::chain::Name;
use crate::identity::log::Entry;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::identity::Types;
use tributary_core::ids::ProfileId;

/// Says of each identifier which link brought it. Of all links that join, taken in the order of the rules, those count
/// that joined two parts; of these the one on the way to the identifier that the customer is named after.
pub(super) fn tell(
    identifiers: &mut [Identity],
    links: &[Link],
    entries: &[Entry],
    types: &Types,
    workspace: &str,
    profile: &str,
) {
    let mut joining: Vec<Link> = links.iter().filter(|link| link.joins).cloned().collect();
    // A pin need not have been seen, and then is no link of the view.
    let pins = entries
        .iter()
        .filter(|entry| entry.counts && entry.kind == "pin");
    for pin in pins.map(Link::pinned) {
        if !joining.iter().any(|link| link.is_of(&pin)) {
            joining.push(pin);
        }
    }
    joining.sort_by_cached_key(|link| rank(link, entries, types));
    let edges: Vec<[Name; 2]> = joining.iter().map(Link::names).collect();
    let root = identifiers
        .iter()
        .map(|identity| {
            (
                identity.identifier_type.clone(),
                identity.identifier_value.clone(),
            )
        })
        .find(|(r#type, value)| {
            IdentifierType::of(r#type).is_ok_and(|known| {
                ProfileId::of(workspace, &Identifier::new(known, value)).to_string() == profile
            })
        });
    let Some(root) = root else { return };
    let brought = brought(&edges, &root);
    for identity in identifiers {
        let name = (
            identity.identifier_type.clone(),
            identity.identifier_value.clone(),
        );
        identity.brought_by = brought.get(&name).map(|(index, other)| {
            let link = &joining[*index];
            BroughtBy {
                linked_to: format!("{}:{}", other.0, other.1),
                message_id: link.first_message_id.clone(),
                sources: link.sources.clone(),
                first_seen: link.first_seen.clone(),
            }
        });
    }
}

/// The order in which the rules take links.
fn rank(link: &Link, entries: &[Entry], types: &Types) -> (bool, u8, Reverse<String>, String) {
    let pinned = entries
        .iter()
        .any(|entry| entry.counts && entry.kind == "pin" && link.is_of(&Link::pinned(entry)));
    let is_device = |name: &str| {
        !types
            .named(name)
            .is_some_and(|known| types.is_person(known))
    };
    let devices = u8::from(is_device(&link.higher_type)) + u8::from(is_device(&link.lower_type));
    (
        !pinned,
        devices,
        Reverse(link.last_day.clone()),
        link.first_seen.clone(),
    )
}

/// For each name the edge that brought it, and the name at its other end.
fn brought<'e>(edges: &'e [[Name; 2]], root: &Name) -> BTreeMap<&'e Name, (usize, &'e Name)> {
    // Which part a name is in; the parts are few, so a join renames one of them.
    let mut part: BTreeMap<&Name, usize> = BTreeMap::new();
    for name in edges.iter().flatten() {
        let number = part.len();
        part.entry(name).or_insert(number);
    }
    let mut around: BTreeMap<&Name, Vec<(usize, &Name)>> = BTreeMap::new();
    for (index, [one, other]) in edges.iter().enumerate() {
        let (into, from) = (part[one], part[other]);
        if into == from {
            continue;
        }
        for number in part.values_mut().filter(|number| **number == from) {
            *number = into;
        }
        around.entry(one).or_default().push((index, other));
        around.entry(other).or_default().push((index, one));
    }
    let mut brought = BTreeMap::new();
    let mut open: VecDeque<&Name> = around
        .get_key_value(root)
        .map(|(root, _)| *root)
        .into_iter()
        .collect();
    while let Some(name) = open.pop_front() {
        for (index, other) in around.get(name).into_iter().flatten() {
            if *other != root && !brought.contains_key(other) {
                brought.insert(*other, (*index, name));
                open.push_back(other);
            }
        }
    }
    brought
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_edge_to_join_two_parts_brings_whoever_is_behind_it() {
        let name = |value: &str| ("user_id".to_owned(), value.to_owned());
        let edges = [("a", "b"), ("c", "d"), ("b", "d"), ("a", "c"), ("x", "y")]
            .map(|(one, other)| [name(one), name(other)]);
        let root = name("a");
        let brought = brought(&edges, &root);
        let told: Vec<(&str, usize, &str)> = brought
            .iter()
            .map(|(name, (edge, other))| (name.1.as_str(), *edge, other.1.as_str()))
            .collect();
        assert_eq!(told, [("b", 0, "a"), ("c", 1, "d"), ("d", 2, "b")]);
    }
}
