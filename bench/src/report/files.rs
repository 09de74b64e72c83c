//! The files of a report on disk: only what differs is written, and charts that are no longer drawn go.
//!
//! Invariant: a file is replaced in one step. Nothing is touched that is not a report's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::FIGURES_FOLDER;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not there.
    New,
    /// It was there with other bytes.
    Changed,
    /// It was there with the same bytes.
    Unchanged,
    /// It was there and belongs to the report no longer.
    Removed,
}

/// A file of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Its path in `derived/`.
    pub file: String,
    /// What became of it.
    pub change: Change,
}

/// Makes a folder hold these files.
///
/// # Errors
/// When it cannot be read or written.
pub(crate) fn settle(folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<Vec<Changed>> {
    let figures = folder.join(FIGURES_FOLDER);
    fs::create_dir_all(&figures).with_context(|| format!("cannot make the folder {}", figures.display()))?;
    let mut changes = Vec::new();
    for file in stale(&figures, files)? {
        fs::remove_file(folder.join(&file)).with_context(|| format!("cannot remove {file}"))?;
        changes.push(Changed { file, change: Change::Removed });
    }
    for (file, bytes) in files {
        let path = folder.join(file);
        let change = match fs::read(&path) {
            Ok(before) if before == *bytes => Change::Unchanged,
            Ok(_) => Change::Changed,
            Err(_) => Change::New,
        };
        if change != Change::Unchanged {
            replace(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        changes.push(Changed { file: file.clone(), change });
    }
    Ok(changes)
}

/// Charts of an earlier report that this one does not have.
fn stale(figures: &Path, files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<Vec<String>> {
    let cannot = || format!("cannot read the folder {}", figures.display());
    let mut stale = Vec::new();
    for entry in fs::read_dir(figures).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        let Some(name) = name.to_str().filter(|name| name.ends_with(".svg") || name.ends_with(".png")) else {
            continue;
        };
        let file = format!("{FIGURES_FOLDER}/{name}");
        if !files.contains_key(&file) {
            stale.push(file);
        }
    }
    stale.sort();
    Ok(stale)
}

/// Not synced: what a crash takes can be computed again.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    fs::write(&next, bytes)?;
    fs::rename(&next, path)
}
