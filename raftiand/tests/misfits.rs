//! Programs that are no nodes, folders that are no folders, requests that are no requests: the daemon says what is
//! wrong and what to do, leaves nothing behind, and stays up where it can.

mod common;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::{Daemon, raftiand, scratch, script, three};
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::{ClientT as _, Subscription};
use jsonrpsee::core::params::BatchRequestBuilder;
use jsonrpsee::rpc_params;
use raftian_rpc::condition::Condition;
use raftian_rpc::connect::websocket;
use raftian_rpc::control::ByHand;
use raftian_rpc::error::LabError;
use raftian_rpc::faults::Effect;
use raftian_rpc::lab::{
    ActRequest, Action, Event, FaultRequest, Happening, LabClient, Layout, NodeState, PartitionRequest, StartRequest,
};
use raftian_rpc::secret::Secret;

/// The error of a start with this program in the place of a node, after which no trace of the lab may be left.
async fn start_with(program: &Path) -> LabError {
    let lab = scratch();
    let daemon = Daemon::start(&lab, program);
    let error = daemon.client().start(three()).await.unwrap_err();
    assert!(!daemon.folder.lab_json().exists() && !lab.join("nodes").exists(), "a failed first start leaves nothing");
    let status = daemon.client().status().await.unwrap();
    assert!(status.nodes.is_empty() && status.app.is_none());
    fs::remove_dir_all(&lab).unwrap();
    LabError::from_client(&error).unwrap()
}

/// The error of a start with this shell script in the place of a node.
async fn start_with_script(text: &str) -> LabError {
    let folder = scratch();
    let error = start_with(&script(&folder, text)).await;
    fs::remove_dir_all(&folder).unwrap();
    error
}

fn assert_says(error: &LabError, parts: &[&str]) {
    let text = error.to_string();
    assert!(!text.contains("raftianctl"), "hints are data: {text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

#[tokio::test]
async fn a_missing_program_is_named_with_the_way_to_get_it() {
    let error = start_with(Path::new("/nowhere/raftian-node")).await;
    assert_says(&error, &["n1,n2,n3: failed", "no node program at /nowhere/raftian-node", "build the whole workspace"]);
}

#[tokio::test]
async fn a_file_that_is_no_program_is_named() {
    let folder = scratch();
    let path = script(&folder, "");
    fs::write(&path, [0x7f, b'E', b'L', b'F', 0, 1, 2]).unwrap();
    assert_says(&start_with(&path).await, &["cannot execute", "is it really raftian-node?"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_says(&start_with(&path).await, &["cannot execute", "Permission denied"]);
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_foreign_program_is_recognised_by_what_it_writes() {
    let error = start_with_script("while :; do echo hello; done").await;
    assert_says(&error, &["it wrote `hello\\n`", "really raftian-node?"]);
    let error = start_with_script("cat /dev/zero").await;
    assert_says(&error, &["really raftian-node?"]);
}

#[tokio::test]
async fn a_node_of_another_version_is_refused() {
    let ready = r#"read config; echo '{"notice":"ready","node":"n1","version":"9.9.9","port":1,"last_index":0,"torn_tail":null}'"#;
    let error = start_with_script(&format!("{ready}; exec sleep 60")).await;
    assert_says(&error, &["is version 9.9.9", "build them together"]);
}

#[tokio::test]
async fn a_node_that_ends_before_it_is_ready_says_why() {
    let error = start_with_script("echo 'no memory left' >&2; exit 3").await;
    assert_says(&error, &["exited with code 3", "no memory left"]);
    let failed = r#"read config; echo '{"notice":"failed","reason":"the log is corrupt at index 7"}'; exit 1"#;
    assert_says(&start_with_script(failed).await, &["n1,n2,n3: failed: the log is corrupt at index 7"]);
    assert_says(&start_with_script("kill -9 $$").await, &["signal 9, which the daemon did not send"]);
}

#[tokio::test]
async fn a_node_that_never_reports_is_named_when_time_is_up() {
    let error = start_with_script("exec sleep 60").await;
    assert!(matches!(error, LabError::TimedOut(_)));
    assert_says(&error, &["n1,n2,n3: not ready in time", "stderr.log"]);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let lab = scratch();
    let daemon = Daemon::start(&lab, Path::new("/nowhere/raftian-node"));
    let client = daemon.client();
    let lab_error = |error| LabError::from_client(&error).unwrap();
    for nodes in [0, 65, 1000] {
        let error = lab_error(client.start(StartRequest { nodes: Some(nodes), ..three() }).await.unwrap_err());
        assert!(matches!(error, LabError::Usage(_)));
        assert_says(&error, &["1 to 64 nodes"]);
    }
    for stranger in ["n65", "n2.2"] {
        let by_hand = [(stranger.parse().unwrap(), ByHand::default())].into();
        let error = lab_error(client.start(StartRequest { by_hand, ..three() }).await.unwrap_err());
        assert_says(&error, &["begins with the nodes n1 to n64 at most"]);
    }
    let error = lab_error(client.start(StartRequest { timeout_ms: 0, ..three() }).await.unwrap_err());
    assert_says(&error, &["a time-out is"]);
    let selector = "n1".parse().unwrap();
    let act = ActRequest { action: Action::Kill, selector, no_wait: false, timeout_ms: 1000 };
    assert_says(&lab_error(client.act(act).await.unwrap_err()), &["no nodes yet"]);
    let partition = |for_ms| PartitionRequest { layout: Layout::Ring, one_way: false, for_ms };
    assert_says(&lab_error(client.partition(partition(Some(0))).await.unwrap_err()), &["cannot last 0 ms"]);
    assert_says(&lab_error(client.partition(partition(None)).await.unwrap_err()), &["no nodes yet"]);
    let (from, to) = ("n1".parse().unwrap(), "n2".parse().unwrap());
    let fault = FaultRequest { effect: Effect::CUT, from, to, one_way: true, for_ms: None, no_wait: false };
    assert_says(&lab_error(client.fault_add(fault).await.unwrap_err()), &["no nodes yet"]);
    assert_says(&lab_error(client.wait(Condition::Leader, 50).await.unwrap_err()), &["no nodes yet"]);
    let unknown = lab_error(client.fault_clear("f9".parse().ok()).await.unwrap_err());
    assert_says(&unknown, &["there is no fault f9; no fault is in force"]);
    assert!(client.fault_clear(None).await.unwrap().cleared.is_empty());
    fs::remove_dir_all(&lab).unwrap();
}

#[tokio::test]
async fn one_daemon_per_lab_and_the_loser_says_who_won() {
    let lab = scratch();
    let node = Path::new("/nowhere/raftian-node");
    let daemon = Daemon::start(&lab, node);
    let loser = raftiand(&lab, node).output().unwrap();
    assert_eq!(loser.status.code(), Some(3));
    let text = stderr(&loser);
    assert!(text.contains(&format!("another daemon runs this lab (pid {}", daemon.child.id())), "{text}");
    fs::remove_dir_all(&lab).unwrap();
}

#[test]
fn folders_that_cannot_be_used_are_named() {
    let lab = scratch();
    let node = Path::new("/nowhere/raftian-node");
    let no_folder = raftiand(Path::new("/dev/null/lab"), node).output().unwrap();
    assert_eq!(no_folder.status.code(), Some(1));
    assert!(stderr(&no_folder).contains("cannot create the lab's folder /dev/null/lab; choose"));
    fs::write(lab.join("lab.json"), "{\"format\":").unwrap();
    let corrupt = raftiand(&lab, node).output().unwrap();
    assert_eq!(corrupt.status.code(), Some(1));
    let text = stderr(&corrupt);
    assert!(text.contains("lab.json is damaged") && text.contains("start afresh"), "{text}");
    assert_eq!(fs::read_to_string(lab.join("lab.json")).unwrap(), "{\"format\":", "it is left alone");
    fs::remove_dir_all(&lab).unwrap();
}

#[tokio::test]
async fn stop_with_purge_leaves_no_folder_and_no_daemon() {
    let lab = scratch();
    let mut daemon = Daemon::start(&lab, Path::new("/nowhere/raftian-node"));
    let modes = ["secret", "daemon.json", "events.jsonl", "daemon.lock"];
    for file in modes {
        assert_eq!(fs::metadata(lab.join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    let report = daemon.client().stop(true).await.unwrap();
    assert_eq!(report.purged, Some(fs::canonicalize(lab.parent().unwrap()).unwrap().join(lab.file_name().unwrap())));
    assert!(daemon.child.wait().unwrap().success());
    assert!(!lab.exists());
    let mut said = String::new();
    daemon.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!said.contains("WARN"), "{said}");
}

#[tokio::test]
async fn a_lab_without_a_daemon_is_removed_and_one_with_a_daemon_is_not() {
    let lab = scratch();
    let node = Path::new("/nowhere/raftian-node");
    let mut daemon = Daemon::start(&lab, node);
    let purge = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raftiand"));
        command.args(["--purge", "--lab", "test", "--folder"]).arg(&lab).output().unwrap()
    };
    assert_eq!(purge().status.code(), Some(3));
    assert!(daemon.client().hello().await.is_ok(), "it was left alone");
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    let removed = purge();
    assert!(removed.status.success() && !lab.exists(), "{}", stderr(&removed));
    assert!(purge().status.success(), "what is gone already is gone");
    fs::create_dir_all(lab.join("runs")).unwrap();
    let refused = purge();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("was never a lab's folder") && lab.join("runs").exists());
    fs::remove_dir_all(&lab).unwrap();
}

#[tokio::test]
async fn a_subscription_over_plain_http_is_told_what_it_wants() {
    let lab = scratch();
    let daemon = Daemon::start(&lab, Path::new("/nowhere/raftian-node"));
    for method in ["lab.subscribe", "lab.unsubscribe"] {
        let answer: Result<u64, ClientError> = daemon.client().request(method, [1]).await;
        let Err(ClientError::Call(error)) = answer else { panic!("{answer:?}") };
        assert!(error.message().contains("wants a WebSocket") && error.message().contains(method), "{error}");
    }
    let mut batch = BatchRequestBuilder::new();
    batch.insert("lab.subscribe", [1]).unwrap();
    batch.insert("lab.fault_list", rpc_params![]).unwrap();
    let answers = daemon.client().batch_request::<serde_json::Value>(batch).await.unwrap();
    assert_eq!((answers.num_failed_calls(), answers.num_successful_calls()), (1, 1));
    let refused = answers.into_iter().find_map(Result::err).unwrap();
    assert!(refused.message().contains("wants a WebSocket"), "{refused}");
    drop(daemon);
    fs::remove_dir_all(&lab).unwrap();
}

#[tokio::test]
async fn the_next_daemon_ends_what_the_last_one_left_and_starts_nothing() {
    let (lab, folder) = (scratch(), scratch());
    // A node that survives its daemon: it does not read its standard input, and takes no notice of signals.
    let stubborn = script(&folder, "trap '' TERM; while :; do sleep 0.1; done");
    let mut daemon = Daemon::start(&lab, &stubborn);
    let client = daemon.client();
    let starting = tokio::spawn(async move { client.start(StartRequest { timeout_ms: 60_000, ..three() }).await });
    let observer = daemon.client();
    while observer.status().await.unwrap().nodes.iter().filter(|node| node.state == NodeState::Starting).count() < 3 {
        tokio::task::yield_now().await;
    }
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    assert!(starting.await.unwrap().is_err());
    let next = Daemon::start(&lab, &stubborn);
    let events = next.client().events(100).await.unwrap();
    let started = serde_json::to_value(events.last().unwrap()).unwrap();
    assert_eq!(started["orphans"].as_array().unwrap().len(), 3, "{started}");
    for orphan in started["orphans"].as_array().unwrap() {
        let stat = fs::read_to_string(format!("/proc/{orphan}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }
    let status = next.client().status().await.unwrap();
    assert!(status.nodes.iter().all(|node| node.state == NodeState::Stopped));
    drop(next);
    fs::remove_dir_all(&lab).unwrap();
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_follower_hears_of_everything_and_does_not_hold_up_the_end() {
    let (lab, folder) = (scratch(), scratch());
    let mut daemon = Daemon::start(&lab, &script(&folder, "exit 3"));
    let secret = Secret::load(&daemon.folder.secret()).unwrap();
    let address = daemon.file().unwrap().address;
    let client = websocket(address, &secret, Duration::from_secs(5)).await.unwrap();
    let mut events = client.follow(1).await.unwrap();
    let next = async |events: &mut Subscription<Event>| events.next().await.unwrap().unwrap();
    assert!(matches!(next(&mut events).await.what, Happening::DaemonStarted { .. }));
    assert!(daemon.client().start(three()).await.is_err());
    for seq in 2..=4 {
        let event = next(&mut events).await;
        assert!(event.seq == seq && matches!(event.what, Happening::NodeSpawned { .. }), "{event:?}");
    }
    let before = Instant::now();
    daemon.client().stop(true).await.unwrap();
    assert!(daemon.child.wait().unwrap().success());
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    fs::remove_dir_all(&folder).unwrap();
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
