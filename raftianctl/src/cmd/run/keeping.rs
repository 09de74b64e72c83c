//! How a scenario that is played is kept as a run.
//!
//! Of one on real processes the files are written while it is played; of one in the simulator what it takes to play it again:
//! scenario and seed, with what came of it. Where it is played there several times, those are kept that did not hold.

use raftian_bench::lab_engine::Ending;
use raftian_bench::run::{Began, Cluster, Engine, How, Judgement, Offered, Played, RunWriter};
use raftian_check::Verdict;
use raftian_rpc::NodeId;

use super::{On, Outcome, Piece, Playing};
use crate::failure::{Failure, Kind};
use crate::keep::{self, KeptAt};

/// Begins to keep it, if that is wanted.
pub(super) fn begin(playing: &Playing, piece: &Piece) -> Result<Option<RunWriter>, Failure> {
    if playing.keeping.no_keep {
        return Ok(None);
    }
    let plan = &piece.scenario.plan;
    let engine = match playing.engine {
        On::Sim => Engine::Sim,
        On::Processes => Engine::Processes,
    };
    let began = Began {
        maker: playing.maker,
        command: std::env::args().collect(),
        engine,
        lab: None,
        scenario: Some(piece.name.clone()),
        seed: piece.scenario.seed,
        load: plan.load.map(|load| Offered { rate_per_s: Some(load.per_s.into()), clients: plan.clients }),
        records_messages: playing.keeping.record.is_some(),
    };
    let mut run = keep::begin(playing.keeping.out.as_deref(), began)?;
    run.scenario(&piece.played())?;
    if engine == Engine::Processes {
        let nodes = NodeId::first(plan.founders).collect();
        run.on(Cluster { app: plan.app, nodes, ..Cluster::default() })?;
    }
    Ok(Some(run))
}

/// What was played; or, where it was not to its end, why, which is noted.
pub(super) fn unless_interrupted<T>(kept: Option<&mut RunWriter>, played: Result<T, Failure>) -> Result<T, Failure> {
    if let (Some(run), Err(failure)) = (kept, &played) {
        let why = if failure.message().is_empty() { "interrupted" } else { failure.message() };
        run.end(How::Interrupted(why.to_owned()))?;
        if failure.kind() == Kind::Interrupted {
            let name = KeptAt::of(run).name();
            return Err(Failure::new(
                Kind::Interrupted,
                format!(
                    "the scenario was interrupted; its lab is stopped and removed; `raftianctl check {name}` judges it as \
                     far as it goes"
                ),
            ));
        }
    }
    played
}

/// Keeps what came of it.
pub(super) fn end(kept: Option<RunWriter>, outcome: &mut Outcome, ending: Option<Ending>) -> Result<(), Failure> {
    let Some(mut run) = kept else { return Ok(()) };
    let judgement = match &ending {
        Some(Ending { report, evidence, .. }) => {
            run.read(evidence);
            Judgement::of(evidence, report.clone(), Vec::new())
        }
        None => Judgement { verdict: outcome.verdict, ..Judgement::default() },
    };
    run.end(How::Completed)?;
    let played = Played {
        holds: outcome.holds,
        line: outcome.line,
        why: outcome.why.clone(),
        took_ms: outcome.took_ms,
        hash: outcome.hash.clone(),
    };
    run.verdict(&Judgement { played: Some(played), ..judgement })?;
    outcome.run = Some(KeptAt::of(&run));
    Ok(())
}

/// Keeps what was played in the simulator.
pub(super) fn simulated(playing: &Playing, piece: &Piece, mut outcome: Outcome) -> Result<Outcome, Failure> {
    let is_remarkable = !outcome.holds || outcome.verdict == Some(Verdict::Unknown);
    if playing.keeps_all || is_remarkable {
        end(begin(playing, piece)?, &mut outcome, None)?;
    }
    Ok(outcome)
}
