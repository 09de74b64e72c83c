//! What a node's links cost while there is no fault: the four questions that a request and its reply are asked on their way,
//! as the node asks them, lock included.
//!
//! `cargo run --release -p raftian-driver --example idle_links`

use std::hint::black_box;
use std::sync::Mutex;
use std::time::Instant;

use raftian_driver::Links;
use raftian_raft::NodeId;

const CALLS: u32 = 2_000_000;
const ROUNDS: usize = 11;

fn main() {
    let [own, peer] = [1, 2].map(|number| NodeId::new(number).expect("a number of a node"));
    let (caller, called) = (Mutex::new(Links::new(own, 1)), Mutex::new(Links::new(peer, 1)));
    let lock = |links: &'static str, mutex: &Mutex<Links>, ask: &mut dyn FnMut(&mut Links)| {
        ask(&mut mutex.lock().expect(links));
    };
    let mut ns: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..CALLS {
                lock("caller", &caller, &mut |links| {
                    let _ = black_box(links.request_leaves(black_box(peer)));
                });
                lock("called", &called, &mut |links| {
                    let _ = black_box(links.request_arrives(black_box(own)));
                });
                lock("called", &called, &mut |links| {
                    let _ = black_box(links.reply_leaves(black_box(own)));
                });
                lock("caller", &caller, &mut |links| {
                    let _ = black_box(links.reply_returns(black_box(peer)));
                });
            }
            began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
        })
        .collect();
    ns.sort_by(f64::total_cmp);
    println!("a request and its reply: {:.0} ns ({:.0}–{:.0}, n = {ROUNDS})", ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1]);
}
