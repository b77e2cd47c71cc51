use crate::identity::{Graph, NodeId};

/// A line of a timeline: events that are judged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineKey {
    /// The timeline's own.
    Own,
    /// Of events whose anchor has no usable link with the timeline's identifier, or whose timeline is blocked: under
    /// the anchor, or without one under the highest identifier left.
    Other(NodeId),
    /// Of events that have no identifier left.
    Nothing,
}

/// The highest person identifier that is neither blocked nor a hub.
pub(super) fn anchor(graph: &Graph, identifiers: &[NodeId]) -> Option<NodeId> {
    identifiers
        .iter()
        .copied()
        .filter(|node| graph.is_person(*node) && !graph.is_blocked(*node) && !graph.is_hub(*node))
        .min_by(|one, other| graph.compare(*one, *other))
}

/// The line of an event of that timeline with that anchor.
pub(super) fn line(
    graph: &Graph,
    timeline: NodeId,
    anchor: Option<NodeId>,
    identifiers: &[NodeId],
) -> LineKey {
    if !graph.is_blocked(timeline)
        && anchor.is_none_or(|anchor| anchor == timeline || graph.has_usable_link(timeline, anchor))
    {
        return LineKey::Own;
    }
    let highest_left = || {
        identifiers
            .iter()
            .copied()
            .filter(|node| !graph.is_blocked(*node))
            .min_by(|one, other| graph.compare(*one, *other))
    };
    anchor
        .or_else(highest_left)
        .map_or(LineKey::Nothing, LineKey::Other)
}
