//! Whose each identifier is, and which links are refused: sent by the partition that the identifier's hash names.

use serde::{Deserialize, Serialize};
use tributary_contracts::keys;
use tributary_contracts::wire::{AtomBody, IdentifierAtom, Identity, Refusal, Span as WireSpan};
use tributary_core::identity::{Graph, LinkId, NodeId};
use tributary_core::ids::ProfileId;
use tributary_core::time::Timestamp;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::sending::Sending;
use super::stored::decode;
use crate::runtime::stage::Broken;

/// An identifier's assignment as last sent.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    profile: Uuid,
    hub: bool,
    spans: Vec<(Uuid, i64, i64)>,
    person: bool,
}

/// Sends the identifier's assignment where it is another than last sent, and moves the identifier between profiles, or
/// takes it out where it is blocked or no longer known.
/// `spans` are the first of its timeline, with `next` behind them; without a timeline it has one span, its profile's.
pub(super) fn tell(
    graph: &Graph,
    workspace: &str,
    node: NodeId,
    (spans, next): (&[OwnedSpan], Option<Timestamp>),
    partition: i32,
    sending: &mut Sending<'_>,
) -> Result<(), Broken> {
    let identifier = graph.identifier(node);
    let (type_name, value) = (identifier.r#type.name(), &*identifier.value);
    let key = [b"i", keys::timeline(workspace, type_name, value).as_slice()].concat();
    let before: Option<Told> = match sending.outputs.get(partition, &key)? {
        Some(before) => Some(decode(&before)?),
        None => None,
    };
    let profile = graph.profile(node);
    let is_told = is_told(graph, node);
    let wire = match spans {
        _ if !is_told => Vec::new(),
        [] => vec![WireSpan {
            profile_id: profile,
            valid_from: Timestamp::MIN,
            valid_to: Timestamp::MAX,
        }],
        spans => wire_spans(profile, spans, next),
    };
    let now = is_told.then(|| Told {
        profile: profile.0,
        hub: graph.is_hub(node),
        spans: wire
            .iter()
            .map(|span| (span.profile_id.0, span.valid_from.0, span.valid_to.0))
            .collect(),
        person: graph.is_person(node),
    });
    if before == now {
        return Ok(());
    }
    let held = |told: &Option<Told>| {
        let told = told.as_ref();
        told.map(|told| (ProfileId(told.profile), told.person))
    };
    let (had, has) = (held(&before), held(&now));
    if had != has {
        let atom_id = format!("identifier:{type_name}:{value}");
        if let Some((before, _)) = had
            && has.is_none_or(|(now, _)| now != before)
        {
            sending.atom(workspace, before, &atom_id, None)?;
        }
        if let Some((now, person)) = has {
            let body = AtomBody::IdentifierAtom(IdentifierAtom {
                r#type: type_name,
                value,
                person: Some(person),
            });
            sending.atom(workspace, now, &atom_id, Some(body))?;
        }
    }
    let revision = sending.revision;
    sending.identity(&Identity {
        workspace,
        identifier_type: type_name,
        identifier_value: value,
        own_profile_id: ProfileId::of(workspace, &identifier),
        profile_id: profile,
        hub: now.as_ref().is_some_and(|now| now.hub),
        spans: wire,
        revision,
        gone: now.is_none(),
        part: 0,
    })?;
    sending.put(partition, &key, now.as_ref())
}

/// Sends a further part of the spans of a timeline's identifier, with `next` behind them, where it is another than the one
/// of that hash; returns its hash, 0 for none.
pub(super) fn tell_part(
    graph: &Graph,
    workspace: &str,
    node: NodeId,
    part: u32,
    (spans, next): (&[OwnedSpan], Option<Timestamp>),
    before: u64,
    sending: &mut Sending<'_>,
) -> Result<u64, Broken> {
    let wire = match is_told(graph, node) {
        true => wire_spans(graph.profile(node), spans, next),
        false => Vec::new(),
    };
    let hash = match wire.as_slice() {
        [] => 0,
        wire => xxh3_64(format!("{wire:?}").as_bytes()).max(1),
    };
    if hash == before {
        return Ok(hash);
    }
    let identifier = graph.identifier(node);
    let own = ProfileId::of(workspace, &identifier);
    let revision = sending.revision;
    sending.identity(&Identity {
        workspace,
        identifier_type: identifier.r#type.name(),
        identifier_value: &identifier.value,
        own_profile_id: own,
        profile_id: own,
        hub: false,
        gone: wire.is_empty(),
        spans: wire,
        revision,
        part: part as i32,
    })?;
    Ok(hash)
}

/// Whether it is said whose the identifier is.
fn is_told(graph: &Graph, node: NodeId) -> bool {
    graph.is_known(node) && !graph.is_blocked(node)
}

/// Whose a timeline's identifier is from a moment on; none where it is its own profile's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnedSpan {
    pub(super) from: Timestamp,
    pub(super) owner: Option<ProfileId>,
}

/// Spans of which each ends where the next begins, and the last at `next` or never.
fn wire_spans(profile: ProfileId, spans: &[OwnedSpan], next: Option<Timestamp>) -> Vec<WireSpan> {
    let ends = spans.iter().skip(1).map(|span| span.from);
    let ends = ends.chain([next.unwrap_or(Timestamp::MAX)]);
    spans
        .iter()
        .zip(ends)
        .map(|(span, valid_to)| WireSpan {
            profile_id: span.owner.unwrap_or(profile),
            valid_from: span.from,
            valid_to,
        })
        .collect()
}

/// Sends the link's refusal where it is another than last sent; returns by how much the number of refusals grew.
pub(super) fn tell_refusal(
    graph: &Graph,
    workspace: &str,
    link: LinkId,
    partition: i32,
    sending: &mut Sending<'_>,
) -> Result<i64, Broken> {
    let (higher, lower) = graph.ends(link);
    let (higher, lower) = (graph.identifier(higher), graph.identifier(lower));
    let parts = [
        workspace,
        higher.r#type.name(),
        &higher.value,
        lower.r#type.name(),
        &lower.value,
    ];
    let key = [b"r", keys::joined(&parts).as_slice()].concat();
    let before: Option<String> = match sending.outputs.get(partition, &key)? {
        Some(before) => Some(decode(&before)?),
        None => None,
    };
    let now = graph.refusal(link).map(|reason| reason.to_string());
    if before == now {
        return Ok(0);
    }
    let revision = sending.revision;
    sending.refusal(&Refusal {
        workspace,
        higher_type: higher.r#type.name(),
        higher_value: &higher.value,
        lower_type: lower.r#type.name(),
        lower_value: &lower.value,
        reason: now.as_deref().unwrap_or_default(),
        revision,
        gone: now.is_none(),
    })?;
    sending.put(partition, &key, now.as_ref())?;
    Ok(i64::from(now.is_some()) - i64::from(before.is_some()))
}
