//! The names under which a game's commands go on the log.
//!
//! A client of the log opens its session with serial 1 and has *one* command outstanding at a time (§8), and a game does
//! not wait for one click before the next. So its commands go out in lanes, each a client of its own: the lane that
//! began with the game's command number `first` numbers that one 1, and calls itself after it, so that the number in
//! the game can be told from name and serial alone.
//!
//! Invariant: within a lane serials rise. A lane whose last command was not carried out for sure is never used again:
//! its session may not be open, and the command may come up yet.

use std::sync::Arc;

use raftian_apps::Command;
use raftian_raft::NodeId;

/// The most commands of one game on their way at once.
pub(crate) const MAX_LANES: usize = 256;

/// How the commands of one life of a game are told from all others.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    prefix: Arc<str>,
}

/// One client of the log, among those of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    /// The number in the game of the lane's first command.
    first: u64,
}

/// The lanes of a session. As few as possible are ever used, since each is a session on the log.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    free: Vec<Lane>,
    busy: usize,
}

impl Session {
    /// A session that no game had before; `kind` is for people who read the log.
    pub(crate) fn new(kind: &str, node: NodeId) -> Session {
        Session { prefix: format!("{kind}-{node}-{:016x}.", fastrand::u64(..)).into() }
    }

    /// The name of a lane as a client.
    pub(crate) fn client(&self, lane: Lane) -> String {
        format!("{}{}", self.prefix, lane.first)
    }

    /// The number in the game of a command on the log, if it is one of this game's.
    pub(crate) fn number(&self, command: &Command) -> Option<u64> {
        let first: u64 = command.client().strip_prefix(&*self.prefix)?.parse().ok()?;
        first.checked_add(command.serial() - 1)
    }
}

impl Lane {
    /// A lane whose first command is the game's command number `first`.
    pub(crate) fn beginning_with(first: u64) -> Lane {
        Lane { first }
    }

    /// The serial of the game's command `number`, which is not before the lane's first.
    pub(crate) fn serial(self, number: u64) -> u64 {
        number - self.first + 1
    }
}

impl Lanes {
    /// A lane for the game's command `number`; the next number is to be a larger one. `None` when all are busy.
    pub(crate) fn enter(&mut self, number: u64) -> Option<Lane> {
        if self.busy == MAX_LANES {
            return None;
        }
        self.busy += 1;
        Some(self.free.pop().unwrap_or(Lane::beginning_with(number)))
    }

    /// A command is not outstanding any more. Its lane, if it was carried out there.
    pub(crate) fn leave(&mut self, lane: Option<Lane>) {
        self.busy -= 1;
        self.free.extend(lane);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    fn command(session: &Session, lane: Lane, number: u64) -> Command {
        Command::new(session.client(lane), lane.serial(number), to_raw_value(&0).unwrap()).expect("a client name")
    }

    #[test]
    fn a_lane_has_one_command_at_a_time_and_is_used_again_if_that_was_carried_out() {
        let mut lanes = Lanes::default();
        let (one, other) = (lanes.enter(1).unwrap(), lanes.enter(2).unwrap());
        assert_eq!((one.serial(1), other.serial(2)), (1, 1));
        lanes.leave(Some(one));
        assert_eq!((lanes.enter(3), one.serial(3)), (Some(one), 3));
        lanes.leave(None);
        assert_eq!(lanes.enter(4), Some(Lane::beginning_with(4)));
        let taken = (5..).map_while(|number| lanes.enter(number)).count();
        assert_eq!(taken + 2, MAX_LANES);
    }

    #[test]
    fn a_game_tells_its_own_commands_by_their_numbers() {
        let node = NodeId::new(u16::MAX).unwrap();
        let (session, other) = (Session::new("window", node), Session::new("window", node));
        let lane = Lane::beginning_with(u64::MAX - 1);
        let own = command(&session, lane, u64::MAX);
        assert_eq!((session.number(&own), other.number(&own)), (Some(u64::MAX), None));
        for (client, serial) in [(session.client(lane), u64::MAX), (format!("{}x", session.prefix), 1)] {
            let forged = Command::new(client, serial, to_raw_value(&0).unwrap()).unwrap();
            assert_eq!(session.number(&forged), None);
        }
    }
}
