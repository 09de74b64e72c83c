//! `raftianctl canvas`: paint on the replicated canvas, look at it, and open it to others.

mod animation;
mod at;
mod blame;
mod history;
mod measure;
mod pages;
mod picture;
mod rollback;
mod serve;
mod timelapse;

use std::path::{Path, PathBuf};

use raftian_check::apps::{
    CanvasOp, CanvasRead, CanvasRegion, CanvasReply, CanvasReplyKind, Colour, MAX_BATCH_PX, MAX_SIDE_PX, Size,
};
use raftian_rpc::AppKind;
use raftian_rpc::client::Consistency;
use serde::Serialize;

use super::screenshot::is_picture;
use crate::ask::{Asked, Outcome, Way};
use crate::cli::Context;
use crate::failure::{Failure, Kind};
use picture::Picture;

/// The longest name of a painter.
const MAX_PAINTER_BYTES: usize = 40;

const EXAMPLES: &str = "\
Examples:
  raftianctl start -n 3 --app canvas --size 200x100
  raftianctl canvas set 3 4 red
  raftianctl canvas get 3 4
  raftianctl canvas draw cat.png --at 20,10
  raftianctl canvas screenshot canvas.png
  raftianctl canvas blame 3 4
  raftianctl canvas timelapse --to canvas.html
  raftianctl canvas serve

The first pixel is at 0 0, on the upper left: columns go right, rows go down.";

const SET_EXAMPLES: &str = "\
Examples:
  raftianctl canvas set 3 4 red
  raftianctl canvas set 3 4 ff8000 --by alice

A colour is six hexadecimal digits, or one of: black, silver, gray, white, maroon, red, purple, fuchsia, green, lime, \
olive, yellow, navy, blue, teal, aqua. `#ff8000` is understood too; in a shell it needs quotation marks.";

const GET_EXAMPLES: &str = "\
Examples:
  raftianctl canvas get 3 4
  raftianctl canvas get 3 4 --stale --as n2
  raftianctl canvas get 3 4 -o json

The exit code is 1 when the pixel was never painted. JSON also has the index of the entry that painted it, and \
`raftianctl log` has the entry. Without --stale the answer is linearizable: it is no older than the question.";

const DRAW_EXAMPLES: &str = "\
Examples:
  raftianctl canvas draw cat.png
  raftianctl canvas draw cat.png --at 20,10 --by alice

All of the picture must be on the canvas. What is transparent in it is left as it is. It is painted row by row, 4096 \
pixels with each command, so others may see the upper half first.";

const SCREENSHOT_EXAMPLES: &str = "\
Examples:
  raftianctl canvas screenshot canvas.png
  raftianctl canvas screenshot n2.png --stale --as n2

All pixels are of one moment, and what was never painted is black. A file of that name is overwritten.";

/// Paint on the replicated canvas, and open it to others
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Paint a pixel
    #[command(visible_alias = "paint", after_help = SET_EXAMPLES)]
    Set {
        #[command(flatten)]
        place: Place,
        /// The colour: ff8000, or a name such as red
        #[arg(value_name = "COLOUR", value_parser = colour)]
        colour: Colour,
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        way: Way,
    },
    /// Print the colour of a pixel
    #[command(after_help = GET_EXAMPLES)]
    Get {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        look: Look,
    },
    /// Paint a picture
    #[command(after_help = DRAW_EXAMPLES)]
    Draw {
        /// The picture, a PNG file
        #[arg(value_name = "PICTURE", value_hint = clap::ValueHint::FilePath)]
        picture: PathBuf,
        /// Where its upper left corner is to be
        #[arg(long, value_name = "X,Y", default_value = "0,0", value_parser = corner, allow_hyphen_values = true)]
        at: (u16, u16),
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        way: Way,
    },
    /// Write the whole canvas into a PNG file
    #[command(after_help = SCREENSHOT_EXAMPLES)]
    Screenshot {
        /// The PNG file to write
        #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        look: Look,
    },
    At(at::Args),
    Blame(blame::Args),
    Rollback(rollback::Args),
    Timelapse(timelapse::Args),
    /// Open the canvas to painters in browsers, and nothing else of the lab
    Serve(serve::ServeArgs),
    /// Print an address by which painters come in
    Share(serve::ShareArgs),
    /// Put a load on an open canvas, as browsers do, and measure how soon they see it
    Measure(measure::Args),
}

/// How the canvas is looked at.
#[derive(Debug, clap::Args)]
struct Look {
    /// From the state of the node that is asked, which may lag behind
    #[arg(long)]
    stale: bool,
    #[command(flatten)]
    way: Way,
}

/// Who paints.
#[derive(Debug, clap::Args)]
struct By {
    /// The painter, whom `canvas blame` names [default: a name of the command's own]
    #[arg(long, value_name = "PAINTER", value_parser = painter)]
    by: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct Place {
    /// The column, from 0 on
    #[arg(value_name = "X", value_parser = coordinate, allow_hyphen_values = true)]
    x: u16,
    /// The row, from 0 on
    #[arg(value_name = "Y", value_parser = coordinate, allow_hyphen_values = true)]
    y: u16,
}

/// What was drawn.
#[derive(Debug, Serialize)]
struct Drawn {
    /// The pixels that were painted.
    pixels: usize,
    /// With how many commands.
    commands: usize,
    /// Where the last of them stands in the log; `None` where there was nothing to paint.
    index: Option<u64>,
    /// From the first try to the last answer, in milliseconds.
    latency_ms: f64,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Screenshot {
    picture: PathBuf,
    size: Size,
    /// The last entry that went into it.
    index: u64,
}

/// Paints or looks. The exit code is 1 where a pixel that was never painted is read.
pub(crate) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args.verb {
        Verb::Set { place, colour, by, way } => set(context, place, colour, by, way).await.map(|()| 0),
        Verb::Get { place, look } => get(context, place, look).await,
        Verb::Draw { picture, at, by, way } => draw(context, &picture, at, by, way).await.map(|()| 0),
        Verb::Screenshot { file, look } => screenshot(context, &file, look).await.map(|()| 0),
        Verb::At(args) => at::run(context, args).await.map(|()| 0),
        Verb::Blame(args) => blame::run(context, args).await,
        Verb::Rollback(args) => rollback::run(context, args).await.map(|()| 0),
        Verb::Timelapse(args) => timelapse::run(context, args).await.map(|()| 0),
        Verb::Serve(args) => serve::serve(context, args).await.map(|()| 0),
        Verb::Share(args) => serve::share(context, args).await.map(|()| 0),
        Verb::Measure(args) => measure::measure(context, args).await.map(|()| 0),
    }
}

async fn set(context: &Context, Place { x, y }: Place, colour: Colour, By { by }: By, way: Way) -> Result<(), Failure> {
    let asked = Asked::of(context, AppKind::Canvas, way).await?;
    let op = encode(&CanvasOp::Paint(vec![(x, y, colour)]));
    let outcome: Outcome<CanvasReply> = asked.submit_as(by.as_deref(), op).await?;
    is_on_canvas(outcome.response, x, y)?;
    context.output.data(&outcome, |outcome| format!("pixel {x},{y} is {colour} {}", outcome.measured()))
}

async fn get(context: &Context, Place { x, y }: Place, Look { stale, way }: Look) -> Result<u8, Failure> {
    let asked = Asked::of(context, AppKind::Canvas, way).await?;
    let outcome: Outcome<CanvasReply> = asked.read(encode(&CanvasOp::Pixel(x, y)), consistency(stale)).await?;
    is_on_canvas(outcome.response, x, y)?;
    let colour = outcome.response.colour;
    if colour.is_none() && !context.output.is_json() {
        context.output.note(&format!("pixel {x},{y} was never painted"));
    }
    let text = |_: &Outcome<CanvasReply>| colour.map_or_else(String::new, |colour| colour.to_string());
    context.output.data(&outcome, text).map(|()| u8::from(colour.is_none()))
}

async fn draw(context: &Context, path: &Path, at: (u16, u16), By { by }: By, way: Way) -> Result<(), Failure> {
    let picture = Picture::read(path)?;
    let asked = Asked::of(context, AppKind::Canvas, way).await?;
    let nothing: Outcome<CanvasRegion> =
        asked.read(encode(&CanvasRead::Region(0, 0, 0, 0)), Consistency::Stale).await?;
    fits(&picture, at, nothing.response.size)?;
    let pixels: Vec<(u16, u16, Colour)> = picture.at(at).collect();
    let mut drawn = Drawn { pixels: 0, commands: 0, index: None, latency_ms: 0.0 };
    for batch in pixels.chunks(MAX_BATCH_PX) {
        let outcome: Outcome<CanvasReply> =
            asked.submit_as(by.as_deref(), encode(&CanvasOp::Paint(batch.to_vec()))).await.map_err(|failure| {
                let message = match drawn.pixels {
                    0 => failure.message().to_owned(),
                    painted => {
                        format!("{} (the first {painted} of {} pixels are painted)", failure.message(), pixels.len())
                    }
                };
                Failure::new(failure.kind(), message)
            })?;
        let (x, y, _) = batch[0];
        is_on_canvas(outcome.response, x, y)?;
        drawn = Drawn {
            pixels: drawn.pixels + batch.len(),
            commands: drawn.commands + 1,
            index: Some(outcome.index),
            latency_ms: drawn.latency_ms + outcome.latency_ms,
        };
    }
    context.output.data(&drawn, |drawn| {
        let Drawn { pixels, commands, index, latency_ms } = drawn;
        let several = if *commands == 1 { "" } else { "s" };
        match index {
            Some(index) => {
                format!("{pixels} pixels painted by {commands} command{several} (index {index}, {latency_ms:.1} ms)")
            }
            None => "nothing painted: all of the picture is transparent".to_owned(),
        }
    })
}

async fn screenshot(context: &Context, path: &Path, Look { stale, way }: Look) -> Result<(), Failure> {
    is_picture(path)?;
    let asked = Asked::of(context, AppKind::Canvas, way).await?;
    let whole = encode(&CanvasRead::Region(0, 0, MAX_SIDE_PX, MAX_SIDE_PX));
    let outcome: Outcome<CanvasRegion> = asked.read(whole, consistency(stale)).await?;
    let Outcome { node, index, response, .. } = outcome;
    let colours = response.colours();
    let colours = colours.ok_or_else(|| Failure::failed(format!("{node} answered what no canvas is")))?;
    picture::write(path, response.size.width(), &colours)?;
    let done = Screenshot { picture: path.to_owned(), size: response.size, index };
    context
        .output
        .data(&done, |done| format!("the canvas of {} as of index {index}: {}", done.size, done.picture.display()))
}

fn consistency(stale: bool) -> Consistency {
    if stale { Consistency::Stale } else { Consistency::Linearizable }
}

fn encode(op: &impl Serialize) -> String {
    serde_json::to_string(op).expect("numbers become JSON")
}

/// Whether the canvas has that pixel: one that it does not have was nothing to ask for.
fn is_on_canvas(reply: CanvasReply, x: u16, y: u16) -> Result<(), Failure> {
    match (reply.outcome, reply.size) {
        (CanvasReplyKind::OutOfRange, Some(size)) => {
            Err(usage(format!("pixel {x},{y} is not on the canvas: {}", on(size))))
        }
        _ => Ok(()),
    }
}

/// `it has columns 0 to 63 and rows 0 to 63`.
fn on(size: Size) -> String {
    format!("it has columns 0 to {} and rows 0 to {}", size.width() - 1, size.height() - 1)
}

/// Whether all of a picture is on the canvas when it is there.
fn fits(picture: &Picture, (x, y): (u16, u16), size: Size) -> Result<(), Failure> {
    let Picture { width, height, .. } = *picture;
    match size.has(x + width - 1, y + height - 1) {
        true => Ok(()),
        false => Err(usage(format!(
            "a picture of {width}x{height} at {x},{y} is not all on the canvas: {}; scale it down or move it with --at",
            on(size)
        ))),
    }
}

fn usage(why: String) -> Failure {
    Failure::new(Kind::Usage, why)
}

fn colour(text: &str) -> Result<Colour, String> {
    text.parse().map_err(|error: raftian_check::apps::NotAColour| error.to_string())
}

fn coordinate(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|number| *number < MAX_SIDE_PX);
    number.ok_or_else(|| format!("`{text}` is not a column or a row; write a number from 0 to {}: 3", MAX_SIDE_PX - 1))
}

/// A name that leaves room for the number of a session behind it.
fn painter(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match (1..=MAX_PAINTER_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is not a painter; write 1 to {MAX_PAINTER_BYTES} of A-Z a-z 0-9 . _ -: alice")),
    }
}

/// `20,10`.
fn corner(text: &str) -> Result<(u16, u16), String> {
    let (x, y) = text.split_once(',').ok_or_else(|| format!("`{text}` is not a place; write column and row: 20,10"))?;
    Ok((coordinate(x)?, coordinate(y)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_that_the_canvas_does_not_have_is_wrong_usage() {
        let reply = CanvasReply {
            outcome: CanvasReplyKind::OutOfRange,
            colour: None,
            index: None,
            size: Some("64x32".parse().unwrap()),
        };
        let refused = is_on_canvas(reply, 64, 0).unwrap_err();
        assert_eq!(refused.kind(), Kind::Usage);
        assert_eq!(refused.message(), "pixel 64,0 is not on the canvas: it has columns 0 to 63 and rows 0 to 31");
    }

    #[test]
    fn a_picture_fits_if_all_of_it_is_on_the_canvas() {
        let picture = Picture { width: 4, height: 2, pixels: vec![None; 8] };
        let size = "10x10".parse().unwrap();
        assert_eq!(fits(&picture, (6, 8), size), Ok(()));
        for at in [(7, 8), (6, 9), (999, 999)] {
            let refused = fits(&picture, at, size).unwrap_err();
            assert!(
                refused.message().contains("columns 0 to 9 and rows 0 to 9; scale it down"),
                "{}",
                refused.message()
            );
        }
    }

    #[test]
    fn places_are_two_numbers() {
        assert_eq!(corner("20,10"), Ok((20, 10)));
        assert!(corner("20").unwrap_err().contains("write column and row: 20,10"));
        for text in ["20,", "-1,0", "1000,0", "1,2,3", "a,b"] {
            assert!(corner(text).unwrap_err().contains("is not a column or a row"), "{text}");
        }
        assert_eq!(painter("alice_1"), Ok("alice_1".to_owned()));
        for text in ["", "a:b", "a b", &"x".repeat(41)] {
            assert!(painter(text).unwrap_err().contains("is not a painter; write 1 to 40"), "{text}");
        }
        assert!(colour("reddish").unwrap_err().contains("`reddish` is not a colour"));
    }
}
