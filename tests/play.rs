//! A node's game as people see it: in a window, and as a picture.
//!
//! The windows open on a display of their own (Xvfb), and the clicks are a real pointer's (xdotool). Where these two
//! are not installed, the tests that need them say so and pass; continuous integration installs them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use raftian_tests::{Game, Lab, ended, eventually, in_every_hosting, pid_of, signal};
use rustix::process::Signal;

in_every_hosting!(
    a_click_in_one_window_hits_the_player_on_every_node,
    a_click_without_a_majority_waits_for_one_and_hits_once,
    a_screenshot_shows_what_the_node_has_applied,
);

/// The middle of player 3's square, in a window of full size.
const PLAYER_3: &str = "375 225";

/// A display of our own, with room for a window of full size.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    /// A display; `None` where there is no Xvfb or no xdotool.
    fn open() -> Option<Display> {
        let missing = |program: &str| Command::new(program).arg("-version").output().is_err();
        if let Some(program) = ["Xvfb", "xdotool"].into_iter().find(|program| missing(program)) {
            println!("skipped: {program} is not installed (Debian: apt install xvfb xdotool)");
            return None;
        }
        // A server that may reset does so when its last client leaves, and refuses whoever comes just then.
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-noreset", "-screen", "0", "1280x1400x24", "-nolisten", "tcp"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb runs");
        // It writes the number of the display it took, once it listens.
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Some(Display { server, name: format!(":{}", number.trim()) })
    }

    fn on(&self, mut command: Command) -> Command {
        command.env_remove("WAYLAND_DISPLAY").env_remove("WAYLAND_SOCKET").env("DISPLAY", &self.name);
        command
    }

    /// What xdotool prints; empty when it finds no window.
    fn xdotool(&self, arguments: &str) -> String {
        let mut xdotool = self.on(Command::new("xdotool"));
        let output = xdotool.args(arguments.split(' ')).output().expect("xdotool runs");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Opens a window onto a node of the lab, and waits until it shows it.
    fn play(&self, lab: &Lab, node: &str) -> Play<'_> {
        let mut command = self.on(lab.command(&format!("play {node}")));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut window = String::new();
        eventually("the window is there, or will never be", || {
            window = self.xdotool(&format!("search --name raftian.{node}"));
            !window.is_empty() || child.try_wait().unwrap().is_some()
        });
        assert!(!window.is_empty(), "there is no window: {:#?}", ended(child));
        Play { display: self, child, window }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A window onto a node.
struct Play<'a> {
    display: &'a Display,
    child: Child,
    window: String,
}

impl Play<'_> {
    fn click(&self, point: &str) {
        self.display.xdotool(&format!("mousemove --window {} {point} click 1", self.window));
    }

    /// The exit code of the command, once it has ended and the window is gone.
    fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the command has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        eventually("the window is gone", || self.display.xdotool("search --name raftian.n").is_empty());
        status.and_then(|status| status.code())
    }
}

impl Drop for Play<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether player 3 has this many hit points on every node.
fn player_3_has(lab: &Lab, hp: u64) -> bool {
    lab.nodes().iter().all(|node| node["server"]["state"]["players"][2]["hp"] == hp)
}

fn a_click_in_one_window_hits_the_player_on_every_node(game: Game) {
    let Some(display) = Display::open() else { return };
    let lab = Lab::started_beside(3, game);
    let play = display.play(&lab, "n2");
    play.click("500 600");
    play.click(PLAYER_3);
    eventually("player 3 is hit on every node", || player_3_has(&lab, 70));
    assert_eq!(lab.nodes()[0]["server"]["state"]["players"][0]["hp"], 100);
}

fn a_click_without_a_majority_waits_for_one_and_hits_once(game: Game) {
    let Some(display) = Display::open() else { return };
    let lab = Lab::started_beside(3, game);
    let play = display.play(&lab, "n2");
    lab.ok("partition n2 n1,n3");
    play.click(PLAYER_3);
    lab.ok("attack 1 --as n1");
    lab.ok("attack 1 --as n3");
    assert!(player_3_has(&lab, 100));
    lab.ok("heal");
    eventually("player 3 is hit on every node", || player_3_has(&lab, 70));
    play.click(PLAYER_3);
    eventually("player 3 is hit again", || player_3_has(&lab, 40));
}

#[test]
fn a_window_ends_when_it_is_closed_or_interrupted() {
    let Some(display) = Display::open() else { return };
    let lab = Lab::started(1);
    let mut play = display.play(&lab, "n1");
    display.xdotool(&format!("windowclose {}", play.window));
    assert_eq!(play.ended(), Some(0));

    let mut play = display.play(&lab, "n1");
    signal(pid_of(&play.child), Signal::INT);
    assert_eq!(play.ended(), Some(130));

    // The node does not care.
    lab.ok("attack 1");
}

#[test]
fn without_a_desktop_play_says_what_to_do_instead() {
    let lab = Lab::started(1);
    let mut command = lab.command("play n1");
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"] {
        command.env_remove(name);
    }
    let ran = raftian_tests::ran("play n1".into(), command.output().unwrap());
    assert_eq!(ran.code, 1, "{ran:#?}");
    for word in ["no desktop here", "DISPLAY", "`raftianctl screenshot n1`"] {
        assert!(ran.stderr.contains(word), "`{word}` is missing: {ran:#?}");
    }
    let ran = raftian_tests::ran("play n1".into(), command.env("DISPLAY", ":65000").output().unwrap());
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("no window can be opened"), "{ran:#?}");
}

fn a_screenshot_shows_what_the_node_has_applied(game: Game) {
    let lab = Lab::started_beside(3, game);
    let before = lab.json("screenshot n2");
    assert_eq!(before["node"], "n2");
    let path = before["picture"].as_str().unwrap();
    assert!(path.ends_with("/n2.png"), "{path}");
    let sound = fs::read(path).unwrap();
    assert!(sound.starts_with(b"\x89PNG\r\n\x1a\n"));
    lab.ok("attack 3");
    lab.ok("wait converged");
    lab.ok("screenshot n2 --to hit.png");
    assert_ne!(fs::read(lab.home().join("hit.png")).unwrap(), sound);
}

#[test]
fn what_cannot_be_shown_is_refused_in_words() {
    let lab = Lab::new();
    lab.fails("play n1", 4, &["raftianctl start"]);
    lab.ok("start -n 3");
    lab.fails("play @all", 2, &["n1,n2,n3", "one node"]);
    lab.fails("screenshot n9", 2, &["there is no node n9"]);
    lab.fails("play n2 --fps-cap 0", 2, &["at least 1"]);
    lab.fails("screenshot n2 --to none/board.png", 1, &["none/board.png"]);
    lab.ok("pause n2");
    lab.fails("screenshot n2", 1, &["n2 is paused", "raftianctl resume n2"]);
}
