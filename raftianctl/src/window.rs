//! Looking at one node's game: the process that shows it in a window or writes its picture.
//!
//! Invariant: that process does not outlive this one: it ends with its standard input, and is killed when nobody waits
//! for it any more.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use raftian_rpc::assignment::{Assignment, WindowConfig};
use raftian_rpc::connect::Http;
use raftian_rpc::control::NodeNotice;
use raftian_rpc::lab::LabClient as _;
use raftian_rpc::selector::Selector;
use raftian_rpc::{NodeId, VERSION};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::ask;
use crate::cli::Context;
use crate::connect::Daemon;
use crate::failure::Failure;
use crate::launch::sibling;

/// As much of what a broken process says as is read.
const MAX_WORDS_BYTES: u64 = 4096;

/// A node that can be looked at.
#[derive(Debug)]
pub(crate) struct Target {
    /// Which.
    pub(crate) node: NodeId,
    address: SocketAddr,
    daemon: Daemon,
}

impl Target {
    /// The one node that `selector` names, for what `shows` it: a window or a picture.
    ///
    /// # Errors
    /// When there is no daemon, the selector names none or several, or the node does not run.
    pub(crate) async fn find(context: &Context, selector: Selector, shows: &str) -> Result<Target, Failure> {
        let daemon = context.daemon().await?;
        let node = ask::one(&daemon, selector, &format!("{shows} shows")).await?;
        let status = daemon.ask(async |lab: Http| lab.status().await).await?;
        match ask::targets(&status, Some(node))?.as_slice() {
            [(node, address), ..] => Ok(Target { node: *node, address: *address, daemon }),
            [] => unreachable!("a node that is asked for is there, or an error"),
        }
    }

    /// Shows the node in a window until that is closed; or writes its picture. `opened` is called when there is
    /// something to see.
    ///
    /// # Errors
    /// When that cannot be done: what the process says, or that there is no such program.
    pub(crate) async fn show(
        &self,
        fps_cap: Option<u32>,
        picture: Option<PathBuf>,
        opened: impl FnOnce(),
    ) -> Result<(), Failure> {
        let window = WindowConfig {
            version: VERSION.into(),
            node: self.node,
            address: self.address,
            secret: self.daemon.secret.clone(),
            fps_cap,
            picture,
        };
        let (mut child, output) = spawn()?;
        let broken = |error| Failure::failed(format!("the window's process cannot be talked to: {error}"));
        let mut input = child.stdin.take();
        if let Some(input) = &mut input {
            // A process that ended before it read all of this says why.
            let _ = input.write_all(&Assignment::Window(window).to_line()).await;
        }
        let (reason, words) = tokio::join!(listen(output, opened), last_words(&mut child));
        drop(input);
        match (child.wait().await.map_err(broken)?, reason) {
            (status, None) if status.success() => Ok(()),
            (_, Some(reason)) => Err(Failure::failed(reason)),
            (status, None) => Err(died(status, &words)),
        }
    }
}

fn spawn() -> Result<(Child, ChildStdout), Failure> {
    let program = sibling("raftian-node")?;
    let mut command = Command::new(&program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|error| {
        Failure::failed(format!(
            "{} cannot be run: {error}; build all programs with `cargo build --release`, or set RAFTIAN_BIN_DIR to the \
             folder that has them",
            program.display()
        ))
    });
    let mut child = child?;
    let output = child.stdout.take().expect("standard output was to be a pipe");
    Ok((child, output))
}

/// Reads what the process has to say until it ends; why it failed, if it did.
async fn listen(output: ChildStdout, opened: impl FnOnce()) -> Option<String> {
    let (mut opened, mut failed) = (Some(opened), None);
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(NodeNotice::Playing { .. }) => {
                if let Some(opened) = opened.take() {
                    opened();
                }
            }
            Ok(NodeNotice::Failed { reason }) => failed = Some(reason),
            // Libraries below may have their say.
            _ => {}
        }
    }
    failed
}

async fn last_words(child: &mut Child) -> String {
    let Some(errors) = child.stderr.take() else { return String::new() };
    let mut words = Vec::new();
    let mut errors = errors.take(MAX_WORDS_BYTES);
    let _ = errors.read_to_end(&mut words).await;
    // The rest is read so that the process can say it, and forgotten.
    let _ = tokio::io::copy(&mut errors.into_inner(), &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&words).trim().to_owned()
}

fn died(status: ExitStatus, words: &str) -> Failure {
    match words {
        "" => Failure::failed(format!("the window's process ended without a word ({status})")),
        words => Failure::failed(format!("the window's process ended ({status}); it said:\n{words}")),
    }
}
