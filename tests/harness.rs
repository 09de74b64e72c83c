//! What the end-to-end tests share: the binaries, and labs of their own.
//!
//! Invariants: every lab has a home folder of its own and every port is chosen by the system, so tests run in parallel;
//! a lab is gone, processes and folder, when its test ends, however it ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use raftian_rpc::lab::DaemonFile;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
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

    /// The processes of all nodes that have one, both halves of those that have two.
    pub fn node_pids(&self) -> Vec<i32> {
        let nodes = self.nodes();
        let pids = nodes.iter().flat_map(|node| [&node["usage"]["pid"], &node["server"]["pid"]]);
        let pids: BTreeSet<i32> = pids.filter_map(|pid| i32::try_from(pid.as_i64()?).ok()).collect();
        pids.into_iter().collect()
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
        let daemon = self.daemon_pid();
        let _ = self.command("stop --purge").output();
        // A daemon that did not stop takes its nodes with it.
        if let Some(pid) = daemon {
            signal(pid, Signal::KILL);
        }
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// A command that runs while the test goes on.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
}

impl Lab {
    /// Begins a command and does not wait for its end.
    ///
    /// # Panics
    /// When it cannot be run at all.
    pub fn begin(&self, arguments: &str) -> Running {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running { line: format!("raftianctl {arguments}"), child: command.spawn().expect("raftianctl runs") }
    }

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

impl Running {
    /// Waits for its end.
    ///
    /// # Panics
    /// When the system loses it.
    pub fn end(self) -> Ran {
        ran(self.line, self.child.wait_with_output().expect("a child can be waited for"))
    }

    /// Whether it is not done yet.
    ///
    /// # Panics
    /// When the system loses it.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be looked at").is_none()
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
    /// What `start` is told. Few frames: what is tested is not how fast they are drawn.
    pub fn flags(self) -> &'static str {
        match self {
            Game::None => "",
            Game::Thread => "--hosting thread --fps-cap 20",
            Game::Process => "--hosting process --fps-cap 20",
            Game::Async => "--hosting async --fps-cap 20",
        }
    }

    /// How many processes a node is.
    pub fn processes(self) -> usize {
        if self == Game::Process { 2 } else { 1 }
    }
}

/// Makes four tests of each story, a function of a [`Game`]: with servers alone, and in every hosting.
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

/// The outcome of a command, for messages.
pub fn ran(line: String, output: Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { line, code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// Sends a signal, if the process is still there.
pub fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Whether a process exists.
pub fn is_alive(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
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
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}: not so after {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
