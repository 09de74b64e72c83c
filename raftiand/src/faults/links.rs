//! Faults on links: which links are meant.
//!
//! Invariant: selectors are resolved once, when the fault is added; a leader who is cut off stays cut off when another
//! one leads.
//!
//! Deliberately absent: the life of the fault; see `life.rs`.

use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::error::LabError;
use raftian_rpc::faults::{Effect, GEO_PLACES, Profile};
use raftian_rpc::hint::Note;
use raftian_rpc::lab::{FaultKind, FaultReport, FaultRequest, Layout, NetworkRequest, PartitionRequest, Resolution};
use raftian_rpc::selector::{Facts, Selector, names};
use tokio::time::Instant;

use crate::faults::partition::{self, Cut, Group, by_name};
use crate::faults::{check_for_ms, title};
use crate::lab::Lab;
use crate::observe::resolve;

/// How long a partition waits for a leader on the side that can have one, at the least.
const ELECTION_PATIENCE: Duration = Duration::from_secs(5);

/// Election time-outs that end before this are hardly longer than the round trips of `geo`.
const GEO_FIT_MS: u64 = 1_000;

/// So many of the longest election time-outs it waits where these are long.
const ELECTIONS: u64 = 3;

impl Lab {
    /// Cuts links between groups of nodes.
    ///
    /// # Errors
    /// Usage for groups that make no partition, Conflict when a selector names what is not there.
    pub(crate) async fn partition(self: &Arc<Lab>, request: PartitionRequest) -> Result<FaultReport, LabError> {
        check_for_ms(request.for_ms)?;
        // Whether a leader exists matters to halves, but they do without one.
        let leader: Selector = "@leader".parse().expect("a selector of the grammar");
        let named: Vec<&Selector> = match &request.layout {
            Layout::Groups(groups) => groups.iter().collect(),
            Layout::Isolate(inside) => vec![inside],
            Layout::Halves => vec![&leader],
            Layout::Bridge | Layout::Ring => vec![],
        };
        let facts = self.facts(&named).await?;
        let (cut, resolved) = lay_out(&request, &facts, leader, &mut self.random())?;
        let what = FaultKind::Links { effect: Effect::CUT, links: cut.links };
        let report = self.bring_into_force(cut.title, what, request.for_ms, resolved, false).await?;
        Ok(self.with_leader(report).await)
    }

    /// Waits for a leader on the side that can have one, for as long as the partition and patience last.
    async fn with_leader(&self, mut report: FaultReport) -> FaultReport {
        let ends = report.fault.until_ns.map_or(Duration::MAX, |end| Duration::from_nanos(end - report.fault.since_ns));
        let elections = Duration::from_millis(ELECTIONS * self.state().election_max_ms());
        let deadline = Instant::now() + ends.min(elections.max(ELECTION_PATIENCE));
        match self.await_leader(report.fault.since_ns, deadline, &mut report.notes).await {
            Ok(leader) => report.leader = leader,
            // The partition is in force, and that is what was asked for.
            Err(why) => report.notes.push(why.into_note()),
        }
        report
    }

    /// Adds a fault to the links from some nodes to others.
    ///
    /// # Errors
    /// Usage for values out of range or when there is no such link, Conflict when a selector names what is not there.
    pub(crate) async fn fault_add(self: &Arc<Lab>, request: FaultRequest) -> Result<FaultReport, LabError> {
        check_for_ms(request.for_ms)?;
        request.effect.validate().map_err(|error| LabError::usage(error.to_string()))?;
        let facts = self.facts(&[&request.from, &request.to]).await?;
        let mut random = self.random();
        let from = resolve(request.from, &facts, &mut random)?;
        let to = resolve(request.to, &facts, &mut random)?;
        let ends = (by_name(&from.nodes), by_name(&to.nodes));
        let links = partition::between(&ends.0, &ends.1, request.one_way);
        if links.is_empty() {
            return Err(LabError::usage(format!("{} has no link to itself; name other nodes", names(&from.nodes))));
        }
        let title = title(request.effect, &ends.0, &ends.1, request.one_way);
        let what = FaultKind::Links { effect: request.effect, links };
        self.bring_into_force(title, what, request.for_ms, vec![from, to], request.no_wait).await
    }

    /// Puts all nodes into a network by name.
    ///
    /// # Errors
    /// Conflict when the lab has no two nodes.
    pub(crate) async fn network(self: &Arc<Lab>, request: NetworkRequest) -> Result<FaultReport, LabError> {
        check_for_ms(request.for_ms)?;
        let nodes = by_name(&self.facts(&[]).await?.nodes);
        let effects = laid_out(request.profile, &nodes);
        if effects.is_empty() {
            return Err(LabError::conflict("this lab has one node, and so no links"));
        }
        let title = match request.profile {
            Profile::Geo => format!("profile geo ({})", places(&nodes)),
            other => format!("profile {other}"),
        };
        let what = FaultKind::Network { profile: request.profile, effects };
        let mut report = self.bring_into_force(title, what, request.for_ms, Vec::new(), false).await?;
        if request.profile == Profile::Geo && self.state().election_max_ms() < GEO_FIT_MS {
            let text = "round trips are up to 327 ms, and election time-outs are not much longer: leaders do not last";
            report.notes.push(Note::new(text));
        }
        Ok(report)
    }
}

/// What happens on each link of a network, in which the nodes stand at its places by their order.
fn laid_out(profile: Profile, nodes: &Group) -> Vec<(NodeId, NodeId, Effect)> {
    let placed = || nodes.iter().enumerate();
    let pairs = placed().flat_map(|from| placed().map(move |to| (from, to))).filter(|(from, to)| from.0 != to.0);
    let effects = pairs.flat_map(|((place, from), (other, to))| {
        profile.effects(place, other).into_iter().map(|effect| (*from, *to, effect))
    });
    effects.collect()
}

/// Which node stands where in `geo`: `n1,n6 Washington DC, n2 Frankfurt`.
fn places(nodes: &Group) -> String {
    let at = |place: usize| -> Group {
        nodes.iter().enumerate().filter(|(number, _)| number % GEO_PLACES.len() == place).map(|(_, id)| *id).collect()
    };
    let taken = GEO_PLACES.iter().enumerate().map(|(place, name)| (at(place), name));
    let spelled = taken.filter(|(nodes, _)| !nodes.is_empty()).map(|(nodes, name)| format!("{} {name}", names(&nodes)));
    spelled.collect::<Vec<_>>().join(", ")
}

/// The links that a layout cuts, and what its selectors named.
fn lay_out(
    request: &PartitionRequest,
    facts: &Facts,
    leader: Selector,
    random: &mut fastrand::Rng,
) -> Result<(Cut, Vec<Resolution>), LabError> {
    let one_way = request.one_way;
    let (all, voters) = (by_name(&facts.nodes), by_name(&facts.voters));
    let (cut, resolved) = match &request.layout {
        Layout::Groups(groups) => {
            let resolved: Vec<Resolution> =
                groups.iter().map(|group| resolve(group.clone(), facts, random)).collect::<Result<_, _>>()?;
            let groups: Vec<_> = resolved.iter().map(|resolution| by_name(&resolution.nodes)).collect();
            (partition::groups(&groups, one_way), resolved)
        }
        Layout::Isolate(inside) => {
            let resolution = resolve(inside.clone(), facts, random)?;
            (partition::isolate(&by_name(&resolution.nodes), &all, one_way), vec![resolution])
        }
        Layout::Bridge => (partition::bridge(&all, one_way), vec![]),
        Layout::Ring => (partition::ring(&all, one_way), vec![]),
        Layout::Halves => {
            let resolved: Vec<Resolution> = resolve(leader, facts, random).into_iter().collect();
            let leader = facts.leader.map(|(leader, _)| leader.name());
            (partition::halves(&all, &voters, leader, one_way), resolved)
        }
    };
    cut.map(|cut| (cut, resolved)).map_err(LabError::usage)
}
