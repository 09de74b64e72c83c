//! A game beside a server, in every hosting, and each without the other: clicks become orders, and what ends one half
//! ends both.

mod support;

use raftian_rpc::assignment::{Assignment, HostedGame, Hosting, SoloConfig, Trim};
use raftian_rpc::control::{NodeConfig, NodeNotice, NodeStatus};
use raftian_rpc::game::{Display, FRAMES_FILE, GameConfig, INPUTS_FILE, InputRecord, Scene};
use raftian_rpc::{RoleKind, VERSION};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use support::{Cluster, Node, PATIENCE, Scratch, config, id};

fn game(clicks_per_s: Option<f64>) -> GameConfig {
    let display = Display::Headless;
    GameConfig { scene: Scene::Dots(100), fps_cap: Some(200), display, seed: 1, clicks_per_s, record: None }
}

/// Gives n1 a game that clicks, and records beside its log.
fn play(config: &mut NodeConfig, hosting: Hosting) {
    if config.id == id(1) {
        let game = GameConfig { record: Some(config.folder.join("game")), ..game(Some(100.0)) };
        config.game = Some(HostedGame { hosting, game });
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.try_into().unwrap()).unwrap()
}

async fn server_process(node: &mut Node) -> Pid {
    let told = node.told(|notice| match notice {
        NodeNotice::ServerProcess { pid: number } => Some(pid(number)),
        _ => None,
    });
    told.await
}

/// Waits until a process of which this test is not the parent is gone.
fn gone(pid: Pid) {
    let started = std::time::Instant::now();
    while test_kill_process(pid).is_ok() && !is_zombie(pid) {
        assert!(started.elapsed() < PATIENCE, "{pid:?} lives on");
        std::thread::yield_now();
    }
}

fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

/// Starts three nodes of which n1 plays, waits until its clicks have become orders, ends it, and reads its record.
async fn clicks_become_orders(adjust: fn(&mut NodeConfig), hosting: Hosting) {
    let mut cluster = Cluster::start_with(3, adjust).await;
    let ordered = |all: &[NodeStatus]| all[0].game.is_some_and(|game| game.orders >= 20);
    let all = cluster.wait_until("orders", ordered).await;
    let report = all[0].game.unwrap();
    assert_eq!((report.hosting, report.scene), (Some(hosting), Scene::Dots(100)));
    assert!(report.fps > 0.0 && report.order_us_p50.is_some(), "{report:?}");
    assert!(all[1].game.is_none());
    cluster.agree(20).await;

    let player = cluster.nodes.remove(&id(1)).unwrap();
    assert_eq!(all[0].pid == player.pid(), hosting != Hosting::Process, "{all:?}");
    player.shut_down().await;
    let folder = cluster.node_folder(id(1)).join("game");
    assert!(std::fs::metadata(folder.join(FRAMES_FILE)).unwrap().len() > 8);
    let inputs = std::fs::read_to_string(folder.join(INPUTS_FILE)).unwrap();
    let records: Vec<InputRecord> = inputs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: Vec<&InputRecord> = records.iter().filter(|record| record.shown_ns.is_some()).collect();
    assert!(shown.len() >= 10, "{records:#?}");
    for record in shown {
        let times = [Some(record.due_ns), Some(record.queued_ns), record.ordered_ns, record.taken_ns, record.shown_ns];
        assert!(times.is_sorted() && times.iter().all(Option::is_some), "{record:?}");
    }
}

#[tokio::test]
async fn clicks_become_orders_beside_a_thread() {
    clicks_become_orders(|config| play(config, Hosting::Thread), Hosting::Thread).await;
}

#[tokio::test]
async fn clicks_become_orders_beside_a_process() {
    clicks_become_orders(|config| play(config, Hosting::Process), Hosting::Process).await;
}

#[tokio::test]
async fn clicks_become_orders_beside_a_task() {
    clicks_become_orders(|config| play(config, Hosting::Async), Hosting::Async).await;
}

#[tokio::test]
async fn clicks_become_orders_under_a_global_lock() {
    let adjust = |config: &mut NodeConfig| {
        play(config, Hosting::Thread);
        config.trim = Trim { global_lock: config.game.is_some(), ..Trim::default() };
    };
    clicks_become_orders(adjust, Hosting::Thread).await;
}

#[tokio::test]
async fn when_one_half_is_killed_the_other_ends_and_the_reason_is_said_once() {
    let alone = |config: &mut NodeConfig| play(config, Hosting::Process);
    let mut cluster = Cluster::new(1, alone);
    let mut node = Node::of(cluster.config(id(1)));
    let server = server_process(&mut node).await;
    node.ready().await;
    kill_process(server, Signal::KILL).unwrap();
    assert_eq!(node.failure().await, "its server's process was ended by signal 9");
    let (code, said) = node.ended().await;
    assert!(code == Some(1) && said.is_empty(), "nothing more is said: {said:?}");

    // Its log is free: nothing of the node is left.
    node = Node::of(cluster.config(id(1)));
    let server = server_process(&mut node).await;
    node.ready().await;
    drop(node);
    gone(server);
    cluster.spawn(id(1)).await;
}

#[tokio::test]
async fn a_server_that_cannot_start_ends_its_game_and_says_why_once() {
    for hosting in [Hosting::Thread, Hosting::Process, Hosting::Async] {
        let folder = Scratch::new();
        let secret = raftian_rpc::secret::Secret::generate().unwrap();
        let mut config = config(id(1), &[id(1)], &folder.0.join("node"), &secret);
        config.game = Some(HostedGame { hosting, game: game(None) });
        std::fs::write(folder.0.join("node"), "in the way").unwrap();
        let mut node = Node::of(config);
        assert!(node.failure().await.contains("cannot create the folder"));
        let (code, said) = node.ended().await;
        assert_eq!(code, Some(1), "{hosting}");
        assert!(said.iter().all(|notice| !matches!(notice, NodeNotice::Failed { .. })), "said once");
    }
}

#[tokio::test]
async fn the_baseline_plays_without_a_server_until_it_is_told_to_end() {
    let folder = Scratch::new();
    for signal in [None, Some(Signal::TERM)] {
        let game = GameConfig { record: Some(folder.0.join("game")), ..game(Some(50.0)) };
        let solo = SoloConfig { version: VERSION.into(), players: 5, game };
        let mut node = Node::assigned(&Assignment::Game(solo));
        node.told(|notice| matches!(notice, NodeNotice::Playing { .. }).then_some(())).await;
        match signal {
            None => node.process.close_input(),
            Some(signal) => node.process.group().signal(signal).unwrap(),
        }
        assert_eq!(node.ended().await.0, Some(0));
        assert!(std::fs::metadata(folder.0.join("game").join(FRAMES_FILE)).unwrap().len() > 8);
    }
}

#[tokio::test]
async fn combinations_that_make_no_sense_are_refused() {
    for hosting in [None, Some(Hosting::Process), Some(Hosting::Async)] {
        let cluster = Cluster::new(1, |config| config.trim.global_lock = true);
        let mut config = cluster.config(id(1));
        config.game = hosting.map(|hosting| HostedGame { hosting, game: game(None) });
        assert!(Node::of(config).failure().await.contains("needs a game and the hosting `thread`"), "{hosting:?}");
    }
}

#[tokio::test]
async fn a_click_on_a_follower_reaches_the_leader() {
    // n2 leads for sure: it stands first, and no other node for a minute.
    let cluster = Cluster::start_with(3, |config| {
        play(config, Hosting::Thread);
        config.timing.election_min_ms = 50_000;
        config.timing.election_max_ms = 60_000;
        config.trim.campaigns_first = config.id == id(2);
    })
    .await;
    let ordered = |all: &[NodeStatus]| all[0].game.is_some_and(|game| game.orders > 0);
    let all = cluster.wait_until("orders", ordered).await;
    assert_eq!((all[0].role, all[0].leader, all[0].term), (RoleKind::Follower, Some(id(2)), 1));
    assert!(all[0].counters.forwarded > 0);
}
