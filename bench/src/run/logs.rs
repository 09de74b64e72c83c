//! The logs of a run's nodes, kept while they grow: `logs/nX.jsonl`, an entry per line, and between them how far the node
//! was when its log had been read up to there.
//!
//! Invariant: what was kept reads back as what was read ([`Followed`]), however the writing ends. A disk that fails ends
//! the keeping, and the error comes out at the end; it does not end the reading.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use raftian_check::LogRecord;
use raftian_check::apps::Snapshot;
use raftian_rpc::{NodeId, files};

use super::FIRST;
use crate::collect::Followed;

/// The nodes that have a log in a folder.
pub(super) fn nodes(folder: &Path) -> Vec<NodeId> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".jsonl")?.parse().ok()).collect()
}

/// The files of all logs.
#[derive(Debug)]
pub struct LogFiles {
    folder: PathBuf,
    files: BTreeMap<NodeId, BufWriter<File>>,
    error: Option<io::Error>,
    /// Whether messages are to be kept beside them.
    with_messages: bool,
}

impl LogFiles {
    pub(super) fn new(folder: PathBuf, with_messages: bool) -> LogFiles {
        LogFiles { folder, files: BTreeMap::new(), error: None, with_messages }
    }

    /// Where messages are to be kept, if they are.
    pub(crate) fn for_messages(&self) -> Option<&Path> {
        self.with_messages.then_some(self.folder.as_path())
    }

    /// Keeps what the logs begin after.
    pub(crate) fn begin_after(&self, snapshot: &Snapshot) -> anyhow::Result<()> {
        let text = serde_json::to_vec(snapshot).context("a snapshot cannot be written as JSON")?;
        files::write_private(&self.folder.join(FIRST), &text).context("the first snapshot could not be kept")
    }

    /// Keeps what has come of a log.
    pub(crate) fn keep(&mut self, node: NodeId, log: &mut Followed) {
        if self.error.is_none() {
            self.error = self.write(node, log).err();
        }
    }

    fn write(&mut self, node: NodeId, log: &mut Followed) -> io::Result<()> {
        let file = match self.files.entry(node) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(BufWriter::new(files::append(&self.folder.join(file_of(node)))?))
            }
        };
        log.keep(file)?;
        // Whoever is killed leaves whole lines.
        file.flush()
    }

    /// Says whether all was kept.
    ///
    /// # Errors
    /// The first that there was.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.files.clear();
        self.error.map_or(Ok(()), Err)
    }
}

/// The log of a node, from its file, and why it is read no further than it is. `None` if the node left no file.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read(folder: &Path, node: NodeId) -> anyhow::Result<Option<(Followed, Option<String>)>> {
    let path = folder.join(file_of(node));
    let text = match files::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("{} cannot be read", path.display()))?,
    };
    let mut log = Followed::default();
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match LogRecord::read(line) {
            Ok(record) => log.take_back(record),
            Err(error) => {
                let is = match line.last() {
                    Some(b'\n') => format!("is no part of a log ({error})"),
                    _ => "is cut short".to_owned(),
                };
                return Ok(Some((log, Some(format!("line {} {is}; what comes before it counts", number + 1)))));
            }
        }
    }
    Ok(Some((log, None)))
}

fn file_of(node: NodeId) -> String {
    format!("{node}.jsonl")
}
