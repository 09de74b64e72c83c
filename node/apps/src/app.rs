//! The trait every replicated application is behind, and the list of those that exist.
//!
//! Invariant: `apply` is a function of the state and the op, and never panics whatever the op says. Deliberately
//! absent: clients and serials (see `session`), and snapshot and restore, for which `canonical` leaves room.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::attack::{Attack, PlayersOutOfRange};
use crate::response::Response;

/// A replicated state machine.
pub trait App: fmt::Debug + Send {
    /// Which application this is.
    fn kind(&self) -> AppKind;

    /// Carries out one op and says what came of it. An op that [`AppKind::validate`] would have refused changes
    /// nothing and is answered `{"error":"unknown_op"}`.
    fn apply(&mut self, op: &RawValue) -> Response;

    /// The state as JSON, for `status` and for people.
    fn view(&self) -> Value;

    /// Appends the whole state to `out`, such that equal states give equal bytes and different states different ones.
    fn canonical(&self, out: &mut Vec<u8>);
}

/// The applications that exist. Written in lower case, in JSON too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppKind {
    /// Players who attack each other on a board: the game of the original Raftian.
    #[default]
    Attack,
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

impl AppKind {
    /// Every application.
    pub const ALL: [AppKind; 1] = [AppKind::Attack];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            AppKind::Attack => "attack",
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
        }
    }

    /// The application in its first state, with this many players.
    pub(crate) fn start(self, players: u16) -> Result<Box<dyn App>, PlayersOutOfRange> {
        match self {
            AppKind::Attack => Ok(Box::new(Attack::new(players)?)),
        }
    }
}

impl UnknownOp {
    /// The error of `app`, which knows `known`, about `op`.
    pub(crate) fn new(app: AppKind, op: &RawValue, known: &'static str) -> UnknownOp {
        const SHOWN_CHARS: usize = 80;
        let mut shown: String = op.get().chars().take(SHOWN_CHARS).collect();
        if shown.len() < op.get().len() {
            shown.push('…');
        }
        UnknownOp { app, op: shown, known }
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
    fn an_unknown_app_is_told_which_exist() {
        let error = "chess".parse::<AppKind>().unwrap_err();
        assert_eq!(error.to_string(), "there is no app `chess`; the apps are: attack");
    }

    #[test]
    fn an_unknown_op_is_told_what_is_known_and_a_long_one_is_cut() {
        let long = RawValue::from_string(format!("\"{}\"", "é".repeat(500))).unwrap();
        let text = AppKind::Attack.validate(&long).unwrap_err().to_string();
        assert!(text.contains("…` is not a command of `attack`; it knows {\"attack\":"), "{text}");
        assert!(text.chars().count() < 250, "{text}");
    }
}
