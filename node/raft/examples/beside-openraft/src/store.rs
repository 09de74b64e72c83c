//! What openraft keeps: a log in memory, and a state machine that counts.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::rc::Rc;

use futures_util::{Stream, TryStreamExt as _};
use openraft::entry::RaftEntry as _;
use openraft::storage::{
    EntryResponder, IOFlushed, LogState, RaftLogReader, RaftLogStorage, RaftSnapshotBuilder, RaftStateMachine,
};
use openraft::type_config::alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf};

use crate::arm::Types;

/// The log of one replica.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Kept>>);

#[derive(Default)]
struct Kept {
    vote: Option<VoteOf<Types>>,
    purged: Option<LogIdOf<Types>>,
    /// The index of the first entry, if there is one.
    first: u64,
    entries: VecDeque<EntryOf<Types>>,
}

impl Kept {
    /// The places of these indexes.
    fn places(&self, range: &impl RangeBounds<u64>) -> std::ops::Range<usize> {
        let start = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        let place = |index: u64| (index.saturating_sub(self.first) as usize).min(self.entries.len());
        place(start)..place(end).max(place(start))
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug>(
        &mut self,
        range: RB,
    ) -> Result<Vec<EntryOf<Types>>, io::Error> {
        let kept = self.0.borrow();
        Ok(kept.entries.range(kept.places(&range)).cloned().collect())
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Types>>, io::Error> {
        Ok(self.0.borrow().vote)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let kept = self.0.borrow();
        let last_log_id = kept.entries.back().map(|entry| entry.log_id()).or(kept.purged);
        Ok(LogState { last_purged_log_id: kept.purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> Result<(), io::Error> {
        self.0.borrow_mut().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<Types>>,
    {
        let mut kept = self.0.borrow_mut();
        for entry in entries {
            if kept.entries.is_empty() {
                kept.first = entry.index();
            }
            kept.entries.push_back(entry);
        }
        drop(kept);
        flushed.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> Result<(), io::Error> {
        let mut kept = self.0.borrow_mut();
        let end = last.map_or(0, |last| kept.places(&(..=last.index())).end);
        kept.entries.truncate(end);
        Ok(())
    }

    async fn purge(&mut self, up_to: LogIdOf<Types>) -> Result<(), io::Error> {
        let mut kept = self.0.borrow_mut();
        let end = kept.places(&(..=up_to.index())).end;
        kept.entries.drain(..end);
        (kept.first, kept.purged) = (up_to.index() + 1, Some(up_to));
        Ok(())
    }
}

/// The state of one replica: how far it has come.
#[derive(Clone, Default)]
pub(crate) struct Machine(Rc<RefCell<Applied>>);

#[derive(Default)]
struct Applied {
    last: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
}

impl Machine {
    fn snapshot(&self) -> SnapshotOf<Types, ()> {
        let applied = self.0.borrow();
        let meta = SnapshotMetaOf::<Types> { last_log_id: applied.last, last_membership: applied.membership.clone() };
        SnapshotOf::<Types, ()> { meta, snapshot: () }
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, ()>, io::Error> {
        Ok(self.snapshot())
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = Machine;

    async fn applied_state(&mut self) -> Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>), io::Error> {
        let applied = self.0.borrow();
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let mut applied = self.0.borrow_mut();
            applied.last = Some(entry.log_id());
            if let Some(membership) = entry.get_membership() {
                applied.membership = StoredMembershipOf::<Types>::new(Some(entry.log_id()), membership);
            }
            drop(applied);
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMetaOf<Types>, (): ()) -> Result<(), io::Error> {
        let mut applied = self.0.borrow_mut();
        (applied.last, applied.membership) = (meta.last_log_id, meta.last_membership.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, ()>>, io::Error> {
        Ok(self.0.borrow().last.is_some().then(|| self.snapshot()))
    }
}
