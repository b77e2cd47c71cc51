//! Links that nobody wants: each must stay bounded in time and memory.

use super::{resident, row};
use serde_json::Value;
use std::time::Instant;
use tributary_core::identifier::{Identifier, IdentifierType};
use tributary_core::identity::{Graph, NodeId, Observation, Operation, Rules, Types};
use tributary_core::time::Timestamp;
use uuid::Uuid;

fn graph() -> Graph {
    Graph::new("bench", Rules::default())
}

fn link(graph: &mut Graph, one: NodeId, other: NodeId, day: i32) {
    let source = graph.source("web");
    let observation = Observation {
        first: Timestamp(0),
        last_day: day,
        source,
    };
    graph.observe(one, other, observation);
}

fn cookie(graph: &mut Graph, number: usize) -> NodeId {
    let cookie = Identifier::new(IdentifierType::ANONYMOUS_ID, &format!("cookie-{number}"));
    graph.intern(&cookie)
}

/// Links that a processor looks at in one flush for a component that takes more than that.
const LINKS: usize = 400_000;

/// Settles as a processor does, in slices; returns how long the longest took, in milliseconds.
fn settle_in_slices(graph: &mut Graph) -> f64 {
    let mut longest: f64 = 0.0;
    while !graph.is_settled() {
        longest = longest.max(slice(graph));
    }
    longest
}

fn slice(graph: &mut Graph) -> f64 {
    milliseconds(|| {
        graph.settle_within(LINKS);
        graph.work(LINKS);
    })
}

fn milliseconds(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64() * 1e3
}

pub(crate) fn rows() -> Vec<Value> {
    let mut rows = Vec::new();
    rows.push(component());
    rows.extend(chain());
    rows.extend(clique());
    rows.extend(neighbours());
    rows.push(full_login());
    rows.push(one_on_a_million_events());
    rows.push(linked_and_cut());
    rows
}

/// One day more on one link of a component of 10,000.
fn component() -> Value {
    let mut graph = graph();
    let types = Types::default().with_limit(IdentifierType::ANONYMOUS_ID, u32::MAX);
    graph.obey(Rules {
        types,
        ..Rules::default()
    });
    let center = cookie(&mut graph, 0);
    for number in 1..10_000 {
        let other = cookie(&mut graph, number);
        link(&mut graph, center, other, 1);
    }
    graph.settle();
    let other = cookie(&mut graph, 5_000);
    let took = milliseconds(|| {
        link(&mut graph, center, other, 2);
        graph.settle();
    });
    row(
        "a component of 10,000 identifiers: one link changes",
        took,
        "ms",
        "goal 1",
    )
}

/// Each with the next, from one end to the other, and the last link from the middle.
fn chain() -> Vec<Value> {
    const LENGTH: usize = 100_000;
    let mut graph = graph();
    let before = resident();
    let all = milliseconds(|| {
        for number in 1..LENGTH {
            let ends = [cookie(&mut graph, number - 1), cookie(&mut graph, number)];
            link(&mut graph, ends[0], ends[1], 1);
            if number % 10_000 == 0 {
                graph.settle();
            }
        }
        graph.settle();
    });
    let one = milliseconds(|| {
        let ends = [
            cookie(&mut graph, LENGTH / 2),
            cookie(&mut graph, LENGTH / 2 + 1),
        ];
        link(&mut graph, ends[0], ends[1], 2);
        graph.settle();
    });
    let megabytes = resident().saturating_sub(before) as f64 / 1e6;
    vec![
        row(
            "a chain of 100,000 identifiers: from nothing",
            all,
            "ms",
            &format!("settled every 10,000 links; {megabytes:.0} MB"),
        ),
        row(
            "a chain of 100,000 identifiers: one link changes",
            one,
            "ms",
            "",
        ),
    ]
}

/// Everybody with everybody.
fn clique() -> Vec<Value> {
    const SIZE: usize = 5_000;
    let mut graph = graph();
    let before = resident();
    let (mut first, mut later): (f64, f64) = (0.0, 0.0);
    let all = milliseconds(|| {
        for one in 0..SIZE {
            for other in 0..one {
                let ends = [cookie(&mut graph, one), cookie(&mut graph, other)];
                link(&mut graph, ends[0], ends[1], 1);
            }
            // About as many links as a flush takes in of such events.
            if one % 100 == 0 {
                first = slice(&mut graph).max(first);
            }
        }
        first = settle_in_slices(&mut graph).max(first);
    });
    let one = milliseconds(|| {
        let ends = [cookie(&mut graph, 1), cookie(&mut graph, 2)];
        link(&mut graph, ends[0], ends[1], 2);
        later = settle_in_slices(&mut graph);
    });
    let megabytes = resident().saturating_sub(before) as f64 / 1e6;
    vec![
        row(
            "a clique of 5,000 identifiers, 12.5 M links: from nothing",
            all,
            "ms",
            &format!("{megabytes:.0} MB; the longest slice took {first:.0} ms"),
        ),
        row(
            "a clique of 5,000 identifiers: one link changes",
            one,
            "ms",
            &format!("in slices beside the others; the longest took {later:.0} ms"),
        ),
    ]
}

fn login(graph: &mut Graph, number: usize) -> NodeId {
    let login = Identifier::new(IdentifierType::USER_ID, &format!("customer-{number}"));
    graph.intern(&login)
}

/// Each shares a device with the next: links lead from everybody to everybody, and most join nobody.
fn neighbours() -> Vec<Value> {
    const PEOPLE: usize = 100_000;
    let mut graph = graph();
    let all = milliseconds(|| {
        for number in 0..PEOPLE {
            let logins = [
                login(&mut graph, number),
                login(&mut graph, (number + 1) % PEOPLE),
            ];
            let [own, shared] = [2 * number, 2 * number + 1].map(|which| cookie(&mut graph, which));
            for (one, other, day) in [
                (logins[0], own, 1),
                (logins[0], shared, 2),
                (logins[1], shared, 1),
            ] {
                link(&mut graph, one, other, day);
            }
            if number % 1_000 == 0 {
                graph.settle();
            }
        }
        graph.settle();
    });
    let ends = [
        login(&mut graph, PEOPLE / 2 + 1),
        cookie(&mut graph, PEOPLE + 1),
    ];
    let one = milliseconds(|| {
        link(&mut graph, ends[0], ends[1], 3);
        graph.settle();
    });
    vec![
        row(
            "100,000 people in a ring, each with a device of his own and one shared with the next: from nothing",
            all,
            "ms",
            "settled every 1,000 people",
        ),
        row("the same: a shared device changes its owner", one, "ms", ""),
    ]
}

/// A login with more devices than one customer may have.
fn full_login() -> Value {
    const COOKIES: usize = 100_000;
    let mut graph = graph();
    let login = login(&mut graph, 0);
    for number in 0..COOKIES {
        let cookie = cookie(&mut graph, number);
        link(&mut graph, login, cookie, 1);
    }
    graph.settle();
    let new = cookie(&mut graph, COOKIES);
    let mut longest = 0.0;
    let took = milliseconds(|| {
        link(&mut graph, login, new, 2);
        longest = settle_in_slices(&mut graph);
    });
    row(
        "a login with 100,000 devices: one more",
        took,
        "ms",
        &format!("the longest slice took {longest:.0} ms"),
    )
}

fn one_on_a_million_events() -> Value {
    const EVENTS: usize = 1_000_000;
    let mut graph = graph();
    let login = graph.intern(&Identifier::new(IdentifierType::USER_ID, "busy"));
    let device = cookie(&mut graph, 0);
    let took = milliseconds(|| {
        for number in 0..EVENTS {
            link(&mut graph, login, device, (number / 1_000) as i32);
            if number % 100 == 0 {
                graph.settle();
            }
        }
    });
    row(
        "one link on a million events over 1,000 days",
        took * 1e6 / EVENTS as f64,
        "ns an event",
        "settled every 100",
    )
}

fn linked_and_cut() -> Value {
    const TIMES: usize = 1_000;
    let mut graph = graph();
    let login = Identifier::new(IdentifierType::USER_ID, "ada");
    let cookie = Identifier::new(IdentifierType::ANONYMOUS_ID, "cookie");
    let ends = [graph.intern(&login), graph.intern(&cookie)];
    link(&mut graph, ends[0], ends[1], 1);
    let took = milliseconds(|| {
        for number in 0..TIMES {
            let (cut, undo) = (
                Uuid::from_u128(number as u128 * 2 + 1),
                Uuid::from_u128(number as u128 * 2 + 2),
            );
            graph.operate(cut, Operation::Cut(login.clone(), cookie.clone()));
            graph.settle();
            graph.operate(undo, Operation::Undo(cut));
            graph.settle();
        }
    });
    row(
        "two identifiers cut and linked again a thousand times",
        took / TIMES as f64,
        "ms a time",
        "",
    )
}
