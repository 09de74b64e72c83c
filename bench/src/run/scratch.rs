//! A folder for what is not finished yet, such as a run that is being unpacked.
//!
//! Invariants: it goes with its value; with the process, where that is ended by a signal ([`remove_all`]); and where the
//! process had no time even for that, with the next such folder that is made there. One that is in use is locked.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;

/// Those of this process.
static ALL: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A folder that is removed.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// A new folder whose name begins so, for its owner alone; others of that name that no process uses are removed.
    pub(super) fn new(parent: &Path, prefix: &str) -> anyhow::Result<Scratch> {
        sweep(parent, prefix);
        let path = parent.join(format!("{prefix}{:08x}", fastrand::u32(..)));
        let cannot = || format!("cannot make {}", path.display());
        // Known before it is there, so that no signal comes between.
        all().insert(path.clone());
        let lock = DirBuilder::new().mode(0o700).create(&path).and_then(|()| File::open(&path));
        let lock = lock.and_then(|lock| lock.try_lock().map(|()| lock).map_err(io::Error::from));
        let lock = lock
            .inspect_err(|_| {
                all().remove(&path);
            })
            .with_context(cannot)?;
        Ok(Scratch { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        all().remove(&self.path);
    }
}

/// Removes the folders for what is not finished, of a process that ends now.
pub fn remove_all() {
    for path in all().iter() {
        // Another thread may still write into it.
        while fs::remove_dir_all(path).is_err_and(|error| error.kind() == io::ErrorKind::DirectoryNotEmpty) {}
    }
}

fn all() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what was left behind.
fn sweep(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_number = |rest: &str| rest.len() == 8 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_ours = entry.file_name().to_string_lossy().strip_prefix(prefix).is_some_and(is_number);
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_free = || File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok());
        if is_ours && is_folder && is_free() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::Scratch as Folder;

    fn left(parent: &Path) -> Vec<String> {
        let names = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn it_goes_with_its_value_and_takes_along_what_others_left_and_nothing_in_use() {
        let folder = Folder::new("scratch");
        let parent = folder.path();
        for name in [".import-dead0000", ".import-mine"] {
            fs::create_dir(parent.join(name)).unwrap();
            fs::write(parent.join(name).join("file"), "x").unwrap();
        }
        let in_use = Scratch::new(parent, ".import-").unwrap();
        let another = Scratch::new(parent, ".import-").unwrap();
        let name = |scratch: &Scratch| scratch.path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut expected = vec![name(&in_use), name(&another), ".import-mine".to_owned()];
        expected.sort();
        assert_eq!(left(parent), expected);
        drop((in_use, another));
        assert_eq!(left(parent), [".import-mine"]);
    }
}
