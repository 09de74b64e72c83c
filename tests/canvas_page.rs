//! The painters' page, in a browser, behind a real lab: what people do on it, and what they see.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use raftian_tests::browser::Browser;
use raftian_tests::{Lab, eventually};
use serde_json::Value;

/// An open canvas of 16×8, and the address for painters.
fn open(arguments: &str) -> (Lab, String) {
    let lab = Lab::new();
    lab.ok("start -n 3 --app canvas --size 16x8");
    lab.ok(&format!("canvas serve --port 0 {arguments}"));
    let url = lab.ok("canvas share").trim().to_owned();
    (lab, url)
}

/// Opens the page and waits until a node is behind it.
fn visit(browser: &Browser, url: &str) {
    browser.open(url);
    browser.until("location.search === '' && /^behind n/.test(document.querySelector('#state-text')?.textContent)");
}

/// The node behind the page.
fn node(browser: &Browser) -> String {
    let text = browser.run("return document.querySelector('#state-text').textContent");
    text.as_str().unwrap().split([' ', ',']).nth(1).unwrap().to_owned()
}

/// Where a pixel of the board of 16×8 is on the page, when the whole board is shown: the page says which pixel is under the
/// pointer, so the place is found by looking.
fn place(browser: &Browser, x: i64, y: i64) -> (i64, i64) {
    let script = format!(
        "const board = document.querySelector('#board'), box = board.getBoundingClientRect();
         const move = (x, y) => board.dispatchEvent(new PointerEvent('pointermove', {{ clientX: x, clientY: y, pointerId: 9 }}));
         for (let py = box.top + 4; py < box.bottom; py += 6) for (let px = box.left + 4; px < box.right; px += 6) {{
           move(px, py);
           if (document.querySelector('#where').textContent.startsWith('{x}, {y} ')) return [Math.round(px) + 4, Math.round(py) + 4];
         }}
         return null;"
    );
    let found = browser.run(&script);
    (found[0].as_i64().expect("it is on the page"), found[1].as_i64().unwrap())
}

/// What the page shows at the cursor, `#rrggbb`.
fn colour_at(browser: &Browser, x: i64, y: i64) -> String {
    let (px, py) = place(browser, x, y);
    let script = format!(
        "const board = document.querySelector('#board');
         board.dispatchEvent(new PointerEvent('pointermove', {{ clientX: {px}, clientY: {py}, pointerId: 9 }}));
         return document.querySelector('#where').textContent.match(/#[0-9a-f]{{6}}/)[0];"
    );
    browser.run(&script).as_str().unwrap().to_owned()
}

/// Clicks on a pixel of the board.
fn paint(browser: &Browser, x: i64, y: i64) {
    let (px, py) = place(browser, x, y);
    browser.click_at(px, py);
}

const PAINTED: &str = "#3690ea";

#[test]
fn a_browser_has_the_size_and_the_colour_scheme_that_it_was_given() {
    let Some(browser) = Browser::start(390, 844) else { return };
    browser.open("data:text/html,<button onclick='document.title=innerWidth'>Width</button><input>");
    browser.click("button");
    browser.until("document.title === '390'");
    browser.click("input");
    browser.press("abc");
    browser.until("document.querySelector('input').value === 'abc'");
    browser.prefer_dark(true);
    browser.until("matchMedia('(prefers-color-scheme: dark)').matches");
}

#[test]
fn what_is_painted_behind_one_node_is_seen_behind_another_and_goes_on_when_that_node_dies() {
    let Some(browser) = Browser::start(1024, 768) else { return };
    let (lab, url) = open("");
    visit(&browser, &url);
    browser.run("localStorage.setItem('canvas-name', 'alice')");
    visit(&browser, &url);
    paint(&browser, 3, 4);
    browser
        .until("/^1 pixel committed in .* ms \\(index \\d+\\)$/.test(document.querySelector('#latency').textContent)");
    for node in ["n1", "n2", "n3"] {
        eventually("the pixel is on every node", || {
            lab.run(&format!("canvas get 3 4 --stale --as {node}")).stdout == format!("{PAINTED}\n")
        });
    }
    assert!(lab.ok("canvas blame 3 4").contains(" by alice (index "));

    let Some(other) = Browser::start(390, 844) else { return };
    visit(&other, &url);
    assert_ne!(node(&other), node(&browser), "the balancer takes them in turn");
    assert_eq!(colour_at(&other, 3, 4), PAINTED);
    lab.ok("canvas set 5 5 red");
    for page in [&browser, &other] {
        eventually("what others paint comes by itself", || colour_at(page, 5, 5) == "#ff0000");
    }

    let behind = node(&browser);
    lab.ok(&format!("kill {behind}"));
    browser.until(&format!("!document.querySelector('#state-text').textContent.includes('{behind},')"));
    browser.until("/^behind n/.test(document.querySelector('#state-text').textContent)");
    paint(&browser, 6, 6);
    eventually("the other page has it", || colour_at(&other, 6, 6) == PAINTED);

    browser.click("#undo");
    eventually("what was undone shows what was there before", || lab.ok("canvas get 6 6") == "#000000\n");
    assert!(lab.ok("canvas blame 6 6 --all").lines().count() == 2, "an undo is an entry of its own");
}

#[test]
fn what_is_not_committed_is_taken_back_with_the_reason() {
    let Some(browser) = Browser::start(1024, 768) else { return };
    let (lab, url) = open("");
    lab.ok("canvas set 2 2 lime");
    visit(&browser, &url);
    lab.ok("partition n1 n2 n3");
    paint(&browser, 2, 2);
    eventually("it is shown at once", || colour_at(&browser, 2, 2) == PAINTED);
    browser.until("document.querySelector('.notice')?.textContent.includes('The pixel at 2, 2 was not painted:')");
    let notice = browser.run("return document.querySelector('.notice p').textContent");
    assert!(notice.as_str().unwrap().len() > "The pixel at 2, 2 was not painted: .".len(), "no reason: {notice}");
    assert_eq!(colour_at(&browser, 2, 2), "#00ff00", "it shows what was there, and not black");
    lab.ok("heal");
    lab.ok("wait leader");
    paint(&browser, 2, 3);
    eventually("it goes on", || lab.run("canvas get 2 3").stdout == format!("{PAINTED}\n"));
}

#[test]
fn keys_do_what_a_mouse_does_and_a_screen_reader_hears_it() {
    let Some(browser) = Browser::start(1024, 768) else { return };
    let (lab, url) = open("");
    visit(&browser, &url);
    let said = |text: &str| browser.until(&format!("document.querySelector('#said').textContent.includes('{text}')"));
    browser.run("document.querySelector('#board').focus()");
    // The first arrow shows the cursor in the middle; arrows are private characters of WebDriver.
    browser.press("\u{e014}");
    said("Column 8, row 4: black #000000");
    browser.press("\u{e014}\u{e015}\u{e007}");
    said("Painted blue #3690ea at column 9, row 5");
    eventually("it is committed", || lab.run("canvas get 9 5").stdout == format!("{PAINTED}\n"));
    browser.press("w");
    said("Column 9, row 5: painted by guest-");
    browser.press("u");
    said("Undone: 1 pixel");
    eventually("it is undone", || lab.ok("canvas get 9 5") == "#000000\n");
    let nameless = browser.run(
        "return [...document.querySelectorAll('button, input, canvas, dialog, progress')].filter((element) => !(
           element.textContent.trim() || element.getAttribute('aria-label') || element.labels?.length ||
           element.getAttribute('aria-labelledby'))).map((element) => element.outerHTML)",
    );
    assert_eq!(nameless, Value::Array(Vec::new()), "every control has a name");
}

#[test]
fn text_has_contrast_in_both_schemes_and_nothing_is_wider_than_a_phone() {
    let Some(browser) = Browser::start(390, 844) else { return };
    let (_lab, url) = open("");
    visit(&browser, &url);
    for is_dark in [false, true] {
        browser.prefer_dark(is_dark);
        let poor = browser.run(
            "const channel = (part) => (part /= 255) <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
             const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
             const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
             const ground = (element) => {
               for (; element; element = element.parentElement) {
                 const colour = parts(getComputedStyle(element).backgroundColor);
                 if (colour.length === 3 || colour[3] === 1) return colour;
               }
               return [255, 255, 255];
             };
             document.querySelector('#keys').showModal();
             const poor = [...document.querySelectorAll('body *')].filter((element) =>
               [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) && !element.disabled &&
               element.checkVisibility()).flatMap((element) => {
                 const [one, other] = [light(parts(getComputedStyle(element).color)), light(ground(element))];
                 const contrast = (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
                 return contrast < 4.5 ? [`${element.tagName} ${element.textContent.trim()}: ${contrast.toFixed(2)}`] : [];
               });
             document.querySelector('#keys').close();
             return poor;",
        );
        assert_eq!(poor, Value::Array(Vec::new()), "dark: {is_dark}");
    }
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth"), true);
}

#[test]
fn who_may_only_look_has_no_tools_and_who_has_no_address_is_told_why() {
    let Some(browser) = Browser::start(1024, 768) else { return };
    let (lab, url) = open("");
    let looking = lab.ok("canvas share --read-only");
    visit(&browser, looking.trim());
    browser.until("document.querySelector('#painting').hidden && !document.querySelector('#read-only').hidden");
    let (x, y) = place(&browser, 1, 1);
    browser.click_at(x, y);
    assert_eq!(colour_at(&browser, 1, 1), "#000000");
    browser.until("document.querySelector('#where').textContent.endsWith('never painted')");

    let Some(stranger) = Browser::start(1024, 768) else { return };
    let (address, _) = url.split_once("/?key=").unwrap();
    stranger.open(&format!("{address}/"));
    stranger.until("document.body.textContent.includes('opened by an address that its owner gives away')");
}

#[test]
fn a_picture_is_fitted_to_the_board_painted_and_undone() {
    let Some(browser) = Browser::start(1024, 768) else { return };
    let (lab, url) = open("");
    lab.ok("canvas set 7 3 red");
    lab.ok("canvas screenshot red.png");
    lab.ok("canvas set 7 3 black");
    visit(&browser, &url);
    let file = browser.find("#file");
    browser.wait(file.send_keys(lab.home().join("red.png").display().to_string()));
    browser.until("document.querySelector('#picture-about').textContent === '16 × 8 pixels at 0, 0'");
    browser.run("const width = document.querySelector('#picture-width'); width.value = 8; width.dispatchEvent(new Event('input'));");
    browser.until("document.querySelector('#picture-about').textContent === '8 × 4 pixels at 4, 2'");
    browser.run("document.querySelector('#board').focus()");
    browser.press("\u{e012}");
    browser.until("document.querySelector('#picture-about').textContent === '8 × 4 pixels at 3, 2'");
    browser.click("#picture-paint");
    browser.until("document.querySelector('#picture').hidden");
    // The red pixel is now one of those in the middle of the picture, mixed with its neighbours.
    assert_ne!(lab.ok("canvas get 6 3"), "#000000\n");
    browser.click("#undo");
    eventually("all of it is undone at once", || lab.ok("canvas get 6 3") == "#000000\n");
}

#[test]
fn a_painter_who_must_wait_sees_for_how_long_and_paints_then() {
    let Some(browser) = Browser::start(1024, 768) else { return };
    let (lab, url) = open("--cool-down 2s");
    visit(&browser, &url);
    paint(&browser, 1, 1);
    browser.until("/^You can paint again in [12] s/.test(document.querySelector('#cool-down').textContent)");
    paint(&browser, 2, 1);
    assert_eq!(colour_at(&browser, 2, 1), PAINTED, "it is pending");
    eventually("it is painted when its time has come", || lab.run("canvas get 2 1").stdout == format!("{PAINTED}\n"));
    assert_eq!(browser.run("return document.querySelectorAll('.notice').length"), 0);
}

#[test]
fn a_page_that_was_left_open_while_the_canvas_was_closed_and_opened_again_says_that_it_is_not_let_in() {
    let Some(browser) = Browser::start(1024, 768) else { return };
    let (lab, url) = open("");
    visit(&browser, &url);
    let port = url.split([':', '/']).nth(4).unwrap();
    lab.ok("canvas serve --stop");
    browser.until("document.querySelector('#state-text').textContent.startsWith('reconnecting')");
    lab.ok(&format!("canvas serve --port {port}"));
    browser.until("document.querySelector('#state-text').textContent === 'not let in'");
    browser.until("document.querySelector('.notice')?.textContent.includes('its owner gives away')");
}

#[test]
fn a_page_of_another_origin_paints_nothing_even_with_the_cookie_of_a_painter() {
    let Some(browser) = Browser::start(1024, 768) else { return };
    let (lab, url) = open("");
    visit(&browser, &url);
    let (address, _) = url.split_once("/?key=").unwrap();
    let elsewhere = serve_page("<!doctype html><title>Elsewhere</title>");
    browser.open(&elsewhere);
    let refused = || lab.json("canvas serve --status")["counts"]["refused"].as_u64().unwrap();
    let before = refused();
    // A browser sends the cookie along, since it is of the same host, and asks nothing before such a request.
    browser.run(&format!(
        "fetch('{address}/client/pixel', {{ method: 'POST', mode: 'no-cors', credentials: 'include',
           body: '{{\"user_id\":\"eve\",\"x\":1,\"y\":1,\"color\":255}}' }}).finally(() => {{ document.title = 'answered'; }})"
    ));
    browser.until("document.title === 'answered'");
    assert_eq!(refused(), before + 1);
    assert_eq!(lab.run("canvas get 1 1").stderr, "pixel 1,1 was never painted\n");
}

/// Serves a page on a port of its own until the test ends, and gives its address.
fn serve_page(html: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let _ = socket.read(&mut head);
            let length = html.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{html}"
            );
            let _ = socket.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}/")
}
