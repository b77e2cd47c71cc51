//! The first stage, keyed by timeline: deduplicates, records links, keeps each timeline, cuts it into sessions and
//! decides whose they are. Only this stage knows the graph.
//!
//! ```text
//! touchpoints ──take──> reading ──> duplicate? ──> timeline (pages) ─┐
//!                                     links.see ─┐                   │
//! links log ──learn──> graph <───────── links.tell                   ├──flush──> deciding ──> resolved, sessions, atoms,
//!                        └─ settle: who changed ──> backlog ─────────┘                        claims, overrides
//!                                        └───────── in slices ───────> identities ──────────> identities, refusals, atoms
//! ```
//!
//! The log has more than links: operators' entries, consents, and the rules that the stage obeys and publishes.
//!
//! When it fails: a touchpoint that cannot be read goes to the dead letters, whole; everything else aborts the
//! transaction, and the stage starts anew from what was committed.

mod backlog;
mod deciding;
mod dimensions;
mod event;
mod facts;
mod filing;
mod goals;
mod identities;
mod links;
mod listed;
mod mail;
mod page;
mod part;
mod reading;
mod replay;
mod saying;
mod sending;
mod sessions;
mod slices;
mod snapshot;
mod stored;
mod summary;
mod waiting;
mod watermarks;
mod word;
mod workspaces;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use tributary_contracts::wire::Link;
use tributary_contracts::{framing, keys};
use tributary_core::identity::{Changes, NodeId, Rules};
use tributary_core::time::Timestamp;

use self::backlog::{Backlog, Piece};
use self::dimensions::Dimensions;
use self::goals::{Goals, Retold};
use self::links::Observed;
use self::reading::Reading;
pub use self::replay::Replay;
use self::sending::{Encoders, Sending};
use self::snapshot::{Opening, Reopening};
use self::stored::{Known, Timeline};
use self::waiting::Waiting;
use self::watermarks::Watermarks;
use self::word::Said;
use self::workspaces::Workspaces;
use crate::rules;
use crate::runtime::stage::{Broken, Input, Outputs, Poison, Stage, Store};
use crate::values::Limits;

/// Where a partition's revision stands in its store, and whether there was a backlog when it was written.
const REVISION_KEY: &[u8] = b"v";

/// What the stage is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The rules of identity by workspace, as configured; under version 0 they are published as the next.
    pub rules: BTreeMap<String, Rules>,
    /// Events of each goal, by the goal's slug.
    pub goals: BTreeMap<String, Vec<String>>,
    /// Which values of a dimension KPIs tell apart.
    pub limits: Limits,
    /// How many milliseconds later than others of its partition an event may come before it is counted as late.
    pub out_of_orderness: i64,
    /// How many events of a timeline are written together, at most.
    pub page: usize,
    /// How many events of timelines are kept decoded in memory; the rest is read again from the store.
    pub cached_events: usize,
    /// How much of a change of the graph is worked on in one flush, in events and links; the rest waits for the next.
    pub slice: usize,
    /// How many links of the graph are looked at in one flush for a component that takes more than that.
    pub links: usize,
}

impl Settings {
    /// Small, because a page is the least that a change writes; not smaller, because each costs a record.
    pub const PAGE: usize = 64;

    /// A slice that takes about a tenth of a second.
    pub const SLICE: usize = 20_000;

    /// Likewise.
    pub const LINKS: usize = 400_000;
}

/// What the stage counted; the runtime's metrics read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Touchpoints that were new.
    pub stored: u64,
    /// Touchpoints that were known already, with the same content.
    pub duplicates: u64,
    /// Touchpoints whose message id was known with other content.
    pub conflicts: u64,
    /// New touchpoints with two person identifiers of one type.
    pub ambiguous: u64,
    /// New touchpoints that came after their partition's watermark had passed them.
    pub late: u64,
    /// Links told to the log.
    pub links: u64,
    /// Identifiers that came to another profile than the one they had.
    pub moved: u64,
    /// Links that are refused now and were not, less those that are no longer.
    pub refusals: i64,
    /// Identifiers in the graph.
    pub identifiers: u64,
}

/// Where the counts go.
pub type CountsSink = std::sync::Arc<dyn Fn(&Counts) + Send + Sync>;

/// The stage.
pub struct Observe {
    goals: Goals,
    retold: Retold,
    page: usize,
    cached_events: usize,
    slice: usize,
    links: usize,
    workspaces: Workspaces,
    partitions: BTreeSet<i32>,
    timelines: FxHashMap<Vec<u8>, Timeline>,
    touched: BTreeSet<Vec<u8>>,
    waiting: Waiting,
    /// A key that is made for each touchpoint, to use its memory again.
    key: Vec<u8>,
    observed: Observed,
    dimensions: Dimensions,
    watermarks: Watermarks,
    revisions: BTreeMap<i32, i64>,
    links_offset: i64,
    backlog: Backlog,
    /// A life before this one ended with a backlog, and nobody knows of what.
    left_behind: bool,
    /// The side input is still at what was decided before the start.
    replaying: bool,
    /// Workspaces with timelines in the store.
    known: BTreeSet<String>,
    /// Something was decided under rules that the log did not have: those that were configured, which may be others now.
    is_unruled: bool,
    /// Identifiers of what was learned at the start beyond what was decided. What was last sent may have known some of it:
    /// links of one's own are used before the log brings them back, and partitions come from processors that had read
    /// further. So all around them is compared once.
    unsure: Vec<(String, Vec<NodeId>)>,
    /// Among it were rules.
    unsure_of_rules: bool,
    started: bool,
    learned: bool,
    flushes: u64,
    encoders: Encoders,
    counts: Counts,
    report: CountsSink,
    /// The head of a snapshot that has begun, until it is told.
    opening: Option<Vec<Opening>>,
    /// Of a snapshot that is being read back.
    reopening: Option<Vec<Reopening>>,
    /// The store failed while an event was taken in: the next flush says so.
    broken: Option<Broken>,
}

impl Observe {
    /// The stage before it has anything.
    #[must_use]
    pub fn new(settings: Settings, report: CountsSink) -> Self {
        Self {
            goals: Goals::new(settings.goals),
            retold: Retold::default(),
            page: settings.page,
            cached_events: settings.cached_events,
            slice: settings.slice,
            links: settings.links,
            workspaces: Workspaces::new(settings.rules),
            partitions: BTreeSet::new(),
            timelines: FxHashMap::default(),
            touched: BTreeSet::new(),
            waiting: Waiting::default(),
            key: Vec::new(),
            observed: Observed::default(),
            dimensions: Dimensions::new(settings.limits),
            watermarks: Watermarks::new(settings.out_of_orderness),
            revisions: BTreeMap::new(),
            links_offset: 0,
            backlog: Backlog::default(),
            left_behind: false,
            replaying: true,
            known: BTreeSet::new(),
            is_unruled: false,
            unsure: Vec::new(),
            unsure_of_rules: false,
            started: false,
            learned: false,
            flushes: 0,
            encoders: Encoders::default(),
            counts: Counts::default(),
            report,
            opening: None,
            reopening: None,
            broken: None,
        }
    }

    /// What was learned up to here was decided before: take it as given.
    fn end_replay(&mut self) {
        if std::mem::take(&mut self.replaying) {
            self.workspaces.settle();
            self.workspaces.take_rules_changed();
            self.workspaces.take_kinds_changed();
            for workspace in self.workspaces.unruled() {
                self.is_unruled |= self.known.contains(&workspace)
                    || self.workspaces.graph(&workspace).identifiers() > 0;
            }
        }
    }

    /// Forgets the timelines that were not used for longest, once too many events are in memory.
    fn evict(&mut self) {
        let held: usize = self.timelines.values().map(Timeline::events).sum();
        if held <= self.cached_events {
            return;
        }
        let mut by_use: Vec<(u64, usize)> = self
            .timelines
            .values()
            .map(|timeline| (timeline.used, timeline.events()))
            .collect();
        by_use.sort_unstable();
        let mut excess = held - self.cached_events / 2;
        let mut newest_evicted = 0;
        for (used, events) in by_use {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(events);
            newest_evicted = used;
        }
        self.timelines
            .retain(|_, timeline| timeline.used > newest_evicted);
    }
}

impl Stage for Observe {
    fn name(&self) -> &'static str {
        "observe"
    }

    fn input(&self) -> &'static str {
        "touchpoints"
    }

    fn changelog(&self) -> &'static str {
        "observe_state"
    }

    fn side_input(&self) -> Option<&'static str> {
        Some("links")
    }

    fn assigned(&mut self, partitions: &[i32], store: &dyn Store) -> Result<(), Broken> {
        self.partitions = partitions.iter().copied().collect();
        self.timelines.clear();
        self.touched.clear();
        self.backlog.clear();
        self.waiting.clear();
        self.revisions.clear();
        self.known.clear();
        self.dimensions.clear();
        self.retold.clear();
        self.watermarks.clear();
        for partition in partitions {
            let by_dimensions = self.dimensions.restore(*partition, store)?;
            if self.retold.restore(*partition, &self.goals, store)? || by_dimensions {
                self.backlog.sweep(*partition);
            }
            for workspace in self.workspaces.configured() {
                if stored::has_timelines(*partition, workspace, store)? {
                    self.known.insert(workspace.clone());
                }
            }
            let (revision, left_behind) = match store.get(*partition, REVISION_KEY)? {
                Some(record) => stored::decode(&record)?,
                None => (0, false),
            };
            self.revisions.insert(*partition, revision);
            if left_behind {
                self.left_behind = true;
                self.backlog.sweep(*partition);
            }
        }
        Ok(())
    }

    fn learn(&mut self, input: &Input<'_>, decided: bool) -> Result<(), Poison> {
        if !decided {
            self.end_replay();
        }
        self.links_offset = input.offset + 1;
        let Some(value) = input.value else {
            return Ok(());
        };
        let (workspace, nodes) = match framing::decode::<Link<'_>>(value) {
            Ok(link) => {
                let ends = links::observe(self.workspaces.graph(link.workspace), &link)?;
                (link.workspace, ends.to_vec())
            }
            Err(error) => match word::read(value, &error)? {
                (workspace, Said::Word(word)) => {
                    (workspace, word.tell(self.workspaces.graph(workspace)))
                }
                (workspace, Said::Rules(rules)) => {
                    if let Err(broken) = self.workspaces.hear(workspace, *rules) {
                        self.broken = Some(broken);
                    }
                    self.workspaces.obey();
                    self.unsure_of_rules |= !decided && !self.started;
                    (workspace, Vec::new())
                }
            },
        };
        if !decided {
            self.learned = true;
            if !self.started {
                self.unsure.push((workspace.to_owned(), nodes));
            }
        }
        Ok(())
    }

    fn begin_snapshot(&mut self) -> bool {
        self.opening = self.workspaces.begin_snapshot();
        self.opening.is_some()
    }

    fn snapshot_part(&mut self, size: usize, part: &mut Vec<u8>) -> bool {
        if let Some(openings) = self.opening.take() {
            snapshot::head(&openings, part);
            return false;
        }
        self.workspaces.snapshot_part(size, part)
    }

    fn end_snapshot(&mut self) {
        self.opening = None;
        self.workspaces.end_snapshot();
    }

    fn restore(&mut self, part: Option<&[u8]>) -> Result<(), Broken> {
        match (&mut self.reopening, part) {
            (None, Some(head)) => self.reopening = Some(snapshot::reopen(head)?),
            (Some(workspaces), Some(part)) => snapshot::take(workspaces, part)?,
            (reopening, None) => self
                .workspaces
                .restore(reopening.take().unwrap_or_default())?,
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Broken> {
        self.end_replay();
        self.workspaces.unpublished().map(drop)
    }

    fn take(&mut self, input: &Input<'_>, store: &dyn Store) -> Result<(), Poison> {
        let Some(value) = input.value else {
            return Ok(());
        };
        let reading = Reading::of(value)?;
        let touchpoint = &reading.touchpoint;
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        keys::append_timeline(
            touchpoint.workspace,
            touchpoint.timeline_type,
            touchpoint.timeline_value,
            &mut key,
        );
        match self.file(&key, input.partition, value, &reading, store) {
            Ok(Known::New) => {
                self.counts.stored += 1;
                let is_late = self.watermarks.see(input.partition, touchpoint.occurred_at);
                self.counts.late += u64::from(is_late);
                let mut repeated = reading.repeated_types().peekable();
                if repeated.peek().is_some() {
                    // Of two persons of one type it is a guess which of them acted.
                    let types = &self.workspaces.graph(touchpoint.workspace).rules().types;
                    self.counts.ambiguous +=
                        u64::from(repeated.any(|r#type| types.is_person(r#type)));
                }
            }
            Ok(Known::Duplicate) => self.counts.duplicates += 1,
            Ok(Known::Conflict) => self.counts.conflicts += 1,
            Err(broken) => self.broken = Some(broken),
        }
        self.key = key;
        Ok(())
    }

    fn idle(&mut self, partition: i32, now: Timestamp) {
        self.watermarks.idle(partition, now);
    }

    fn watermark(&self, partition: i32) -> Option<Timestamp> {
        self.watermarks.of(partition)
    }

    fn due(&self, _now: Timestamp) -> bool {
        self.learned || !self.started || self.is_held()
    }

    fn flush(&mut self, now: Timestamp, outputs: &mut dyn Outputs) -> Result<bool, Broken> {
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        self.end_replay();
        self.learned = false;
        self.flushes += 1;
        // One revision for the whole flush, above any that these partitions have used: a key has one writing partition.
        let revision = self.revisions.values().copied().max().unwrap_or(0) + 1;
        let mut encoders = std::mem::take(&mut self.encoders);
        let mut sending = Sending {
            outputs,
            encoders: &mut encoders,
            revision,
            rules_version: 0,
            links_offset: self.links_offset,
        };
        let result = self.send_all(now, &mut sending);
        self.encoders = encoders;
        result?;
        self.evict();
        (self.report)(&self.counts);
        Ok(self.is_held())
    }
}

impl Observe {
    fn send_all(&mut self, now: Timestamp, sending: &mut Sending<'_>) -> Result<(), Broken> {
        self.counts.links += self.observed.tell(&mut self.workspaces, sending)? as u64;
        for key in &self.touched {
            if let Some(timeline) = self.timelines.get_mut(key) {
                timeline.intern(self.workspaces.graph(&timeline.header.workspace));
            }
        }
        let is_first = !std::mem::replace(&mut self.started, true);
        // What is compared at a start is compared with all that follows from the log.
        let links = if is_first { usize::MAX } else { self.links };
        let mut changes = self.workspaces.settle_within(links);
        if is_first {
            self.compare_unsure(&mut changes);
            for (workspace, rules) in self.workspaces.unpublished()? {
                rules::written(&rules, &workspace, now, |record| sending.rules(record))?;
            }
        }
        if self.workspaces.take_rules_changed() {
            self.sweep();
        }
        // Which identifiers are persons' is told with each of them.
        self.left_behind |= self.workspaces.take_kinds_changed();
        if std::mem::take(&mut self.left_behind) {
            changes.extend(self.workspaces.everything());
        }
        for (workspace, changes) in changes {
            self.counts.moved += changes.moved as u64;
            self.backlog.add(&workspace, changes);
        }
        let told = self.take_slice(&*sending.outputs)?;
        self.dimensions
            .end_telling_again(|partition| self.backlog.is_swept(partition));
        self.dimensions.tell(sending)?;
        for key in std::mem::take(&mut self.touched) {
            let Some(timeline) = self.timelines.get_mut(&key) else {
                continue;
            };
            timeline.touched = false;
            let graph = self.workspaces.graph(&timeline.header.workspace);
            timeline.intern(graph);
            timeline.used = self.flushes;
            sending.rules_version = graph.rules().version;
            deciding::settle(&key, timeline, graph, &self.goals, &self.waiting, sending)?;
            timeline.save(&key, sending)?;
        }
        self.retold.tell(
            &self.goals,
            |partition| self.backlog.is_swept(partition),
            sending,
        )?;
        self.waiting.clear();
        let partitions = sending.outputs.partitions("touchpoints");
        for (workspace, piece) in told {
            let graph = self.workspaces.graph(&workspace);
            sending.rules_version = graph.rules().version;
            let filed = |node: NodeId| {
                let identifier = graph.identifier(node);
                let key = keys::timeline(&workspace, identifier.r#type.name(), &identifier.value);
                keys::partition(&key, partitions)
            };
            match piece {
                Piece::Identifier(node, _) => {
                    identities::tell(graph, &workspace, node, (&[], None), filed(node), sending)?;
                }
                Piece::Refusal(link) => {
                    let partition = filed(graph.ends(link).0);
                    self.counts.refusals +=
                        identities::tell_refusal(graph, &workspace, link, partition, sending)?;
                }
            }
        }
        let is_held = self.is_held();
        for (partition, revision) in &mut self.revisions {
            *revision = sending.revision;
            let record = (sending.revision, is_held);
            sending.put(*partition, REVISION_KEY, Some(&record))?;
        }
        self.counts.identifiers = self.workspaces.size().0 as u64;
        Ok(())
    }

    /// Adds all that what was last sent may say otherwise, though nothing that was learned since changes it.
    fn compare_unsure(&mut self, changes: &mut Vec<(String, Changes)>) {
        let mut unsure: BTreeMap<String, BTreeSet<NodeId>> = BTreeMap::new();
        for (workspace, nodes) in std::mem::take(&mut self.unsure) {
            unsure.entry(workspace).or_default().extend(nodes);
        }
        let mut around = Vec::new();
        for (workspace, nodes) in unsure {
            let nodes: Vec<NodeId> = nodes.into_iter().collect();
            let settled = changes.iter().find(|(name, _)| *name == workspace);
            let changed = settled.map_or(&[][..], |(_, changes)| &changes.identifiers);
            let surroundings = self
                .workspaces
                .graph(&workspace)
                .surroundings(&nodes, changed);
            around.push((workspace, surroundings));
        }
        changes.extend(around);
        // Under which rules it was decided is not known: all of it is compared.
        if self.unsure_of_rules || self.is_unruled {
            self.left_behind = true;
            self.sweep();
        }
    }

    /// Whether something that follows from what was taken in is still to be sent.
    fn is_held(&self) -> bool {
        !self.backlog.is_empty() || !self.workspaces.is_settled()
    }
}
