//! Several nodes in one process, to see what processes cost: each on a thread with a runtime of its own, or all as
//! tasks of one runtime.
//!
//! Invariant: each runs [`server::run`], as everywhere. They end together: when one fails, so do the others.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::thread;

use raftian_rpc::NodeId;
use raftian_rpc::assignment::{Cohort, Placement};
use raftian_rpc::control::NodeConfig;

use crate::experiment::global_lock::GlobalLock;
use crate::host::inbox::Mailbox;
use crate::hosting::{runtime, server};
use crate::parent;

/// One of them.
struct Member {
    config: NodeConfig,
    listener: TcpListener,
    mailbox: Mailbox,
}

/// Runs all of them, each called on its socket, to their end.
///
/// # Errors
/// A sentence for people, when they cannot share a process, or one of them cannot start or go on.
pub(crate) fn run(cohort: Cohort, listeners: Vec<TcpListener>) -> Result<(), String> {
    check(&cohort.nodes)?;
    let nodes = cohort.nodes.into_iter().zip(listeners);
    let members: Vec<Member> =
        nodes.map(|(config, listener)| Member { config, listener, mailbox: Mailbox::new() }).collect();
    let shutdowns: Vec<_> = members.iter().map(|member| member.mailbox.shutdown()).collect();
    let leave = move || shutdowns.iter().for_each(|shutdown| shutdown());
    parent::on_shutdown(leave.clone())?;
    match cohort.placement {
        Placement::Threads => threads(members, leave),
        Placement::Tasks => tasks(members, leave),
    }
}

fn check(nodes: &[NodeConfig]) -> Result<(), String> {
    let ids: BTreeSet<NodeId> = nodes.iter().map(|node| node.id).collect();
    if ids.is_empty() || ids.len() != nodes.len() {
        return Err("the nodes of a process must be at least one, and all different".into());
    }
    match nodes.iter().find(|node| node.game.is_some() || node.trim.global_lock) {
        Some(node) => Err(format!("{} shares a process with others, so it can have no game and no lock", node.id)),
        None => Ok(()),
    }
}

fn threads(members: Vec<Member>, leave: impl Fn() + Clone + Send + 'static) -> Result<(), String> {
    let threads: Vec<_> = members
        .into_iter()
        .map(|Member { config, listener, mailbox }| {
            let (id, last) = (config.id, Last(leave.clone()));
            let serve = move || {
                let _last = last;
                runtime::on_this_thread(&GlobalLock::default())?.block_on(server::run(config, listener, mailbox, None))
            };
            (id, thread::Builder::new().name(id.to_string()).spawn(serve))
        })
        .collect();
    let ends = threads.into_iter().map(|(id, thread)| match thread {
        Ok(thread) => (id, thread.join().unwrap_or_else(|_| broke_down())),
        Err(error) => (id, Err(format!("cannot start its thread: {error}"))),
    });
    first_failure(ends.collect())
}

fn tasks(members: Vec<Member>, leave: impl Fn() + Clone + Send + 'static) -> Result<(), String> {
    runtime::on_this_thread(&GlobalLock::default())?.block_on(async {
        let spawn = |Member { config, listener, mailbox }: Member| {
            let (id, last) = (config.id, Last(leave.clone()));
            let serve = async move {
                let _last = last;
                server::run(config, listener, mailbox, None).await
            };
            (id, tokio::spawn(serve))
        };
        let tasks: Vec<_> = members.into_iter().map(spawn).collect();
        let mut ends = Vec::new();
        for (id, task) in tasks {
            ends.push((id, task.await.unwrap_or_else(|_| broke_down())));
        }
        first_failure(ends)
    })
}

/// Lets the others leave when a node has ended, in whatever way.
struct Last<F: Fn()>(F);

impl<F: Fn()> Drop for Last<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn broke_down() -> Result<(), String> {
    Err("it panicked; stderr.log has the message".into())
}

fn first_failure(ends: Vec<(NodeId, Result<(), String>)>) -> Result<(), String> {
    ends.into_iter().try_for_each(|(id, end)| end.map_err(|why| format!("{id}: {why}")))
}
