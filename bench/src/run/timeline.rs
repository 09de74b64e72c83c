//! A run on its axis of time, from its files alone; and the last minute of a lab that runs.
//!
//! The axis of a load is its schedule, so that what came before and after does not dwarf it; that of any other run is the
//! whole run.

use std::time::Duration;

use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::lab::{Event, LabClient as _};

use super::read::not_a_run;
use super::{Engine, Run};
use crate::lab::{Lab, told};
use crate::load::Sample;
use crate::machine::Machine;
use crate::summary::Summary;
use crate::timeline::{Recorded, TimelineData};

/// As many events as a daemon remembers.
const MOST_EVENTS: u64 = 10_000;

impl Run {
    /// The run, ready to be drawn; and what kept some of it from being read.
    ///
    /// # Errors
    /// [`NotARun`](super::NotARun) when it was simulated: there `sim` draws. Else when the disk fails.
    pub fn timeline(&self) -> anyhow::Result<(TimelineData, Vec<String>)> {
        let manifest = self.manifest();
        if manifest.began.engine == Engine::Sim {
            let id = &manifest.id;
            return Err(not_a_run(format!(
                "run {id} was simulated; `raftianctl run --chart text` with its scenario draws its messages"
            )));
        }
        let (events, history) = (self.events()?, self.history()?);
        let samples: Vec<Sample> = history.read.iter().map(Sample::of).collect();
        let (start_ns, end_ns) = self.span(&events.read, &samples);
        let judged = self.judged().unwrap_or_default();
        let offered = manifest.began.load.and_then(|load| load.rate_per_s);
        let summary = judged.summary.unwrap_or_else(|| Summary::of(&samples, start_ns, end_ns, offered));
        let run = Recorded { events: &events.read, samples: &samples, start_ns, end_ns };
        let provenance = format!("{} · seed {} · run {}", manifest.machine, manifest.began.seed, manifest.id);
        let cuts = [events.cut, history.cut].into_iter().flatten().collect();
        Ok((TimelineData::of(&run, summary, judged.verdict, provenance), cuts))
    }

    /// From when to when it is drawn.
    fn span(&self, events: &[Event], samples: &[Sample]) -> (u64, u64) {
        let manifest = self.manifest();
        let due = || samples.iter().map(|sample| sample.intended_ns);
        let is_load = manifest.began.load.is_some() && manifest.began.scenario.is_none();
        if let (true, Some(first), Some(last)) = (is_load, due().min(), due().max()) {
            return (first, last);
        }
        let times = samples.iter().map(|sample| sample.completed_ns).chain(events.iter().map(|event| event.at_ns));
        let last = times.max().unwrap_or(manifest.began_ns);
        (manifest.began_ns, manifest.ended.as_ref().map_or(last, |ended| ended.ns))
    }
}

/// The last of a lab that runs, ready to be drawn.
///
/// # Errors
/// When its daemon does not answer.
pub async fn lab_timeline(lab: &Lab, span: Duration) -> anyhow::Result<TimelineData> {
    let status = lab.status().await?;
    let events = told(lab.client.events(MOST_EVENTS).await)?;
    let end_ns = monotonic_ns();
    let start_ns = end_ns.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
    let run = Recorded { events: &events, samples: &[], start_ns, end_ns };
    let provenance = format!("{} · lab {}", Machine::this(&status.folder), status.lab);
    Ok(TimelineData::of(&run, Summary::of(&[], start_ns, end_ns, None), None, provenance))
}
