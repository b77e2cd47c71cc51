//! Files touchpoints on their timelines: what is kept of each, and which links it shows.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use tributary_contracts::wire::{Activity, OrderKind, StitchingConsent, Touchpoint};

use super::Observe;
use super::event::{More, StoredEvent, StoredOrder};
use super::links::Sight;
use super::reading::Reading;
use super::stored::{Known, Timeline};
use super::{mail, saying};
use crate::runtime::stage::{Broken, Store};

impl Observe {
    /// Files a touchpoint on its timeline, unless it is known there.
    pub(super) fn file(
        &mut self,
        key: &[u8],
        partition: i32,
        bytes: &[u8],
        reading: &Reading<'_>,
        store: &dyn Store,
    ) -> Result<Known, Broken> {
        let touchpoint = &reading.touchpoint;
        let timeline = opened(&mut self.timelines, partition, key, touchpoint, store)?;
        timeline.used = self.flushes + 1;
        let content = reading.content();
        let known = timeline.knows(touchpoint.occurred_at.0, touchpoint.message_id, content);
        if !matches!(known, Known::New) {
            return Ok(known);
        }
        let set = (!reading.identifiers.is_empty()).then(|| timeline.set(&reading.identifiers));
        let more = More {
            traits: traits(touchpoint)
                .into_iter()
                .map(|(name, value)| (timeline.name(&name), value))
                .collect(),
            consents: touchpoint
                .consents
                .iter()
                .map(|consent| (timeline.name(consent.purpose), consent.granted))
                .collect(),
            group: Some(touchpoint.group_id)
                .filter(|group| !group.is_empty())
                .map(|group| timeline.name(group)),
            order: touchpoint
                .order
                .as_ref()
                .filter(|order| match order.kind {
                    OrderKind::Placed => set.is_some(),
                    OrderKind::Refunded | OrderKind::Cancelled => !touchpoint.bot,
                })
                .map(|order| StoredOrder::of(order, touchpoint.order_namespace)),
            email: set.and_then(|_| mail::of(touchpoint)),
            says: saying::of(touchpoint),
            sent: None,
        };
        let (facts, are_new) = timeline.facts(touchpoint);
        let new_facts = are_new.then(|| &timeline.header.facts[facts.get()]);
        self.dimensions
            .see(partition, touchpoint.workspace, new_facts, &more);
        let event = StoredEvent {
            time: touchpoint.occurred_at.0,
            message: touchpoint.message_id.into(),
            content,
            facts,
            set,
            name: set
                .filter(|_| touchpoint.r#type == "track")
                .map(|_| timeline.name(touchpoint.event)),
            received_session: None,
            received_owner: None,
            waiting: Some(self.waiting.add(bytes)),
            activity: match (set, touchpoint.activity) {
                (None, _) => 2,
                (_, Activity::Active) => 0,
                (_, Activity::Passive) => 1,
            },
            view: matches!(touchpoint.r#type, "page" | "screen"),
            more: more.is_something().then(|| Box::new(more)),
        };
        timeline.insert(event, self.page);
        if let Some(set) = set {
            let sight = Sight {
                partition,
                workspace: touchpoint.workspace,
                source: touchpoint.source,
                may_link: touchpoint.may_link,
                at: touchpoint.occurred_at,
                message: touchpoint.message_id,
            };
            let sets = &mut timeline.header.sets;
            if self.observed.see(sets.get_mut(set.get()), sight) {
                sets.change(set.get());
            }
            if let Some(granted) = stitching(touchpoint) {
                self.observed.decide(&reading.identifiers, sight, granted);
            }
        }
        if !std::mem::replace(&mut timeline.touched, true) {
            self.touched.insert(key.to_vec());
        }
        Ok(known)
    }
}

/// The timeline of that key, from memory, from the store, or new.
fn opened<'t>(
    timelines: &'t mut FxHashMap<Vec<u8>, Timeline>,
    partition: i32,
    key: &[u8],
    touchpoint: &Touchpoint<'_>,
    store: &dyn Store,
) -> Result<&'t mut Timeline, Broken> {
    if !timelines.contains_key(key) {
        let timeline = match Timeline::load(partition, key, store)? {
            Some(timeline) => timeline,
            None => Timeline::new(
                partition,
                touchpoint.workspace,
                touchpoint.timeline_type,
                touchpoint.timeline_value,
            ),
        };
        timelines.insert(key.to_vec(), timeline);
    }
    Ok(timelines
        .get_mut(key)
        .expect("it was inserted where it was missing"))
}

/// The event's decision on being stitched, if it states one; of two a refusal.
fn stitching(touchpoint: &Touchpoint<'_>) -> Option<bool> {
    let decisions = touchpoint
        .consents
        .iter()
        .filter(|consent| consent.purpose == StitchingConsent::PURPOSE);
    decisions.map(|consent| consent.granted).min()
}

/// How many traits of an event are taken, by their names, and how many bytes a name has at most: each is sent with where it
/// was stated, so that one event of thousands would not fit into a message.
const TRAITS: usize = 256;
const LONGEST_NAME: usize = 512;

/// The traits that the event states of its customer, each as JSON text.
fn traits(touchpoint: &Touchpoint<'_>) -> Vec<(String, String)> {
    if touchpoint.traits.is_empty() || touchpoint.r#type == "group" {
        return Vec::new();
    }
    let traits: BTreeMap<String, &serde_json::value::RawValue> =
        serde_json::from_str(touchpoint.traits).unwrap_or_default();
    traits
        .into_iter()
        .filter(|(name, _)| name.len() <= LONGEST_NAME)
        .take(TRAITS)
        .map(|(name, value)| (name, value.get().to_owned()))
        .collect()
}
