//! What becomes of clients when a node dies, when they are slow, and when they come back.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use raftian_tests::{Lab, eventually};

use super::canvas;
use super::painter::{Open, Socket, connect};

/// The node behind a socket.
fn node_behind(socket: &mut Socket) -> String {
    socket.told("node")["content"]["node"]["id"].as_str().unwrap().to_owned()
}

/// A painter's page with a board of its own, which knows only what its socket has brought.
struct Page {
    socket: Socket,
    side: u16,
    board: Vec<u32>,
    seen: u64,
}

impl Page {
    fn open(open: &Open, side: u16) -> Page {
        Page { socket: open.binary("&after=0"), side, board: vec![0; usize::from(side) * usize::from(side)], seen: 0 }
    }

    /// Takes in frames until one shows this pixel.
    fn until(&mut self, pixel: (u16, u16, u32)) {
        loop {
            let (index, pixels) = self.socket.frame();
            assert!(index > self.seen, "entry {index} after {}", self.seen);
            self.seen = index;
            for (x, y, colour) in &pixels {
                self.board[usize::from(*y) * usize::from(self.side) + usize::from(*x)] = *colour;
            }
            if pixels.contains(&pixel) {
                return;
            }
        }
    }
}

#[test]
fn a_socket_goes_on_behind_another_node_without_a_gap_when_its_own_dies() {
    let lab = canvas("64x64");
    let open = Open::of(&lab, "");
    let mut socket = open.binary("");
    let mut text = open.socket("/ws/", &[("authorization", &open.painter)]).unwrap();
    text.say(r#"{"type":"connect","content":{"user_id":"a"}}"#);
    let behind = text.told("connected")["content"]["node"]["id"].as_str().unwrap().to_owned();
    let first = node_behind(&mut socket);
    let mut seen = Vec::new();
    let mut last = 0;
    for (round, victim) in [first.as_str(), behind.as_str()].into_iter().enumerate() {
        let number = |step: u16| 10 * round as u16 + step;
        (0..5).for_each(|step| open.paint("a", (number(step), 0), 7));
        lab.ok(&format!("kill {victim}"));
        (5..10).for_each(|step| open.paint("a", (number(step), 0), 7));
        while seen.len() < 10 * (round + 1) {
            let (index, pixels) = socket.frame();
            assert!(index > last, "no entry comes twice");
            last = index;
            seen.extend(pixels.iter().map(|(x, ..)| *x));
        }
        lab.ok("restart @all");
        lab.ok("wait converged");
    }
    assert_eq!(seen, Vec::from_iter(0..20), "each pixel once and in order");
    for x in 0..20 {
        assert_eq!(text.told("pixel")["content"]["x"], x, "a page of Distri-place sees the same");
    }
    assert!(open.count(&lab, "moved") >= 1);
}

#[test]
fn all_clients_end_with_the_same_bytes_though_the_leader_was_killed_amid_a_load() {
    const SIDE: u16 = 32;
    let lab = canvas("32x32");
    let open = Open::of(&lab, "");
    let mut pages: Vec<Page> = (0..24).map(|_| Page::open(&open, SIDE)).collect();
    let painted = AtomicBool::new(false);
    thread::scope(|scope| {
        for painter in 0..6_u32 {
            let (open, painted) = (&open, &painted);
            scope.spawn(move || {
                let mut random = painter;
                for stroke in 0..60 {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let (x, y) = ((random >> 8) as u16 % SIDE, (random >> 20) as u16 % (SIDE - 1));
                    open.paint(&format!("p{painter}"), (x, y), random >> 8);
                    if stroke == 20 {
                        painted.store(true, Ordering::Release);
                    }
                }
            });
        }
        eventually("the load has begun", || painted.load(Ordering::Acquire));
        lab.ok("kill @leader");
    });
    lab.ok("restart @all");
    lab.ok("wait converged");
    // The last row is for the last pixel alone, so that everybody knows when all has come.
    open.paint("last", (0, SIDE - 1), 0xff_ffff);
    let served = open.get("/client/pixels").pixels();
    for page in &mut pages {
        page.until((0, SIDE - 1, 0xff_ffff));
        assert!(page.board == served, "a page differs from the board");
    }
    eventually("every node has the same board", || {
        (1..=3).all(|node| open.get(&format!("/client/pixels?node=n{node}")).pixels() == served)
    });
    let digests: HashSet<String> = lab.nodes().iter().map(|node| node["server"]["digest"].to_string()).collect();
    assert_eq!(digests.len(), 1);
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_gets_what_it_missed_when_it_comes_back() {
    let lab = canvas("64x64");
    let open = Open::of(&lab, "");
    let stream = connect(open.address);
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4_096).unwrap();
    let slow = open.socket_on(stream, "/ws?after=0", &[("authorization", &open.painter)]).unwrap();
    let mut quick = open.binary("");
    let begin = quick.told("node")["content"]["index"].as_u64().unwrap();
    let pixels: Vec<String> = (0..4_096).map(|at| format!("[{},{},{}]", at % 64, at / 64, at)).collect();
    let batch = format!(r#"{{"user_id":"a","pixels":[{}]}}"#, pixels.join(","));
    for _ in 0..40 {
        assert_eq!(open.post("/client/pixels", &batch).status, 200);
    }
    open.paint("a", (0, 0), 0xff_ffff);
    eventually("the slow one is dropped", || open.count(&lab, "dropped") == 1);
    drop(slow);

    let mut back = open.binary(&format!("&after={begin}"));
    let mut painted = 0;
    loop {
        let (_, pixels) = back.frame();
        painted += pixels.len();
        if pixels.last() == Some(&(0, 0, 0xff_ffff)) {
            break;
        }
    }
    assert_eq!(painted, 40 * 4_096 + 1);
    // Who reads was never in the way, and sees the last pixel too.
    while quick.frame().1.last() != Some(&(0, 0, 0xff_ffff)) {}
}

#[test]
fn a_client_that_has_missed_what_nobody_keeps_is_to_load_the_board() {
    let lab = canvas("64x64");
    lab.ok("canvas set 1 1 red");
    let open = Open::of(&lab, "");
    // No node has come so far: that is the entry of another lab.
    let mut stranger = open.binary("&after=100000");
    stranger.told("resync");
    let mut socket = open.binary("&after=0");
    let index = socket.told("resync")["content"]["index"].as_u64().unwrap();
    let board = open.get("/client/board");
    assert_eq!(board.status, 200);
    let (size, entry) = (&board.body[..4], u64::from_le_bytes(board.body[4..12].try_into().unwrap()));
    assert_eq!((size, board.header("x-canvas-index")), (&[64, 0, 64, 0][..], Some(entry.to_string().as_str())));
    assert!(entry >= index);
    open.paint("a", (2, 2), 9);
    assert_eq!(socket.frame().1, [(2, 2, 9)], "it goes on from there");
    assert_eq!(stranger.frame().1, [(2, 2, 9)], "and so does this one");
}

#[test]
fn connections_are_led_where_the_strategy_says() {
    let lab = canvas("16x16");
    let all_healthy = |lab: &Lab| {
        eventually("all nodes are healthy", || {
            let status = lab.json("canvas serve --status");
            status["nodes"].as_array().unwrap().iter().filter(|node| node["healthy"] == true).count() == 3
        });
    };
    for strategy in ["round-robin", "least-connections"] {
        let open = Open::of(&lab, &format!("--strategy {strategy}"));
        all_healthy(&lab);
        let mut sockets: Vec<Socket> = (0..6).map(|_| open.binary("")).collect();
        let nodes: Vec<String> = sockets.iter_mut().map(node_behind).collect();
        for node in ["n1", "n2", "n3"] {
            assert_eq!(nodes.iter().filter(|behind| *behind == node).count(), 2, "{strategy}: {nodes:?}");
        }
        lab.ok("canvas serve --stop");
    }
    let open = Open::of(&lab, "--strategy leader");
    all_healthy(&lab);
    let leader = lab.leader();
    assert!((0..3).all(|_| node_behind(&mut open.binary("")) == leader));
}
