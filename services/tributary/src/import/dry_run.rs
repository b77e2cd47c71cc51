//! What an import would do.

use super::display::Display;
use super::rejects::Rejects;
use super::rows::Rows;
use super::transfer::Import;
use super::{Error, Summary, unwritable};
use serde_json::value::RawValue;

/// Events that are shown.
const SHOWN_EVENTS: u64 = 3;
/// Rejected rows that are shown where no file takes them.
const SHOWN_REJECTS: u64 = 10;

impl Import<'_> {
    /// Reads everything and sends nothing.
    pub(super) fn dry_run(&self, rows: &mut Rows) -> Result<Summary, Error> {
        let mut summary = Summary {
            accepted: 0,
            rejected: 0,
        };
        let mut rejects = match &self.options.rejects {
            Some(path) => Some(Rejects::open(path, 0).map_err(|error| unwritable(path, &error))?),
            None => None,
        };
        let mut display = Display::new(self.survey.lines, 0);
        while let Some(row) = self.next(rows)? {
            match self.builder.build(&row) {
                Ok(event) => {
                    summary.accepted += 1;
                    if summary.accepted <= SHOWN_EVENTS {
                        println!("{}", pretty(&event));
                    }
                }
                Err(reject) => {
                    summary.rejected += 1;
                    if let Some(rejects) = &mut rejects {
                        rejects
                            .write(&reject)
                            .map_err(|error| unwritable(rejects.path(), &error))?;
                    } else if summary.rejected <= SHOWN_REJECTS {
                        display.say(&format!("line {}: {}", reject.line, reject.what()));
                    }
                }
            }
            display.at(row.end.lines, self.survey.lines, summary.rejected);
        }
        if let Some(rejects) = &mut rejects {
            rejects
                .sync()
                .map_err(|error| unwritable(rejects.path(), &error))?;
        }
        display.finish();
        println!(
            "dry run: {} rows would be sent, {} would be rejected; nothing was sent",
            summary.accepted, summary.rejected
        );
        Ok(summary)
    }
}

fn pretty(event: &RawValue) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(event.get()).ok();
    value
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| event.get().to_owned())
}
