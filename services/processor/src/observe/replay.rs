//! The links log read apart from any input: the graph as every processor has it, for jobs that ask what if.

use std::collections::BTreeMap;

use tributary_contracts::framing;
use tributary_contracts::wire::Link;
use tributary_core::identity::Graph;

use super::links;
use super::word::{self, Said};
use super::workspaces::Workspaces;

/// The graph of one workspace, as far as its records were read.
#[derive(Debug)]
pub struct Replay {
    workspace: String,
    workspaces: Workspaces,
    unreadable: u64,
}

impl Replay {
    /// Before the first record.
    #[must_use]
    pub fn new(workspace: &str) -> Self {
        Self {
            workspace: workspace.to_owned(),
            // Nothing is configured here, so nothing is published.
            workspaces: Workspaces::new(BTreeMap::new()),
            unreadable: 0,
        }
    }

    /// Takes in the value of a record of the links log; other workspaces' are passed over, and what cannot be read is
    /// counted: processors put it to the dead letters.
    pub fn take(&mut self, value: &[u8]) {
        let link: Link<'_> = match framing::decode(value) {
            Ok(link) => link,
            Err(error) => {
                match word::read(value, &error) {
                    Ok((workspace, said)) if workspace == self.workspace => self.hear(said),
                    Ok(_) => {}
                    Err(_) => self.unreadable += 1,
                }
                return;
            }
        };
        if link.workspace == self.workspace
            && links::observe(self.workspaces.graph(link.workspace), &link).is_err()
        {
            self.unreadable += 1;
        }
    }

    fn hear(&mut self, said: Said) {
        match said {
            Said::Word(word) => {
                word.tell(self.workspaces.graph(&self.workspace));
            }
            Said::Rules(rules) => {
                // Only who publishes can be overtaken.
                let _ = self.workspaces.hear(&self.workspace, *rules);
            }
        }
    }

    /// Records that could not be read.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The graph under the rules in force, settled; the default ones where none were published.
    #[must_use]
    pub fn finish(mut self) -> Graph {
        self.workspaces.obey();
        self.workspaces.settle();
        self.workspaces.into_graph(&self.workspace)
    }
}
