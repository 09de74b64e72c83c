//! `raftianctl attack`: one attack of the game.

use crate::ask::Way;
use crate::cli::Context;
use crate::failure::Failure;
use crate::play::{play, summary};
use crate::units;

const EXAMPLES: &str = "\
Examples:
  raftianctl attack 3
  raftianctl attack 3 --as n2

A player begins with 100 hp; an attack takes 30, so the fourth kills. A follower forwards the attack to the leader.";

/// Attack a player, through the leader or another node
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The number of the player
    #[arg(value_name = "PLAYER", value_parser = units::player, allow_hyphen_values = true)]
    player: u16,
    #[command(flatten)]
    way: Way,
}

/// Attacks.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let outcome = play(context, format!(r#"{{"attack":{}}}"#, args.player), args.way).await?;
    context.output.report(&outcome, summary)
}
