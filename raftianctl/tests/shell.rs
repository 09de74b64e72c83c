//! What a shell sees of `raftianctl` where no lab runs: exit codes, which stream says what, and help.
//!
//! The commands on a real lab are tested end to end in the workspace's `tests`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// An empty home for labs that goes away with the test.
struct Home(PathBuf);

impl Home {
    fn new(test: &str) -> Home {
        let path = std::env::temp_dir().join(format!("raftianctl-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Home(path)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raftianctl"));
        command.args(line.split_whitespace()).env("RAFTIAN_HOME", &self.0).env_remove("RAFTIAN_LAB");
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn code(output: &Output) -> i32 {
    output.status.code().expect("not ended by a signal")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn what_makes_no_sense_is_wrong_usage_and_says_what_would() {
    let home = Home::new("usage");
    for (line, hint) in [
        ("start -n 0", "a lab has 1 to 64 nodes"),
        ("start -n 1000", "a lab has 1 to 64 nodes"),
        ("start --election-timeout 300-150", "range 300–150 ms is empty"),
        ("start --heartbeat 200", "must exceed the heartbeat interval"),
        ("start --timeout -5s", "500ms, 10s"),
        ("start --app chess", "the apps are: attack"),
        ("start --hosting fork", "possible values: none, thread, process, async"),
        ("start --scene attack", "--hosting <HOSTING>"),
        ("start --hosting none --fps-cap 60", "has no game"),
        ("start --hosting thread --scene dots=0", "use 1 to"),
        ("start --hosting thread --fps-cap 0", "frames per second, at least 1, or `none`"),
        ("kill", "SELECTOR"),
        ("kill boss", "is not a node selector"),
        ("kill n1,", "is not a node selector"),
        ("pause @leader --timeout 10", "a number and a unit"),
        ("partition", "GROUP"),
        ("partition n1,n2", "at least two groups"),
        ("partition n1 n2 --for -10s", "is not a duration"),
        ("partition --shape star", "is not a shape"),
        ("fault add drop --from n1 --to n2 20", "20%"),
        ("fault add latency --from n1 --to n2 50", "50ms"),
        ("fault clear 1", "is not a fault id"),
        ("attack 0", "write a number from 1 to 64"),
        ("attack 99", "`99` is not a player; write a number from 1 to 64: 3"),
        ("attack three", "write a number from 1 to 64"),
        ("kv incr x abc", "`abc` is not an integer of 64 bits; write a whole number: 3 or -3"),
        ("attack 3 --as 2", "not a node selector"),
        ("load --rate 0", "is not a rate"),
        ("load --rate 5/s --closed", "cannot be used with"),
        ("wait commit", "commit>=N"),
        ("log --limit 0", "1..=4096"),
        ("logs 2", "not a node selector"),
        ("stop --purge n2", "cannot be used with"),
        ("--lab ../x status", "cannot name a lab"),
        ("nonsense", "unrecognized"),
    ] {
        let output = home.run(line);
        assert_eq!(code(&output), 2, "`{line}`: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "`{line}`");
        assert!(stderr(&output).contains(hint), "`{line}`: {}", stderr(&output));
    }
    assert_eq!(fs::read_dir(&home.0).unwrap().count(), 0, "a mistake leaves nothing behind");
}

#[test]
fn without_a_daemon_nothing_but_start_and_demo_does_anything() {
    let home = Home::new("nobody");
    for line in [
        "status",
        "status --watch",
        "wait leader",
        "log",
        "logs n1",
        "events",
        "events -f",
        "kill @leader",
        "stop n1",
        "partition n1 n2",
        "fault list",
        "heal",
        "attack 3",
        "load --for 1s",
    ] {
        let output = home.run(line);
        assert_eq!(code(&output), 4, "`{line}`: {}", stderr(&output));
        assert_eq!(
            stderr(&output),
            "raftianctl: no lab is running (looked for lab `default`); start one with `raftianctl start`\n",
            "`{line}`"
        );
        assert!(output.stdout.is_empty(), "`{line}`");
    }
    assert_eq!(fs::read_dir(&home.0).unwrap().count(), 0, "looking leaves nothing behind");
}

#[test]
fn stopping_what_is_down_succeeds_and_says_so() {
    let home = Home::new("stopped");
    let output = home.run("stop");
    assert_eq!((code(&output), output.stdout.as_slice()), (0, &b"there is no lab `default`\n"[..]));
    fs::create_dir(home.0.join("default")).unwrap();
    let output = home.run("stop");
    assert_eq!((code(&output), output.stdout.as_slice()), (0, &b"lab `default` is already stopped\n"[..]));
    fs::remove_dir(home.0.join("default")).unwrap();
    let output = home.run("stop --purge -o json");
    assert_eq!(code(&output), 0);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["changed"], false);
}

#[test]
fn what_a_dead_daemon_left_counts_as_no_daemon() {
    let home = Home::new("dead");
    let lab = home.0.join("default");
    fs::create_dir(&lab).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let daemon = format!(r#"{{"version":"{version}","pid":{},"address":"127.0.0.1:1"}}"#, child.id());
    fs::write(lab.join("daemon.json"), daemon).unwrap();
    assert_eq!(code(&home.run("status")), 4);
    fs::write(lab.join("daemon.json"), "{").unwrap();
    let output = home.run("status");
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("daemon.json is damaged"), "{}", stderr(&output));
}

#[test]
fn a_daemon_of_another_version_is_left_alone() {
    let home = Home::new("version");
    let lab = home.0.join("default");
    fs::create_dir(&lab).unwrap();
    let daemon = format!(r#"{{"version":"0.0.0","pid":{},"address":"127.0.0.1:1"}}"#, std::process::id());
    fs::write(lab.join("daemon.json"), daemon).unwrap();
    assert_eq!(code(&home.run("status")), 4, "nobody holds the lab: the file was left behind");
    let lock = fs::File::create(lab.join("daemon.lock")).unwrap();
    lock.try_lock().unwrap();
    for line in ["status", "start"] {
        let output = home.run(line);
        assert_eq!(code(&output), 1, "{line}");
        assert!(stderr(&output).contains("run by raftiand 0.0.0"), "`{line}`: {}", stderr(&output));
    }
}

#[test]
fn a_missing_or_foreign_daemon_is_named_with_what_to_do() {
    let home = Home::new("binary");
    let programs = home.0.join("programs");
    fs::create_dir(&programs).unwrap();
    let start = || home.command("start").env("RAFTIAN_BIN_DIR", &programs).output().unwrap();
    let output = start();
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("programs/raftiand; build all programs with `cargo build --release`"));
    for (program, hint) in [("/bin/true", "without a word"), ("/bin/ls", "it said:\n/bin/ls: unrecognized option")] {
        let path = programs.join("raftiand");
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink(program, &path).unwrap();
        let output = start();
        assert_eq!(code(&output), 1, "{program}: {}", stderr(&output));
        let said = stderr(&output).replace(&path.display().to_string(), program);
        assert!(said.contains("ended before it listened") && said.contains(hint), "{program}: {said}");
    }
    fs::remove_file(programs.join("raftiand")).unwrap();
    fs::write(programs.join("raftiand"), "no program").unwrap();
    assert!(stderr(&start()).contains("cannot be run"));
}

#[test]
fn errors_are_json_where_json_was_asked_for() {
    let home = Home::new("json");
    for (line, exit, kind) in
        [("status -o json", 4, "no_daemon"), ("-o json start -n 0", 2, "usage"), ("nonsense --output=json", 2, "usage")]
    {
        let output = home.run(line);
        assert_eq!(code(&output), exit, "`{line}`");
        let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["error"]["kind"], kind, "`{line}`");
        assert!(error["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "`{line}`");
    }
}

#[test]
fn help_goes_to_standard_output_in_groups_and_without_colour() {
    let home = Home::new("help");
    let output = home.run("--help");
    assert_eq!(code(&output), 0);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["Break and mend:", "  partition ", "Selectors name nodes:", "Examples:", "Exit codes:"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains('\x1b'));
    assert_eq!(code(&home.run("")), 2, "no command is a mistake");
    assert_eq!(code(&home.run("kill --help")), 0);
    assert_eq!(code(&home.run("--version")), 0);
}

#[test]
fn a_reader_that_leaves_early_ends_us_quietly() {
    let home = Home::new("pipe");
    let mut child = home.command("completions bash").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
}

#[test]
fn the_doctor_reports_on_every_part() {
    let home = Home::new("doctor");
    let output = home.run("doctor -o json");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = report["checks"].as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
    for name in ["raftiand", "raftian-node", "labs folder", "disk", "loopback", "machine", "labs", "processes"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(fs::read_dir(&home.0).unwrap().count(), 0, "looking leaves nothing behind");
}
