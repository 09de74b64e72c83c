//! Pictures of the views of the page, for the documents: `cargo run -p raftian-tests --example pictures -- FOLDER`.
//!
//! Invariant: each shows something that happened in a lab of its own, and waits for it; none is drawn. Two runs give the same
//! scenes, and not the same bytes: who leads and when is up to the nodes.

use std::path::{Path, PathBuf};

use raftian_tests::Lab;
use raftian_tests::browser::Browser;

/// A projector, a laptop and a phone.
const SIZES: [(&str, u32, u32); 3] = [("1920", 1920, 1080), ("1024", 1024, 768), ("390", 390, 844)];

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "docs/pictures".to_owned()));
    std::fs::create_dir_all(&folder).expect("the folder of the pictures");
    if !partition(&folder) {
        std::process::exit(1);
    }
    attack(&folder);
    kv(&folder);
    canvas(&folder);
}

/// A cluster whose leader was cut off while clients wrote: its log differs. False where there is no browser.
fn partition(folder: &Path) -> bool {
    let lab = Lab::new();
    lab.ok("start -n 5 --pace classroom");
    let Some(browser) = Browser::start(1920, 1080) else { return false };
    open(&lab, &browser);
    let leader = lab.leader();
    let load = lab.begin("load --rate 3/s --clients 2 --for 25s");
    browser.until("document.querySelectorAll('.cell.is-committed').length > 40");
    browser.screenshot(&folder.join("cluster.png"));
    browser.click(".actions-panel [data-action=isolate-leader]");
    browser.until("document.querySelector('.cell.is-different') && document.querySelector('.outcome.is-done')");
    browser.until(&format!("document.querySelector('[data-node={leader}].is-leader_without_quorum')"));
    for (name, width, height) in SIZES {
        browser.resize(width, height);
        browser.until("document.querySelector('.ring').clientWidth > 0");
        browser.screenshot(&folder.join(format!("partition-{name}.png")));
    }
    browser.resize(1920, 1080);
    browser.prefer_dark(true);
    browser.screenshot(&folder.join("partition-dark.png"));
    browser.prefer_dark(false);
    lab.ok("heal");
    raftian_tests::ended(load);
    for view in ["charts", "events"] {
        browser.click(&format!("#tabs a[href='#{view}']"));
        browser.until("document.querySelector('.chart path, .event')");
        browser.screenshot(&folder.join(format!("{view}.png")));
    }
    true
}

fn attack(folder: &Path) {
    let lab = Lab::started(5);
    let Some(browser) = app(&lab) else { return };
    browser.click(".board:nth-child(2) .player:nth-child(3)");
    browser.click(".board:nth-child(4) .player:nth-child(3)");
    browser.until("document.querySelectorAll('.command.is-committed').length === 2");
    browser
        .until("[...document.querySelectorAll('.player:nth-child(3) .hp')].every((hp) => hp.textContent === '40 hp')");
    browser.screenshot(&folder.join("attack.png"));
}

fn kv(folder: &Path) {
    let lab = Lab::new();
    lab.ok("start -n 3 --app kv");
    let Some(browser) = app(&lab) else { return };
    for button in [1, 4, 2] {
        browser.click(&format!(".kv-form button:nth-child({button})"));
        browser.until("!document.querySelector('.command.is-proposed')");
    }
    browser.screenshot(&folder.join("kv.png"));
}

/// Three boards, of which one is cut off and lacks what was painted since.
fn canvas(folder: &Path) {
    let lab = Lab::new();
    lab.ok("start -n 3 --app canvas --pace classroom");
    let Some(browser) = app(&lab) else { return };
    let leader = lab.leader();
    let other = ["n1", "n2", "n3"].into_iter().find(|node| *node != leader).expect("a follower");
    paint(&lab, "ff8000", |step| (8 + 3 * step, 10 + 2 * step));
    lab.ok(&format!("partition --shape isolate={other}"));
    paint(&lab, "33ccff", |step| (8 + 3 * step, 50 - 2 * step));
    browser.until(
        "[...document.querySelectorAll('.board')].some((board) => /1\\d pixels not as/.test(board.textContent))",
    );
    browser.screenshot(&folder.join("canvas.png"));
}

fn paint(lab: &Lab, colour: &str, at: impl Fn(u32) -> (u32, u32)) {
    for (x, y) in (0..14).map(at) {
        lab.ok(&format!("canvas set {x} {y} {colour}"));
    }
}

fn open(lab: &Lab, browser: &Browser) {
    browser.open(lab.ok("open --print").trim());
    browser.until("document.querySelector('.node.is-leader')");
}

/// The view of the application.
fn app(lab: &Lab) -> Option<Browser> {
    let browser = Browser::start(1920, 1080)?;
    open(lab, &browser);
    browser.click("#tabs a[href='#app']");
    browser.until("document.querySelector('main h2')");
    Some(browser)
}
