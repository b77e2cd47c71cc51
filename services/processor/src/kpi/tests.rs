use std::collections::BTreeMap;

use tributary_contracts::framing;
use tributary_contracts::wire::{Alert, KpiBlock};
use tributary_core::kpi::Dimension;
use tributary_core::time::{DAY, HOUR, MINUTE, SECOND};

use super::stored::BLOCK;
use super::turn::BLOCKS_PER_TURN;
use super::*;
use crate::runtime::memory::MemoryOutputs;
use crate::runtime::stage::Stage as _;

const YEARS: i64 = 365 * DAY;
/// A UTC midnight.
const START: i64 = 20_000 * DAY;

struct Fixture {
    stage: Stage,
    outputs: MemoryOutputs,
    keep: i64,
}

impl Fixture {
    fn new(keep: i64) -> Self {
        let mut fixture = Self {
            stage: stage(keep),
            outputs: MemoryOutputs::default(),
            keep,
        };
        fixture.restart();
        fixture
    }

    fn restart(&mut self) {
        self.stage = stage(self.keep);
        self.stage.assigned(&[0], &self.outputs).expect("assigned");
    }

    fn take(&mut self, kpi: &str, changes: Vec<Change>) -> Result<(), Poison> {
        self.take_by(kpi, ("", ""), changes)
    }

    fn take_by(
        &mut self,
        kpi: &str,
        (dimension, dimension_value): (&str, &str),
        changes: Vec<Change>,
    ) -> Result<(), Poison> {
        let message = Contribution {
            workspace: "default",
            kpi,
            currency: "",
            dimension,
            dimension_value,
            changes,
        };
        let message = framing::encode(&message).expect("encodes");
        self.stage.take(
            &Input {
                partition: 0,
                offset: 0,
                key: b"",
                value: Some(&message),
            },
            &self.outputs,
        )
    }

    fn orders(&mut self, time: i64, number: i64) {
        let minute = tributary_core::kpi::minute_of(Timestamp(time));
        let change = Change {
            window: 0,
            mark: minute,
            numerator: number * 1_000_000,
            denominator: 0,
        };
        self.take("orders", vec![change]).expect("taken");
    }

    fn negative_mentions(&mut self, time: i64, number: i64) {
        self.mentions("negative", time, number);
    }

    fn mentions(&mut self, sentiment: &str, time: i64, number: i64) {
        let change = Change {
            window: 0,
            mark: tributary_core::kpi::minute_of(Timestamp(time)),
            numerator: number * 1_000_000,
            denominator: 0,
        };
        self.take_by("mentions", ("sentiment", sentiment), vec![change])
            .expect("taken");
    }

    /// The alerts that were sent since the last time: when raised, when cleared, by how many mentions.
    fn alerts(&mut self) -> Vec<(i64, Option<i64>, i64)> {
        let sent = self.outputs.take_sent();
        let alerts = sent.iter().filter(|sent| sent.topic == "alerts");
        alerts
            .map(|sent| {
                let alert: Alert<'_> = framing::decode(&sent.value).expect("an alert");
                let value = (alert.value.millionths() / 1_000_000) as i64;
                (alert.raised_at.0, alert.cleared_at.map(|at| at.0), value)
            })
            .collect()
    }

    fn flush(&mut self, now: i64) -> bool {
        self.stage
            .flush(Timestamp(now), &mut self.outputs)
            .expect("flushed")
    }

    /// Flushes until nothing is held back.
    fn settle(&mut self, mut now: i64) -> i64 {
        while self.flush(now) {
            now += SECOND;
        }
        now
    }

    /// Published numbers in that window, by mark.
    fn values(&self, window: Window) -> BTreeMap<i64, i64> {
        let mut values = BTreeMap::new();
        for message in self.outputs.compacted().values() {
            let block: KpiBlock<'_> = framing::decode(message).expect("decodes");
            if block.window == window.name() {
                for (mark, numerator) in block.marks.iter().zip(&block.numerators) {
                    let time = block.block_start.0 + i64::from(*mark) * block.step_ms;
                    values.insert(
                        time / window.step(),
                        (numerator.millionths() / 1_000_000) as i64,
                    );
                }
            }
        }
        values
    }

    fn marks(&self, window: Window) -> usize {
        self.values(window).len()
    }
}

fn stage(keep: i64) -> Stage {
    let options = Options {
        keep: [keep; 6],
        cached_differences: 1_000,
        limits: Limits::new(1_000, &BTreeMap::new(), &Dimension::ALL),
    };
    Stage::new(options, std::sync::Arc::new(|_| {}))
}

#[test]
fn a_value_appears_when_the_clock_passes_its_mark_and_ends_with_its_window() {
    let mut fixture = Fixture::new(YEARS);
    fixture.orders(START + 30 * SECOND, 1);
    assert!(
        !fixture.flush(START + 40 * SECOND),
        "nothing is held back for marks to come"
    );
    assert_eq!(fixture.marks(Window::Hour), 0);
    assert!(!fixture.stage.due(Timestamp(START + 59 * SECOND)));
    let first = START + MINUTE;
    assert!(fixture.stage.due(Timestamp(first)), "a mark has passed");
    fixture.settle(first);
    assert_eq!(fixture.values(Window::Hour), [(first / MINUTE, 1)].into());
    assert!(
        !fixture.stage.due(Timestamp(first + 2 * SECOND)),
        "until the next mark"
    );
    fixture.settle(START + 3 * HOUR);
    let marks: Vec<i64> = (first / MINUTE..first / MINUTE + 60).collect();
    assert_eq!(
        fixture.values(Window::Hour).into_keys().collect::<Vec<_>>(),
        marks
    );
    assert_eq!(fixture.marks(Window::Day), 12);
    let mut now = START + 3 * HOUR;
    while now < START + 26 * HOUR {
        now += 15 * MINUTE;
        fixture.settle(now);
    }
    assert_eq!(
        (fixture.marks(Window::Hour), fixture.marks(Window::Day)),
        (60, 96)
    );
}

#[test]
fn a_series_is_published_once_a_second_at_most_and_says_what_it_holds_back() {
    let mut fixture = Fixture::new(YEARS);
    fixture.orders(START, 1);
    assert!(!fixture.flush(START + MINUTE));
    fixture.outputs.take_sent();
    for millis in [100, 200, 300] {
        fixture.orders(START, 1);
        assert!(fixture.flush(START + MINUTE + millis), "held back");
        assert!(!fixture.stage.due(Timestamp(START + MINUTE + millis + 100)));
    }
    assert!(fixture.outputs.sent.is_empty(), "within the second");
    assert!(fixture.stage.due(Timestamp(START + MINUTE + SECOND)));
    assert!(!fixture.flush(START + MINUTE + SECOND));
    assert_eq!(fixture.values(Window::Hour).values().next(), Some(&4));
}

#[test]
fn what_is_taken_back_is_published_as_nothing_once_and_can_come_again() {
    let mut fixture = Fixture::new(YEARS);
    fixture.orders(START, 1);
    let now = fixture.settle(START + MINUTE);
    fixture.orders(START, -1);
    let now = fixture.settle(now + SECOND);
    assert_eq!(fixture.marks(Window::Hour) + fixture.marks(Window::Day), 0);
    assert!(
        fixture.outputs.stored[&0]
            .keys()
            .all(|key| key[0] == CLOCK[0]),
        "nothing is left but the clock"
    );
    let sent = fixture.outputs.sent.len();
    fixture.settle(now + 2 * MINUTE);
    assert_eq!(fixture.outputs.sent.len(), sent, "nothing more to say");
    fixture.orders(START, 1);
    fixture.settle(now + 3 * MINUTE);
    assert!(fixture.marks(Window::Hour) > 0);
    let revisions: Vec<i64> = fixture
        .outputs
        .sent
        .iter()
        .map(|sent| framing::decode::<KpiBlock<'_>>(&sent.value).expect("decodes"))
        .filter(|block| block.window == "1h")
        .map(|block| block.revision)
        .collect();
    assert!(
        revisions.windows(2).all(|pair| pair[0] < pair[1]),
        "{revisions:?}"
    );
}

#[test]
fn a_stage_that_was_down_publishes_the_marks_that_passed_meanwhile() {
    let mut fixture = Fixture::new(YEARS);
    fixture.orders(START, 2);
    fixture.settle(START + MINUTE);
    fixture.restart();
    let now = START + 40 * MINUTE;
    assert!(fixture.stage.due(Timestamp(now)));
    fixture.settle(now);
    assert_eq!(fixture.marks(Window::Hour), 41);
}

#[test]
fn what_was_held_back_is_published_after_a_restart() {
    let mut fixture = Fixture::new(YEARS);
    fixture.orders(START, 1);
    fixture.settle(START + MINUTE);
    fixture.orders(START, 1);
    assert!(fixture.flush(START + MINUTE + 100));
    fixture.restart();
    assert!(fixture.stage.due(Timestamp(START + MINUTE + 200)));
    fixture.settle(START + MINUTE + 200);
    assert_eq!(
        fixture
            .values(Window::Hour)
            .into_values()
            .collect::<Vec<_>>(),
        [2, 2]
    );
}

#[test]
fn marks_that_are_no_longer_kept_are_published_as_nothing_once_and_forgotten() {
    let mut fixture = Fixture::new(2 * DAY);
    fixture.orders(START, 1);
    let mut now = START;
    while now < START + DAY {
        now = fixture.settle(now + HOUR);
    }
    assert!(fixture.marks(Window::Hour) > 0);
    let late = START + 3 * DAY + 2 * HOUR;
    assert!(fixture.stage.due(Timestamp(late)), "though nothing came");
    fixture.settle(late);
    assert_eq!(fixture.marks(Window::Hour), 0);
    let stored_hours = |fixture: &Fixture| {
        fixture.outputs.stored[&0]
            .keys()
            .filter(|key| key[0] == BLOCK && key[key.len() - 9] == 0)
            .count()
    };
    assert_eq!(stored_hours(&fixture), 0);
    fixture.outputs.take_sent();
    fixture.orders(START, 5);
    fixture.settle(late + SECOND);
    assert_eq!(
        (fixture.marks(Window::Hour), stored_hours(&fixture)),
        (0, 0),
        "what is late by more than is kept is forgotten too"
    );
    assert!(
        fixture.marks(Window::Week) > 0,
        "where marks are kept it counts"
    );
    assert!(
        fixture
            .values(Window::Week)
            .values()
            .all(|value| *value == 6)
    );
    fixture.orders(START + 25 * HOUR, 5);
    fixture.settle(late + 2 * SECOND);
    assert!(
        fixture
            .values(Window::Day)
            .values()
            .all(|value| *value == 5),
        "what was forgotten still counts as taken back"
    );
    assert_eq!(fixture.marks(Window::Day), 96);
}

#[test]
fn an_order_of_1997_costs_no_more_than_one_of_today() {
    let (long_ago, now) = (10_000 * DAY, START);
    let mut fixture = Fixture::new(40 * YEARS);
    fixture.orders(long_ago, 1);
    fixture.settle(now);
    // 1h and 24h: 2 blocks at most, 7d: 2, 30d: 6, 90d: 14, 365d: 13.
    assert!(
        fixture.outputs.sent.len() <= 39,
        "{} blocks",
        fixture.outputs.sent.len()
    );
    assert_eq!(
        Window::ALL.map(|window| fixture.marks(window)),
        [60, 96, 168, 720, 2160, 365]
    );
    let sent = fixture.outputs.sent.len();
    fixture.settle(now + DAY);
    assert_eq!(
        fixture.outputs.sent.len(),
        sent,
        "the clock passes no mark with a value"
    );
}

#[test]
fn a_backfill_is_published_in_slices_and_every_series_has_its_turn() {
    let mut fixture = Fixture::new(40 * YEARS);
    for day in 0..2_000 {
        fixture.orders(START + day * DAY, 1);
    }
    let now = START + 2_500 * DAY;
    assert!(fixture.flush(now), "held back");
    let first = fixture.outputs.take_sent();
    assert!(
        first.len() <= BLOCKS_PER_FLUSH + BLOCKS_PER_TURN,
        "{} blocks",
        first.len()
    );
    let windows: std::collections::BTreeSet<String> = first
        .iter()
        .map(|sent| {
            framing::decode::<KpiBlock<'_>>(&sent.value)
                .expect("decodes")
                .window
                .to_owned()
        })
        .collect();
    assert_eq!(windows.len(), 6);
    fixture.outputs.sent = first;
    let settled = fixture.settle(now);
    assert!(settled - now < 10 * SECOND);
    assert_eq!(fixture.marks(Window::Hour), 60 * 2_000);
    assert!(
        fixture
            .values(Window::Year)
            .values()
            .all(|orders| (1..=365).contains(orders))
    );
}

#[test]
fn what_cannot_be_a_contribution_is_refused_by_itself() {
    let mut fixture = Fixture::new(YEARS);
    let change = |window, mark| {
        vec![Change {
            window,
            mark,
            numerator: 1,
            denominator: 0,
        }]
    };
    for (kpi, changes) in [
        ("moon_phase", change(0, 1)),
        ("orders", change(7, 1)),
        ("orders", change(-1, 1)),
        ("orders", change(1, i64::MAX)),
    ] {
        let poison = fixture.take(kpi, changes).expect_err("refused");
        assert_eq!(poison.reason, "malformed", "{poison}");
    }
    let input = Input {
        partition: 0,
        offset: 0,
        key: b"",
        value: Some(b"junk"),
    };
    assert!(fixture.stage.take(&input, &fixture.outputs).is_err());
    assert!(!fixture.flush(START));
    assert!(fixture.outputs.sent.is_empty());
}

#[test]
fn bad_buzz_is_raised_within_a_minute_and_cleared_when_it_is_over() {
    let mut fixture = Fixture::new(YEARS);
    fixture.negative_mentions(START - 30 * HOUR, 1);
    fixture.negative_mentions(START - MINUTE, 3);
    fixture.flush(START);
    assert_eq!(fixture.alerts(), [], "three in an hour are not yet unusual");
    let burst = START + 3 * MINUTE + 10 * SECOND;
    fixture.negative_mentions(burst, 2);
    fixture.flush(burst + SECOND);
    assert_eq!(fixture.alerts(), []);
    let raised = START + 4 * MINUTE;
    assert!(fixture.stage.due(Timestamp(raised)));
    fixture.flush(raised);
    assert_eq!(fixture.alerts(), [(raised, None, 5)]);
    // It goes on, also in another life.
    fixture.negative_mentions(raised + SECOND, 2);
    fixture.flush(raised + MINUTE);
    fixture.restart();
    fixture.negative_mentions(raised + MINUTE, 1);
    fixture.flush(raised + 2 * MINUTE);
    assert_eq!(fixture.alerts(), [], "one alert stands");
    // An hour later only the last mentions are left, and nobody says anything.
    let over = START + 64 * MINUTE;
    assert!(fixture.stage.due(Timestamp(over)));
    fixture.flush(over);
    assert_eq!(fixture.alerts(), [(raised, Some(over), 5)]);
    assert!(!fixture.stage.buzz.due(i64::MAX));
    // A mention that is taken back was none.
    fixture.negative_mentions(over, 9);
    fixture.negative_mentions(over, -9);
    fixture.flush(over + MINUTE);
    assert_eq!(fixture.alerts(), []);
}

#[test]
fn the_first_that_is_said_against_a_brand_is_bad_buzz_where_it_was_spoken_of_for_a_day() {
    let burst = START + 10 * SECOND;
    for (since, is_raised) in [(30 * HOUR, true), (20 * HOUR, false)] {
        let mut fixture = Fixture::new(YEARS);
        fixture.mentions("neutral", START - since, 1);
        fixture.flush(START - HOUR);
        fixture.restart();
        fixture.mentions("positive", burst, 50);
        fixture.negative_mentions(burst, 4);
        fixture.flush(START + MINUTE);
        let raised = is_raised.then_some((START + MINUTE, None, 4));
        assert_eq!(fixture.alerts(), Vec::from_iter(raised), "{since}");
    }
}

#[test]
fn where_fewer_values_are_told_apart_than_before_the_rest_is_other_for_good() {
    let mut fixture = Fixture::new(YEARS);
    let order = || {
        vec![Change {
            window: 0,
            mark: START / MINUTE,
            numerator: 1_000_000,
            denominator: 0,
        }]
    };
    let campaigns = ["a", "b", "c", "d"];
    for campaign in campaigns {
        fixture
            .take_by("orders", ("campaign", campaign), order())
            .expect("taken");
    }
    let now = fixture.settle(START + MINUTE);
    let values = |fixture: &Fixture| {
        let mut values: Vec<(String, i64)> = Vec::new();
        for message in fixture.outputs.compacted().values() {
            let block: KpiBlock<'_> = framing::decode(message).expect("a block");
            if block.window == "1h" && !block.marks.is_empty() {
                let orders = block.numerators[0].millionths() / 1_000_000;
                values.push((block.dimension_value.to_owned(), orders as i64));
            }
        }
        values.sort();
        values
    };
    assert_eq!(values(&fixture).len(), 4);
    let restart = |fixture: &mut Fixture, limits: Limits| {
        let options = Options {
            keep: [YEARS; 6],
            cached_differences: 1_000,
            limits,
        };
        fixture.stage = Stage::new(options, std::sync::Arc::new(|_| {}));
        fixture.stage.assigned(&[0], &fixture.outputs)
    };
    let limits = |most| Limits::new(most, &BTreeMap::new(), &[Dimension::Campaign]);
    // Nothing is other yet: more or less may be told apart.
    restart(&mut fixture, limits(4)).expect("less");
    restart(&mut fixture, limits(1_000)).expect("more again");
    restart(&mut fixture, limits(2)).expect("less");
    fixture.settle(now + SECOND);
    let orders = values(&fixture);
    let told_apart = |(name, orders): &&(String, i64)| name != "other" && *orders == 1;
    assert_eq!(orders.iter().filter(told_apart).count(), 2, "{orders:?}");
    assert!(orders.contains(&("other".to_owned(), 2)), "{orders:?}");
    let is_refused = |fixture: &mut Fixture, limits| {
        let refused = restart(fixture, limits).expect_err("other values");
        refused
            .to_string()
            .contains("take `campaign` out of kpi.dimensions")
    };
    let first = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        BTreeMap::from([("campaign".to_owned(), names)])
    };
    let with_first = |most, names| Limits::new(most, &first(names), &[Dimension::Campaign]);
    assert!(is_refused(&mut fixture, limits(3)), "more");
    assert!(is_refused(&mut fixture, with_first(2, &["a"])), "others");
    restart(&mut fixture, limits(2)).expect("as before");
    // One that is other already stays so.
    let other = campaigns
        .into_iter()
        .find(|campaign| values(&fixture).iter().all(|(name, _)| name != campaign));
    let other = other.expect("two of them are");
    fixture
        .take_by("orders", ("campaign", other), order())
        .expect("taken");
    fixture.settle(now + 5 * SECOND);
    assert!(values(&fixture).contains(&("other".to_owned(), 3)));
    // Where nothing is counted by it any more, it can be counted anew; until then it is counted as before.
    let taken_back = || {
        let mut back = order();
        back[0].numerator *= -1;
        back
    };
    let not_counted = Limits::new(9, &BTreeMap::new(), &[]);
    restart(&mut fixture, not_counted.clone()).expect("not counted");
    for campaign in campaigns.into_iter().chain([other]) {
        assert!(is_refused(&mut fixture, limits(3)), "something is left");
        restart(&mut fixture, not_counted.clone()).expect("not counted");
        fixture
            .take_by("orders", ("campaign", campaign), taken_back())
            .expect("taken");
        fixture.settle(now + 9 * SECOND);
    }
    assert_eq!(values(&fixture), []);
    restart(&mut fixture, with_first(3, &["b", other])).expect("anew");
    for campaign in campaigns {
        fixture
            .take_by("orders", ("campaign", campaign), order())
            .expect("taken");
    }
    fixture.settle(now + 13 * SECOND);
    let orders = values(&fixture);
    assert_eq!(orders.len(), 4, "three and the rest: {orders:?}");
    for name in ["b", other, "other"] {
        assert!(orders.contains(&(name.to_owned(), 1)), "{name}: {orders:?}");
    }
}
