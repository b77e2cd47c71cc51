//! `tributary explain`: who an identifier is, and why.
//!
//! ```text
//! identifier ─> identities ─> profiles ─┬─> identifiers and their spans
//!                                       ├─> links: why they are one
//!                                       ├─> refusals: what was kept apart
//!                                       └─> sessions
//! ```

mod answer;
mod subject;
mod text;

use crate::clickhouse::ClickHouse;
use crate::exit::Failure;
use answer::Answer;
use subject::Subject;
use tributary_platform::config::Config;
use tributary_platform::endpoints::Endpoints;

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// A value such as ada@shop.example, type:value such as user_id:ada, or a profile's id
    pub(crate) identifier: String,
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
  tributary explain 4711 --type loyalty_card --data /srv/tributary

Exit codes: 0 found, 1 there is no such identifier or ClickHouse does not answer, 2 wrong usage.";

/// Asks ClickHouse and prints what it says.
pub(crate) fn run(options: &Options, config: &Config) -> Result<(), Failure> {
    let subject =
        Subject::parse(&options.identifier, options.r#type.as_deref()).map_err(Failure::usage)?;
    let mut config = config.clone();
    if config.clickhouse.url.is_empty() {
        Endpoints::read(&config.data)
            .map_err(Failure::failed)?
            .complete(&mut config);
    }
    let clickhouse = ClickHouse::new(&config.clickhouse);
    let answer = Answer::find(&clickhouse, &subject, options.workspace.as_deref())
        .map_err(Failure::failed)?;
    let Some(answer) = answer else {
        let by_bots = answer::events_of_bots(&clickhouse, &subject, options.workspace.as_deref());
        let why = match by_bots.map_err(Failure::failed)? {
            0 => "what was sent a moment ago takes a second".to_owned(),
            events => format!(
                "it was seen on events of bots only ({events}), which have no customer: bots are told by context.userAgent, \
                 or the header of a browser's call"
            ),
        };
        return Err(Failure::failed(format!(
            "no identifier {} is known; {why}",
            options.identifier
        )));
    };
    if options.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&answer).map_err(Failure::failed)?
        );
    } else {
        print!("{}", text::text(&answer));
    }
    Ok(())
}
