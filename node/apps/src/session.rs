//! Client sessions (Raft §8, thesis §6.3): what makes a retry safe, within bounded memory.
//!
//! A client opens its session with serial 1, numbers its commands upwards from there (it may skip numbers) and has
//! *one* outstanding at a time: it sends the next only when it has the response or gives the command up. So the last
//! serial and its response are all that need be kept.
//!
//! As many sessions and bytes of responses are kept as the cluster's [`Limits`] allow; beyond that the session whose
//! last command lies furthest back in the log expires. That is a function of the log, so every server expires the same
//! one at the same entry. A client without a session that sends a serial above 1 is refused: the command may have been
//! carried out before. A client that is refused goes on under a new name.
//!
//! Invariants: at most one effect per (client, serial) while its session lasts, and none with a serial above 1 after;
//! a repeated serial gets the first response. Deliberately absent: a memory of names that expired. A copy of a client's
//! *first* command that comes up after its session has gone cannot be told from a new client of that name; between the
//! two must lie as many other clients as there are sessions.

use std::collections::{BTreeMap, HashMap};

use raftian_raft::Index;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, SetDigest};
use crate::limits::Limits;
use crate::response::Response;

/// The sessions of all clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    /// By the index of the last command, so that the first is the one to expire. The one place that is iterated.
    by_index: BTreeMap<Index, Session>,
    index_of: HashMap<Box<str>, Index>,
    remembered_bytes: usize,
    digest: SetDigest,
}

/// A client's last command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    pub(crate) client: Box<str>,
    pub(crate) serial: u64,
    pub(crate) index: Index,
    pub(crate) response: Response,
}

/// How a serial stands to the client's last.
#[derive(Debug)]
pub(crate) enum Standing<'a> {
    /// It was never carried out.
    New,
    /// It is the last one carried out, again.
    Repeated(&'a Session),
    /// The client has moved on: whether this serial was carried out is forgotten, so it never may be again.
    Stale { last_serial: u64 },
    /// Nothing is known of the client, and this serial does not open a session.
    NoSession,
}

impl Sessions {
    /// The sessions that [`iter`](Sessions::iter) gave once; `None` when two of them have one client or one index.
    pub(crate) fn load(saved: Vec<Session>) -> Option<Sessions> {
        let mut sessions = Sessions::default();
        for session in saved {
            let taken = sessions.by_index.contains_key(&session.index);
            if taken || sessions.index_of.contains_key(&*session.client) {
                return None;
            }
            sessions.insert(session);
        }
        Some(sessions)
    }

    pub(crate) fn standing(&self, client: &str, serial: u64) -> Standing<'_> {
        match self.of(client) {
            Some(last) if serial == last.serial => Standing::Repeated(last),
            Some(last) if serial < last.serial => Standing::Stale { last_serial: last.serial },
            None if serial > 1 => Standing::NoSession,
            _ => Standing::New,
        }
    }

    /// Remembers a command that was carried out, at an index above all before; expires what is then too much.
    pub(crate) fn record(&mut self, session: Session, limits: &Limits) {
        if let Some(last) = self.index_of.get(&*session.client) {
            self.remove(*last);
        }
        self.insert(session);
        let is_full = |sessions: &Sessions| {
            sessions.by_index.len() > limits.max_sessions || sessions.remembered_bytes > limits.max_remembered_bytes
        };
        while self.by_index.len() > 1 && is_full(self) {
            let (oldest, expired) = self.by_index.first_key_value().expect("more than one session");
            let (oldest, client) = (*oldest, expired.client.clone());
            self.remove(oldest);
            self.index_of.remove(&*client);
        }
    }

    /// All sessions, those that expire first in front.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.by_index.values()
    }

    /// The digest of all sessions. It costs no time.
    pub(crate) fn digest(&self) -> Digest {
        self.digest.digest()
    }

    fn of(&self, client: &str) -> Option<&Session> {
        self.by_index.get(self.index_of.get(client)?)
    }

    /// Adds a session; `index_of` still has the client's former index, if it had one.
    fn insert(&mut self, session: Session) {
        match self.index_of.get_mut(&*session.client) {
            Some(index) => *index = session.index,
            None => {
                self.index_of.insert(session.client.clone(), session.index);
            }
        }
        self.remembered_bytes += session.response.get().len();
        self.digest.add(session.digest());
        self.by_index.insert(session.index, session);
    }

    /// Removes the session at an index, all but its client's entry in `index_of`.
    fn remove(&mut self, index: Index) {
        let session = self.by_index.remove(&index).expect("every client's index has its session");
        self.remembered_bytes -= session.response.get().len();
        self.digest.remove(session.digest());
    }
}

impl Session {
    fn digest(&self) -> Digest {
        let response = self.response.get();
        Digest::of_parts(&[
            self.client.as_bytes(),
            &self.serial.to_le_bytes(),
            &self.index.to_le_bytes(),
            response.as_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(client: &str, serial: u64, index: Index) -> Session {
        Session { client: client.into(), serial, index, response: Response::of(&serial) }
    }

    fn sessions_of(limits: Limits, records: &[(&str, u64, Index)]) -> Sessions {
        let mut sessions = Sessions::default();
        for &(client, serial, index) in records {
            sessions.record(session(client, serial, index), &limits);
        }
        sessions
    }

    fn clients(sessions: &Sessions) -> Vec<&str> {
        sessions.iter().map(|session| &*session.client).collect()
    }

    const ROOMY: Limits = Limits { max_sessions: 100, max_remembered_bytes: 1000, compact_above_bytes: 0 };

    #[test]
    fn a_serial_is_new_then_repeated_then_stale() {
        let mut sessions = Sessions::default();
        assert!(matches!(sessions.standing("a", 1), Standing::New));
        sessions.record(session("a", 1, 10), &ROOMY);
        let Standing::Repeated(first) = sessions.standing("a", 1) else { panic!("serial 1 was carried out") };
        assert_eq!((first.index, first.response.get()), (10, "1"));
        assert!(matches!(sessions.standing("a", 4), Standing::New));
        sessions.record(session("a", 4, 11), &ROOMY);
        assert!(matches!(sessions.standing("a", 1), Standing::Stale { last_serial: 4 }));
        assert!(matches!(sessions.standing("a", 3), Standing::Stale { last_serial: 4 }));
    }

    #[test]
    fn only_serial_1_opens_a_session() {
        let sessions = Sessions::default();
        assert!(matches!(sessions.standing("a", 1), Standing::New));
        assert!(matches!(sessions.standing("a", 2), Standing::NoSession));
        assert!(matches!(sessions.standing("a", u64::MAX), Standing::NoSession));
    }

    #[test]
    fn the_session_with_the_oldest_command_expires() {
        let two = Limits { max_sessions: 2, ..ROOMY };
        let mut sessions = sessions_of(two, &[("a", 1, 1), ("b", 1, 2), ("a", 2, 3), ("c", 1, 4)]);
        assert_eq!(clients(&sessions), ["a", "c"]);
        assert!(matches!(sessions.standing("b", 1), Standing::New));
        assert!(matches!(sessions.standing("b", 2), Standing::NoSession));
        sessions.record(session("b", 1, 5), &two);
        assert_eq!(clients(&sessions), ["c", "b"]);
    }

    #[test]
    fn sessions_expire_when_their_responses_take_too_much_memory_but_never_the_newest() {
        let four_bytes = Limits { max_remembered_bytes: 4, ..ROOMY };
        let records = [("a", 10, 1), ("b", 20, 2), ("c", 30, 3)];
        assert_eq!(clients(&sessions_of(four_bytes, &records)), ["b", "c"]);
        assert_eq!(clients(&sessions_of(Limits { max_remembered_bytes: 1, ..ROOMY }, &records)), ["c"]);
    }

    #[test]
    fn the_digest_depends_on_the_sessions_and_not_on_their_history() {
        let digest = |limits, records: &[_]| sessions_of(limits, records).digest();
        let straight = digest(ROOMY, &[("b", 1, 2), ("a", 2, 3)]);
        assert_eq!(digest(ROOMY, &[("a", 1, 1), ("b", 1, 2), ("a", 2, 3)]), straight);
        assert_eq!(digest(Limits { max_sessions: 2, ..ROOMY }, &[("c", 1, 1), ("b", 1, 2), ("a", 2, 3)]), straight);
        for other in [[("b", 1, 2), ("a", 3, 3)], [("b", 1, 2), ("a", 2, 4)], [("c", 1, 2), ("a", 2, 3)]] {
            assert_ne!(digest(ROOMY, &other), straight, "{other:?}");
        }
    }

    #[test]
    fn sessions_load_as_they_were_saved_and_not_where_two_share_a_client_or_an_index() {
        let sessions = sessions_of(ROOMY, &[("a", 1, 1), ("b", 1, 2), ("a", 2, 3)]);
        let saved: Vec<Session> = sessions.iter().cloned().collect();
        let loaded = Sessions::load(saved.clone()).unwrap();
        assert!(loaded.iter().eq(&saved));
        assert_eq!(loaded.digest(), sessions.digest());
        assert!(Sessions::load(vec![session("a", 1, 1), session("a", 2, 2)]).is_none());
        assert!(Sessions::load(vec![session("a", 1, 1), session("b", 2, 1)]).is_none());
    }
}
