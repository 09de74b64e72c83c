//! `raftianctl screenshot`: one node's game as a picture, without a window.

use std::path::{Path, PathBuf};

use raftian_rpc::NodeId;
use raftian_rpc::selector::Selector;
use serde::Serialize;

use crate::cli::Context;
use crate::failure::{Failure, Kind};
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
    args.to.as_deref().map_or(Ok(()), is_picture)?;
    let target = Target::find(context, args.node, "a picture").await?;
    let path = args.to.unwrap_or_else(|| PathBuf::from(format!("{}.png", target.node)));
    let picture = std::path::absolute(&path)
        .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", path.display())))?;
    target.show(None, Some(picture.clone()), || {}).await?;
    let done = Screenshot { node: target.node, picture };
    context.output.data(&done, |done| format!("{} as it stands: {}", done.node, done.picture.display()))
}

/// Whether a file of this name can hold one: a name without an ending can.
pub(super) fn is_picture(file: &Path) -> Result<(), Failure> {
    let usage = |why| Err(Failure::new(Kind::Usage, why));
    match file.extension() {
        _ if file == Path::new("-") => {
            usage("a picture goes into a file, not to standard output; name it .png".to_owned())
        }
        Some(ending) if !ending.eq_ignore_ascii_case("png") => usage(format!(
            "{} would be a picture in a form `{}`, which there is not; name it .png",
            file.display(),
            ending.display()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_a_png() {
        let refused = |name: &str| is_picture(Path::new(name)).unwrap_err();
        for name in ["board.png", "board.PNG", "board", "a.b/board"] {
            assert_eq!(is_picture(Path::new(name)), Ok(()), "{name}");
        }
        for name in ["board.jpg", "board.png.gz", "-"] {
            assert_eq!(refused(name).kind(), Kind::Usage);
            assert!(refused(name).message().contains("name it .png"), "{name}");
        }
    }
}
