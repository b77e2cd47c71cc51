use tributary_contracts::wire::{
    Atom, AtomBody, ChannelActivity, Contribution, IdentifierAtom, MinuteRun, OrderAtom, Profile,
    SessionAtom, Trait,
};
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::money::Amount;
use tributary_core::profile::Rule;

use super::*;
use crate::runtime::memory::MemoryOutputs;
use crate::runtime::stage::Stage as _;

struct Fixture {
    stage: Stage,
    outputs: MemoryOutputs,
}

impl Fixture {
    fn new(goals: &[&str]) -> Self {
        let mut fixture = Self {
            stage: stage(goals),
            outputs: MemoryOutputs::default(),
        };
        fixture.restart(goals);
        fixture
    }

    fn restart(&mut self, goals: &[&str]) {
        self.stage = stage(goals);
        self.stage.assigned(&[0], &self.outputs).expect("assigned");
    }

    fn take(&mut self, atom_id: &str, body: Option<AtomBody<'_>>) {
        let atom = Atom {
            workspace: "default",
            profile_id: ann(),
            atom_id,
            revision: 1,
            body,
        };
        let message = framing::encode(&atom).expect("encodes");
        self.refusable(Some(&message)).expect("taken");
    }

    fn refusable(&mut self, value: Option<&[u8]>) -> Result<(), Poison> {
        self.stage.take(
            &Input {
                partition: 0,
                offset: 0,
                key: b"",
                value,
            },
            &self.outputs,
        )
    }

    fn flush(&mut self) {
        assert!(
            !self
                .stage
                .flush(Timestamp(0), &mut self.outputs)
                .expect("flushed")
        );
    }

    /// The record of the profile since the last call: revision, gone, orders, traits.
    fn profile(&self) -> Option<(i64, bool, i64, String)> {
        let sent = self
            .outputs
            .sent
            .iter()
            .rev()
            .find(|sent| sent.topic == "profiles")?;
        let profile: Profile<'_> = framing::decode(&sent.value).expect("decodes");
        Some((
            profile.revision,
            profile.gone,
            profile.orders,
            profile.traits.to_owned(),
        ))
    }

    /// All contributions by key, window and mark, none of them nothing.
    fn sums(&self) -> BTreeMap<(String, i32, i64), (i64, i64)> {
        let mut sums = BTreeMap::<_, (i64, i64)>::new();
        for sent in &self.outputs.sent {
            if sent.topic != "contributions" {
                continue;
            }
            let contribution: Contribution<'_> = framing::decode(&sent.value).expect("decodes");
            let key = format!(
                "{} {} {} {}",
                contribution.kpi,
                contribution.currency,
                contribution.dimension,
                contribution.dimension_value
            );
            for change in contribution.changes {
                let sum = sums
                    .entry((key.clone(), change.window, change.mark))
                    .or_default();
                *sum = (sum.0 + change.numerator, sum.1 + change.denominator);
            }
        }
        sums.retain(|_, sum| *sum != (0, 0));
        sums
    }

    /// All contributions since the last call to a KPI and value, summed.
    fn sum(&self, kpi: &str, value: &str) -> (i64, i64) {
        let mut sum = (0, 0);
        for sent in self
            .outputs
            .sent
            .iter()
            .filter(|sent| sent.topic == "contributions")
        {
            let contribution: Contribution<'_> = framing::decode(&sent.value).expect("decodes");
            if contribution.kpi == kpi && contribution.dimension_value == value {
                sum.0 += contribution
                    .changes
                    .iter()
                    .map(|change| change.numerator)
                    .sum::<i64>();
                sum.1 += contribution
                    .changes
                    .iter()
                    .map(|change| change.denominator)
                    .sum::<i64>();
            }
        }
        sum
    }
}

fn stage(goals: &[&str]) -> Stage {
    Stage::new(Options {
        slice: Options::SLICE,
        cached_profiles: 1_000,
        goals: goals.iter().map(|goal| (*goal).to_owned()).collect(),
        customer_days: 365,
        qualifying: BTreeMap::new(),
        prefetched_opens: true,
        traits: TraitRules::default(),
        attitudes: (6, 9),
        dimensions: Dimension::ALL.into(),
        currencies: BTreeMap::new(),
    })
}

fn ann() -> ProfileId {
    ProfileId::of("default", &Identifier::new(IdentifierType::USER_ID, "ann"))
}

fn order<'a>() -> AtomBody<'a> {
    AtomBody::OrderAtom(OrderAtom {
        ordered_at: Timestamp(60_000),
        currency: "EUR",
        total: Amount::from_units(3),
        margin: None,
        channel: "store",
        traffic_source: "",
        campaign: "",
        store: "",
        device_type: "",
        message_id: "m",
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        products: Vec::new(),
    })
}

fn session<'a>(goals: &[&'a str], length: i64) -> AtomBody<'a> {
    AtomBody::SessionAtom(SessionAtom {
        timeline_type: "anonymous_id",
        timeline_value: "c1",
        started_at: Timestamp(60_000),
        ended_at: Timestamp(90_000),
        touchpoints: 2,
        views: 1,
        channel: "web",
        traffic_source: "direct",
        campaign: "",
        store: "",
        device_type: "",
        source: "site",
        goals: goals.iter().map(|goal| (*goal, 2)).collect(),
        activity: vec![ChannelActivity {
            channel: "web",
            store: "",
            device_type: "",
            minutes: vec![MinuteRun { first: 1, length }],
            goals: Vec::new(),
        }],
        traits: vec![Trait {
            name: "a \"b\"",
            value: "[1]",
            occurred_at: Timestamp(60_000),
            message_id: "m1",
            source: "site",
            times: 1,
            first_at: None,
            first_message_id: "",
        }],
        moments: Vec::new(),
        consents: Vec::new(),
        groups: Vec::new(),
    })
}

#[test]
fn a_profile_goes_with_its_last_atom_and_goes_on_counting_when_it_comes_again() {
    let mut fixture = Fixture::new(&[]);
    fixture.take("o1", Some(order()));
    fixture.flush();
    assert_eq!(fixture.profile(), Some((1, false, 1, "{}".into())));
    fixture.restart(&[]);
    fixture.take("o1", None);
    fixture.flush();
    assert_eq!(fixture.profile(), Some((2, true, 0, "{}".into())));
    fixture.restart(&[]);
    fixture.take("o2", Some(order()));
    fixture.take("s1", Some(session(&[], 1)));
    fixture.flush();
    assert_eq!(
        fixture.profile(),
        Some((3, false, 1, r#"{"a \"b\"":[1]}"#.into()))
    );
    assert_eq!(
        fixture.sum("orders", ""),
        (1_000_000, 0),
        "once in all, whatever went and came"
    );
}

#[test]
fn an_atom_that_says_nothing_new_is_not_sent_on() {
    let mut fixture = Fixture::new(&[]);
    fixture.take("s1", Some(session(&[], 1)));
    fixture.flush();
    fixture.outputs.take_sent();
    fixture.take("s1", Some(session(&[], 1)));
    fixture.take("of another profile before", None);
    fixture.flush();
    assert!(fixture.outputs.sent.is_empty());
}

#[test]
fn goals_that_are_configured_later_count_for_sessions_of_before() {
    let mut fixture = Fixture::new(&["signup"]);
    fixture.flush();
    fixture.take("s1", Some(session(&["signup", "lead"], 1)));
    fixture.flush();
    fixture.restart(&["lead"]);
    assert!(fixture.stage.due(Timestamp(0)));
    fixture.flush();
    assert!(!fixture.stage.due(Timestamp(0)));
    assert_eq!(fixture.sum("conversion_rate", "signup"), (0, 0));
    assert_eq!(fixture.sum("conversion_rate", "lead"), (1_000_000, 1));
    fixture.restart(&["lead"]);
    assert!(!fixture.stage.due(Timestamp(0)), "only once");
}

#[test]
fn other_definitions_and_new_kpis_count_for_all_the_past() {
    let fill = |fixture: &mut Fixture| {
        fixture.take("o1", Some(order()));
        fixture.take("s1", Some(session(&["signup", "lead"], 3)));
        fixture.take(
            "i1",
            Some(AtomBody::IdentifierAtom(IdentifierAtom {
                r#type: "email",
                value: "a@b",
                person: Some(true),
            })),
        );
        fixture.flush();
    };
    let mut fresh = Fixture::new(&["lead"]);
    fresh.flush();
    fill(&mut fresh);

    let mut grown = Fixture::new(&["signup"]);
    grown.flush();
    fill(&mut grown);
    grown.stage = stage(&["signup"]);
    grown.stage.definitions.customer_days = 7;
    grown.stage.definitions.high_attitude = 8;
    grown.stage.definitions.uncounted = vec![Dimension::Channel, Dimension::Goal];
    grown
        .stage
        .assigned(&[0], &grown.outputs)
        .expect("assigned");
    grown.flush();
    grown.restart(&["lead"]);
    grown.flush();
    assert_eq!(grown.sums(), fresh.sums());

    // A store that a version without KPIs has written: it says nothing of what it contributed to.
    let mut older = Fixture::new(&["lead"]);
    older.flush();
    fill(&mut older);
    older.outputs.take_sent();
    older
        .outputs
        .put(0, b"g", None)
        .expect("taken out of the store");
    older.restart(&["lead"]);
    older.flush();
    assert_eq!(older.sums(), fresh.sums());
}

#[test]
fn other_rules_of_traits_count_for_all_the_past() {
    let mut fixture = Fixture::new(&[]);
    fixture.flush();
    fixture.take("s1", Some(session(&[], 1)));
    fixture.flush();
    fixture.outputs.take_sent();
    fixture.stage = stage(&[]);
    let rule = ("a \"b\"".to_owned(), Rule::Union);
    fixture
        .stage
        .definitions
        .traits
        .rules
        .insert(rule.0, rule.1);
    fixture
        .stage
        .assigned(&[0], &fixture.outputs)
        .expect("assigned");
    assert!(fixture.stage.due(Timestamp(0)));
    fixture.flush();
    assert_eq!(
        fixture.profile(),
        Some((2, false, 0, r#"{"a \"b\"":[1]}"#.into())),
        "told again"
    );
    assert!(fixture.sums().is_empty(), "and no KPI changed");
}

#[test]
fn what_cannot_be_an_atom_is_refused_by_itself() {
    let mut fixture = Fixture::new(&[]);
    assert!(fixture.refusable(None).is_err());
    assert!(fixture.refusable(Some(b"junk")).is_err());
    let atom = |body| Atom {
        workspace: "default",
        profile_id: ann(),
        atom_id: "s1",
        revision: 1,
        body: Some(body),
    };
    let endless = framing::encode(&atom(session(&[], i64::MAX))).expect("encodes");
    assert_eq!(
        fixture
            .refusable(Some(&endless))
            .expect_err("refused")
            .detail,
        "activity of the atom is out of range"
    );
    let early = OrderAtom {
        ordered_at: Timestamp(-1),
        ..match order() {
            AtomBody::OrderAtom(order) => order,
            _ => unreachable!(),
        }
    };
    let early = framing::encode(&atom(AtomBody::OrderAtom(early))).expect("encodes");
    assert!(fixture.refusable(Some(&early)).is_err());
    fixture.take(
        "i1",
        Some(AtomBody::IdentifierAtom(IdentifierAtom {
            r#type: "email",
            value: "a@b",
            person: Some(true),
        })),
    );
    fixture.flush();
    assert!(fixture.profile().is_some(), "the next one is taken");
}

#[test]
fn an_event_costs_the_same_however_many_sessions_the_profile_holds() {
    let changes = |sessions: usize| {
        let mut fixture = Fixture::new(&[]);
        for number in 0..sessions {
            fixture.take(
                &format!("s{number}"),
                Some(session(&[], 1 + number as i64 % 7)),
            );
        }
        fixture.flush();
        fixture.outputs.take_sent();
        fixture.take("o1", Some(order()));
        let scans = fixture.outputs.stored.len();
        fixture.outputs.stored.clear();
        fixture.flush();
        assert_eq!(scans, 1);
        // Nothing was read back: the profile is hot, and only the atom and the profile's own record were written.
        assert_eq!(fixture.outputs.stored[&0].len(), 2);
        fixture.outputs.sent.len()
    };
    assert_eq!(changes(1), changes(300));
}
