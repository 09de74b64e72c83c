//! What other programs rely on: the protocol as it is documented, and the metrics.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use raftian_tests::{Lab, ran, workspace};
use serde_json::Value;

/// Where methods are declared.
const SOURCES: [&str; 5] = [
    "node/rpc/src/lab.rs",
    "node/view/src/stream.rs",
    "node/rpc/src/client.rs",
    "node/rpc/src/control.rs",
    "node/rpc/src/raft.rs",
];

/// The text between `before` and `after`, and what follows.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<(&'a str, &'a str)> {
    text.split_once(before)?.1.split_once(after)
}

/// A text without the links of rustdoc, which lead nowhere from a document.
fn unlinked(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        plain.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain.replace(['[', ']'], "")
}

/// The table of all methods: each with the first sentence of what its source says.
fn methods() -> String {
    let mut table = "| Method | |\n|---|---|\n".to_owned();
    for source in SOURCES {
        let text = fs::read_to_string(workspace().join(source)).unwrap();
        let (namespace, _) = between(&text, "namespace = \"", "\"").expect("a namespace");
        let mut comment = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(words) = line.strip_prefix("///") {
                comment.push_str(words.trim_end());
                continue;
            }
            let is_method = line.starts_with("#[method(") || line.starts_with("#[subscription(");
            if is_method {
                let (name, _) = between(line, "name = \"", "\"").expect("a name");
                let sentence = comment.trim().split_inclusive(". ").next().unwrap_or_default().trim();
                let sentence = unlinked(sentence.split("  #").next().unwrap_or_default());
                let how = if line.starts_with("#[subscription(") { ", a subscription" } else { "" };
                table.push_str(&format!("| `{namespace}.{name}`{how} | {sentence} |\n"));
            }
            comment.clear();
        }
    }
    table
}

#[test]
fn the_documented_methods_are_those_of_the_source() {
    let text = fs::read_to_string(workspace().join("docs/protocol.md")).unwrap();
    let (_, documented) = text.split_once("## Methods\n").expect("the section");
    let table = methods();
    let is_there = documented.trim_end().ends_with(table.trim_end());
    assert!(is_there, "docs/protocol.md should end with:\n{table}");
}

#[test]
fn the_documented_client_paints_reads_and_follows() {
    let text = fs::read_to_string(workspace().join("docs/protocol.md")).unwrap();
    let (program, _) = between(&text, "```python\n", "```").expect("the client");
    let lab = Lab::new();
    lab.ok("start -n 3 --app canvas");
    let mut python = Command::new("python3");
    let output = python.args(["-c", program]).env("RAFTIAN_HOME", lab.home()).output();
    let Ok(output) = output else {
        println!("skipped: there is no python3 here");
        return;
    };
    let ran = ran("python3".to_owned(), output);
    assert_eq!(ran.code, 0, "{ran:#?}");
    for says in ["painted, at index 2\n", "'colour': 16744448", "n2 applied: {'paint': [[3, 4, 16744448]]}"] {
        assert!(ran.stdout.contains(says), "{says}: {ran:#?}");
    }
}

/// The answer to `GET /metrics`: its status line, and its body.
fn metrics(address: &str, secret: Option<&str>) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let shown = secret.map(|secret| format!("Authorization: Bearer {secret}\r\n")).unwrap_or_default();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\n{shown}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// Every sample belongs to a metric whose help and type stand before it, once; and no sample is there twice.
fn check(text: &str) {
    let mut known = std::collections::BTreeSet::new();
    let mut samples = std::collections::BTreeSet::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect(line);
            assert!(known.insert(name.to_owned()) && words.ends_with('.'), "{line}");
            current = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect(line);
            assert!(name == current && ["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').expect(line);
            assert_eq!(series.split('{').next(), Some(current.as_str()), "{line}");
            assert!(samples.insert(series.to_owned()) && value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn metrics_are_for_those_who_know_the_secret_and_are_well_formed() {
    let lab = Lab::started(3);
    lab.ok("attack 2");
    let folder = lab.folder();
    let secret = fs::read_to_string(folder.join("secret")).unwrap();
    let secret = Some(secret.trim());
    let file: Value = serde_json::from_str(&fs::read_to_string(folder.join("daemon.json")).unwrap()).unwrap();
    let daemon = file["address"].as_str().unwrap();

    let (status, text) = metrics(daemon, secret);
    assert_eq!(status, "HTTP/1.1 200 OK");
    check(&text);
    for line in [
        "raftian_lab_has_leader 1",
        "raftian_lab_nodes{state=\"running\"} 3",
        "raftian_node_applied_index{node=\"n1\"} 2",
    ] {
        assert!(text.lines().any(|sample| sample == line), "{line}\n{text}");
    }
    let (status, text) = metrics(daemon, None);
    assert!(status == "HTTP/1.1 401 Unauthorized" && !text.contains("raftian_node"), "{status}");

    let node = lab.nodes()[0]["address"].as_str().unwrap().to_owned();
    let (status, text) = metrics(&node, secret);
    assert_eq!(status, "HTTP/1.1 200 OK");
    check(&text);
    assert!(text.contains("raftian_node_term{node=\"n1\"}") && !text.contains("n2"), "{text}");
    assert_eq!(metrics(&node, None).0, "HTTP/1.1 401 Unauthorized");

    let text = metrics(daemon, secret).1;
    let dashboard = fs::read_to_string(workspace().join("docs/grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let shown = target["expr"].as_str().unwrap();
            let name =
                shown.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').find(|word| word.starts_with("raftian_"));
            let name = name.expect("a panel shows a metric");
            assert!(text.contains(&format!("# TYPE {name} ")), "{name} is no metric");
        }
    }
}
