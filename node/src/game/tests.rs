//! The loop as a whole, without a display.

use std::fs;

use raftian_apps::{Reply, ReplyKind, Response};
use raftian_raft::RoleKind;
use raftian_rpc::game::{Display, FRAMES_FILE, GameReport, INPUTS_FILE, InputRecord};

use super::scratch::Scratch;
use super::*;
use crate::game_link::port::{self, ServerPort, Standing};

fn config() -> GameConfig {
    GameConfig {
        scene: Scene::Attack,
        fps_cap: None,
        display: Display::Headless,
        seed: 1,
        clicks_per_s: None,
        record: None,
    }
}

fn with_server(config: &GameConfig) -> (Game, ServerPort) {
    let (port, server) = port::pair(GlobalLock::default());
    (Game::new(config, 5, Some(Hosting::Thread), Some(port), Stop::default()).unwrap(), server)
}

fn hit(index: u64, own_serial: Option<u64>, player: u8, hp: u8) -> ToGame {
    let response = Response::of(&Reply { outcome: ReplyKind::Hit, player, hp: Some(hp) });
    ToGame::Order(Order { index, own_serial, ordered_ns: monotonic_ns(), response })
}

fn draw(game: &mut Game) {
    assert!(game.frame().unwrap().is_continue());
}

/// Draws frames until the server has been told something that `wanted` picks.
fn until<T>(game: &mut Game, server: &mut ServerPort, wanted: impl Fn(FromGame) -> Option<T>) -> T {
    for _ in 0..1_000_000 {
        draw(game);
        if let Some(found) = server.commands.try_recv().ok().and_then(&wanted) {
            return found;
        }
    }
    panic!("a million frames, and nothing");
}

#[test]
fn a_click_becomes_a_command_and_its_order_changes_the_board() {
    let (mut game, mut server) = with_server(&GameConfig { clicks_per_s: Some(1_000.0), ..config() });
    let (serial, player) = until(&mut game, &mut server, |said| match said {
        FromGame::Attack { serial, player } => Some((serial, player)),
        FromGame::Report(_) => None,
    });
    assert!(game.inputs.proposed(player) > 0);
    assert!(game.board.players().all(|(_, hp)| hp == 100));
    server.orders.send(hit(1, Some(serial), player, 70)).unwrap();
    let before = game.inputs.proposed(player);
    game.clicks = None;
    draw(&mut game);
    assert_eq!(game.inputs.proposed(player), before - 1);
    assert!(game.board.players().any(|(number, hp)| (number, hp) == (player, 70)));
}

#[test]
fn a_recording_has_every_frame_and_what_became_of_every_click() {
    let scratch = Scratch::new();
    let record = Some(scratch.path().to_owned());
    let (mut game, server) = with_server(&GameConfig { record, ..config() });
    draw(&mut game);
    for player in [1, 2, 3] {
        game.attack(player, 7);
    }
    server.orders.send(hit(1, Some(1), 1, 70)).unwrap();
    server.orders.send(ToGame::Refused { serial: 2, why: "no leader".into() }).unwrap();
    draw(&mut game);
    game.stop.stop();
    assert_eq!(game.frame().unwrap(), ControlFlow::Break(Ending::Told));
    game.end(Ending::Told);

    let frames = fs::read(scratch.path().join(FRAMES_FILE)).unwrap();
    assert_eq!(frames.len(), 8 + 2 * 4);
    let text = fs::read_to_string(scratch.path().join(INPUTS_FILE)).unwrap();
    let mut inputs: Vec<InputRecord> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    inputs.sort_unstable_by_key(|input| input.serial);
    let [ordered, refused, open] = inputs.as_slice() else { panic!("{text}") };
    assert!(inputs.iter().all(|input| input.due_ns == 7 && input.queued_ns > 7));
    let times = [Some(ordered.queued_ns), ordered.ordered_ns, ordered.taken_ns, ordered.shown_ns];
    assert!(times.is_sorted() && times.iter().all(Option::is_some), "{ordered:?}");
    assert_eq!(refused.failed.as_deref(), Some("no leader"));
    assert_eq!((&open.failed, open.ordered_ns), (&None, None));
}

#[test]
fn once_a_second_the_server_is_told_how_the_game_does() {
    let (mut game, mut server) = with_server(&GameConfig { scene: Scene::Dots(10), ..config() });
    let report: GameReport = until(&mut game, &mut server, |said| match said {
        FromGame::Report(report) => Some(report),
        FromGame::Attack { .. } => None,
    });
    assert!(report.fps > 0.0 && report.frames > 0 && report.frame_us_max >= report.frame_us_p50, "{report:?}");
    assert_eq!((report.scene, report.hosting), (Scene::Dots(10), Some(Hosting::Thread)));
}

#[test]
fn clicks_without_a_server_are_kept_as_failed() {
    let scratch = Scratch::new();
    let config = GameConfig { record: Some(scratch.path().to_owned()), ..config() };
    let mut game = Game::new(&config, 5, None, None, Stop::default()).unwrap();
    game.attack(1, 7);
    draw(&mut game);
    game.end(Ending::Told);
    let text = fs::read_to_string(scratch.path().join(INPUTS_FILE)).unwrap();
    let input: InputRecord = serde_json::from_str(&text).unwrap();
    assert_eq!(input.failed.as_deref(), Some("there is no server"));
}

#[test]
fn a_game_ends_with_its_server_or_when_told() {
    let (game, server) = with_server(&config());
    drop(server);
    assert_eq!(game.run(), Ok(Ending::ServerGone));

    let (game, _server) = with_server(&GameConfig { fps_cap: Some(60), ..config() });
    game.stop.stop();
    assert_eq!(game.run(), Ok(Ending::Told));
}

#[test]
fn a_game_among_tasks_lets_the_others_run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for fps_cap in [None, Some(500)] {
        let (game, mut server) = with_server(&GameConfig { fps_cap, clicks_per_s: Some(1_000.0), ..config() });
        runtime.block_on(async {
            let serving = tokio::spawn(async move {
                for index in 1..=20 {
                    let Some(FromGame::Attack { serial, player }) = server.commands.recv().await else {
                        panic!("less than a second of commands");
                    };
                    server.orders.send(hit(index, Some(serial), player, 70)).unwrap();
                }
            });
            // The server leaves after twenty orders, and with it the game.
            assert_eq!(game.run_as_task().await, Ok(Ending::ServerGone));
            serving.await.unwrap();
        });
    }
}

#[test]
fn a_flood_of_orders_does_not_stop_the_picture() {
    let (mut game, server) = with_server(&config());
    for index in 1..=2 * MAX_ORDERS as u64 {
        server.orders.send(hit(index, None, 1, 70)).unwrap();
    }
    draw(&mut game);
    assert!(server.orders.send(hit(0, None, 1, 70)).is_ok());
    let node = "n2".parse().unwrap();
    server
        .orders
        .send(ToGame::Standing(Standing { node, role: RoleKind::Leader, term: 1, leader: Some(node) }))
        .unwrap();
    assert!(game.board.is_stuck());
    draw(&mut game);
    draw(&mut game);
    assert!(!game.board.is_stuck());
}

#[test]
fn what_cannot_be_played_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    for (config, word) in [
        (GameConfig { fps_cap: Some(0), ..config() }, "0 frames"),
        (GameConfig { clicks_per_s: Some(-1.0), ..config() }, "-1 clicks"),
        (GameConfig { record: Some(file), ..config() }, "recording"),
    ] {
        let error = Game::new(&config, 5, None, None, Stop::default()).map(drop).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}
