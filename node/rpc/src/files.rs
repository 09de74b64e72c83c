//! Files: how one is written so that nobody sees half of it, and how many a process may have open.
//!
//! Invariant: whatever happens to the machine, a file written here is the old one or the whole new one, and nobody but
//! its owner can read it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Writes a file of mode 0600 in one step.
///
/// # Errors
/// When the folder cannot be written or the disk is full; the former file is still there then, and nothing else.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let scratch = scratch_of(path);
    // A left-over scratch file may have a wider mode than the one asked for below.
    match fs::remove_file(&scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&scratch).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_data()
    });
    written.and_then(|()| fs::rename(&scratch, path)).inspect_err(|_| {
        // Half a scratch file on a full disk helps nobody.
        let _ = fs::remove_file(&scratch);
    })
}

/// What [`write_private`] leaves beside `path` if its process is killed half-way.
pub fn scratch_of(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// How many files this process may have open.
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Raises this process's limit of open files, of which every connection is one, as far as it may, and says what it is
/// now. Where it cannot be raised it stays as it was.
pub fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_) => current.unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_old_one_alone() {
        let folder = std::env::temp_dir().join(format!("raftian-files-{}", std::process::id()));
        fs::create_dir_all(folder.join("taken")).unwrap();
        let path = folder.join("lab.json");
        write_private(&path, b"old").unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        // A folder stands where the file should go, so the last step fails.
        assert!(write_private(&folder.join("taken"), b"x").is_err());
        assert!(!scratch_of(&folder.join("taken")).exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
