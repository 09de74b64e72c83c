//! The lab's journal, followed while something runs, so that a turning point can be awaited instead of polled for.
//!
//! Invariant: events are kept in the journal's order and without holes; a subscription that breaks is renewed from the
//! last event seen. Where there is a file for it, it holds what is kept, event by event.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raftian_rpc::connect;
use raftian_rpc::lab::{Event, Happening, LabClient as _};
use raftian_rpc::{NodeId, RaftEvent, RoleKind, Term};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::lab::{Lab, told};

/// How long to wait for the connection, for the last of the events, and before a broken one is renewed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CATCH_UP: Duration = Duration::from_secs(2);
const RENEW_AFTER: Duration = Duration::from_millis(100);

/// A journal being followed. Dropping it ends that.
#[derive(Debug)]
pub struct Journal {
    kept: Arc<Kept>,
    follower: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Kept {
    events: Mutex<Vec<Event>>,
    grown: Notify,
    file: Option<File>,
}

impl Journal {
    /// Follows the journal of `lab` from its beginning on, as far as the daemon remembers, and keeps it in a file if there
    /// is one.
    ///
    /// # Errors
    /// When the daemon does not accept the subscription.
    pub async fn follow(lab: &Lab, file: Option<File>) -> anyhow::Result<Journal> {
        let kept = Arc::new(Kept { file, ..Kept::default() });
        // The first subscription is made here, so that a daemon that refuses it is an error and not a silence.
        let first = subscribe(lab, 1).await?;
        let (lab, keeping) = (lab.clone(), Arc::clone(&kept));
        let follower = tokio::spawn(async move {
            let mut subscription = Some(first);
            let mut next = 1;
            loop {
                if let Some((client, mut events)) = subscription.take() {
                    while let Some(Ok(event)) = events.next().await {
                        if event.seq >= next {
                            next = event.seq + 1;
                            keeping.push(event);
                        }
                    }
                    drop(client);
                }
                tokio::time::sleep(RENEW_AFTER).await;
                subscription = subscribe(&lab, next).await.ok();
            }
        });
        Ok(Journal { kept, follower })
    }

    /// Waits until everything is here that the daemon has noted by now; a daemon that is silent is not waited for.
    pub async fn catch_up(&self, lab: &Lab) {
        let Ok(Ok(last)) = tokio::time::timeout(CATCH_UP, lab.client.events(1)).await else { return };
        if let Some(last) = last.last() {
            self.first(CATCH_UP, |event| event.seq >= last.seq).await;
        }
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        self.kept.lock().clone()
    }

    /// The first event, among those so far and those to come, that `wanted` accepts; `None` after `timeout`.
    pub async fn first(&self, timeout: Duration, wanted: impl Fn(&Event) -> bool) -> Option<Event> {
        let search = async {
            let mut from = 0;
            loop {
                let grown = self.kept.grown.notified();
                {
                    let events = self.kept.lock();
                    if let Some(event) = events[from..].iter().find(|event| wanted(event)) {
                        return event.clone();
                    }
                    from = events.len();
                }
                grown.await;
            }
        };
        tokio::time::timeout(timeout, search).await.ok()
    }

    /// The first election of a leader of a later term than `term`: who, which term, and when.
    pub async fn leader_after(&self, term: Term, timeout: Duration) -> Option<(NodeId, Term, u64)> {
        let event = self.first(timeout, |event| led(event).is_some_and(|(_, won)| won > term)).await?;
        led(&event).map(|(leader, term)| (leader, term, event.at_ns))
    }
}

/// Who was elected, and in which term, if that is what the event tells.
pub fn led(event: &Event) -> Option<(NodeId, Term)> {
    match event.what {
        Happening::Raft { node, event: RaftEvent::Role { role: RoleKind::Leader, term, .. } } => Some((node, term)),
        _ => None,
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Kept {
    fn push(&self, event: Event) {
        let mut events = self.lock();
        if let Some(mut file) = self.file.as_ref()
            && let Ok(line) = serde_json::to_string(&event)
        {
            // A journal with a hole is still a journal, and no verdict rests on it.
            let _ = file.write_all((line + "\n").as_bytes());
        }
        events.push(event);
        drop(events);
        self.grown.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscription, and the connection that carries it.
type Followed = (jsonrpsee::core::client::Client, jsonrpsee::core::client::Subscription<Event>);

async fn subscribe(lab: &Lab, since: u64) -> anyhow::Result<Followed> {
    let client = told(connect::websocket(lab.address, &lab.secret, CONNECT_TIMEOUT).await)?;
    let events = told(client.follow(since).await)?;
    Ok((client, events))
}
