//! Shows how far an import is: a bar on a terminal, else now and then a line.

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(5);
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// The progress of an import, on standard error.
#[derive(Debug)]
pub(super) struct Display {
    bar: ProgressBar,
    terminal: bool,
    start: Instant,
    from: u64,
    last_line: Instant,
}

impl Display {
    /// Of a file with that many lines, of which `done` were done before.
    pub(super) fn new(lines: u64, done: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal {
            ProgressBar::new(lines)
        } else {
            ProgressBar::hidden()
        };
        let style = "{bar:30} {human_pos} of {human_len} rows  {per_sec}  {eta} left  {msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is well formed"));
        bar.set_position(done);
        bar.reset_eta();
        if terminal {
            bar.enable_steady_tick(REDRAW_EVERY);
        }
        Display {
            bar,
            terminal,
            start: Instant::now(),
            from: done,
            last_line: Instant::now(),
        }
    }

    /// So many lines are done.
    pub(super) fn at(&mut self, done: u64, lines: u64, rejected: u64) {
        self.bar.set_position(done);
        self.bar.set_message(if rejected == 0 {
            String::new()
        } else {
            format!("{} rejected", HumanCount(rejected))
        });
        if !self.terminal && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let rate = (done - self.from) as f64 / self.start.elapsed().as_secs_f64();
            let left = Duration::from_secs_f64(((lines - done) as f64 / rate.max(1.0)).min(1e9));
            eprintln!(
                "import: {} of {} rows, {rate:.0} rows/s, {} left, {} rejected",
                HumanCount(done),
                HumanCount(lines),
                HumanDuration(left),
                HumanCount(rejected)
            );
        }
    }

    /// Something that the person should know meanwhile.
    pub(super) fn say(&self, text: &str) {
        if self.terminal {
            self.bar.println(text);
        } else {
            eprintln!("import: {text}");
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
