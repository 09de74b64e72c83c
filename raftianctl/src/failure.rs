//! Why a command did not succeed, for people, scripts and shells: a sentence, a kind, an exit code.
//!
//! Invariant: the exit code follows from the kind alone (design §5), so `-o json` and `$?` never disagree.
//!
//! Wrong usage is what can be seen to be wrong by reading the line: it cannot be understood, it names a node, a file, a
//! run or a figure that is not there, or it is a command of another application than the lab's. What is understood, and
//! refused by the world as it is, has failed.

use std::io;

use raftian_bench::run::NotARun;
use raftian_bench::suite::manifest::NoRun;
use raftian_rpc::error::LabError;
use raftian_rpc::hint::{Hint, Note};
use serde_json::json;

use crate::advice;
use crate::output::with_lab;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It was tried and did not work.
    Failed,
    /// It makes no sense in the lab's present state.
    Conflict,
    /// It makes no sense at all, or names what is not there.
    Usage,
    /// No daemon answers for the lab.
    NoDaemon,
    /// It did not come about in time.
    TimedOut,
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// The reader of our output has gone: there is nothing to report, and no way to.
    BrokenPipe,
}

/// A command that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    hints: Vec<Hint>,
}

impl Kind {
    /// Its name in JSON.
    fn name(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::Conflict => "conflict",
            Kind::Usage => "usage",
            Kind::NoDaemon => "no_daemon",
            Kind::TimedOut => "timed_out",
            Kind::Interrupted => "interrupted",
            Kind::BrokenPipe => "broken_pipe",
        }
    }

    /// The exit code of a process that fails like this.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Kind::BrokenPipe => 0,
            Kind::Failed | Kind::Conflict => 1,
            Kind::Usage => 2,
            Kind::NoDaemon => 4,
            Kind::TimedOut => 124,
            Kind::Interrupted => 130,
        }
    }
}

impl Failure {
    /// A failure of this kind; the message says what, why, and what to do next.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), hints: Vec::new() }
    }

    /// It was tried and did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Failed, message)
    }

    /// A file that was named cannot be read. One that is no text where a text is wanted is the wrong one.
    pub(crate) fn unreadable(name: &str, error: &io::Error) -> Failure {
        let kind = match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidData => Kind::Usage,
            _ => Kind::Failed,
        };
        Failure::new(kind, format!("{name} cannot be read: {error}"))
    }

    /// What kind of failure it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened, why, and what to do next.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }

    /// The same, with what can be done about it.
    pub(crate) fn hinting(mut self, hints: Vec<Hint>) -> Failure {
        self.hints.extend(hints);
        self
    }

    /// The line for standard error; `None` when there is nothing to say.
    pub(crate) fn line(&self, json: bool) -> Option<String> {
        let message = with_lab(&advice::joined(&self.message, &self.hints));
        match (self.kind, json) {
            (Kind::BrokenPipe, _) => None,
            (Kind::Interrupted, _) if self.message.is_empty() => None,
            (_, true) if self.hints.is_empty() => {
                Some(json!({ "error": { "kind": self.kind.name(), "message": message } }).to_string())
            }
            (_, true) => {
                let Failure { message, hints, .. } = self;
                Some(json!({ "error": { "kind": self.kind.name(), "message": message, "hints": hints } }).to_string())
            }
            (_, false) => Some(format!("raftianctl: {message}")),
        }
    }
}

impl From<LabError> for Failure {
    fn from(error: LabError) -> Failure {
        let kind = match error {
            LabError::Usage(_) => Kind::Usage,
            LabError::Conflict(_) => Kind::Conflict,
            LabError::Failed(_) => Kind::Failed,
            LabError::TimedOut(_) => Kind::TimedOut,
        };
        let Note { text, hints } = error.into_note();
        Failure::new(kind, text).hinting(hints)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        let error = match error.downcast::<LabError>() {
            Ok(error) => return error.into(),
            Err(error) => error,
        };
        let kind = if error.is::<NoRun>() || error.is::<NotARun>() { Kind::Usage } else { Kind::Failed };
        Failure::new(kind, format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_exit_codes_are_ours() {
        for error in [
            LabError::Usage("u".into()),
            LabError::Conflict("c".into()),
            LabError::Failed("f".into()),
            LabError::TimedOut("t".into()),
        ] {
            assert_eq!(Failure::from(error.clone()).exit_code(), error.exit_code());
            let wrapped = anyhow::Error::from(error.clone()).context("while loading");
            assert_eq!(Failure::from(wrapped).exit_code(), error.exit_code());
        }
    }

    #[test]
    fn what_is_not_there_is_wrong_usage_and_what_cannot_be_read_has_failed() {
        let kind = |kind: io::ErrorKind| Failure::unreadable("it", &kind.into()).kind();
        assert_eq!((kind(io::ErrorKind::NotFound), kind(io::ErrorKind::IsADirectory)), (Kind::Usage, Kind::Usage));
        assert_eq!(kind(io::ErrorKind::InvalidData), Kind::Usage, "it is no text");
        assert_eq!(kind(io::ErrorKind::PermissionDenied), Kind::Failed);
        let none = anyhow::Error::from(NoRun("there is none".into()));
        assert_eq!(Failure::from(none), Failure::new(Kind::Usage, "there is none"));
    }

    #[test]
    fn a_failure_has_a_line_for_people_and_one_for_programs() {
        let failure = Failure::new(Kind::NoDaemon, "no \"lab\"");
        assert_eq!(failure.line(false).unwrap(), "raftianctl: no \"lab\"");
        assert_eq!(failure.line(true).unwrap(), r#"{"error":{"kind":"no_daemon","message":"no \"lab\""}}"#);
        let dead = Failure::from(
            LabError::conflict("n1 is killed").hint(Hint::Restart { nodes: vec!["n1".parse().unwrap()] }),
        );
        assert_eq!(dead.line(false).unwrap(), "raftianctl: n1 is killed; `raftianctl restart n1`");
        let data =
            r#"{"error":{"hints":[{"do":"restart","nodes":["n1"]}],"kind":"conflict","message":"n1 is killed"}}"#;
        // In what order is no matter of JSON.
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parsed(&dead.line(true).unwrap()), parsed(data));
        assert_eq!(Failure::new(Kind::BrokenPipe, "").line(true), None);
        let interrupted = Failure::new(Kind::Interrupted, "");
        assert_eq!((interrupted.line(true), interrupted.line(false), interrupted.exit_code()), (None, None, 130));
    }
}
