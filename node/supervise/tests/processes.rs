//! Seats and processes, with shell scripts that play nodes: who answers when, what is heard in which order, and what is left.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::connect::{self, Http};
use raftian_rpc::control::{ControlClient as _, NodeNotice};
use raftian_rpc::error::not_taken;
use raftian_rpc::secret::Secret;
use raftian_supervise::{Launch, Process, ProcessEvent, Seat, SpawnError};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Long enough for any machine; nothing below waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that is removed when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("raftian-supervise-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// A process that does this.
    fn spawn(&self, script: &str, seats: &[Arc<Seat>]) -> Result<Process, SpawnError> {
        let program = self.0.join(script.len().to_string());
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let log = self.0.join("stderr.log");
        Process::spawn(&Launch { program: &program, line: b"the line\n", seats, log: &log, environment: &[] })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn seat() -> Arc<Seat> {
    Seat::open(NodeId::new(1).unwrap(), 0).unwrap()
}

fn client(seat: &Seat) -> Http {
    connect::http(seat.address(), &Secret::generate().unwrap(), PATIENCE).unwrap()
}

async fn next(process: &mut Process) -> ProcessEvent {
    timeout(PATIENCE, process.next()).await.expect("something was to be heard")
}

async fn ended(process: &mut Process) {
    timeout(PATIENCE, process.ended()).await.expect("the process was to end");
}

/// What a caller hears that sends this.
async fn answer(seat: &Seat, request: &[u8]) -> String {
    let mut caller = TcpStream::connect(seat.address()).await.unwrap();
    caller.write_all(request).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, caller.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    answer
}

#[tokio::test]
async fn callers_of_a_seat_without_a_process_hear_at_once_that_nothing_was_done() {
    let seat = seat();
    for _ in 0..100 {
        let error = client(&seat).status().await.unwrap_err();
        assert_eq!(not_taken(&error), Some("does not run"), "{error}");
    }
    let answer = answer(&seat, b"POST / HTTP/1.1\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("n1 does not run, so nothing was done"), "{answer}");
    assert!(answer.contains("Connection: close"), "{answer}");
}

#[tokio::test]
async fn many_callers_at_once_are_all_answered() {
    let seat = seat();
    let ask = |_| {
        let client = client(&seat);
        tokio::spawn(async move { client.status().await.unwrap_err() })
    };
    let calls: Vec<_> = (0..500).map(ask).collect();
    for call in calls {
        let error = call.await.unwrap();
        assert_eq!(not_taken(&error), Some("does not run"), "{error}");
    }
}

#[tokio::test]
async fn a_large_request_is_answered_too() {
    let seat = seat();
    let request = format!("POST / HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n{}", "x".repeat(8_000_000));
    assert!(answer(&seat, request.as_bytes()).await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn silent_callers_give_way_to_others() {
    let seat = seat();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(seat.address()).await.unwrap());
    }
    assert!(not_taken(&client(&seat).status().await.unwrap_err()).is_some());
    // The oldest gave way.
    assert_eq!(timeout(PATIENCE, silent[0].read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
}

#[tokio::test]
async fn while_a_process_has_the_seat_callers_wait_for_it_and_when_it_ends_they_are_answered() {
    let (scratch, seat) = (Scratch::new(), seat());
    let mut process = scratch.spawn("exec sleep 60", &[Arc::clone(&seat)]).unwrap();
    let call = tokio::spawn({
        let client = client(&seat);
        async move { client.status().await.unwrap_err() }
    });
    // It is in the kernel's queue before this caller, who is not answered either.
    let mut second = TcpStream::connect(seat.address()).await.unwrap();
    second.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
    assert!(timeout(Duration::from_millis(100), second.read(&mut [0; 1])).await.is_err());
    process.group().signal(Signal::KILL).unwrap();
    ended(&mut process).await;
    assert_eq!(not_taken(&timeout(PATIENCE, call).await.unwrap().unwrap()), Some("does not run"));
    assert_eq!(timeout(PATIENCE, second.read(&mut [0; 1])).await.unwrap().unwrap(), 1);
    drop(scratch.spawn("exec sleep 60", &[seat]).unwrap());
}

#[tokio::test]
async fn one_process_has_a_seat_at_a_time_and_a_program_that_cannot_be_executed_leaves_it() {
    let (scratch, seat) = (Scratch::new(), seat());
    let seats = [Arc::clone(&seat)];
    let process = scratch.spawn("exec sleep 60", &seats).unwrap();
    let error = scratch.spawn("exec sleep 60", &seats).unwrap_err();
    assert_eq!(error.to_string(), "another process of n1 has not ended yet");
    drop(process);
    let log = scratch.0.join("stderr.log");
    let nowhere =
        Launch { program: Path::new("/nowhere/node"), line: b"x\n", seats: &seats, log: &log, environment: &[] };
    let error = Process::spawn(&nowhere).unwrap_err();
    assert!(error.to_string().starts_with("cannot execute /nowhere/node: "), "{error}");
    assert_eq!(not_taken(&client(&seat).status().await.unwrap_err()), Some("does not run"));
}

#[tokio::test]
async fn a_seat_opens_on_its_former_port_and_on_another_where_that_is_in_use() {
    let node = NodeId::new(1).unwrap();
    let first = seat();
    let port = first.address().port();
    assert_ne!(Seat::open(node, port).unwrap().address().port(), port);
    drop(first);
    // The last of its tasks may need a moment to let go of the socket.
    let again = async {
        while Seat::open(node, port).unwrap().address().port() != port {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn everything_that_a_process_says_is_heard_before_its_end() {
    let scratch = Scratch::new();
    let script =
        r#"read line; echo "{\"notice\":\"failed\",\"reason\":\"$line\"}"; echo nonsense; echo last >&2; exit 3"#;
    let mut process = scratch.spawn(script, &[]).unwrap();
    let ProcessEvent::Notice(NodeNotice::Failed { reason }) = next(&mut process).await else { panic!("no notice") };
    assert_eq!(reason, "the line");
    assert!(matches!(next(&mut process).await, ProcessEvent::InvalidLine { line, .. } if line == b"nonsense\n"));
    let ProcessEvent::Ended(status) = next(&mut process).await else { panic!("no end") };
    assert_eq!(status.unwrap().code(), Some(3));
    assert_eq!(process.group().last_words().as_deref(), Some("last"));
    assert_eq!(process.group().signal(Signal::TERM).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn a_process_ends_with_its_owner_and_its_whole_group_with_it() {
    let scratch = Scratch::new();
    let mut process = scratch.spawn("sleep 60 & echo $!; wait", &[]).unwrap();
    let ProcessEvent::InvalidLine { line, .. } = next(&mut process).await else { panic!("no number") };
    let number = String::from_utf8(line).unwrap();
    let (leader, other) = (process.group().leader().pid.to_string(), number.trim().to_owned());
    drop(process);
    let runs = |number: &str| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    assert!(!runs(&leader) && !runs(&other));
}

#[tokio::test]
async fn the_end_of_its_input_tells_a_process_that_its_parent_is_gone() {
    let scratch = Scratch::new();
    let mut process = scratch.spawn("cat > /dev/null; exit 7", &[]).unwrap();
    process.close_input();
    assert_eq!(timeout(PATIENCE, process.ended()).await.unwrap().unwrap().code(), Some(7));
}

#[tokio::test]
async fn a_process_inherits_neither_the_sockets_of_seats_nor_the_lifeline_of_another() {
    let scratch = Scratch::new();
    let _other = scratch.spawn("exec sleep 60", &[seat()]).unwrap();
    let process = scratch.spawn("exec sleep 60", &[seat()]).unwrap();
    let descriptors = fs::read_dir(format!("/proc/{}/fd", process.group().leader().pid)).unwrap();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let sockets: Vec<PathBuf> = links.filter(|link| link.to_string_lossy().starts_with("socket:")).collect();
    assert_eq!(sockets.len(), 1, "its standard input, and no more: {sockets:?}");
}
