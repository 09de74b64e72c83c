//! A canvas that is open to painters: Distri-place's protocol to the letter, who comes in and who does not, and what is too
//! much. What becomes of clients when nodes die is in `survival.rs`.

mod painter;
mod survival;

use painter::{Open, connect};
use raftian_tests::{Lab, eventually};
use serde_json::Value;

/// A lab of three nodes with a canvas of this size.
fn canvas(size: &str) -> Lab {
    let lab = Lab::new();
    lab.ok(&format!("start -n 3 --app canvas --size {size}"));
    lab
}

fn last_index(lab: &Lab) -> u64 {
    let ends = lab.nodes().into_iter().filter_map(|node| node["server"]["last_index"].as_u64());
    ends.max().expect("a log")
}

/// Where Distri-place's page comes from.
const PAGE: (&str, &str) = ("origin", "http://localhost:3000");

#[test]
fn distri_places_own_page_paints_and_sees_what_others_paint() {
    let lab = canvas("64x64");
    let open = Open::of(&lab, "--allow-origin http://localhost:3000");
    let preflight =
        [PAGE, ("access-control-request-method", "POST"), ("access-control-request-headers", "content-type")];
    let allowed = open.send("OPTIONS", "/client/pixel", &preflight, "");
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(allowed.header("access-control-allow-headers"), Some("content-type"));
    for path in ["/client/status", "/client/health"] {
        let status = open.send("GET", path, &[PAGE], "");
        assert_eq!((status.status, status.text()), (200, r#"{"status":"ok"}"#.into()));
    }

    let mut socket = open.socket("/ws/", &[PAGE]).expect("the page comes in");
    socket.say(r#"{"type":"connect","content":{"user_id":"visitor"}}"#);
    let connected: Value = serde_json::from_str(&socket.text()).unwrap();
    assert_eq!(connected["type"], "connected");
    let node = &connected["content"]["node"];
    assert!(node["id"].as_str().unwrap().starts_with('n'), "{connected}");
    assert!(["LEADER", "FOLLOWER"].contains(&node["role"].as_str().unwrap()), "{connected}");
    assert_eq!(open.send("GET", "/client/pixels", &[PAGE], "").pixels(), vec![0; 64 * 64]);

    let body = r#"{"user_id":"visitor","x":1,"y":2,"color":16711680}"#;
    let painted = open.send("POST", "/client/pixel", &[PAGE, ("content-type", "application/json")], body);
    assert_eq!((painted.status, painted.text()), (200, r#"{"success":true}"#.into()));
    assert_eq!(painted.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(socket.text(), r#"{"type":"pixel","content":{"x":1,"y":2,"color":16711680}}"#);
    socket.say(r#"{"type":"ping"}"#);
    let pong: Value = serde_json::from_str(&socket.text()).unwrap();
    assert_eq!(pong, serde_json::json!({ "type": "pong", "content": { "status": "ok" } }));
    socket.say("no JSON");
    assert_eq!(socket.told("error")["type"], "error");

    // What is painted by other ways is seen as well, and the log says who painted here.
    lab.ok("canvas set 3 4 blue");
    assert_eq!(socket.text(), r#"{"type":"pixel","content":{"x":3,"y":4,"color":255}}"#);
    let pixels = open.send("GET", "/client/pixels", &[PAGE], "").pixels();
    assert_eq!((pixels[2 * 64 + 1], pixels[4 * 64 + 3]), (0xff_0000, 255));
    let log = lab.json("log n1");
    assert!(log.to_string().contains(r#""client":"visitor:"#), "{log}");
}

#[test]
fn what_is_no_pixel_of_the_canvas_is_refused_before_the_log() {
    let lab = canvas("64x32");
    let open = Open::of(&lab, "");
    open.paint("a", (63, 31), 1);
    let before = last_index(&lab);
    let batch = |pixels: &str| format!(r#"{{"user_id":"a","pixels":[{pixels}]}}"#);
    let many = |count| vec!["[0,0,1]"; count].join(",");
    let cases = [
        ("/client/pixel", r#"{"user_id":"a","x":64,"y":0,"color":1}"#.to_owned(), 422, "64,0 is not on the canvas"),
        ("/client/pixel", r#"{"user_id":"a","x":0,"y":32,"color":1}"#.to_owned(), 422, "0,32 is not on the canvas"),
        ("/client/pixel", r#"{"user_id":"a","x":70000,"y":0,"color":1}"#.to_owned(), 422, "70000,0 is not"),
        ("/client/pixel", r#"{"user_id":"a","x":0,"y":0,"color":16777216}"#.to_owned(), 422, "is not a colour"),
        ("/client/pixel", r#"{"user_id":"a","x":-1,"y":0,"color":1}"#.to_owned(), 422, "malformed"),
        ("/client/pixel", r#"{"user_id":"a","x":1.5,"y":0,"color":1}"#.to_owned(), 422, "malformed"),
        ("/client/pixel", r#"{"x":1,"y":0,"color":1}"#.to_owned(), 422, "user_id"),
        ("/client/pixel", "no JSON".to_owned(), 422, "malformed"),
        ("/client/pixels", batch(""), 422, "1 to 4096 pixels"),
        ("/client/pixels", batch(&many(4_097)), 422, "1 to 4096 pixels"),
        ("/client/pixels", batch("[0,0,1],[64,0,1]"), 422, "64,0 is not on the canvas"),
        ("/client/pixels", batch(&many(1_000_000)), 413, ""),
    ];
    for (path, body, status, says) in cases {
        let answer = open.post(path, &body);
        let start: String = body.chars().take(80).collect();
        assert_eq!(answer.status, status, "{start}");
        assert!(answer.text().contains(says), "{start}: {}", answer.text());
    }
    assert_eq!(open.post("/client/pixels", &batch(&many(4_096))).status, 200);
    assert_eq!(last_index(&lab), before + 1, "one batch reached the log, and nothing else");

    let mut socket = open.binary("");
    socket.say(&format!(r#"{{"type":"ping","content":"{}"}}"#, "x".repeat(8_000)));
    socket.told("node");
    let closed = socket.next().expect_err("a message that is too long ends its connection");
    assert!(!closed.contains("timed out"), "{closed}");
}

#[test]
fn strangers_and_pages_of_other_origins_get_nothing() {
    let lab = canvas("16x16");
    let open = Open::of(&lab, "");
    let secret = std::fs::read_to_string(lab.folder().join("secret")).unwrap();
    let lab_secret = format!("Bearer {}", secret.trim());
    let foreign = [("authorization", open.painter.as_str()), ("origin", "http://evil.example")];
    let rebound = [("authorization", open.painter.as_str()), ("host", "evil.example")];
    for path in ["/", "/canvas.js", "/client/pixels", "/client/board", "/client/status", "/nothing", "/?key=wrong"] {
        for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", lab_secret.as_str())]] {
            let answer = open.send("GET", path, headers, "");
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["detail"]);
        }
        for headers in [&foreign, &rebound] {
            let answer = open.send("GET", path, headers, "");
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{path}");
        }
    }
    for (headers, status) in [(&[][..], 401), (&foreign[..], 403), (&rebound[..], 403)] {
        assert_eq!(open.socket("/ws", headers).err(), Some(status));
        let body = r#"{"user_id":"a","x":0,"y":0,"color":1}"#;
        assert_eq!(open.send("POST", "/client/pixel", headers, body).status, status);
    }
    assert_eq!(open.send("OPTIONS", "/client/pixel", &foreign, "").status, 403);
    // The lab does not know what painters hold.
    let daemon: Value = serde_json::from_slice(&std::fs::read(lab.folder().join("daemon.json")).unwrap()).unwrap();
    let lab_itself = Open { address: daemon["address"].as_str().unwrap().parse().unwrap(), ..Open::of(&lab, "") };
    assert_eq!(lab_itself.post("/", r#"{"jsonrpc":"2.0","id":1,"method":"lab.hello","params":[]}"#).status, 401);
    assert!(open.get("/client/pixels").pixels().iter().all(|pixel| *pixel == 0), "nothing was painted");
}

#[test]
fn an_address_that_is_given_away_becomes_a_cookie_and_one_for_looking_does_not_paint() {
    let lab = canvas("16x16");
    let open = Open::of(&lab, "");
    let key = open.viewer.strip_prefix("Bearer ").unwrap();
    let entered = open.send("GET", &format!("/?key={key}"), &[], "");
    assert_eq!(entered.status, 200);
    let cookie = entered.header("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned();
    let page = open.send("GET", "/", &[("cookie", &cookie)], "");
    assert!(page.status == 200 && page.text().contains("<canvas"), "{page:?}");
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(
        (page.header("cache-control"), page.header("x-content-type-options")),
        (Some("no-store"), Some("nosniff"))
    );
    assert_eq!(open.send("GET", "/client/pixels", &[("cookie", &cookie)], "").status, 200);
    assert!(open.socket("/ws", &[("cookie", &cookie)]).is_ok());
    let body = r#"{"user_id":"a","x":0,"y":0,"color":1}"#;
    let refused = open.send("POST", "/client/pixel", &[("cookie", &cookie)], body);
    assert_eq!(refused.status, 403, "{refused:?}");

    lab.ok("canvas serve --stop");
    let open = Open::of(&lab, "--read-only --allow-origin any");
    for headers in [&[("authorization", open.painter.as_str())][..], &[], &[("origin", "http://any.example")]] {
        assert_eq!(open.send("GET", "/client/pixels", headers, "").status, 200);
        assert_eq!(open.send("POST", "/client/pixel", headers, body).status, 403);
    }
    assert_eq!(open.send("GET", "/client/pixels", &[("cookie", &cookie), ("host", "evil.example")], "").status, 403);
}

#[test]
fn opening_and_closing_say_what_is_the_case() {
    let lab = canvas("16x16");
    lab.fails("canvas share", 1, &["the canvas is not open"]);
    lab.fails("canvas serve --status", 1, &["the canvas is not open"]);
    assert_eq!(lab.ok("canvas serve --stop").trim(), "the canvas was not open");
    let report = lab.json("canvas serve --port 0");
    let port = report["request"]["port"].as_u64().unwrap();
    assert!(report["changed"] == true && report["address"] == format!("127.0.0.1:{port}"), "{report}");
    assert_eq!(lab.json("canvas serve --port 0")["changed"], false);
    lab.fails("canvas serve --port 0 --read-only", 1, &["is open already", "in another way"]);
    lab.fails("canvas serve --allow-origin localhost", 2, &["is not an origin", "or `any`"]);
    lab.fails("canvas serve --allow-origin any --allow-origin http://a.example", 2, &["leave out the others"]);
    eventually("all nodes are healthy", || {
        let status = lab.json("canvas serve --status");
        status["nodes"].as_array().unwrap().iter().all(|node| node["healthy"] == true)
    });
    assert!(lab.ok("canvas serve --status").contains("0 pixels painted by 0 commands"));
    assert_eq!(lab.ok("canvas serve --stop").trim(), "the canvas is closed to painters");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    lab.fails(&format!("canvas serve --port {port}"), 1, &["is in use; choose another"]);
    let store = Lab::new();
    store.ok("start -n 1 --app kv");
    store.fails("canvas serve --port 0", 2, &["replicates `kv`, not a canvas"]);
}

#[test]
fn a_painter_who_does_not_wait_is_asked_to() {
    let lab = canvas("16x16");
    let open = Open::of(&lab, "--cool-down 1h");
    open.paint("alice", (0, 0), 1);
    let again = open.post("/client/pixel", r#"{"user_id":"alice","x":1,"y":0,"color":1}"#);
    assert_eq!((again.status, again.header("retry-after").is_some()), (429, true), "{again:?}");
    open.paint("bob", (1, 0), 2);
}

#[test]
fn thousands_of_idle_connections_keep_neither_painters_nor_the_lab_waiting() {
    let lab = canvas("16x16");
    let open = Open::of(&lab, "");
    let silent: Vec<_> = (0..2_000).map(|_| connect(open.address)).collect();
    let sockets: Vec<_> = (0..200).map(|_| open.binary("")).collect();
    open.paint("alice", (0, 0), 1);
    lab.ok("status");
    drop((silent, sockets));
    eventually("they are gone", || open.count(&lab, "connections") == 0);
}
