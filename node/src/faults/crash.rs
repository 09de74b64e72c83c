//! Crash points, and a power loss: the process ends as if it was killed from outside.
//!
//! Invariant: nothing is unwound, flushed or answered. Only the parent hears of it before, since it could not tell this
//! crash from another one.

use raftian_faults::{CrashPoint, NodeEffect};
use raftian_raft::Index;
use raftian_rpc::clock;
use raftian_rpc::control::NodeNotice;
use raftian_rpc::host_event::HostEvent;
use rustix::process::{Signal, kill_current_process_group};

use super::Faults;
use crate::parent;

impl Faults {
    /// The node has come to a point of its work, with a log or a snapshot up to this index. If a fault wants it to crash
    /// here, this does not return.
    pub(crate) fn reach(&self, point: CrashPoint, index: Index) {
        if self.are_off() {
            return;
        }
        let mut state = self.state();
        for known in &mut state.faults {
            let NodeEffect::Crash { at, from_index, power_loss } = known.fault.effect else { continue };
            if at != point {
                continue;
            }
            if from_index.is_some_and(|from| index < from) {
                known.count += 1;
                continue;
            }
            let fault = known.fault.id;
            drop(state);
            if power_loss {
                self.discard_unsynced();
            }
            self.say(HostEvent::Crashing { fault, at, index });
            die();
        }
    }

    /// The power of the machine is lost.
    pub(crate) fn lose_power(&self) -> ! {
        self.discard_unsynced();
        die();
    }

    /// Discards what is not synced, as far as it is known. From now on no operation of the disk reports success.
    fn discard_unsynced(&self) {
        let mut unsynced = self.unsynced();
        if self.are_off() {
            // Nothing was noted; what is there may be left of former faults.
            unsynced.clear();
        }
        let discarded = unsynced.discard();
        std::mem::forget(unsynced);
        match discarded {
            Ok(discarded_bytes) => self.say(HostEvent::PowerLost { discarded_bytes }),
            Err(error) => parent::complain(&format!("what was not synced could not be discarded: {error}")),
        }
    }

    fn say(&self, event: HostEvent) {
        parent::notify(&NodeNotice::Host { node: self.node, at_ns: clock::monotonic_ns(), event });
    }
}

/// Ends this node at once, both processes of it if it has two.
fn die() -> ! {
    parent::flush_notices();
    let _ = kill_current_process_group(Signal::KILL);
    // The system kills a group that is there, so this is not reached.
    std::process::abort();
}
