//! The disk of a node: the real one. A measurement may turn its syncs off to see what they cost.
//!
//! Invariant: only [`Durability::Unsynced`] turns syncs off, and no lab uses it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use raftian_rpc::assignment::Durability;
use raftian_wal::{Disk, DiskFile, RealDisk};

/// A directory of the operating system. Clones are handles on the same one.
#[derive(Clone, Debug)]
pub(crate) struct NodeDisk {
    real: RealDisk,
    folder: PathBuf,
    durability: Durability,
}

/// A file that is open for writing.
#[derive(Debug)]
pub(crate) struct NodeFile {
    real: File,
    durability: Durability,
}

impl NodeDisk {
    /// Opens a directory, and creates it if it does not exist.
    ///
    /// # Errors
    /// A message for people, when another process has locked it, or an operation on it fails.
    pub(crate) fn open(path: &Path, durability: Durability) -> Result<NodeDisk, String> {
        let real = RealDisk::open(path).map_err(|error| error.to_string())?;
        Ok(NodeDisk { real, folder: path.to_owned(), durability })
    }

    /// The directory, for messages to people.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether syncs are on.
    pub(crate) fn syncs(&self) -> bool {
        self.durability == Durability::Synced
    }

    fn file(&self, real: File) -> NodeFile {
        NodeFile { real, durability: self.durability }
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
        self.real.create(file).map(|real| self.file(real))
    }

    fn open(&mut self, file: &str) -> io::Result<NodeFile> {
        self.real.open(file).map(|real| self.file(real))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.real.rename(from, to)
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        self.real.remove(file)
    }

    fn room(&self) -> io::Result<u64> {
        let system = rustix::fs::statvfs(&self.folder)?;
        // A file system without a limit of its own reports zero blocks.
        let is_unlimited = system.f_blocks == 0;
        Ok(if is_unlimited { u64::MAX } else { system.f_bavail.saturating_mul(system.f_frsize) })
    }

    fn locate(&self, file: &str) -> String {
        self.real.locate(file)
    }
}

impl DiskFile for NodeFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.real.write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.durability {
            Durability::Synced => self.real.sync(),
            Durability::Unsynced => Ok(()),
        }
    }
}
