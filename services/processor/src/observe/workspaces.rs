//! One graph a workspace.

use std::collections::BTreeMap;

use tributary_core::identity::{Changes, Graph, Rules};

/// The graphs of all workspaces that were seen.
#[derive(Debug)]
pub(super) struct Workspaces {
    rules: Rules,
    graphs: BTreeMap<String, Graph>,
}

impl Workspaces {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            graphs: BTreeMap::new(),
        }
    }

    /// The workspace's graph, made where it is new.
    pub(super) fn graph(&mut self, workspace: &str) -> &mut Graph {
        if !self.graphs.contains_key(workspace) {
            self.graphs.insert(
                workspace.to_owned(),
                Graph::new(workspace, self.rules.clone()),
            );
        }
        self.graphs
            .get_mut(workspace)
            .expect("it was made where it was missing")
    }

    /// Settles all graphs; returns what changed in each.
    pub(super) fn settle(&mut self) -> Vec<(String, Changes)> {
        self.graphs
            .iter_mut()
            .map(|(workspace, graph)| (workspace.clone(), graph.settle()))
            .collect()
    }

    pub(super) fn rules_version(&self) -> i64 {
        self.rules.version
    }

    /// Identifiers and links, over all workspaces.
    pub(super) fn size(&self) -> (usize, usize) {
        self.graphs
            .values()
            .fold((0, 0), |(identifiers, links), graph| {
                (identifiers + graph.identifiers(), links + graph.links())
            })
    }
}
