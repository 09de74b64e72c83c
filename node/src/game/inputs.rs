//! The clicks of a game and what becomes of them: proposed, ordered, shown, or failed.
//!
//! Invariant: every click is settled exactly once, and not before a frame that shows its order was finished.

use std::collections::BTreeMap;

use raftian_apps::MAX_PLAYERS;
use raftian_rpc::game::InputRecord;

/// The clicks since the start that are not settled.
#[derive(Debug)]
pub(crate) struct Inputs {
    last_serial: u64,
    open: BTreeMap<u64, Proposal>,
    /// Ordered, but in no finished frame yet.
    taken: Vec<InputRecord>,
    settled: Vec<InputRecord>,
    /// How many are open, by player.
    counts: [u32; MAX_PLAYERS as usize + 1],
}

#[derive(Debug)]
struct Proposal {
    player: u8,
    record: InputRecord,
}

impl Inputs {
    /// No click yet.
    pub(crate) fn new() -> Inputs {
        Inputs { last_serial: 0, open: BTreeMap::new(), taken: Vec::new(), settled: Vec::new(), counts: [0; _] }
    }

    /// A click on a player becomes a command; its serial number.
    pub(crate) fn propose(&mut self, player: u8, due_ns: u64, queued_ns: u64) -> u64 {
        self.last_serial += 1;
        let serial = self.last_serial;
        let record =
            InputRecord { serial, due_ns, queued_ns, ordered_ns: None, taken_ns: None, shown_ns: None, failed: None };
        self.open.insert(serial, Proposal { player, record });
        if let Some(count) = self.counts.get_mut(usize::from(player)) {
            *count += 1;
        }
        serial
    }

    /// How many clicks on a player are neither ordered nor failed.
    pub(crate) fn proposed(&self, player: u8) -> u32 {
        self.counts.get(usize::from(player)).copied().unwrap_or(0)
    }

    /// A command has become an order. The time from its queue to here; `None` when no such command is open.
    pub(crate) fn ordered(&mut self, serial: u64, ordered_ns: u64, taken_ns: u64) -> Option<u64> {
        let Proposal { record, .. } = self.close(serial)?;
        let waited_ns = taken_ns.saturating_sub(record.queued_ns);
        self.taken.push(InputRecord { ordered_ns: Some(ordered_ns), taken_ns: Some(taken_ns), ..record });
        Some(waited_ns)
    }

    /// A command has failed. The player it was meant for; `None` when no such command is open.
    pub(crate) fn failed(&mut self, serial: u64, why: &str) -> Option<u8> {
        let Proposal { player, record } = self.close(serial)?;
        self.settled.push(InputRecord { failed: Some(why.to_owned()), ..record });
        Some(player)
    }

    /// Whether the commands on their way become orders will not be known.
    pub(crate) fn give_up(&mut self, why: &str) {
        let open: Vec<u64> = self.open.keys().copied().collect();
        for serial in open {
            self.failed(serial, why);
        }
    }

    /// A frame was finished: it shows all orders taken so far.
    pub(crate) fn shown(&mut self, shown_ns: u64) {
        self.settled.extend(self.taken.drain(..).map(|record| InputRecord { shown_ns: Some(shown_ns), ..record }));
    }

    /// The game is over: what is open stays as it is.
    pub(crate) fn end(&mut self) {
        self.settled.append(&mut self.taken);
        let open = std::mem::take(&mut self.open);
        self.settled.extend(open.into_values().map(|proposal| proposal.record));
        self.counts = [0; _];
    }

    /// Takes the settled ones.
    pub(crate) fn settled(&mut self) -> impl Iterator<Item = InputRecord> {
        self.settled.drain(..)
    }

    fn close(&mut self, serial: u64) -> Option<Proposal> {
        let proposal = self.open.remove(&serial)?;
        if let Some(count) = self.counts.get_mut(usize::from(proposal.player)) {
            *count -= 1;
        }
        Some(proposal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_is_settled_when_a_frame_has_shown_its_order() {
        let mut inputs = Inputs::new();
        let serial = inputs.propose(3, 10, 12);
        assert_eq!((serial, inputs.proposed(3), inputs.proposed(2)), (1, 1, 0));
        assert_eq!(inputs.ordered(serial, 20, 30), Some(18));
        assert_eq!(inputs.proposed(3), 0);
        assert_eq!(inputs.settled().count(), 0);
        inputs.shown(40);
        let expected = InputRecord {
            serial: 1,
            due_ns: 10,
            queued_ns: 12,
            ordered_ns: Some(20),
            taken_ns: Some(30),
            shown_ns: Some(40),
            failed: None,
        };
        assert_eq!(inputs.settled().collect::<Vec<_>>(), [expected]);
        assert_eq!(inputs.ordered(serial, 50, 60), None);
    }

    #[test]
    fn what_is_given_up_fails_and_what_was_ordered_does_not() {
        let mut inputs = Inputs::new();
        let [first, second, _third] = [1, 2, 2].map(|player| inputs.propose(player, 0, 0));
        inputs.ordered(first, 1, 2);
        inputs.give_up("skipped");
        assert_eq!((inputs.proposed(2), inputs.ordered(second, 3, 4)), (0, None));
        inputs.shown(5);
        let failed: Vec<bool> = inputs.settled().map(|record| record.failed.is_some()).collect();
        assert_eq!(failed, [true, true, false]);
    }

    #[test]
    fn a_failed_click_says_why_and_an_open_one_nothing() {
        let mut inputs = Inputs::new();
        let [first, _second, third] = [1, 2, 64].map(|player| inputs.propose(player, 0, 0));
        assert_eq!(inputs.failed(first, "no leader"), Some(1));
        assert_eq!(inputs.failed(first, "no leader"), None);
        inputs.ordered(third, 1, 2);
        inputs.end();
        let settled: Vec<InputRecord> = inputs.settled().collect();
        let reached = |record: &InputRecord| (record.serial, record.failed.is_some(), record.taken_ns.is_some());
        let mut reached: Vec<_> = settled.iter().map(reached).collect();
        reached.sort_unstable();
        assert_eq!(reached, [(1, true, false), (2, false, false), (3, false, true)]);
        assert!(settled.iter().all(|record| record.shown_ns.is_none()));
        assert_eq!(inputs.proposed(2), 0);
    }
}
