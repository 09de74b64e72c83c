//! `raftianctl start`: brings a lab up, and its daemon if need be.

use std::collections::BTreeMap;
use std::time::Duration;

use raftian_rpc::assignment::Hosting;
use raftian_rpc::connect::Http;
use raftian_rpc::control::{ReadMode, Timing};
use raftian_rpc::game::Scene;
use raftian_rpc::lab::{Action, GameChoice, LabClient as _, StartReport, StartRequest};
use raftian_rpc::selector::Selector;
use raftian_rpc::{AppKind, Size};

use crate::cli::Context;
use crate::cmd::{act, stop};
use crate::connect::Daemon;
use crate::failure::{Failure, Kind};
use crate::launch::{Found, Life};
use crate::units::FpsCap;
use crate::{launch, progress, units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl start -n 5
  raftianctl start -n 3 --seed 7 --election-timeout 150-300 --heartbeat 50
  raftianctl --lab slow start --pace classroom
  raftianctl start -n 3 --hosting process --scene dots=1000 --fps-cap none
  raftianctl --lab two start -n 3 --no-wait
  raftianctl start n1
  raftianctl --lab store start -n 3 --app kv --snapshot-bytes 1MB

Without options it brings back what is down: a lab keeps its settings and its data. Other settings need a lab of \
another name (--lab), or `raftianctl stop --purge` first, which removes this one with its data. Games are drawn unseen: \
`raftianctl play n1` opens a window, and `raftianctl status` shows their frames per second.";

/// Frames per second of a game that nobody said anything about: what a screen shows.
const DEFAULT_FPS_CAP: u32 = 60;

/// Start the lab's nodes, and wait until one of them leads
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only these, of a lab that is up: those that run are left alone [default: all]
    #[arg(value_name = "SELECTOR", conflicts_with_all = [
        "nodes", "app", "players", "size", "seed", "election_timeout", "heartbeat", "snapshot_bytes", "read_leases", "hosting",
    ])]
    only: Option<Selector>,
    /// How many nodes, 1 to 64; of a lab that exists, as many as it has now [default: 5]
    #[arg(short, long, value_name = "COUNT", value_parser = units::node_count, allow_hyphen_values = true)]
    nodes: Option<u16>,
    /// The application that the nodes replicate [default: attack, a game of players who hit each other]
    #[arg(long, value_name = "NAME")]
    app: Option<AppKind>,
    /// How many players the attack game has, 1 to 64 [default: one per node]
    #[arg(long, value_name = "COUNT", value_parser = units::player_count, allow_hyphen_values = true)]
    players: Option<u16>,
    /// How large the canvas is, at most 1000x1000 [default: 64x64]
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = units::canvas_size, allow_hyphen_values = true)]
    size: Option<Size>,
    /// A number that each node draws its election time-outs from: same seed, same time-outs [default: 1]
    #[arg(long, value_name = "NUMBER", value_parser = units::seed)]
    seed: Option<u64>,
    /// How fast it runs: `paper` has the times of the paper, `classroom` times of seconds, so that an election can be
    /// watched [default: paper]
    #[arg(long, value_name = "PACE", hide_possible_values = true, conflicts_with_all = ["election_timeout", "heartbeat"])]
    pace: Option<Pace>,
    /// The range election time-outs are drawn from, in milliseconds [default: 150-300]
    #[arg(long, value_name = "MIN-MAX", value_parser = units::range_ms, allow_hyphen_values = true)]
    election_timeout: Option<(u64, u64)>,
    /// The interval of a leader's heartbeats, in milliseconds [default: 50]
    #[arg(long, value_name = "MS", value_parser = units::whole_ms, allow_hyphen_values = true)]
    heartbeat: Option<u64>,
    /// After how much log a node takes a snapshot and discards what it stands for: 4096, 64KiB, 16MB, or `never`
    /// [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = units::size, allow_hyphen_values = true)]
    snapshot_bytes: Option<u64>,
    /// Let a leader answer reads without asking the others, while by the clocks nobody else can have been elected; give
    /// by how many percent the rates of clocks may differ [default: 10]
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, default_missing_value = "10", value_parser = clap::value_parser!(u8).range(0..=100))]
    read_leases: Option<u8>,
    /// Have every node draw a game, too, and say where its server runs: on a thread beside the game, in a process of its
    /// own, or as an async task on the game's thread [default: none, a server alone]
    #[arg(long, value_name = "HOSTING")]
    hosting: Option<HostingChoice>,
    /// What the game draws: `attack`, or `dots=1000` for that many moving squares [default: attack]
    #[arg(long, value_name = "SCENE", requires = "hosting")]
    scene: Option<Scene>,
    /// The most frames per second of each game, or `none` for as many as it can draw [default: 60]
    #[arg(long, value_name = "FPS", requires = "hosting", value_parser = units::fps_cap, allow_hyphen_values = true)]
    fps_cap: Option<FpsCap>,
    /// Return when the nodes are up, without waiting for a leader
    #[arg(long)]
    no_wait: bool,
    /// How long all of it may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// Times that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Pace {
    /// 150–300 ms, heartbeats every 50 ms
    Paper,
    /// 2–4 s, heartbeats every 500 ms
    Classroom,
}

/// Where the server of a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum HostingChoice {
    /// A server alone
    None,
    /// On a thread beside the game's
    Thread,
    /// In a process of its own
    Process,
    /// As an async task on the thread that draws
    Async,
}

/// Starts the lab.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if let Some(only) = args.only {
        let request = act::request(Action::Start, only, args.no_wait, args.timeout);
        return act::perform(context, request, args.timeout).await;
    }
    let request = args.request()?;
    let Found { daemon, is_new, .. } = launch::find_or_start(&context.lab, &context.folder()?, Life::OfItsOwn).await?;
    let call = daemon.wait(args.timeout, async |lab: Http| lab.start(request).await);
    let report = match progress::watched(context.output, &daemon, call).await {
        Ok(report) => report,
        Err(failure) => {
            if is_new {
                leave_nothing(context, &daemon, args.timeout).await;
            }
            return Err(failure);
        }
    };
    context.output.notes(&report.notes);
    context.output.report(&report, summary)
}

/// Ends a daemon that was started for a lab which then did not come about. One that has nodes stays, to be looked at.
async fn leave_nothing(context: &Context, daemon: &Daemon, timeout: Duration) {
    let hello = daemon.ask(async |lab: Http| lab.hello().await).await;
    let keeps_logs = daemon.folder.path().join("nodes").exists();
    if hello.is_ok_and(|hello| !hello.started) {
        // The start has failed and says why; that the daemon could not be ended would not help anyone.
        let _ = stop::whole(context, daemon, !keeps_logs, timeout).await;
    }
}

impl Args {
    fn request(&self) -> Result<StartRequest, Failure> {
        Ok(StartRequest {
            nodes: self.nodes,
            app: self.app,
            players: self.players,
            size: self.size,
            seed: self.seed,
            timing: self.timing().map_err(|why| Failure::new(Kind::Usage, why))?,
            snapshot_bytes: self.snapshot_bytes,
            reads: self.read_leases.map(|drift_percent| ReadMode::Lease { drift_percent }),
            game: self.game().map_err(|why| Failure::new(Kind::Usage, why))?,
            first_leader: None,
            by_hand: BTreeMap::new(),
            no_wait: self.no_wait,
            timeout_ms: words::millis(self.timeout),
        })
    }

    /// The game, if anything was said of it.
    fn game(&self) -> Result<Option<GameChoice>, String> {
        let hosting = match self.hosting {
            None => return Ok(None),
            Some(HostingChoice::None) if self.scene.is_some() || self.fps_cap.is_some() => {
                return Err("`--hosting none` has no game, so no --scene and no --fps-cap".into());
            }
            Some(HostingChoice::None) => return Ok(Some(GameChoice::None)),
            Some(HostingChoice::Thread) => Hosting::Thread,
            Some(HostingChoice::Process) => Hosting::Process,
            Some(HostingChoice::Async) => Hosting::Async,
        };
        let FpsCap(fps_cap) = self.fps_cap.unwrap_or(FpsCap(Some(DEFAULT_FPS_CAP)));
        Ok(Some(GameChoice::Hosted { hosting, scene: self.scene.unwrap_or_default(), fps_cap }))
    }

    /// The times, if any was given; the others are then the defaults.
    fn timing(&self) -> Result<Option<Timing>, String> {
        match self.pace {
            Some(Pace::Paper) => return Ok(Some(Timing::default())),
            Some(Pace::Classroom) => return Timing::CLASSROOM.validate().map(Some),
            None => {}
        }
        if self.election_timeout.is_none() && self.heartbeat.is_none() {
            return Ok(None);
        }
        let mut timing = Timing::default();
        if let Some((min, max)) = self.election_timeout {
            (timing.election_min_ms, timing.election_max_ms) = (min, max);
        }
        timing.heartbeat_ms = self.heartbeat.unwrap_or(timing.heartbeat_ms);
        timing.validate().map(Some)
    }
}

fn summary(report: &StartReport) -> String {
    let (lab, count) = (&report.lab, words::nodes(report.nodes.len()));
    let leader = match &report.leader {
        Some(leadership) => words::leads(leadership),
        None => "a leader is still to be elected (`raftianctl wait leader`)".to_owned(),
    };
    match report.changed {
        true => format!("lab `{lab}`: {count} up, {leader}"),
        false => format!("lab `{lab}`: {count} already up, {leader}"),
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::NodeId;
    use raftian_rpc::lab::Leadership;

    use super::*;

    #[test]
    fn the_outcome_fits_a_line() {
        let nodes: Vec<NodeId> = NodeId::first(5).collect();
        let leader = Leadership { leader: nodes[1], term: 1, after_ms: 212 };
        let mut report = StartReport {
            lab: "default".into(),
            changed: true,
            nodes: nodes.clone(),
            started: nodes,
            leader: Some(leader),
            notes: vec![],
        };
        assert_eq!(summary(&report), "lab `default`: 5 nodes up, n2 leads term 1 after 212 ms");
        report.changed = false;
        report.leader = Some(Leadership { after_ms: 0, ..leader });
        assert_eq!(summary(&report), "lab `default`: 5 nodes already up, n2 leads term 1");
    }
}
