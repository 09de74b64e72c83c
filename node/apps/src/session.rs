//! Client sessions (Raft §8, thesis §6.3): what makes a retry safe.
//!
//! A client numbers its commands 1, 2, 3 … (it may skip numbers) and has *one* outstanding at a time: it sends the
//! next only when it has the response or gives the command up. So the last serial and its response are all that need
//! be kept. Invariant: at most one effect per (client, serial); a repeated serial gets the first response.
//!
//! Deliberately absent: the expiry of sessions, which must itself be replicated. Until then every client costs memory.

use std::collections::BTreeMap;

use raftian_raft::Index;

use crate::response::Response;

/// The sessions of all clients. Ordered by name, so that the canonical bytes need no sorting.
#[derive(Debug, Default)]
pub(crate) struct Sessions(BTreeMap<String, Session>);

/// A client's last applied command.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) serial: u64,
    pub(crate) index: Index,
    pub(crate) response: Response,
}

/// How a serial stands to the client's last.
#[derive(Debug)]
pub(crate) enum Standing<'a> {
    /// It was never applied.
    New,
    /// It is the last one applied, again.
    Repeated(&'a Session),
    /// The client has moved on: whether this serial was applied is forgotten, so it never may be again.
    Stale { last_serial: u64 },
}

impl Sessions {
    pub(crate) fn standing(&self, client: &str, serial: u64) -> Standing<'_> {
        match self.0.get(client) {
            Some(last) if serial == last.serial => Standing::Repeated(last),
            Some(last) if serial < last.serial => Standing::Stale { last_serial: last.serial },
            _ => Standing::New,
        }
    }

    pub(crate) fn record(&mut self, client: &str, session: Session) {
        match self.0.get_mut(client) {
            Some(last) => *last = session,
            None => {
                self.0.insert(client.to_owned(), session);
            }
        }
    }

    /// Appends all sessions, self-delimiting: whatever follows cannot pass for a session.
    pub(crate) fn canonical(&self, out: &mut Vec<u8>) {
        out.extend((self.0.len() as u64).to_le_bytes());
        for (client, session) in &self.0 {
            append_text(out, client);
            out.extend(session.serial.to_le_bytes());
            out.extend(session.index.to_le_bytes());
            append_text(out, session.response.get());
        }
    }
}

/// The length goes first: without it ("ab", "c") and ("a", "bc") would be the same bytes.
fn append_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(serial: u64, index: Index) -> Session {
        Session { serial, index, response: Response::of(&serial) }
    }

    #[test]
    fn a_serial_is_new_then_repeated_then_stale() {
        let mut sessions = Sessions::default();
        assert!(matches!(sessions.standing("a", 2), Standing::New));
        sessions.record("a", session(2, 10));
        let Standing::Repeated(first) = sessions.standing("a", 2) else { panic!("serial 2 was applied") };
        assert_eq!((first.index, first.response.get()), (10, "2"));
        assert!(matches!(sessions.standing("a", 1), Standing::Stale { last_serial: 2 }));
        assert!(matches!(sessions.standing("a", 4), Standing::New));
        assert!(matches!(sessions.standing("b", 1), Standing::New));
    }

    #[test]
    fn the_canonical_bytes_depend_on_the_sessions_and_not_on_their_history() {
        let bytes = |records: &[(&str, u64, Index)]| {
            let mut sessions = Sessions::default();
            for &(client, serial, index) in records {
                sessions.record(client, session(serial, index));
            }
            let mut out = Vec::new();
            sessions.canonical(&mut out);
            out
        };
        assert_eq!(bytes(&[("a", 1, 1), ("b", 1, 2), ("a", 2, 3)]), bytes(&[("b", 1, 2), ("a", 2, 3)]));
        assert_ne!(bytes(&[("a", 1, 1)]), bytes(&[("a", 1, 2)]));
        assert_ne!(bytes(&[("a", 1, 1)]), bytes(&[("b", 1, 1)]));
    }
}
