//! `raftianctl player`: players join and leave the game.

use raftian_rpc::connect::Http;
use raftian_rpc::lab::LabClient as _;
use raftian_rpc::selector::Selector;
use raftian_rpc::{AppKind, Index, NodeId};
use serde::{Deserialize, Serialize};

use crate::ask::{Way, one, other_app};
use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::play::{play, summary};
use crate::table::{Align, Table};
use crate::units;

/// Let players join and leave the game
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  raftianctl player list\n  raftianctl player add 3\n  raftianctl player del 3",
    arg_required_else_help = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the players as one node has them: the leader, or the one that is named
    #[command(after_help = "Examples:\n  raftianctl player list\n  raftianctl player list n2")]
    List {
        /// The node: any selector that names one
        #[arg(value_name = "NODE", default_value = "@leader", hide_default_value = true)]
        node: Selector,
    },
    /// Put a player on the board, with 100 hp
    #[command(after_help = "Example:\n  raftianctl player add 3")]
    Add(Player),
    /// Take a player off the board, dead or alive
    #[command(after_help = "Example:\n  raftianctl player del 3")]
    Del(Player),
}

#[derive(Debug, clap::Args)]
struct Player {
    /// The number of the player
    #[arg(value_name = "PLAYER", value_parser = units::player, allow_hyphen_values = true)]
    player: u16,
    #[command(flatten)]
    way: Way,
}

/// The players, as a node has them.
#[derive(Debug, Serialize)]
struct Board {
    node: NodeId,
    /// The last entry that it has applied.
    last_applied: Index,
    players: Vec<OnBoard>,
}

#[derive(Debug, Deserialize, Serialize)]
struct OnBoard {
    player: u16,
    hp: u8,
}

async fn list(context: &Context, node: Selector) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let node = one(&daemon, node, "players are shown as they are at").await?;
    let status = daemon.ask(async |lab: Http| lab.status().await).await?;
    if let Some(other) = status.app.filter(|app| *app != AppKind::Attack) {
        return Err(other_app(other, AppKind::Attack));
    }
    let server = status.nodes.into_iter().find(|report| report.node == node).and_then(|report| report.server);
    let Some(server) = server else {
        return Err(Failure::new(Kind::Conflict, format!("{node} does not answer; see `raftianctl status`")));
    };
    let players = server.state.get("players").cloned().unwrap_or_default();
    let players = serde_json::from_value(players).map_err(|_| Failure::failed(format!("{node} has no board")))?;
    let board = Board { node, last_applied: server.last_applied, players };
    context.output.report(&board, |board| {
        let mut table = Table::new([("PLAYER", Align::Right), ("HP", Align::Right)]);
        board.players.iter().for_each(|OnBoard { player, hp }| table.row([player.to_string(), hp.to_string()]));
        let at = format!("as {} has applied all up to index {}\n", board.node, board.last_applied);
        table.render(context.output.colour()) + &at
    })
}

/// Lets one join or leave.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (op, Player { player, way }) = match args.verb {
        Verb::List { node } => return list(context, node).await,
        Verb::Add(player) => ("add", player),
        Verb::Del(player) => ("del", player),
    };
    let outcome = play(context, format!(r#"{{"{op}":{player}}}"#), way).await?;
    context.output.report(&outcome, summary)
}
