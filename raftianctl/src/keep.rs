//! Where what a command does is kept: a run in the store of all runs, or in a folder that was named.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use raftian_bench::run::{Began, RunId, RunWriter, Store};
use serde::Serialize;

use crate::failure::{Failure, Kind};

/// What a run keeps only when it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Recorded {
    /// What nodes say to each other.
    Messages,
}

/// A run that is kept.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct KeptAt {
    /// Its name.
    pub(crate) id: RunId,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Whether it lies with the other runs, where its name will do.
    #[serde(skip)]
    is_in_store: bool,
}

/// Begins a run, in the store unless a folder is named.
///
/// # Errors
/// When there is no home for runs, or the run cannot be written.
pub(crate) fn begin(out: Option<&Path>, began: Began) -> Result<RunWriter, Failure> {
    Ok(match out {
        Some(folder) => RunWriter::in_folder(folder, began)?,
        None => store()?.begin(began)?,
    })
}

/// The store of all runs.
///
/// # Errors
/// When there is no home for it.
pub(crate) fn store() -> Result<Store, Failure> {
    Store::of_user().map_err(|why| Failure::new(Kind::Usage, why))
}

impl KeptAt {
    /// The place of a run.
    pub(crate) fn of(run: &RunWriter) -> KeptAt {
        let is_in_store = store().is_ok_and(|store| run.folder().parent() == Some(store.folder()));
        KeptAt { id: run.id().clone(), folder: run.folder().to_owned(), is_in_store }
    }

    /// What can be typed to mean it.
    pub(crate) fn name(&self) -> String {
        match self.is_in_store {
            true => self.id.to_string(),
            false => self.folder.display().to_string(),
        }
    }

    /// `3fa2c17b (`raftianctl check 3fa2c17b`)`.
    pub(crate) fn words(&self) -> String {
        let name = self.name();
        format!("{name} (`raftianctl check {name}` judges it again)")
    }
}
