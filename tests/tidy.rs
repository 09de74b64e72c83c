//! What reviewers would otherwise have to say again and again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of the project that git knows or would add.
fn files(ending: &str) -> Vec<PathBuf> {
    let root = raftian_tests::workspace();
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git runs");
    let listed = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let found: Vec<PathBuf> = listed
        .lines()
        .filter(|path| path.ends_with(ending))
        .map(|path| root.join(path))
        .filter(|p| p.exists())
        .collect();
    assert!(!found.is_empty(), "no {ending} files: is this a git checkout?");
    found
}

fn check(ending: &str, complaint: impl Fn(&Path, &str) -> Option<String>) {
    let complaints: Vec<String> = files(ending)
        .iter()
        .filter_map(|path| {
            let text = fs::read_to_string(path).expect("source is UTF-8");
            complaint(path, &text).map(|complaint| format!("{}: {complaint}", path.display()))
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_file_says_first_what_it_is_for() {
    check(".rs", |_, text| (!text.starts_with("//! ")).then(|| "does not open with `//!`".into()));
}

#[test]
fn no_file_is_longer_than_500_lines() {
    check(".rs", |_, text| {
        let lines = text.lines().count();
        (lines > 500).then(|| format!("has {lines} lines; it has two subjects"))
    });
}

#[test]
fn nothing_is_left_for_later() {
    // Written in two halves, so that this file passes its own test.
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("todo", "!("), concat!("#[ig", "nore")];
    check(".rs", |_, text| marks.iter().find(|mark| text.contains(**mark)).map(|mark| format!("has {mark}")));
}

/// Hints are data (`raftian_rpc::hint`): the daemon and the nodes say what is the case, and each face what to type.
#[test]
fn no_daemon_and_no_node_names_a_command_of_the_shell() {
    let speaks = |path: &Path| {
        let rooms = ["raftiand/src", "node/src", "node/rpc/src", "node/why/src"];
        rooms.iter().any(|room| path.starts_with(raftian_tests::workspace().join(room)))
    };
    check(".rs", |path, text| {
        let mut code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let shell = code.find(|line| speaks(path) && line.contains("raftianctl "))?;
        Some(format!("says what to type: {}", shell.trim()))
    });
}

#[test]
fn no_document_has_a_hole() {
    check(".md", |_, text| text.contains("{{").then(|| "has a place that was never filled in".into()));
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    check(".md", |path, text| {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#') && !target.is_empty());
        let folder = path.parent().expect("a file lies in a folder");
        local
            .map(|target| target.split('#').next().unwrap_or(target))
            .find(|target| !folder.join(target).exists())
            .map(|target| format!("links to {target}, which is not there"))
    });
}
