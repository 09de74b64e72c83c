//! `raftianctl canvas rollback`: the pixels of a painter, back to what they showed before.
//!
//! Invariant: nothing is undone. What is painted are ordinary commands, on behalf of a painter of its own (`rollback-7f3a`), who
//! can be rolled back in turn.

use raftian_check::apps::{CanvasOp, CanvasReply, MAX_BATCH_PX};
use raftian_rpc::{AppKind, Index};
use serde::Serialize;

use super::at::{beginning, warn};
use super::history::Area;
use super::{coordinate, encode, pages, painter};
use crate::ask::{Asked, Outcome, Way};
use crate::cli::Context;
use crate::failure::{Failure, Kind};

const EXAMPLES: &str = "\
Examples:
  raftianctl canvas rollback --by mallory --dry-run
  raftianctl canvas rollback --by mallory
  raftianctl canvas rollback --by mallory --box 10,10,20,5 --since 812

Every pixel that shows what this painter painted gets the colour that it had before; black, if it had none. What others have \
painted over it stays. Who paints while this command runs may be painted over. It is painted with \
4096 pixels in each entry, by a painter of its own: to take it back, roll that one back. Entries carry no time, so --since takes \
the index of an entry; `raftianctl log` and `raftianctl canvas blame` show them.";

/// Put back what somebody painted
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The painter, as `canvas blame` names them
    #[arg(long, value_name = "PAINTER", value_parser = painter)]
    by: String,
    /// Only within this rectangle: column, row, width, height
    #[arg(long = "box", value_name = "X,Y,W,H", value_parser = area, allow_hyphen_values = true)]
    area: Option<Area>,
    /// Only what was painted by this entry or later ones
    #[arg(long, value_name = "INDEX", value_parser = since, default_value = "1")]
    since: Index,
    /// Say what would be painted, and paint nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    way: Way,
}

/// What was put back.
#[derive(Debug, Default, Serialize)]
struct RolledBack {
    /// The pixels that were put back, or would be.
    pixels: usize,
    /// With how many commands.
    commands: usize,
    /// Pixels that others have painted over.
    painted_over: usize,
    /// Pixels of which no log tells what they showed before.
    unknown: usize,
    /// The first index whose entry is known.
    first_index: Index,
    /// The index of the last of these commands.
    index: Option<Index>,
    /// Who painted them: the one to roll back in order to revert this.
    painter: Option<String>,
    dry_run: bool,
}

/// Puts the pixels back.
pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let asked = Asked::of(context, AppKind::Canvas, args.way).await?;
    let history = pages::history(&asked, false).await?;
    warn(context, &history);
    if !history.strokes.iter().any(|stroke| stroke.painter == args.by) {
        let since = if history.first > 1 { format!(" since index {}", history.first) } else { String::new() };
        let why = format!(
            "no pixel was painted by `{}`{since}; `raftianctl canvas blame X Y` names the painter of a pixel",
            args.by
        );
        return Err(Failure::new(Kind::Conflict, why));
    }
    let rollback = history.rollback(&args.by, args.area, args.since);
    let mut done = RolledBack {
        pixels: rollback.pixels.len(),
        commands: rollback.pixels.len().div_ceil(MAX_BATCH_PX),
        painted_over: rollback.painted_over,
        unknown: rollback.unknown,
        first_index: history.first,
        dry_run: args.dry_run,
        ..RolledBack::default()
    };
    if !args.dry_run && !rollback.pixels.is_empty() {
        let painter = format!("rollback-{:08x}", fastrand::u32(..));
        for (place, batch) in rollback.pixels.chunks(MAX_BATCH_PX).enumerate() {
            let op = encode(&CanvasOp::Paint(batch.to_vec()));
            let outcome: Outcome<CanvasReply> = asked.submit_as(Some(&painter), op).await.map_err(|failure| {
                let message = format!(
                    "{} ({} of {} pixels are put back by {painter}; the same command again does the rest)",
                    failure.message(),
                    place * MAX_BATCH_PX,
                    rollback.pixels.len()
                );
                Failure::new(failure.kind(), message)
            })?;
            done.index = Some(outcome.index);
        }
        done.painter = Some(painter);
    }
    context.output.report(&done, |done| text(&args.by, done))
}

fn text(by: &str, done: &RolledBack) -> String {
    let plural = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let pixels = plural(done.pixels, "pixel");
    let mut text = match (done.index, &done.painter) {
        (Some(index), Some(painter)) => format!(
            "{pixels} of {by} put back by {} (index {index}); to take it back: `raftianctl canvas rollback --by {painter}`",
            plural(done.commands, "command")
        ),
        _ if done.pixels == 0 => {
            format!("nothing to put back: what {by} painted was painted over, or is what was shown before")
        }
        _ => format!("{pixels} of {by} would be put back by {}", plural(done.commands, "command")),
    };
    if done.painted_over > 0 {
        let verb = if done.painted_over == 1 { "was" } else { "were" };
        text += &format!("\n{} {verb} painted over by others, and stay", plural(done.painted_over, "pixel"));
    }
    if done.unknown > 0 {
        let stay = if done.unknown == 1 { "stays" } else { "stay" };
        let unknown = plural(done.unknown, "pixel");
        text +=
            &format!("\n{unknown} {stay}, since no log tells what was shown before: {}", beginning(done.first_index));
    }
    text
}

/// `10,10,20,5`.
fn area(text: &str) -> Result<Area, String> {
    let parts: Vec<&str> = text.split(',').collect();
    let [x, y, width, height] = parts[..] else {
        return Err(format!("`{text}` is not a rectangle; write column, row, width and height: 10,10,20,5"));
    };
    let side = |text: &str| {
        let side = text.parse().ok().filter(|side| (1..=raftian_rpc::MAX_SIDE_PX).contains(side));
        side.ok_or_else(|| format!("`{text}` is not a width or a height; write a number from 1 to 1000"))
    };
    Ok(Area { x: coordinate(x)?, y: coordinate(y)?, width: side(width)?, height: side(height)? })
}

/// An index; a time is refused with the reason.
fn since(text: &str) -> Result<Index, String> {
    let index = text.parse().ok().filter(|index| *index > 0);
    index.ok_or_else(|| {
        format!("`{text}` is not the index of an entry, from 1 on; entries carry no time, `raftianctl log` shows their indexes")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_is_four_numbers_and_a_beginning_is_an_index() {
        assert_eq!(area("10,11,20,5"), Ok(Area { x: 10, y: 11, width: 20, height: 5 }));
        assert!(area("10,10").unwrap_err().contains("write column, row, width and height"));
        assert!(area("1,1,0,1").unwrap_err().contains("not a width or a height"));
        assert!(area("-1,1,1,1").unwrap_err().contains("not a column or a row"));
        assert_eq!(since("812"), Ok(812));
        for text in ["2m", "0", "-1", ""] {
            assert!(since(text).unwrap_err().contains("entries carry no time"), "{text}");
        }
    }

    #[test]
    fn what_was_done_is_said_with_what_was_left() {
        let done =
            RolledBack { pixels: 1, commands: 1, painted_over: 2, unknown: 3, first_index: 9, ..RolledBack::default() };
        assert_eq!(
            text("a", &done),
            "1 pixel of a would be put back by 1 command\n2 pixels were painted over by others, and stay\n3 pixels stay, since no \
             log tells what was shown before: a snapshot stands for all before index 9"
        );
        assert!(text("a", &RolledBack::default()).starts_with("nothing to put back"));
    }
}
