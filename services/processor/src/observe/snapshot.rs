//! All that the stage knows of the links log, written down: a head with the rules and what each graph has few of, then
//! parts with the rows of all graphs.

use serde::{Deserialize, Serialize};
use tributary_contracts::framing;
use tributary_contracts::wire;
use tributary_core::identity::{Graph, Restoring, Rules, SnapshotHead};
use tributary_core::time::Timestamp;

use crate::rules;
use crate::runtime::stage::Broken;

/// A workspace in the head.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Opening {
    workspace: String,
    /// Records of the links log: all versions of its rules that count, the newest last, which is in force.
    versions: Vec<Vec<u8>>,
    graph: SnapshotHead,
}

impl Opening {
    pub(super) fn new(workspace: &str, versions: &[Rules], graph: SnapshotHead) -> Option<Self> {
        let record = |rules: &Rules| {
            rules::written(rules, workspace, Timestamp(0), |record| {
                framing::encode(record)
            })
        };
        let versions: Result<_, _> = versions.iter().map(record).collect();
        Some(Self {
            workspace: workspace.to_owned(),
            versions: versions.ok()?,
            graph,
        })
    }
}

/// A workspace that is being read back.
#[derive(Debug)]
pub(super) struct Reopening {
    workspace: String,
    versions: Vec<Rules>,
    graph: Restoring,
}

/// The head as the first part.
pub(super) fn head(openings: &[Opening], part: &mut Vec<u8>) {
    let head = postcard::to_stdvec(openings).expect("texts and numbers can be written");
    part.extend_from_slice(&head);
}

/// Appends a part with rows of these graphs, in the order of the head; true once nothing is left to come.
pub(super) fn part<'g>(
    graphs: impl Iterator<Item = &'g mut Graph>,
    size: usize,
    part: &mut Vec<u8>,
) -> bool {
    let mut is_done = true;
    let mut rows = Vec::new();
    for (number, graph) in (0_u32..).zip(graphs) {
        // Of those behind only what changed: it is not to pile up until their turn comes.
        is_done &= graph.snapshot_part(if is_done { size } else { 0 }, &mut rows);
        if !rows.is_empty() {
            let length = u32::try_from(rows.len()).expect("a part is far below 4 GiB");
            part.extend_from_slice(&number.to_le_bytes());
            part.extend_from_slice(&length.to_le_bytes());
            part.append(&mut rows);
        }
    }
    is_done
}

/// What the head says.
///
/// # Errors
/// When it is none.
pub(super) fn reopen(head: &[u8]) -> Result<Vec<Reopening>, Broken> {
    let openings: Vec<Opening> = postcard::from_bytes(head).map_err(|error| no_snapshot(&error))?;
    let reopened = openings.into_iter().map(|opening| {
        let versions: Vec<Rules> = (opening.versions.iter())
            .map(|record| {
                let record: wire::Rules<'_> =
                    framing::decode(record).map_err(|error| no_snapshot(&error))?;
                rules::read(&record).map_err(|error| no_snapshot(&error))
            })
            .collect::<Result<_, Broken>>()?;
        let newest = versions.last().ok_or_else(|| no_snapshot(&"no rules"))?;
        let graph = Restoring::new(&opening.workspace, newest.clone(), opening.graph);
        Ok(Reopening {
            workspace: opening.workspace,
            graph: graph.map_err(|error| no_snapshot(&error))?,
            versions,
        })
    });
    reopened.collect()
}

impl Reopening {
    /// The graph, after the last part.
    ///
    /// # Errors
    /// When parts are missing.
    pub(super) fn finish(self) -> Result<(String, Vec<Rules>, Graph), Broken> {
        let graph = self.graph.finish().map_err(|error| no_snapshot(&error))?;
        Ok((self.workspace, self.versions, graph))
    }
}

/// Takes in what [`part`] appended.
///
/// # Errors
/// When it is no such part.
pub(super) fn take(workspaces: &mut [Reopening], mut part: &[u8]) -> Result<(), Broken> {
    let cut_short = || no_snapshot(&"a part is cut short");
    while !part.is_empty() {
        let (front, rest) = part.split_first_chunk::<8>().ok_or_else(cut_short)?;
        let [number, length] = [0, 4]
            .map(|at| u32::from_le_bytes(std::array::from_fn(|byte| front[at + byte])) as usize);
        let (rows, rest) = rest.split_at_checked(length).ok_or_else(cut_short)?;
        part = rest;
        let workspace = workspaces.get_mut(number).ok_or_else(cut_short)?;
        (workspace.graph.take(rows)).map_err(|error| no_snapshot(&error))?;
    }
    Ok(())
}

pub(super) fn no_snapshot(why: &dyn std::fmt::Display) -> Broken {
    Broken(format!("a snapshot cannot be read: {why}"))
}
