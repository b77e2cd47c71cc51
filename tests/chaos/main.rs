//! Crashes do not show: whatever is killed with -9, at whatever moment, every count is right afterwards, without FINAL.

mod books;

use books::{Books, check, round, send_while};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use tributary_tests::{Settings, System, Tenant};

/// A system takes a machine's memory; two at a time would need a larger one.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn kills_at_any_moment_leave_every_count_right() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut system = System::start(Settings::new(env!("CARGO_BIN_EXE_tributary"), 1, ""));
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut books = Books::default();

        let events = round(0, &mut books);
        send_while(&system, &events, || system.kill_child("kafka"));
        check(&system, &books, "a kill of Kafka");

        let events = round(1, &mut books);
        send_while(&system, &events, || system.kill_child("clickhouse"));
        check(&system, &books, "a kill of ClickHouse");

        for number in 2..5 {
            let events = round(number, &mut books);
            let (first, rest) = events.split_at(events.len() / 2);
            Tenant {
                system: &system,
                number: 0,
            }
            .send("web", first);
            // What was acknowledged is somewhere on its way.
            system.kill();
            system.restart();
            Tenant {
                system: &system,
                number: 0,
            }
            .send("web", rest);
            // A client that saw no answer sends again.
            Tenant {
                system: &system,
                number: 0,
            }
            .send("web", first);
            check(&system, &books, "a kill of everything");
        }

        system.stop();
        let state = system.data().join("processor");
        assert!(
            state.is_dir(),
            "the processor's state is in {}",
            state.display()
        );
        std::fs::remove_dir_all(&state).expect("the state can be removed");
        system.restart();
        let events = round(5, &mut books);
        Tenant {
            system: &system,
            number: 0,
        }
        .send("web", &events);
        check(&system, &books, "the loss of the processor's folder");
        system.stop();
    }));
    if let Err(cause) = result {
        system.show_logs();
        resume_unwind(cause);
    }
}

#[test]
fn a_service_that_runs_apart_can_be_killed_at_any_moment() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let system = System::start_apart(Settings::new(env!("CARGO_BIN_EXE_tributary"), 1, ""));
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut books = Books::default();
        for (number, part) in ["sink", "processor", "sink", "ingest", "processor"]
            .into_iter()
            .enumerate()
        {
            let events = round(number, &mut books);
            send_while(&system, &events, || {
                // Once in the middle of its work, and once in the middle of its start.
                system.kill_part(part);
                system.await_part(part);
                system.kill_part(part);
            });
            check(&system, &books, &format!("kills of {part}"));
        }
        system.stop_apart();
    }));
    if let Err(cause) = result {
        system.show_logs();
        resume_unwind(cause);
    }
}

#[test]
fn processors_that_come_and_go_share_the_work_and_leave_every_count_right() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let system = System::start_apart(Settings::new(env!("CARGO_BIN_EXE_tributary"), 1, ""));
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut books = Books::default();
        let further = ["processor-2", "processor-3"];
        let events = round(0, &mut books);
        send_while(&system, &events, || {
            for part in further {
                system.start_part(part);
            }
        });
        for part in further {
            system.await_part(part);
        }
        check(&system, &books, "two processors more");

        let events = round(1, &mut books);
        send_while(&system, &events, || system.kill_part("processor-2"));
        check(&system, &books, "a kill of one of three processors");

        let events = round(2, &mut books);
        send_while(&system, &events, || {
            system.stop_part("processor-3");
            system.kill_part("processor");
        });
        check(&system, &books, "the end of one of three processors");

        system.stop_part("processor-2");
        let events = round(3, &mut books);
        send_while(&system, &events, || {});
        check(&system, &books, "the end of all but one processor");
        system.stop_apart();
    }));
    if let Err(cause) = result {
        system.show_logs();
        resume_unwind(cause);
    }
}
