//! The process of a node: started on the node's seat, read line by line, and recorded in the state and the journal.
//!
//! Invariant: each process has one task that owns it, and only that task reads it and takes note of its end.
//!
//! Processes are spawned on the thread of the runtime, which is the main thread, so it outlives them.
//!
//! Deliberately absent: groups, descriptors, pipes; those are `raftian-supervise`'s.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::assignment::{Assignment, HostedGame, Trim};
use raftian_rpc::control::{NodeConfig, NodeNotice};
use raftian_rpc::game::{Display, GameConfig};
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::host_event::HostEvent;
use raftian_rpc::lab::{GameChoice, Happening, NodeState};
use raftian_rpc::{NodeId, RaftEvent, VERSION, connect};
use raftian_supervise::{Launch, Process, ProcessEvent, SpawnError};
use rustix::process::Signal;

use crate::lab::Lab;
use crate::node::{Intent, Role, Running};

/// How long a call to a node may take at the most; callers that want less say so.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Spawns the process of a node.
///
/// # Errors
/// A sentence, when nothing can listen for it, there is no such program, it cannot be executed, or the node's folder cannot
/// be written. The node's state is not changed then.
pub(crate) fn spawn(lab: &Arc<Lab>, id: NodeId) -> Result<(), String> {
    let seat = lab.change(|state| state.nodes.get_mut(&id).expect("only nodes of the lab are started").seat(id));
    let seat = seat.map_err(|error| format!("nothing can listen for it on 127.0.0.1: {error}"))?;
    let (line, log) = (assignment(lab, id)?.to_line(), lab.folder.node(id).join("stderr.log"));
    let launch = Launch { program: &lab.program, line: &line, seats: &[seat], log: &log, environment: &[] };
    let process = Process::spawn(&launch).map_err(in_words)?;
    lab.change(|state| {
        let node = state.nodes.get_mut(&id).expect("only nodes of the lab are started");
        node.spawned(Running { group: process.group().clone(), intent: None });
    });
    lab.journal.record(Happening::NodeSpawned { node: id, pid: process.group().leader().pid });
    let watcher = Watcher { lab: Arc::clone(lab), id, complaint: None, crash: None };
    tokio::spawn(watcher.watch(process));
    Ok(())
}

/// The owner of a process.
struct Watcher {
    lab: Arc<Lab>,
    id: NodeId,
    /// Why it cannot go on, in its own words or ours.
    complaint: Option<String>,
    /// Where a fault has ended it.
    crash: Option<String>,
}

impl Watcher {
    async fn watch(mut self, mut process: Process) {
        let status = loop {
            match process.next().await {
                ProcessEvent::Notice(notice) => self.take_in(notice),
                ProcessEvent::InvalidLine { line, why } => self.take_in_invalid(&line, &why),
                ProcessEvent::Ended(status) => break status,
            }
        };
        self.record_end(status, || process.group().last_words());
    }

    /// Takes in what the node says.
    fn take_in(&mut self, notice: NodeNotice) {
        match notice {
            NodeNotice::Ready { version, .. } if version != VERSION => self.give_up(format!(
                "{} is version {version}, and the daemon is {VERSION}; build them together",
                self.lab.program.display()
            )),
            NodeNotice::Ready { last_index, torn_tail, .. } => self.ready(last_index, torn_tail),
            NodeNotice::Raft { at_ns, event, .. } => self.raft(at_ns, event),
            NodeNotice::Host { at_ns, event, .. } => {
                if let HostEvent::Crashing { fault, at, index, .. } = event {
                    self.crash = Some(format!("crashed at {at}, index {index} ({fault})"));
                    self.lab.struck(fault, format!("{} crashed at {at}, index {index}", self.id));
                }
                self.lab.journal.record_at(at_ns, Happening::Host { node: self.id, event });
            }
            // The group knows of it now; it is in `lab.json` from the next time that this is written.
            NodeNotice::ServerProcess { .. } => {}
            NodeNotice::Playing { at_ns } => {
                self.lab.journal.record_at(at_ns, Happening::NodePlaying { node: self.id });
            }
            NodeNotice::Failed { reason } => self.complaint = Some(reason),
        }
    }

    /// Takes in a line that is no notice.
    fn take_in_invalid(&mut self, line: &[u8], why: &str) {
        if self.is_starting() {
            let shown: String = String::from_utf8_lossy(line).chars().take(60).collect();
            self.give_up(format!(
                "it wrote `{}` where it should say that it is ready; is {} really raftian-node?",
                shown.escape_debug(),
                self.lab.program.display()
            ));
        } else {
            tracing::warn!("{}: a line on its standard output is no notice: {why}", self.id);
        }
    }

    fn is_starting(&self) -> bool {
        self.lab.state().nodes.get(&self.id).is_some_and(|node| node.state == NodeState::Starting)
    }

    /// Ends a process that is not what it should be.
    fn give_up(&mut self, complaint: String) {
        if self.complaint.is_none() {
            self.complaint = Some(complaint);
            self.lab.state().nodes[&self.id].signal(Signal::KILL);
        }
    }

    fn ready(&mut self, last_index: u64, torn_tail: Option<String>) {
        let happenings = self.lab.change(|state| {
            let node = state.nodes.get_mut(&self.id)?;
            let address = node.address()?;
            node.client = connect::http(address, &self.lab.secret, CALL_TIMEOUT).ok();
            node.torn_tail = torn_tail.clone();
            node.state = NodeState::Running;
            node.was_ready = true;
            let lost =
                node.recovered(last_index).map(|held| Happening::NodeRolledBack { node: self.id, held, last_index });
            Some([Some(Happening::NodeReady { node: self.id, address, last_index, torn_tail }), lost])
        });
        for happening in happenings.into_iter().flatten().flatten() {
            self.lab.journal.record(happening);
        }
    }

    fn raft(&mut self, at_ns: u64, event: RaftEvent) {
        let is_news = match &event {
            RaftEvent::Role { role, term, leader } => self.lab.change(|state| {
                if let Some(node) = state.nodes.get_mut(&self.id) {
                    node.heard(Role { role: *role, term: *term, leader: *leader, since_ns: at_ns });
                }
                state.hear_members_of(self.id)
            }),
            RaftEvent::Membership { configuration } => self.lab.change(|state| {
                if let Some(node) = state.nodes.get_mut(&self.id) {
                    node.configuration = configuration.clone();
                }
                state.hear_members_of(self.id)
            }),
            RaftEvent::AcknowledgementDenied { peer, index } => {
                self.lab.change(|state| {
                    if let Some(peer) = state.nodes.get_mut(peer) {
                        peer.has_lost(*index);
                    }
                });
                true
            }
            _ => false,
        };
        self.lab.journal.record_at(at_ns, Happening::Raft { node: self.id, event });
        if is_news {
            self.lab.save_members();
        }
    }

    /// Takes note of the end of the process.
    fn record_end(self, status: Option<ExitStatus>, last_line: impl FnOnce() -> Option<String>) {
        let log = self.lab.folder.node(self.id).join("wal");
        let (state, reason) = self.lab.change(|state| {
            let node = state.nodes.get_mut(&self.id).expect("a lab keeps its nodes while processes run");
            let intent = node.process.as_ref().and_then(|process| process.intent);
            let (end, reason) = exit_reason(intent, status, self.complaint, self.crash, last_line);
            // A node whose log is gone must not come back under its old name.
            let is_segment = |file: io::Result<fs::DirEntry>| {
                file.is_ok_and(|file| file.path().extension().is_some_and(|extension| extension == "wal"))
            };
            let has_log = || fs::read_dir(&log).is_ok_and(|mut files| files.any(is_segment));
            let is_lost = end == NodeState::Failed && node.was_ready && !has_log();
            let note = Note::from(reason.clone());
            node.ended(end, if is_lost { note.hint(Hint::ReplaceMember { node: self.id }) } else { note });
            (end, reason)
        });
        if state == NodeState::Failed {
            tracing::warn!("{} failed: {reason}", self.id);
            self.lab.failed_by_fault(self.id, &reason);
        }
        self.lab.journal.record(Happening::NodeExited { node: self.id, state, reason });
    }
}

/// The state in which a process leaves its node, and why, for people.
fn exit_reason(
    intent: Option<Intent>,
    status: Option<ExitStatus>,
    complaint: Option<String>,
    crash: Option<String>,
    last_line: impl FnOnce() -> Option<String>,
) -> (NodeState, String) {
    match intent {
        Some(Intent::Kill) => return (NodeState::Killed, "killed".into()),
        Some(Intent::Stop) => return (NodeState::Stopped, "stopped".into()),
        Some(Intent::StopByForce) => return (NodeState::Stopped, "did not leave when asked, and was killed".into()),
        Some(Intent::GiveUp) => return (NodeState::Failed, "did not report ready in time".into()),
        None => {}
    }
    if let Some(crash) = crash {
        return (NodeState::Killed, crash);
    }
    if let Some(complaint) = complaint {
        return (NodeState::Failed, complaint);
    }
    let how = match status {
        None => "it is not known how it ended".to_owned(),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exited with code {code}"),
            (None, Some(signal)) => format!("ended by signal {signal}, which the daemon did not send"),
            (None, None) => status.to_string(),
        },
    };
    let said = last_line().map_or(String::new(), |line| format!("; its last words: {line}"));
    (NodeState::Failed, how + &said)
}

fn assignment(lab: &Lab, id: NodeId) -> Result<Assignment, String> {
    let (settings, by_hand, expects_log, joined) = {
        let state = lab.state();
        let node = state.nodes.get(&id);
        let by_hand = state.by_hand.get(&id).cloned();
        (state.settings, by_hand, node.is_some_and(|node| node.was_ready), node.is_some_and(|node| node.joined))
    };
    let settings = settings.ok_or("this lab was never started")?;
    let config = NodeConfig {
        version: VERSION.into(),
        id,
        voters: if joined { Vec::new() } else { NodeId::first(settings.nodes).collect() },
        expects_log,
        cluster: Some(settings.cluster),
        folder: lab.folder.node(id),
        secret: lab.secret.clone(),
        seed: settings.seed,
        app: settings.app,
        app_options: settings.app_options,
        timing: settings.timing,
        compaction: settings.compaction(),
        reads: settings.reads,
        game: game(settings.game, settings.seed),
        trim: Trim { campaigns_first: settings.first_leader == Some(id) && !expects_log, ..Trim::default() },
        by_hand,
    };
    Ok(Assignment::Node(Box::new(config)))
}

/// A game that is drawn unseen; `raftianctl play` has a window of its own.
fn game(choice: GameChoice, seed: u64) -> Option<HostedGame> {
    let GameChoice::Hosted { hosting, scene, fps_cap } = choice else { return None };
    let display = Display::Headless;
    let game = GameConfig { scene, fps_cap, display, seed, clicks_per_s: None, record: None };
    Some(HostedGame { hosting, game })
}

/// Why a process could not be started, and what to do about it.
fn in_words(error: SpawnError) -> String {
    match error {
        SpawnError::Execute { program, error } if error.kind() == io::ErrorKind::NotFound => format!(
            "there is no node program at {}; build the whole workspace, or stop the daemon and have it start \
             another program (--node)",
            program.display()
        ),
        SpawnError::Execute { .. } => format!("{error}; is it really raftian-node?"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(intent: Option<Intent>, raw: i32, complaint: Option<&str>) -> (NodeState, String) {
        let status = ExitStatus::from_raw(raw);
        exit_reason(intent, Some(status), complaint.map(str::to_owned), None, || Some("out of memory".into()))
    }

    #[test]
    fn a_node_that_we_ended_did_not_fail() {
        assert_eq!(end(Some(Intent::Kill), 9, None), (NodeState::Killed, "killed".into()));
        assert_eq!(end(Some(Intent::Stop), 1 << 8, Some("disk")), (NodeState::Stopped, "stopped".into()));
        assert_eq!(end(Some(Intent::StopByForce), 9, None).0, NodeState::Stopped);
    }

    #[test]
    fn a_node_that_ended_by_itself_failed_and_says_why() {
        let own_words = end(None, 1 << 8, Some("the disk is full"));
        assert_eq!(own_words, (NodeState::Failed, "the disk is full".into()));
        assert_eq!(end(None, 3 << 8, None).1, "exited with code 3; its last words: out of memory");
        assert!(end(None, 9, None).1.starts_with("ended by signal 9, which the daemon did not send"));
    }
}
