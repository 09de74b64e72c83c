//! `raftianctl status`: what every node is doing.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::control::{Membership, Standing};
use raftian_rpc::lab::{LabClient as _, LabStatus, NodeReport, NodeState};
use raftian_rpc::{AppKind, NodeId, RoleKind};

use crate::cli::Context;
use crate::cmd::fault;
use crate::failure::Failure;
use crate::output::Paint;
use crate::table::{Align, Cell, Table};
use crate::{units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl status
  raftianctl status --watch 500ms
  raftianctl status -o json | jq '.nodes[].server.term'

CPU is in percent of one core over about the last second, and with MEMORY the sum over a node's processes. FPS are the
frames per second of the game beside a server, over the last second. LOG is the last index, SNAPSHOT the last that a
snapshot stands for. DIGEST stands for the applied state: equal digests, equal states.";

/// Characters of a digest that are shown: enough to tell states apart by eye.
const DIGEST_CHARS: usize = 8;

/// Where frames per second stand in the table, where there are any: before the cost.
const FPS_COLUMN: usize = 9;

/// Where the last index of a snapshot stands, where there is one: beside that of the log.
const SNAPSHOT_COLUMN: usize = 8;

/// Show what every node is doing, and which faults are in force
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Show it again and again, every second or at another interval
    #[arg(short, long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "1s", value_parser = units::duration)]
    watch: Option<Duration>,
}

/// Shows the status, once or until interrupted.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let output = context.output;
    let Some(interval) = args.watch else {
        let status = daemon.ask(async |lab: Http| lab.status().await).await?;
        return output.data(&status, |status| page(status, monotonic_ns(), output.colour()));
    };
    let redraws = io::stdout().is_terminal() && !output.is_json();
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let status = daemon.ask(async |lab: Http| lab.status().await).await?;
        output.data(&status, |status| {
            let page = page(status, monotonic_ns(), output.colour());
            match redraws {
                true => redrawn(&page),
                false => format!("{page}\n"),
            }
        })?;
    }
}

/// The page over the last one, without the flicker of clearing the screen first.
fn redrawn(page: &str) -> String {
    let lines: Vec<&str> = page.lines().collect();
    format!("\x1b[H{}\x1b[K\x1b[J\n", lines.join("\x1b[K\n"))
}

fn page(status: &LabStatus, now_ns: u64, colour: bool) -> String {
    let mut page = headline(status);
    page.push('\n');
    if status.nodes.is_empty() {
        page.push_str("no nodes; start some with `raftianctl start`\n");
        return page;
    }
    page.push_str(&table(status).render(colour));
    for node in &status.nodes {
        if let Some(reason) = node.reason.as_deref().filter(|_| node.state == NodeState::Failed) {
            page.push_str(&format!("{}: {reason}\n", node.node));
        }
    }
    for fault in &status.faults {
        page.push_str(&format!("fault {}: {}, {}\n", fault.id, fault.title, fault::remaining(fault, now_ns)));
    }
    page.push_str(&under_way(status).unwrap_or_default());
    page.push_str(&state(status).unwrap_or_default());
    page
}

/// What the leader is about: a change of the membership, a node that is sent a snapshot, the lead itself.
fn under_way(status: &LabStatus) -> Option<String> {
    let leader = status.nodes.iter().find(|node| status.leader == Some(node.node))?.server.as_ref()?;
    let mut lines = String::new();
    if let Some(Membership { configuration, committed }) = &leader.membership
        && (configuration.is_joint() || !committed)
    {
        let committed = if *committed { "" } else { ", not committed yet" };
        lines.push_str(&format!("members are changing: {}{committed}\n", words::configuration(configuration)));
    }
    for peer in &leader.peers {
        if let Some((has, all)) = peer.snapshot_bytes {
            let [has, all] = [has, all].map(words::bytes);
            lines.push_str(&format!("{} is being sent a snapshot: {has} of {all}\n", peer.node));
        }
    }
    if let Some(to) = leader.transfer {
        lines.push_str(&format!("{} hands the lead over to {to}\n", leader.node));
    }
    Some(lines)
}

fn headline(status: &LabStatus) -> String {
    let leader = match status.leader {
        Some(leader) => format!("{leader} leads term {}", status.term),
        None => format!("no leader, highest term {}", status.term),
    };
    let app = status.app.map_or("never started".to_owned(), |app| format!("{app}, seed {}, {leader}", status.seed));
    let daemon = &status.daemon;
    let memory = words::memory(daemon.memory_bytes);
    format!("lab `{}`: {app} (daemon: process {}, {:.1} % CPU, {memory})", status.lab, daemon.pid, daemon.cpu_percent)
}

fn table(status: &LabStatus) -> Table {
    use Align::{Left, Right};
    let servers = || status.nodes.iter().filter_map(|node| node.server.as_ref());
    let plays = servers().any(|server| server.game.is_some());
    let compacts = servers().any(|server| server.snapshot_index > 0);
    let mut columns = vec![
        ("NODE", Left),
        ("STATE", Left),
        ("ROLE", Left),
        ("TERM", Right),
        ("LEADER", Left),
        ("COMMIT", Right),
        ("APPLIED", Right),
        ("LOG", Right),
        ("DIGEST", Left),
        ("CPU %", Right),
        ("MEMORY", Right),
        ("PORT", Right),
    ];
    if plays {
        columns.insert(FPS_COLUMN, ("FPS", Right));
    }
    if compacts {
        columns.insert(SNAPSHOT_COLUMN, ("SNAPSHOT", Right));
    }
    let mut table = Table::new(columns);
    for node in &status.nodes {
        let mut row = row(node, status.leader == Some(node.node));
        if plays {
            row.insert(FPS_COLUMN, fps(node));
        }
        if compacts {
            row.insert(SNAPSHOT_COLUMN, snapshot(node));
        }
        table.row(row);
    }
    table
}

/// Frames per second, of a node whose game has said how it does.
fn fps(node: &NodeReport) -> Cell {
    let game = node.server.as_ref().and_then(|server| server.game.as_ref());
    game.map_or_else(Cell::default, |game| format!("{:.0}", game.fps).into())
}

/// The last index that a snapshot stands for, of a node that has one.
fn snapshot(node: &NodeReport) -> Cell {
    let index = node.server.as_ref().map_or(0, |server| server.snapshot_index);
    if index == 0 { Cell::default() } else { index.to_string().into() }
}

fn row(node: &NodeReport, leads: bool) -> Vec<Cell> {
    let (state, paint) = match node.state {
        NodeState::Starting => ("starting", Paint::Warn),
        NodeState::Running if node.server.is_none() => ("silent", Paint::Warn),
        NodeState::Running => ("running", Paint::Plain),
        NodeState::Paused => ("paused", Paint::Warn),
        NodeState::Stopped => ("stopped", Paint::Dim),
        NodeState::Killed => ("killed", Paint::Bad),
        NodeState::Failed => ("failed", Paint::Bad),
    };
    let name_paint = if leads { Paint::Good } else { Paint::Plain };
    let mut row = vec![Cell::painted(node.node.to_string(), name_paint), Cell::painted(state, paint)];
    match &node.server {
        Some(server) => {
            let digest: String = server.digest.chars().take(DIGEST_CHARS).collect();
            row.extend([
                Cell::painted(role(node.standing, server.role), name_paint),
                server.term.to_string().into(),
                server.leader.map_or("–".to_owned(), |leader| leader.to_string()).into(),
                server.commit_index.to_string().into(),
                server.last_applied.to_string().into(),
                server.last_index.to_string().into(),
                digest.into(),
            ]);
        }
        None => row.extend((0..7).map(|_| Cell::default())),
    }
    match &node.usage {
        Some(usage) => {
            row.push(format!("{:.1}", usage.cpu_percent).into());
            row.push(words::memory(usage.memory_bytes).into());
        }
        None => row.extend([Cell::default(), Cell::default()]),
    }
    row.push(node.address.map_or(String::new(), |address| address.port().to_string()).into());
    row
}

/// What a voter does, and what the others are.
fn role(standing: Option<Standing>, role: RoleKind) -> &'static str {
    match (standing, role) {
        (_, RoleKind::Leader) => "leader",
        (Some(Standing::Learner), _) => "learner",
        (Some(Standing::Leaving), _) => "leaving",
        (None, _) => "no member",
        (Some(Standing::Voter), RoleKind::Follower) => "follower",
        (Some(Standing::Voter), RoleKind::PreCandidate) => "pre-candidate",
        (Some(Standing::Voter), RoleKind::Candidate) => "candidate",
    }
}

/// The application's state in a line, as the node with the newest sees it.
fn state(status: &LabStatus) -> Option<String> {
    let servers = status.nodes.iter().filter_map(|node| Some((node.node, node.server.as_ref()?)));
    let (node, server) = servers.max_by_key(|(_, server)| server.last_applied)?;
    match status.app? {
        AppKind::Attack => players(node, &server.state),
        AppKind::Kv => {
            let count = |name: &str| server.state.get(name).and_then(serde_json::Value::as_u64);
            Some(format!("store (on {node}): {} keys, {}\n", count("keys")?, words::bytes(count("bytes")?)))
        }
    }
}

/// The hit points of the attack game.
fn players(node: NodeId, state: &serde_json::Value) -> Option<String> {
    let players = state.get("players")?.as_array()?;
    let hp = |player: &serde_json::Value| Some(format!("{}:{}", player.get("player")?, player.get("hp")?));
    let each: Vec<String> = players.iter().filter_map(hp).collect();
    Some(format!("players (number:hp, on {node}): {}\n", each.join(" ")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use raftian_rpc::Configuration;
    use raftian_rpc::assignment::Hosting;
    use raftian_rpc::control::{Counters, NodeStatus, PeerProgress};
    use raftian_rpc::faults::Effect;
    use raftian_rpc::game::{GameReport, Scene};
    use raftian_rpc::lab::{Fault, FaultId, ProcessUsage};
    use serde_json::json;

    use super::*;

    fn node(number: u16, state: NodeState) -> NodeReport {
        let server = NodeStatus {
            node: format!("n{number}").parse().unwrap(),
            pid: 7,
            network_version: 1,
            role: if number == 2 { RoleKind::Leader } else { RoleKind::Follower },
            term: 3,
            leader: "n2".parse().ok(),
            quorum_contact_ms: None,
            membership: None,
            transfer: None,
            peers: vec![],
            snapshot_index: 0,
            first_index: 1,
            last_index: 14,
            commit_index: 14,
            last_applied: 14,
            digest: "3fa9c1d27788".into(),
            state: json!({ "players": [{ "player": 1, "hp": 70 }, { "player": 2, "hp": 100 }] }),
            counters: Counters::default(),
            game: None,
        };
        let running = state == NodeState::Running;
        NodeReport {
            node: format!("n{number}").parse().unwrap(),
            state,
            standing: Some(Standing::Voter),
            reason: (state == NodeState::Failed).then(|| "the disk is full".to_owned()),
            address: Some(([127, 0, 0, 1], 40_000 + number).into()),
            usage: running.then_some(ProcessUsage { pid: 7, cpu_percent: 1.25, cpu_ms: 9, memory_bytes: 8_100_000 }),
            starts: 1,
            server: running.then_some(server),
        }
    }

    fn status() -> LabStatus {
        LabStatus {
            lab: "default".into(),
            folder: "/x".into(),
            app: Some(AppKind::Attack),
            players: Some(2),
            seed: 1,
            leader: "n2".parse().ok(),
            term: 3,
            nodes: vec![node(1, NodeState::Failed), node(2, NodeState::Running), node(10, NodeState::Killed)],
            faults: vec![Fault {
                id: FaultId(1),
                title: "partition n1 | n2".into(),
                effect: Effect::CUT,
                links: vec![],
                since_ns: 0,
                until_ns: Some(6_200_000_000),
            }],
            daemon: ProcessUsage { pid: 99, cpu_percent: 0.0, cpu_ms: 0, memory_bytes: 12_000_000 },
        }
    }

    #[test]
    fn the_page_shows_nodes_faults_and_players() {
        let expected = "\
lab `default`: attack, seed 1, n2 leads term 3 (daemon: process 99, 0.0 % CPU, 12.0 MB)
NODE  STATE    ROLE    TERM  LEADER  COMMIT  APPLIED  LOG  DIGEST    CPU %  MEMORY   PORT
n1    failed                                                                        40001
n2    running  leader     3  n2          14       14   14  3fa9c1d2    1.2  8.1 MB  40002
n10   killed                                                                        40010
n1: the disk is full
fault f1: partition n1 | n2, 6.2 s left
players (number:hp, on n2): 1:70 2:100
";
        assert_eq!(page(&status(), 0, false), expected);
    }

    #[test]
    fn frames_per_second_are_shown_where_there_is_a_game() {
        let mut status = status();
        let game = GameReport {
            scene: Scene::Attack,
            hosting: Some(Hosting::Thread),
            fps: 59.96,
            frame_us_p50: 16_667.0,
            frame_us_max: 17_000.0,
            frames: 600,
            orders: 3,
            order_us_p50: None,
        };
        status.nodes[1].server.as_mut().unwrap().game = Some(game);
        let page = page(&status, 0, false);
        let lines: Vec<Vec<&str>> = page.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1][8..11], ["DIGEST", "FPS", "CPU"], "{page}");
        assert_eq!(lines[3][8..11], ["3fa9c1d2", "60", "1.2"], "{page}");
        let port = |line: &str| line.rfind("400").unwrap();
        assert_eq!(port(page.lines().nth(2).unwrap()), port(page.lines().nth(3).unwrap()), "{page}");
    }

    #[test]
    fn what_the_leader_is_about_is_told_where_it_is_about_something() {
        let mut status = status();
        let set = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect::<BTreeSet<NodeId>>();
        let joint = Configuration::of(set(&["n1", "n2"]), set(&["n1", "n2", "n10"]), set(&["n4"])).unwrap();
        let leader = status.nodes[1].server.as_mut().unwrap();
        leader.membership = Some(Membership { configuration: joint, committed: false });
        leader.transfer = "n1".parse().ok();
        let snapshot_bytes = Some((500, 30_000_000));
        let node = "n4".parse().unwrap();
        leader.peers = vec![PeerProgress { node, standing: Standing::Learner, match_index: 0, snapshot_bytes }];
        leader.snapshot_index = 9;
        status.nodes[2] = super::tests::node(10, NodeState::Running);
        status.nodes[2].standing = Some(Standing::Leaving);
        let page = page(&status, 0, false);
        assert!(page.contains("members are changing: voters n1,n2 and n1,n2,n10 (joint) + learner n4, not committed"));
        assert!(page.contains("\nn4 is being sent a snapshot: 500 B of 30.0 MB\n"), "{page}");
        assert!(page.contains("\nn2 hands the lead over to n1\n"), "{page}");
        assert!(page.contains("  LOG  SNAPSHOT  DIGEST") && page.contains("  14         9  3fa9c1d2"), "{page}");
        assert!(page.contains("n10   running  leaving"), "{page}");
    }

    #[test]
    fn a_store_is_told_by_its_size() {
        let mut status = LabStatus { app: Some(AppKind::Kv), ..status() };
        status.nodes[1].server.as_mut().unwrap().state = json!({ "keys": 3, "bytes": 2_048 });
        assert!(page(&status, 0, false).ends_with("store (on n2): 3 keys, 2.0 kB\n"));
    }

    #[test]
    fn a_page_is_redrawn_over_a_longer_one() {
        assert_eq!(redrawn("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\x1b[J\n");
    }

    #[test]
    fn a_lab_without_nodes_says_so() {
        let empty = LabStatus { app: None, players: None, leader: None, nodes: vec![], faults: vec![], ..status() };
        assert!(page(&empty, 0, false).ends_with("no nodes; start some with `raftianctl start`\n"));
    }
}
