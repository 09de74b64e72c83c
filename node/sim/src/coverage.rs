//! What a run reached: which role met which message, with what outcome, and which rare branches were taken.
//!
//! Invariant: counting changes nothing. Counts of many runs add up.

use raftian_raft::RoleKind;
use raftian_script::{Kind, Schedule};

use crate::fault::Fault;
use crate::oracle::Moved;

macro_rules! counted {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $type {
            $($(#[$doc])* $name,)*
        }

        impl $type {
            /// All of them.
            pub const ALL: &[$type] = &[$($type::$name,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $($type::$name => $text,)*
                }
            }
        }
    };
}

pub(crate) use counted;

counted! {
    /// What a message did to the server that received it: the first of these that holds.
    Outcome {
        /// It leads now.
        Elected = "elected",
        /// It asks for votes now.
        Campaigns = "campaigns",
        /// It is a follower now, and was not.
        SteppedDown = "stepped_down",
        /// It put a snapshot in the place of its log.
        Installed = "installed",
        /// It discarded entries.
        Truncated = "truncated",
        /// It appended entries.
        Appended = "appended",
        /// It knows more to be committed.
        Committed = "committed",
        /// It gave its vote.
        Voted = "voted",
        /// It entered a later term.
        NewTerm = "new_term",
        /// Nothing that can be seen.
        Nothing = "nothing",
    }
}

counted! {
    /// A branch that runs take seldom, or that shows that a fault took effect.
    Rare {
        /// A message found its receiver down.
        ArrivedAtNobody = "receiver_down",
        /// A server was stopped from outside.
        Crashed = "crashed",
        /// A crash found nothing that waited for the disk.
        CrashedIdle = "crashed_idle",
        /// A crash lost writes that were not synced.
        WritesLost = "writes_lost",
        /// A crash kept a part of a write.
        WriteTorn = "write_torn",
        /// A crash struck between a leader's snapshot and the end of the log that it made void.
        InstallTorn = "install_torn",
        /// A crash struck at a write that was handed over.
        CrashedAtWrite = "crashed_at_write",
        /// A crash struck when a leader's snapshot was to take the place of the log.
        CrashedAtInstall = "crashed_at_install",
        /// A crash struck when a sync was done, and nobody knew.
        CrashedAtSync = "crashed_at_sync",
        /// A crash struck between two messages.
        CrashedAtSend = "crashed_at_send",
        /// A sync failed.
        SyncFailed = "sync_failed",
        /// A write found no room.
        DiskFull = "disk_full",
        /// Recovery cut a torn tail off.
        TailTorn = "tail_torn",
        /// A bit flipped in a record of a disk.
        RecordDamaged = "record_damaged",
        /// A node did not start, because its disk is damaged.
        StartRefused = "start_refused",
        /// The disk of a node was emptied, so that another incarnation of its name began.
        Wiped = "wiped",
        /// A message of or to another incarnation of a name was refused.
        OtherIncarnationRefused = "other_incarnation_refused",
        /// A node was given an earlier copy of its disk.
        DiskPutBack = "disk_put_back",
        /// A leader saw a follower deny what it had acknowledged.
        AcknowledgementDenied = "acknowledgement_denied",
        /// A healed cluster was left alone, and judged for staying as it was.
        QuietJudged = "quiet_judged",
        /// A leader said to have a lease, and was judged for it.
        LeaseJudged = "lease_judged",
        /// Several inputs were taken in together.
        InputsTogether = "inputs_together",
        /// A message was lost on its way by chance.
        MessageLost = "message_lost",
        /// A message was lost on a link that an end of it knew to be cut.
        LostAtCut = "lost_at_cut",
        /// A message took time.
        MessageDelayed = "message_delayed",
        /// A message overtook another one on its link, for whatever reason.
        MessageOvertook = "message_overtook",
        /// A message overtook one that was held back for that: by longer than latencies are.
        OvertookHeldBack = "overtook_held_back",
        /// A message took longer than it would have on other links.
        SlowedByLink = "slowed_by_link",
        /// A message was held up on a clogged link.
        HeldByClog = "held_by_clog",
        /// A message was delivered twice.
        MessageTwice = "message_twice",
        /// A request that was on its way when its link was cut was refused by its receiver.
        RefusedAtCut = "refused_at_cut",
        /// A message passed a link that was cut, or was lost on one that worked again: an end of it had yet to hear of that.
        NewsWasLate = "news_was_late",
        /// A transport heard that a call was lost: its receiver was down, or the link was cut.
        CallLost = "call_lost",
        /// A transport gave a call up.
        CallGivenUp = "call_given_up",
        /// A reply came after its call was given up or answered.
        LateReply = "late_reply",
        /// A node passed a client's question on to the leader.
        Forwarded = "forwarded",
        /// A question that was passed on did not get through: the leader was down, or knew the link to be cut.
        ForwardRefused = "forward_refused",
        /// A snapshot that was written beside the log came too late.
        StagedInVain = "staged_in_vain",
        /// A snapshot could not be written beside the log.
        SnapshotGivenUp = "snapshot_given_up",
        /// A configuration was discarded.
        RolledBack = "rolled_back",
        /// A joint configuration was in force at a crash of the leader.
        JointLeaderCrashed = "joint_leader_crashed",
        /// A change of the membership was begun.
        ChangeBegun = "change_begun",
        /// A leader stepped down because it heard from no quorum.
        QuorumLost = "quorum_lost",
        /// A transfer was begun.
        TransferBegun = "transfer_begun",
        /// A transfer was given up.
        TransferAborted = "transfer_aborted",
        /// A snapshot was taken.
        SnapshotTaken = "snapshot_taken",
        /// A snapshot of a leader was installed.
        SnapshotInstalled = "snapshot_installed",
        /// A retry was suppressed.
        Duplicate = "duplicate",
        /// A command was refused for want of a session.
        NoSession = "no_session",
        /// A command was refused because its client had moved on.
        StaleSerial = "stale_serial",
        /// A client's entry was replaced by another.
        ProposalLost = "proposal_lost",
        /// A leader did not take a command in because too much was not committed yet.
        TooMuchUncommitted = "too_much_uncommitted",
        /// What became of a client's entry could not be known any more.
        ProposalUnknown = "proposal_unknown",
        /// A read was served.
        ReadServed = "read_served",
        /// A read failed because the leader was deposed.
        ReadFailed = "read_failed",
        /// A client gave up.
        GaveUp = "gave_up",
        /// A client gave up a command of which every server said that it was not and never would be carried out.
        RefusedForGood = "refused_for_good",
        /// A paused server went on, with a backlog.
        Resumed = "resumed",
        /// A sync took longer than the plan says.
        SlowSync = "slow_sync",
        /// A clock that is too fast or too slow said that it is time.
        SkewedClock = "skewed_clock",
        /// A message from or to a client was lost.
        ClientMessageLost = "client_message_lost",
    }
}

/// Counts of everything there is to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    transitions: [[[u64; Outcome::ALL.len()]; Kind::ALL.len()]; ROLES.len()],
    rare: [u64; Rare::ALL.len()],
    /// In how many runs each fault was drawn.
    drawn: [u64; Fault::ALL.len()],
    /// How often each fault took effect, in those runs.
    struck: [u64; Fault::ALL.len()],
    /// The rare branches that were taken while there were faults, in a run in which they are over.
    under_faults: Option<[u64; Rare::ALL.len()]>,
}

/// The roles, in the order in which they are counted.
pub const ROLES: [RoleKind; 4] = [RoleKind::Follower, RoleKind::PreCandidate, RoleKind::Candidate, RoleKind::Leader];

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage {
            transitions: [[[0; Outcome::ALL.len()]; Kind::ALL.len()]; ROLES.len()],
            rare: [0; Rare::ALL.len()],
            drawn: [0; Fault::ALL.len()],
            struck: [0; Fault::ALL.len()],
            under_faults: None,
        }
    }
}

impl Outcome {
    fn of(moved: &Moved) -> Outcome {
        let Moved { before: Some(before), now, .. } = *moved else { return Outcome::Nothing };
        match () {
            () if now.role != before.role => match now.role {
                RoleKind::Leader => Outcome::Elected,
                RoleKind::PreCandidate | RoleKind::Candidate => Outcome::Campaigns,
                RoleKind::Follower => Outcome::SteppedDown,
            },
            () if moved.installed => Outcome::Installed,
            () if moved.truncated => Outcome::Truncated,
            () if moved.appended => Outcome::Appended,
            () if now.commit_index > before.commit_index => Outcome::Committed,
            () if now.voted_for.is_some() && (now.term, now.voted_for) != (before.term, before.voted_for) => {
                Outcome::Voted
            }
            () if now.term > before.term => Outcome::NewTerm,
            () => Outcome::Nothing,
        }
    }
}

impl Coverage {
    /// How often a server in this role received such a message with this outcome.
    pub fn transitions(&self, role: RoleKind, kind: Kind, outcome: Outcome) -> u64 {
        self.transitions[role_place(role)][kind as usize][outcome as usize]
    }

    /// How often a rare branch was taken.
    pub fn rare(&self, rare: Rare) -> u64 {
        self.rare[rare as usize]
    }

    /// In how many runs a fault was drawn.
    pub fn drawn(&self, fault: Fault) -> u64 {
        self.drawn[fault as usize]
    }

    /// How often a fault took effect in the runs in which it was drawn, before the cluster was healed.
    pub fn took_effect(&self, fault: Fault) -> u64 {
        self.struck[fault as usize]
    }

    /// How many different transitions were reached at all.
    pub fn distinct(&self) -> usize {
        self.transitions.iter().flatten().flatten().filter(|count| **count > 0).count()
    }

    /// Adds what another run reached.
    pub fn add(&mut self, other: &Coverage) {
        let counts = self.transitions.iter_mut().flatten().flatten().chain(&mut self.rare).chain(&mut self.drawn);
        let others = other.transitions.iter().flatten().flatten().chain(&other.rare).chain(&other.drawn);
        counts.chain(&mut self.struck).zip(others.chain(&other.struck)).for_each(|(count, other)| *count += other);
    }

    pub(crate) fn note(&mut self, kind: Kind, moved: &Moved) {
        if let Some(before) = moved.before {
            self.transitions[role_place(before.role)][kind as usize][Outcome::of(moved) as usize] += 1;
        }
    }

    /// The faults are over: what shows one from now on is due to something else.
    pub(crate) fn end_faults(&mut self) {
        self.under_faults.get_or_insert(self.rare);
    }

    /// A run of this schedule is over.
    pub(crate) fn note_drawn(&mut self, schedule: &Schedule) {
        let taken = self.under_faults.take().unwrap_or(self.rare);
        for fault in Fault::ALL.iter().copied().filter(|fault| fault.is_drawn_in(schedule)) {
            self.drawn[fault as usize] += 1;
            self.struck[fault as usize] += fault.shows_as().iter().map(|rare| taken[*rare as usize]).sum::<u64>();
        }
    }

    pub(crate) fn note_rare(&mut self, rare: Rare) {
        self.rare[rare as usize] += 1;
    }
}

fn role_place(role: RoleKind) -> usize {
    match role {
        RoleKind::Follower => 0,
        RoleKind::PreCandidate => 1,
        RoleKind::Candidate => 2,
        RoleKind::Leader => 3,
    }
}
