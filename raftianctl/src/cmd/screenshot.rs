//! `raftianctl screenshot`: one node's game as a picture, without a window.

use std::path::PathBuf;

use raftian_rpc::NodeId;
use raftian_rpc::selector::Selector;
use serde::Serialize;

use crate::cli::Context;
use crate::failure::Failure;
use crate::window::Target;

const EXAMPLES: &str = "\
Examples:
  raftianctl screenshot n2
  raftianctl screenshot @leader --to board.png

The picture is what a window onto the node (`raftianctl play`) would show now: the players as this node has applied \
the attacks on them. A file of that name is overwritten.";

/// Write a picture of a node's game, without a window
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The node: `n2`, or another selector that names one, such as `@leader`
    #[arg(value_name = "SELECTOR")]
    node: Selector,
    /// The PNG file to write [default: in the current folder, named after the node: n2.png]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Screenshot {
    node: NodeId,
    picture: PathBuf,
}

/// Writes the picture.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let target = Target::find(context, args.node).await?;
    let path = args.to.unwrap_or_else(|| PathBuf::from(format!("{}.png", target.node)));
    let picture = std::path::absolute(&path)
        .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", path.display())))?;
    target.show(None, Some(picture.clone()), || {}).await?;
    let done = Screenshot { node: target.node, picture };
    context.output.data(&done, |done| format!("{} as it stands: {}", done.node, done.picture.display()))
}
