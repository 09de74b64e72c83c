//! What a server applies its log to: the sessions, and behind them the application.
//!
//! Invariants: entries are applied in the order of the log with none left out (asserted); equal logs give equal
//! digests. Deliberately absent: snapshot and restore, and any knowledge of who waits for a response.

use raftian_raft::{Entry, Index, Payload};
use serde_json::Value;

use crate::app::{App, AppKind};
use crate::attack::PlayersOutOfRange;
use crate::command::Command;
use crate::digest::Digest;
use crate::response::Response;
use crate::session::{Session, Sessions, Standing};

/// The applied state of one server.
#[derive(Debug)]
pub struct Machine {
    app: Box<dyn App>,
    sessions: Sessions,
    last_applied: Index,
}

/// One entry, applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The entry's index.
    pub index: Index,
    /// The command it carried; `None` for a no-op and for what is not a command.
    pub command: Option<Command>,
    /// What it did.
    pub effect: Effect,
}

/// What applying an entry did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A leader's no-op: nothing.
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
    /// The command was not carried out: its serial is stale, or it is not a command.
    Refused(Response),
}

impl Machine {
    /// The first state of this application, before any entry; `players` is for those that have players.
    ///
    /// # Errors
    /// When the application's board does not hold that many.
    pub fn new(app: AppKind, players: u16) -> Result<Machine, PlayersOutOfRange> {
        Ok(Machine { app: app.start(players)?, sessions: Sessions::default(), last_applied: 0 })
    }

    /// Applies the next committed entry. Whatever its command says, it yields a response and no panic.
    ///
    /// # Panics
    /// When it is not the entry after [`last_applied`](Machine::last_applied): applied state would be wrong for ever.
    pub fn apply(&mut self, entry: &Entry) -> Applied {
        assert_eq!(entry.index, self.last_applied + 1, "entries are applied one after another");
        self.last_applied = entry.index;
        match &entry.payload {
            Payload::Noop => Applied { index: entry.index, command: None, effect: Effect::Noop },
            Payload::Command(json) => match Command::parse(json) {
                Ok(command) => {
                    let effect = self.execute(entry.index, &command);
                    Applied { index: entry.index, command: Some(command), effect }
                }
                Err(_) => {
                    let effect = Effect::Refused(Response::malformed_command());
                    Applied { index: entry.index, command: None, effect }
                }
            },
        }
    }

    /// The index of the last entry applied; 0 when there is none.
    pub fn last_applied(&self) -> Index {
        self.last_applied
    }

    /// The digest of application and sessions. No-ops do not change it. It costs time proportional to the state.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        self.sessions.canonical(&mut bytes);
        bytes.extend(self.app.kind().name().bytes());
        self.app.canonical(&mut bytes);
        Digest::of(&bytes)
    }

    /// The application's state as JSON, for `status` and for people.
    pub fn view(&self) -> Value {
        self.app.view()
    }

    fn execute(&mut self, index: Index, command: &Command) -> Effect {
        let (client, serial) = (command.client(), command.serial());
        match self.sessions.standing(client, serial) {
            Standing::New => {
                let response = self.app.apply(command.op());
                self.sessions.record(client, Session { serial, index, response: response.clone() });
                Effect::Executed(response)
            }
            Standing::Repeated(first) => {
                Effect::Duplicate { first_index: first.index, response: first.response.clone() }
            }
            Standing::Stale { last_serial } => Effect::Refused(Response::stale_serial(last_serial)),
        }
    }
}

impl Applied {
    /// What to tell who waits for this entry; `None` for a no-op.
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
        attack(&mut machine, "a", 5);
        let digest = machine.digest();
        let late = attack(&mut machine, "a", 4);
        assert_eq!(late.effect, Effect::Refused(Response::stale_serial(5)));
        assert_eq!(machine.digest(), digest);
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
        assert_eq!(machine.digest().to_string(), "cc241d6a75212b01");
    }

    #[test]
    fn the_view_shows_the_game() {
        let mut machine = machine();
        attack(&mut machine, "a", 1);
        assert_eq!(machine.view()["players"][2]["hp"], 70);
    }
}
