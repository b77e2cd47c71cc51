//! This partition's knowledge of links and of consents to them: what it has told the links log, so that it tells each
//! change once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tributary_contracts::keys;
use tributary_contracts::wire::{Link, StitchingConsent};
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::identity::{Graph, NodeId, Observation};
use tributary_core::time::Timestamp;

use super::facts::{IdentifierSet, SetSeen};
use super::sending::Sending;
use super::stored::decode;
use super::word;
use super::workspaces::Workspaces;
use crate::runtime::stage::{Broken, Poison};

/// What a partition knows of one link from one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Knowledge {
    first: i64,
    first_message: String,
    last_day: i32,
    may_link: bool,
}

/// The links observed since the last flush, by partition.
#[derive(Debug, Default)]
pub(super) struct Observed {
    links: BTreeMap<ObservedKey, Knowledge>,
    /// The latest decisions on being stitched, by partition, workspace and identifier.
    consents: BTreeMap<(i32, String, Identifier), Decided>,
}

/// A decision on being stitched. The latest is the greatest: `false < true`, and at equal times a refusal wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Decided {
    at: i64,
    refused: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ObservedKey {
    partition: i32,
    workspace: String,
    higher: Identifier,
    lower: Identifier,
    source: String,
}

/// One sight of a set of identifiers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'a> {
    pub(super) partition: i32,
    pub(super) workspace: &'a str,
    pub(super) source: &'a str,
    pub(super) may_link: bool,
    pub(super) at: Timestamp,
    pub(super) message: &'a str,
}

impl Observed {
    /// Takes in that the set was seen; returns whether its timeline learned something of it.
    pub(super) fn see(&mut self, set: &mut IdentifierSet, sight: Sight<'_>) -> bool {
        if set.identifiers.len() < 2 {
            return false;
        }
        let day = sight.at.day();
        match set.seen.iter_mut().find(|seen| seen.source == sight.source) {
            Some(seen) => {
                let earlier =
                    (sight.at.0, sight.message) < (seen.first, seen.first_message.as_str());
                if !earlier && day <= seen.last_day && seen.may_link >= sight.may_link {
                    return false;
                }
                if earlier {
                    seen.first = sight.at.0;
                    sight.message.clone_into(&mut seen.first_message);
                }
                seen.last_day = seen.last_day.max(day);
                seen.may_link |= sight.may_link;
            }
            None => set.seen.push(SetSeen {
                source: sight.source.to_owned(),
                may_link: sight.may_link,
                first: sight.at.0,
                first_message: sight.message.to_owned(),
                last_day: day,
            }),
        }
        // Two of one person type are no link, but rules say which types are persons', and rules may change.
        for (index, (higher, value)) in set.identifiers.iter().enumerate() {
            for (lower, other_value) in &set.identifiers[index + 1..] {
                let ends = [(higher, value), (lower, other_value)]
                    .map(|(r#type, value)| Identifier::new(*r#type, value));
                self.add(ends, sight);
            }
        }
        true
    }

    /// Takes in a decision, which covers every identifier on its event.
    pub(super) fn decide(
        &mut self,
        identifiers: &[(IdentifierType, &str)],
        sight: Sight<'_>,
        granted: bool,
    ) {
        let decided = Decided {
            at: sight.at.0,
            refused: !granted,
        };
        for (r#type, value) in identifiers {
            let key = (
                sight.partition,
                sight.workspace.to_owned(),
                Identifier::new(*r#type, value),
            );
            self.consents
                .entry(key)
                .and_modify(|known| *known = decided.max(*known))
                .or_insert(decided);
        }
    }

    fn add(&mut self, [higher, lower]: [Identifier; 2], sight: Sight<'_>) {
        let key = ObservedKey {
            partition: sight.partition,
            workspace: sight.workspace.to_owned(),
            higher,
            lower,
            source: sight.source.to_owned(),
        };
        let seen = Knowledge {
            first: sight.at.0,
            first_message: sight.message.to_owned(),
            last_day: sight.at.day(),
            may_link: sight.may_link,
        };
        self.links
            .entry(key)
            .and_modify(|known| known.join(&seen))
            .or_insert(seen);
    }

    /// Tells the log and the graphs what is new of it.
    pub(super) fn tell(
        &mut self,
        workspaces: &mut Workspaces,
        sending: &mut Sending<'_>,
    ) -> Result<usize, Broken> {
        let mut told = 0;
        for (key, seen) in std::mem::take(&mut self.links) {
            let stored_key = key.stored();
            let mut known = seen.clone();
            if let Some(before) = sending.outputs.get(key.partition, &stored_key)? {
                let before: Knowledge = decode(&before)?;
                known.join(&before);
                if known == before {
                    continue;
                }
            }
            sending.put(key.partition, &stored_key, Some(&known))?;
            sending.link(&Link {
                workspace: &key.workspace,
                higher_type: key.higher.r#type.name(),
                higher_value: &key.higher.value,
                lower_type: key.lower.r#type.name(),
                lower_value: &key.lower.value,
                source: &key.source,
                may_link: known.may_link,
                partition: key.partition,
                first_seen: Timestamp(known.first),
                first_message_id: &known.first_message,
                last_day: known.last_day,
            })?;
            // The set of links is what counts, so a link of one's own can be used before the log brings it back.
            let graph = workspaces.graph(&key.workspace);
            let (higher, lower) = (graph.intern(&key.higher), graph.intern(&key.lower));
            let observation = Observation {
                first: Timestamp(known.first),
                last_day: known.last_day,
                source: graph.source(&key.source),
            };
            graph.observe(higher, lower, observation);
            told += 1;
        }
        self.tell_consents(sending)?;
        Ok(told)
    }

    /// Tells the log what is new of consents. They count when the log brings them back, as operations do.
    fn tell_consents(&mut self, sending: &mut Sending<'_>) -> Result<(), Broken> {
        for ((partition, workspace, identifier), decided) in std::mem::take(&mut self.consents) {
            let (type_name, value) = (identifier.r#type.name(), &*identifier.value);
            let stored_key = [
                b"c",
                keys::timeline(&workspace, type_name, value).as_slice(),
            ]
            .concat();
            if let Some(before) = sending.outputs.get(partition, &stored_key)? {
                let before: Decided = decode(&before)?;
                if before >= decided {
                    continue;
                }
            }
            sending.put(partition, &stored_key, Some(&decided))?;
            sending.consent(&StitchingConsent {
                workspace: &workspace,
                identifier_type: type_name,
                identifier_value: value,
                partition,
                decided_at: Timestamp(decided.at),
                granted: !decided.refused,
            })?;
        }
        Ok(())
    }
}

/// Takes a record of the log into the graph; returns its ends.
pub(super) fn observe(graph: &mut Graph, link: &Link<'_>) -> Result<[NodeId; 2], Poison> {
    let ends = [
        word::identifier(link.higher_type, link.higher_value)?,
        word::identifier(link.lower_type, link.lower_value)?,
    ]
    .map(|identifier| graph.intern(&identifier));
    let observation = Observation {
        first: link.first_seen,
        last_day: link.last_day,
        source: graph.source(link.source),
    };
    graph.observe(ends[0], ends[1], observation);
    Ok(ends)
}

impl ObservedKey {
    fn stored(&self) -> Vec<u8> {
        let parts = [
            self.workspace.as_str(),
            self.higher.r#type.name(),
            &self.higher.value,
            self.lower.r#type.name(),
            &self.lower.value,
            &self.source,
        ];
        [b"l", keys::joined(&parts).as_slice()].concat()
    }
}

impl Knowledge {
    fn join(&mut self, other: &Self) {
        if (other.first, &other.first_message) < (self.first, &self.first_message) {
            self.first = other.first;
            self.first_message.clone_from(&other.first_message);
        }
        self.last_day = self.last_day.max(other.last_day);
        self.may_link |= other.may_link;
    }
}
