//! `tributary verify kpis`: every KPI a second time, in SQL over all touchpoints.
//!
//! The SQL of each stands in `schemas/kpis`; it was written from the definitions, not from the stream's code.

use crate::clickhouse::ClickHouse;
use crate::exit::Failure;
use crate::moment;
use crate::workspace;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use tributary_core::identifier::Kind;
use tributary_core::kpi::{Dimension, Kpi, Window};
use tributary_core::time::{MINUTE, SECOND, Timestamp};
use tributary_platform::config::Config;

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Options {
    /// Only the last mark of each window up to that time [default: every mark that is kept]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Only this KPI, such as visitors
    #[arg(long, value_name = "NAME")]
    kpi: Option<String>,
    /// The workspace [default: the first of the configuration]
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// For the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  tributary verify kpis
  tributary verify kpis --at 2026-11-01 --kpi revenue

Every mark of every window, whole and by dimension, is computed from touchpoints_current by the SQL of schemas/kpis and
compared with kpis_current, both ways: what stands there and should not is a difference, too. What every mark costs grows
with the touchpoints and the marks; with many millions of touchpoints take --at. What came within the last seconds may not
be in both yet: wait until /settled says 200. Marks that `kpi.keep` lets go within ten minutes are left out.
Exit codes: 0 all agree, 1 ClickHouse does not answer or nothing is stored of the workspace, 2 wrong usage, 3 there are
differences.";

/// Marks that the clock has only just passed may not be published yet.
const YOUNGEST: i64 = 10 * SECOND;

/// Marks that grow too old while they are asked for may be gone from one of the two.
const LEAVING: i64 = 10 * MINUTE;

/// The parameter that says which windows and marks.
const WINDOWS: &str =
    "{windows:Array(Tuple(name String, length Int64, step Int64, first Int64, last Int64))}";

/// The parameter that says which values are told apart, of dimensions that have more than that.
const TOLD_APART: &str = "{told_apart:Map(String, Array(String))}";

/// Values by dimension, as they are stored, of dimensions that have more than are told apart: those that are configured to go
/// first, then those with the least hashes.
const VALUES: &str = "\
SELECT dimension, arraySlice(groupArray(value), 1, {most:UInt64}) AS told_apart FROM
(
    SELECT dimension, value FROM
    (
        SELECT arrayJoin([('channel', toString(channel)), ('source', toString(traffic_source)), ('campaign', toString(campaign)),
            ('device_type', toString(device_type)), ('store', toString(store))]) AS d, d.1 AS dimension, d.2 AS value
        FROM touchpoints WHERE workspace = {workspace:String} AND NOT bot
        UNION ALL
        SELECT ('', '') AS d, 'campaign', coalesce(nullIf(ifNull(coalesce(properties.campaign_name.:String, toString(properties.campaign_name.:Int64)), ''), ''),
            properties.campaign_id.:String, toString(properties.campaign_id.:Int64), '')
        FROM touchpoints WHERE workspace = {workspace:String} AND NOT bot AND type = 'track' AND subject = 'customer' AND campaign = ''
            AND event IN ('Email Sent', 'Email Delivered', 'Email Bounced', 'Email Opened', 'Email Link Clicked', 'Email Clicked',
                'Email Unsubscribed', 'Unsubscribed')
        UNION ALL
        SELECT arrayJoin([('network', ifNull(properties.network.:String, '')), ('influencer', ifNull(properties.influencer.:String, '')),
            ('post', if(event = 'Followers Reported', '', ifNull(properties.post_id.:String, '')))]) AS d, d.1, d.2
        FROM touchpoints WHERE workspace = {workspace:String} AND NOT bot AND type = 'track'
            AND event IN ('Followers Reported', 'Post Reported', 'Brand Mentioned')
        UNION ALL
        SELECT ('', '') AS d, 'product', product_id
        FROM order_lines WHERE workspace = {workspace:String} AND (timeline, message_id) NOT IN
            (SELECT timeline, message_id FROM touchpoints WHERE workspace = {workspace:String} AND bot)
        UNION ALL
        SELECT arrayJoin([('question', toString(question_id)), ('product', toString(product)), ('touchpoint', toString(touchpoint))]) AS d, d.1, d.2
        FROM answers WHERE workspace = {workspace:String} AND (timeline, message_id) NOT IN
            (SELECT timeline, message_id FROM touchpoints WHERE workspace = {workspace:String} AND bot)
    )
    WHERE value NOT IN ('', 'other')
    GROUP BY dimension, value
    ORDER BY dimension, has({first:Map(String, Array(String))}[dimension], value) DESC, xxh3(value), value
)
GROUP BY dimension
HAVING count() > {most:UInt64}";

/// Differences that are shown of a KPI.
const SHOWN: usize = 5;

/// What the SQL of a KPI makes of all touchpoints.
const fn sql(kpi: Kpi) -> &'static str {
    macro_rules! file {
        ($name:literal) => {
            include_str!(concat!("../../../../schemas/kpis/", $name, ".sql"))
        };
    }
    match kpi {
        Kpi::Visitors => file!("visitors"),
        Kpi::Sessions => file!("sessions"),
        Kpi::TrafficSource => file!("traffic_source"),
        Kpi::ConversionRate => file!("conversion_rate"),
        Kpi::ConversionsPerVisit => file!("conversions_per_visit"),
        Kpi::ConversionRateProfiles => file!("conversion_rate_profiles"),
        Kpi::BounceRate => file!("bounce_rate"),
        Kpi::PagesPerSession => file!("pages_per_session"),
        Kpi::SessionDuration => file!("session_duration"),
        Kpi::RecognitionRate => file!("recognition_rate"),
        Kpi::DevicesPerCustomer => file!("devices_per_customer"),
        Kpi::CookiesPerCustomer => file!("cookies_per_customer"),
        Kpi::Orders => file!("orders"),
        Kpi::Revenue => file!("revenue"),
        Kpi::Margin => file!("margin"),
        Kpi::MarginCoverage => file!("margin_coverage"),
        Kpi::AverageOrderValue => file!("average_order_value"),
        Kpi::RepurchaseRate => file!("repurchase_rate"),
        Kpi::LifetimeValue => file!("lifetime_value"),
        Kpi::LifetimeMargin => file!("lifetime_margin"),
        Kpi::Customers => file!("customers"),
        Kpi::NewCustomers => file!("new_customers"),
        Kpi::Retention => file!("retention"),
        Kpi::Churn => file!("churn"),
        Kpi::Lifecycle => file!("lifecycle"),
        Kpi::LoyaltyQuadrant => file!("loyalty_quadrant"),
        Kpi::LoyaltyPoints => file!("loyalty_points"),
        Kpi::Nps => file!("nps"),
        Kpi::NpsFromOne => file!("nps_1_10"),
        Kpi::Csat => file!("csat"),
        Kpi::Ces => file!("ces"),
        Kpi::Leads => file!("leads"),
        Kpi::Contacts => file!("contacts"),
        Kpi::Spend => file!("spend"),
        Kpi::CostPerLead => file!("cost_per_lead"),
        Kpi::CostPerContact => file!("cost_per_contact"),
        Kpi::EmailSent => file!("email_sent"),
        Kpi::EmailDelivered => file!("email_delivered"),
        Kpi::EmailOpenRate => file!("email_open_rate"),
        Kpi::EmailClickRate => file!("email_click_rate"),
        Kpi::EmailClickToOpen => file!("email_click_to_open"),
        Kpi::EmailUnsubscribeRate => file!("email_unsubscribe_rate"),
        Kpi::SocialFollowers => file!("social_followers"),
        Kpi::SocialReach => file!("social_reach"),
        Kpi::SocialImpressions => file!("social_impressions"),
        Kpi::SocialEngagement => file!("social_engagement"),
        Kpi::SocialEngagementRate => file!("social_engagement_rate"),
        Kpi::Mentions => file!("mentions"),
    }
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    workspace: String,
    kpis: Vec<Compared>,
}

/// A KPI, over all windows.
#[derive(Debug, Default, Serialize)]
struct Compared {
    kpi: &'static str,
    /// Values that one of the two has.
    marks: u64,
    /// Those that the other has not, or otherwise.
    differing: u64,
    /// A few of them.
    differences: Vec<Difference>,
}

/// A value of which the two ways make two.
#[derive(Debug, Serialize)]
struct Difference {
    window: String,
    currency: String,
    dimension: String,
    dimension_value: String,
    window_end: String,
    /// In `kpis_current`; 0 of 0 where there is no row.
    stream: Value,
    sql: Value,
}

#[derive(Debug, Serialize)]
struct Value {
    numerator: String,
    denominator: i64,
}

/// Compares what the file's SQL makes with what the stream has published.
fn question(kpi: Kpi) -> String {
    let computed = sql(kpi);
    // A sum of nothing, and a rate of nothing, have no row.
    let (of_all, is_something) = if kpi.is_ratio() {
        ("sum(denominator)", "cd != 0")
    } else {
        ("toInt64(1)", "cn != 0")
    };
    // Values that are not told apart are one, if what they come to means something.
    let told_apart = format!(
        "(NOT mapContains({TOLD_APART}, by) OR has({TOLD_APART}[by], toString(dimension_value)))"
    );
    let (counted_as, counts) = if kpi.adds_up() {
        (
            format!("if({told_apart}, toString(dimension_value), 'other')"),
            "true".to_owned(),
        )
    } else {
        ("toString(dimension_value)".to_owned(), told_apart)
    };
    format!(
        "SELECT count() AS marks, countIf(NOT same) AS differing, \
         groupArrayIf({SHOWN})((of, money, by, is, mark, toString(n), d, toString(cn), cd), NOT same) AS differences \
         FROM (SELECT of, money, by, is, mark, sum(n) AS n, sum(d) AS d, sum(cn) AS cn, sum(cd) AS cd, n = cn AND d = cd AS same FROM \
          (SELECT toString(window) AS of, toString(currency) AS money, toString(dimension) AS by, {counted_as} AS is, \
           mark, toDecimal128(0, 6) AS n, toInt64(0) AS d, toDecimal128(sum(numerator), 6) AS cn, {of_all} AS cd FROM (\n{computed}\n) WHERE dimension IN {{dimensions:Array(String)}} AND {counts} \
           GROUP BY of, money, by, is, mark HAVING {is_something} \
           UNION ALL SELECT toString(window), toString(currency), toString(dimension), dimension_value, \
           toInt64(intDiv(toUnixTimestamp64Milli(window_end), w.step)), numerator, denominator, toDecimal128(0, 6), toInt64(0) \
           FROM (SELECT *, arrayFirst(w -> w.name = window, {WINDOWS}) AS w FROM kpis_current \
            WHERE workspace = {{workspace:String}} AND kpi = {{kpi:String}}) WHERE window = w.name AND toUnixTimestamp64Milli(window_end) BETWEEN w.first * w.step AND w.last * w.step) \
          GROUP BY of, money, by, is, mark ORDER BY of, money, by, is, mark)"
    )
}

/// Runs the check.
pub(super) fn run(options: &Options, config: &Config) -> Result<(), Failure> {
    let kpis = match options.kpi.as_deref() {
        None => Kpi::ALL.to_vec(),
        Some(name) => vec![Kpi::named(name).ok_or_else(|| {
            let names: Vec<&str> = Kpi::ALL.into_iter().map(Kpi::slug).collect();
            let names = names.join(", ");
            Failure::usage(format!("--kpi: there is no `{name}`; there are {names}"))
        })?],
    };
    let workspace = &workspace::named(options.workspace.as_deref(), config)?.name;
    let at = options.at.as_deref().map(moment::at).transpose()?;
    let at = at.map(jiff::Timestamp::as_millisecond);
    let now = || jiff::Timestamp::now().as_millisecond();
    if spans(now(), at, config).is_empty() {
        return Err(Failure::usage(
            "--at: no mark of that time is kept, or it is yet to come: `kpi.keep` says for how long",
        ));
    }
    let clickhouse = ClickHouse::find(config)?.patient();
    let told_apart = told_apart(&clickhouse, workspace, config).map_err(Failure::failed)?;
    let definitions = [
        ("told_apart", told_apart),
        ("goals", lists(&config.kpi.goals)),
        ("customer_days", config.kpi.customer_days.to_string()),
        ("high_attitude", config.kpi.attitude.high.to_string()),
        ("low_attitude", config.kpi.attitude.low.to_string()),
        ("dimensions", dimensions(config)),
        ("prefetched_opens", config.kpi.prefetched_opens.to_string()),
        ("person_types", person_types(config, workspace)),
        ("qualifying_sources", qualifying_sources(config, workspace)),
        ("currency", currency(config, workspace)),
    ];
    let mut report = Report {
        workspace: workspace.to_owned(),
        kpis: Vec::new(),
    };
    report.kpis = each_at_once(&kpis, |kpi| {
        let spans = spans(now(), at, config);
        compare(&clickhouse, kpi, workspace, &definitions, &spans)
    })
    .map_err(Failure::failed)?;
    if options.json {
        let json = serde_json::to_string_pretty(&report).map_err(Failure::failed)?;
        println!("{json}");
    } else {
        print!("{}", report.text());
    }
    let sum = |of: fn(&Compared) -> u64| report.kpis.iter().map(of).sum::<u64>();
    match (sum(|kpi| kpi.differing), sum(|kpi| kpi.marks)) {
        // Whoever forgets to name the workspace should not read that all is well.
        (0, 0) if is_empty(&clickhouse, workspace).map_err(Failure::failed)? => {
            Err(Failure::failed(format!(
                "workspace `{workspace}` has no touchpoints, so nothing was compared: name another with --workspace, and \
                 with --config the configuration that it is in"
            )))
        }
        (0, _) => Ok(()),
        (differing, _) => Err(Failure::wrong(format!("{differing} values differ"))),
    }
}

/// Whether nothing was ever stored of a workspace.
fn is_empty(clickhouse: &ClickHouse, workspace: &str) -> Result<bool, String> {
    let sql = "SELECT 1 AS one FROM touchpoints WHERE workspace = {workspace:String} LIMIT 1";
    let rows: Vec<serde_json::Value> = clickhouse.rows(sql, &[("workspace", workspace)])?;
    Ok(rows.is_empty())
}

/// What is asked of each KPI, in their order, as many at once as there are cores, and at most four: the engine plans such a
/// question on one.
fn each_at_once<T: Send>(
    kpis: &[Kpi],
    ask: impl Fn(Kpi) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut answers = Vec::new();
        while let Some(kpi) = kpis.get(next.fetch_add(1, Ordering::Relaxed)) {
            answers.push((*kpi, ask(*kpi)?));
        }
        Ok(answers)
    };
    let mut answers = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores.min(4)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let worked: Result<Vec<_>, String> = worker.join().expect("no question panics");
            answers.extend(worked?);
        }
        Ok::<(), String>(())
    })?;
    answers.sort_by_key(|(kpi, _)| *kpi);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// The first and last mark of each window that are compared.
fn spans(now: i64, at: Option<i64>, config: &Config) -> Vec<(Window, i64, i64)> {
    let mut spans = Vec::new();
    for window in Window::ALL {
        let keep = config.kpi.keep.window(window.name()).as_millis();
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        let oldest = window.passed(Timestamp(now.saturating_sub(keep) + LEAVING)) + 1;
        let youngest = window.passed(Timestamp(now - YOUNGEST));
        match at.map(|at| window.passed(Timestamp(at))) {
            None => spans.push((window, oldest, youngest)),
            Some(mark) if (oldest..=youngest).contains(&mark) => spans.push((window, mark, mark)),
            Some(_) => {}
        }
    }
    spans
}

fn compare(
    clickhouse: &ClickHouse,
    kpi: Kpi,
    workspace: &str,
    definitions: &[(&str, String)],
    spans: &[(Window, i64, i64)],
) -> Result<Compared, String> {
    type Differing = (
        String,
        String,
        String,
        String,
        i64,
        String,
        i64,
        String,
        i64,
    );
    #[derive(Deserialize)]
    struct Row {
        marks: u64,
        differing: u64,
        differences: Vec<Differing>,
    }
    let windows: Vec<String> = spans
        .iter()
        .map(|(window, first, last)| {
            let (name, length, step) = (window.name(), window.length(), window.step());
            format!("('{name}',{length},{step},{first},{last})")
        })
        .collect();
    let windows = format!("[{}]", windows.join(","));
    let mut parameters = vec![
        ("workspace", workspace),
        ("kpi", kpi.slug()),
        ("windows", &*windows),
    ];
    parameters.extend(definitions.iter().map(|(name, value)| (*name, &**value)));
    let rows: Vec<Row> = clickhouse
        .rows(&question(kpi), &parameters)
        .map_err(|error| format!("{}: {error}", kpi.slug()))?;
    let mut compared = Compared {
        kpi: kpi.slug(),
        ..Compared::default()
    };
    for row in rows {
        compared.marks += row.marks;
        compared.differing += row.differing;
        let differences = row.differences.into_iter().map(
            |(window, currency, dimension, dimension_value, mark, n, d, cn, cd)| {
                let step = spans.iter().find(|(of, ..)| of.name() == window);
                let end = step.and_then(|(window, ..)| {
                    jiff::Timestamp::from_millisecond(mark * window.step()).ok()
                });
                Difference {
                    window,
                    currency,
                    dimension,
                    dimension_value,
                    window_end: end.map(|end| end.to_string()).unwrap_or_default(),
                    stream: Value {
                        numerator: n,
                        denominator: d,
                    },
                    sql: Value {
                        numerator: cn,
                        denominator: cd,
                    },
                }
            },
        );
        compared.differences.extend(differences);
    }
    Ok(compared)
}

/// The values that are told apart of each dimension that has more, as ClickHouse reads a map.
fn told_apart(clickhouse: &ClickHouse, workspace: &str, config: &Config) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Row {
        dimension: String,
        told_apart: Vec<String>,
    }
    let most = config.kpi.max_values.to_string();
    let first = lists(&config.kpi.first_values);
    let parameters = [("workspace", workspace), ("most", &most), ("first", &first)];
    let rows: Vec<Row> = clickhouse
        .rows(VALUES, &parameters)
        .map_err(|error| format!("values of dimensions: {error}"))?;
    let told_apart = rows.into_iter().map(|row| (row.dimension, row.told_apart));
    Ok(lists(&told_apart.collect()))
}

/// The types of identifiers that name persons in a workspace, as ClickHouse reads an array.
fn person_types(config: &Config, workspace: &str) -> String {
    let mut workspaces = config.workspaces.iter();
    let of = workspaces.find(|known| known.name == workspace);
    let types = of.into_iter().flat_map(|known| &known.identity.types);
    let persons = types.filter(|(_, r#type)| r#type.kind == Kind::Person);
    let persons: Vec<String> = persons.map(|(name, _)| quoted(name)).collect();
    format!("[{}]", persons.join(","))
}

/// The sources of a workspace that say which leads are qualified, as ClickHouse reads an array.
fn qualifying_sources(config: &Config, workspace: &str) -> String {
    let sources = config.sources.iter();
    let of = sources.filter(|source| source.workspace == workspace && source.qualifies_leads);
    let names: Vec<String> = of.map(|source| quoted(&source.name)).collect();
    format!("[{}]", names.join(","))
}

/// The dimensions that are counted, the whole among them, as ClickHouse reads an array.
fn dimensions(config: &Config) -> String {
    let counted = Dimension::ALL.into_iter().filter(|dimension| {
        let mut names = config.kpi.dimensions.iter();
        !Dimension::OPTIONAL.contains(dimension) || names.any(|name| name == dimension.name())
    });
    let counted: Vec<String> = counted.map(|dimension| quoted(dimension.name())).collect();
    format!("[{}]", counted.join(","))
}

/// The workspace's currency.
fn currency(config: &Config, workspace: &str) -> String {
    let mut workspaces = config.workspaces.iter();
    let of = workspaces.find(|known| known.name == workspace);
    of.map_or_else(String::new, |known| known.currency.clone())
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Lists by name, such as the events of goals, as ClickHouse reads a map.
fn lists(lists: &BTreeMap<String, Vec<String>>) -> String {
    let lists: Vec<String> = lists
        .iter()
        .map(|(name, texts)| {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            format!("{}:[{}]", quoted(name), texts.join(","))
        })
        .collect();
    format!("{{{}}}", lists.join(","))
}

impl Report {
    fn text(&self) -> String {
        let mut lines = vec![format!("{:<22} {:>9} {:>9}", "KPI", "values", "differing")];
        for kpi in &self.kpis {
            lines.push(format!(
                "{:<22} {:>9} {:>9}",
                kpi.kpi, kpi.marks, kpi.differing
            ));
            lines.extend(kpi.differences.iter().map(Difference::text));
        }
        lines.join("\n") + "\n"
    }
}

impl Difference {
    fn text(&self) -> String {
        let by = match self.dimension.as_str() {
            "" => String::new(),
            dimension => format!(" by {dimension} {}", self.dimension_value),
        };
        let currency = match self.currency.as_str() {
            "" => String::new(),
            currency => format!(" in {currency}"),
        };
        format!(
            "  {}{by}{currency} at {}: {} of {} in kpis_current, {} of {} by SQL",
            self.window,
            self.window_end,
            self.stream.numerator,
            self.stream.denominator,
            self.sql.numerator,
            self.sql.denominator
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_with_a_quote_is_no_part_of_the_sql() {
        let config = BTreeMap::from([("o'clock".to_owned(), vec!["A\\B".to_owned()])]);
        assert_eq!(lists(&config), "{'o\\'clock':['A\\\\B']}");
    }

    #[test]
    fn marks_are_compared_from_the_oldest_that_is_kept_to_the_last_that_has_passed() {
        let config = Config::default();
        let now = 1_793_000_000_000;
        let all = spans(now, None, &config);
        assert_eq!(all.len(), 6);
        let (window, first, last) = all[0];
        assert_eq!(window, Window::Hour);
        assert_eq!(last, (now - YOUNGEST) / 60_000);
        let about_to_leave = 10;
        let marks = 8 * 24 * 60 - about_to_leave;
        assert_eq!(last - first, marks - 1, "8 days, less the seconds");
        // Half a year ago only the marks of long windows are kept.
        let then = spans(now, Some(now - 180 * 86_400_000), &config);
        let windows: Vec<Window> = then.iter().map(|(window, ..)| *window).collect();
        assert_eq!(windows, Window::ALL[2..]);
        assert!(then.iter().all(|(_, first, last)| first == last));
        assert!(spans(now, Some(now + 86_400_000), &config).is_empty());
    }
}
