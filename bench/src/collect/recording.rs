//! Has the nodes of a lab record their messages, and copies what they record into a run while it grows.
//!
//! Invariants: a node records on by itself when it starts again; one that is removed leaves what it had recorded. When this
//! ends, no node records any more, but for one that neither answers nor has a folder.
//!
//! Deliberately absent: what was sent before a node was asked, which is as soon as it listens.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use raftian_rpc::control::ControlClient as _;
use raftian_rpc::folder::LabFolder;
use raftian_rpc::secret::Secret;
use raftian_rpc::{NodeId, connect, files, record};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cancel::Cancel;
use crate::run::messages_of;
use crate::whereabouts::News;

/// How long a node may take to begin or end it.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often what has come is copied.
const OFTEN: Duration = Duration::from_millis(500);

/// The messages of a lab, as they are recorded.
#[derive(Debug)]
pub(super) struct Recording {
    lab: LabFolder,
    secret: Secret,
    /// Where copies go.
    folder: PathBuf,
    nodes: BTreeMap<NodeId, Copied>,
    error: Option<io::Error>,
}

/// A node's file, and the copy of it.
#[derive(Debug)]
struct Copied {
    /// It can be read to its end also when it has been removed meanwhile.
    from: File,
    to: File,
}

impl Recording {
    /// Nothing is recorded yet.
    pub(super) fn new(lab: LabFolder, secret: Secret, folder: PathBuf) -> Recording {
        Recording { lab, secret, folder, nodes: BTreeMap::new(), error: None }
    }

    /// Records until it is cancelled. What could not be copied is the error.
    pub(super) async fn run(mut self, mut news: watch::Receiver<News>, cancel: Cancel) -> io::Result<()> {
        while !cancel.is_cancelled() {
            let addresses = news.borrow_and_update().addresses.clone();
            for (node, address) in addresses {
                if !self.nodes.contains_key(&node) && switch(address, &self.secret, true).await {
                    self.open(node);
                }
            }
            self.copy();
            tokio::select! {
                () = tokio::time::sleep(OFTEN) => {}
                () = cancel.cancelled() => {}
            }
        }
        let addresses = news.borrow().addresses.clone();
        let mut ending: JoinSet<()> = JoinSet::new();
        for (node, address) in addresses {
            let (secret, file) = (self.secret.clone(), self.file_of(node));
            ending.spawn(async move {
                if !switch(address, &secret, false).await {
                    // Where the node does not run, it records no more when there is no file.
                    let _ = fs::remove_file(file);
                }
            });
        }
        while ending.join_next().await.is_some() {}
        self.copy();
        self.error.map_or(Ok(()), Err)
    }

    fn file_of(&self, node: NodeId) -> PathBuf {
        self.lab.node(node).join(record::FILE)
    }

    fn open(&mut self, node: NodeId) {
        let opened = files::open(&self.file_of(node))
            .and_then(|from| Ok(Copied { from, to: files::append(&self.folder.join(messages_of(node)))? }));
        match opened {
            Ok(copied) => drop(self.nodes.insert(node, copied)),
            Err(error) => self.note(error),
        }
    }

    fn copy(&mut self) {
        let copies = self.nodes.values_mut().map(|Copied { from, to }| io::copy(from, to));
        if let Some(error) = copies.filter_map(Result::err).next() {
            self.note(error);
        }
    }

    fn note(&mut self, error: io::Error) {
        self.error.get_or_insert(error);
    }
}

/// Whether the node records anew, or no more.
async fn switch(address: SocketAddr, secret: &Secret, on: bool) -> bool {
    let Ok(client) = connect::http(address, secret, PATIENCE) else { return false };
    let asked = async {
        client.record(false).await?;
        if on { client.record(true).await } else { Ok(()) }
    };
    timeout(PATIENCE, asked).await.is_ok_and(|answer| answer.is_ok())
}
