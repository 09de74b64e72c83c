//! The files of a demo: raw before derived, each in one go.
//!
//! Invariant: the folder holds one run. What a former one left is removed before the first file of the next, and nothing
//! that a demo does not write.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context as _;
use raftian_rpc::NodeId;
use raftian_rpc::lab::Event;
use serde::Serialize;

use crate::chart::{timeline_svg, to_png};
use crate::collect::Evidence;
use crate::demo::DemoReport;
use crate::timeline::TimelineData;

pub(crate) const HISTORY: &str = "history.jsonl";
const EVENTS: &str = "events.jsonl";
const TIMELINE: &str = "timeline.json";
const SVG: &str = "demo.svg";
const PNG: &str = "demo.png";
const REPORT: &str = "report.json";

/// Makes the folder, or removes from it what a demo with as many nodes left there.
pub(crate) fn prepare(folder: &Path, nodes: u16) -> anyhow::Result<()> {
    let replicas = folder.join("replicas");
    fs::create_dir_all(&replicas).with_context(|| format!("cannot create {}", replicas.display()))?;
    let files = [HISTORY, EVENTS, TIMELINE, SVG, PNG, REPORT].map(|name| folder.join(name));
    for path in files.into_iter().chain(NodeId::first(nodes).map(|node| replica(folder, node))) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes `replicas/nX.json`.
pub(crate) fn write_replicas(folder: &Path, evidence: &Evidence) -> anyhow::Result<()> {
    evidence.replicas.iter().try_for_each(|one| write_json(&replica(folder, one.node), one))
}

fn replica(folder: &Path, node: NodeId) -> PathBuf {
    folder.join("replicas").join(format!("{node}.json"))
}

/// Writes `report.json`, the last of all.
pub(crate) fn write_report(folder: &Path, report: &DemoReport) -> anyhow::Result<()> {
    write_json(&folder.join(REPORT), report)
}

/// Writes `events.jsonl`, `timeline.json`, `demo.svg` and `demo.png`; returns where the charts are.
pub(crate) fn draw(folder: &Path, events: &[Event], timeline: &TimelineData) -> anyhow::Result<(PathBuf, PathBuf)> {
    let mut lines = String::new();
    for event in events {
        lines.push_str(&serde_json::to_string(event)?);
        lines.push('\n');
    }
    write(&folder.join(EVENTS), lines.as_bytes())?;
    write_json(&folder.join(TIMELINE), timeline)?;
    let (svg_path, png_path) = (folder.join(SVG), folder.join(PNG));
    let svg = timeline_svg(timeline);
    write(&svg_path, svg.as_bytes())?;
    write(&png_path, &to_png(&svg)?)?;
    Ok((svg_path, png_path))
}

/// Writes a value as JSON.
fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut text =
        serde_json::to_vec(value).with_context(|| format!("{} cannot be written as JSON", path.display()))?;
    text.push(b'\n');
    write(path, &text)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
