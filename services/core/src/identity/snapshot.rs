//! A graph written down and read back: what replaces the beginning of the links log at a restart.
//!
//! It is taken in parts, between which the graph goes on; all of it is as it was at the beginning. Tables, which are
//! random access to all there is, are not written but made again.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::graph::Graph;
use super::operations::Effect;
use super::profiles::Profiles;
use super::rows::{Bytes, Row, Rows};
use super::{Operation, Rules};
use crate::identifier::IdentifierType;

/// What a snapshot begins with: all that is not in rows.
#[derive(Debug, Serialize, Deserialize)]
pub struct SnapshotHead {
    sources: Vec<String>,
    operations: Vec<(Uuid, Operation)>,
    /// Names of the types, in the order of their numbers.
    types: Vec<String>,
    rows: [u64; PARTS],
}

/// Bytes that are no snapshot of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no snapshot of a graph, or not all of one")]
pub struct NoSnapshot;

/// How many kinds of rows a graph has.
const PARTS: usize = 6;

/// Rows of whatever kind.
trait AnyRows {
    fn begin(&mut self) -> u64;
    fn end(&mut self);
    fn append(&mut self, size: usize, part: &mut Vec<u8>) -> bool;
    fn take(&mut self, block: &mut Bytes<'_>) -> Option<usize>;
}

impl<R: Row> AnyRows for Rows<R> {
    fn begin(&mut self) -> u64 {
        self.begin_snapshot()
    }

    fn end(&mut self) {
        self.end_snapshot();
    }

    fn append(&mut self, size: usize, part: &mut Vec<u8>) -> bool {
        self.part(size, part)
    }

    fn take(&mut self, block: &mut Bytes<'_>) -> Option<usize> {
        self.take_block(block)
    }
}

fn rows(graph: &mut Graph) -> [&mut dyn AnyRows; PARTS] {
    [
        &mut graph.store.nodes,
        &mut graph.store.texts,
        &mut graph.store.links,
        &mut graph.store.sights,
        &mut graph.profiles.all,
        &mut graph.consents.rows,
    ]
}

impl Graph {
    /// Begins a snapshot of what there is now; none while there is something to settle.
    pub fn begin_snapshot(&mut self) -> Option<SnapshotHead> {
        self.is_settled().then(|| SnapshotHead {
            sources: (self.sources.iter())
                .map(|source| source.name.clone())
                .collect(),
            operations: self.operations.entries(),
            types: IdentifierType::all()
                .map(|r#type| r#type.name().to_owned())
                .collect(),
            rows: rows(self).map(AnyRows::begin),
        })
    }

    /// Appends to `part` until it is about `size` bytes long; true once nothing is left to come. What has changed since
    /// the last part comes with this one, whatever its size.
    pub fn snapshot_part(&mut self, size: usize, part: &mut Vec<u8>) -> bool {
        const LENGTH: usize = size_of::<u32>();
        let mut is_done = true;
        for (tag, rows) in (0..).zip(rows(self)) {
            part.push(tag);
            let begin = part.len() + LENGTH;
            part.resize(begin, 0);
            // A block at least, so that it comes to an end.
            let until = if is_done { size.max(begin + 1) } else { size };
            is_done &= rows.append(until, part);
            match u32::try_from(part.len() - begin).expect("a part is far below 4 GiB") {
                0 => part.truncate(begin - LENGTH - 1),
                length => part[begin - LENGTH..begin].copy_from_slice(&length.to_le_bytes()),
            }
        }
        is_done
    }

    /// There will be no further part.
    pub fn end_snapshot(&mut self) {
        for rows in rows(self) {
            rows.end();
        }
    }
}

/// A graph that is being read back.
#[derive(Debug)]
pub struct Restoring {
    graph: Graph,
    head: SnapshotHead,
    /// How many rows have come.
    taken: [u64; PARTS],
}

impl Restoring {
    /// Before its parts, under the rules that were in force.
    ///
    /// # Errors
    /// When there is no memory for what the head says.
    pub fn new(workspace: &str, rules: Rules, head: SnapshotHead) -> Result<Self, NoSnapshot> {
        let mut graph = Graph::new(workspace, rules);
        let [nodes, texts, links, sights, profiles, consents] = head.rows;
        graph.store.nodes = Rows::empty(nodes).ok_or(NoSnapshot)?;
        graph.store.texts = Rows::empty(texts).ok_or(NoSnapshot)?;
        graph.store.links = Rows::empty(links).ok_or(NoSnapshot)?;
        graph.store.sights = Rows::empty(sights).ok_or(NoSnapshot)?;
        graph.profiles = Profiles::of(Rows::empty(profiles).ok_or(NoSnapshot)?);
        graph.consents.rows = Rows::empty(consents).ok_or(NoSnapshot)?;
        Ok(Self {
            graph,
            head,
            taken: [0; PARTS],
        })
    }

    /// Takes in a part.
    ///
    /// # Errors
    /// When it is none.
    pub fn take(&mut self, part: &[u8]) -> Result<(), NoSnapshot> {
        let mut part = Bytes(part);
        while !part.0.is_empty() {
            let ([tag], length) = (part.take(), part.u32() as usize);
            let (blocks, rest) = part.0.split_at_checked(length).ok_or(NoSnapshot)?;
            part.0 = rest;
            let mut all = rows(&mut self.graph);
            let rows = all.get_mut(usize::from(tag)).ok_or(NoSnapshot)?;
            let mut blocks = Bytes(blocks);
            while !blocks.0.is_empty() {
                let taken = rows.take(&mut blocks).ok_or(NoSnapshot)?;
                self.taken[usize::from(tag)] += taken as u64;
            }
        }
        Ok(())
    }

    /// After the last part.
    ///
    /// # Errors
    /// When parts are missing.
    pub fn finish(self) -> Result<Graph, NoSnapshot> {
        let Self {
            mut graph,
            head,
            taken,
        } = self;
        if taken != head.rows {
            return Err(NoSnapshot);
        }
        let types: Result<Vec<_>, _> = (head.types.iter())
            .map(|name| IdentifierType::of(name))
            .collect();
        let types = types.map_err(|_| NoSnapshot)?;
        if !types
            .iter()
            .copied()
            .eq(IdentifierType::all().take(types.len()))
        {
            graph.store.renumber_types(&types).ok_or(NoSnapshot)?;
        }
        graph.store.file();
        graph.profiles.file();
        graph.consents.file();
        for name in &head.sources {
            graph.source(name);
        }
        for (id, operation) in head.operations {
            graph.operations.enter(id, operation);
        }
        // Cuts, pins and blocks stand in the rows.
        let separated: Vec<_> = (graph.operations.effects())
            .filter_map(|effect| match effect {
                Effect::Separate(one, other) => Some((graph.find(one)?, graph.find(other)?)),
                _ => None,
            })
            .collect();
        for (one, other) in separated {
            graph.separated.entry(one).or_default().insert(other);
            graph.separated.entry(other).or_default().insert(one);
        }
        Ok(graph)
    }
}
