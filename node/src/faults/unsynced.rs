//! What a power loss would discard: for each change of the folder that is not synced, what was there before.
//!
//! Changes are kept in order and taken back in reverse. An append to a file needs no more than the length that the file
//! had, and one into the zeros at its end a length of zeros, so a log that grows for hours keeps next to nothing here.
//!
//! Invariant: when all changes are taken back, every file has the bytes that it had when the last of them was synced.
//!
//! Deliberately absent: a part of the unsynced bytes that survives. A disk may keep any part; this one keeps none.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// The changes of a folder that are not synced, the oldest first.
#[derive(Debug)]
pub(super) struct Unsynced {
    folder: PathBuf,
    changes: Vec<Change>,
}

/// A change, with what it takes to take it back.
#[derive(Debug)]
enum Change {
    /// A file has grown.
    Grown { file: String, from: u64, to: u64 },
    /// Bytes of a file were overwritten.
    Overwritten { file: String, offset: u64, before: Before },
    /// A file was created where there was none.
    Created { file: String },
    /// A file was removed, emptied, or replaced by another one.
    Gone { file: String, before: Vec<u8> },
    /// A file was renamed.
    Renamed { from: String, to: String },
}

/// The bytes that were overwritten.
#[derive(Debug)]
enum Before {
    Zeros(u64),
    Bytes(Vec<u8>),
}

impl Before {
    fn len(&self) -> u64 {
        match self {
            Before::Zeros(length) => *length,
            Before::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

impl Unsynced {
    pub(super) fn new(folder: PathBuf) -> Unsynced {
        Unsynced { folder, changes: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.changes.clear();
    }

    /// How many bytes a power loss would discard.
    pub(super) fn bytes(&self) -> u64 {
        let written = |change: &Change| match change {
            Change::Grown { from, to, .. } => to - from,
            Change::Overwritten { before, .. } => before.len(),
            Change::Created { .. } | Change::Gone { .. } | Change::Renamed { .. } => 0,
        };
        self.changes.iter().map(written).sum()
    }

    /// So many bytes of a file are about to be written, at this offset.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub(super) fn will_write(&mut self, file: &str, offset: u64, length: u64) -> io::Result<()> {
        let end = offset + length;
        let there = File::open(self.folder.join(file))?;
        let file_len = there.metadata()?.len();
        let kept = self.kept_length(file).unwrap_or(file_len).min(file_len);
        if offset < kept && !self.has_before(file, offset, end.min(kept)) {
            let mut before = vec![0; (end.min(kept) - offset) as usize];
            there.read_exact_at(&mut before, offset)?;
            self.overwritten(file, offset, before);
        }
        if end > file_len {
            self.grown(file, file_len, end);
        }
        Ok(())
    }

    /// A file is about to be created, or emptied if it is there.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub(super) fn will_create(&mut self, file: &str) -> io::Result<()> {
        let change = match self.content(file)? {
            Some(before) => Change::Gone { file: file.to_owned(), before },
            None => Change::Created { file: file.to_owned() },
        };
        self.changes.push(change);
        Ok(())
    }

    /// A file is about to be renamed.
    ///
    /// # Errors
    /// When what it replaces cannot be read.
    pub(super) fn will_rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        if let Some(before) = self.content(to)? {
            self.changes.push(Change::Gone { file: to.to_owned(), before });
        }
        self.changes.push(Change::Renamed { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    /// A file is about to be removed.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub(super) fn will_remove(&mut self, file: &str) -> io::Result<()> {
        if let Some(before) = self.content(file)? {
            self.changes.push(Change::Gone { file: file.to_owned(), before });
        }
        Ok(())
    }

    /// All of a file is on the disk, or the file is gone from it.
    pub(super) fn synced(&mut self, file: &str) {
        self.changes.retain(|change| match change {
            Change::Grown { file: of, .. } | Change::Overwritten { file: of, .. } => of != file,
            _ => true,
        });
    }

    /// A file has another name on the disk.
    pub(super) fn moved(&mut self, from: &str, to: &str) {
        self.synced(to);
        for change in &mut self.changes {
            if let Change::Grown { file, .. } | Change::Overwritten { file, .. } = change
                && file == from
            {
                to.clone_into(file);
            }
        }
    }

    /// Syncs everything that is not synced.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn make_up(&mut self) -> io::Result<()> {
        for change in &self.changes {
            let (Change::Grown { file, .. } | Change::Overwritten { file, .. } | Change::Created { file }) = change
            else {
                continue;
            };
            match File::open(self.folder.join(file)) {
                Ok(file) => file.sync_data()?,
                // It has another name by now, or none.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        for change in &self.changes {
            if let Change::Renamed { to, .. } = change
                && let Ok(file) = File::open(self.folder.join(to))
            {
                file.sync_data()?;
            }
        }
        File::open(&self.folder)?.sync_all()?;
        self.changes.clear();
        Ok(())
    }

    /// Discards everything that is not synced. How many bytes that were.
    ///
    /// # Errors
    /// Those of the operating system; then some of it may still be there.
    pub(super) fn discard(&mut self) -> io::Result<u64> {
        let bytes = self.bytes();
        while let Some(change) = self.changes.pop() {
            self.take_back(change)?;
        }
        Ok(bytes)
    }

    fn take_back(&self, change: Change) -> io::Result<()> {
        let open = |file: &str| OpenOptions::new().write(true).open(self.folder.join(file));
        match change {
            Change::Grown { file, from, .. } => open(&file)?.set_len(from),
            Change::Overwritten { file, offset, before } => {
                let before = match before {
                    Before::Zeros(length) => vec![0; length as usize],
                    Before::Bytes(bytes) => bytes,
                };
                open(&file)?.write_all_at(&before, offset)
            }
            Change::Created { file } => fs::remove_file(self.folder.join(file)),
            Change::Gone { file, before } => fs::write(self.folder.join(file), before),
            Change::Renamed { from, to } => fs::rename(self.folder.join(to), self.folder.join(from)),
        }
    }

    /// The changes of the bytes of a file since it got its name, the last one first.
    fn of<'a>(&'a mut self, file: &'a str) -> impl Iterator<Item = &'a mut Change> {
        let is_of = move |change: &&mut Change| match change {
            Change::Grown { file: of, .. } | Change::Overwritten { file: of, .. } => of == file,
            _ => false,
        };
        let begins = move |change: &&mut Change| match change {
            Change::Created { file: of } | Change::Gone { file: of, .. } | Change::Renamed { to: of, .. } => of != file,
            _ => true,
        };
        self.changes.iter_mut().rev().take_while(begins).filter(is_of)
    }

    /// Up to which length the bytes of a file will be there after a power loss; `None` if it has not grown.
    fn kept_length(&mut self, file: &str) -> Option<u64> {
        let grown = |change: &mut Change| match change {
            Change::Grown { from, .. } => Some(*from),
            _ => None,
        };
        self.of(file).find_map(grown)
    }

    /// Whether the former bytes between two offsets are known.
    fn has_before(&mut self, file: &str, offset: u64, end: u64) -> bool {
        let covers = |change: &mut Change| match change {
            Change::Overwritten { offset: at, before, .. } => *at <= offset && end <= *at + before.len(),
            _ => false,
        };
        self.of(file).any(covers)
    }

    fn overwritten(&mut self, file: &str, offset: u64, before: Vec<u8>) {
        let before = match before.iter().all(|byte| *byte == 0) {
            true => Before::Zeros(before.len() as u64),
            false => Before::Bytes(before),
        };
        let end = offset + before.len();
        let overlaps = |change: &mut Change| match change {
            Change::Overwritten { offset: at, before, .. } => *at < end && offset < *at + before.len(),
            _ => false,
        };
        // What was overwritten before must be taken back after this, so the two stay apart.
        let is_new = !self.of(file).any(overlaps);
        let runs_on = |change: &mut Change| match (change, &before) {
            (Change::Overwritten { offset: at, before: Before::Zeros(length), .. }, Before::Zeros(more))
                if *at + *length == offset =>
            {
                *length += more;
                true
            }
            _ => false,
        };
        if !(is_new && self.of(file).any(runs_on)) {
            self.changes.push(Change::Overwritten { file: file.to_owned(), offset, before });
        }
    }

    fn grown(&mut self, file: &str, from: u64, to: u64) {
        let runs_on = |change: &mut Change| match change {
            Change::Grown { to: end, .. } => {
                *end = to;
                true
            }
            _ => false,
        };
        if !self.of(file).any(runs_on) {
            self.changes.push(Change::Grown { file: file.to_owned(), from, to });
        }
    }

    fn content(&self, file: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.folder.join(file)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("raftian-unsynced-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn image(folder: &Path) -> BTreeMap<&'static str, Vec<u8>> {
        NAMES.into_iter().filter_map(|name| Some((name, fs::read(folder.join(name)).ok()?))).collect()
    }

    fn write(unsynced: &mut Unsynced, file: &str, offset: u64, bytes: &[u8]) {
        unsynced.will_write(file, offset, bytes.len() as u64).unwrap();
        let there = OpenOptions::new().write(true).open(unsynced.folder.join(file)).unwrap();
        there.write_all_at(bytes, offset).unwrap();
    }

    fn change_something(unsynced: &mut Unsynced, random: &mut fastrand::Rng) {
        let folder = unsynced.folder.clone();
        let name = NAMES[random.usize(..NAMES.len())];
        let is_there = folder.join(name).exists();
        match random.u8(..10) {
            0 => {
                unsynced.will_create(name).unwrap();
                File::create(folder.join(name)).unwrap();
            }
            1 if is_there => {
                unsynced.will_remove(name).unwrap();
                fs::remove_file(folder.join(name)).unwrap();
            }
            2 if is_there => {
                let to = NAMES[random.usize(..NAMES.len())];
                if to != name {
                    unsynced.will_rename(name, to).unwrap();
                    fs::rename(folder.join(name), folder.join(to)).unwrap();
                }
            }
            _ if is_there => {
                let bytes = vec![random.u8(..3); random.usize(1..40)];
                write(unsynced, name, random.u64(..100), &bytes);
            }
            _ => {}
        }
    }

    #[test]
    fn whatever_was_not_synced_can_be_discarded() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let scratch = Scratch::new("any");
            for name in &NAMES[..2] {
                fs::write(scratch.0.join(name), vec![0; 50]).unwrap();
            }
            let before = image(&scratch.0);
            let mut unsynced = Unsynced::new(scratch.0.clone());
            (0..60).for_each(|_| change_something(&mut unsynced, &mut random));
            unsynced.discard().unwrap();
            assert_eq!(image(&scratch.0), before, "seed {seed}");
        }
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_of_its_file_goes() {
        let scratch = Scratch::new("synced");
        let path = scratch.0.join("a");
        fs::write(&path, "0123456789").unwrap();
        let mut unsynced = Unsynced::new(scratch.0.clone());
        write(&mut unsynced, "a", 2, b"xx");
        unsynced.synced("a");
        write(&mut unsynced, "a", 8, b"yyyy");
        assert_eq!(unsynced.bytes(), 4);
        assert_eq!(unsynced.discard().unwrap(), 4);
        assert_eq!(fs::read_to_string(&path).unwrap(), "01xx456789");
        write(&mut unsynced, "a", 0, b"zz");
        unsynced.make_up().unwrap();
        assert_eq!(unsynced.discard().unwrap(), 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), "zzxx456789");
    }

    #[test]
    fn a_log_that_grows_into_zeros_keeps_little() {
        let scratch = Scratch::new("zeros");
        fs::write(scratch.0.join("a"), vec![0; 1000]).unwrap();
        fs::write(scratch.0.join("b"), vec![1; 32]).unwrap();
        let mut unsynced = Unsynced::new(scratch.0.clone());
        for number in 0..200 {
            write(&mut unsynced, "a", number * 10, &[7; 10]);
            write(&mut unsynced, "b", number % 2 * 16, &[8; 16]);
        }
        assert_eq!(unsynced.changes.len(), 4, "{:?}", unsynced.changes);
        assert_eq!(unsynced.bytes(), 2032);
    }
}
