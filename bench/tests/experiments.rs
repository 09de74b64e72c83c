//! Every experiment, for real and in small: the processes start, do what the arm says, are measured and judged, and none
//! of them is left. The numbers are not looked at, for a machine that runs tests measures nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use raftian_bench::experiments::{Bench, Experiment, LeftOut, Measured, PlannedArm, Profile, all};
use raftian_bench::suite::trial::{Arm, ExperimentId};

/// The node program, built on first use.
fn node_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // target/<profile>/deps/<test>: programs go to target/<profile>.
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(2).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "--locked", "--package", "raftian-node"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the node program does not build");
        folder.join("raftian-node")
    })
}

/// A folder for one trial, on the disk that programs are built on; removed when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("trial-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn bench(&self) -> Bench {
        Bench { node_program: node_program().to_owned(), folder: self.0.clone(), seed: 7, display: None }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn experiment(number: u8) -> Box<dyn Experiment> {
    all().into_iter().find(|experiment| experiment.id() == ExperimentId(number)).unwrap()
}

/// The processes, other than this one, that have a file in a folder open: every node program has its standard error
/// there.
fn processes_in(folder: &Path) -> Vec<u32> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holds = |pid: &u32| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|path| path.starts_with(folder))
    };
    numbers.filter(|pid| *pid != std::process::id()).filter(holds).collect()
}

/// Runs an arm of the quick plan and checks what is true of every trial.
async fn trial(number: u8, levels: &[(&str, &str)]) -> Measured {
    tried(number, levels).await.unwrap_or_else(|error| panic!("E{number} {levels:?}: {error:#}"))
}

/// The same for an arm that need not work.
async fn tried(number: u8, levels: &[(&str, &str)]) -> anyhow::Result<Measured> {
    let experiment = experiment(number);
    let wanted = levels.iter().fold(Arm::default(), |arm, (factor, level)| arm.with(factor, level));
    let planned = experiment.plan(Profile::Quick).arms.into_iter().find(|planned| planned.arm == wanted);
    let planned = planned.unwrap_or_else(|| panic!("E{number} has no arm `{wanted}`"));
    // Long enough for percentiles where programs are not optimised.
    let longer = PlannedArm { measure_ms: planned.measure_ms.max(150), ..planned };
    let scratch = Scratch::new();
    let measured = experiment.run(&longer, &scratch.bench()).await;
    assert_eq!(processes_in(&scratch.0), Vec::<u32>::new(), "E{number} {wanted} leaves processes behind");
    let measured = measured?;
    assert!(measured.metrics.values().all(|value| value.is_finite()), "{measured:?}");
    assert!(measured.verdict.as_deref().is_none_or(|verdict| verdict == "valid"), "{wanted}: {:?}", measured.verdict);
    Ok(measured)
}

fn has(measured: &Measured, metrics: &[&str]) {
    for metric in metrics {
        assert!(measured.metrics.contains_key(*metric), "no {metric} in {:?}", measured.metrics);
    }
}

fn processes(measured: &Measured) -> BTreeSet<&str> {
    measured.costs.iter().map(|cost| cost.process.as_str()).collect()
}

#[tokio::test]
async fn e0_times_the_instrument_and_asks_the_game_what_recording_costs() {
    let direct = trial(0, &[("instrument", "direct")]).await;
    has(&direct, &["timer_overshoot_us_p50", "loopback_us_p50", "fsync_us_p50"]);
    for record in ["on", "off"] {
        assert!(trial(0, &[("record", record)]).await.metrics["fps"] > 0.0);
    }
}

#[tokio::test]
async fn e1_plays_beside_a_server_in_each_hosting_and_beside_none() {
    for (hosting, expected) in [
        ("baseline", ["load", "n1 game"].as_slice()),
        ("control", &["load", "n1 game"]),
        ("thread", &["load", "n1", "n2"]),
        ("process", &["load", "n1 game", "n1 server", "n2"]),
        ("async", &["load", "n1", "n2"]),
    ] {
        let measured = trial(1, &[("dots", "100"), ("hosting", hosting), ("cap", "none")]).await;
        has(&measured, &["fps", "frame_us_p50", "frame_us_max", "share_over_16_7_ms"]);
        assert!(measured.histograms["frame"].len() > 20 && measured.series["fps"].rows.len() > 1, "{measured:?}");
        assert_eq!(processes(&measured), expected.iter().copied().collect(), "{hosting}");
        assert!(measured.costs.iter().any(|cost| cost.cpu_ms > 0.0), "{measured:?}");
    }
    let capped = trial(1, &[("dots", "1000"), ("hosting", "baseline"), ("cap", "1000")]).await;
    assert!(capped.metrics["fps"] < 1_100.0, "{capped:?}");
}

#[tokio::test]
async fn e2_plays_with_other_dots() {
    has(&trial(2, &[("dots", "10"), ("hosting", "thread")]).await, &["fps"]);
}

#[tokio::test]
async fn e2_plays_in_a_window_or_says_that_there_can_be_none() {
    for hosting in ["baseline", "thread"] {
        match tried(2, &[("display", "window"), ("dots", "1000"), ("hosting", hosting)]).await {
            Ok(measured) => has(&measured, &["fps", "frame_us_max", "virtual_display"]),
            Err(error) => println!("skipped: {}", error.downcast::<LeftOut>().unwrap()),
        }
    }
}

#[tokio::test]
async fn e3_plays_on_one_core() {
    has(&trial(3, &[("heartbeat_ms", "1"), ("cores", "1"), ("hosting", "process")]).await, &["fps"]);
    has(&trial(3, &[("cores", "1"), ("hosting", "baseline")]).await, &["fps"]);
}

#[tokio::test]
async fn e4_clicks_at_the_leader_and_at_a_follower() {
    for node in ["leader", "follower"] {
        let measured = trial(4, &[("node", node), ("hosting", "async")]).await;
        has(&measured, &["order_us_p50", "shown_us_p50", "clicks"]);
        assert_eq!(measured.verdict.as_deref(), Some("valid"));
    }
}

#[tokio::test]
async fn e5_commits_with_and_without_syncs() {
    for fsync in ["on", "off"] {
        let measured = trial(5, &[("fsync", fsync), ("payload_bytes", "65536")]).await;
        has(&measured, &["commit_us_p50", "commits", "messages_per_commit"]);
        assert_eq!(measured.metrics["fsyncs_per_commit"] > 0.0, fsync == "on", "{measured:?}");
    }
}

#[tokio::test]
async fn e6_offers_a_load() {
    has(&trial(6, &[("offered_per_s", "1000")]).await, &["achieved_per_s", "commit_us_p50", "send_lag_us_p50"]);
}

#[tokio::test]
async fn e7_commits_on_clusters_of_all_sizes() {
    let alone = trial(7, &[("nodes", "1")]).await;
    assert_eq!(alone.metrics["messages_per_commit"], 0.0, "{alone:?}");
    // How many commits share a message and a sync depends on how busy the machine is. Each of the eight followers costs two
    // messages for what it syncs once.
    let nine = trial(7, &[("nodes", "9")]).await;
    let [messages, syncs] = ["messages_per_commit", "fsyncs_per_commit"].map(|name| nine.metrics[name]);
    assert!(syncs > 0.0 && messages > syncs, "{nine:?}");
}

#[tokio::test]
async fn e8_times_what_follows_each_fault() {
    for fault in ["kill", "pause", "partition"] {
        let metrics = trial(8, &[("fault", fault), ("election_timeout_ms", "150-300")]).await.metrics;
        let [detect, elect, commit] = ["detect_ms", "elect_ms", "first_commit_ms"].map(|name| metrics[name]);
        assert!(0.0 < detect && detect <= elect && elect < commit, "{fault}: {metrics:?}");
        assert!(metrics["gap_ms"] > 0.0, "{metrics:?}");
    }
}

#[tokio::test]
async fn e9_commits_and_clicks_over_links() {
    for link in ["loopback", "lan", "wan"] {
        has(&trial(9, &[("link", link)]).await, &["commit_us_p50", "clicks"]);
    }
}

#[tokio::test]
async fn e10_has_idle_nodes_as_well() {
    let idle = trial(10, &[("offered_per_s", "0")]).await;
    assert_eq!(processes(&idle), ["load", "n1", "n2", "n3"].into());
    assert_eq!(idle.verdict, None);
}

#[tokio::test]
async fn e11_has_the_lock_and_the_framing_of_the_original() {
    let both = [("hosting", "thread"), ("global_lock", "on"), ("framing", "xml_rpc")];
    has(&trial(11, &both).await, &["fps", "frame_us_max"]);
    let work = [("hosting", "thread"), ("global_lock", "on"), ("framing", "json"), ("server_work_us", "1000")];
    has(&trial(11, &work).await, &["fps", "frame_us_max"]);
}

#[tokio::test]
async fn e12_places_nodes_together() {
    for placement in ["threads", "tasks"] {
        let measured = trial(12, &[("placement", placement)]).await;
        has(&measured, &["achieved_per_s", "cpu_s_per_1000_commits"]);
        assert_eq!(processes(&measured), ["load", "nodes"].into());
    }
}

#[tokio::test]
async fn a_trial_that_is_dropped_leaves_no_processes() {
    let experiment = experiment(1);
    let planned = experiment.plan(Profile::Paper).arms;
    let process = Arm::of([("dots", "100"), ("hosting", "process"), ("cap", "none")]);
    let planned = planned.into_iter().find(|planned| planned.arm == process).unwrap();
    let scratch = Scratch::new();
    let bench = scratch.bench();
    let recording = scratch.0.join("recording");
    tokio::select! {
        ended = experiment.run(&planned, &bench) => panic!("a trial of minutes ended: {ended:?}"),
        () = async {
            while !recording.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        } => {}
    }
    assert_eq!(processes_in(&scratch.0), Vec::<u32>::new());
}

#[tokio::test]
async fn a_program_that_is_no_node_fails_the_trial_in_words() {
    let experiment = experiment(10);
    let planned = experiment.plan(Profile::Quick).arms.remove(0);
    let scratch = Scratch::new();
    let missing = Bench { node_program: scratch.0.join("none"), ..scratch.bench() };
    let why = format!("{:#}", experiment.run(&planned, &missing).await.unwrap_err());
    assert!(why.contains("cannot execute"), "{why}");
    let other = Bench { node_program: "/bin/true".into(), ..scratch.bench() };
    let why = format!("{:#}", experiment.run(&planned, &other).await.unwrap_err());
    assert!(why.contains("ended without being asked") || why.contains("assignment"), "{why}");
}

#[test]
fn plans_are_sound_and_the_quick_one_fits_its_time() {
    let mut quick_ms = 0;
    for experiment in all() {
        for profile in [Profile::Quick, Profile::Paper] {
            let plan = experiment.plan(profile);
            let arms: BTreeSet<&Arm> = plan.arms.iter().map(|planned| &planned.arm).collect();
            assert_eq!(arms.len(), plan.arms.len(), "{} has an arm twice", experiment.id());
            assert!(plan.blocks >= if profile == Profile::Quick { 6 } else { 12 }, "{}", experiment.id());
            let block_ms: u64 = plan.arms.iter().map(PlannedArm::total_ms).sum();
            match profile {
                Profile::Quick => quick_ms += block_ms * u64::from(plan.blocks),
                // A sitting of an hour finishes a block of any experiment.
                Profile::Paper => assert!(block_ms < 3_600_000, "{} takes {block_ms} ms a block", experiment.id()),
            }
        }
    }
    assert!(quick_ms <= 160_000, "the quick profile takes {quick_ms} ms");
}
