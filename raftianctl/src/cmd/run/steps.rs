//! A scenario is played line by line: somebody asks for each.
//!
//! Invariant: a line begins when Enter was pressed, or after `c` all the rest do; likewise at the end of the input.
//!
//! Deliberately absent: going back. Nothing that a cluster did can be undone; play it again.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// What asks for each line.
#[derive(Debug)]
pub(super) struct Steps {
    lines: UnboundedReceiver<String>,
    /// Whether it blocks the thread while it waits: in virtual time nothing else goes on.
    blocks: bool,
    goes_on: bool,
    has_explained: bool,
}

impl Steps {
    /// Reads standard input from now on.
    pub(super) fn begin(blocks: bool) -> Steps {
        let (sender, lines) = unbounded_channel();
        // The thread ends with the process: nothing can take its read back.
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Steps { lines, blocks, goes_on: false, has_explained: false }
    }

    /// Says what comes next, unless all that is left just goes on.
    pub(super) fn ask(&mut self, next: &str) {
        if self.goes_on {
            return;
        }
        let keys = if self.has_explained { "" } else { "   (Enter: do it; c and Enter: do all that is left)" };
        self.has_explained = true;
        // A prompt that cannot be written is lost: nothing depends on it.
        let _ = write!(io::stderr(), "       next  {next}{keys} ").and_then(|()| io::stderr().flush());
    }

    /// Waits until the next line may begin.
    pub(super) async fn wait(&mut self) {
        if self.goes_on {
            return;
        }
        let echoes = io::stdin().is_terminal();
        let line = if self.blocks { self.lines.blocking_recv() } else { self.lines.recv().await };
        if !echoes {
            let _ = writeln!(io::stderr());
        }
        if line.is_none() {
            let _ = writeln!(io::stderr(), "no more input: all that is left is done");
        }
        self.goes_on = line.is_none_or(|line| line.trim().eq_ignore_ascii_case("c"));
    }
}
