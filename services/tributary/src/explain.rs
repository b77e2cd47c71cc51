//! `tributary explain`: who an identifier is, and why.
//!
//! ```text
//! identifier ─> identities ─> profiles ─┬─> identifiers and their spans
//!                                       ├─> links: why they are one, or why a link does not join
//!                                       ├─> refusals: what was kept apart
//!                                       └─> sessions
//! ```

mod answer;
mod between;
mod brought;
mod chain;
mod queries;
mod rows;
mod seen;
mod standing;
mod subject;
mod text;

use crate::clickhouse::ClickHouse;
use crate::exit::Failure;
use crate::moment;
use answer::Answer;
use between::Between;
use subject::Subject;
use tributary_platform::config::Config;

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// A value such as ada@shop.example, type:value such as user_id:ada, or a profile's id
    #[arg(required_unless_present = "between")]
    pub(crate) identifier: Option<String>,
    /// Whose it was at that moment of event time, as known now: 2026-11-01, or 2026-11-01T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// The shortest chain of links between two identifiers
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["identifier", "at", "type"])]
    pub(crate) between: Option<Vec<String>>,
    /// Only identifiers of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) r#type: Option<String>,
    /// Only in this workspace
    #[arg(long, value_name = "NAME")]
    pub(crate) workspace: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Examples for the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  tributary explain ada@shop.example
  tributary explain user_id:ada --json
  tributary explain anonymous_id:tablet --at 2026-11-01T10:00:00Z
  tributary explain --between user_id:ada anonymous_id:browser-1
  tributary explain 4711 --type loyalty_card --data /srv/tributary

Exit codes: 0 found, 1 there is no such identifier or ClickHouse does not answer, 2 wrong usage.";

/// Asks ClickHouse and prints what it says.
pub(crate) fn run(options: &Options, config: &Config) -> Result<(), Failure> {
    let parse =
        |text: &str| Subject::parse(text, options.r#type.as_deref()).map_err(Failure::usage);
    let at = options.at.as_deref().map(moment::at).transpose()?;
    let at = at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string());
    let clickhouse = ClickHouse::find(config)?.on_one_thread();
    let workspace = options.workspace.as_deref();
    if let Some([one, other]) = options.between.as_deref() {
        let subjects = [&parse(one)?, &parse(other)?];
        let between = Between::find(&clickhouse, subjects, workspace).map_err(Failure::failed)?;
        return print(&between, options.json, text::between);
    }
    let typed = options.identifier.as_deref().unwrap_or_default();
    let subject = parse(typed)?;
    let answer = Answer::find(
        &clickhouse,
        &subject,
        workspace,
        at.as_deref().unwrap_or_default(),
    )
    .map_err(Failure::failed)?;
    let Some(answer) = answer else {
        let by_bots = answer::events_of_bots(&clickhouse, &subject, workspace);
        let why = match by_bots.map_err(Failure::failed)? {
            0 => "what was sent a moment ago takes a second".to_owned(),
            events => format!(
                "it was seen on events of bots only ({events}), which have no customer: bots are told by context.userAgent, \
                 or the header of a browser's call"
            ),
        };
        return Err(Failure::failed(format!(
            "no identifier {typed} is known; {why}"
        )));
    };
    print(&answer, options.json, text::text)
}

fn print<T: serde::Serialize>(
    answer: &T,
    json: bool,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(answer).map_err(Failure::failed)?
        );
    } else {
        print!("{}", text(answer));
    }
    Ok(())
}
