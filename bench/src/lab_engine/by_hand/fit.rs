//! What cannot be played on nodes that are moved by hand, though a simulator can.
//!
//! Invariant: as for all real processes: what is not refused is carried out.

use raftian_rpc::faults::Effect;
use raftian_script::{Action, Condition, Crashes, Plan, Scenario, Statement};

/// Whether a scenario moves nodes by hand.
pub(crate) fn has_steps_by_hand(scenario: &Scenario) -> bool {
    let is_by_hand = |statement: &Statement| {
        matches!(
            statement,
            Statement::Disk { .. }
                | Statement::Timeout { .. }
                | Statement::DeliverAll
                | Statement::Messages { .. }
                | Statement::HoldDisk { .. }
                | Statement::Sync { .. }
        )
    };
    scenario.steps.iter().any(|step| is_by_hand(&step.statement))
}

/// The settings that nodes have that are moved by hand, among those that other nodes do not have: by the word of each,
/// whether it is at odds with them, and why.
pub(crate) fn setting(scenario: &Scenario) -> Vec<(&'static str, bool, &'static str)> {
    const OWN: &str = "real processes take the time that they take, and it is not seen here";
    let Scenario { plan, .. } = scenario;
    let quiet = Plan::quiet(plan.founders);
    let is_plain = |effect: &Effect| matches!(effect, Effect::Latency { jitter_ms, .. } if *jitter_ms == 0.0);
    let are_plain = plan.effects.iter().all(is_plain) && plan.link_effects.iter().all(|on| is_plain(&on.effect));
    vec![
        ("links", !are_plain, "where nodes are moved by hand, nothing happens to messages by chance"),
        ("segments", plan.segment_bytes != quiet.segment_bytes, "the logs of real processes are as they are"),
        ("crashes", plan.crashes != Crashes::Whole, "a process is killed, and what it had written stays"),
        ("turns", plan.turn_us != quiet.turn_us, OWN),
        ("jobs", plan.job_us != quiet.job_us, OWN),
        ("news", plan.news_us != quiet.news_us, "all nodes hear of cuts at once"),
    ]
}

/// Why a statement cannot be carried out where nodes are moved by hand, if so. `before` are the statements before it.
pub(crate) fn refusal(statement: &Statement, before: &[&Statement]) -> Option<&'static str> {
    match statement {
        Statement::Disk { .. } if !before.iter().all(|earlier| leaves_nodes_alone(earlier)) => {
            Some("a real process has a log to start with only when the lab begins")
        }
        Statement::Do(action) => refused_action(action),
        Statement::Expect { condition: Condition::Violation(_), .. } => Some("real processes have no planted bugs"),
        Statement::Expect { condition: Condition::Acknowledged(_), .. } => Some(CLIENTS),
        _ => None,
    }
}

const CLIENTS: &str = "clients do not wait for nodes that are moved by hand; say `propose` or `read`";

/// Whether a node is as it was before this.
fn leaves_nodes_alone(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Disk { .. }
            | Statement::HoldDisk { .. }
            | Statement::Do(Action::Cut { .. } | Action::Heal | Action::Clog { .. } | Action::SyncTakes { .. })
    )
}

fn refused_action(action: &Action) -> Option<&'static str> {
    const DISK: &str = "the disks of real processes are the machine's";
    match action {
        Action::Op { .. } => Some(CLIENTS),
        Action::CrashAtBoundary { .. } | Action::CrashAtInstall { .. } => {
            Some("real processes are killed at a time, not at a point of their program")
        }
        Action::RestartWith { .. } => Some("the nodes of a lab keep their settings"),
        Action::Clock { .. } => Some("the clocks of nodes that are moved by hand are set by `clocks`"),
        Action::ApplyTakes { .. } => Some("real processes take the time that they take"),
        Action::SyncFails(_) | Action::DiskFull { .. } | Action::FlipBit { .. } => Some(DISK),
        Action::Wipe(_) | Action::KeepDisk(_) | Action::PutBackDisk(_) => Some(DISK),
        Action::Crash { .. }
        | Action::CrashAll { .. }
        | Action::Restart(_)
        | Action::RestartAll
        | Action::Pause(_)
        | Action::Resume(_)
        | Action::ResumeAll
        | Action::Cut { .. }
        | Action::IsolateLeader
        | Action::Heal
        | Action::Clog { .. }
        | Action::SyncTakes { .. }
        | Action::Change(_)
        | Action::Transfer(_)
        | Action::Compact { .. } => None,
    }
}
