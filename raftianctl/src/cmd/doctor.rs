//! `raftianctl doctor`: whether this machine and these programs can run labs, and which processes belong to none.
//!
//! Invariant: changes nothing unless it is asked to. What it writes to try the disk is gone when it returns.

mod strays;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use raftian_bench::machine::Machine;
use raftian_rpc::VERSION;
use raftian_rpc::connect::Http;
use raftian_rpc::control::NodeNotice;
use raftian_rpc::folder::home;
use raftian_rpc::hint::Note;
use raftian_rpc::lab::LabClient as _;
use serde::Serialize;

use self::strays::Running;
use crate::cli::Context;
use crate::cmd::labs::found;
use crate::connect::{Daemon, is_alive, read_daemon_file};
use crate::failure::{Failure, Kind};
use crate::output::{Paint, naming};
use crate::{advice, launch, words};

/// How often a sync is measured, and of how much.
const SYNCS: usize = 50;
const SYNC_BYTES: usize = 256;

/// A sync that takes longer than this delays every commit noticeably, in microseconds.
const SLOW_SYNC_US: u64 = 5_000;

/// How long a program may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(2);

/// Check programs, folders, disk, network and left-over processes
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  raftianctl doctor\n  raftianctl doctor --fix\n\nThe exit code is 1 if a check fails; warnings \
                        do not count."
)]
pub(crate) struct Args {
    /// End daemons whose lab's folder is gone, and nodes whose daemon has ended
    #[arg(long)]
    fix: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    level: Level,
    text: String,
    /// What to do about it.
    advice: Option<String>,
}

#[derive(Debug, Serialize)]
struct Diagnosis {
    checks: Vec<Check>,
}

/// Looks at everything.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let mut checks = vec![program("raftiand").await, program("raftian-node").await];
    match home() {
        Ok(home) => {
            let (check, place) = labs_folder(&home);
            checks.push(check);
            checks.extend(place.map(|place| disk(&place)));
            checks.push(loopback());
            checks.push(machine(&home));
            checks.extend(labs(&home).await);
        }
        Err(why) => checks.push(fail("labs folder", why, "set RAFTIAN_HOME to a folder of yours")),
    }
    if args.fix {
        checks.extend(end_strays().await);
    }
    checks.extend(processes());
    let failed = checks.iter().filter(|check| check.level == Level::Fail).count();
    let colour = context.output.colour();
    context
        .output
        .data(&Diagnosis { checks }, |diagnosis| diagnosis.checks.iter().map(|check| line(check, colour)).collect())?;
    match failed {
        0 => Ok(()),
        1 => Err(Failure::failed("one check failed; its advice is above")),
        _ => Err(Failure::failed(format!("{failed} checks failed; their advice is above"))),
    }
}

fn line(check: &Check, colour: bool) -> String {
    let (word, paint) = match check.level {
        Level::Ok => ("ok  ", Paint::Good),
        Level::Warn => ("warn", Paint::Warn),
        Level::Fail => ("fail", Paint::Bad),
    };
    let advice = check.advice.as_ref().map(|advice| format!("{:20}→ {advice}\n", "")).unwrap_or_default();
    format!("{}  {:<12}  {}\n{advice}", paint.apply(word, colour), check.name, check.text)
}

/// Whether a program is there, is ours, and has our version.
async fn program(name: &'static str) -> Check {
    const BUILD: &str = "`cargo build --release`, or set RAFTIAN_BIN_DIR to the folder with the programs";
    let path = match launch::sibling(name) {
        Ok(path) if path.is_file() => path,
        Ok(path) => return fail(name, format!("there is none at {}", path.display()), BUILD),
        Err(failure) => return fail(name, failure.message(), BUILD),
    };
    let shown = path.display();
    let asked = tokio::process::Command::new(&path)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let answer = match tokio::time::timeout(VERSION_TIMEOUT, asked).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(Err(error)) => {
            return fail(name, format!("{shown} cannot be run: {error}"), BUILD);
        }
        Err(_) => return fail(name, format!("{shown} does not say its version"), BUILD),
    };
    if serde_json::from_str::<NodeNotice>(&answer).is_ok() {
        // A node takes no arguments; that it complains in its own language is how it is known.
        return ok(name, format!("{shown} (its version is checked whenever it starts)"));
    }
    match answer.strip_prefix(name).map(str::trim) {
        Some(VERSION) => ok(name, format!("{VERSION} at {shown}")),
        Some(other) => fail(
            name,
            format!("{shown} is version {other}, and this is {VERSION}"),
            "build all programs together with `cargo build --release`",
        ),
        None => fail(name, format!("{shown} does not say it is {name} {VERSION}"), BUILD),
    }
}

/// Whether labs can be kept, and the folder that exists where they would be.
fn labs_folder(home: &Path) -> (Check, Option<PathBuf>) {
    const NAME: &str = "labs folder";
    let Some(existing) = home.ancestors().find(|path| path.exists()) else {
        return (fail(NAME, format!("{} is nowhere", home.display()), "set RAFTIAN_HOME to a folder of yours"), None);
    };
    let will = if existing == home { String::new() } else { " (made at the first start)".to_owned() };
    match scratch(existing) {
        Ok(_) => (ok(NAME, format!("{}{will} is writable", home.display())), Some(existing.to_owned())),
        Err(error) => {
            let text = format!("{} cannot be written: {error}", existing.display());
            (fail(NAME, text, "give access, make room, or set RAFTIAN_HOME to another folder"), None)
        }
    }
}

/// How long a sync takes, on which file system.
fn disk(folder: &Path) -> Check {
    const NAME: &str = "disk";
    let file_system = Machine::this(folder).file_system;
    let kind = file_system.as_deref().unwrap_or("unknown file system");
    let median_us = match scratch(folder).and_then(|file| median_sync_us(&file)) {
        Ok(median_us) => median_us,
        Err(error) => return fail(NAME, format!("a sync fails on {kind}: {error}"), "make room, or look at the disk"),
    };
    let text = format!("{kind}; fdatasync of {SYNC_BYTES} B takes {median_us} µs (median, n = {SYNCS})");
    match kind {
        "tmpfs" | "ramfs" => warn(NAME, text, "memory, not a disk: syncs cost nothing here, so measure elsewhere"),
        _ if median_us > SLOW_SYNC_US => warn(NAME, text, "slow: every commit waits for syncs; try another disk"),
        _ => ok(NAME, text),
    }
}

/// A file that is gone as soon as it is closed.
fn scratch(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".raftian-doctor-{}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn median_sync_us(mut file: &File) -> io::Result<u64> {
    let mut times_us = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[0xA5; SYNC_BYTES])?;
        let began = Instant::now();
        file.sync_data()?;
        times_us.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    times_us.sort_unstable();
    Ok((times_us[SYNCS / 2 - 1] + times_us[SYNCS / 2]) / 2)
}

fn loopback() -> Check {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) {
        Ok(_) => ok("loopback", "127.0.0.1 gives out ports".to_owned()),
        Err(error) => {
            let text = format!("nothing can listen on 127.0.0.1: {error}");
            fail("loopback", text, "is the interface `lo` up? does a sandbox forbid it?")
        }
    }
}

fn machine(home: &Path) -> Check {
    let machine = Machine::this(home);
    let cores = machine.cores.map_or("unknown cores".to_owned(), |cores| format!("{cores} cores"));
    let memory = machine.memory_bytes.map_or("unknown".to_owned(), words::memory);
    let load = machine.load_average.map(|[one, ..]| one);
    let loaded = load.map(|load| format!(", load average {load}")).unwrap_or_default();
    let text = format!("{cores}, {memory} of memory{loaded}");
    match (load, machine.cores) {
        (Some(load), Some(cores)) if load > cores as f64 => {
            warn("machine", text, "busy: elections may be late and figures worth little; wait until it is idle")
        }
        _ => ok("machine", text),
    }
}

/// Every lab in the home, and whether its daemon lives.
async fn labs(home: &Path) -> Vec<Check> {
    let found = found(home);
    if found.is_empty() {
        return vec![ok("labs", "none yet; start one with `raftianctl start`".to_owned())];
    }
    let mut checks = Vec::new();
    for (name, folder) in found {
        let pid = read_daemon_file(&folder).ok().flatten().map(|file| file.pid);
        let mut cluster = Vec::new();
        checks.push(match (Daemon::find(&name, &folder).await, pid) {
            (Ok(daemon), _) => {
                cluster = alarms(&daemon, &name).await;
                ok("lab", format!("`{name}` is run by process {}", daemon.pid))
            }
            (Err(failure), None) if failure.kind() == Kind::NoDaemon => ok("lab", format!("`{name}` is stopped")),
            (Err(failure), Some(pid)) if failure.kind() == Kind::NoDaemon && !is_alive(pid) => warn(
                "lab",
                format!("`{name}` lost its daemon (process {pid}) without a stop"),
                format!("`raftianctl --lab {name} start` recovers it"),
            ),
            (Err(failure), _) => warn("lab", format!("`{name}` cannot be reached"), failure.message()),
        });
        checks.append(&mut cluster);
    }
    checks
}

/// What is wrong with the cluster of a lab that runs: alarms, and disks that are slow or do not answer.
async fn alarms(daemon: &Daemon, name: &str) -> Vec<Check> {
    let status = match daemon.ask(async |lab: Http| lab.status().await).await {
        Ok(status) => status,
        Err(failure) => return vec![warn("cluster", format!("`{name}` says nothing of its nodes"), failure.message())],
    };
    let alarms = raftian_why::alarms(&status).into_iter();
    let alarms = alarms.map(|Note { text, hints }| {
        fail("cluster", format!("`{name}`: {text}"), naming(&advice::commands(&hints), name))
    });
    let disks = status.nodes.iter().filter_map(|node| raftian_why::disk_trouble(node.server.as_ref()?));
    let advice = "look at the disk (`dmesg`, `iostat`), or keep the lab on another one (RAFTIAN_HOME)";
    alarms.chain(disks.map(|disk| warn("disk", format!("lab `{name}`, {disk}"), advice))).collect()
}

/// Processes that belong to no lab. Those of a crashed daemon, or of a removed folder, should have left within seconds.
fn processes() -> Vec<Check> {
    const NAME: &str = "processes";
    let running = match Running::now() {
        Ok(running) => running,
        Err(error) => return vec![warn(NAME, format!("processes cannot be listed: {error}"), "look with `ps`")],
    };
    let counts = format!("{} raftiand, {} raftian-node of this user", running.daemons, running.nodes);
    if running.strays.is_empty() {
        return vec![ok(NAME, counts)];
    }
    let mut checks = vec![ok(NAME, format!("{counts}, of which these belong to no lab:"))];
    checks.extend(running.strays.iter().map(|stray| {
        let advice = match stray.may_be_ended() {
            true => "`raftianctl doctor --fix` ends it",
            false => "left alone: that program should end it",
        };
        warn(NAME, stray.to_string(), advice)
    }));
    checks
}

/// Ends what belongs to no lab and is of no use to any program.
async fn end_strays() -> Vec<Check> {
    const NAME: &str = "fix";
    let mut checks = Vec::new();
    for stray in Running::now().map(|running| running.strays).unwrap_or_default() {
        if !stray.may_be_ended() {
            continue;
        }
        checks.push(match stray.end().await {
            Ok(()) => ok(NAME, format!("ended {stray}")),
            Err(error) => warn(NAME, format!("{stray} cannot be ended: {error}"), "look with `ps`"),
        });
    }
    if checks.is_empty() {
        checks.push(ok(NAME, "there is nothing to end".to_owned()));
    }
    checks
}

fn ok(name: &'static str, text: String) -> Check {
    Check { name, level: Level::Ok, text, advice: None }
}

fn warn(name: &'static str, text: String, advice: impl Into<String>) -> Check {
    Check { name, level: Level::Warn, text, advice: Some(advice.into()) }
}

fn fail(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Check {
    Check { name, level: Level::Fail, text: text.into(), advice: Some(advice.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_stands_under_its_check() {
        let text = line(&warn("disk", "tmpfs".into(), "measure elsewhere"), false);
        assert_eq!(text, "warn  disk          tmpfs\n                    → measure elsewhere\n");
    }

    #[test]
    fn the_scratch_file_leaves_nothing() {
        let folder = std::env::temp_dir().join(format!("raftianctl-doctor-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert!(median_sync_us(&scratch(&folder).unwrap()).is_ok());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir(&folder).unwrap();
    }
}
