//! The operations that the log needs from a disk, and the real one.
//!
//! Invariant of a [`Disk`]: the directory is durable when it is opened; when `create`, `rename` or `remove` returns,
//! its change of the directory is durable; when `sync` returns, everything written to that file before is durable.
//!
//! Deliberately absent: retries, buffering, and locks between two handles on one disk.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::WalError;

/// A directory of files, flat.
pub trait Disk {
    /// A file that is open for writing.
    type File: DiskFile;

    /// The names of all files, in any order.
    ///
    /// # Errors
    /// The error of the operating system.
    fn list(&self) -> io::Result<Vec<String>>;

    /// The whole content of a file.
    ///
    /// # Errors
    /// The error of the operating system, for example that there is no such file.
    fn read(&self, file: &str) -> io::Result<Vec<u8>>;

    /// Creates a file, or truncates an existing one to zero bytes. The new directory entry is durable, the truncation
    /// need not be.
    ///
    /// # Errors
    /// The error of the operating system.
    fn create(&mut self, file: &str) -> io::Result<Self::File>;

    /// Opens an existing file.
    ///
    /// # Errors
    /// The error of the operating system, for example that there is no such file.
    fn open(&mut self, file: &str) -> io::Result<Self::File>;

    /// Renames a file, durably and atomically. A file that had the new name is replaced.
    ///
    /// # Errors
    /// The error of the operating system, for example that there is no such file.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, durably.
    ///
    /// # Errors
    /// The error of the operating system.
    fn remove(&mut self, file: &str) -> io::Result<()>;

    /// How many bytes are free on the disk, as far as is known.
    ///
    /// # Errors
    /// The error of the operating system.
    fn room(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    /// The name of a file for messages to people.
    fn locate(&self, file: &str) -> String {
        file.to_owned()
    }
}

/// A file that is open for writing.
pub trait DiskFile {
    /// Writes all the bytes at an offset in bytes; beyond the end of the file, the gap reads as zeros.
    ///
    /// # Errors
    /// The error of the operating system; any part of the bytes may have been written then.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written so far durable. After an error it is unknown, and stays unknown, what of it is durable.
    ///
    /// # Errors
    /// The error of the operating system.
    fn sync(&mut self) -> io::Result<()>;
}

/// A directory of the operating system, locked by one process at a time. Clones are handles on the same directory,
/// which stays locked until all of them are dropped.
#[derive(Clone, Debug)]
pub struct RealDisk {
    path: PathBuf,
    directory: Arc<File>,
    /// Holds the lock, which the system releases when the process ends, however it ends.
    _lock: Arc<File>,
}

impl RealDisk {
    /// Opens a directory, and creates it (mode 0700) if it does not exist.
    ///
    /// # Errors
    /// When another process holds the lock, or an operation on the directory fails.
    pub fn open(path: impl AsRef<Path>) -> Result<RealDisk, WalError> {
        let location = path.as_ref().display().to_string();
        let failed = |error| WalError::io("open", &location, error);
        let path = std::path::absolute(path).map_err(failed)?;
        create_durably(&path).map_err(failed)?;
        let directory = File::open(&path).map_err(failed)?;
        // A process that was killed between a change of the directory and its sync left one that is not durable yet.
        directory.sync_all().map_err(failed)?;
        let lock = writable().create(true).truncate(false).open(path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(RealDisk { path, directory: Arc::new(directory), _lock: Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(WalError::InUse { directory: location }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl RealDisk {
    /// The path of a file, if it is one or is not there yet: opening a FIFO would wait for ever.
    fn regular(&self, file: &str) -> io::Result<PathBuf> {
        let path = self.path.join(file);
        match fs::metadata(&path) {
            Ok(metadata) if !metadata.is_file() => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file; remove it"))
            }
            _ => Ok(path),
        }
    }
}

impl Disk for RealDisk {
    type File = File;

    fn list(&self) -> io::Result<Vec<String>> {
        // The log has no file whose name is not UTF-8.
        fs::read_dir(&self.path)?
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn read(&self, file: &str) -> io::Result<Vec<u8>> {
        fs::read(self.regular(file)?)
    }

    fn create(&mut self, file: &str) -> io::Result<File> {
        let created = writable().create(true).truncate(true).open(self.regular(file)?)?;
        self.directory.sync_all()?;
        Ok(created)
    }

    fn open(&mut self, file: &str) -> io::Result<File> {
        writable().open(self.regular(file)?)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))?;
        self.directory.sync_all()
    }

    fn remove(&mut self, file: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(file))?;
        self.directory.sync_all()
    }

    fn locate(&self, file: &str) -> String {
        self.path.join(file).display().to_string()
    }
}

impl DiskFile for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

fn writable() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// Creates a directory and its missing parents, and syncs every directory that got a new entry.
fn create_durably(path: &Path) -> io::Result<()> {
    let missing = missing(path);
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    missing.iter().filter_map(|created| created.parent()).try_for_each(|parent| File::open(parent)?.sync_all())
}

/// Those of a directory and its parents that do not exist.
fn missing(path: &Path) -> Vec<&Path> {
    path.ancestors().take_while(|ancestor| !ancestor.exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directories_to_be_made_are_those_that_are_not_there() {
        let there = std::env::temp_dir();
        let path = there.join("raftian-wal-never-made/nodes/n1");
        let expected: Vec<&Path> = path.ancestors().take(3).collect();
        assert_eq!(missing(&path), expected);
        assert_eq!(missing(&there), [] as [&Path; 0]);
    }
}
