//! The effects of a step, and the types that make "persist before send" a rule that the compiler checks.
//!
//! Invariant: a vote, an append acknowledgement, and a candidate's request leave a server only after
//! everything they promise is durable (Figure 2: "updated on stable storage before responding to RPCs").
//! Such messages are sealed in a [`Persist`]. The only way to get them is
//! [`Server::persisted`](crate::Server::persisted), which takes a [`Persisted`]; the only way to get a `Persisted` is
//! [`Persist::sync_all`], which first gives every write to a [`Storage`] and syncs it.
//!
//! Deliberately absent: a way to take a sealed message out without a sync, and retries of a failed sync.

use crate::log::LogVersion;
use crate::{Entry, Event, HardState, Index, Message, ReadOutcome, Snapshot};

/// Everything that a driver must do after it has given a server its inputs.
///
/// A driver may take the next `Ready` before this one is carried out. What each part waits for:
///
/// 1. [`messages`](Ready::messages) wait for nothing: they may leave before the write, beside it and beside a restore.
/// 2. [`restore`](Ready::restore) comes before everything else that uses storage or the application. Until it has
///    succeeded, no write of this `Ready` or of a later one is given to storage, and nothing of them is restored or
///    applied. If it fails, the server must stop; its disk is then as if the snapshot had never arrived.
/// 3. [`persist`](Ready::persist): writes are given to storage, become durable and are reported to
///    [`Server::persisted`](crate::Server::persisted) in the order in which the server gave them. The messages that are
///    sealed with a write leave then.
/// 4. [`committed`](Ready::committed) is applied in order, whether the write is durable or not.
/// 5. [`reads`](Ready::reads) are served when the state is fresh enough for them.
/// 6. [`events`](Ready::events) wait for nothing, and nothing waits for them.
#[must_use = "effects that are not carried out are lost"]
#[derive(Debug, Default)]
pub struct Ready {
    /// Messages that may leave at once: all that they promise is durable already, or they promise nothing. A leader's
    /// AppendEntries, for instance, may leave before its own disk has the entries, since it counts itself only when
    /// they are there (thesis §10.2.1).
    pub messages: Vec<Message>,
    /// What to write, with the messages that wait for it. When a write or a sync fails, the server must stop.
    pub persist: Option<Persist>,
    /// A snapshot whose state replaces that of the application: the one found on the disk at the start, or a leader's
    /// (§7). Only the application can tell whether the bytes are a valid state, and a leader's snapshot that is not
    /// valid must not replace the log. So it is restored before its own write, and the acknowledgement sealed with it,
    /// are given to storage. A leader's snapshot always comes with its write in this `persist`; the one found at the
    /// start is on the disk already.
    pub restore: Option<Snapshot>,
    /// Entries that became committed, in log order, each exactly once per incarnation; apply them in order. At most
    /// [`max_committed_per_ready`](crate::Options::max_committed_per_ready) at once; when more are left,
    /// [`Server::deadline`](crate::Server::deadline) is not in the future.
    ///
    /// They may be applied, and their clients answered, before the write of this `Ready` is durable: a quorum has them
    /// on stable storage, perhaps without this server. If this server crashes first, it lacks some of them, but then
    /// the applied state is lost as well, and the leader sends both again. So the applied state must not survive a
    /// crash in another form than as a snapshot that goes through [`Server::compact`](crate::Server::compact).
    pub committed: Vec<Entry>,
    /// The results of reads. A read with an index may be served from any state in which that index is applied (§8);
    /// that may be later than this `Ready`, since committed entries come in parts. A read without an index must be
    /// refused.
    pub reads: Vec<ReadOutcome>,
    /// What happened, in order, for the trace only: no behaviour may depend on it.
    pub events: Vec<Event>,
}

impl Ready {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let Ready { messages, persist, restore, committed, reads, events } = self;
        let is_silent = messages.is_empty() && events.is_empty();
        is_silent && persist.is_none() && restore.is_none() && committed.is_empty() && reads.is_empty()
    }
}

/// What must reach stable storage, in this order: a crash may leave any prefix of it, but no part without the parts
/// before it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Write {
    /// The new term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// A snapshot that replaces the stored one, atomically.
    pub snapshot: Option<Snapshot>,
    /// Which entries of the stored log the stored snapshot replaces.
    pub discard: Option<Discard>,
    /// Entries to append, contiguous. When the first one's index is not beyond the stored log, the stored suffix
    /// from that index on is replaced by these (§5.3).
    pub entries: Vec<Entry>,
}

/// Which stored entries a snapshot replaces (§7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// Those up to this index may be removed, now or later. Those after it stay.
    UpTo(Index),
    /// All must be removed: they end before the snapshot, or conflict with it. The log continues with the index after
    /// the snapshot's last.
    All,
}

impl Write {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        let Write { hard_state, snapshot, discard, entries } = self;
        hard_state.is_none() && snapshot.is_none() && discard.is_none() && entries.is_empty()
    }
}

/// Stable storage, as the core needs it.
pub trait Storage {
    /// Why a write or a sync failed. After an error the storage must not be used again: what reached the disk is
    /// unknown, and a second fsync may report success for pages that the first one lost.
    type Error;

    /// Takes a write. It need not be durable yet.
    ///
    /// # Errors
    /// When the storage cannot take it, for example because the disk is full.
    fn append(&mut self, write: &Write) -> Result<(), Self::Error>;

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// When durability cannot be guaranteed.
    fn sync(&mut self) -> Result<(), Self::Error>;
}

/// A write together with the messages that may leave once it is durable.
///
/// [`Server::persisted`](crate::Server::persisted) gives the messages, after a sync:
///
/// ```
/// # use raftian_raft::{Message, Persist, Server, Storage, Time};
/// fn speak<S: Storage>(server: &mut Server, persist: Persist, disk: &mut S) -> Result<Vec<Message>, S::Error> {
///     let persisted = Persist::sync_all(vec![persist], disk)?;
///     Ok(persisted.into_iter().flat_map(|one| server.persisted(Time::default(), one)).collect())
/// }
/// ```
///
/// There is no other way. The write itself does not give them,
///
/// ```compile_fail,E0616
/// # use raftian_raft::{Message, Persist};
/// fn speak(persist: Persist) -> Vec<Message> {
///     persist.sealed
/// }
/// ```
///
/// a server does not give them for a write that was not synced,
///
/// ```compile_fail,E0308
/// # use raftian_raft::{Message, Persist, Server, Time};
/// fn speak(server: &mut Server, persist: Persist) -> Vec<Message> {
///     server.persisted(Time::default(), persist)
/// }
/// ```
///
/// and only a sync can make a `Persisted`.
///
/// ```compile_fail,E0451
/// # use raftian_raft::{Persist, Persisted};
/// fn pretend(persist: Persist) -> Persisted {
///     Persisted { sealed: Vec::new(), ticket: unreachable!() }
/// }
/// ```
#[must_use = "messages are sealed in here until storage has synced"]
#[derive(Debug)]
pub struct Persist {
    write: Write,
    sealed: Vec<Message>,
    ticket: Ticket,
}

/// Proof that a [`Persist`] is durable; give it back to [`Server::persisted`](crate::Server::persisted).
#[must_use = "give it to `Server::persisted`, and send the messages that it returns"]
#[derive(Debug)]
pub struct Persisted {
    pub(crate) sealed: Vec<Message>,
    pub(crate) ticket: Ticket,
}

/// The state of a server that a write makes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Writes are numbered from 1 in the order in which the server gave them.
    pub(crate) number: u64,
    /// The log at that time.
    pub(crate) log: LogVersion,
    /// The hard state at that time.
    pub(crate) hard_state: HardState,
}

impl Persist {
    pub(crate) fn new(write: Write, sealed: Vec<Message>, ticket: Ticket) -> Persist {
        Persist { write, sealed, ticket }
    }

    /// What is to be written.
    pub fn write(&self) -> &Write {
        &self.write
    }

    /// Writes a batch in order and syncs once, if there is anything to sync (group commit).
    ///
    /// # Errors
    /// The first error of the storage. The sealed messages are dropped then, so none can leave by mistake.
    pub fn sync_all<S: Storage>(batch: Vec<Persist>, storage: &mut S) -> Result<Vec<Persisted>, S::Error> {
        for persist in batch.iter().filter(|persist| !persist.write.is_empty()) {
            storage.append(&persist.write)?;
        }
        if batch.iter().any(|persist| !persist.write.is_empty()) {
            storage.sync()?;
        }
        Ok(batch.into_iter().map(|Persist { sealed, ticket, .. }| Persisted { sealed, ticket }).collect())
    }
}
