//! What a person sees while everything comes up: a line that moves on a terminal, else a line a step.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// Progress, on standard error.
#[derive(Debug)]
pub(super) struct Screen {
    spinner: ProgressBar,
    terminal: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let spinner = match terminal {
            true => ProgressBar::new_spinner(),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        spinner.set_style(style.expect("the template is well formed"));
        Screen { spinner, terminal }
    }

    /// What happens now.
    pub(super) fn step(&self, text: impl Into<String>) {
        let text = text.into();
        match self.terminal {
            true => {
                // Draws: after a `clear` nothing may, before there is something to say.
                self.spinner.reset();
                self.spinner.set_message(text);
                self.spinner.enable_steady_tick(REDRAW_EVERY);
            }
            false => eprintln!("{text}"),
        }
    }

    /// A bar for something that can be counted; the spinner makes room.
    pub(super) fn bar(&self, what: &'static str) -> ProgressBar {
        self.clear();
        if !self.terminal {
            eprintln!("{what}");
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(
            "{msg} {bar:30} {human_pos} of {human_len}  {per_sec}  {eta} left",
        );
        let bar = ProgressBar::new(0).with_style(style.expect("the template is well formed"));
        bar.with_message(what)
    }

    /// Nothing happens any more.
    pub(super) fn clear(&self) {
        self.spinner.disable_steady_tick();
        self.spinner.set_message("");
        self.spinner.finish_and_clear();
    }
}
