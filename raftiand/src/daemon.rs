//! The life of a daemon: taking charge of a lab's folder, serving it, and leaving it in order.
//!
//! Invariant: one daemon per folder, by an exclusive lock that ends with its process; `daemon.json` exists only while
//! somebody listens, or after a crash.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use jsonrpsee::Methods;
use jsonrpsee::server::ServerHandle;
use raftian_rpc::folder::LabFolder;
use raftian_rpc::lab::{DaemonFile, Happening, LabServer};
use raftian_rpc::secret::Secret;
use raftian_rpc::serve::{Door, Front, serve};
use raftian_rpc::{VERSION, files};
use raftian_view::ViewServer as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::agreement;
use crate::api::Api;
use crate::face::{self, Watch};
use crate::faults::kept;
use crate::faults::look;
use crate::journal::Journal;
use crate::lab::Lab;
use crate::metrics::Metrics;
use crate::purge;
use crate::saved::Saved;

/// How often processes are sampled, and nodes that missed a change of the network get it again.
const BEAT: Duration = Duration::from_secs(1);

/// How often the daemon looks whether the folder is still its own.
const LOOK: Duration = Duration::from_millis(500);

/// How long the last answers may take to leave.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// What a daemon is started with.
pub(crate) struct Charge {
    /// The lab's name.
    pub(crate) lab: String,
    /// Where it lives.
    pub(crate) folder: PathBuf,
    /// The program that nodes run.
    pub(crate) program: PathBuf,
    /// Whether the lab, folder and all, ends with standard input.
    pub(crate) until_stdin_ends: bool,
}

/// Another daemon has the lab.
#[derive(Debug)]
pub(crate) struct AnotherDaemon {
    pid: String,
    folder: PathBuf,
}

/// Serves a lab until it is stopped.
///
/// # Errors
/// [`AnotherDaemon`], or a sentence that says what about the folder is wrong.
pub(crate) async fn run(charge: Charge) -> anyhow::Result<()> {
    let folder = create(&charge.folder)?;
    // Nodes take it over. The folder in which the daemon was started must be free to go.
    std::env::set_current_dir(folder.path()).with_context(|| format!("{}", folder.path().display()))?;
    let lock = lock(&folder)?;
    let secret = secret(&folder)?;
    let saved = Saved::load(&folder.lab_json()).map_err(|why| anyhow!(why))?;
    let journal = Journal::open(&folder.events()).with_context(|| format!("{}", folder.events().display()))?;
    let orphans = saved.as_ref().map_or_else(Vec::new, end_leftovers);
    let restored = kept::load(&folder.faults(), journal.last_fault()).map_err(|why| anyhow!(why))?;
    let metrics = Metrics::new().map_err(|error| anyhow!("cannot look at processes: {error:?}"))?;
    let pid = std::process::id();
    journal.record(Happening::DaemonStarted { pid, orphans });
    let lab = Lab::new(charge.lab, folder, secret.clone(), charge.program, journal, metrics, saved);
    let lab = Arc::new(lab.with_faults(restored.faults));
    lab.go_on_with_faults(restored.expired);
    lab.open_seats();
    let watch = Arc::new(Watch::new());
    let (handle, address) = listen(&lab, secret, &watch)?;
    tracing::info!("lab `{}` in {}: process {pid}, listening on {address}", lab.name, lab.folder.path().display());
    let beat = tokio::spawn(keep_beat(Arc::clone(&lab)));
    let agreement = tokio::spawn(agreement::keep_watch(Arc::clone(&lab)));
    let look = tokio::spawn(look::keep_looking(Arc::clone(&lab)));
    let face = tokio::spawn({
        let lab = Arc::clone(&lab);
        async move { watch.keep_looking(lab).await }
    });
    until_left(&lab, charge.until_stdin_ends, &lock).await?;
    lab.canvas_close().await;
    beat.abort();
    agreement.abort();
    look.abort();
    face.abort();
    // Lets the answer to the call that stopped the lab go out; a handler that still waits for something is cut off.
    let _ = handle.stop();
    if tokio::time::timeout(SHUTDOWN_GRACE, handle.stopped()).await.is_err() {
        tracing::warn!("a call was still waiting when the daemon left");
    }
    remove_daemon_file(&lab.folder);
    Ok(())
}

/// Removes a lab that has no daemon: its folder, and what a crashed daemon left running. Writes nothing that has to be
/// there, so that a full disk can be emptied.
///
/// # Errors
/// [`AnotherDaemon`], or a sentence that says what cannot be removed and why.
pub(crate) fn purge(path: &Path) -> anyhow::Result<()> {
    let path = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        canonical => canonical.with_context(|| format!("{}", path.display()))?,
    };
    let folder = LabFolder::at(path);
    // The program that starts a daemon makes the folder and opens its log, and the daemon's first deed is to take the lock.
    let is_empty = fs::read_dir(folder.path()).is_ok_and(|mut files| files.next().is_none());
    if !is_empty && !folder.daemon_lock().exists() && !folder.daemon_log().exists() {
        return Err(anyhow!("{} was never a lab's folder, so nothing in it is removed", folder.path().display()));
    }
    let _lock = lock(&folder)?;
    if let Some(saved) = Saved::load(&folder.lab_json()).map_err(|why| anyhow!(why))? {
        end_leftovers(&saved);
    }
    purge::purge(&folder)?;
    Ok(())
}

/// Ends the processes of an earlier daemon that are still there, and returns their numbers. This blocks, but before the
/// daemon serves anybody.
fn end_leftovers(saved: &Saved) -> Vec<u32> {
    let mut ended = Vec::new();
    for process in saved.nodes.values().flat_map(|node| node.process.iter().chain(&node.server)) {
        match process.end() {
            Ok(true) => ended.push(process.pid),
            Ok(false) => {}
            Err(error) => tracing::warn!("process {} of an earlier daemon cannot be ended: {error}", process.pid),
        }
    }
    ended
}

/// The lab's folder, for its owner only if it is new.
fn create(path: &Path) -> anyhow::Result<LabFolder> {
    let advice = "choose a folder that you can write, for instance by RAFTIAN_HOME";
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create the lab's folder {}; {advice}", path.display()))?;
    let path = fs::canonicalize(path).with_context(|| format!("{}", path.display()))?;
    let metadata = fs::metadata(&path).with_context(|| format!("{}", path.display()))?;
    files::check_private(&path, &metadata).context("the lab's folder is refused")?;
    Ok(LabFolder::at(path))
}

/// Takes the lock that stands for being in charge.
fn lock(folder: &LabFolder) -> anyhow::Result<File> {
    let path = folder.daemon_lock();
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}; choose a folder that you can write", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(AnotherDaemon { pid: pid.trim().to_owned(), folder: folder.path().to_owned() }.into());
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("{}", path.display())),
    }
    // For people who find the lab taken. The lock holds without it, and a full disk may have no room for it.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// A new secret for each daemon: a stranger may have taken the former one's port when it died, and been shown its secret by a
/// client that did not know. Nodes die with their daemon, so that one is of no more use.
fn secret(folder: &LabFolder) -> anyhow::Result<Secret> {
    let path = folder.secret();
    let made = Secret::generate().and_then(|secret| secret.save(&path).map(|()| secret));
    made.with_context(|| format!("the lab's secret in {}", path.display()))
}

/// Listens where the former daemon did, if it crashed and the port is free, else anywhere; and says where.
fn listen(lab: &Arc<Lab>, secret: Secret, watch: &Arc<Watch>) -> anyhow::Result<(ServerHandle, SocketAddr)> {
    let path = lab.folder.daemon_json();
    let former = daemon_file(&lab.folder).map(|file| file.address).filter(|address| address.ip().is_loopback());
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = former
        .and_then(|address| TcpListener::bind(address).ok())
        .map_or_else(|| TcpListener::bind(anywhere), Ok)
        .context("cannot listen on 127.0.0.1")?;
    let address = listener.local_addr()?;
    let door = Arc::new(Door::new(face::file)?);
    let (lab_of_face, watch) = (Arc::clone(lab), Arc::clone(watch));
    let mut methods = Methods::from(Api { lab: Arc::clone(lab) }.into_rpc());
    let of_faces = face::Api::new(lab_of_face, address, Arc::clone(&door), watch).into_rpc();
    methods.merge(of_faces).context("the methods of the daemon")?;
    let lab_of_metrics = Arc::clone(lab);
    let front = Front::default().with_door(door);
    let front = front.with_metrics(move || face::exposition(Arc::clone(&lab_of_metrics)));
    let handle = serve(listener, secret, methods, front, |line| tracing::warn!("{line}"))?;
    let file = DaemonFile { version: VERSION.into(), pid: std::process::id(), address };
    files::write_private(&path, &serde_json::to_vec(&file)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok((handle, address))
}

/// Waits until the lab has been stopped, by a call or by a signal to this process.
async fn until_left(lab: &Arc<Lab>, until_stdin_ends: bool, lock: &File) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // The end of a terminal is not meant for the lab. Taking the signal is what keeps it from ending the process.
    let _hangup = signal(SignalKind::hangup())?;
    let signal = tokio::select! {
        () = lab.leave.notified() => return Ok(()),
        () = lost(lab, lock) => {
            lab.end_at_once().await?;
            let folder = lab.folder.path().display();
            return Err(anyhow!("{folder} was removed, moved or replaced under the lab, so its nodes were ended"));
        }
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        () = end_of_input(), if until_stdin_ends => "the end of standard input",
    };
    tracing::info!("{signal}: stopping the lab");
    let report = lab.carry_out(move |lab| async move { lab.stop(until_stdin_ends).await }).await?;
    if !report.killed.is_empty() {
        tracing::warn!("{:?} had to be killed", report.killed);
    }
    Ok(())
}

/// Returns when the folder, or the lock in it, is not ours any more: it was removed, moved, or replaced by another. While
/// the lab is stopped its folder may be purged, and that is no loss.
async fn lost(lab: &Lab, lock: &File) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let own = lock.metadata().map(identity).ok();
    loop {
        look.tick().await;
        if fs::metadata(lab.folder.daemon_lock()).map(identity).ok() != own && !lab.state().closing {
            return;
        }
    }
}

/// Returns at the end of standard input.
async fn end_of_input() {
    let (ended, end) = tokio::sync::oneshot::channel();
    // A thread of its own, not the runtime's: one that waits for input must not keep the daemon from leaving.
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        ended.send(())
    });
    // If the thread could not wait for the end, this is no way to learn of it.
    if end.await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn keep_beat(lab: Arc<Lab>) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let mut pids = vec![std::process::id()];
        pids.extend(
            lab.state()
                .nodes
                .values()
                .filter_map(|node| node.process.as_ref())
                .flat_map(|process| process.group.pids()),
        );
        lab.metrics.sample(&pids);
        lab.push_to_stragglers().await;
    }
}

fn daemon_file(folder: &LabFolder) -> Option<DaemonFile> {
    serde_json::from_slice(&files::read(&folder.daemon_json()).ok()?).ok()
}

/// Removes the file if it is ours: after a purge, another daemon may have moved in already.
fn remove_daemon_file(folder: &LabFolder) {
    if daemon_file(folder).is_some_and(|file| file.pid == std::process::id()) {
        let _ = fs::remove_file(folder.daemon_json());
    }
}

impl std::fmt::Display for AnotherDaemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "another daemon runs this lab (pid {}, folder {})", self.pid, self.folder.display())
    }
}

impl std::error::Error for AnotherDaemon {}
