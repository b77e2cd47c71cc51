//! Runs scenarios side by side on one system, which it stops in the end, and checks every KPI of theirs. The test harness of the standard library
//! has no end: what its tests share is never stopped.

use crate::system::{Settings, System};
use crate::tenant::Tenant;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

/// Something that must hold of a running system.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// A sentence, with underscores.
    pub name: &'static str,
    /// Panics when it does not hold.
    pub body: fn(&Tenant<'_>),
}

/// Runs those scenarios that the command line names, or all; each in a workspace of its own.
pub fn run(binary: &str, lines: &str, scenarios: &[Scenario]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for scenario in scenarios {
            println!("{}: test", scenario.name);
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let is_wanted = |scenario: &Scenario| {
        filters.is_empty() || filters.iter().any(|filter| scenario.name.contains(*filter))
    };
    let wanted: Vec<(usize, &Scenario)> = scenarios
        .iter()
        .enumerate()
        .filter(|(_, scenario)| is_wanted(scenario))
        .collect();
    if wanted.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} scenarios", wanted.len());
    let mut system = System::start(Settings::new(binary, scenarios.len(), lines));
    let failed = Mutex::new(Vec::new());
    let all = wanted.clone();
    std::thread::scope(|scope| {
        for (number, scenario) in wanted {
            let (system, failed) = (&system, &failed);
            let run = move || {
                let start = Instant::now();
                let result = catch_unwind(AssertUnwindSafe(|| {
                    (scenario.body)(&Tenant { system, number })
                }));
                let outcome = if result.is_ok() { "ok" } else { "FAILED" };
                println!(
                    "scenario {} ... {outcome} ({:.1} s)",
                    scenario.name,
                    start.elapsed().as_secs_f64()
                );
                if result.is_err() {
                    failed
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push(scenario.name);
                }
            };
            std::thread::Builder::new()
                .name(scenario.name.to_owned())
                .spawn_scoped(scope, run)
                .expect("a thread starts");
        }
    });
    // Whatever a scenario does, every KPI is what SQL makes of it. Those that failed have said enough.
    for (number, scenario) in &all {
        let tenant = Tenant {
            system: &system,
            number: *number,
        };
        let mut failed = failed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if !failed.contains(&scenario.name)
            && catch_unwind(AssertUnwindSafe(|| tenant.verify_kpis(&[]))).is_err()
        {
            println!("scenario {} ... KPIs differ from SQL", scenario.name);
            failed.push(scenario.name);
        }
    }
    let failed = failed
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let stopped = catch_unwind(AssertUnwindSafe(|| system.stop())).is_ok();
    if failed.is_empty() && stopped {
        return ExitCode::SUCCESS;
    }
    system.show_logs();
    println!(
        "failed: {}{}",
        failed.join(", "),
        if stopped {
            ""
        } else {
            " (and the system did not stop)"
        }
    );
    ExitCode::FAILURE
}
