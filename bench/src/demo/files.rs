//! The files of a demo: raw before derived, each in one go.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use raftian_rpc::lab::Event;
use serde::Serialize;

use crate::chart::{timeline_svg, to_png};
use crate::collect::Evidence;
use crate::timeline::TimelineData;

/// Writes `replicas/nX.json`.
pub(crate) fn write_replicas(folder: &Path, evidence: &Evidence) -> anyhow::Result<()> {
    for replica in &evidence.replicas {
        write_json(&folder.join("replicas").join(format!("{}.json", replica.node)), replica)?;
    }
    Ok(())
}

/// Writes `events.jsonl`, `timeline.json`, `demo.svg` and `demo.png`; returns where the charts are.
pub(crate) fn draw(folder: &Path, events: &[Event], timeline: &TimelineData) -> anyhow::Result<(PathBuf, PathBuf)> {
    let mut lines = String::new();
    for event in events {
        lines.push_str(&serde_json::to_string(event)?);
        lines.push('\n');
    }
    write(&folder.join("events.jsonl"), lines.as_bytes())?;
    write_json(&folder.join("timeline.json"), timeline)?;
    let (svg_path, png_path) = (folder.join("demo.svg"), folder.join("demo.png"));
    let svg = timeline_svg(timeline);
    write(&svg_path, svg.as_bytes())?;
    write(&png_path, &to_png(&svg)?)?;
    Ok((svg_path, png_path))
}

/// Writes a value as JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut text =
        serde_json::to_vec(value).with_context(|| format!("{} cannot be written as JSON", path.display()))?;
    text.push(b'\n');
    write(path, &text)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
