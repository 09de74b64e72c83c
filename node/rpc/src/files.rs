//! Files: how one is written so that no reader sees half of it, how one is read that somebody may have tampered with, and
//! how many a process may have open.
//!
//! Invariant: whatever happens to the machine, a file written here is the old one or the whole new one, and only its owner
//! can read it. Reading one never waits: what is no regular file is refused.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;
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
        // Half a scratch file on a full disk is of no use.
        let _ = fs::remove_file(&scratch);
    })
}

/// Opens a regular file to read.
///
/// # Errors
/// What the system says; for a FIFO, a folder or a device, that it is none.
pub fn open(path: &Path) -> io::Result<File> {
    // With this flag, opening a FIFO that has no writer returns at once; for a regular file it means nothing.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    regular(OpenOptions::new().read(true).custom_flags(flags).open(path)?)
}

/// Opens a regular file to write at its end; makes one of mode 0600 if there is none.
///
/// # Errors
/// What the system says; for a FIFO, a folder or a device, that it is none.
pub fn append(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    regular(OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?)
}

fn regular(file: File) -> io::Result<File> {
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file; remove it")),
    }
}

/// The whole content of a regular file.
///
/// # Errors
/// Those of [`open`], and of reading it.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.read_to_end(&mut content)?;
    Ok(content)
}

/// The whole content of a regular file that is text.
///
/// # Errors
/// Those of [`read`], and that it is no text.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut content = String::new();
    open(path)?.read_to_string(&mut content)?;
    Ok(content)
}

/// Refuses a file or folder that is another user's, or that another user may read or write.
///
/// # Errors
/// A sentence with the next step.
pub fn check_private(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let (path, user, own) = (path.display(), metadata.uid(), geteuid().as_raw());
    let (mode, private) = (metadata.mode() & 0o777, if metadata.is_dir() { 700 } else { 600 });
    let why = if user != own {
        format!(
            "{path} belongs to user {user}, and this is user {own}; if it is yours, take it over with `chown {own} {path}`, \
             else set RAFTIAN_HOME to a folder of yours"
        )
    } else if mode & 0o077 != 0 {
        format!("{path} is open to other users (mode {mode:03o}); close it with `chmod {private} {path}`")
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// What [`write_private`] leaves beside `path` if its process is killed half-way.
pub fn scratch_of(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".raftian-new");
    path.with_file_name(name)
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

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let folder = std::env::temp_dir().join(format!("raftian-fifo-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let fifo = folder.join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for path in [&fifo, &folder] {
            assert!(read(path).unwrap_err().to_string().contains("no regular file"));
        }
        assert!(append(&fifo).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
