//! The effects of a step, and the type that makes "persist before speak" a matter of compiling.
//!
//! Invariant: a vote, an append acknowledgement, and a candidate's request leave a server only after
//! everything they promise is durable (Figure 2: "updated on stable storage before responding to RPCs").
//! Such messages are sealed in a [`Persist`]. The one way to the messages is
//! [`Server::persisted`](crate::Server::persisted); it wants a [`Persisted`]; the one way to a `Persisted` is
//! [`Persist::sync_all`], which hands every write to a [`Storage`] and syncs it first.
//!
//! Deliberately absent: a way to take a sealed message out without a sync, and retries of a failed one.

use crate::log::LogVersion;
use crate::{Entry, Event, HardState, Index, Message, ReadOutcome, Snapshot};

/// Everything a driver must do after feeding a server its inputs. The parts are independent of each other: a
/// leader's AppendEntries may leave before its own disk has the entries (thesis §10.2.1).
#[must_use = "effects that are not carried out are lost"]
#[derive(Debug, Default)]
pub struct Ready {
    /// Messages that may leave at once.
    pub messages: Vec<Message>,
    /// What to write, with the messages that wait for it. Persist these in the order they were given.
    pub persist: Option<Persist>,
    /// A state to put in the place of the application's, before anything else is applied: the snapshot found at the
    /// start, or a leader's (§7).
    pub restore: Option<Snapshot>,
    /// Entries that became committed, in log order, each exactly once per incarnation; apply them in order.
    pub committed: Vec<Entry>,
    /// What became of reads. One with an index may be served once that index is applied (§8).
    pub reads: Vec<ReadOutcome>,
    /// What happened, for the trace.
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

/// What must reach stable storage, in this order: a crash may leave any beginning of it, and no part without those
/// before it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Write {
    /// The new term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// A snapshot that takes the place of the stored one, all of it or nothing of it.
    pub snapshot: Option<Snapshot>,
    /// What the stored snapshot makes superfluous in the stored log.
    pub discard: Option<Discard>,
    /// Entries to append, contiguous. When the first one's index is not beyond the stored log, the stored suffix
    /// from that index on is replaced by these (§5.3).
    pub entries: Vec<Entry>,
}

/// Which stored entries a snapshot has taken the place of (§7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// Those up to this index may go, now or later. Those after it stay.
    UpTo(Index),
    /// All must go: they end before the snapshot, or contradict it. The log goes on with the index after the
    /// snapshot's last.
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
    /// When the storage cannot take it, for want of room for instance.
    fn append(&mut self, write: &Write) -> Result<(), Self::Error>;

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// When durability cannot be vouched for.
    fn sync(&mut self) -> Result<(), Self::Error>;
}

/// A write together with the messages that may leave once it is durable.
///
/// The messages come out of [`Server::persisted`](crate::Server::persisted), by way of a sync:
///
/// ```
/// # use raftian_raft::{Message, Persist, Server, Storage, Time};
/// fn speak<S: Storage>(server: &mut Server, persist: Persist, disk: &mut S) -> Result<Vec<Message>, S::Error> {
///     let persisted = Persist::sync_all(vec![persist], disk)?;
///     Ok(persisted.into_iter().flat_map(|one| server.persisted(Time::default(), one)).collect())
/// }
/// ```
///
/// There is no other way. They are not to be had from the write itself,
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
/// and nobody but a sync can say that it was.
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
#[must_use = "the server must be told, and the sealed messages sent"]
#[derive(Debug)]
pub struct Persisted {
    pub(crate) sealed: Vec<Message>,
    pub(crate) ticket: Ticket,
}

/// Which point of a server's life a write stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Writes are numbered from 1 in the order they were handed out.
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
    /// The first error of the storage. The sealed messages are gone then, so nothing unsaid can be said by mistake.
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
