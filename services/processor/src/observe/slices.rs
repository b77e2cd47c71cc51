//! What is to be decided again, some at a time: identifiers that changed with the timelines that depend on them, then timelines.

use std::collections::BTreeSet;

use tributary_contracts::keys;
use tributary_core::identity::NodeId;

use super::Observe;
use super::backlog::{Moved, Piece};
use super::stored::{self, Timeline};
use crate::runtime::stage::{Broken, Outputs};

impl Observe {
    /// Takes a slice off the backlog: finds the timelines that depend on an identifier, marks those to be decided with
    /// this flush, and returns what is to be told without a timeline.
    pub(super) fn take_slice(
        &mut self,
        outputs: &dyn Outputs,
    ) -> Result<Vec<(String, Piece)>, Broken> {
        let partitions = outputs.partitions("touchpoints");
        let (mut cost, mut told) = (0, Vec::new());
        while cost < self.slice
            && let Some((workspace, piece)) = self.backlog.take_piece()
        {
            let graph = self.workspaces.graph(&workspace);
            let filed_under = match piece {
                Piece::Identifier(node, _) => node,
                Piece::Refusal(link) => graph.ends(link).0,
            };
            let identifier = graph.identifier(filed_under);
            let own = keys::timeline(&workspace, identifier.r#type.name(), &identifier.value);
            let mut has_timeline = false;
            cost += 1;
            if let Piece::Identifier(node, moved) = &piece {
                let (others, anchors) = match moved {
                    Moved::Assignment => (self.dependents(&workspace, *node), None),
                    Moved::Line(anchors) => (Vec::new(), Some(anchors)),
                };
                cost += others.len();
                let of_node = BTreeSet::from([*node]);
                for key in others {
                    self.decide_again(key, Some(&of_node), outputs)?;
                }
                has_timeline = self.decide_again(own.clone(), anchors, outputs)?;
            }
            // An identifier with a timeline is told with it.
            let is_mine = self.partitions.contains(&keys::partition(&own, partitions));
            let says = !matches!(piece, Piece::Identifier(_, Moved::Line(_)));
            if is_mine && says && !has_timeline {
                told.push((workspace, piece));
            }
        }
        while cost < self.slice
            && let Some(key) = self.backlog.take_timeline(outputs)?
        {
            let partition = keys::partition(&key, partitions);
            if !self.timelines.contains_key(&key)
                && let Some(timeline) = Timeline::load(partition, &key, outputs)?
            {
                self.timelines.insert(key.clone(), timeline);
            }
            if let Some(timeline) = self.timelines.get_mut(&key) {
                cost += 1 + timeline.events();
                self.dimensions.tell_again(partition, timeline);
                timeline.is_told_otherwise |= self.retold.concerns(partition, &timeline.header);
                timeline.touched = true;
                timeline.is_settled = false;
                self.touched.insert(key);
            }
        }
        Ok(told)
    }

    /// Whether this instance has a timeline of that key; then it is decided again, or where it is said that only events with
    /// one of these identifiers may be otherwise, and none has, what is new of it.
    fn decide_again(
        &mut self,
        key: Vec<u8>,
        because: Option<&BTreeSet<NodeId>>,
        outputs: &dyn Outputs,
    ) -> Result<bool, Broken> {
        if let (Some(timeline), Some(because)) = (self.timelines.get_mut(&key), because)
            && timeline.is_settled
            && !because.iter().any(|node| timeline.was_decided_with(*node))
        {
            return Ok(true);
        }
        let partition = keys::partition(&key, outputs.partitions("touchpoints"));
        let is_here = self.partitions.contains(&partition)
            && (self.timelines.contains_key(&key) || stored::exists(partition, &key, outputs)?);
        if is_here && !self.touched.contains(&key) {
            self.backlog.add_timeline(key);
        } else if let Some(timeline) = self.timelines.get_mut(&key) {
            timeline.is_settled = false;
        }
        Ok(is_here)
    }

    /// Keys of the timelines, other than its own, that may be decided otherwise when the identifier changes.
    fn dependents(&mut self, workspace: &str, node: NodeId) -> Vec<Vec<u8>> {
        let graph = self.workspaces.graph(workspace);
        let key_of = |node: NodeId| {
            let identifier = graph.identifier(node);
            keys::timeline(workspace, identifier.r#type.name(), &identifier.value)
        };
        // A timeline depends on the persons on its events, and where its own identifier is blocked on all that is left.
        let is_person = graph.is_person(node);
        graph
            .neighbours(node)
            .filter(|other| is_person || graph.is_blocked(*other))
            .map(key_of)
            .collect()
    }

    /// Has every timeline decided again.
    pub(super) fn sweep(&mut self) {
        for partition in &self.partitions {
            self.backlog.sweep(*partition);
        }
    }
}
