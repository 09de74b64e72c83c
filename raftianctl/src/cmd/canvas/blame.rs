//! `raftianctl canvas blame`: who painted a pixel.

use raftian_check::apps::{CanvasOp, CanvasReply, Colour};
use raftian_rpc::{AppKind, Index, Term};
use serde::Serialize;

use super::at::{beginning, warn};
use super::{Look, Place, consistency, encode, is_on_canvas, pages};
use crate::ask::{Asked, Outcome};
use crate::cli::Context;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  raftianctl canvas blame 3 4
  raftianctl canvas blame 3 4 --all
  raftianctl canvas blame 3 4 -o json

The painter is who the command was given by: `canvas set --by NAME`, a painter of `canvas share`, or a name like cli-7f3a that \
one command had. The exit code is 1 when the pixel was never painted. Entries carry no time.";

/// Tell who painted a pixel
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Everyone who ever painted it, the latest first
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    look: Look,
}

/// Who painted a pixel.
#[derive(Debug, Serialize)]
struct Blame {
    x: u16,
    y: u16,
    /// The first index whose entry is known.
    first_index: Index,
    /// The entry that gave it its present colour; `None` if it was never painted.
    index: Option<Index>,
    /// The strokes that are known, the latest first.
    strokes: Vec<Stroke>,
}

#[derive(Debug, Serialize)]
struct Stroke {
    index: Index,
    term: Term,
    painter: String,
    colour: Colour,
}

/// Tells who it was. The exit code is 1 where a pixel was never painted.
pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let Place { x, y } = args.place;
    let asked = Asked::of(context, AppKind::Canvas, args.look.way).await?;
    let pixel: Outcome<CanvasReply> = asked.read(encode(&CanvasOp::Pixel(x, y)), consistency(args.look.stale)).await?;
    is_on_canvas(pixel.response, x, y)?;
    let history = pages::history(&asked, args.look.stale).await?;
    warn(context, &history);
    let known = history.of_pixel(x, y).take(if args.all { usize::MAX } else { 1 });
    let strokes: Vec<Stroke> = known
        .map(|(stroke, colour)| Stroke {
            index: stroke.index,
            term: stroke.term,
            painter: stroke.painter.clone(),
            colour,
        })
        .collect();
    // It may have been painted since it was read.
    let index = strokes.first().map(|stroke| stroke.index).or(pixel.response.index);
    let blame = Blame { x, y, first_index: history.first, index, strokes };
    if index.is_none() && !context.output.is_json() {
        context.output.note(&format!("pixel {x},{y} was never painted"));
    }
    context.output.data(&blame, text).map(|()| u8::from(index.is_none()))
}

fn text(blame: &Blame) -> String {
    let Blame { x, y, first_index, index, strokes } = blame;
    let line = |stroke: &Stroke| {
        let Stroke { index, term, painter, colour } = stroke;
        format!("pixel {x},{y}: {colour} by {painter} (index {index}, term {term})")
    };
    match (strokes.is_empty(), index) {
        (false, _) => strokes.iter().map(line).collect::<Vec<String>>().join("\n"),
        (true, Some(index)) => format!(
            "pixel {x},{y}: painted by entry {index}, which stands in no log any more: {}",
            beginning(*first_index)
        ),
        (true, None) => String::new(),
    }
}
