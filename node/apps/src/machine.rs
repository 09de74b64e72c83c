//! What a server applies its log to: the sessions, and behind them the application.
//!
//! Invariants: entries are applied in the order of the log with none left out (asserted); equal logs give equal
//! digests; a machine restored from a snapshot and fed the rest of the log is the machine that was fed all of it.
//! Deliberately absent: any knowledge of who waits for a response.

use raftian_raft::{Entry, Index, Payload};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::app::{App, AppKind, NotARead};
use crate::attack::PlayersOutOfRange;
use crate::command::Command;
use crate::digest::Digest;
use crate::limits::Limits;
#[cfg(feature = "mutants")]
use crate::mutant::Mutant;
use crate::mutant::Planted;
use crate::options::AppOptions;
use crate::response::Response;
use crate::session::{Session, Sessions, Standing};
use crate::snapshot::{Snapshot, SnapshotError};

/// The applied state of one server. A copy of it is cheap beside the state (texts are shared), so that a snapshot of a
/// large one can be written elsewhere while this one goes on.
#[derive(Debug)]
pub struct Machine {
    app: Box<dyn App>,
    sessions: Sessions,
    last_applied: Index,
    limits: Limits,
    planted: Planted,
}

/// One entry, applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The entry's index.
    pub index: Index,
    /// The command it carried; `None` for what is not a command.
    pub command: Option<Command>,
    /// What it did.
    pub effect: Effect,
}

/// What applying an entry did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: the entry is Raft's own, a leader's no-op or a configuration.
    Noop,
    /// The command was carried out, and the application said this.
    Executed(Response),
    /// The command had been carried out before: nothing now.
    Duplicate {
        /// The index at which it took effect: the one to acknowledge.
        first_index: Index,
        /// What the application said then.
        response: Response,
    },
    /// The command was not carried out: its serial is stale, its client has no session, or it is not a command.
    Refused(Response),
}

impl Machine {
    /// The first state of this application, before any entry.
    ///
    /// # Errors
    /// When the application's board does not hold that many.
    pub fn new(app: AppKind, options: impl Into<AppOptions>) -> Result<Machine, PlayersOutOfRange> {
        let (app, sessions) = (app.start(options.into())?, Sessions::default());
        Ok(Machine { app, sessions, last_applied: 0, limits: Limits::default(), planted: Planted::NONE })
    }

    /// The machine that a snapshot was taken of, which must be one of `app`.
    ///
    /// # Errors
    /// When it is of another version or application, or is not what it was when it was taken.
    pub fn restore(app: AppKind, snapshot: Snapshot) -> Result<Machine, SnapshotError> {
        snapshot.check_head(app)?;
        let (last_applied, said) = (snapshot.last_applied(), snapshot.digest());
        let impossible = |what| SnapshotError::Impossible { app, what };
        let sessions = Sessions::load(snapshot.sessions).ok_or(impossible("sessions"))?;
        let app = app.load(&snapshot.state).ok_or(impossible("state"))?;
        let machine = Machine { app, sessions, last_applied, limits: Limits::default(), planted: Planted::NONE };
        match machine.digest() {
            found if found == said => Ok(machine),
            found => Err(SnapshotError::Altered { what: "digest", said, found }),
        }
    }

    /// The state as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let sessions = self.sessions.iter().cloned().collect();
        Snapshot::new(self.app.kind(), self.last_applied, self.digest(), sessions, self.app.save(), &self.limits)
    }

    /// The same machine with these limits, which are those of its cluster. One that was restored from a snapshot must be
    /// given them again, before it applies an entry.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Machine {
        Machine { limits, ..self }
    }

    /// The same machine with a bug. A machine restored from a snapshot needs it planted again.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn plant(self, mutant: Mutant) -> Machine {
        Machine { planted: Planted::at(self.last_applied, mutant), ..self }
    }

    /// Applies the next committed entry. Whatever its command says, it yields a response and no panic.
    ///
    /// # Panics
    /// When it is not the entry after [`last_applied`](Machine::last_applied): applied state would be wrong for ever.
    pub fn apply(&mut self, entry: &Entry) -> Applied {
        assert_eq!(entry.index, self.last_applied + 1, "entries are applied one after another");
        self.last_applied = entry.index;
        let (command, effect) = match &entry.payload {
            Payload::Command(json) if !self.planted.skips(entry.index) => match Command::parse(json) {
                Ok(command) => {
                    let effect = self.execute(entry.index, &command);
                    (Some(command), effect)
                }
                Err(_) => (None, Effect::Refused(Response::malformed_command())),
            },
            _ => (None, Effect::Noop),
        };
        Applied { index: entry.index, command, effect }
    }

    /// The index of the last entry applied; 0 when there is none.
    pub fn last_applied(&self) -> Index {
        self.last_applied
    }

    /// The digest of application and sessions. No-ops do not change it. It costs little however large the state is.
    pub fn digest(&self) -> Digest {
        let (sessions, app) = (self.sessions.digest(), self.app.digest());
        Digest::of_parts(&[self.app.kind().name().as_bytes(), &sessions.0.to_le_bytes(), &app.0.to_le_bytes()])
    }

    /// The application's state as JSON, for `status` and for people.
    pub fn view(&self) -> Value {
        self.app.view()
    }

    /// Answers a read from the present state. It leaves no trace: neither an entry nor a session.
    ///
    /// # Errors
    /// When it is not an op that only reads.
    pub fn query(&self, op: &RawValue) -> Result<Response, NotARead> {
        self.app.query(op)
    }

    fn execute(&mut self, index: Index, command: &Command) -> Effect {
        let (client, serial) = (command.client(), command.serial());
        match self.sessions.standing(client, serial) {
            Standing::Stale { .. } | Standing::Repeated(_) if self.planted.ignores_sessions() => {
                Effect::Executed(self.app.apply(index, command.op()))
            }
            Standing::New => {
                let response = self.app.apply(index, command.op());
                let session = Session { client: client.into(), serial, index, response: response.clone() };
                self.sessions.record(session, &self.limits);
                Effect::Executed(response)
            }
            Standing::Repeated(first) => {
                Effect::Duplicate { first_index: first.index, response: first.response.clone() }
            }
            Standing::Stale { last_serial } => Effect::Refused(Response::stale_serial(last_serial)),
            Standing::NoSession => Effect::Refused(Response::no_session()),
        }
    }
}

impl Clone for Machine {
    fn clone(&self) -> Machine {
        Machine { app: self.app.copy(), sessions: self.sessions.clone(), ..*self }
    }
}

impl Applied {
    /// What to tell who waits for this entry; `None` for one of Raft's own.
    pub fn response(&self) -> Option<&Response> {
        match &self.effect {
            Effect::Noop => None,
            Effect::Executed(response) | Effect::Duplicate { response, .. } | Effect::Refused(response) => {
                Some(response)
            }
        }
    }

    /// The index to acknowledge: where the command took effect, which for a duplicate is an earlier entry.
    pub fn effect_index(&self) -> Index {
        match self.effect {
            Effect::Duplicate { first_index, .. } => first_index,
            _ => self.index,
        }
    }

    /// Whether the command had been carried out before.
    pub fn is_duplicate(&self) -> bool {
        matches!(self.effect, Effect::Duplicate { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIT_70: &str = r#"{"outcome":"hit","player":3,"hp":70}"#;
    const HIT_40: &str = r#"{"outcome":"hit","player":3,"hp":40}"#;

    fn machine() -> Machine {
        Machine::new(AppKind::Attack, 5).unwrap()
    }

    /// Applies `text` as the next command.
    fn apply(machine: &mut Machine, text: &str) -> Applied {
        let index = machine.last_applied() + 1;
        machine.apply(&Entry { index, term: 1, payload: Payload::Command(text.to_owned().into()) })
    }

    fn attack(machine: &mut Machine, client: &str, serial: u64) -> Applied {
        apply(machine, &format!(r#"{{"client":"{client}","serial":{serial},"op":{{"attack":3}}}}"#))
    }

    fn noop(machine: &mut Machine) -> Applied {
        machine.apply(&Entry { index: machine.last_applied() + 1, term: 1, payload: Payload::Noop })
    }

    fn text(applied: &Applied) -> &str {
        applied.response().unwrap().get()
    }

    #[test]
    fn a_retry_gets_the_first_response_and_no_second_effect() {
        let mut machine = machine();
        noop(&mut machine);
        assert_eq!(text(&attack(&mut machine, "a", 1)), HIT_70);
        let digest = machine.digest();

        let again = attack(&mut machine, "a", 1);
        assert_eq!((text(&again), again.index, again.effect_index()), (HIT_70, 3, 2));
        assert!(again.is_duplicate());
        assert_eq!(machine.digest(), digest);

        assert_eq!(text(&attack(&mut machine, "a", 2)), HIT_40);
    }

    #[test]
    fn the_same_serial_of_another_client_is_another_command() {
        let mut machine = machine();
        assert_eq!(text(&attack(&mut machine, "a", 1)), HIT_70);
        assert_eq!(text(&attack(&mut machine, "b", 1)), HIT_40);
    }

    #[test]
    fn a_stale_serial_is_refused_without_effect() {
        let mut machine = machine();
        attack(&mut machine, "a", 1);
        attack(&mut machine, "a", 5);
        let digest = machine.digest();
        let late = attack(&mut machine, "a", 4);
        assert_eq!(late.effect, Effect::Refused(Response::stale_serial(5)));
        assert_eq!(machine.digest(), digest);
    }

    #[test]
    fn a_client_without_a_session_is_refused_without_effect_until_it_opens_one() {
        let mut machine = machine();
        let digest = machine.digest();
        assert_eq!(attack(&mut machine, "a", 2).effect, Effect::Refused(Response::no_session()));
        assert_eq!(machine.digest(), digest);
        assert_eq!(text(&attack(&mut machine, "a", 1)), HIT_70);
        assert_eq!(text(&attack(&mut machine, "a", 2)), HIT_40);
    }

    #[test]
    fn a_session_expires_when_enough_others_came_after_it_and_its_client_is_then_refused() {
        let limits = Limits { max_sessions: 3, ..Limits::default() };
        let mut machine = machine().with_limits(limits);
        attack(&mut machine, "a", 1);
        attack(&mut machine, "a", 2);
        for other in 1..limits.max_sessions {
            attack(&mut machine, &format!("b{other}"), 1);
        }
        assert!(attack(&mut machine, "a", 2).is_duplicate());
        attack(&mut machine, "last", 1);
        for serial in [2, 3] {
            assert_eq!(attack(&mut machine, "a", serial).effect, Effect::Refused(Response::no_session()));
        }
    }

    #[test]
    fn a_query_sees_what_was_applied_and_leaves_no_trace() {
        let mut machine = Machine::new(AppKind::Kv, 0).unwrap();
        apply(&mut machine, r#"{"client":"a","serial":1,"op":{"set":["k","v"]}}"#);
        let digest = machine.digest();
        let get = RawValue::from_string(r#"{"get":"k"}"#.to_owned()).unwrap();
        assert_eq!(machine.query(&get).unwrap().get(), r#"{"outcome":"found","value":"v"}"#);
        assert_eq!((machine.digest(), machine.last_applied()), (digest, 1));
    }

    #[test]
    fn a_copy_goes_its_own_way() {
        let mut machine = machine();
        attack(&mut machine, "a", 1);
        let copy = machine.clone();
        let digest = copy.digest();
        assert_eq!(machine.digest(), digest);
        attack(&mut machine, "a", 2);
        assert_ne!(machine.digest(), digest);
        assert_eq!((copy.digest(), copy.last_applied()), (digest, 1));
    }

    #[test]
    fn noops_count_as_applied_and_leave_the_digest() {
        let mut machine = machine();
        let digest = machine.digest();
        let applied = noop(&mut machine);
        assert_eq!((applied.index, applied.effect, machine.last_applied()), (1, Effect::Noop, 1));
        assert_eq!(machine.digest(), digest);
    }

    #[test]
    fn what_is_not_a_command_is_refused_without_effect_and_without_panic() {
        let mut machine = machine();
        let digest = machine.digest();
        for text in ["", "{", r#"{"client":"","serial":1,"op":0}"#, r#"{"client":"a","serial":0,"op":0}"#] {
            assert_eq!(apply(&mut machine, text).effect, Effect::Refused(Response::malformed_command()), "{text:?}");
        }
        assert_eq!((machine.last_applied(), machine.digest()), (4, digest));
    }

    #[test]
    fn an_unknown_op_is_answered_and_remembered_like_any_other() {
        let mut machine = machine();
        let heal = r#"{"client":"a","serial":1,"op":{"heal":3}}"#;
        assert_eq!(apply(&mut machine, heal).effect, Effect::Executed(Response::unknown_op()));
        assert!(apply(&mut machine, heal).is_duplicate());
    }

    #[test]
    #[should_panic(expected = "one after another")]
    fn a_gap_is_a_defect() {
        machine().apply(&Entry { index: 2, term: 1, payload: Payload::Noop });
    }

    #[test]
    fn the_digest_covers_application_and_sessions() {
        let digest_after = |commands: &[(&str, u64)]| {
            let mut machine = machine();
            for (client, serial) in commands {
                attack(&mut machine, client, *serial);
            }
            machine.digest()
        };
        assert_eq!(digest_after(&[("a", 1), ("b", 1)]), digest_after(&[("a", 1), ("b", 1)]));
        assert_ne!(digest_after(&[("a", 1)]), digest_after(&[("a", 2)]));
        assert_ne!(digest_after(&[("a", 1)]), digest_after(&[("b", 1)]));
        assert_ne!(machine().digest(), Machine::new(AppKind::Attack, 4).unwrap().digest());
    }

    #[test]
    fn the_same_log_gives_this_digest_on_every_machine() {
        let mut machine = machine();
        noop(&mut machine);
        attack(&mut machine, "a", 1);
        attack(&mut machine, "b", 1);
        assert_eq!(machine.digest().to_string(), "e86b32c2f6055210");
    }

    #[test]
    fn the_view_shows_the_game() {
        let mut machine = machine();
        attack(&mut machine, "a", 1);
        assert_eq!(machine.view()["players"][2]["hp"], 70);
    }
}
