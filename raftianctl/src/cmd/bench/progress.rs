//! How a run of experiments is shown while it goes on.
//!
//! Invariants: on standard error only; a bar on a terminal, a line now and then elsewhere, nothing with `--quiet`. While
//! a trial is measured the bar is drawn once a second, no more: drawing costs time, too.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use raftian_bench::suite::runner::News;

use crate::output::Output;
use crate::words::{millis, spell_ms};

/// How often the bar moves by itself.
const TICK: Duration = Duration::from_secs(1);

/// How often there is a line where there is no bar.
const LINE: Duration = Duration::from_secs(10);

/// The steps of the bar.
const STEPS: u64 = 1_000;

/// A bar, or lines instead.
pub(crate) struct Bar {
    output: Output,
    bar: ProgressBar,
    last_line: Cell<Option<Instant>>,
}

impl Bar {
    /// A bar at its beginning.
    pub(crate) fn new(output: Output) -> Bar {
        let bar = match !output.is_quiet() && std::io::stderr().is_terminal() {
            true => ProgressBar::new(STEPS),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {elapsed_precise}  {msg}");
        bar.set_style(style.expect("a valid template"));
        bar.enable_steady_tick(TICK);
        Bar { output, bar, last_line: Cell::new(None) }
    }

    /// Shows what is new.
    pub(crate) fn show(&self, news: &News) {
        match news {
            News::Note(text) => self.bar.suspend(|| self.output.note(text)),
            News::Waiting(foreign) => {
                self.standing(&format!("waiting for a quiet machine; others use {:.0} % of it", foreign * 100.0));
            }
            News::Trial { experiment, block, arm, done, left } => {
                self.bar.set_position((done * STEPS as f64) as u64);
                let left = match millis(*left) / 1_000 {
                    0 => "nearly done".to_owned(),
                    seconds => format!("{} left", spell_ms(seconds * 1_000)),
                };
                self.standing(&format!("{experiment} block {}: {arm}; {left}", block + 1));
            }
        }
    }

    /// Leaves no trace.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn standing(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        let is_time = self.last_line.get().is_none_or(|at| at.elapsed() >= LINE);
        if self.bar.is_hidden() && is_time {
            self.output.note(text);
            self.last_line.set(Some(Instant::now()));
        }
    }
}

/// A command that is interrupted leaves no trace either.
impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}
