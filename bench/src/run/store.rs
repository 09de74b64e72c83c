//! The runs of this machine: the folder `runs` beside the labs, so that a run outlives its lab.
//!
//! Invariants: the store keeps the newest [`KEPT`] runs of each engine, and of these no more than [`KEPT_BYTES`]; only the
//! beginning of a run makes room. A run that goes on is never removed, nor a folder that is none of ours; links are not
//! followed.

use std::cmp::Reverse;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use raftian_check::Verdict;
use raftian_rpc::files;
use raftian_rpc::folder::{RUNS, home};
use serde::Serialize;

use super::read::not_a_run;
use super::{Began, How, MANIFEST, Manifest, Run, RunId, RunWriter, id};

/// How many runs of each engine are kept.
pub const KEPT: usize = 50;

/// How much room the runs of an engine may take before a new one begins: 4 GB.
pub const KEPT_BYTES: u64 = 4_000_000_000;

/// The word for the newest run.
const LAST: &str = "last";

/// The folder of all runs.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// A run in the store.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its name.
    pub id: RunId,
    /// Its folder.
    pub folder: PathBuf,
    /// How far it is.
    pub state: State,
    /// How much room it takes, in bytes.
    pub bytes: u64,
    /// The verdict it ended with, if it came to one.
    pub verdict: Option<Verdict>,
    /// Whether the scenario held, where one was played.
    pub holds: Option<bool>,
    /// What it is.
    pub manifest: Manifest,
}

/// A folder in the store that has the name of a run, and is none that can be read here.
#[derive(Clone, Debug, Serialize)]
pub struct Unread {
    /// Its name.
    pub id: RunId,
    /// The folder.
    pub folder: PathBuf,
    /// Whether what made it ended, or was ended, before the run had begun.
    pub unfinished: bool,
    /// How much room it takes, in bytes.
    pub bytes: u64,
    /// Why it cannot be read.
    pub why: String,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody is at it.
    Running,
    /// All of it was done.
    Completed,
    /// It was not, for this reason.
    Interrupted(String),
    /// Whoever wrote it ended without a word.
    CutOff,
}

impl State {
    /// How far the run in a folder is, by its manifest and its lock.
    pub(super) fn of(folder: &Path, manifest: &Manifest) -> State {
        match &manifest.ended {
            Some(ended) => match &ended.how {
                How::Completed => State::Completed,
                How::Interrupted(why) => State::Interrupted(why.clone()),
            },
            None if is_locked(folder) => State::Running,
            None => State::CutOff,
        }
    }
}

impl Store {
    /// The store of this user.
    ///
    /// # Errors
    /// A sentence, when no home folder is known.
    pub fn of_user() -> Result<Store, String> {
        Ok(Store::at(home()?.join(RUNS)))
    }

    /// The store in a folder.
    pub fn at(folder: impl Into<PathBuf>) -> Store {
        Store { folder: folder.into() }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Begins a run, and removes the oldest ones that are too many then.
    ///
    /// # Errors
    /// When the store is open to other users, or the run cannot be written.
    pub fn begin(&self, began: Began) -> anyhow::Result<RunWriter> {
        let engine = began.engine;
        let (id, folder) = self.reserve()?;
        let writer = RunWriter::begin(&folder, id, began).inspect_err(|_| {
            // What could not begin is nothing to keep.
            let _ = fs::remove_dir_all(&folder);
        })?;
        let of_engine: Vec<Listed> =
            self.list().into_iter().filter(|run| run.manifest.began.engine == engine).collect();
        for old in too_many(&of_engine) {
            // One that somebody else removes meanwhile is gone as well.
            let _ = fs::remove_dir_all(&old.folder);
        }
        Ok(writer)
    }

    /// A new folder, and its name.
    pub(super) fn reserve(&self) -> anyhow::Result<(RunId, PathBuf)> {
        self.prepare()?;
        loop {
            let id = RunId::draw();
            match self.reserve_as(&id) {
                Ok(folder) => return Ok((id, folder)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("no run can be kept in {}", self.shown())),
            }
        }
    }

    /// The new folder of this name.
    pub(super) fn reserve_as(&self, id: &RunId) -> io::Result<PathBuf> {
        let folder = self.folder.join(id.as_str());
        DirBuilder::new().mode(0o700).create(&folder).map(|()| folder)
    }

    pub(super) fn prepare(&self) -> anyhow::Result<()> {
        let cannot = || format!("no run can be kept in {}", self.shown());
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).with_context(cannot)?;
        files::check_private(&self.folder, &fs::metadata(&self.folder).with_context(cannot)?)?;
        Ok(())
    }

    fn shown(&self) -> std::path::Display<'_> {
        self.folder.display()
    }

    /// All runs, the newest first. What cannot be read as a run is none.
    pub fn list(&self) -> Vec<Listed> {
        let mut all: Vec<Listed> = self.ids().into_iter().filter_map(|id| self.listed(id)).collect();
        all.sort_by_key(|run| Reverse((arrived(run), run.manifest.began_ns)));
        all
    }

    fn listed(&self, id: RunId) -> Option<Listed> {
        let folder = self.folder.join(id.as_str());
        let run = Run::open(&folder).ok()?;
        let judged = run.judged().unwrap_or_default();
        let (bytes, verdict, holds) = (size(&folder), judged.verdict, judged.played.map(|played| played.holds));
        let state = run.state();
        Some(Listed { id, folder, state, bytes, verdict, holds, manifest: run.into_manifest() })
    }

    /// What has the name of a run, and cannot be read as one. What is being begun just now is none of it.
    pub fn unread(&self) -> Vec<Unread> {
        let unread = |id: RunId| {
            let folder = self.folder.join(id.as_str());
            let why = Run::open(&folder).err().filter(|_| !is_locked(&folder))?.to_string();
            let unfinished = !folder.join(MANIFEST).exists();
            Some(Unread { id, unfinished, bytes: size(&folder), why, folder })
        };
        self.ids().into_iter().filter_map(unread).collect()
    }

    /// The folders that have the name of a run.
    fn ids(&self) -> Vec<RunId> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut ids: Vec<RunId> = folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        ids.sort();
        ids
    }

    /// The folder of the run that is meant: `last`, a name or the beginning of one, or the path of a folder.
    ///
    /// # Errors
    /// [`NotARun`](super::NotARun) when it is none, or could be several.
    pub fn find(&self, name: &str) -> anyhow::Result<PathBuf> {
        if name == LAST {
            let newest = self.list().into_iter().next();
            let none = || not_a_run(format!("there is no run yet in {}", self.shown()));
            return newest.map(|run| run.folder).ok_or_else(none);
        }
        if id::is_prefix(name) {
            let meant: Vec<RunId> = self.ids().into_iter().filter(|id| id.as_str().starts_with(name)).collect();
            match meant.as_slice() {
                [] => {}
                [id] => return Ok(self.folder.join(id.as_str())),
                several => {
                    let names: Vec<&str> = several.iter().map(RunId::as_str).collect();
                    return Err(not_a_run(format!("`{name}` could be {}", names.join(", "))));
                }
            }
        }
        if Path::new(name).is_dir() {
            return Ok(PathBuf::from(name));
        }
        Err(not_a_run(format!("there is no run `{name}`; `raftianctl runs` lists those there are")))
    }

    /// Removes what cannot be read as a run.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_unread(&self, unread: &Unread) -> anyhow::Result<()> {
        fs::remove_dir_all(&unread.folder).with_context(|| format!("{} cannot be removed", unread.folder.display()))
    }

    /// Removes a run of the store.
    ///
    /// # Errors
    /// When it goes on, or cannot be removed.
    pub fn remove(&self, run: &Listed) -> anyhow::Result<()> {
        if run.state == State::Running {
            bail!("run {} goes on; end the command that makes it first", run.id);
        }
        fs::remove_dir_all(&run.folder).with_context(|| format!("run {} cannot be removed", run.id))
    }
}

/// When a run came to the store: it began then, or was taken in, whenever that says that it began.
fn arrived(run: &Listed) -> SystemTime {
    let began = || UNIX_EPOCH.checked_add(Duration::from_millis(run.manifest.began_unix_ms)).unwrap_or(UNIX_EPOCH);
    fs::metadata(&run.folder).and_then(|folder| folder.created()).unwrap_or_else(|_| began())
}

/// Of these runs, the newest first, those for which there is no room. One that is larger than its share takes its share only,
/// so that none makes all others go.
fn too_many(runs: &[Listed]) -> Vec<&Listed> {
    let mut bytes = 0;
    let mut over = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        let share = run.bytes.min(KEPT_BYTES / 4);
        if (place >= KEPT || bytes + share > KEPT_BYTES) && run.state != State::Running {
            over.push(run);
        } else {
            bytes += share;
        }
    }
    over
}

fn is_locked(folder: &Path) -> bool {
    let lock = File::open(folder).map(|folder| folder.try_lock());
    matches!(lock, Ok(Err(TryLockError::WouldBlock)))
}

/// The bytes of all files in a folder and its folders.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(of) if of.is_dir() => size(&entry.path()),
            Ok(of) => of.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::{Scratch, began, listed};

    #[test]
    fn runs_are_found_by_last_by_the_beginning_of_their_names_and_by_their_folders() {
        let scratch = Scratch::new("store-find");
        let store = Store::at(scratch.path().join("runs"));
        assert!(store.find("last").unwrap_err().to_string().contains("no run yet"));
        for id in ["aa000000", "ab000000", "0a000000"] {
            RunWriter::begin(&make(&store, id), id.parse().unwrap(), began()).unwrap();
        }
        let found = |name: &str| store.find(name).map(|folder| folder.file_name().unwrap().to_owned());
        assert_eq!((found("ab").unwrap(), found("0").unwrap()), ("ab000000".into(), "0a000000".into()));
        assert_eq!(found("a").unwrap_err().to_string(), "`a` could be aa000000, ab000000");
        assert!(found("b").is_err() && found("../runs").is_err() && found("").is_err());
        let path = scratch.path().to_str().unwrap();
        assert_eq!(store.find(path).unwrap(), scratch.path());
        assert_eq!(store.list().len(), 3);
    }

    fn make(store: &Store, id: &str) -> PathBuf {
        store.prepare().unwrap();
        store.reserve_as(&id.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_run_goes_on_while_it_is_written_and_is_cut_off_when_it_is_left() {
        let scratch = Scratch::new("store-state");
        let store = Store::at(scratch.path().join("runs"));
        let mut run = store.begin(began()).unwrap();
        assert_eq!(store.list()[0].state, State::Running);
        assert!(store.remove(&store.list()[0]).unwrap_err().to_string().contains("goes on"));
        run.end(How::Interrupted("because".to_owned())).unwrap();
        assert_eq!(store.list()[0].state, State::Interrupted("because".to_owned()));
        drop(run);
        drop(store.begin(began()).unwrap());
        assert_eq!(store.list().iter().filter(|run| run.state == State::CutOff).count(), 1);
        for run in store.list() {
            store.remove(&run).unwrap();
        }
        assert!(store.list().is_empty());
    }

    #[test]
    fn the_oldest_make_room_and_never_one_that_goes_on() {
        let mut runs: Vec<Listed> = (0..KEPT + 3).map(|_| listed(1_000, State::Completed)).collect();
        assert_eq!(too_many(&runs).len(), 3);
        runs[KEPT + 1].state = State::Running;
        assert_eq!(too_many(&runs).len(), 2);
        runs.truncate(3);
        runs[0].bytes = 2 * KEPT_BYTES;
        assert_eq!(too_many(&runs).len(), 0, "one does not displace the others");
        runs = (0..6).map(|_| listed(KEPT_BYTES / 4, State::Completed)).collect();
        assert_eq!(too_many(&runs).len(), 2, "the room is taken");
    }

    #[test]
    fn what_ended_before_its_run_began_and_runs_of_other_formats_are_told_and_can_be_removed() {
        let scratch = Scratch::new("store-unread");
        let store = Store::at(scratch.path().join("runs"));
        make(&store, "aa000000");
        fs::write(make(&store, "bb000000").join(MANIFEST), r#"{"format":99}"#).unwrap();
        let begun = File::open(make(&store, "cc000000")).unwrap();
        begun.try_lock().unwrap();
        let unread = store.unread();
        let told: Vec<_> = unread.iter().map(|one| (one.id.as_str(), one.unfinished)).collect();
        assert_eq!(told, [("aa000000", true), ("bb000000", false)]);
        assert!(unread[1].why.contains("format 99"), "{}", unread[1].why);
        unread.iter().for_each(|one| store.remove_unread(one).unwrap());
        assert!(store.unread().is_empty() && store.list().is_empty());
    }

    #[test]
    fn a_store_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = Scratch::new("store-open");
        let store = Store::at(scratch.path().join("runs"));
        fs::create_dir(store.folder()).unwrap();
        fs::set_permissions(store.folder(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(store.begin(began()).unwrap_err().to_string().contains("open to other users"));
    }
}
