//! What a run begins from, where the nodes have discarded the first entries of their logs before it.
//!
//! A node keeps its snapshot as a file of JSON in its folder. It is read there: the file is written for readers, and no
//! node need be troubled for it.
//!
//! Invariant: what comes out is whole, by its own digest, or is left out; judges make sure of that again.

use std::fs;
use std::path::Path;

use raftian_check::apps::Snapshot;
use raftian_rpc::folder::LabFolder;
use raftian_rpc::lab::LabStatus;
use serde::Deserialize;

/// The first line of a node's snapshot file.
#[derive(Deserialize)]
struct Line {
    state: State,
}

/// The part of it that is the application's.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Json(Snapshot),
    /// So many bytes come behind the line.
    Bytes(usize),
}

/// The snapshot that a run on this lab begins from: none while a node still has the first entry. Of those that nodes
/// have, it is the newest, since that node's log surely goes on from there.
pub(super) fn snapshot(status: &LabStatus) -> Option<Snapshot> {
    let servers = || status.nodes.iter().filter_map(|node| node.server.as_ref());
    if servers().any(|server| server.first_index == 1) {
        return None;
    }
    let newest = servers().max_by_key(|server| server.snapshot_index)?;
    let folder = LabFolder::at(&status.folder).node(newest.node);
    // Without it the judges find that the first entries are missing, and say so.
    read(&folder.join("wal/snapshot.json"))
}

fn read(path: &Path) -> Option<Snapshot> {
    let file = fs::read(path).ok()?;
    let mut parts = file.splitn(2, |&byte| byte == b'\n');
    match serde_json::from_slice::<Line>(parts.next()?).ok()?.state {
        State::Json(snapshot) => Some(snapshot),
        State::Bytes(length) => Snapshot::decode(parts.next()?.get(..length)?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use raftian_check::apps::{AppKind, Entry, Machine, Payload};

    use super::*;

    #[test]
    fn the_applications_part_is_read_from_a_nodes_file() {
        let mut machine = Machine::new(AppKind::Kv, 1).unwrap();
        machine.apply(&Entry { index: 1, term: 1, payload: Payload::Noop });
        let state = serde_json::to_string(&machine.snapshot()).unwrap();
        let path = std::env::temp_dir().join(format!("raftian-first-{}.json", std::process::id()));
        let head = r#"{"crc32":"00000000","version":2,"last_index":1,"last_term":1,"configuration":{"voters":["n1"]}"#;
        let long = format!("{}{state}", " ".repeat(10));
        for text in [
            format!("{head},\"state\":{{\"json\":{state}}}}}\n"),
            format!("{head},\"state\":{{\"bytes\":{}}}}}\n{long}", long.len()),
        ] {
            fs::write(&path, text).unwrap();
            let snapshot = read(&path).unwrap();
            assert_eq!((snapshot.last_applied(), snapshot.digest()), (1, machine.digest()));
        }
        fs::write(&path, "{}").unwrap();
        assert!(read(&path).is_none());
        fs::remove_file(&path).unwrap();
    }
}
