//! `raftianctl canvas at`: the canvas as it was.

use std::path::PathBuf;

use raftian_rpc::{AppKind, Index, Size};
use serde::Serialize;

use super::history::History;
use super::{Look, animation, pages, picture};
use crate::ask::Asked;
use crate::cli::Context;
use crate::cmd::screenshot::is_picture;
use crate::failure::{Failure, Kind};

const EXAMPLES: &str = "\
Examples:
  raftianctl canvas at 812 --to then.png
  raftianctl canvas at 0 --to empty.png
  raftianctl canvas at 812 --as n2 -o json

The log is the history: it is replayed up to that entry. Where a snapshot has taken the place of the first entries, some \
pixels of the past are unknown: they are transparent in the picture. The log that reaches back the furthest is read, or with \
--as that of one node. Entries carry no time; `raftianctl log` shows which there are.";

/// Show the canvas as it was after an entry of the log
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The index of the entry; 0 is before the first
    #[arg(value_name = "INDEX")]
    index: Index,
    /// The PNG file to write
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    to: Option<PathBuf>,
    #[command(flatten)]
    look: Look,
}

/// The canvas at an index.
#[derive(Debug, Serialize)]
struct At {
    index: Index,
    size: Size,
    /// The first index whose entry is known.
    first_index: Index,
    /// The last index there is.
    last_index: Index,
    /// How many commands painted up to it, of those that are known.
    strokes: usize,
    /// Of how many pixels the colour then is unknown.
    unknown: usize,
    picture: Option<PathBuf>,
}

/// Shows it.
pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    args.to.as_deref().map_or(Ok(()), is_picture)?;
    let asked = Asked::of(context, AppKind::Canvas, args.look.way).await?;
    let history = pages::history(&asked, args.look.stale).await?;
    warn(context, &history);
    within(&history, args.index)?;
    let board = history.board_at(args.index);
    if let Some(path) = &args.to {
        let bytes = animation::encode(history.size, 1, std::iter::once(board.clone()), 1)
            .map_err(|error| Failure::failed(format!("{} cannot be encoded: {error}", path.display())))?;
        picture::save(path, &bytes)?;
    }
    let at = At {
        index: args.index,
        size: history.size,
        first_index: history.first,
        last_index: history.last,
        strokes: history.between(0, args.index).len(),
        unknown: board.iter().filter(|colour| colour.is_none()).count(),
        picture: args.to,
    };
    context.output.data(&at, |at| {
        let known = match at.unknown {
            0 => String::new(),
            unknown => format!("; of {unknown} pixels the colour is unknown: {}", beginning(at.first_index)),
        };
        let unseen = || "; `--to board.png` writes it".to_owned();
        let written = at.picture.as_ref().map_or_else(unseen, |path| format!(": {}", path.display()));
        let At { size, index, last_index, strokes, .. } = at;
        let several = if *strokes == 1 { "" } else { "s" };
        format!(
            "the canvas of {size} at index {index} of {last_index}, after {strokes} command{several}{known}{written}"
        )
    })
}

/// Whether an index lies where something is known.
pub(super) fn within(history: &History, index: Index) -> Result<(), Failure> {
    let refuse = |why| Err(Failure::new(Kind::Usage, why));
    if index > history.last {
        return refuse(format!("there is no index {index} yet: the log ends at {}", history.last));
    }
    if index + 1 < history.first {
        return refuse(format!(
            "what the canvas showed at index {index} stands in no log any more: {}; the earliest is `raftianctl canvas at {}`",
            beginning(history.first),
            history.first - 1
        ));
    }
    Ok(())
}

/// Why nothing is known before an index.
pub(super) fn beginning(first: Index) -> String {
    format!("a snapshot stands for all before index {first}")
}

/// Says so when a node does not show what its log leads to.
pub(super) fn warn(context: &Context, history: &History) {
    if history.contradicted > 0 {
        context.output.note(&format!(
            "{} pixels do not show what the log leads to; see `raftianctl doctor`",
            history.contradicted
        ));
    }
}
