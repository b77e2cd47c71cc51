//! The shortest chain of links between two identifiers of one customer.

use std::collections::{BTreeMap, VecDeque};

/// An identifier, by type and value.
pub(super) type Name = (String, String);

/// Indices of the edges from one to the other, in order; none where there is no way. Of several shortest ways the one
/// whose edges stand first.
pub(super) fn shortest(edges: &[[Name; 2]], from: &Name, to: &Name) -> Option<Vec<usize>> {
    let mut around: BTreeMap<&Name, Vec<(usize, &Name)>> = BTreeMap::new();
    for (index, [one, other]) in edges.iter().enumerate() {
        around.entry(one).or_default().push((index, other));
        around.entry(other).or_default().push((index, one));
    }
    let mut came: BTreeMap<&Name, Option<(usize, &Name)>> = BTreeMap::from([(from, None)]);
    let mut open = VecDeque::from([from]);
    while let Some(name) = open.pop_front() {
        if name == to {
            break;
        }
        for (index, other) in around.get(name).into_iter().flatten() {
            if !came.contains_key(other) {
                came.insert(other, Some((*index, name)));
                open.push_back(other);
            }
        }
    }
    let mut chain = Vec::new();
    let mut step = came.get(to)?;
    while let Some((index, before)) = step {
        chain.push(*index);
        step = came.get(before)?;
    }
    chain.reverse();
    Some(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(value: &str) -> Name {
        ("user_id".to_owned(), value.to_owned())
    }

    #[test]
    fn the_shortest_way_is_found_and_none_where_there_is_none() {
        let edges = [
            ("a", "b"),
            ("b", "c"),
            ("c", "d"),
            ("a", "e"),
            ("e", "d"),
            ("x", "y"),
        ]
        .map(|(one, other)| [name(one), name(other)]);
        let way = |from, to| shortest(&edges, &name(from), &name(to));
        assert_eq!(way("a", "d"), Some(vec![3, 4]));
        assert_eq!(way("c", "a"), Some(vec![1, 0]));
        assert_eq!(way("a", "a"), Some(vec![]));
        assert_eq!(way("a", "x"), None);
        assert_eq!(way("a", "nowhere"), None);
    }
}
