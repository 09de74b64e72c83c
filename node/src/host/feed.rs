//! The feed of applied commands: what each node keeps of them, so that clients can follow.
//!
//! The host adds each command that took effect; a follower takes what comes after the last index that it has seen. No
//! follower has a queue of its own: all read one ring, which has a bound, and one that falls behind its end has missed
//! something and is ended. So a slow follower costs no memory, and none at all costs the host one push a command, which
//! moves the command and copies nothing.
//!
//! Invariant: a follower gets every command that took effect after the index it began at, once and in order, or it gets
//! an error. A command took effect if it was carried out: neither a retry, nor refused.
//!
//! Deliberately absent: the state that the commands led to; a follower that has missed something reads it, which gives
//! an index, and follows from there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raftian_apps::{Applied, Effect};
use raftian_raft::Index;
use raftian_rpc::client::AppliedCommand;
use tokio::sync::watch;

/// The most commands that are kept.
const MAX_KEPT: usize = 16_384;

/// The most bytes of them that are kept, the newest one aside.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// What a command takes up beside its texts, in bytes, roughly.
const ENTRY_BYTES: usize = 128;

/// The most commands that a follower takes at once.
const MAX_TAKEN: usize = 512;

/// The bytes of commands beyond which a follower takes no more at once.
const MAX_TAKEN_BYTES: usize = 1 << 20;

/// The host's end of the feed. Followers end with it.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Arc<Mutex<Ring>>,
    changes: watch::Sender<()>,
    has_news: bool,
}

/// The way for followers to the feed of a host.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    ring: Arc<Mutex<Ring>>,
    changes: watch::Receiver<()>,
}

/// One follower.
#[derive(Debug)]
pub(crate) struct Follower {
    followed: Followed,
    /// Everything up to this index was seen.
    seen: Index,
}

/// Why a follower cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedEnd {
    /// It asks for what is kept no longer: commands up to this index.
    Forgotten(Index),
    /// The host has ended.
    HostEnded,
}

#[derive(Debug, Default)]
struct Ring {
    kept: VecDeque<Arc<AppliedCommand>>,
    bytes: usize,
    /// All commands after this index that took effect are kept.
    forgotten: Index,
}

impl Feed {
    /// An empty feed.
    pub(crate) fn new() -> Feed {
        Feed { ring: Arc::default(), changes: watch::Sender::new(()), has_news: false }
    }

    /// The way to it.
    pub(crate) fn followed(&self) -> Followed {
        Followed { ring: Arc::clone(&self.ring), changes: self.changes.subscribe() }
    }

    /// An entry has been applied.
    pub(crate) fn applied(&mut self, applied: Applied) {
        let (Some(command), Effect::Executed(response)) = (applied.command, applied.effect) else { return };
        if response.refusal().is_some() {
            return;
        }
        lock(&self.ring).push(AppliedCommand { index: applied.index, command, response });
        self.has_news = true;
    }

    /// The state was replaced by one that has everything up to `last_applied`, so that entries were skipped.
    pub(crate) fn skipped(&mut self, last_applied: Index) {
        *lock(&self.ring) = Ring { forgotten: last_applied, ..Ring::default() };
        self.has_news = true;
    }

    /// Wakes the followers, if there is something for them.
    pub(crate) fn announce(&mut self) {
        if std::mem::take(&mut self.has_news) {
            self.changes.send_replace(());
        }
    }
}

impl Followed {
    /// A follower that has seen everything up to this index, which may be one that this node has not reached yet.
    ///
    /// # Errors
    /// [`FeedEnd::Forgotten`].
    pub(crate) fn after(&self, seen: Index) -> Result<Follower, FeedEnd> {
        lock(&self.ring).check(seen)?;
        Ok(Follower { followed: self.clone(), seen })
    }
}

impl Follower {
    /// Waits for commands, and takes as many as may go into one message.
    ///
    /// # Errors
    /// When the follower has fallen behind, or the host has ended.
    pub(crate) async fn next(&mut self) -> Result<Vec<Arc<AppliedCommand>>, FeedEnd> {
        loop {
            self.followed.changes.mark_unchanged();
            let taken = lock(&self.followed.ring).after(self.seen)?;
            if let Some(last) = taken.last() {
                self.seen = last.index;
                return Ok(taken);
            }
            self.followed.changes.changed().await.map_err(|_| FeedEnd::HostEnded)?;
        }
    }
}

impl Ring {
    fn push(&mut self, command: AppliedCommand) {
        self.bytes += bytes(&command);
        self.kept.push_back(Arc::new(command));
        while self.kept.len() > MAX_KEPT || (self.bytes > MAX_KEPT_BYTES && self.kept.len() > 1) {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= bytes(&oldest);
            self.forgotten = oldest.index;
        }
    }

    fn check(&self, seen: Index) -> Result<(), FeedEnd> {
        if seen < self.forgotten { Err(FeedEnd::Forgotten(self.forgotten)) } else { Ok(()) }
    }

    /// The first commands after `seen`.
    fn after(&self, seen: Index) -> Result<Vec<Arc<AppliedCommand>>, FeedEnd> {
        self.check(seen)?;
        let first = self.kept.partition_point(|command| command.index <= seen);
        let mut taken_bytes = 0;
        let fits = |command: &&Arc<AppliedCommand>| {
            let is_first = taken_bytes == 0;
            taken_bytes += bytes(command);
            is_first || taken_bytes <= MAX_TAKEN_BYTES
        };
        Ok(self.kept.range(first..).take(MAX_TAKEN).take_while(fits).cloned().collect())
    }
}

fn bytes(AppliedCommand { command, response, .. }: &AppliedCommand) -> usize {
    command.client().len() + command.op().get().len() + response.get().len() + ENTRY_BYTES
}

fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use raftian_apps::{AppKind, AppOptions, Machine};
    use raftian_raft::{Entry, Payload};

    use super::*;

    /// A store and its feed.
    struct Stage {
        machine: Machine,
        feed: Feed,
    }

    impl Stage {
        fn new() -> Stage {
            Stage { machine: Machine::new(AppKind::Kv, AppOptions::default()).unwrap(), feed: Feed::new() }
        }

        /// Applies the next entry.
        fn apply(&mut self, payload: Payload) {
            let index = self.machine.last_applied() + 1;
            self.feed.applied(self.machine.apply(&Entry { index, term: 1, payload }));
            self.feed.announce();
        }

        fn command(&mut self, client: &str, serial: u64, op: &str) {
            let command = format!(r#"{{"client":"{client}","serial":{serial},"op":{op}}}"#);
            self.apply(Payload::Command(command.into()));
        }

        /// Puts this many bytes.
        fn put(&mut self, client: &str, bytes: usize) {
            self.command(client, 1, &format!(r#"{{"set":["k","{}"]}}"#, "x".repeat(bytes)));
        }
    }

    fn indices(taken: &[Arc<AppliedCommand>]) -> Vec<Index> {
        taken.iter().map(|command| command.index).collect()
    }

    #[tokio::test]
    async fn a_follower_gets_each_command_that_took_effect_and_no_other() {
        let mut stage = Stage::new();
        stage.apply(Payload::Noop);
        stage.put("a", 1);
        stage.put("a", 1);
        stage.command("b", 2, r#"{"set":["k","no session"]}"#);
        stage.command("c", 1, r#"{"paint":[[0,0,0]]}"#);
        stage.apply(Payload::Command("no command".into()));
        stage.put("d", 1);
        let mut follower = stage.feed.followed().after(0).unwrap();
        let taken = follower.next().await.unwrap();
        assert_eq!(indices(&taken), [2, 7]);
        assert_eq!((taken[0].command.client(), taken[0].command.op().get()), ("a", r#"{"set":["k","x"]}"#));
        assert_eq!(taken[0].response.get(), r#"{"outcome":"set"}"#);

        let mut later = stage.feed.followed().after(8).unwrap();
        stage.put("e", 1);
        stage.put("f", 1);
        assert_eq!(indices(&follower.next().await.unwrap()), [8, 9]);
        assert_eq!(indices(&later.next().await.unwrap()), [9]);
        drop(stage);
        assert_eq!(follower.next().await.unwrap_err(), FeedEnd::HostEnded);
    }

    #[tokio::test]
    async fn a_follower_that_has_fallen_behind_is_ended_and_not_led_over_a_gap() {
        let mut stage = Stage::new();
        let mut slow = stage.feed.followed().after(0).unwrap();
        for client in 0..20 {
            stage.put(&client.to_string(), 1 << 19);
        }
        let Err(FeedEnd::Forgotten(forgotten)) = slow.next().await else { panic!("it has missed some") };
        assert!((1..20).contains(&forgotten), "{forgotten}");
        assert_eq!(stage.feed.followed().after(forgotten - 1).unwrap_err(), FeedEnd::Forgotten(forgotten));

        let mut rest = stage.feed.followed().after(forgotten).unwrap();
        let mut seen = Vec::new();
        while seen.last() != Some(&20) {
            let taken = rest.next().await.unwrap();
            assert!(taken.len() <= 2, "a message is bounded: {}", taken.len());
            seen.extend(indices(&taken));
        }
        assert_eq!(seen, Vec::from_iter(forgotten + 1..=20));
    }

    #[tokio::test]
    async fn a_state_that_was_replaced_ends_those_who_have_not_seen_all_of_it() {
        let mut stage = Stage::new();
        stage.put("a", 1);
        let mut behind = stage.feed.followed().after(1).unwrap();
        let mut ahead = stage.feed.followed().after(50).unwrap();
        stage.feed.skipped(50);
        stage.feed.announce();
        assert_eq!(behind.next().await.unwrap_err(), FeedEnd::Forgotten(50));
        let applied = stage.machine.apply(&Entry {
            index: 2,
            term: 1,
            payload: Payload::Command(r#"{"client":"b","serial":1,"op":{"set":["k","v"]}}"#.into()),
        });
        stage.feed.applied(Applied { index: 51, ..applied });
        stage.feed.announce();
        assert_eq!(indices(&ahead.next().await.unwrap()), [51]);
    }
}
