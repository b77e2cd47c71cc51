//! One graph a workspace, under the newest rules of the links log.

use std::collections::BTreeMap;

use tributary_core::identity::{Changes, Graph, Rules};

use super::snapshot::{self, Opening, Reopening};
use crate::runtime::stage::Broken;

/// The workspaces that were seen.
#[derive(Debug)]
pub(super) struct Workspaces {
    configured: BTreeMap<String, Rules>,
    all: BTreeMap<String, Workspace>,
    rules_changed: bool,
    /// Among the changes was what a type of identifiers names.
    kinds_changed: bool,
}

#[derive(Debug)]
struct Workspace {
    graph: Graph,
    /// All versions of its rules that count, the newest last.
    versions: Vec<Rules>,
    /// What this process has published, until the log brings it back.
    published: Option<Rules>,
}

impl Workspace {
    fn new(name: &str, rules: Rules) -> Self {
        Self {
            graph: Graph::new(name, rules),
            versions: Vec::new(),
            published: None,
        }
    }
}

impl Workspaces {
    pub(super) fn new(configured: BTreeMap<String, Rules>) -> Self {
        Self {
            configured,
            all: BTreeMap::new(),
            rules_changed: false,
            kinds_changed: false,
        }
    }

    /// The workspace's graph, made where it is new.
    pub(super) fn graph(&mut self, workspace: &str) -> &mut Graph {
        &mut self.workspace(workspace).graph
    }

    /// The workspace's graph alone.
    pub(super) fn into_graph(mut self, workspace: &str) -> Graph {
        self.workspace(workspace);
        let known = self.all.remove(workspace);
        known.expect("it was made where it was missing").graph
    }

    /// Until the log has rules of it, a workspace is under those that are configured, and without any under the default.
    fn workspace(&mut self, name: &str) -> &mut Workspace {
        if !self.all.contains_key(name) {
            let rules = self.configured.get(name).cloned().unwrap_or_default();
            self.all
                .insert(name.to_owned(), Workspace::new(name, rules));
        }
        self.all
            .get_mut(name)
            .expect("it was made where it was missing")
    }

    /// Notes rules that the log brings, if they are the newest. Of two with one number the first counts.
    ///
    /// # Errors
    /// When another process published that version first: a restart publishes ours as the next.
    pub(super) fn hear(&mut self, workspace: &str, rules: Rules) -> Result<(), Broken> {
        let known = self.workspace(workspace);
        let newest = known.versions.last().map_or(0, |newest| newest.version);
        if rules.version <= newest {
            return Ok(());
        }
        let overtaken = known
            .published
            .take_if(|published| published.version == rules.version)
            .is_some_and(|published| !published.say_the_same(&rules));
        known.versions.push(rules);
        if overtaken {
            return Err(Broken(format!(
                "the rules of workspace {workspace}: another processor published other ones at the same time"
            )));
        }
        Ok(())
    }

    /// From now on the newest rules that were heard are in force.
    pub(super) fn obey(&mut self) {
        for workspace in self.all.values_mut() {
            if let Some(newest) = workspace.versions.last()
                && workspace.graph.rules() != newest
            {
                let before = workspace.graph.rules();
                self.rules_changed |= !before.say_the_same(newest);
                self.kinds_changed |= !before.types.name_the_same(&newest.types);
                workspace.graph.obey(newest.clone());
            }
        }
    }

    /// The rules that are to be published, for which workspace: those that are configured and have never been in force.
    ///
    /// # Errors
    /// When the configured rules were in force once, and others are now: this process is an old one.
    pub(super) fn unpublished(&mut self) -> Result<Vec<(String, Rules)>, Broken> {
        let mut unpublished = Vec::new();
        for (name, configured) in self.configured.clone() {
            let workspace = self.workspace(&name);
            let (newest, number) = match workspace.versions.last() {
                Some(newest) => (Some(newest), newest.version),
                None => (None, 0),
            };
            if newest.is_some_and(|newest| newest.say_the_same(&configured)) {
                continue;
            }
            let stated = configured.version;
            let next = number + 1;
            if stated != 0 && stated != next {
                return Err(Broken(format!(
                    "identity.version = {stated} of workspace {name}: version {number} is in force and says something else; \
                     state {next} to publish these rules, or start with those in force"
                )));
            }
            let earlier = workspace
                .versions
                .iter()
                .rfind(|version| version.say_the_same(&configured));
            if let Some(earlier) = earlier.filter(|_| stated == 0) {
                return Err(Broken(format!(
                    "the rules of identity of workspace {name} are configured as in version {}, and version {number} is in \
                     force: start with the newer configuration, or state identity.version = {next} to go back",
                    earlier.version
                )));
            }
            let rules = Rules {
                version: next,
                ..configured
            };
            workspace.published = Some(rules.clone());
            unpublished.push((name, rules));
        }
        Ok(unpublished)
    }

    /// The configured workspaces.
    pub(super) fn configured(&self) -> impl Iterator<Item = &String> {
        self.configured.keys()
    }

    /// Those of them that the log has no rules of yet.
    pub(super) fn unruled(&self) -> Vec<String> {
        let has_rules =
            |name: &String| (self.all.get(name)).is_some_and(|known| !known.versions.is_empty());
        self.configured()
            .filter(|name| !has_rules(name))
            .cloned()
            .collect()
    }

    /// Whether a workspace came under other rules since the last call.
    pub(super) fn take_rules_changed(&mut self) -> bool {
        std::mem::take(&mut self.rules_changed)
    }

    /// Whether some type names persons now that named devices, or the other way round; asked once.
    pub(super) fn take_kinds_changed(&mut self) -> bool {
        std::mem::take(&mut self.kinds_changed)
    }

    /// All that the graphs know, as if it had changed.
    pub(super) fn everything(&self) -> Vec<(String, Changes)> {
        let all = |graph: &Graph| Changes {
            identifiers: graph.all_nodes().collect(),
            refusals: graph.all_links().collect(),
            ..Changes::default()
        };
        self.all
            .iter()
            .map(|(name, workspace)| (name.clone(), all(&workspace.graph)))
            .collect()
    }

    /// Settles all graphs; returns what changed in each.
    pub(super) fn settle(&mut self) -> Vec<(String, Changes)> {
        self.settle_within(usize::MAX)
    }

    /// Settles all graphs, and goes on with components for which more than so many links would have to be looked at: with
    /// as many in each graph. Returns what changed in each.
    pub(super) fn settle_within(&mut self, links: usize) -> Vec<(String, Changes)> {
        let settle = |graph: &mut Graph| {
            if links == usize::MAX {
                return graph.settle();
            }
            let mut changes = graph.settle_within(links);
            changes.add(graph.work(links));
            changes
        };
        self.all
            .iter_mut()
            .map(|(name, workspace)| (name.clone(), settle(&mut workspace.graph)))
            .collect()
    }

    /// Whether nothing is left to settle.
    pub(super) fn is_settled(&self) -> bool {
        (self.all.values()).all(|workspace| workspace.graph.is_settled())
    }

    /// Begins a snapshot of all graphs; returns its head. None while something is to be settled, or a workspace is not
    /// under rules of the log.
    pub(super) fn begin_snapshot(&mut self) -> Option<Vec<Opening>> {
        let mut openings = Vec::new();
        for (name, workspace) in &mut self.all {
            let is_ruled = workspace.versions.last() == Some(workspace.graph.rules());
            let head = workspace.graph.begin_snapshot().filter(|_| is_ruled);
            let opening = head.and_then(|head| Opening::new(name, &workspace.versions, head));
            let Some(opening) = opening else {
                self.end_snapshot();
                return None;
            };
            openings.push(opening);
        }
        Some(openings)
    }

    /// Appends a part of it; true once nothing is left to come.
    pub(super) fn snapshot_part(&mut self, size: usize, part: &mut Vec<u8>) -> bool {
        let graphs = self.all.values_mut().map(|workspace| &mut workspace.graph);
        snapshot::part(graphs, size, part)
    }

    /// There will be no further part.
    pub(super) fn end_snapshot(&mut self) {
        for workspace in self.all.values_mut() {
            workspace.graph.end_snapshot();
        }
    }

    /// Takes in the workspaces of a snapshot, instead of all that the log says up to there.
    ///
    /// # Errors
    /// When parts are missing.
    pub(super) fn restore(&mut self, reopened: Vec<Reopening>) -> Result<(), Broken> {
        for reopening in reopened {
            let (name, versions, graph) = reopening.finish()?;
            let workspace = Workspace {
                graph,
                versions,
                published: None,
            };
            self.all.insert(name, workspace);
        }
        Ok(())
    }

    /// Identifiers and links, over all workspaces.
    pub(super) fn size(&self) -> (usize, usize) {
        self.all
            .values()
            .fold((0, 0), |(identifiers, links), workspace| {
                let graph = &workspace.graph;
                (identifiers + graph.identifiers(), links + graph.links())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(version: i64, hub_above: u32) -> Rules {
        Rules {
            version,
            hub_above,
            ..Rules::default()
        }
    }

    /// What a process does that is configured with `configured` and finds `log`.
    fn start(configured: Rules, log: &[Rules]) -> Result<Option<i64>, String> {
        let mut workspaces = Workspaces::new(BTreeMap::from([("shop".to_owned(), configured)]));
        for rules in log {
            workspaces
                .hear("shop", rules.clone())
                .map_err(|broken| broken.0)?;
        }
        let unpublished = workspaces.unpublished().map_err(|broken| broken.0)?;
        Ok(unpublished.first().map(|(_, rules)| rules.version))
    }

    #[test]
    fn new_rules_are_published_under_the_next_number_and_those_in_force_are_not() {
        assert_eq!(start(rules(0, 5), &[]), Ok(Some(1)));
        assert_eq!(start(rules(0, 5), &[rules(1, 5)]), Ok(None));
        assert_eq!(start(rules(0, 6), &[rules(1, 5)]), Ok(Some(2)));
        assert_eq!(start(rules(2, 6), &[rules(1, 5)]), Ok(Some(2)));
    }

    #[test]
    fn an_older_configuration_is_refused_unless_it_states_the_next_number() {
        let log = [rules(1, 5), rules(2, 6)];
        let refused = start(rules(0, 5), &log).expect_err("an older one");
        assert!(refused.contains("identity.version = 3"), "{refused}");
        assert_eq!(start(rules(3, 5), &log), Ok(Some(3)));
        let refused = start(rules(2, 5), &log).expect_err("the number is taken");
        assert!(refused.contains("state 3"), "{refused}");
        // The number that is in force, and what it says.
        assert_eq!(start(rules(2, 6), &log), Ok(None));
    }

    #[test]
    fn of_two_with_one_number_the_first_counts_and_who_was_overtaken_starts_again() {
        let mut workspaces = Workspaces::new(BTreeMap::from([("shop".to_owned(), rules(0, 5))]));
        assert_eq!(workspaces.unpublished().map(|all| all.len()).ok(), Some(1));
        assert!(workspaces.hear("shop", rules(1, 7)).is_err());
        assert!(workspaces.hear("shop", rules(1, 5)).is_ok());
        assert_eq!(workspaces.graph("shop").rules().hub_above, 5);
        workspaces.obey();
        assert!(workspaces.take_rules_changed());
        assert_eq!(workspaces.graph("shop").rules().hub_above, 7);
        assert_eq!(
            workspaces.unpublished().map(|all| all[0].1.version).ok(),
            Some(2)
        );
    }
}
