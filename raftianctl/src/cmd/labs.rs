//! `raftianctl labs`: the labs of this user.
//!
//! Deliberately absent: whether they are well; that is `doctor`'s question.

use std::fs;
use std::path::{Path, PathBuf};

use raftian_rpc::connect::Http;
use raftian_rpc::folder::{LabFolder, home};
use raftian_rpc::lab::{LabClient as _, NodeState};
use serde::Serialize;

use crate::cli::Context;
use crate::connect::Daemon;
use crate::failure::{Failure, Kind};
use crate::table::{Align, Table};
use crate::words;

/// List the labs there are, and which of them run
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  raftianctl labs\n  raftianctl labs -o json")]
pub(crate) struct Args {}

/// What a lab does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Its daemon answers.
    Running,
    /// It has no daemon.
    Stopped,
    /// It has one that does not answer.
    Silent,
}

/// A lab in the list.
#[derive(Debug, Serialize)]
struct Listed {
    /// Its name.
    lab: String,
    /// What it does.
    state: State,
    /// How many nodes run, and how many there are; none where no daemon says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<(usize, usize)>,
    /// The application that they replicate.
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    /// Its folder.
    folder: PathBuf,
}

/// Lists them.
pub(crate) async fn run(context: &Context, _: Args) -> Result<(), Failure> {
    let home = home().map_err(|why| Failure::new(Kind::Usage, why))?;
    let mut all = Vec::new();
    for (lab, folder) in found(&home) {
        all.push(look(lab, &folder).await);
    }
    context.output.report(&all, |all| match all.is_empty() {
        true => format!("no labs in {}; start one with `raftianctl start`", home.display()),
        false => table(all, context.output.colour()),
    })
}

/// The labs in a home, by name.
pub(crate) fn found(home: &Path) -> Vec<(String, LabFolder)> {
    let names =
        fs::read_dir(home).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let labs = names.map(|name| (LabFolder::at(home.join(&name)), name)).map(|(folder, name)| (name, folder));
    let mut labs: Vec<_> = labs.filter(|(_, folder)| folder.daemon_lock().exists()).collect();
    labs.sort_by(|(one, _), (other, _)| one.cmp(other));
    labs
}

async fn look(lab: String, folder: &LabFolder) -> Listed {
    let mut listed =
        Listed { state: State::Stopped, nodes: None, app: None, folder: folder.path().to_owned(), lab: lab.clone() };
    let daemon = match Daemon::find(&lab, folder).await {
        Ok(daemon) => daemon,
        Err(failure) if failure.kind() == Kind::NoDaemon => return listed,
        Err(_) => return Listed { state: State::Silent, ..listed },
    };
    match daemon.ask(async |lab: Http| lab.status().await).await {
        Ok(status) => {
            let running = status.nodes.iter().filter(|node| node.state == NodeState::Running).count();
            listed.state = State::Running;
            listed.nodes = Some((running, status.nodes.len()));
            listed.app = status.app.map(|app| app.to_string());
        }
        Err(_) => listed.state = State::Silent,
    }
    listed
}

fn table(all: &[Listed], colour: bool) -> String {
    let mut table =
        Table::new([("LAB", Align::Left), ("STATE", Align::Left), ("APP", Align::Left), ("FOLDER", Align::Left)]);
    for Listed { lab, state, nodes, app, folder } in all {
        let state = match (state, nodes) {
            (State::Running, Some((running, all))) => format!("{running} of {} run", words::nodes(*all)),
            (State::Running, None) => "running".to_owned(),
            (State::Stopped, _) => "stopped".to_owned(),
            (State::Silent, _) => "does not answer".to_owned(),
        };
        table.row([lab.as_str(), &state, app.as_deref().unwrap_or_default(), &folder.display().to_string()]);
    }
    table.render(colour)
}
