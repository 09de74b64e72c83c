//! `raftianctl version`: the versions of the programs.

use raftian_rpc::VERSION;
use raftian_rpc::connect::Http;
use raftian_rpc::lab::LabClient as _;
use serde::Serialize;

use crate::cli::Context;
use crate::failure::Failure;

/// Show the versions of this program and of the lab's daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  raftianctl version")]
pub(crate) struct Args {}

/// The versions.
#[derive(Debug, Serialize)]
struct Versions {
    /// Of this program.
    raftianctl: &'static str,
    /// Of the lab's daemon; none where it does not run.
    raftiand: Option<String>,
}

/// Shows them.
pub(crate) async fn run(context: &Context, _: Args) -> Result<(), Failure> {
    let raftiand = match context.daemon().await {
        Ok(daemon) => daemon.ask(async |lab: Http| lab.hello().await).await.ok().map(|hello| hello.version),
        Err(_) => None,
    };
    context.output.data(&Versions { raftianctl: VERSION, raftiand }, |versions| {
        let daemon = versions.raftiand.as_ref().map(|version| format!("raftiand {version} (lab `{}`)\n", context.lab));
        format!("raftianctl {}\n{}", versions.raftianctl, daemon.unwrap_or_default())
    })
}
