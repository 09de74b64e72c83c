//! The standard error of a process: a file that grows over its starts.
//!
//! Invariant: the last line of a process is its own, never that of one before it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use raftian_rpc::files;

/// The size from which on a log is put aside when the node starts again.
const MAX_BYTES: u64 = 1024 * 1024;

/// As much of the end of a log is looked at.
const TAIL_BYTES: u64 = 4096;

/// The log of one process.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    /// Where the lines of this process begin.
    from: u64,
}

impl Log {
    /// Opens the file, and makes its folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn open(path: &Path) -> io::Result<(Log, File)> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        if fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_BYTES) {
            fs::rename(path, path.with_extension("old.log"))?;
        }
        let file = files::append(path)?;
        let from = file.metadata().map_or(0, |metadata| metadata.len());
        Ok((Log { path: path.to_owned(), from }, file))
    }

    /// The last line that the process wrote, if it wrote any.
    pub(crate) fn last_line(&self) -> Option<String> {
        let mut file = File::open(&self.path).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(self.from.max(length.saturating_sub(TAIL_BYTES)))).ok()?;
        let mut tail = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut tail).ok()?;
        let tail = String::from_utf8_lossy(&tail);
        let line = tail.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        Some(line.chars().take(300).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_the_last_line_since_the_start_counts() {
        let folder = std::env::temp_dir().join(format!("raftian-supervise-log-{}", std::process::id()));
        let path = folder.join("n1/stderr.log");
        let (_, mut file) = Log::open(&path).unwrap();
        file.write_all(b"old\n").unwrap();
        let (log, mut file) = Log::open(&path).unwrap();
        assert_eq!(log.last_line(), None);
        file.write_all(b"first\nlast\n\n").unwrap();
        assert_eq!(log.last_line().as_deref(), Some("last"));
        file.set_len(MAX_BYTES + 1).unwrap();
        let (log, _) = Log::open(&path).unwrap();
        assert_eq!((log.from, path.with_extension("old.log").exists()), (0, true));
        fs::remove_dir_all(&folder).unwrap();
    }
}
