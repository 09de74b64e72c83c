//! The trait every replicated application is behind, and the list of those that exist.
//!
//! Invariant: `apply` is a function of the state and the op, and never panics whatever the op says. Deliberately
//! absent: clients and serials (see `session`).

use std::fmt;
use std::str::FromStr;

use raftian_raft::Index;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::attack::{Attack, PlayersOutOfRange};
use crate::canvas::{Canvas, CanvasOp, CanvasRead};
use crate::digest::Digest;
use crate::kv::{Kv, KvList, KvOp};
use crate::options::AppOptions;
use crate::response::Response;

/// A replicated state machine.
pub trait App: fmt::Debug + Send {
    /// Which application this is.
    fn kind(&self) -> AppKind;

    /// Carries out the op of the entry at this index and says what came of it. An op that [`AppKind::validate`] would have refused changes
    /// nothing and is answered `{"error":"unknown_op"}`.
    fn apply(&mut self, index: Index, op: &RawValue) -> Response;

    /// Answers a read from the present state, as [`apply`](App::apply) would.
    ///
    /// # Errors
    /// When it is not an op that only reads.
    fn query(&self, op: &RawValue) -> Result<Response, NotARead>;

    /// The state as JSON, for `status` and for people: in a few words where it is large.
    fn view(&self) -> Value;

    /// The digest of the state: equal states give equal digests. It costs little however large the state is.
    fn digest(&self) -> Digest;

    /// The whole state as JSON, for a snapshot: equal states give equal text.
    fn save(&self) -> Box<RawValue>;

    /// The same state once more.
    fn copy(&self) -> Box<dyn App>;
}

/// The applications that exist. Written in lower case, in JSON too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppKind {
    /// Players who attack each other on a board: the game of the original Raftian.
    #[default]
    Attack,
    /// A key-value store.
    Kv,
    /// A canvas that many paint at once.
    Canvas,
}

/// A text that names no application.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no app `{name}`; the apps are: {}", AppKind::ALL.map(AppKind::name).join(", "))]
pub struct UnknownApp {
    name: String,
}

/// An op that the application does not know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{op}` is not a command of `{app}`; it knows {known}")]
pub struct UnknownOp {
    app: AppKind,
    op: String,
    known: &'static str,
}

/// An op that cannot be answered from the state alone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{op}` is not a read of `{app}`, {reads}; what writes must be submitted as a command")]
pub struct NotARead {
    app: AppKind,
    op: String,
    reads: &'static str,
}

impl AppKind {
    /// Every application.
    pub const ALL: [AppKind; 3] = [AppKind::Attack, AppKind::Kv, AppKind::Canvas];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            AppKind::Attack => "attack",
            AppKind::Kv => "kv",
            AppKind::Canvas => "canvas",
        }
    }

    /// Whether the application knows such an op. This depends on the op's shape alone and not on the state, so that
    /// any server can refuse a command before it is proposed.
    ///
    /// # Errors
    /// When it does not; the error names what it knows.
    pub fn validate(self, op: &RawValue) -> Result<(), UnknownOp> {
        match self {
            AppKind::Attack => Attack::validate(op),
            AppKind::Kv => Kv::validate(op),
            AppKind::Canvas => Canvas::validate(op),
        }
    }

    /// Whether an op only reads, so that [`Machine::query`](crate::Machine::query) answers it.
    pub fn is_read(self, op: &RawValue) -> bool {
        match self {
            AppKind::Attack => false,
            AppKind::Kv => {
                matches!(KvOp::parse(op), Ok(KvOp::Get(_))) || serde_json::from_str::<KvList>(op.get()).is_ok()
            }
            AppKind::Canvas => {
                matches!(CanvasOp::parse(op), Ok(CanvasOp::Pixel(..)))
                    || serde_json::from_str::<CanvasRead>(op.get()).is_ok()
            }
        }
    }

    /// The application in its first state.
    pub(crate) fn start(self, options: AppOptions) -> Result<Box<dyn App>, PlayersOutOfRange> {
        match self {
            AppKind::Attack => Ok(Box::new(Attack::new(options.players)?)),
            AppKind::Kv => Ok(Box::new(Kv::default())),
            AppKind::Canvas => Ok(Box::new(Canvas::new(options.size))),
        }
    }

    /// The application in a state that was [saved](App::save); `None` when that is no state of it.
    pub(crate) fn load(self, state: &RawValue) -> Option<Box<dyn App>> {
        match self {
            AppKind::Attack => Some(Box::new(Attack::load(state)?)),
            AppKind::Kv => Some(Box::new(Kv::load(state)?)),
            AppKind::Canvas => Some(Box::new(Canvas::load(state)?)),
        }
    }
}

impl UnknownOp {
    /// The error of `app`, which knows `known`, about `op`.
    pub(crate) fn new(app: AppKind, op: &RawValue, known: &'static str) -> UnknownOp {
        UnknownOp { app, op: excerpt(op), known }
    }
}

impl NotARead {
    /// The error of `app` about `op`; `reads` tells what it has of reads.
    pub(crate) fn new(app: AppKind, op: &RawValue, reads: &'static str) -> NotARead {
        NotARead { app, op: excerpt(op), reads }
    }
}

impl fmt::Display for AppKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for AppKind {
    type Err = UnknownApp;

    fn from_str(name: &str) -> Result<AppKind, UnknownApp> {
        let named = AppKind::ALL.into_iter().find(|kind| kind.name() == name);
        named.ok_or_else(|| UnknownApp { name: name.to_owned() })
    }
}

/// As much of an op as an error message has room for.
fn excerpt(op: &RawValue) -> String {
    const SHOWN_CHARS: usize = 80;
    let mut shown: String = op.get().chars().take(SHOWN_CHARS).collect();
    if shown.len() < op.get().len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_app_has_one_name_everywhere() {
        for kind in AppKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
    }

    #[test]
    fn only_what_cannot_write_is_a_read() {
        let is_read = |app: AppKind, op: &str| app.is_read(&RawValue::from_string(op.to_owned()).unwrap());
        assert!(is_read(AppKind::Kv, r#"{"get":"k"}"#));
        for op in [r#"{"set":["k","v"]}"#, r#"{"incr":["k",0]}"#, r#"{"del":"k"}"#, r#"{"get":""}"#, "1"] {
            assert!(!is_read(AppKind::Kv, op), "{op}");
        }
        assert!(is_read(AppKind::Canvas, r#"{"pixel":[1,2]}"#));
        // What is answered from the state and not taken for a read would be answered without asking whether it is stale.
        assert!(is_read(AppKind::Canvas, r#"{"region":[0,0,2,2]}"#));
        assert!(is_read(AppKind::Kv, r#"{"list":["",10]}"#));
        assert!(!is_read(AppKind::Canvas, r#"{"paint":[[1,2,3]]}"#));
        assert!(!is_read(AppKind::Attack, r#"{"attack":1}"#));
    }

    #[test]
    fn an_unknown_app_is_told_which_exist() {
        let error = "chess".parse::<AppKind>().unwrap_err();
        assert_eq!(error.to_string(), "there is no app `chess`; the apps are: attack, kv, canvas");
    }

    #[test]
    fn an_unknown_op_is_told_what_is_known_and_a_long_one_is_cut() {
        let long = RawValue::from_string(format!("\"{}\"", "é".repeat(500))).unwrap();
        let text = AppKind::Attack.validate(&long).unwrap_err().to_string();
        assert!(text.contains("…` is not a command of `attack`; it knows {\"attack\":"), "{text}");
        assert!(text.chars().count() < 250, "{text}");
    }
}
