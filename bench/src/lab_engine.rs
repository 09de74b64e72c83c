//! A scenario on real processes: a lab of its own is the engine, and time is the wall clock's.
//!
//! Here an expectation has [`PATIENCE`] at least, since processes take time for what a simulator does at once; and a
//! `finish` mends everything, waits until all nodes agree, and has the judges look at histories and logs. A scenario with
//! steps by hand is played on nodes that are moved by hand, and then time is virtual (`by_hand.rs`).
//!
//! Invariant: a scenario that begins can be carried out: what real processes cannot do was refused before ([`unfit`]).
//!
//! Deliberately absent: starting the daemon, and stopping the lab afterwards; both are the caller's.

mod act;
mod act_by_hand;
mod act_inside;
mod ask;
mod by_hand;
mod clients;
mod finish;
mod fit;
mod history;
mod look;
mod view;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use raftian_check::{Report, Verdict};
use raftian_rpc::control::{ReadMode, Timing};
use raftian_rpc::faults::Effect;
use raftian_rpc::lab::{FaultId, FaultRequest, LabClient as _, StartRequest};
use raftian_rpc::selector::Selector;
use raftian_rpc::{AppKind, NodeId};
use raftian_script::{
    Condition, Engine, Halt, Invariant, LinkEffect, Micros, NodeView, Observed, Performed, Plan, Scenario, Statement,
    Step,
};
use tokio::time::Instant;

use self::act_inside::{Lasting, set_clocks};
use self::ask::Hands;
use self::by_hand::ByHand;
use self::clients::Clients;
use self::history::History;
use self::look::Seen;
use self::view::View;
use crate::collect::{Evidence, Following};
use crate::journal::Journal;
use crate::lab::{Lab, told};
use crate::run::{LogFiles, RunWriter};
use crate::whereabouts::Whereabouts;

pub use self::fit::{Unfit, is_by_hand, unfit};

/// The least time that an expectation has to become true.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How long the nodes may take to start.
const START_TIMEOUT_MS: u64 = 15_000;

/// How often is looked whether something is so.
const LOOK: Duration = Duration::from_millis(20);

/// A lab on which a scenario is played.
#[derive(Debug)]
pub struct LabEngine {
    lab: Lab,
    began: Instant,
    app: AppKind,
    /// The cuts in force, which `heal` takes away; what links do to messages by the settings stays.
    cuts: Vec<FaultId>,
    /// What holds of disks and clocks at the moment.
    inside: BTreeMap<(NodeId, Lasting), FaultId>,
    clients: Clients,
    hands: Hands,
    /// What was seen of the nodes.
    seen: Seen,
    history: Arc<History>,
    /// The journal, where it is kept.
    journal: Option<Journal>,
    /// What reads the logs while they grow, up to the end; nothing where nodes are moved by hand.
    logs: Option<Following>,
    /// Where logs are kept that the engine itself has read, where nodes are moved by hand.
    log_files: Option<LogFiles>,
    ending: Option<Ending>,
    /// The nodes and what is between them, if they are moved by hand; time is theirs then.
    by_hand: Option<ByHand>,
}

/// What the judges found at the end.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Their verdict.
    pub verdict: Verdict,
    /// What they found.
    pub report: Report,
    /// What they looked at, beside the history.
    pub evidence: Evidence,
}

impl LabEngine {
    /// Starts the nodes of a scenario in a lab that has none, and keeps what happens as a run, if there is one. The time of
    /// the scenario begins when they are ready.
    ///
    /// # Errors
    /// When real processes cannot do what the scenario says, the lab has nodes already, or they do not start.
    pub async fn start(lab: Lab, scenario: &Scenario, kept: Option<&RunWriter>) -> anyhow::Result<LabEngine> {
        if let Some(unfit) = unfit(scenario) {
            bail!("{unfit}");
        }
        let hello = told(lab.client.hello().await)?;
        if hello.started {
            bail!("a scenario needs a lab without nodes, and `{}` has some", hello.lab);
        }
        let plan = &scenario.plan;
        let journal = match kept {
            Some(run) => Some(Journal::follow(&lab, Some(run.events()?)).await?),
            None => None,
        };
        let history = Arc::new(History::new(kept.map(RunWriter::history).transpose()?));
        lab.start(request(scenario)).await?;
        let by_hand = match is_by_hand(scenario) {
            true => Some(ByHand::begin(lab.clone(), scenario).await?),
            false => None,
        };
        // Where nodes are moved by hand, the engine delays messages itself.
        let plan_of_links = by_hand.is_none().then_some(plan);
        for effect in plan_of_links.iter().flat_map(|plan| &plan.effects) {
            disturb(&lab, *effect, everyone(), everyone()).await?;
        }
        for LinkEffect { from, to, effect } in plan_of_links.iter().flat_map(|plan| &plan.link_effects) {
            disturb(&lab, *effect, Selector::node(*from), Selector::node(*to)).await?;
        }
        if by_hand.is_none() {
            set_clocks(&lab, &plan.clock_permille).await?;
        }
        let whereabouts = Whereabouts::of(&lab).await?;
        let mut log_files = kept.map(RunWriter::logs);
        let logs = match by_hand {
            Some(_) => None,
            None => Some(Following::begin(&whereabouts, log_files.take()).await?),
        };
        let mut clients = Clients::new(plan, &whereabouts, Arc::clone(&history));
        clients.begin_load(plan, scenario.seed);
        Ok(LabEngine {
            clients,
            hands: Hands::new(Arc::clone(&history)),
            history,
            journal,
            seen: Seen::default(),
            app: plan.app,
            began: Instant::now(),
            cuts: Vec::new(),
            inside: BTreeMap::new(),
            ending: None,
            by_hand,
            logs,
            log_files,
            lab,
        })
    }

    /// What the judges found; `None` before a `finish`.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    async fn view(&self) -> Result<View, Halt<Infallible>> {
        self.lab.status().await.map(View::of).map_err(failed)
    }
}

impl Engine for LabEngine {
    type Violation = Infallible;

    fn invariant(violation: &Infallible) -> Invariant {
        match *violation {}
    }

    fn now_us(&self) -> u64 {
        if let Some(by_hand) = &self.by_hand {
            return by_hand.now_us();
        }
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn patience_us(&self) -> u64 {
        if self.by_hand.is_some() {
            return 0;
        }
        u64::try_from(PATIENCE.as_micros()).unwrap_or(u64::MAX)
    }

    async fn pass_until(&mut self, at_us: u64) -> Result<(), Halt<Infallible>> {
        if let Some(by_hand) = &mut self.by_hand {
            let now_us = by_hand.now_us();
            if now_us > at_us {
                let is = Micros(now_us);
                return Err(Halt::Failed(format!("it is {is} already, and time does not go back; give a later time")));
            }
            return by_hand.run_until(at_us).await;
        }
        tokio::time::sleep_until(self.began + Duration::from_micros(at_us)).await;
        Ok(())
    }

    async fn pass_some(&mut self, end_us: u64) -> Result<bool, Halt<Infallible>> {
        if let Some(by_hand) = &mut self.by_hand {
            return match by_hand.next_us() < end_us {
                true => by_hand.next().await.map(|()| true),
                false => Ok(false),
            };
        }
        let end = self.began + Duration::from_micros(end_us);
        let now = Instant::now();
        tokio::time::sleep_until(end.min(now + LOOK)).await;
        Ok(now < end)
    }

    async fn perform(&mut self, line: &[Step]) -> Performed<Infallible> {
        match self.by_hand {
            Some(_) => self.carry_out_by_hand(line).await,
            None => self.carry_out(line).await,
        }
    }

    async fn observe(&mut self, condition: &Condition) -> Observed<Infallible> {
        self.check(condition).await
    }

    async fn look(&mut self) -> Vec<NodeView> {
        self.see().await
    }
}

/// What goes wrong in the lab itself ends a scenario.
fn failed(error: anyhow::Error) -> Halt<Infallible> {
    Halt::Failed(format!("{error:#}"))
}

fn everyone() -> Selector {
    "@all".parse().expect("a selector")
}

/// These nodes by name.
fn these<'a>(nodes: impl IntoIterator<Item = &'a NodeId>) -> Selector {
    let names: Vec<String> = nodes.into_iter().map(NodeId::to_string).collect();
    names.join(",").parse().expect("names make a selector")
}

/// The lab of a scenario that is [fit](unfit) for one.
fn request(scenario: &Scenario) -> StartRequest {
    let Scenario { plan, seed, .. } = scenario;
    StartRequest {
        nodes: Some(plan.founders),
        by_hand: if is_by_hand(scenario) { by_hand::nodes(scenario) } else { Default::default() },
        app: Some(plan.app),
        players: (plan.app == AppKind::Attack).then_some(raftian_check::apps::DEFAULT_PLAYERS),
        seed: Some(*seed),
        timing: Some(timing(plan)),
        // None by themselves, as in a scenario that does not say otherwise.
        snapshot_bytes: Some(0),
        reads: plan.lease.map(|lease| ReadMode::Lease { drift_percent: lease.drift_percent }),
        first_leader: first_leader(scenario),
        no_wait: true,
        timeout_ms: START_TIMEOUT_MS,
        ..StartRequest::default()
    }
}

/// The node that is elected before anything else happens: the lab begins with it as a candidate.
fn first_leader(scenario: &Scenario) -> Option<NodeId> {
    if is_by_hand(scenario) {
        return None;
    }
    match scenario.steps.first()?.statement {
        Statement::Elect(id) => Some(id),
        _ => None,
    }
}

fn timing(plan: &Plan) -> Timing {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Timing {
        election_min_ms: ms(plan.election_timeout.start),
        election_max_ms: ms(plan.election_timeout.end),
        heartbeat_ms: ms(plan.heartbeat_interval),
    }
}

/// Has something go wrong on the links from some nodes to others, until it is cleared.
async fn disturb(lab: &Lab, effect: Effect, from: Selector, to: Selector) -> anyhow::Result<FaultId> {
    let request = FaultRequest { effect, from, to, one_way: true, for_ms: None };
    Ok(told(lab.client.fault_add(request).await)?.fault.id)
}
