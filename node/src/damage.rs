//! Damage to the files of a node that is down: `raftian-node damage FOLDER WORDS`, where the folder is the node's.
//!
//! What was done is said in one line of JSON on standard output ([`Damaged`]); what could not be, in one line for people on
//! standard error, with exit code 1.
//!
//! Invariants: the files of a node that runs are never touched, since its process has them locked. A bit flips only in a
//! record that the log can prove to be durable, so that the node must refuse to start; a torn tail takes nothing that was
//! acknowledged.
//!
//! Deliberately absent: a way to mend the files.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use raftian_faults::{Damage, DamagedPart};
use raftian_raft::{Entry, Payload, Storage as _, Write};
use raftian_rpc::control::Damaged;
use raftian_wal::{Located, Part, RealDisk, Wal};

use crate::parent;

/// The folders in that of a node: its log, a copy of it, and a copy that is not complete.
const LOG: &str = "wal";
const KEPT: &str = "wal.kept";
const COPYING: &str = "wal.kept.new";
const COMING: &str = "wal.put_back.new";

/// The file whose lock means that the log is in use.
const LOCK: &str = "lock";

/// Does what the arguments say.
pub fn damage(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match run(arguments) {
        Ok(damaged) => {
            let mut line = serde_json::to_vec(&damaged).expect("it has string keys only");
            line.push(b'\n');
            // A reader that has closed standard output does not want to know.
            let _ = std::io::stdout().write_all(&line);
            ExitCode::SUCCESS
        }
        Err(why) => {
            parent::complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<Damaged, String> {
    let folder = arguments.next().map(PathBuf::from).ok_or("say which folder: raftian-node damage FOLDER WORDS")?;
    let words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    let damage: Damage = words.join(" ").parse()?;
    let log = folder.join(LOG);
    if !log.is_dir() {
        return Err(format!("{} has no log: no node was ever started there", folder.display()));
    }
    let disk = RealDisk::open(&log).map_err(|error| error.to_string())?;
    let failed = |error: std::io::Error| format!("cannot do `{damage}` to {}: {error}", log.display());
    let place = match damage {
        Damage::Flips(part) => Some(flip(&disk, &log, part)?),
        Damage::Torn => Some(tear(disk, &log)?),
        Damage::Wiped => {
            empty(&log).map_err(failed)?;
            None
        }
        Damage::Kept => {
            keep(&folder).map_err(failed)?;
            None
        }
        Damage::PutBack => {
            let kept = folder.join(KEPT);
            if !kept.is_dir() {
                return Err(format!("no copy of {} was kept, so none can be put back", log.display()));
            }
            put_back(&folder).map_err(failed)?;
            None
        }
    };
    let file = place.as_ref().map(|place| log.join(&place.file));
    Ok(Damaged { damage, file, offset: place.as_ref().map(|at| at.offset), length: place.map(|at| at.length) })
}

/// Flips a bit in the middle of a record.
fn flip(disk: &RealDisk, log: &Path, part: DamagedPart) -> Result<Located, String> {
    let wanted = match part {
        DamagedPart::Entry(index) => Part::Entry(index),
        DamagedPart::HardState => Part::HardState,
        DamagedPart::Snapshot => Part::Snapshot,
    };
    let what = Damage::Flips(part).to_string();
    let what = what.strip_prefix("flips ").expect("it flips");
    let found = raftian_wal::locate(disk, wanted).map_err(|error| error.to_string())?;
    let found = found.filter(|found| found.part == wanted);
    let found = found.ok_or_else(|| format!("the log in {} has no record `{what}`", log.display()))?;
    if !found.vouched {
        return Err(format!(
            "the log in {} cannot prove that its record `{what}` was synced, so a bit that flips in it is taken for a \
             torn tail",
            log.display()
        ));
    }
    let at = found.offset + found.length / 2;
    change(&log.join(&found.file), at, 1, |bytes| bytes[0] ^= 1)?;
    Ok(found)
}

/// Leaves the first half of an entry at the end of the log.
fn tear(disk: RealDisk, log: &Path) -> Result<Located, String> {
    let said = |error: raftian_wal::WalError| error.to_string();
    let nothing = || format!("the log in {} names no node, so it has no end that could be torn", log.display());
    let owner = raftian_wal::owner(&disk).map_err(said)?.ok_or_else(nothing)?;
    let (mut wal, recovered) = Wal::open(disk.clone(), owner).map_err(said)?;
    let covered = recovered.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
    let index = recovered.entries.last().map_or(covered, |entry| entry.index) + 1;
    let entry = Entry { index, term: recovered.hard_state.term, payload: Payload::Noop };
    wal.append(&Write { entries: vec![entry], ..Write::default() }).map_err(said)?;
    // It is not closed in order, which would make the entry durable.
    drop(wal);
    let found = raftian_wal::locate(&disk, Part::Entry(index)).map_err(said)?.expect("it was just written");
    let half = found.length / 2;
    change(&log.join(&found.file), found.offset + half, found.length - half, |bytes| bytes.fill(0))?;
    Ok(found)
}

/// Changes bytes of a file.
fn change(file: &Path, offset: u64, length: u64, change: impl FnOnce(&mut [u8])) -> Result<(), String> {
    let attempt = || -> std::io::Result<()> {
        let opened = fs::OpenOptions::new().read(true).write(true).open(file)?;
        let mut bytes = vec![0; length as usize];
        opened.read_exact_at(&mut bytes, offset)?;
        change(&mut bytes);
        opened.write_all_at(&bytes, offset)?;
        opened.sync_all()
    };
    attempt().map_err(|error| format!("cannot change {}: {error}", file.display()))
}

/// Makes a copy of the log beside it.
fn keep(folder: &Path) -> std::io::Result<()> {
    let kept = folder.join(KEPT);
    let copied = copied(&folder.join(LOG), folder.join(COPYING))?;
    remove(&kept)?;
    fs::rename(copied, kept)
}

/// Puts the copy in the place of the log, which is as it was until all of the copy was read.
fn put_back(folder: &Path) -> std::io::Result<()> {
    let log = folder.join(LOG);
    let copied = copied(&folder.join(KEPT), folder.join(COMING))?;
    empty(&log)?;
    for name in files(&copied)? {
        fs::rename(copied.join(&name), log.join(&name))?;
    }
    remove(&copied)
}

/// A copy of a folder's files in a new folder.
fn copied(from: &Path, to: PathBuf) -> std::io::Result<PathBuf> {
    remove(&to)?;
    fs::DirBuilder::new().mode(0o700).create(&to)?;
    copy(from, &to)?;
    Ok(to)
}

fn remove(folder: &Path) -> std::io::Result<()> {
    if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) }
}

/// Copies all files but the lock.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for name in files(from)? {
        fs::copy(from.join(&name), to.join(&name))?;
    }
    Ok(())
}

/// Removes all files but the lock.
fn empty(folder: &Path) -> std::io::Result<()> {
    files(folder)?.into_iter().try_for_each(|name| fs::remove_file(folder.join(name)))
}

/// The names of all files but the lock. What is no regular file is refused: to open a FIFO would take for ever.
fn files(folder: &Path) -> std::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            let why = format!("{} is no regular file; remove it", entry.path().display());
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, why));
        }
        names.extend(Some(entry.file_name()).filter(|name| name != LOCK));
    }
    Ok(names)
}
