//! The CDNOW purchase history, imported as store orders of a historic source: profiles, orders, revenue and KPIs must
//! equal what the file says by itself, however often the import is interrupted or repeated.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tributary_tests::cdnow::{self, Purchase, Totals};
use tributary_tests::wait::until;
use tributary_tests::{Settings, System, Tenant, process};

const DAY: i64 = 86_400;
const WINDOWS: [(&str, i64); 5] = [
    ("24h", DAY),
    ("7d", 7 * DAY),
    ("30d", 30 * DAY),
    ("90d", 90 * DAY),
    ("365d", 365 * DAY),
];

#[test]
fn what_comes_out_of_the_purchase_history_is_what_the_file_says() {
    let purchases = cdnow::purchases();
    let mut system = System::start(Settings::new(
        env!("CARGO_BIN_EXE_tributary"),
        1,
        "[kpi]\nkeep = { \"1h\" = \"8d\", \"24h\" = \"40y\", others = \"40y\" }\n",
    ));
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let tenant = Tenant {
            system: &system,
            number: 0,
        };
        interrupt(&system);
        let output = import(&system, &[]);
        assert!(output.contains("going on behind line"), "{output}");
        assert!(output.contains("69659 rows taken, 0 rejected"), "{output}");
        tenant.settled();
        check_totals(&tenant, &purchases);
        check_customers(&tenant, &purchases);
        check_kpis(&tenant, &purchases);
        check_cohorts(&tenant, &purchases);
        check_quintiles(&tenant, &purchases);
        for at in ["1997-03-08T10:07:00Z", "1998-01-01", "1998-06-30T23:59:59Z"] {
            tenant.verify_kpis(&["--at", at]);
        }

        let output = import(&system, &["--again"]);
        assert!(output.contains("69659 rows taken"), "{output}");
        tenant.settled();
        check_totals(&tenant, &purchases);
        check_customers(&tenant, &purchases);
        check_kpis(&tenant, &purchases);
    }));
    if let Err(cause) = checked {
        system.show_logs();
        std::panic::resume_unwind(cause);
    }
    system.stop();
}

fn arguments() -> Vec<String> {
    let mapping = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cdnow/mapping.toml");
    let path = |path: PathBuf| path.to_str().expect("our own names").to_owned();
    vec![
        "import".to_owned(),
        path(cdnow::path()),
        "--mapping".to_owned(),
        path(mapping),
    ]
}

fn import(system: &System, more: &[&str]) -> String {
    let arguments = arguments();
    let arguments: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    let output = system.job(&arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Bytes of each connection that reach ingest: a batch or two. The import has four connections, and far more to send.
const FIRST_BYTES: u64 = 1_000_000;

/// An address behind which the beginning of each connection reaches ingest. Then it stays open, and whoever sends more
/// waits.
fn narrow(system: &System) -> String {
    let ingest = system.endpoint("ingest");
    let ingest = ingest.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client?, TcpStream::connect(&ingest)?);
            let (mut answers, mut answered) = (server.try_clone()?, client.try_clone()?);
            std::thread::spawn(move || std::io::copy(&mut answers, &mut answered));
            std::thread::spawn(move || -> std::io::Result<()> {
                std::io::copy(&mut client.take(FIRST_BYTES), &mut &server)?;
                loop {
                    std::thread::park();
                }
            });
        }
        Ok::<(), std::io::Error>(())
    });
    format!("http://{address}")
}

/// Starts an import and kills it once some of it is done, and not all.
fn interrupt(system: &System) {
    let mut arguments = arguments();
    arguments.extend(["--ingest".to_owned(), narrow(system)]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut import = system
        .command(&arguments)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let folder = system.data().join("import");
    until(
        "the first progress of the import",
        Duration::from_secs(60),
        || {
            let files = std::fs::read_dir(&folder).map_err(|error| error.to_string())?;
            let progress = files.flatten().map(|file| file.path());
            let lines = progress
                .filter(|path| {
                    path.extension()
                        .is_some_and(|extension| extension == "json")
                })
                .filter_map(|path| serde_json::from_slice::<Value>(&std::fs::read(path).ok()?).ok())
                .find_map(|progress| progress["lines"].as_u64().filter(|lines| *lines > 0));
            lines.ok_or_else(|| "nothing is done".to_owned())
        },
    );
    process::kill(import.id().cast_signed());
    import.wait().expect("it is our child");
}

fn check_totals(tenant: &Tenant<'_>, purchases: &[Purchase]) {
    let all = cdnow::totals(purchases);
    assert_eq!(
        (all.orders, all.customers),
        (69_659, 23_570),
        "the file is the one we know"
    );
    let orders = tenant.row(
        "SELECT count() AS orders, toString(sum(total)) AS total, toString(sum(revenue)) AS revenue, uniqExact(profile_id) AS customers, \
         groupUniqArray(channel) AS channels, groupUniqArray(currency) AS currencies FROM orders_current WHERE workspace = {w:String}",
    );
    let amount = dollars(all.cents);
    let expected = json!({
        "orders": all.orders, "total": amount, "revenue": amount, "customers": all.customers, "channels": ["store"], "currencies": ["USD"],
    });
    assert_eq!(orders, expected);
    assert_eq!(count(tenant, "touchpoints"), all.orders);
    assert_eq!(count(tenant, "touchpoints_current"), all.orders);
    assert_eq!(count(tenant, "profiles_current"), all.customers);
    assert_eq!(count(tenant, "identities"), all.customers);
    assert_eq!(count(tenant, "sessions_current"), all.visits);
}

fn count(tenant: &Tenant<'_>, table: &str) -> i64 {
    i64::try_from(tenant.count(table)).expect("small")
}

fn check_customers(tenant: &Tenant<'_>, purchases: &[Purchase]) {
    let rows = tenant.query(
        "SELECT identifiers[1].2 AS customer, orders, touchpoints, sessions, toString(revenue['USD']) AS revenue FROM profiles_current \
         WHERE workspace = {w:String}",
    );
    let actual: BTreeMap<String, Value> = rows
        .into_iter()
        .map(|row| (row["customer"].as_str().unwrap_or_default().to_owned(), row))
        .collect();
    let expected: BTreeMap<String, Value> = cdnow::by_customer(purchases)
        .into_iter()
        .map(|(customer, totals)| {
            let row = json!({
                "customer": customer, "orders": totals.orders, "touchpoints": totals.orders, "sessions": totals.visits, "revenue": dollars(totals.cents),
            });
            (customer, row)
        })
        .collect();
    assert_eq!(actual.len(), expected.len());
    for (customer, expected) in &expected {
        assert_eq!(actual.get(customer), Some(expected), "customer {customer}");
    }
}

/// Every UTC midnight from before the first purchase to long after the last, in every window, whole and by channel;
/// and for the windows below a year also marks within the day.
fn check_kpis(tenant: &Tenant<'_>, purchases: &[Purchase]) {
    let first = purchases[0].second;
    let last = purchases[purchases.len() - 1].second;
    for (window, length) in WINDOWS {
        let inner: &[i64] = match window {
            "24h" => &[0, 900, 12 * 3_600, DAY - 900],
            "365d" => &[0],
            _ => &[0, 3_600, 13 * 3_600],
        };
        let marks = (0..=(last - first + length) / DAY + 2).flat_map(|day| {
            inner
                .iter()
                .map(move |second| first + (day - 1) * DAY + second)
        });
        let expected: BTreeMap<i64, Totals> = marks
            .map(|mark| (mark, cdnow::window(purchases, mark, length)))
            .collect();
        for dimension in ["", "channel"] {
            for (kpi, currency) in [
                ("orders", ""),
                ("revenue", "USD"),
                ("average_order_value", "USD"),
                ("visitors", ""),
                ("sessions", ""),
                ("repurchase_rate", ""),
            ] {
                let expected: BTreeMap<i64, (String, i64)> = expected
                    .iter()
                    .filter_map(|(mark, totals)| Some((*mark, value(kpi, totals)?)))
                    .collect();
                let actual = published(
                    tenant,
                    kpi,
                    window,
                    currency,
                    dimension,
                    inner,
                    (first - DAY, last + length + DAY),
                );
                let what = format!("{kpi} of {window} by `{dimension}`");
                for (mark, value) in &expected {
                    assert_eq!(actual.get(mark), Some(value), "{what} at {mark}");
                }
                assert_eq!(
                    actual.len(),
                    expected.len(),
                    "{what}: marks without anything have no row"
                );
            }
        }
    }
}

/// The cohorts by month: customers, those active in the months after, their orders and what these brought.
fn check_cohorts(tenant: &Tenant<'_>, purchases: &[Purchase]) {
    let rows = tenant.query(
        "SELECT toString(cohort) AS cohort, month, customers, active, orders, toString(revenue['USD']) AS revenue FROM cohorts_current \
         WHERE workspace = {w:String} ORDER BY cohort, month",
    );
    let expected: Vec<Value> = cdnow::cohorts(purchases)
        .into_iter()
        .map(|((cohort, month), (customers, totals))| {
            json!({
                "cohort": cohort, "month": month, "customers": customers, "active": totals.customers, "orders": totals.orders,
                "revenue": dollars(totals.cents),
            })
        })
        .collect();
    assert!(expected.len() > 20, "three cohorts of a year and a half");
    assert_eq!(rows, expected);
}

/// RFM quintiles on 1 July 1998: nobody in the file has bought since.
fn check_quintiles(tenant: &Tenant<'_>, purchases: &[Purchase]) {
    const UNTIL: i64 = 899_251_200;
    assert_eq!(tenant.count("rfm_current"), 0);
    let rows = tenant.query(
        "SELECT toString(profile_id) AS id, r, f, m, frequency, toString(monetary) AS monetary FROM rfm_at(mark = '1998-07-01 00:00:00') WHERE workspace = {w:String} ORDER BY id",
    );
    let ids = tenant.query(
        "SELECT toString(profile_id) AS id, identifiers[1].2 AS customer FROM profiles_current WHERE workspace = {w:String}",
    );
    let ids: BTreeMap<&str, &str> = ids
        .iter()
        .filter_map(|row| Some((row["customer"].as_str()?, row["id"].as_str()?)))
        .collect();
    let from = purchases.partition_point(|purchase| purchase.second <= UNTIL - 365 * DAY);
    let mut customers: BTreeMap<&str, (i64, i64, i64)> = BTreeMap::new();
    for purchase in &purchases[from..] {
        let (last, orders, cents) = customers.entry(ids[&*purchase.customer]).or_default();
        *last = purchase.second.max(*last);
        *orders += 1;
        *cents += purchase.cents;
    }
    // As NTILE deals them out: where they are no five equal parts, the first are one greater.
    let quintiles = |by: fn(&(i64, i64, i64)) -> i64| -> BTreeMap<&str, usize> {
        let mut ranked: Vec<(i64, &str)> = customers.iter().map(|(id, is)| (by(is), *id)).collect();
        ranked.sort_unstable();
        let (size, greater) = (ranked.len() / 5, ranked.len() % 5);
        let sizes = (0..5).map(|quintile| size + usize::from(quintile < greater));
        let dealt = sizes.enumerate();
        let dealt = dealt.flat_map(|(quintile, size)| std::iter::repeat_n(quintile + 1, size));
        let ids = ranked.into_iter().map(|(_, id)| id);
        ids.zip(dealt).collect()
    };
    let (r, f, m) = (
        quintiles(|is| is.0),
        quintiles(|is| is.1),
        quintiles(|is| is.2),
    );
    let expected: Vec<Value> = customers
        .iter()
        .map(|(id, (_, orders, cents))| {
            json!({"id": id, "r": r[id], "f": f[id], "m": m[id], "frequency": orders, "monetary": dollars(*cents)})
        })
        .collect();
    assert!(
        expected.len() > 3_000,
        "customers of the last year: {}",
        expected.len()
    );
    assert_eq!(rows, expected);
}

/// Numerator and denominator; none where there is no row.
fn value(kpi: &str, totals: &Totals) -> Option<(String, i64)> {
    let row = match kpi {
        "orders" => (totals.orders.to_string(), 1),
        "revenue" => (dollars(totals.cents), 1),
        "average_order_value" => (dollars(totals.cents), totals.orders),
        "visitors" => (totals.customers.to_string(), 1),
        "sessions" => (totals.visits.to_string(), 1),
        "repurchase_rate" => (totals.repeaters.to_string(), totals.customers),
        other => panic!("what is {other}?"),
    };
    let is_rate = matches!(kpi, "average_order_value" | "repurchase_rate");
    let nothing = if is_rate { row.1 == 0 } else { row.0 == "0" };
    (!nothing).then_some(row)
}

fn published(
    tenant: &Tenant<'_>,
    kpi: &str,
    window: &str,
    currency: &str,
    dimension: &str,
    inner: &[i64],
    range: (i64, i64),
) -> BTreeMap<i64, (String, i64)> {
    let seconds: Vec<String> = inner.iter().map(i64::to_string).collect();
    let rows = tenant.query(&format!(
        "SELECT toUnixTimestamp(window_end) AS mark, toString(numerator) AS numerator, denominator, value FROM kpis_current \
         WHERE workspace = {{w:String}} AND kpi = '{kpi}' AND window = '{window}' AND currency = '{currency}' AND dimension = '{dimension}' \
         AND dimension_value = '{}' AND toUnixTimestamp(window_end) % 86400 IN ({}) \
         AND toUnixTimestamp(window_end) BETWEEN {} AND {}",
        if dimension.is_empty() { "" } else { "store" },
        seconds.join(", "),
        range.0,
        range.1
    ));
    let row = |row: Value| {
        let (mark, numerator, denominator) = (
            row["mark"].as_i64(),
            row["numerator"].as_str(),
            row["denominator"].as_i64(),
        );
        let (Some(mark), Some(numerator), Some(denominator)) = (mark, numerator, denominator)
        else {
            panic!("unexpected row {row}");
        };
        let quotient = numerator.parse::<f64>().expect("a number")
            / f64::from(i32::try_from(denominator).expect("small"));
        let value = row["value"].as_f64().expect("a number");
        assert!((quotient - value).abs() <= 1e-9 * quotient.abs(), "{row}");
        (mark, (numerator.to_owned(), denominator))
    };
    rows.into_iter().map(row).collect()
}

/// As ClickHouse shows a decimal: without zeros at the end.
fn dollars(cents: i64) -> String {
    match cents % 100 {
        0 => format!("{}", cents / 100),
        rest if rest % 10 == 0 => format!("{}.{}", cents / 100, rest / 10),
        rest => format!("{}.{rest:02}", cents / 100),
    }
}
