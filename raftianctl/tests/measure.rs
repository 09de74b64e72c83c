//! What a shell sees of `raftianctl plot` and `raftianctl bench report` where there is no run to read.
//!
//! What they make of a run is tested in the bench library.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// An empty folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("raftianctl-measure-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raftianctl"));
        command.args(line.split_whitespace()).current_dir(&self.0).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_folder_without_a_run_is_named_with_what_to_do_and_left_alone() {
    let folder = Folder::new("none");
    for (line, hint) in [
        ("bench report nowhere", "there is no folder nowhere; `raftianctl bench run` makes one"),
        ("plot nowhere", "there is no folder nowhere"),
        ("bench report .", ". holds no run"),
        ("plot . --list", ". holds no run"),
    ] {
        let output = folder.run(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "`{line}`: {said}");
        assert!(said.starts_with("raftianctl: ") && said.contains(hint), "`{line}`: {said}");
        assert!(output.stdout.is_empty(), "`{line}`");
    }
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0, "looking leaves nothing behind");
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    let folder = Folder::new("usage");
    for (line, hint) in [
        ("plot", "RUN"),
        ("plot . --list e1-fps", "cannot be used with"),
        ("plot . --format gif", "possible values: svg, png"),
        ("plot . --width poster", "possible values: page, column"),
        ("bench report", "RUN"),
    ] {
        let output = folder.run(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "`{line}`: {said}");
        assert!(said.contains(hint), "`{line}`: {said}");
    }
}
