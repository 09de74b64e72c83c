//! A run as one file, for another machine: a tar archive in an LZ4 frame, which `tar -I lz4 -xf FILE` unpacks too. Its first
//! member is `ID/SHA256SUMS`, the others are the files of the run.
//!
//! Invariants: the same run gives the same bytes. A file that comes from elsewhere is believed in nothing: it is unpacked
//! beside its place, every name is one that a run can have, every member is a regular file, sizes are bounded, and every
//! file has the hash that is named for it, or nothing stays.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use raftian_rpc::files;
use sha2::{Digest as _, Sha256};
use tar::{Archive, Builder, Entry, EntryType, Header};

use super::read::not_a_run;
use super::scratch::Scratch;
use super::{LOGS, Run, RunId, State, Store};
use crate::suite::manifest::hex;

/// The member that names the hashes of the others.
const SUMS: &str = "SHA256SUMS";

/// The most files of a run, and their longest name.
const MOST_FILES: usize = 1_000;
const LONGEST_NAME: usize = 64;

/// How much room an archive may take when it is unpacked: 16 GB.
const MOST_BYTES: u64 = 16_000_000_000;

/// How long the list of hashes may be.
const MOST_SUMS_BYTES: u64 = 1 << 20;

/// A run that was unpacked to be looked at. Dropping it removes it.
#[derive(Debug)]
pub struct Unpacked {
    run: Run,
    _folder: Scratch,
}

impl Unpacked {
    /// Unpacks an archive into a folder for temporary files.
    ///
    /// # Errors
    /// [`NotARun`](super::NotARun) when it is none; else when it cannot be read, or there is no room.
    pub fn of(archive: &Path) -> anyhow::Result<Unpacked> {
        // No lab is called so: those of single commands lie beside it.
        let folder = Scratch::new(&std::env::temp_dir(), "raftian-unpacked-")?;
        let id = unpack(archive, folder.path())?;
        Ok(Unpacked { run: Run::open(&folder.path().join(id.as_str()))?, _folder: folder })
    }

    /// The run.
    pub fn run(&self) -> &Run {
        &self.run
    }
}

impl Run {
    /// Writes the run as one file.
    ///
    /// # Errors
    /// When it goes on, one of its files is none that a run has, or it cannot be read or written.
    pub fn pack(&self, out: impl Write) -> anyhow::Result<()> {
        let id = &self.manifest().id;
        ensure!(self.state() != State::Running, "run {id} goes on; wait for its end");
        let names = names(self.folder())?;
        let mut sums = String::new();
        for name in &names {
            let mut hasher = Sha256::new();
            let path = self.folder().join(name);
            files::open(&path)
                .and_then(|mut file| io::copy(&mut file, &mut hasher))
                .with_context(|| format!("{} cannot be read", path.display()))?;
            sums.push_str(&format!("{}  {name}\n", hex(&hasher.finalize())));
        }
        let frame = FrameEncoder::new(out);
        let mut archive = Builder::new(frame);
        archive.append_data(&mut header(sums.len() as u64), format!("{id}/{SUMS}"), sums.as_bytes())?;
        for name in &names {
            let file = files::open(&self.folder().join(name)).with_context(|| format!("{name} cannot be read"))?;
            let bytes = file.metadata()?.len();
            // What is read beyond its length now would not be what its hash says.
            archive.append_data(&mut header(bytes), format!("{id}/{name}"), file.take(bytes))?;
        }
        archive.into_inner()?.finish().context("the archive cannot be written")?.flush()?;
        Ok(())
    }
}

impl Store {
    /// Takes in a run that was packed, maybe on another machine. Its folder.
    ///
    /// # Errors
    /// [`NotARun`](super::NotARun) when it is none, or is here already; else when it cannot be read or written.
    pub fn import(&self, archive: &Path) -> anyhow::Result<PathBuf> {
        self.prepare()?;
        let scratch = Scratch::new(self.folder(), ".import-")?;
        let id = unpack(archive, scratch.path())?;
        let unpacked = scratch.path().join(id.as_str());
        let run = Run::open(&unpacked)?;
        let named = &run.manifest().id;
        if *named != id {
            return Err(not_a_run(format!("it is the run {id} by its folder, and {named} by its manifest")));
        }
        let folder = self.folder().join(id.as_str());
        if folder.exists() {
            return Err(not_a_run(format!("run {id} is here already; `raftianctl runs rm {id}` removes it")));
        }
        fs::rename(&unpacked, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }
}

/// The files of a run, in order.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for (folder, before) in [(folder.to_owned(), String::new()), (folder.join(LOGS), format!("{LOGS}/"))] {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let entry = entry.with_context(|| format!("{} cannot be read", folder.display()))?;
            let name = format!("{before}{}", entry.file_name().to_string_lossy());
            match entry.file_type()? {
                kind if kind.is_dir() && name == LOGS => {}
                kind if kind.is_file() && is_name(&name) => names.push(name),
                _ => bail!("{} is no file of a run; take it away first", entry.path().display()),
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a run can have a file of this name, which then leads nowhere else.
fn is_name(name: &str) -> bool {
    let plain = |name: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=LONGEST_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed)
    };
    name != SUMS && plain(name.strip_prefix(LOGS).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name))
}

fn header(bytes: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_entry_type(EntryType::Regular);
    header
}

/// Unpacks an archive into an empty folder. The name of its run, which is that of the folder in it.
fn unpack(archive: &Path, folder: &Path) -> anyhow::Result<RunId> {
    let shown = archive.display();
    let file = match files::open(archive) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(not_a_run(format!("there is no file {shown}")));
        }
        file => file.with_context(|| format!("{shown} cannot be read"))?,
    };
    members(file, folder).map_err(|error| match error.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::PermissionDenied) => error,
        _ => not_a_run(format!("{shown} is not a run that was exported, or it was damaged: {error:#}")),
    })
}

fn members(file: File, folder: &Path) -> anyhow::Result<RunId> {
    let mut archive = Archive::new(FrameDecoder::new(BufReader::new(file)));
    // Extensions, which could name anything and be of any length, are members like others, and refused.
    let mut entries = archive.entries()?.raw(true);
    let first = entries.next().context("it is empty")??;
    let (id, name) = name_of(&first)?;
    ensure!(name == SUMS, "its first member is no {SUMS}");
    let mut sums = sums(first)?;
    for sub in [folder.join(id.as_str()), folder.join(id.as_str()).join(LOGS)] {
        DirBuilder::new().mode(0o700).create(sub)?;
    }
    let mut room = MOST_BYTES;
    for entry in entries {
        let mut entry = entry?;
        let (of, name) = name_of(&entry)?;
        ensure!(of == id, "it holds two runs, {id} and {of}");
        let wanted =
            sums.remove(&name).with_context(|| format!("{SUMS} does not name {name}, or it is there twice"))?;
        room = room.checked_sub(entry.size()).context("it is larger than a run may be")?;
        let path = folder.join(id.as_str()).join(&name);
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let hash = copy(&mut entry, &mut out).with_context(|| format!("{name} cannot be unpacked"))?;
        ensure!(hash == wanted, "{name} does not have the hash that {SUMS} names");
    }
    ensure!(sums.is_empty(), "{:?} is missing", sums.keys().collect::<Vec<_>>());
    Ok(id)
}

/// The run and the file that a member is of.
fn name_of(entry: &Entry<'_, impl Read>) -> anyhow::Result<(RunId, String)> {
    let bytes = entry.path_bytes();
    let path = std::str::from_utf8(&bytes).ok().context("a name in it is no text")?;
    ensure!(entry.header().entry_type() == EntryType::Regular, "{path:?} is no regular file");
    let (id, name) = path.split_once('/').with_context(|| format!("{path:?} is no file of a run"))?;
    let id: RunId = id.parse().map_err(anyhow::Error::msg)?;
    ensure!(name == SUMS || is_name(name), "{path:?} is no file of a run");
    Ok((id, name.to_owned()))
}

/// The hashes by name.
fn sums(entry: Entry<'_, impl Read>) -> anyhow::Result<BTreeMap<String, String>> {
    ensure!(entry.size() <= MOST_SUMS_BYTES, "its {SUMS} is too long");
    let mut text = String::new();
    entry.take(MOST_SUMS_BYTES).read_to_string(&mut text)?;
    let mut sums = BTreeMap::new();
    for line in text.lines() {
        let (hash, name) = line.split_once("  ").with_context(|| format!("{line:?} in {SUMS} names no file"))?;
        sums.insert(name.to_owned(), hash.to_owned());
    }
    ensure!(sums.len() <= MOST_FILES, "it has more files than a run may have");
    Ok(sums)
}

/// Copies, and gives the hash of what was copied.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => {
                hasher.update(&buffer[..read]);
                to.write_all(&buffer[..read])?;
            }
        }
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
