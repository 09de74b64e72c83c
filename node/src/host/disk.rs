//! The disk of a node: the real one, and what the faults in effect make of it. A measurement may turn its syncs off to see
//! what they cost.
//!
//! Invariant: without a fault, only [`Durability::Unsynced`] turns syncs off, and no lab uses it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftian_rpc::assignment::Durability;
use raftian_wal::{Disk, DiskFile, RealDisk};

use crate::faults::Faults;

/// A directory of the operating system. Clones are handles on the same one.
#[derive(Clone, Debug)]
pub(crate) struct NodeDisk {
    real: RealDisk,
    folder: PathBuf,
    durability: Durability,
    faults: Arc<Faults>,
}

/// A file that is open for writing.
#[derive(Debug)]
pub(crate) struct NodeFile {
    real: File,
    name: String,
    durability: Durability,
    faults: Arc<Faults>,
}

impl NodeDisk {
    /// Opens a directory, and creates it if it does not exist.
    ///
    /// # Errors
    /// A message for people, when another process has locked it, or an operation on it fails.
    pub(crate) fn open(path: &Path, durability: Durability, faults: Arc<Faults>) -> Result<NodeDisk, String> {
        let real = RealDisk::open(path).map_err(|error| error.to_string())?;
        Ok(NodeDisk { real, folder: path.to_owned(), durability, faults })
    }

    /// The directory, for messages to people.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether syncs are on.
    pub(crate) fn syncs(&self) -> bool {
        self.durability == Durability::Synced
    }

    fn file(&self, real: File, name: &str) -> NodeFile {
        NodeFile { real, name: name.to_owned(), durability: self.durability, faults: Arc::clone(&self.faults) }
    }
}

impl Disk for NodeDisk {
    type File = NodeFile;

    fn list(&self) -> io::Result<Vec<String>> {
        self.real.list()
    }

    fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        self.real.read(file)
    }

    fn create(&mut self, file: &str) -> io::Result<NodeFile> {
        let real = &mut self.real;
        let created = match self.faults.are_off() {
            true => real.create(file),
            false => self.faults.create(file, || real.create(file)),
        };
        created.map(|real| self.file(real, file))
    }

    fn open(&mut self, file: &str) -> io::Result<NodeFile> {
        self.real.open(file).map(|real| self.file(real, file))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        match self.faults.are_off() {
            true => self.real.rename(from, to),
            false => self.faults.rename(from, to, || self.real.rename(from, to)),
        }
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        match self.faults.are_off() {
            true => self.real.remove(file),
            false => self.faults.remove(file, || self.real.remove(file)),
        }
    }

    fn room(&self) -> io::Result<u64> {
        let system = rustix::fs::statvfs(&self.folder)?;
        // A file system without a limit of its own reports zero blocks.
        let is_unlimited = system.f_blocks == 0;
        let room = if is_unlimited { u64::MAX } else { system.f_bavail.saturating_mul(system.f_frsize) };
        Ok(if self.faults.are_off() { room } else { self.faults.room(room) })
    }

    fn locate(&self, file: &str) -> String {
        self.real.locate(file)
    }
}

impl DiskFile for NodeFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.faults.are_off() {
            true => self.real.write_at(offset, bytes),
            false => self.faults.write_at(&self.name, &self.real, offset, bytes),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let (real, durability) = (&mut self.real, self.durability);
        let mut sync = || match durability {
            Durability::Synced => real.sync(),
            Durability::Unsynced => Ok(()),
        };
        if self.faults.are_off() { sync() } else { self.faults.sync(&self.name, sync) }
    }
}
