//! What the end-to-end tests share: the binaries, and labs of their own.
//!
//! Invariants: every lab has a home folder of its own and every port is chosen by the system, so tests run in parallel;
//! a lab is gone, processes and folder, when its test ends, however it ends, and a test that would leave a process
//! behind fails. Which processes there are is asked of the kernel, never of the daemon that is tested.

pub mod browser;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use raftian_rpc::lab::DaemonFile;
use rustix::process::{Pid, Signal, getpgid, kill_process};
use serde_json::Value;

/// Long enough for a slow machine. Nothing waits this long unless it fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The folder that holds `raftianctl`, `raftiand` and `raftian-node`, built on first use.
///
/// # Panics
/// When they cannot be built.
pub fn binaries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // target/<profile>/deps/<test> — the binaries go to target/<profile>.
        let test = std::env::current_exe().expect("a test has a path");
        let folder = test.ancestors().nth(2).expect("a test lies in target/<profile>/deps").to_owned();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--workspace", "--bins"]).current_dir(workspace());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the binaries do not build");
        folder
    })
}

/// The root of the workspace.
///
/// # Panics
/// Never: this package lies in it.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the workspace")
}

/// The most frames per second of a game. Few: what is tested is not how fast they are drawn.
pub const FPS_CAP: u32 = 10;

/// What the kernel calls the process of a node.
const NODE: &str = "raftian-node\n";

/// A home folder for labs, with the lab `default` in it.
#[derive(Debug)]
pub struct Lab {
    home: PathBuf,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// What was typed, for messages.
    pub line: String,
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Its data.
    pub stdout: String,
    /// Its notes.
    pub stderr: String,
}

impl Lab {
    /// A home without labs.
    ///
    /// # Panics
    /// When no folder can be made.
    pub fn new() -> Lab {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("raftian-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let home = std::env::temp_dir().join(name);
        fs::create_dir_all(&home).expect("a scratch folder");
        Lab { home }
    }

    /// A home in which the lab `default` runs with this many nodes.
    ///
    /// # Panics
    /// When it does not start.
    pub fn started(nodes: u16) -> Lab {
        let lab = Lab::new();
        lab.ok(&format!("start -n {nodes}"));
        lab
    }

    /// A lab `default` that runs with this many nodes, each with this beside its server.
    ///
    /// # Panics
    /// When it does not start.
    pub fn started_beside(nodes: u16, game: Game) -> Lab {
        let lab = Lab::new();
        lab.ok(&format!("start -n {nodes} {}", game.flags()));
        lab
    }

    /// The home folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The folder of the lab `default`.
    pub fn folder(&self) -> PathBuf {
        self.home.join("default")
    }

    /// `raftianctl` with these arguments, not yet run. It sees this home and nothing else of the tester's settings.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(binaries().join("raftianctl"));
        command
            .args(arguments.split_whitespace())
            .env_remove("RAFTIAN_LAB")
            .env("RAFTIAN_HOME", &self.home)
            .current_dir(&self.home)
            .stdin(Stdio::null());
        command
    }

    /// Begins `raftianctl` with these arguments in the background; [`ended`] waits for what comes of it.
    ///
    /// # Panics
    /// When it cannot be run at all.
    pub fn begin(&self, arguments: &str) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("raftianctl runs")
    }

    /// Runs `raftianctl` with these arguments, separated by blanks.
    ///
    /// # Panics
    /// When it cannot be run at all.
    pub fn run(&self, arguments: &str) -> Ran {
        ran(format!("raftianctl {arguments}"), self.command(arguments).output().expect("raftianctl runs"))
    }

    /// Runs a command that must succeed, and gives what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn ok(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{ran:#?}");
        ran.stdout
    }

    /// Runs a command with `-o json` that must succeed, and gives its data.
    ///
    /// # Panics
    /// When it fails, or prints something else.
    pub fn json(&self, arguments: &str) -> Value {
        let text = self.ok(&format!("-o json {arguments}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments}: {error}: {text}"))
    }

    /// Runs a command that must fail with this exit code and say all of this.
    ///
    /// # Panics
    /// When it does not.
    pub fn fails(&self, arguments: &str, code: i32, says: &[&str]) {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "{ran:#?}");
        for word in says {
            assert!(ran.stderr.contains(word), "`{word}` is missing: {ran:#?}");
        }
    }

    /// The nodes as `status` reports them.
    ///
    /// # Panics
    /// When there is no lab.
    pub fn nodes(&self) -> Vec<Value> {
        self.json("status")["nodes"].as_array().expect("status has nodes").clone()
    }

    /// Every process that was started in this home and has not ended, whoever its parent is by now: daemons, both
    /// halves of nodes, commands.
    ///
    /// # Panics
    /// When there is no `/proc`.
    pub fn processes(&self) -> Vec<i32> {
        let mark = format!("RAFTIAN_HOME={}", self.home.display());
        let is_ours = |pid: &i32| {
            // Who has ended has no environment any more, and that of other users is no business of ours.
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        let entries = fs::read_dir("/proc").expect("a Linux system");
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
    }

    /// Those of them that are nodes, both halves of nodes that have two.
    pub fn node_pids(&self) -> Vec<i32> {
        let is_node = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == NODE);
        self.processes().into_iter().filter(is_node).collect()
    }

    /// The processes of a running node, 1 for n1: the one that the daemon has spawned, then its other half, if it has
    /// one.
    ///
    /// # Panics
    /// When there is no such node, or it does not run.
    pub fn pids_of(&self, node: usize) -> Vec<i32> {
        let status = &self.nodes()[node - 1];
        let first = status["usage"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        let first = first.unwrap_or_else(|| panic!("n{node} has no process: {status}"));
        let mut pids = self.node_pids();
        pids.retain(|pid| getpgid(Pid::from_raw(*pid)).is_ok_and(|group| group.as_raw_pid() == first));
        pids.sort_by_key(|pid| *pid != first);
        pids
    }

    /// The daemon's process, if there is one.
    pub fn daemon_pid(&self) -> Option<i32> {
        let text = fs::read_to_string(self.folder().join("daemon.json")).ok()?;
        let file: DaemonFile = serde_json::from_str(&text).ok()?;
        i32::try_from(file.pid).ok()
    }
}

impl Default for Lab {
    fn default() -> Lab {
        Lab::new()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let stopped = self.run("stop --purge");
        // A test that fails half-way may leave what it likes.
        let is_excused = std::thread::panicking();
        let is_tidy = is_excused || becomes(|| self.processes().is_empty());
        self.processes().into_iter().for_each(|pid| signal(pid, Signal::KILL));
        let _ = fs::remove_dir_all(&self.home);
        assert!(is_tidy, "processes were left behind by {stopped:#?}");
    }
}

impl Lab {
    /// One node as `status` reports it.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn node(&self, name: &str) -> Value {
        let found = self.nodes().into_iter().find(|node| node["node"] == name);
        found.unwrap_or_else(|| panic!("no node {name}"))
    }

    /// Who leads; waits for somebody to.
    ///
    /// # Panics
    /// When nobody does in time.
    pub fn leader(&self) -> String {
        self.ok("wait leader");
        eventually("status names the leader", || self.json("status")["leader"].is_string());
        self.json("status")["leader"].as_str().expect("a leader").to_owned()
    }
}

/// What a node has beside its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Game {
    /// Nothing.
    None,
    /// A game, with the server on a thread beside it.
    Thread,
    /// A game, with the server in a process of its own.
    Process,
    /// A game, with the server as a task on its thread.
    Async,
}

impl Game {
    /// What `--hosting` is told.
    pub fn name(self) -> &'static str {
        match self {
            Game::None => "none",
            Game::Thread => "thread",
            Game::Process => "process",
            Game::Async => "async",
        }
    }

    /// What `start` is told.
    pub fn flags(self) -> String {
        match self {
            Game::None => String::new(),
            _ => format!("--hosting {} --fps-cap {FPS_CAP}", self.name()),
        }
    }

    /// How many processes a node is.
    pub fn processes(self) -> usize {
        if self == Game::Process { 2 } else { 1 }
    }
}

/// Makes four tests of each story, a function of a [`Game`]: with servers alone, and in every hosting. What is done to
/// a lab is a story; what happens before there is one, such as a mistake in an argument, needs no more than a test.
#[macro_export]
macro_rules! in_every_hosting {
    ($($story:ident),+ $(,)?) => {$(
        mod $story {
            use raftian_tests::Game;

            #[test]
            fn with_servers_alone() {
                super::$story(Game::None);
            }

            #[test]
            fn beside_a_thread() {
                super::$story(Game::Thread);
            }

            #[test]
            fn beside_a_process() {
                super::$story(Game::Process);
            }

            #[test]
            fn beside_a_task() {
                super::$story(Game::Async);
            }
        }
    )+};
}

/// Holds a `load -o json` to having ended, and to the best of all verdicts.
///
/// # Panics
/// When it has another.
#[track_caller]
pub fn assert_valid(load: &Ran) {
    assert_eq!(load.code, 0, "{load:#?}");
    assert!(load.stdout.contains(r#""verdict":"valid""#), "{load:#?}");
}

/// The outcome of a command, for messages.
pub fn ran(line: String, output: Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { line, code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// The number of a child.
///
/// # Panics
/// Never: the kernel's numbers are small.
pub fn pid_of(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("process numbers fit")
}

/// Sends a signal, if the process is still there.
pub fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// The state of a process as the kernel has it: `R`, `S`, `T` and so on; `None` if there is none.
pub fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a process exists and has not ended: nobody may have waited yet for one whose parent is gone.
pub fn runs(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// Looks again and again until something is so.
///
/// # Panics
/// When it is not so after [`PATIENCE`].
pub fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    assert!(becomes(is_so), "{what}: not so after {PATIENCE:?}");
}

/// Whether something is so within [`PATIENCE`].
fn becomes(mut is_so: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if is_so() {
            return true;
        }
        if started.elapsed() >= PATIENCE {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The outcome of a command in the background, whose two outputs are pipes. One that has not ended by itself after
/// [`PATIENCE`] is killed.
///
/// # Panics
/// When it cannot be waited for.
pub fn ended(mut child: Child) -> Ran {
    if !becomes(|| child.try_wait().is_ok_and(|status| status.is_some())) {
        let _ = child.kill();
    }
    ran("raftianctl in the background".into(), child.wait_with_output().expect("a child can be waited for"))
}
