//! What a change of the graph may have changed for this instance's timelines and identifiers, and was not yet compared
//! with what was last sent: a merge or a new rule may touch millions, a flush works on a slice of them.

use std::collections::{BTreeMap, BTreeSet};

use tributary_core::identity::{Changes, LinkId, NodeId};

use super::stored::HEADERS;
use crate::runtime::stage::{Broken, Store};

/// The backlog of all workspaces.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    workspaces: BTreeMap<String, Changed>,
    timelines: BTreeSet<Vec<u8>>,
    /// Partitions of which every timeline is to be decided again, and the last key in the store that was.
    sweeps: BTreeMap<i32, Vec<u8>>,
}

#[derive(Debug, Default)]
struct Changed {
    nodes: BTreeMap<NodeId, Moved>,
    refusals: BTreeSet<LinkId>,
}

/// What may be otherwise about an identifier.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// Whose it is.
    Assignment,
    /// Only what these did on its own timeline.
    Line(BTreeSet<NodeId>),
}

/// A piece of it.
#[derive(Debug)]
pub(super) enum Piece {
    /// An identifier.
    Identifier(NodeId, Moved),
    /// A link whose refusal may be another.
    Refusal(LinkId),
}

impl Backlog {
    pub(super) fn add(&mut self, workspace: &str, changes: Changes) {
        if changes.identifiers.is_empty() && changes.lines.is_empty() && changes.refusals.is_empty()
        {
            return;
        }
        let known = self.workspaces.entry(workspace.to_owned()).or_default();
        for (node, anchor) in changes.lines {
            let nobody = || Moved::Line(BTreeSet::new());
            if let Moved::Line(anchors) = known.nodes.entry(node).or_insert_with(nobody) {
                anchors.insert(anchor);
            }
        }
        for node in changes.identifiers {
            known.nodes.insert(node, Moved::Assignment);
        }
        known.refusals.extend(changes.refusals);
    }

    /// A timeline that is to be decided again.
    pub(super) fn add_timeline(&mut self, key: Vec<u8>) {
        self.timelines.insert(key);
    }

    pub(super) fn take_piece(&mut self) -> Option<(String, Piece)> {
        let mut first = self.workspaces.first_entry()?;
        let workspace = first.key().clone();
        let changed = first.get_mut();
        let piece = match changed.nodes.pop_first() {
            Some((node, moved)) => Some(Piece::Identifier(node, moved)),
            None => changed.refusals.pop_first().map(Piece::Refusal),
        };
        if changed.nodes.is_empty() && changed.refusals.is_empty() {
            first.remove();
        }
        piece.map(|piece| (workspace, piece))
    }

    /// Every timeline of the partition is to be decided again.
    pub(super) fn sweep(&mut self, partition: i32) {
        self.sweeps.insert(partition, HEADERS.to_vec());
    }

    pub(super) fn take_timeline(&mut self, store: &dyn Store) -> Result<Option<Vec<u8>>, Broken> {
        if let Some(key) = self.timelines.pop_first() {
            return Ok(Some(key));
        }
        while let Some(mut sweep) = self.sweeps.first_entry() {
            if let Some(key) = store.next_key(*sweep.key(), HEADERS, sweep.get())? {
                let timeline = key[HEADERS.len()..].to_vec();
                sweep.insert(key);
                return Ok(Some(timeline));
            }
            sweep.remove();
        }
        Ok(None)
    }

    /// Whether timelines of a partition are left of its sweep.
    pub(super) fn is_swept(&self, partition: i32) -> bool {
        self.sweeps.contains_key(&partition)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workspaces.is_empty() && self.timelines.is_empty() && self.sweeps.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use tributary_core::identifier::{Identifier, IdentifierType};
    use tributary_core::identity::{Graph, Rules};

    use super::*;
    use crate::runtime::memory::MemoryOutputs;

    #[test]
    fn a_piece_is_given_out_once_and_an_assignment_is_more_than_a_line() {
        let mut graph = Graph::new("shop", Rules::default());
        let mut node = |value| graph.intern(&Identifier::new(IdentifierType::USER_ID, value));
        let (one, other) = (node("a"), node("b"));
        let mut backlog = Backlog::default();
        backlog.add("empty", Changes::default());
        assert!(backlog.is_empty());
        let changes = |identifiers: &[NodeId], lines: &[(NodeId, NodeId)]| Changes {
            identifiers: identifiers.to_vec(),
            lines: lines.to_vec(),
            ..Changes::default()
        };
        backlog.add("shop", changes(&[one], &[(one, other), (other, one)]));
        backlog.add("shop", changes(&[], &[(one, other), (other, other)]));
        backlog.add_timeline(b"t".to_vec());
        let mut given = Vec::new();
        while let Some((workspace, piece)) = backlog.take_piece() {
            let Piece::Identifier(node, moved) = piece else {
                panic!("no link was added");
            };
            given.push((workspace, node, moved));
        }
        let shop = || "shop".to_owned();
        let both = Moved::Line([one, other].into());
        let expected = [(shop(), one, Moved::Assignment), (shop(), other, both)];
        assert_eq!(given, expected);
        assert!(!backlog.is_empty());
        let timelines = |backlog: &mut Backlog| {
            let store = MemoryOutputs {
                stored: BTreeMap::from([
                    (0, [b"hz".as_slice(), b"ha", b"i"].map(record).into()),
                    (1, [b"hx".as_slice()].map(record).into()),
                    (2, [b"p".as_slice()].map(record).into()),
                ]),
                ..MemoryOutputs::default()
            };
            let mut timelines = Vec::new();
            while let Some(key) = backlog.take_timeline(&store).expect("memory") {
                timelines.push(String::from_utf8(key).expect("a text"));
            }
            timelines
        };
        assert_eq!(timelines(&mut backlog), ["t"]);
        assert!(backlog.is_empty());
        backlog.sweep(0);
        backlog.sweep(2);
        assert!(!backlog.is_empty());
        assert_eq!(timelines(&mut backlog), ["a", "z"]);
        assert!(backlog.is_empty());
    }

    fn record(key: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (key.to_vec(), Vec::new())
    }
}
