//! The applied state of a server at one index, as JSON that people can read: what compaction keeps of a log (§7).
//!
//! ```json
//! {"version":1,"app":"kv","last_applied":7,"digest":"09c3…","seal":"5a70…",
//!  "sessions":[{"client":"a","serial":2,"index":7,"response":{"outcome":"set"}}],"state":{"k":"v"}}
//! ```
//!
//! A long one is compressed (see `compact`), and read in either form.
//!
//! Invariants: equal machines give equal bytes; what is read back is whole and unaltered, or it is refused. `digest` is
//! that of the machine and so vouches for sessions and state; `seal` vouches for what stands before it. Deliberately
//! absent: files.

use raftian_raft::Index;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::app::AppKind;
use crate::compact;
use crate::digest::Digest;
use crate::limits::Limits;
use crate::session::Session;

/// The version of the format that is written, and the only one that is read.
pub const SNAPSHOT_VERSION: u32 = 1;

/// The applied state of a server at one index.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    version: u32,
    app: AppKind,
    last_applied: Index,
    digest: Digest,
    seal: Digest,
    pub(crate) sessions: Vec<Session>,
    pub(crate) state: Box<RawValue>,
    /// How it is to be encoded; no part of what it says.
    #[serde(skip, default = "default_compact_above_bytes")]
    compact_above_bytes: usize,
}

fn default_compact_above_bytes() -> usize {
    Limits::default().compact_above_bytes
}

/// Why something cannot be restored from.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// Its end is missing.
    #[error("the snapshot is cut short: it ends after {bytes} bytes, in its middle")]
    CutShort {
        /// How many bytes there are.
        bytes: usize,
    },
    /// It is not the JSON of a snapshot.
    #[error("not a snapshot: {0}")]
    Malformed(serde_json::Error),
    /// Its compact form does not stand for any JSON.
    #[error("the snapshot was altered or damaged: its compact form cannot be read: {problem}")]
    Garbled {
        /// What is wrong with it.
        problem: String,
    },
    /// Another version of the program wrote it.
    #[error("the snapshot has format {found}, and this program reads format {SNAPSHOT_VERSION}")]
    Version {
        /// The version of its format.
        found: u64,
    },
    /// It is of another application.
    #[error("the snapshot is of `{found}`, and this server replicates `{wanted}`")]
    OtherApp {
        /// Its application.
        found: AppKind,
        /// The one that was to be restored.
        wanted: AppKind,
    },
    /// Its content is none that the application, or the sessions, can have.
    #[error("the snapshot was altered or damaged: its {what} cannot have been written by `{app}`")]
    Impossible {
        /// Its application.
        app: AppKind,
        /// The part that is wrong.
        what: &'static str,
    },
    /// It is not what it was when it was written.
    #[error("the snapshot was altered or damaged: its {what} is {said}, and what it stands for has {found}")]
    Altered {
        /// The field that does not fit: `seal` or `digest`.
        what: &'static str,
        /// What the snapshot says.
        said: Digest,
        /// What its content gives.
        found: Digest,
    },
}

impl Snapshot {
    pub(crate) fn new(
        app: AppKind,
        last_applied: Index,
        digest: Digest,
        sessions: Vec<Session>,
        state: Box<RawValue>,
        limits: &Limits,
    ) -> Snapshot {
        let seal = seal(SNAPSHOT_VERSION, app, last_applied, digest);
        let compact_above_bytes = limits.compact_above_bytes;
        Snapshot { version: SNAPSHOT_VERSION, app, last_applied, digest, seal, sessions, state, compact_above_bytes }
    }

    /// The application it is of.
    pub fn app(&self) -> AppKind {
        self.app
    }

    /// The index of the last entry that went into it.
    pub fn last_applied(&self) -> Index {
        self.last_applied
    }

    /// The digest of the machine that it was taken of.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The snapshot as JSON text, or in a compact form where that is longer than the
    /// [`Limits`] of its machine say. A snapshot that was read back has the default ones.
    pub fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("names, numbers and JSON text always serialise");
        compact::pack(json, self.compact_above_bytes)
    }

    /// Reads a snapshot in either form. Whether it is unaltered shows when a [`Machine`](crate::Machine) is restored
    /// from it.
    ///
    /// # Errors
    /// When it is cut short or not a snapshot, perhaps because it is of another version.
    pub fn decode(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
        let unpacked = compact::unpack(bytes)?;
        let json = unpacked.as_deref().unwrap_or(bytes);
        serde_json::from_slice(json).map_err(|error| why_not(json, error))
    }

    /// Checks what can be checked without its content.
    pub(crate) fn check_head(&self, wanted: AppKind) -> Result<(), SnapshotError> {
        if self.version != SNAPSHOT_VERSION {
            return Err(SnapshotError::Version { found: self.version.into() });
        }
        let found = seal(self.version, self.app, self.last_applied, self.digest);
        if found != self.seal {
            return Err(SnapshotError::Altered { what: "seal", said: self.seal, found });
        }
        if self.app != wanted {
            return Err(SnapshotError::OtherApp { found: self.app, wanted });
        }
        Ok(())
    }
}

fn seal(version: u32, app: AppKind, last_applied: Index, digest: Digest) -> Digest {
    Digest::of(format!("{version} {app} {last_applied} {digest}").as_bytes())
}

/// What is wrong with a text that did not parse. Another version may well have other fields.
fn why_not(json: &[u8], error: serde_json::Error) -> SnapshotError {
    #[derive(Deserialize)]
    struct Head {
        version: u64,
    }
    if error.is_eof() {
        return SnapshotError::CutShort { bytes: json.len() };
    }
    match serde_json::from_slice(json) {
        Ok(Head { version }) if version != u64::from(SNAPSHOT_VERSION) => SnapshotError::Version { found: version },
        _ => SnapshotError::Malformed(error),
    }
}
