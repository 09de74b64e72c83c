//! What has happened in the runs, so that a run in which nothing goes wrong cannot pass for a proof.

use std::ops::AddAssign;

use raftian_raft::{AppendReply, Body, Event, Message, ReadOutcome, Reply, Request};

use crate::cluster::Happening;

macro_rules! seen {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What has really happened, and how often. What never happens proves nothing.
        #[derive(Debug, Default)]
        pub(crate) struct Seen {
            $($(#[$doc])* pub(super) $name: u64,)*
            /// The rules that any server has followed.
            #[cfg(feature = "rules")]
            pub(crate) rules: raftian_raft::RuleSet,
        }

        impl AddAssign for Seen {
            fn add_assign(&mut self, other: Seen) {
                $(self.$name += other.$name;)*
                #[cfg(feature = "rules")]
                {
                    self.rules |= other.rules;
                }
            }
        }

        impl Seen {
            /// What happened least.
            fn least(&self) -> u64 {
                [$(self.$name),*].into_iter().min().unwrap_or(0)
            }
        }
    };
}

seen! {
    committed,
    led_terms,
    crashes,
    writes_lost,
    truncations,
    quorums_lost,
    conflicts,
    snapshots_taken,
    snapshots_installed,
    /// Chunks of a snapshot that went on where an earlier one had ended.
    chunks_continued,
    /// Crashes of a server that had not synced the snapshot it had installed.
    installs_interrupted,
    joint_configurations,
    /// Changes of the membership that were completed.
    changes_committed,
    /// Configurations that went with a discarded suffix.
    changes_rolled_back,
    /// Leaders that led themselves out of the cluster.
    leaders_removed,
    learners_promoted,
    transfers_aborted,
    transfers_followed,
    reads_served,
    reads_failed,
}

impl Seen {
    /// Whether enough has happened in this many runs.
    pub(super) fn check(&self, runs: u64) {
        let Seen { committed, led_terms, crashes, .. } = *self;
        assert!(committed > 20 * runs && led_terms > 3 * runs && crashes > 3 * runs, "{self:#?}");
        assert!(self.least() > runs / 100, "{self:#?}");
    }

    /// Counts what has happened.
    pub(super) fn note(&mut self, happening: &Happening) {
        match happening {
            Happening::Event(_, event) => self.note_event(event),
            Happening::Sent { message, .. } => self.note_message(message),
            Happening::Read(_, ReadOutcome { index: Ok(_), .. }) => self.reads_served += 1,
            Happening::Read(_, ReadOutcome { index: Err(_), .. }) => self.reads_failed += 1,
            Happening::Applied(..) | Happening::Restored(..) | Happening::Crashed(_) => {}
        }
    }

    fn note_event(&mut self, event: &Event) {
        match event {
            Event::Truncated { .. } => self.truncations += 1,
            Event::QuorumLost { .. } => self.quorums_lost += 1,
            Event::SnapshotTaken { .. } => self.snapshots_taken += 1,
            Event::SnapshotInstalled { .. } => self.snapshots_installed += 1,
            Event::TransferAborted { .. } => self.transfers_aborted += 1,
            Event::Membership { configuration: Some(members) } if members.is_joint() => self.joint_configurations += 1,
            _ => {}
        }
    }

    fn note_message(&mut self, message: &Message) {
        match &message.body {
            Body::Reply(Reply::AppendEntries(AppendReply::Conflict(_))) => self.conflicts += 1,
            Body::Request(Request::InstallSnapshot(chunk)) => self.chunks_continued += u64::from(chunk.offset > 0),
            Body::Request(Request::RequestVote { transfer: true, .. }) => self.transfers_followed += 1,
            _ => {}
        }
    }
}
