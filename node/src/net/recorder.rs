//! Records the messages of a node in a file, when asked to (`raftian_rpc::record`), and lets [`Recent`] keep the last ones.
//!
//! Invariant: where nothing is recorded, a call costs one look at a flag. A disk that fails ends the recording, never a call.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use raftian_faults::Verdict;
use raftian_raft::{Body, Message, Request};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::files;
use raftian_rpc::raft::Head;
use raftian_rpc::record::{Call, End, FILE, MAX_BYTES, RecentCalls, Record, Served, What};

use crate::net::recent::Recent;
use crate::parent;

/// What records the messages of one node.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    is_on: AtomicBool,
    file: Mutex<Option<Growing>>,
    recent: Recent,
}

#[derive(Debug)]
struct Growing {
    file: File,
    bytes: u64,
}

/// A call that is recorded when it ends, if it is.
#[derive(Debug)]
pub(crate) struct Noted(Option<Call>);

impl Recorder {
    /// The recorder of the node with this folder. It goes on where there is a file.
    pub(super) fn new(folder: PathBuf) -> Recorder {
        let path = folder.join(FILE);
        let recorder =
            Recorder { is_on: AtomicBool::new(false), file: Mutex::new(None), recent: Recent::default(), path };
        if recorder.path.exists()
            && let Err(error) = recorder.begin()
        {
            parent::complain(&format!("messages are not recorded: {error}"));
        }
        recorder
    }

    /// Begins to record, or ends that and removes what was recorded.
    ///
    /// # Errors
    /// When the file cannot be written or removed.
    pub(super) fn switch(&self, on: bool) -> io::Result<()> {
        if on {
            return self.begin();
        }
        self.is_on.store(false, Ordering::Relaxed);
        *self.lock() = None;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn begin(&self) -> io::Result<()> {
        let mut known = self.lock();
        if known.is_none() {
            let file = files::append(&self.path)?;
            let bytes = file.metadata()?.len();
            *known = (bytes < MAX_BYTES).then_some(Growing { file, bytes });
        }
        self.is_on.store(known.is_some(), Ordering::Relaxed);
        Ok(())
    }

    /// The calls that came to an end since number `since`. From now on some are kept.
    pub(super) fn recent(&self, since: u64) -> RecentCalls {
        self.recent.since(since)
    }

    fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed) || self.recent.is_on()
    }

    /// A request leaves.
    pub(super) fn sends(&self, request: &Message) -> Noted {
        Noted(if self.is_on() { call(request) } else { None })
    }

    /// The link has judged the request.
    pub(super) fn leaves(&self, noted: &mut Noted, verdict: Verdict) {
        self.judged(noted, verdict, End::RequestDropped);
    }

    /// The link has judged the reply.
    pub(super) fn returns(&self, noted: &mut Noted, verdict: Verdict) {
        self.judged(noted, verdict, End::ReplyDropped);
    }

    /// Who looks on sees a message dropped at once, and not only when its caller gives up.
    fn judged(&self, noted: &mut Noted, verdict: Verdict, end: End) {
        if let (Noted(Some(call)), Verdict::Drop) = (noted, verdict) {
            call.end = end;
            self.recent.keep(Call { ended_ns: monotonic_ns(), ..*call });
        }
    }

    /// The call is over.
    pub(super) fn ended(&self, noted: Noted, is_answered: bool) {
        if let Noted(Some(call)) = noted {
            let end = if is_answered { End::Answered } else { call.end };
            let call = Call { ended_ns: monotonic_ns(), end, ..call };
            if matches!(end, End::Answered | End::Silent) {
                self.recent.keep(call);
            }
            self.write(Record::Call(call));
        }
    }

    /// When a request arrived, if that is recorded.
    pub(super) fn arrival(&self) -> Option<u64> {
        self.is_on().then(monotonic_ns)
    }

    /// A request that arrived then was served.
    pub(super) fn served(&self, arrived_ns: Option<u64>, head: Head, is_answered: bool) {
        if let Some(arrived_ns) = arrived_ns {
            let (call, from, ended_ns) = (head.call, head.from, monotonic_ns());
            self.write(Record::Served(Served { call, from, arrived_ns, ended_ns, is_answered }));
        }
    }

    fn write(&self, record: Record) {
        let mut known = self.lock();
        let Some(growing) = known.as_mut() else { return };
        let mut line = text(record);
        let is_full = growing.bytes + line.len() as u64 >= MAX_BYTES;
        if is_full {
            line = text(Record::Full);
        }
        growing.bytes += line.len() as u64;
        let written = growing.file.write_all(&line);
        if let Err(error) = &written {
            parent::complain(&format!("messages are recorded no further: {error}"));
        }
        if is_full || written.is_err() {
            *known = None;
            self.is_on.store(false, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Growing>> {
        self.file.lock().expect("no panic while the file is locked")
    }
}

fn call(message: &Message) -> Option<Call> {
    let Head { to, term, call, .. } = Head::of(message);
    let Body::Request(request) = &message.body else { return None };
    let (what, entries) = match request {
        Request::PreVote(_) => (What::PreVote, 0),
        Request::RequestVote { .. } => (What::RequestVote, 0),
        Request::AppendEntries(append) if append.entries.is_empty() => (What::Heartbeat, 0),
        Request::AppendEntries(append) => (What::Append, append.entries.len() as u64),
        Request::InstallSnapshot(_) => (What::InstallSnapshot, 0),
        Request::TimeoutNow => (What::TimeoutNow, 0),
    };
    let sent_ns = monotonic_ns();
    Some(Call { call, to, what, entries, term, sent_ns, ended_ns: sent_ns, end: End::Silent })
}

fn text(record: Record) -> Vec<u8> {
    let mut text = serde_json::to_vec(&record).expect("records have string keys only");
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_request_is_seen_at_once_and_not_again_when_its_caller_gives_up() {
        let recorder = Recorder::new(PathBuf::from("no such folder"));
        let number = recorder.recent(0).next;
        let (from, to) = ("n1".parse().unwrap(), "n2".parse().unwrap());
        let request = Message { from, to, term: 3, call: 7, body: Body::Request(Request::TimeoutNow) };
        let mut noted = recorder.sends(&request);
        recorder.leaves(&mut noted, Verdict::Drop);
        let seen = recorder.recent(number);
        assert_eq!(seen.calls.iter().map(|call| (call.call, call.end)).collect::<Vec<_>>(), [(7, End::RequestDropped)]);
        recorder.ended(noted, false);
        assert!(recorder.recent(seen.next).calls.is_empty());
    }
}
