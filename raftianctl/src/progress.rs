//! What is said while something takes long: after a second, what is still missing.
//!
//! Invariant: on standard error only; a spinner on a terminal, a single line elsewhere, nothing with `--quiet`.

use std::convert::Infallible;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use raftian_rpc::connect;
use raftian_rpc::lab::{LabClient as _, LabStatus, NodeState};
use tokio::time::sleep;

use crate::connect::Daemon;
use crate::output::Output;

/// Until this nothing is said.
const SILENCE: Duration = Duration::from_secs(1);

/// How often the lab is looked at after that.
const LOOK: Duration = Duration::from_millis(300);

/// Does `work`, and says what the lab looks like if it takes long.
pub(crate) async fn watched<T>(output: Output, daemon: &Daemon, work: impl Future<Output = T>) -> T {
    tokio::select! {
        done = work => done,
        never = tell(output, daemon) => match never {},
    }
}

/// A spinner on standard error; hidden where it would be in the way.
pub(crate) fn spinner(output: Output) -> ProgressBar {
    if output.is_quiet() || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("a valid template");
    spinner.set_style(style);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

async fn tell(output: Output, daemon: &Daemon) -> Infallible {
    sleep(SILENCE).await;
    let spinner = Cleared(spinner(output));
    let mut told = false;
    loop {
        if let Ok(lab) = connect::http(daemon.address, &daemon.secret, SILENCE)
            && let Ok(status) = lab.status().await
        {
            let text = standing(&status);
            if spinner.0.is_hidden() && !told {
                output.note(&format!("{text} …"));
                told = true;
            }
            spinner.0.set_message(text);
        }
        sleep(LOOK).await;
    }
}

/// Leaves no trace of the spinner, whoever drops the future it turns in.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// `no leader for 1.2 s: n1, which led term 1, was killed; n3 asks for votes in term 2`; while nodes start, how many are up.
fn standing(status: &LabStatus) -> String {
    let count = |state| status.nodes.iter().filter(|node| node.state == state).count();
    if let (None, Some(reason), 0) = (status.leader, status.reasons.first(), count(NodeState::Starting)) {
        return reason.to_string();
    }
    let mut parts = vec![format!("{} of {} up", count(NodeState::Running), crate::words::nodes(status.nodes.len()))];
    for (state, word) in [(NodeState::Paused, "paused"), (NodeState::Failed, "failed")] {
        if count(state) > 0 {
            parts.push(format!("{} {word}", count(state)));
        }
    }
    let leader = match status.leader {
        Some(leader) => format!("{leader} leads term {}", status.term),
        None => "waiting for a leader".to_owned(),
    };
    format!("{}; {leader}", parts.join(", "))
}
