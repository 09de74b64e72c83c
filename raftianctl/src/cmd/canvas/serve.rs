//! `raftianctl canvas serve` and `canvas share`: opens the canvas to painters, and nothing else of the lab.

use std::time::Duration;

use clap::ValueEnum;
use raftian_rpc::RoleKind;
use raftian_rpc::connect::Http;
use raftian_rpc::lab::{
    CanvasClosed, CanvasNode, CanvasReport, CanvasRequest, CanvasShare, DEFAULT_CANVAS_PORT, LabClient as _, Origin,
    Origins, Strategy,
};

use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::table::{Align, Table};
use crate::{units, words};

const SERVE_EXAMPLES: &str = "\
Examples:
  raftianctl canvas serve
  raftianctl canvas serve --allow-origin http://localhost:3000 --cool-down 5s
  raftianctl canvas serve --status
  raftianctl canvas serve --stop

Painters come in by the address that `raftianctl canvas share` prints; they never see the lab's secret. A page of an origin \
that is allowed comes in without it, such as Distri-place's own, which speaks the same protocol; `--allow-origin any` lets \
in every page and every program of this machine. Only this machine is listened to.

Each connection has a healthy node behind it, and goes on behind another one when that dies. The canvas is open until \
--stop, or until the lab's daemon ends; it does not come back by itself.";

const SHARE_EXAMPLES: &str = "\
Examples:
  raftianctl canvas share
  raftianctl canvas share --read-only

Whoever has the address may paint, or look, until the canvas is closed.";

/// How the canvas is opened, looked at, or closed.
#[derive(Debug, clap::Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub(super) struct ServeArgs {
    /// The port on 127.0.0.1; 0 for one that is free
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_CANVAS_PORT)]
    port: u16,
    /// Let in pages of this origin without an address of their own; `any` for all
    #[arg(long, value_name = "URL", value_parser = allowed)]
    allow_origin: Vec<Allowed>,
    /// Let everybody look, and nobody paint
    #[arg(long)]
    read_only: bool,
    /// The node behind the next connection
    #[arg(long, value_name = "STRATEGY", value_enum, default_value = "round-robin")]
    strategy: StrategyName,
    /// How long a painter waits between two pixels
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    cool_down: Option<Duration>,
    /// Close the canvas to painters
    #[arg(long, conflicts_with_all = ["port", "allow_origin", "read_only", "strategy", "cool_down", "status"])]
    stop: bool,
    /// Show the nodes behind the canvas, and what has happened
    #[arg(long, conflicts_with_all = ["port", "allow_origin", "read_only", "strategy", "cool_down"])]
    status: bool,
}

/// What the address to be given away is for.
#[derive(Debug, clap::Args)]
#[command(after_help = SHARE_EXAMPLES)]
pub(super) struct ShareArgs {
    /// For looking, not for painting
    #[arg(long)]
    read_only: bool,
}

#[derive(Clone, Debug)]
enum Allowed {
    Any,
    One(Origin),
}

/// How the node behind a connection is chosen.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum StrategyName {
    /// One after the other
    RoundRobin,
    /// The one with the fewest connections
    LeastConnections,
    /// The leader, where one is known
    Leader,
}

/// Opens, shows or closes it.
pub(super) async fn serve(context: &Context, args: ServeArgs) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    if args.stop {
        let closed = daemon.ask(async |lab: Http| lab.canvas_close().await).await?;
        return context.output.report(&closed, |CanvasClosed { changed }| match changed {
            true => "the canvas is closed to painters".to_owned(),
            false => "the canvas was not open".to_owned(),
        });
    }
    if args.status {
        let report = daemon.ask(async |lab: Http| lab.canvas_status().await).await?;
        let none = || "the canvas is not open; open it with `raftianctl canvas serve`";
        let report = report.ok_or_else(|| Failure::failed(none()))?;
        let colour = context.output.colour();
        return context.output.report(&report, |report| status(report, colour));
    }
    let request = request(args)?;
    let report = daemon.ask(async |lab: Http| lab.canvas_serve(request).await).await?;
    context.output.report(&report, |report| {
        let already = if report.changed { "" } else { " already" };
        opened(report, already)
    })
}

/// Prints an address for painters.
pub(super) async fn share(context: &Context, args: ShareArgs) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let share = daemon.ask(async |lab: Http| lab.canvas_share(args.read_only).await).await?;
    if share.read_only != args.read_only && !context.output.is_json() {
        context.output.note("the canvas was opened for looking only, and so is this address");
    }
    context.output.data(&share, |CanvasShare { url, .. }| url.clone())
}

fn request(args: ServeArgs) -> Result<CanvasRequest, Failure> {
    let ServeArgs { port, allow_origin, read_only, strategy, cool_down, .. } = args;
    let is_any = allow_origin.iter().any(|allowed| matches!(allowed, Allowed::Any));
    let origins = match is_any {
        true if allow_origin.len() > 1 => {
            let why = "`--allow-origin any` allows every origin; leave out the others";
            return Err(Failure::new(Kind::Usage, why));
        }
        true => Origins::Any,
        false => Origins::Only(
            allow_origin
                .into_iter()
                .filter_map(|allowed| match allowed {
                    Allowed::Any => None,
                    Allowed::One(origin) => Some(origin),
                })
                .collect(),
        ),
    };
    let strategy = match strategy {
        StrategyName::RoundRobin => Strategy::RoundRobin,
        StrategyName::LeastConnections => Strategy::LeastConnections,
        StrategyName::Leader => Strategy::Leader,
    };
    let cool_down_ms = cool_down.map_or(0, words::millis);
    Ok(CanvasRequest { port, origins, read_only, strategy, cool_down_ms })
}

fn opened(report: &CanvasReport, already: &str) -> String {
    let CanvasReport { address, size, request, .. } = report;
    let looks = if request.read_only { ", for looking only" } else { "" };
    let who = match &request.origins {
        Origins::Any => "everybody on this machine may come in".to_owned(),
        Origins::Only(origins) if origins.is_empty() => {
            "`raftianctl canvas share` prints the address for painters".into()
        }
        Origins::Only(origins) => {
            let list: Vec<&str> = origins.iter().map(Origin::as_str).collect();
            format!("pages of {} may come in; `raftianctl canvas share` prints the address for others", list.join(", "))
        }
    };
    format!("the canvas of {size} is open{already} at http://{address}{looks}; {who}")
}

fn status(report: &CanvasReport, colour: bool) -> String {
    let columns = ["NODE", "HEALTH", "ROLE", "INDEX", "CONNECTIONS"];
    let aligned =
        columns.map(|name| (name, if ["INDEX", "CONNECTIONS"].contains(&name) { Align::Right } else { Align::Left }));
    let mut table = Table::new(aligned);
    for CanvasNode { node, healthy, check, role, index, connections } in &report.nodes {
        let health = format!("{}: {check}", if *healthy { "healthy" } else { "unhealthy" });
        let role = match role {
            Some(RoleKind::Leader) => "leader",
            Some(RoleKind::Candidate | RoleKind::PreCandidate) => "candidate",
            Some(RoleKind::Follower) => "follower",
            None => "",
        };
        table.row([node.to_string(), health, role.to_owned(), index.to_string(), connections.to_string()]);
    }
    let counts = report.counts;
    format!(
        "{}\n\n{}{} connections, {} pixels painted by {} commands, {} requests failed, {} refused, {} clients dropped, {} moved \
         to another node",
        opened(report, ""),
        table.render(colour),
        counts.connections,
        counts.pixels,
        counts.commands,
        counts.failed,
        counts.refused,
        counts.dropped,
        counts.moved
    )
}

fn allowed(text: &str) -> Result<Allowed, String> {
    if text == "any" {
        return Ok(Allowed::Any);
    }
    text.parse().map(Allowed::One).map_err(|error: raftian_rpc::lab::NotAnOrigin| format!("{error}, or `any`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_come_in_is_an_origin_or_any() {
        assert!(matches!(allowed("any"), Ok(Allowed::Any)));
        assert!(matches!(allowed("http://localhost:3000"), Ok(Allowed::One(_))));
        assert!(allowed("localhost").unwrap_err().contains("http://localhost:3000, or `any`"));
    }
}
