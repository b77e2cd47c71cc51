//! How long `tributary explain` takes on a running system, from the start of the process to its end, where many customers
//! are: `BENCH_CUSTOMERS` says how many.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tributary_tests::{Settings, System, Tenant, release_binary};

const CUSTOMERS: &str = "20000";
/// Customers that are sent before all is awaited, so that no wait is long.
const AT_ONCE: usize = 50_000;
/// Times that each is asked.
const TIMES: usize = 21;
const GOAL: Duration = Duration::from_millis(100);

fn main() -> anyhow::Result<()> {
    // `cargo bench` says so; whoever lists or runs tests alone means none of this.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let customers: usize = std::env::var("BENCH_CUSTOMERS")
        .unwrap_or_else(|_| CUSTOMERS.to_owned())
        .parse()
        .context("BENCH_CUSTOMERS must be a number")?;
    let binary = release_binary()?;
    let binary = binary.to_str().context("the folder's name is UTF-8")?;
    let mut system = System::start(Settings::new(binary, 1, ""));
    let tenant = Tenant {
        system: &system,
        number: 0,
    };
    let all: Vec<usize> = (0..customers).collect();
    for part in all.chunks(AT_ONCE) {
        for batch in part.chunks(250) {
            let events: Vec<Value> = batch.iter().flat_map(|number| visit(*number)).collect();
            tenant.send_stubbornly("web", &events);
        }
        tenant.settled();
    }
    println!(
        "explain, with {} customers: the whole process; goal {} ms\n",
        tenant.count("profiles_current"),
        GOAL.as_millis()
    );
    for (what, arguments) in [
        ("by type and value", &["user_id:user-{}"][..]),
        ("by value alone", &["user-{}@shop.example"]),
        (
            "between two",
            &["--between", "user_id:user-{}", "anonymous_id:cookie-{}"],
        ),
    ] {
        let mut took = Vec::with_capacity(TIMES);
        for time in 0..TIMES {
            let number = (time * 7_919 % customers).to_string();
            let arguments: Vec<String> = arguments
                .iter()
                .map(|argument| argument.replace("{}", &number))
                .collect();
            let mut command = vec!["explain", "--workspace", "w0"];
            command.extend(arguments.iter().map(String::as_str));
            let begin = Instant::now();
            let output = system.job(&command);
            took.push(begin.elapsed());
            ensure!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        took.sort_unstable();
        println!(
            "{what:<20} median {:>6.0} ms, slowest {:>6.0} ms",
            took[TIMES / 2].as_secs_f64() * 1e3,
            took[TIMES - 1].as_secs_f64() * 1e3
        );
    }
    system.stop();
    Ok(())
}

/// A login with an address, and a page.
fn visit(number: usize) -> [Value; 2] {
    let cookie = format!("cookie-{number}");
    [
        json!({
            "type": "identify", "messageId": format!("i{number}"), "anonymousId": cookie, "userId": format!("user-{number}"),
            "traits": {"email": format!("user-{number}@shop.example")},
        }),
        json!({"type": "page", "messageId": format!("p{number}"), "anonymousId": cookie}),
    ]
}
