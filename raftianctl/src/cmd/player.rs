//! `raftianctl player`: players join and leave the game.

use crate::ask::Way;
use crate::cli::Context;
use crate::failure::Failure;
use crate::play::{play, summary};
use crate::units;

/// Let players join and leave the game
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  raftianctl player add 3\n  raftianctl player del 3",
    arg_required_else_help = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
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

/// Lets one join or leave.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (op, Player { player, way }) = match args.verb {
        Verb::Add(player) => ("add", player),
        Verb::Del(player) => ("del", player),
    };
    let outcome = play(context, format!(r#"{{"{op}":{player}}}"#), way).await?;
    context.output.report(&outcome, summary)
}
