//! What the page says of a lab, without one.

use raftian_rpc::Configuration;
use raftian_rpc::RoleKind;
use raftian_rpc::assignment::Hosting;
use raftian_rpc::control::{ClockReading, Counters, DiskStatus, NodeStatus, Standing, Timing};
use raftian_rpc::faults::Effect;
use raftian_rpc::game::{GameReport, Scene};
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::{Fault, FaultId, FaultKind, NodeReport, ProcessUsage};
use serde_json::json;

use super::*;

fn usage(cpu_percent: Option<f32>) -> ProcessUsage {
    ProcessUsage { pid: 7, cpu_percent, cpu_ms: 9, memory_bytes: 8_100_000 }
}

fn node(number: u16, state: NodeState) -> NodeReport {
    let server = NodeStatus {
        node: format!("n{number}").parse().unwrap(),
        pid: 7,
        network_version: 1,
        role: if number == 2 { RoleKind::Leader } else { RoleKind::Follower },
        term: 3,
        leader: "n2".parse().ok(),
        quorum_contact_ms: None,
        election_in_ms: None,
        membership: None,
        transfer: None,
        peers: vec![],
        snapshot_index: 0,
        first_index: 1,
        last_index: 14,
        recent_terms: Vec::new(),
        commit_index: 14,
        last_applied: 14,
        digest: "3fa9c1d27788".into(),
        state: json!({ "players": [{ "player": 1, "hp": 70 }, { "player": 2, "hp": 100 }] }),
        disk: DiskStatus::default(),
        clock: ClockReading::default(),
        faults: Vec::new(),
        counters: Counters::default(),
        game: None,
    };
    let running = state == NodeState::Running;
    NodeReport {
        node: format!("n{number}").parse().unwrap(),
        state,
        standing: Some(Standing::Voter),
        reason: (state == NodeState::Failed).then(|| "the disk is full".into()),
        address: Some(([127, 0, 0, 1], 40_000 + number).into()),
        usage: running.then_some(usage(Some(1.25))),
        starts: 1,
        rolled_back: None,
        server: running.then_some(server),
        last: None,
    }
}

fn status() -> LabStatus {
    LabStatus {
        lab: "default".into(),
        folder: "/x".into(),
        app: Some(AppKind::Attack),
        app_options: Some(2.into()),
        game: GameChoice::None,
        seed: 1,
        timing: Timing::default(),
        reasons: vec![
            Note::new("n2 leads term 3").hint(Hint::Restart { nodes: vec!["n10".parse().unwrap()] }),
            Note::new("f1: partition n1 | n2 for 3 s, 6.2 s left"),
        ],
        leader: "n2".parse().ok(),
        term: 3,
        members: Configuration::new(["n1", "n2", "n10"].map(|id| id.parse().unwrap())),
        nodes: vec![node(1, NodeState::Failed), node(2, NodeState::Running), node(10, NodeState::Killed)],
        faults: vec![Fault {
            id: FaultId(1),
            title: "partition n1 | n2".into(),
            what: FaultKind::Links { effect: Effect::CUT, links: vec![] },
            since_ns: 0,
            until_ns: Some(6_200_000_000),
            injected: true,
            proof: None,
        }],
        divergence: None,
        daemon: ProcessUsage { pid: 99, cpu_percent: Some(0.0), cpu_ms: 0, memory_bytes: 12_000_000 },
    }
}

#[test]
fn the_page_shows_nodes_faults_and_players() {
    let expected = "\
lab `default`: attack, seed 1, n2 leads term 3 (daemon: process 99, 0.0 % CPU, 12.0 MB)
n2 leads term 3; `raftianctl restart n10`
NODE  STATE    ROLE    TERM  LEADER  COMMIT  APPLIED  LOG  DIGEST    CPU %  MEMORY   PORT
n1    failed                                                                        40001
n2    running  leader     3  n2          14       14   14  3fa9c1d2    1.2  8.1 MB  40002
n10   killed                                                                        40010
f1: partition n1 | n2 for 3 s, 6.2 s left
players (number:hp, on n2): 1:70 2:100
";
    assert_eq!(page(&status(), false, None), expected);
}

#[test]
fn what_a_dead_node_last_said_is_shown_as_old() {
    let mut status = status();
    status.nodes[0].last = node(1, NodeState::Running).server;
    status.nodes[0].last.as_mut().unwrap().snapshot_index = 9;
    let plain = page(&status, false, None);
    assert!(plain.contains("\nn1    failed   was follower     3  n2          14       14   14         9  3fa9c1d2"));
    assert!(page(&status, true, None).contains("\x1b[2mwas follower\x1b[0m"), "{plain}");
}

#[test]
fn a_rate_that_nobody_knows_yet_is_not_zero() {
    let mut status = status();
    status.nodes[1].usage = Some(usage(None));
    status.daemon.cpu_percent = None;
    let page = page(&status, false, None);
    assert!(page.contains("(daemon: process 99, 12.0 MB)") && page.contains("  3fa9c1d2      –  8.1 MB"), "{page}");
}

#[test]
fn before_the_first_election_there_is_no_term_to_tell() {
    let headline = |leader, term| headline(&View::of(&LabStatus { leader, term, ..status() }));
    assert!(headline(None, 0).contains("seed 1, no leader yet ("));
    assert!(headline(None, 3).contains("no leader, highest term 3"));
}

#[test]
fn frames_per_second_are_shown_where_there_is_a_game() {
    let hosted = GameChoice::Hosted { hosting: Hosting::Thread, scene: Scene::Attack, fps_cap: Some(60) };
    let mut status = LabStatus { game: hosted, ..status() };
    let columns = |page: &str| -> Vec<Vec<String>> {
        page.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let fresh = page(&status, false, None);
    assert_eq!(columns(&fresh)[4][8..11], ["3fa9c1d2", "–", "1.2"], "{fresh}");
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
    let page = page(&status, false, None);
    let lines = columns(&page);
    assert_eq!(lines[2][8..11], ["DIGEST", "FPS", "CPU"], "{page}");
    assert_eq!(lines[4][8..11], ["3fa9c1d2", "60", "1.2"], "{page}");
    let port = |line: &str| line.rfind("400").unwrap();
    assert_eq!(port(page.lines().nth(3).unwrap()), port(page.lines().nth(4).unwrap()), "{page}");
}

#[test]
fn a_column_shows_snapshots_and_a_role_who_leaves() {
    let mut status = status();
    status.nodes[1].server.as_mut().unwrap().snapshot_index = 9;
    status.nodes[2] = node(10, NodeState::Running);
    status.nodes[2].standing = Some(Standing::Leaving);
    let page = page(&status, false, None);
    assert!(page.contains("  LOG  SNAPSHOT  DIGEST") && page.contains("  14         9  3fa9c1d2"), "{page}");
    assert!(page.contains("n10   running  leaving"), "{page}");
}

#[test]
fn a_store_is_told_by_its_size() {
    let mut status = LabStatus { app: Some(AppKind::Kv), ..status() };
    status.nodes[1].server.as_mut().unwrap().state = json!({ "keys": 3, "bytes": 2_048 });
    assert!(page(&status, false, None).ends_with("store (on n2): 3 keys, 2.0 kB\n"));
}

#[test]
fn a_page_is_redrawn_over_a_longer_one() {
    assert_eq!(redrawn("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\x1b[J\n");
}

#[test]
fn a_lab_without_nodes_says_so() {
    let reasons = vec![Note::new("no leader: this lab has no nodes yet").hint(Hint::Start)];
    let empty = LabStatus { app: None, app_options: None, leader: None, nodes: vec![], reasons, ..status() };
    assert!(page(&empty, false, None).ends_with("\nno leader: this lab has no nodes yet; `raftianctl start`\n"));
}
