//! Measures the figures of a release: `cargo run --release -p raftian-bench --example figures -- RAFTIANCTL FOLDER`.
//!
//! Build the programs first (`cargo build --release`); takes about four minutes, and wants an idle machine.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use raftian_bench::figures::{self, LabCommand};
use raftian_bench::machine::Machine;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    raftian_rpc::files::raise_limit();
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (raftianctl, folder) =
        arguments.next().zip(arguments.next()).context("usage: figures RAFTIANCTL FOLDER [ID ...]")?;
    let only: Vec<PathBuf> = arguments.collect();
    let wanted = |id: &str| only.is_empty() || only.iter().any(|name| name.as_os_str() == id);
    std::fs::create_dir_all(&folder)?;
    let home = folder.canonicalize()?.join("labs");
    std::fs::create_dir_all(&home)?;
    let machine = Machine::this(&home);
    let command = LabCommand { raftianctl: raftianctl.canonicalize()?, home: home.clone(), name: "figures".into() };

    let mut all = Vec::new();
    if wanted("startup") {
        all.push(figures::startup(&command, 20).await?);
    }
    if wanted("status") {
        all.push(figures::status_latency(&command, 100).await?);
    }
    if wanted("idle") {
        all.extend(figures::idle(&command, 3, Duration::from_secs(10)).await?);
    }
    if wanted("failover") {
        all.push(figures::failover(&command, 30).await?);
    }
    for clients in [1, 1000] {
        if wanted("closed_loop") {
            all.extend(figures::closed_loop(&command, clients, 5, Duration::from_secs(5)).await?);
        }
    }
    figures::write(&folder, &machine, &all)?;
    std::fs::remove_dir_all(&home)?;
    print!("{}", std::fs::read_to_string(folder.join("figures.md"))?);
    Ok(())
}
