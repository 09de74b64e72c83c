//! The history of a lab's canvas, read from the logs of its nodes.
//!
//! Invariant: only committed entries count, each is read once, and the reading ends at the entry up to which the board was read.
//! Nodes discard different parts of their logs, so the log that reaches back the furthest is read first, and what it lacks at
//! its end is read from the others.

use raftian_check::apps::{CanvasRead, CanvasRegion, Entry, MAX_SIDE_PX};
use raftian_rpc::Index;
use raftian_rpc::connect::Http;
use raftian_rpc::control::LogPage;
use raftian_rpc::lab::{LabClient as _, LogReport};
use raftian_rpc::selector::Selector;

use super::history::History;
use super::{consistency, encode};
use crate::ask::{Asked, Outcome};
use crate::failure::{Failure, Kind};

/// The entries that are asked for at once.
const PAGE: u64 = 1_024;

/// The history up to what the canvas shows now, or with `stale` what the node shows that is asked.
pub(super) async fn history(asked: &Asked, stale: bool) -> Result<History, Failure> {
    let whole = encode(&CanvasRead::Region(0, 0, MAX_SIDE_PX, MAX_SIDE_PX));
    let Outcome { node, index: end, response, .. } = asked.read::<CanvasRegion>(whole, consistency(stale)).await?;
    let colours = response.colours().ok_or_else(|| Failure::failed(format!("{node} answered what no canvas is")))?;
    let mut pages = heads(asked).await?;
    pages.sort_by_key(|page| (page.first_index, std::cmp::Reverse(page.commit_index)));
    let first = pages.first().map_or(end + 1, |page| page.first_index.min(end + 1));
    let mut entries: Vec<Entry> = Vec::new();
    for page in &pages {
        let until = end.min(page.commit_index);
        loop {
            let next = first + entries.len() as Index;
            if next > until || page.first_index > next {
                break;
            }
            let limit = PAGE.min(until + 1 - next);
            let report = log(asked, Selector::node(page.node), next, limit).await?;
            // A node may be gone, or have discarded them, since it was asked the first time.
            let lines = report.pages.into_iter().next().map(|page| page.entries).unwrap_or_default();
            let consecutive = (next..).zip(&lines).take_while(|(index, line)| *index == line.index);
            let before = entries.len();
            entries.extend(consecutive.map(|(_, line)| line.entry()));
            if entries.len() == before {
                break;
            }
        }
    }
    let last = first + entries.len() as Index - 1;
    if last < end {
        let why = format!(
            "the canvas was read up to index {end}, and no log that could be read has the entry after {last}; wait until the \
             nodes have caught up (`raftianctl wait converged`), then try again"
        );
        return Err(Failure::new(Kind::Conflict, why));
    }
    Ok(History::of(response.size, first, &entries, &colours))
}

/// Where the logs begin and end: of all nodes that answer, or of the one that was named.
pub(super) async fn heads(asked: &Asked) -> Result<Vec<LogPage>, Failure> {
    let selector = asked.only().map_or_else(|| "@all".parse().expect("a selector"), Selector::node);
    let report = log(asked, selector, 1, 1).await?;
    match report.pages.is_empty() {
        true => Err(Failure::failed("no log can be read: no node answers; see `raftianctl status`")),
        false => Ok(report.pages),
    }
}

/// A page of the logs of some nodes.
pub(super) async fn log(asked: &Asked, selector: Selector, from: Index, limit: u64) -> Result<LogReport, Failure> {
    asked.daemon().ask(async |lab: Http| lab.log(selector, from, limit).await).await
}
