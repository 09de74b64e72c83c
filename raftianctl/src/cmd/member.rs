//! `raftianctl member`: nodes join the cluster and leave it.

use std::collections::BTreeSet;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::connect::Http;
use raftian_rpc::control::Standing;
use raftian_rpc::lab::{LabClient as _, MemberReport, MemberRequest, MemberVerb, NodeState};
use raftian_rpc::selector::Selector;
use serde::Serialize;

use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::table::{Align, Table};
use crate::{progress, units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl member add n6
  raftianctl member add n7 --learner && raftianctl member promote n7
  raftianctl member remove @leader

A new node is started, is sent a snapshot or the log, and gets its vote once it has caught up. A node that is removed is \
stopped, and its folder with its log goes. Asking again for what is so already changes nothing.";

const ADD_EXAMPLES: &str = "\
Examples:
  raftianctl member add n6
  raftianctl member add n6 --learner";

/// Let nodes join the cluster and leave it (joint consensus)
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show who takes part in the cluster, as its leader last said
    #[command(after_help = "Example:\n  raftianctl member list")]
    List,
    /// Start a new node, let it catch up, and give it a vote
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// The name of the new node: n1 to n65535, and not that of one there is. A name that was used before stands for
        /// another node then: n2.2 is the second n2
        #[arg(value_name = "NODE")]
        node: NodeId,
        /// Leave it a learner: it is sent the log, and has no vote
        #[arg(long)]
        learner: bool,
        #[command(flatten)]
        patience: Patience,
    },
    /// Give a learner its vote, once it has caught up
    #[command(after_help = "Example:\n  raftianctl member promote n6")]
    Promote(Member),
    /// Take a node out of the cluster, stop it, and remove its folder
    #[command(
        visible_alias = "rm",
        after_help = "Examples:\n  raftianctl member remove n3\n  raftianctl member remove @leader"
    )]
    Remove(Member),
}

#[derive(Debug, clap::Args)]
struct Member {
    /// The node: any selector that names one
    #[arg(value_name = "NODE")]
    node: Selector,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, clap::Args)]
struct Patience {
    /// How long it may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// Changes the membership, or shows it.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (verb, node, Patience { timeout }) = match args.verb {
        Verb::List => return list(context).await,
        Verb::Add { node, learner, patience } => {
            let verb = if learner { MemberVerb::AddLearner } else { MemberVerb::Add };
            (verb, Selector::node(node), patience)
        }
        Verb::Promote(Member { node, patience }) => (MemberVerb::Promote, node, patience),
        Verb::Remove(Member { node, patience }) => (MemberVerb::Remove, node, patience),
    };
    let request = MemberRequest { verb, node, timeout_ms: words::millis(timeout) };
    let daemon = context.daemon().await?;
    let call = daemon.wait(timeout, async |lab: Http| lab.member(request).await);
    let report = progress::watched(context.output, &daemon, call).await?;
    context.output.notes(&report.notes);
    context.output.report(&report, summary)
}

/// A member in the list.
#[derive(Debug, Serialize)]
struct Listed {
    node: NodeId,
    /// What it is in the cluster.
    standing: Standing,
    /// What its process does; none for a member without one in this lab.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<NodeState>,
}

async fn list(context: &Context) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let status = daemon.ask(async |lab: Http| lab.status().await).await?;
    let Some(members) = &status.members else {
        let why = format!("lab `{}` has no members yet; start some with `raftianctl start`", daemon.lab);
        return Err(Failure::new(Kind::Conflict, why));
    };
    let state = |id: NodeId| status.nodes.iter().find(|report| report.node == id).map(|report| report.state);
    let part = |ids: &BTreeSet<NodeId>, standing| ids.iter().map(move |id| (*id, standing)).collect::<Vec<_>>();
    let leaving: BTreeSet<NodeId> = members.outgoing().difference(members.voters()).copied().collect();
    let parts = [
        part(members.voters(), Standing::Voter),
        part(members.learners(), Standing::Learner),
        part(&leaving, Standing::Leaving),
    ];
    let all: Vec<Listed> =
        parts.concat().into_iter().map(|(node, standing)| Listed { node, standing, state: state(node) }).collect();
    context.output.report(&all, |all| {
        let mut table = Table::new([("NODE", Align::Left), ("STANDING", Align::Left), ("STATE", Align::Left)]);
        for Listed { node, standing, state } in all {
            let standing = match standing {
                Standing::Voter => "voter",
                Standing::Learner => "learner",
                Standing::Leaving => "leaving",
            };
            let state = state.map_or("no process in this lab", words::state).to_owned();
            table.row([node.to_string(), standing.to_owned(), state]);
        }
        let joint = if members.is_joint() { "A change of the voters is under way (joint consensus).\n" } else { "" };
        table.render(context.output.colour()) + joint
    })
}

fn summary(report: &MemberReport) -> String {
    let node = report.node;
    let members = words::configuration(&report.configuration);
    let what = match (report.verb, report.changed) {
        (MemberVerb::Add, true) => "added".to_owned(),
        (MemberVerb::AddLearner, true) => "added as a learner".to_owned(),
        (MemberVerb::Promote, true) => "promoted".to_owned(),
        (MemberVerb::Remove, true) => "removed".to_owned(),
        (MemberVerb::Add | MemberVerb::Promote, false) => "already a voter".to_owned(),
        (MemberVerb::AddLearner, false) => "already a learner".to_owned(),
        (MemberVerb::Remove, false) => "already removed".to_owned(),
    };
    let after = if report.changed { format!(" after {}", words::spell_ms(report.after_ms)) } else { String::new() };
    let leader = report.leader.as_ref().map_or(String::new(), |leader| format!("; {}", words::leads(leader)));
    format!("{node}: {what}{after}; {members}{leader}")
}

#[cfg(test)]
mod tests {
    use raftian_rpc::Configuration;
    use raftian_rpc::lab::Leadership;

    use super::*;

    #[test]
    fn what_became_of_a_member_is_told_in_a_line() {
        let mut report = MemberReport {
            verb: MemberVerb::Remove,
            node: "n1".parse().unwrap(),
            changed: true,
            configuration: Configuration::new(["n2", "n3"].map(|id| id.parse().unwrap())).unwrap(),
            index: Some(17),
            after_ms: 412,
            leader: Some(Leadership { leader: "n3".parse().unwrap(), term: 4, after_ms: 380 }),
            notes: vec![],
        };
        assert_eq!(summary(&report), "n1: removed after 412 ms; voters n2,n3; n3 leads term 4 after 380 ms");
        report = MemberReport { changed: false, leader: None, ..report };
        assert_eq!(summary(&report), "n1: already removed; voters n2,n3");
    }
}
