//! What real processes cannot do, though a simulator can.
//!
//! Invariant: what is not refused here is carried out; a word is never passed over.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_script::{Action, Change, Condition, Plan, Scenario, Statement, Step, Whom, Wish};

use super::{by_hand, timing};

/// The first thing of a scenario that real processes cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The line that says it; 0 if there are no lines.
    pub line: usize,
    /// What it says.
    pub statement: String,
    /// Why it cannot be done.
    pub why: String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unfit { line, statement, why } = self;
        if *line > 0 {
            write!(f, "line {line}: ")?;
        }
        write!(f, "`{statement}`: {why}")
    }
}

/// Why a scenario cannot be played on real processes; `None` if it can.
pub fn unfit(scenario: &Scenario) -> Option<Unfit> {
    match by_hand::has_steps_by_hand(scenario) {
        true => unfit_by_hand(scenario),
        false => unfit_by_itself(scenario).filter(|_| unfit_by_hand(scenario).is_some()),
    }
}

/// Whether a scenario that real processes can play is played on nodes that are moved by hand: it says so, or wants what
/// only such nodes have.
pub fn is_by_hand(scenario: &Scenario) -> bool {
    by_hand::has_steps_by_hand(scenario) || unfit_by_itself(scenario).is_some()
}

/// Why a scenario cannot be played on nodes that move by themselves.
fn unfit_by_itself(scenario: &Scenario) -> Option<Unfit> {
    setting(scenario).or_else(|| {
        let mut present: BTreeSet<NodeId> = NodeId::first(scenario.plan.founders).collect();
        scenario.steps.iter().find_map(|step| {
            let why = refusal(&step.statement).or_else(|| better_by_hand(&step.statement, &scenario.plan));
            let why = why.map(str::to_owned).or_else(|| absence(step, &present));
            let why = why.map(elsewhere).or_else(|| other_app(step, &scenario.plan));
            present.extend(newcomer(&step.statement));
            why.map(|why| Unfit { line: step.line, statement: step.to_string(), why })
        })
    })
}

/// Why a scenario cannot be played on nodes that are moved by hand.
fn unfit_by_hand(scenario: &Scenario) -> Option<Unfit> {
    const NONE: &str = "the nodes of a lab have no such setting";
    let Scenario { plan, .. } = scenario;
    let mut odd = common(scenario);
    odd.extend(by_hand::setting(scenario));
    odd.push(("stubborn", plan.stubborn_clients > 0, NONE));
    odd.push(("loss", plan.client_loss_percent > 0, NONE));
    odd.push(("load", plan.load.is_some(), "what is asked for when would depend on the speed of the machine"));
    first(scenario, odd).or_else(|| {
        let mut before = Vec::new();
        scenario.steps.iter().find_map(|step| {
            let why = by_hand::refusal(&step.statement, &before).map(|why| elsewhere(why.to_owned()));
            before.push(&step.statement);
            why.map(|why| Unfit { line: step.line, statement: step.to_string(), why })
        })
    })
}

/// What no node of a lab can be.
fn common(scenario: &Scenario) -> Vec<(&'static str, bool, &'static str)> {
    let Scenario { plan, mutant, .. } = scenario;
    let is_whole_ms = |time: Duration| time.subsec_nanos().is_multiple_of(1_000_000);
    let times = [plan.election_timeout.start, plan.election_timeout.end, plan.heartbeat_interval];
    vec![
        ("mutant", mutant.is_some(), "a planted bug is in a program of its own"),
        ("election", !times.into_iter().all(is_whole_ms), "the time-outs of a lab are whole milliseconds"),
        ("election", timing(plan).validate().is_err(), "the time-outs of a lab are at most 60 s"),
    ]
}

/// The first setting that is at odds with what there is.
fn first(scenario: &Scenario, odd: Vec<(&'static str, bool, &'static str)>) -> Option<Unfit> {
    odd.into_iter().find(|(_, is_odd, _)| *is_odd).map(|(word, _, why)| Unfit {
        line: scenario.lines.of(word),
        statement: if word == "n" { "pre_vote, check_quorum".to_owned() } else { word.to_owned() },
        why: elsewhere(why.to_owned()),
    })
}

/// The first setting that the nodes of a lab do not have.
fn setting(scenario: &Scenario) -> Option<Unfit> {
    const NONE: &str = "the nodes of a lab have no such setting";
    const OWN: &str = "real processes take the time that they take";
    let Scenario { plan, .. } = scenario;
    let quiet = Plan::quiet(plan.founders);
    let mut odd = common(scenario);
    odd.extend([
        ("pre_vote", plan.pre_vote != quiet.pre_vote, NONE),
        ("check_quorum", plan.check_quorum != quiet.check_quorum, NONE),
        ("n", !plan.server_settings.is_empty(), "the nodes of a lab have no settings of their own"),
        ("batch", plan.max_append_entries != quiet.max_append_entries, NONE),
        ("append_bytes", plan.max_append_bytes != quiet.max_append_bytes, NONE),
        ("committed_batch", plan.max_committed_per_ready != quiet.max_committed_per_ready, NONE),
        ("uncommitted_bytes", plan.max_uncommitted_bytes != quiet.max_uncommitted_bytes, NONE),
        ("disk_patience", plan.disk_patience != quiet.disk_patience, NONE),
        ("chunk", plan.max_snapshot_chunk_bytes != quiet.max_snapshot_chunk_bytes, NONE),
        ("sessions", plan.limits.max_sessions != quiet.limits.max_sessions, NONE),
        ("compact_above", plan.limits.compact_above_bytes != quiet.limits.compact_above_bytes, NONE),
        ("snapshot_every", plan.snapshot_every.is_some(), NONE),
        ("keep", plan.keep != quiet.keep, NONE),
        ("disks", plan.sync_us != quiet.sync_us, OWN),
        ("segments", plan.segment_bytes != quiet.segment_bytes, NONE),
        ("crashes", plan.crashes != quiet.crashes, "a process is killed, and what it had written stays"),
        ("turns", plan.turn_us != quiet.turn_us, OWN),
        ("jobs", plan.job_us != quiet.job_us, OWN),
        ("news", plan.news_us != quiet.news_us, OWN),
        ("call_timeout", plan.call_timeout, NONE),
        ("clocks", !plan.clock_permille.is_empty() && plan.clients == 0, BY_HAND),
        ("stubborn", plan.stubborn_clients > 0, NONE),
        ("loss", plan.client_loss_percent > 0, "clients reach the nodes of a lab without loss"),
        (
            "links",
            plan.joiners > 0 && !(plan.effects.is_empty() && plan.link_effects.is_empty()),
            "a node that is yet to be added has no links; leave out `links`, or `joiners`",
        ),
    ]);
    first(scenario, odd)
}

/// What processes cannot do, and what can.
fn elsewhere(why: String) -> String {
    format!("{why}; play it with `--engine sim`")
}

/// Why a statement cannot be carried out, if so.
fn refusal(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::Do(action) => refused_action(action),
        Statement::Disk { .. }
        | Statement::Timeout { .. }
        | Statement::DeliverAll
        | Statement::Messages { .. }
        | Statement::HoldDisk { .. }
        | Statement::Sync { .. } => Some("nodes that move by themselves take no steps by hand"),
        Statement::Ask { wish: Wish::Retry(_), .. } => Some("a command by hand is sent to real processes once"),
        Statement::Ask { wish: Wish::Change(change), .. } => refused_change(change),
        Statement::Expect { condition, .. } => refused_condition(condition),
        Statement::Elect(_) | Statement::Ask { .. } | Statement::Advance(_) | Statement::Finish => None,
    }
}

/// Without clients, all that happens is by hand, and so is this: then nothing depends on the speed of the machine.
const BY_HAND: &str = "without clients, nodes are moved by hand";

/// What nodes that are moved by hand can do as well, where no client waits for an answer.
fn better_by_hand(statement: &Statement, plan: &Plan) -> Option<&'static str> {
    let is_slow_disk = matches!(statement, Statement::Do(Action::SyncTakes { .. }));
    (is_slow_disk && plan.clients == 0).then_some(BY_HAND)
}

/// Why a client cannot want this of the application.
fn other_app(step: &Step, plan: &Plan) -> Option<String> {
    let Statement::Do(Action::Op { op, .. }) = &step.statement else { return None };
    let (of, is) = (op.app(), plan.app);
    (of != is).then(|| format!("this is an operation of `{of}`, and the scenario is of `{is}`; say `app {of}`"))
}

fn refused_action(action: &Action) -> Option<&'static str> {
    match action {
        Action::Crash { keep, .. } | Action::CrashAll { keep } if *keep > 0 => {
            Some("a process that is killed loses nothing that it had written; leave out `keeping`")
        }
        Action::CrashAtBoundary { .. } => Some("real processes do not count the boundaries that they cross"),
        Action::CrashAtInstall { keep: 1.., .. } => {
            Some("a process that is killed loses nothing that it had written; leave out `keeping`")
        }
        Action::RestartWith { .. } => Some("the nodes of a lab have no settings of their own"),
        Action::Clog { .. } => Some("a link between real processes cannot be held up"),
        Action::ApplyTakes { .. } => Some("real processes take the time that they take"),
        Action::Change(change) => refused_change(change),
        Action::Op { .. }
        | Action::Crash { .. }
        | Action::CrashAll { .. }
        | Action::CrashAtInstall { .. }
        | Action::SyncTakes { .. }
        | Action::SyncFails(_)
        | Action::DiskFull { .. }
        | Action::Clock { .. }
        | Action::FlipBit { .. }
        | Action::Wipe(_)
        | Action::KeepDisk(_)
        | Action::PutBackDisk(_)
        | Action::Restart(_)
        | Action::RestartAll
        | Action::Pause(_)
        | Action::Resume(_)
        | Action::ResumeAll
        | Action::Cut { .. }
        | Action::IsolateLeader
        | Action::Heal
        | Action::Transfer(_)
        | Action::Compact { .. } => None,
    }
}

fn refused_change(change: &Change) -> Option<&'static str> {
    match change {
        Change::Members { .. } => Some("the members of a lab change one by one: `add`, `promote`, `remove`"),
        Change::AddLearner(_) | Change::Promote(_) | Change::Remove(_) => None,
    }
}

fn refused_condition(condition: &Condition) -> Option<&'static str> {
    match condition {
        Condition::Vote(..) => Some("real processes do not tell for whom they have voted"),
        Condition::Durable(..) => Some("the disks of real processes are not read while they run"),
        Condition::Sent(..) => Some("the messages of real processes are not counted by kind"),
        Condition::Violation(_) => Some("real processes have no planted bugs"),
        Condition::Leader(_)
        | Condition::AnyLeader
        | Condition::Role { .. }
        | Condition::Number(..)
        | Condition::Log(..)
        | Condition::Members { .. }
        | Condition::Value(..)
        | Condition::Read(..)
        | Condition::Acknowledged(_) => None,
    }
}

/// Something is done to a node that does not run before it is added.
fn absence(step: &Step, present: &BTreeSet<NodeId>) -> Option<String> {
    let whom = |whom: &Whom| match whom {
        Whom::Node(id) | Whom::Leader { or: id } => *id,
    };
    let named = match &step.statement {
        Statement::Do(Action::Cut { from, to }) => vec![*from, *to],
        Statement::Do(Action::Crash { node, .. } | Action::Pause(node) | Action::Compact { node, .. }) => {
            vec![whom(node)]
        }
        Statement::Do(Action::Restart(id) | Action::Resume(id) | Action::Transfer(id)) => vec![*id],
        Statement::Do(Action::Change(Change::Promote(id) | Change::Remove(id))) | Statement::Elect(id) => vec![*id],
        Statement::Ask { at, .. } => vec![*at],
        _ => Vec::new(),
    };
    let missing = named.into_iter().find(|id| !present.contains(id))?;
    Some(format!("{missing} does not run before `member add {missing} --learner`"))
}

/// The node that this adds.
fn newcomer(statement: &Statement) -> Option<NodeId> {
    match statement {
        Statement::Do(Action::Change(Change::AddLearner(id)))
        | Statement::Ask { wish: Wish::Change(Change::AddLearner(id)), .. } => Some(*id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        let scenario: Scenario = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        unfit(&scenario).map(|unfit| unfit.to_string())
    }

    #[test]
    fn what_real_processes_cannot_do_is_refused_with_its_line_and_the_reason() {
        for (line, told_of) in [
            ("kill n1 at boundary 2", "do not count the boundaries"),
            ("kill n1 at install keeping 2", "leave out `keeping`"),
            ("kill n1 keeping 2", "leave out `keeping`"),
            ("restart n1 pre_vote off", "settings of their own"),
            ("cut n1 -> n4", "n4 does not run before `member add n4 --learner`"),
            ("retry n1 x", "sent to real processes once"),
            ("member set n1,n2", "one by one"),
            ("expect vote n1 n2", "do not tell"),
            ("expect sent n1 -> n2 3", "not counted"),
            ("expect durable n1 1", "not read"),
        ] {
            let told = told(&format!("servers 3\njoiners 1\nclients 1\n{line}\nkv set k1 7\nfinish")).expect(line);
            assert!(told.starts_with("line 4: ") && told.contains(told_of), "{told}");
            assert!(told.ends_with("; play it with `--engine sim`"), "{told}");
        }
    }

    #[test]
    fn what_cannot_be_done_to_nodes_that_are_moved_by_hand_is_refused_with_its_line_and_the_reason() {
        for (line, told_of) in [
            ("kv set k1 7", "say `propose` or `read`"),
            ("expect acknowledged 1", "say `propose` or `read`"),
            ("disk n1 flips entry 3", "the machine's"),
            ("kill n1 at boundary 2", "not at a point"),
            ("restart n1 pre_vote off", "keep their settings"),
            ("n2 log 1 1", "only when the lab begins"),
            ("app n1 takes 20ms", "the time that they take"),
        ] {
            let told = told(&format!("servers 3\nclients 1\ntimeout n1\n{line}\nfinish")).expect(line);
            assert!(told.starts_with("line 4: ") && told.contains(told_of), "{told}");
            assert!(told.ends_with("; play it with `--engine sim`"), "{told}");
        }
        for setting in ["turns 3ms", "crashes torn", "links drop 0.1", "jobs 3ms"] {
            let told = told(&format!("servers 3\n{setting}\ntimeout n1")).expect(setting);
            assert!(told.starts_with("line 2: `"), "{told}");
        }
    }

    #[test]
    fn what_only_nodes_have_that_are_moved_by_hand_is_played_on_such_nodes() {
        for line in ["pre_vote off", "batch 1", "n2 pre_vote off", "clocks 1000 900", "disks 1ms..2ms"] {
            let scenario: Scenario = format!("servers 3\n{line}\nelect n1").parse().unwrap();
            assert!(unfit(&scenario).is_none() && is_by_hand(&scenario), "{line}");
        }
        for line in ["deliver n2 -> n1", "n1 log 1 1", "sync n1", "retry n1 x", "expect vote n1 n2", "member set n1,n2"]
        {
            let scenario: Scenario = format!("servers 3\n{line}").parse().unwrap();
            assert!(unfit(&scenario).is_none() && is_by_hand(&scenario), "{line}");
        }
    }

    #[test]
    fn what_a_client_wants_of_another_application_is_refused() {
        let scenario = "servers 3\nclients 1\nelect n1\nattack 3";
        let why = "this is an operation of `attack`, and the scenario is of `kv`; say `app attack`";
        assert_eq!(told(scenario), Some(format!("line 4: `client 0 attack 3`: {why}")));
    }

    #[test]
    fn settings_that_a_lab_does_not_have_are_refused_with_their_line() {
        for setting in ["turns 3ms", "pre_vote off", "crashes torn", "batch 1", "n2 pre_vote off"] {
            let told = told(&format!("servers 3\n{setting}\nclients 1\nkv set k1 7")).expect(setting);
            assert!(told.starts_with("line 2: `"), "{told}");
        }
        assert!(told("servers 3\nelection 1500us..2ms\nheartbeat 1ms").unwrap().contains("whole milliseconds"));
    }

    #[test]
    fn what_a_lab_has_is_not_refused() {
        let fit = "servers 3\njoiners 1\nseed 7\napp kv\nelection 300ms..600ms\nheartbeat 50ms\nlease 10%\nclients 2\n\
                   patience 400ms\nattempts 8\nelect n1\npropose n1 x\nclient 1 kv set k1 7\nkill @leader or n2\n\
                   partition n1 n2,n3\nheal\nmember add n4 --learner\ncut n1 -> n4\nmember promote n4 via n1\n\
                   at 9s transfer-leader n2\nclock n2 rate 1.1\nclock n2 freeze\nclock n2 true\ndisk n3 takes 20ms\n\
                   disk n3 full\ndisk n3 has_room\ndisk @leader or n1 fails\nkill n3 at install\ndisk n3 kept\n\
                   disk n3 flips entry 3\ndisk n3 put_back\ndisk n3 wiped\nsnapshot n1 keep 2\nread n2\nexpect read 1 served\nexpect log n1 1 1\n\
                   expect acknowledged >= 1\nfinish";
        assert_eq!(told(fit), None);
        assert!(!is_by_hand(&fit.parse().unwrap()));
    }
}
