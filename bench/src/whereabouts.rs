//! Where the nodes of a lab listen, watched while something runs: a node that is started again may have moved.
//!
//! Invariant: one task asks the daemon, however many want to know, and only what has changed is news. A daemon that has
//! not answered for some seconds is gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::NodeId;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::lab::Lab;

/// How often the daemon is asked.
const CHECK: Duration = Duration::from_millis(300);

/// How long it may take over an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// For how long it may fail to answer before it counts as gone.
const SILENCE: Duration = Duration::from_secs(3);

/// Where the nodes of a lab listen. Cheap to clone; dropping the last ends the watching.
#[derive(Clone, Debug)]
pub struct Whereabouts {
    lab: Lab,
    news: watch::Receiver<News>,
    _watcher: Arc<Watcher>,
}

/// What is known at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// Where each node listens.
    pub(crate) addresses: Vec<(NodeId, SocketAddr)>,
    /// Whether nobody is left to tell.
    pub(crate) is_daemon_gone: bool,
}

#[derive(Debug)]
struct Watcher(JoinHandle<()>);

impl Whereabouts {
    /// Begins to watch the nodes of a lab.
    ///
    /// # Errors
    /// When its daemon does not answer.
    pub async fn of(lab: &Lab) -> anyhow::Result<Whereabouts> {
        let first = News { addresses: lab.addresses().await?, is_daemon_gone: false };
        let (tell, news) = watch::channel(first);
        let watcher = Arc::new(Watcher(tokio::spawn(watch(lab.clone(), tell))));
        Ok(Whereabouts { lab: lab.clone(), news, _watcher: watcher })
    }

    /// The lab.
    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Where each node listens, as far as is known.
    pub(crate) fn addresses(&self) -> Vec<(NodeId, SocketAddr)> {
        self.news.borrow().addresses.clone()
    }

    /// What is known, and whatever comes from now on.
    pub(crate) fn news(&self) -> watch::Receiver<News> {
        self.news.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn watch(lab: Lab, tell: watch::Sender<News>) {
    let mut silent_since = None;
    loop {
        sleep(CHECK).await;
        let change = match timeout(PATIENCE, lab.addresses()).await {
            Ok(Ok(addresses)) => {
                silent_since = None;
                News { addresses, is_daemon_gone: false }
            }
            Ok(Err(_)) | Err(_) => {
                let since: Instant = *silent_since.get_or_insert_with(Instant::now);
                News { is_daemon_gone: since.elapsed() >= SILENCE, ..tell.borrow().clone() }
            }
        };
        tell.send_if_modified(|known| {
            let is_new = *known != change;
            *known = change;
            is_new
        });
    }
}
