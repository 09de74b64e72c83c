//! The page of a lab in a browser: what a person clicks, draws and types there, and what strangers do not get.

use raftian_tests::Lab;
use raftian_tests::browser::Browser;
use serde_json::{Value, json};

/// The texts that stand on a ground with a contrast below 4.5.
const FAINT: &str = include_str!("lab_page/faint.js");

/// The controls and pictures that have no name.
const NAMELESS: &str = include_str!("lab_page/nameless.js");

/// A browser that shows the page of a lab, with all its nodes.
fn page_of(lab: &Lab, width: u32, height: u32) -> Option<Browser> {
    let browser = Browser::start(width, height)?;
    browser.open(lab.ok("open --print").trim());
    browser.until("document.querySelector('.node.is-leader')");
    Some(browser)
}

/// Goes to another view.
fn show(browser: &Browser, view: &str) {
    browser.click(&format!("#tabs a[href='#{view}']"));
    browser.until(&format!("document.querySelector('#tabs [aria-current]').hash === '#{view}'"));
}

/// Waits until an element says something.
#[track_caller]
fn says(browser: &Browser, selector: &str, text: &str) {
    let text = Value::from(text);
    browser.until(&format!("document.querySelector(\"{selector}\")?.textContent.includes({text})"));
}

/// The middle of a node, in pixels of the page.
fn place_of(browser: &Browser, node: &str) -> (i64, i64) {
    let script = format!(
        "const {{ x, y, width, height }} = document.querySelector('[data-node={node}] .body').getBoundingClientRect();
         return [Math.round(x + width / 2), Math.round(y + height / 2)];"
    );
    let place = browser.run(&script);
    (place[0].as_i64().unwrap(), place[1].as_i64().unwrap())
}

fn between(one: (i64, i64), other: (i64, i64)) -> (i64, i64) {
    ((one.0 + other.0) / 2, (one.1 + other.1) / 2)
}

#[test]
fn the_leader_is_killed_by_a_click_and_the_page_shows_the_next() {
    let lab = Lab::started(5);
    let Some(browser) = page_of(&lab, 1280, 900) else { return };
    let leader = lab.leader();
    let (x, y) = place_of(&browser, &leader);
    browser.click_at(x, y);
    says(&browser, ".actions-panel h2", &format!("{leader}: leader"));
    let line = browser.run("return document.querySelector('.actions-panel .line').textContent");
    assert_eq!(line, json!(format!("raftianctl kill {leader}")), "a button shows the line that does the same");

    browser.click(".actions-panel [data-action=kill]");
    browser.until(&format!("document.querySelector('[data-node={leader}].is-down')"));
    browser.until("document.querySelector('.node.is-leader')");
    says(&browser, ".outcome.is-done", "leads term");
    says(&browser, ".story", &format!("{leader} killed"));
    assert_ne!(lab.leader(), leader);

    browser.click(".reason [data-action=restart]");
    browser.until(&format!("document.querySelector('[data-node={leader}].is-follower')"));
    browser.until("document.querySelector('.reason.is-well')");
}

#[test]
fn a_line_across_the_ring_parts_the_cluster_and_the_reason_line_heals_it() {
    let lab = Lab::started(5);
    let Some(browser) = page_of(&lab, 1280, 900) else { return };
    let [n1, n2, n3, n5] = ["n1", "n2", "n3", "n5"].map(|node| place_of(&browser, node));
    browser.drag(between(n2, n3), between(n5, n1));
    browser.until("document.activeElement.textContent.includes('raftianctl partition n1,n2 n3,n4,n5')");
    browser.press("\u{e007}");
    browser.until("document.querySelectorAll('.link.is-cut').length === 6");
    says(&browser, ".reason.is-odd .sentence", "cut off");
    says(&browser, ".faults", "partition n1,n2 | n3,n4,n5");
    assert!(["n3", "n4", "n5"].contains(&&*lab.leader()));

    browser.click(".reason [data-action=heal]");
    browser.until("document.querySelectorAll('.link.is-fine').length === 10");
    browser.until("document.querySelector('.reason.is-well')");
}

#[test]
fn what_a_mouse_does_on_the_ring_keys_do_too() {
    let lab = Lab::started(3);
    let Some(browser) = page_of(&lab, 1024, 768) else { return };
    browser.run("document.querySelector('[data-node=n1]').focus()");
    browser.press("\u{e014}"); // to the right
    browser.until("document.activeElement.dataset.node === 'n2'");
    browser.press("\u{e007}");
    browser.until("document.activeElement.getAttribute('role') === 'menuitem'");
    browser.press("\u{e00c}"); // Escape
    browser.until("!document.querySelector('.menu') && document.activeElement.dataset.node === 'n2'");
    browser.press("p");
    browser.until("document.querySelector('[data-node=n2].is-paused')");
    browser.until("document.querySelector('.outcome.is-done')");
    browser.press("p");
    browser.until("document.querySelector('[data-node=n2]:not(.is-paused)')");
    browser.press("\u{e012} "); // to the left, and the space bar: n1 in addition
    browser.until("document.querySelector('.actions-panel h2').textContent === 'n1,n2'");
    browser.press("i");
    browser.until("document.querySelectorAll('.link.is-cut').length === 2");
    browser.press("h");
    browser.until("document.querySelectorAll('.link.is-fine').length === 3");
}

#[test]
fn a_page_without_a_ticket_of_its_own_is_shown_nothing() {
    let lab = Lab::started(3);
    let Some(guest) = page_of(&lab, 1024, 768) else { return };
    let address = guest.run("return location.origin");
    let address = address.as_str().unwrap();
    assert_eq!(guest.run("return location.hash"), json!(""), "the ticket has left the address");

    guest.open(address);
    guest.until("document.querySelector('.node.is-leader')");
    let used = lab.ok("open --print");
    guest.open("about:blank");
    guest.open(used.trim());
    guest.until("document.querySelector('.node.is-leader')");

    let Some(stranger) = Browser::start(1024, 768) else { return };
    for url in [address, used.trim()] {
        stranger.open(url);
        says(&stranger, "#banner", "raftianctl open");
        assert_eq!(stranger.run("return document.querySelectorAll('.node').length"), json!(0), "{url}");
        stranger.open("about:blank");
    }
}

#[test]
fn a_page_that_is_left_open_over_stop_keeps_its_last_picture_and_says_what_to_type() {
    let lab = Lab::started(3);
    let Some(browser) = page_of(&lab, 1024, 768) else { return };
    lab.ok("stop");
    browser.until("document.body.classList.contains('is-old')");
    says(&browser, "#banner", "raftianctl start");
    assert_eq!(browser.run("return document.querySelectorAll('.node').length"), json!(3));
}

#[test]
fn what_a_stranger_writes_is_shown_as_text() {
    let lab = Lab::new();
    lab.ok("start -n 3 --app kv");
    let key = "<img/src=x/onerror=document.title='run'>";
    lab.ok(&format!("kv set {key} <script>document.title='run'</script>"));
    let Some(browser) = page_of(&lab, 1024, 768) else { return };
    show(&browser, "app");
    browser.click(".kv-form button:nth-child(4)");
    says(&browser, "main", key);
    browser.click("td button");
    browser.click(".kv-form button:nth-child(2)");
    says(&browser, ".commands", "</script>");
    assert_eq!(browser.run("return document.querySelectorAll('main img, main script').length"), json!(0));
    assert_ne!(browser.run("return document.title"), json!("run"));
}

#[test]
fn an_attack_is_proposed_on_one_board_and_committed_on_all() {
    let lab = Lab::started(3);
    let Some(browser) = page_of(&lab, 1024, 768) else { return };
    show(&browser, "app");
    browser.click(".board:nth-child(2) .player:nth-child(3)");
    says(&browser, ".command.is-committed", "raftianctl attack 3 --as n2");
    browser
        .until("[...document.querySelectorAll('.player:nth-child(3) .hp')].every((hp) => hp.textContent === '70 hp')");
}

#[test]
fn every_control_has_a_name_and_every_text_can_be_read() {
    let lab = Lab::started(3);
    let Some(browser) = page_of(&lab, 1024, 768) else { return };
    lab.ok("kill n1");
    lab.ok("partition n2 n3");
    browser.until("document.querySelector('.reason.is-bad')");
    for is_dark in [false, true] {
        browser.prefer_dark(is_dark);
        for view in ["app", "charts", "events", "cluster"] {
            show(&browser, view);
            assert_eq!(browser.run(NAMELESS), json!([]), "{view}");
            assert_eq!(browser.run(FAINT), json!([]), "{view}, dark: {is_dark}");
        }
    }
    for (width, height) in [(390, 844), (1920, 1080)] {
        browser.resize(width, height);
        for view in ["app", "charts", "events", "cluster"] {
            show(&browser, view);
            let overflow = browser.run("return document.documentElement.scrollWidth - innerWidth");
            assert!(overflow.as_i64().unwrap() <= 0, "{view} is wider than {width}: {overflow}");
        }
    }
}

#[test]
fn figure_8_is_stepped_to_its_end_and_back() {
    let lab = Lab::started(3);
    let Some(browser) = page_of(&lab, 1280, 900) else { return };
    show(&browser, "scenarios");
    browser.click(".scenario-list a[data-name=fig8_d]");
    says(&browser, ".now .step", "before the first of");
    let on = "[aria-label='One line on']";
    browser.until(&format!("document.querySelector(\"{on}\")"));
    let last = browser.run("return document.querySelectorAll('.lines li').length").as_u64().unwrap();
    let seen = |at: u64| {
        browser.until(&format!("document.querySelector('.now .step').textContent.startsWith('line {at} of {last}')"));
        browser.run("return document.querySelector('.scenario .log-rows').textContent + document.querySelector('.now').textContent")
    };
    (0..last).for_each(|_| browser.click(on));
    let end = seen(last);
    says(&browser, ".scenario .ring .says", "n5 leads");
    browser.click("[aria-label='One line back']");
    assert_ne!(seen(last - 1), end);
    browser.click(on);
    assert_eq!(seen(last), end, "every way to a line shows the same");
    browser.click("[aria-label='To the beginning']");
    says(&browser, ".now .step", "before the first of");
    assert_eq!(lab.json("status")["nodes"].as_array().unwrap().len(), 3, "the lab is as it was");
}
