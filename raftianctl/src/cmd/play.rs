//! `raftianctl play`: a window onto one node's game.

use raftian_rpc::selector::Selector;

use crate::cli::Context;
use crate::failure::Failure;
use crate::units::{self, FpsCap};
use crate::window::Target;

const EXAMPLES: &str = "\
Examples:
  raftianctl play n2
  raftianctl play @leader --fps-cap 30

Any running node has a game to show, with `start --hosting` or without. Click a player to attack it: it is marked as \
proposed until a majority has committed the attack, and fades as it loses hit points when the order comes. Header and \
footer are amber while the node knows no leader. The window shows what this node has applied; open one for another \
node beside it and compare. Closing a window does nothing to its node. Needs a desktop (X11 or Wayland); `raftianctl \
screenshot n2` does not.";

/// Open a window onto a node's game, and attack by clicks
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The node: `n2`, or another selector that names one, such as `@leader`
    #[arg(value_name = "SELECTOR")]
    node: Selector,
    /// The most frames per second of the window, or `none` for as many as it can draw
    #[arg(long, value_name = "FPS", default_value = "60", value_parser = units::fps_cap, allow_hyphen_values = true)]
    fps_cap: FpsCap,
}

/// Plays until the window is closed.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let target = Target::find(context, args.node, "a window").await?;
    let node = target.node;
    let mut is_open = false;
    let opened = || {
        is_open = true;
        context.output.note(&format!("the window of {node} is open; close it, or press Ctrl-C here, to end"));
    };
    target.show(args.fps_cap.0, None, opened).await.map_err(|failure| {
        if is_open {
            return failure;
        }
        let otherwise = format!("`raftianctl screenshot {node}` makes a picture without a window");
        Failure::new(failure.kind(), format!("{}; {otherwise}", failure.message()))
    })
}
