//! The life of a fault: set up, injected, seen to be in effect, lifted, seen to be gone.
//!
//! Invariant: a fault is in the journal from before the first node hears of it until after all running nodes have confirmed
//! its end, so the window that a chart shows is never too short. All kinds of faults live this life.
//!
//! Deliberately absent: what a fault is on (`links.rs`, `inside.rs`), and how one is seen (`look.rs`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::error::LabError;
use raftian_rpc::faults::NodePart;
use raftian_rpc::faults::proof::Outcome;
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::{ClearReport, Fault, FaultEnd, FaultId, FaultKind, FaultReport, Happening, Proof, Resolution};
use raftian_rpc::selector::names;

use crate::faults::kept;
use crate::lab::{Lab, closing};

impl Lab {
    /// Brings a fault into force, and looks whether it is in effect.
    pub(crate) async fn bring_into_force(
        self: &Arc<Lab>,
        title: String,
        what: FaultKind,
        for_ms: Option<u64>,
        resolved: Vec<Resolution>,
        no_wait: bool,
    ) -> Result<FaultReport, LabError> {
        let (fault, mut notes) = self.change(|state| match state.closing {
            true => Err(closing()),
            false => {
                let fault = state.faults.add(title, what, monotonic_ns(), for_ms);
                let notes: Vec<Note> = overlap(&fault, &state.faults.overlapping(&fault)).into_iter().collect();
                Ok((fault, notes))
            }
        })?;
        notes.extend(self.keep_faults());
        self.journal.record_at(fault.since_ns, Happening::FaultAdded { fault: fault.clone() });
        self.expire_in_time(&fault);
        let confirmed = self.push_network().await;
        let (lab, id) = (Arc::clone(self), fault.id);
        let look = tokio::spawn(async move { lab.look_at(id).await });
        if !no_wait {
            // It ends by itself in any case.
            let _ = look.await;
        }
        let fault = self.state().faults.get(fault.id).cloned().unwrap_or(fault);
        Ok(FaultReport { fault, resolved, confirmed, leader: None, notes })
    }

    /// Clears one fault, or all of them.
    ///
    /// # Errors
    /// Usage for a fault that is not in force; Failed when a running node has not confirmed that it is gone.
    pub(crate) async fn fault_clear(self: &Arc<Lab>, id: Option<FaultId>) -> Result<ClearReport, LabError> {
        self.lift(id, false).await
    }

    /// A fault that does what it does once has done it.
    pub(crate) fn struck(self: &Arc<Lab>, id: FaultId, seen: String) {
        let proof = Proof { at_ns: monotonic_ns(), outcome: Outcome::Confirmed, seen: vec![seen] };
        self.saw(id, proof);
        let lab = Arc::clone(self);
        // It may have been cleared by hand meanwhile.
        tokio::spawn(async move { drop(lab.lift(Some(id), true).await) });
    }

    /// Takes note of what was seen of a fault, unless something was seen of it before.
    pub(crate) fn saw(&self, id: FaultId, proof: Proof) {
        if self.change(|state| state.faults.saw(id, &proof)) {
            self.journal.record_at(proof.at_ns, Happening::FaultSeen { id, proof });
        }
    }

    /// Goes on with the faults that an earlier daemon has left; those whose time was up meanwhile have ended.
    pub(crate) fn go_on_with_faults(self: &Arc<Lab>, expired: Vec<Fault>) {
        for fault in &expired {
            self.note_end(fault, true, "its time was up while no daemon ran");
        }
        for fault in self.state().faults.list() {
            self.expire_in_time(&fault);
        }
        self.keep_faults();
    }

    /// Takes note that faults have ended with the nodes they were in.
    pub(crate) fn end_faults_with_nodes(&self) {
        for fault in self.change(|state| state.faults.clear(None)).unwrap_or_default() {
            self.note_end(&fault, false, "the nodes have ended");
        }
        self.keep_faults();
    }

    /// The faults that are in force again after a daemon has ended, in words.
    pub(crate) async fn tell_of_faults(self: &Arc<Lab>, notes: &mut Vec<Note>) {
        self.look_at_unseen().await;
        for fault in self.state().faults.list() {
            let seen = fault.proof.map_or("not seen to be in effect yet".to_owned(), |proof| proof.seen.join("; "));
            let text = format!("{} is in force again: {} ({seen})", fault.id, fault.title);
            notes.push(Note::new(text).hint(Hint::ClearFault { id: fault.id }));
        }
    }

    fn note_end(&self, fault: &Fault, expired: bool, how: &str) {
        self.journal.record(Happening::FaultCleared { id: fault.id, expired });
        let gone = Proof { at_ns: monotonic_ns(), outcome: Outcome::Confirmed, seen: vec![how.to_owned()] };
        self.journal.record(Happening::FaultEnded { end: end(fault, gone) });
    }

    fn expire_in_time(self: &Arc<Lab>, fault: &Fault) {
        let Some(until_ns) = fault.until_ns else { return };
        let (lab, id) = (Arc::clone(self), fault.id);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_nanos(until_ns.saturating_sub(monotonic_ns()))).await;
            // It may have been cleared by hand; ids are never given twice, so this clears nothing else.
            drop(lab.lift(Some(id), true).await);
        });
    }

    async fn lift(self: &Arc<Lab>, id: Option<FaultId>, expired: bool) -> Result<ClearReport, LabError> {
        // What a fault has done since it was last looked at is not to be lost with it.
        self.look_inside_unseen().await;
        let cleared = self.change(|state| state.faults.clear(id))?;
        if cleared.is_empty() {
            return Ok(ClearReport { cleared, ends: Vec::new() });
        }
        let unkept = self.keep_faults();
        let confirmed = self.push_network().await;
        for fault in &cleared {
            self.journal.record(Happening::FaultCleared { id: fault.id, expired });
        }
        let ends = self.see_them_gone(&cleared).await;
        let running = self.state().running();
        let unsure: BTreeSet<NodeId> = running.difference(&confirmed).copied().collect();
        let names_of =
            |cleared: &[Fault]| cleared.iter().map(|fault| fault.id.to_string()).collect::<Vec<_>>().join(",");
        match (unsure.is_empty(), unkept) {
            (true, None) => Ok(ClearReport { cleared, ends }),
            (true, Some(why)) => Err(LabError::failed(format!("{} cleared, but {why}", names_of(&cleared)))),
            (false, _) => {
                let cleared = names_of(&cleared);
                let unsure = names(&unsure);
                let why = format!("{cleared} cleared, but {unsure} did not confirm; the daemon keeps telling it");
                Err(LabError::failed(why).hint(Hint::ShowStatus))
            }
        }
    }

    async fn see_them_gone(self: &Arc<Lab>, cleared: &[Fault]) -> Vec<FaultEnd> {
        let mut ends = Vec::new();
        for (fault, gone) in cleared.iter().zip(self.look_whether_gone(cleared).await) {
            let end = end(fault, gone);
            self.journal.record_at(end.gone.at_ns, Happening::FaultEnded { end: end.clone() });
            ends.push(end);
        }
        ends
    }

    /// Writes `faults.json`; a word for people when that did not work.
    fn keep_faults(&self) -> Option<Note> {
        let path = self.folder.faults();
        let saved = kept::save(&self.state().faults, &path);
        saved.err().map(|error| {
            let path = path.display();
            format!("{path} cannot be written ({error}), so the faults in force would not outlive the daemon").into()
        })
    }
}

/// How a fault ends of which this was seen last.
fn end(fault: &Fault, gone: Proof) -> FaultEnd {
    let in_effect = fault.proof.as_ref().map_or(Outcome::Inconclusive, |proof| proof.outcome);
    FaultEnd { id: fault.id, outcome: in_effect.max(gone.outcome), gone }
}

/// What comes of faults that meet, if some do.
fn overlap(fault: &Fault, others: &[&Fault]) -> Option<Note> {
    if others.is_empty() {
        return None;
    }
    let named: Vec<String> = others.iter().map(|other| format!("{} ({})", other.id, other.title)).collect();
    let is = if others.len() == 1 { "is" } else { "are" };
    let (place, rule) = match &fault.what {
        FaultKind::Links { .. } | FaultKind::Network { .. } => {
            ("links", "delays add up, each loses and doubles its own share, and a cut hides the others")
        }
        FaultKind::Nodes { effect, .. } => match effect.part() {
            NodePart::Disk => {
                ("disks", "the slowest counts, a full disk stays full, and a sync hangs before it fails or lies")
            }
            NodePart::Clock => ("clocks", "rates multiply, jumps add up, and a clock that is frozen has no rate"),
            NodePart::Process => ("processes", "the first point that is reached ends the process"),
        },
    };
    Some(Note::new(format!("{} {is} on some of the same {place}: {rule}", named.join(", "))))
}
