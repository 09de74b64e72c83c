//! `raftianctl canvas timelapse`: how the canvas came to be, as a moving picture or as a page.
//!
//! The picture is an animated PNG, which browsers and most viewers play and all others show the first frame of. The page stands in one
//! file, with a slider over every command; it loads nothing and works without a network.
//!
//! Deliberately absent: GIF, which has 256 colours and says nothing that an animated PNG does not.

use std::path::PathBuf;

use raftian_check::apps::Colour;
use raftian_rpc::{AppKind, Index, Size};
use serde::Serialize;
use serde_json::json;

use super::at::{beginning, warn, within};
use super::history::{History, Stroke};
use super::{Look, animation, pages, picture};
use crate::ask::Asked;
use crate::cli::Context;
use crate::failure::{Failure, Kind};

const EXAMPLES: &str = "\
Examples:
  raftianctl canvas timelapse --to canvas.png
  raftianctl canvas timelapse --to canvas.html
  raftianctl canvas timelapse --to a.png --from 100 --until 900 --frames 50

A .png is animated: browsers play it. An .html is a page of one file with a slider over every command and its painter, which \
works offline. Frames are as many commands apart as it takes; entries carry no time. Where a snapshot has taken the place of the \
first entries, what is unknown of the past is transparent.";

/// The most frames of a picture.
const MAX_FRAMES: u64 = 2_000;

/// The page, with a place for the data.
const PAGE: &str = include_str!("timelapse.html");
const DATA: &str = "/*data*/null";

/// Write how the canvas came to be
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The file to write: .png (animated) or .html
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, value_parser = form)]
    to: (PathBuf, Form),
    /// The index of the first entry of it [default: the first that is known]
    #[arg(long, value_name = "INDEX")]
    from: Option<Index>,
    /// The index of the last [default: the last there is]
    #[arg(long, value_name = "INDEX")]
    until: Option<Index>,
    /// How many frames a picture has, at most 2000; a page has them all
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=MAX_FRAMES))]
    frames: u64,
    #[command(flatten)]
    look: Look,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Png,
    Html,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Timelapse {
    file: PathBuf,
    size: Size,
    from: Index,
    until: Index,
    /// The first index whose entry is known.
    first_index: Index,
    /// The commands in it that painted.
    strokes: usize,
    /// The frames of the picture, or the positions of the slider.
    frames: usize,
    bytes: usize,
}

/// Writes it.
pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let asked = Asked::of(context, AppKind::Canvas, args.look.way).await?;
    let history = pages::history(&asked, args.look.stale).await?;
    warn(context, &history);
    let (from, until) = (args.from.unwrap_or(history.first).max(1), args.until.unwrap_or(history.last));
    if from > until + 1 {
        return Err(Failure::new(
            Kind::Usage,
            format!("nothing lies between index {from} and index {until}; turn them round"),
        ));
    }
    within(&history, from - 1)?;
    within(&history, until)?;
    let strokes = history.between(from, until);
    let start = history.board_at(from - 1);
    let (file, form) = args.to;
    let (bytes, frames) = match form {
        Form::Html => (page(&history, &start, strokes, (from, until)).into_bytes(), strokes.len() + 1),
        Form::Png => {
            let steps = steps(strokes, args.frames as usize);
            let frames = boards(&history, start, &steps);
            let bytes = animation::encode(history.size, animation::scale(history.size), frames, steps.len() + 1)
                .map_err(|error| Failure::failed(format!("{} cannot be encoded: {error}", file.display())))?;
            (bytes, steps.len() + 1)
        }
    };
    picture::save(&file, &bytes)?;
    let done = Timelapse {
        file,
        size: history.size,
        from,
        until,
        first_index: history.first,
        strokes: strokes.len(),
        frames,
        bytes: bytes.len(),
    };
    context.output.data(&done, |done| {
        let Timelapse { file, from, until, strokes, frames, first_index, .. } = done;
        let known = if *first_index > 1 { format!(" ({})", beginning(*first_index)) } else { String::new() };
        format!("{strokes} commands from index {from} to {until}{known} in {frames} frames: {}", file.display())
    })
}

/// The strokes between frames: as many frames as asked for, or one for each stroke where these are fewer.
fn steps(strokes: &[Stroke], frames: usize) -> Vec<&[Stroke]> {
    // The first frame is what was there before.
    let steps = frames.saturating_sub(1).min(strokes.len());
    let cut = |step: usize| strokes.len() * step / steps;
    (0..steps).map(|step| &strokes[cut(step)..cut(step + 1)]).collect()
}

/// The board before, and after each step.
fn boards<'a>(
    history: &'a History,
    start: Vec<Option<Colour>>,
    steps: &'a [&'a [Stroke]],
) -> impl Iterator<Item = Vec<Option<Colour>>> + 'a {
    let mut board = start.clone();
    let after = steps.iter().map(move |step| {
        step.iter().for_each(|stroke| history.paint(stroke, &mut board));
        board.clone()
    });
    std::iter::once(start).chain(after)
}

fn page(history: &History, start: &[Option<Colour>], strokes: &[Stroke], (from, until): (Index, Index)) -> String {
    // -1 is unknown.
    let board: Vec<i64> = start.iter().map(|colour| colour.map_or(-1, |colour| i64::from(colour.number()))).collect();
    let mut painters: Vec<&str> = strokes.iter().map(|stroke| &*stroke.painter).collect();
    painters.sort_unstable();
    painters.dedup();
    let strokes: Vec<_> = strokes
        .iter()
        .map(|stroke| {
            let painter = painters.binary_search(&&*stroke.painter).unwrap_or_default();
            let pixels: Vec<u32> = stroke
                .pixels
                .iter()
                .flat_map(|(x, y, colour)| [u32::from(*x), u32::from(*y), colour.number()])
                .collect();
            (stroke.index, painter, pixels)
        })
        .collect();
    let data = json!({
        "width": history.size.width(), "height": history.size.height(), "first": history.first, "from": from, "until": until,
        "painters": painters, "board": runs(&board), "strokes": strokes,
    });
    // What ends a script in HTML stands in no JSON.
    PAGE.replace(DATA, &data.to_string().replace('<', "\\u003c"))
}

/// Equal numbers in a row, as pairs of a count and the number.
fn runs(numbers: &[i64]) -> Vec<i64> {
    numbers.chunk_by(|one, other| one == other).flat_map(|run| [run.len() as i64, run[0]]).collect()
}

fn form(text: &str) -> Result<(PathBuf, Form), String> {
    let path = PathBuf::from(text);
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        Some("png" | "apng") => Ok((path, Form::Png)),
        Some("html" | "htm") => Ok((path, Form::Html)),
        Some("gif") => Err(format!(
            "`{text}` would be a GIF, which is not written here; an animated picture is a .png, a page is an .html"
        )),
        _ => Err(format!("`{text}` says no form; name it .png (an animated picture) or .html (a page with a slider)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stroke(index: Index) -> Stroke {
        Stroke { index, term: 1, painter: format!("p{index}"), pixels: vec![(0, 0, Colour::default())] }
    }

    #[test]
    fn frames_share_the_strokes_evenly_and_lose_none() {
        let strokes: Vec<Stroke> = (1..=10).map(stroke).collect();
        for (frames, sizes) in [(1, vec![]), (2, vec![10]), (4, vec![3, 3, 4]), (11, vec![1; 10]), (500, vec![1; 10])] {
            let steps = steps(&strokes, frames);
            assert_eq!(steps.iter().map(|step| step.len()).collect::<Vec<_>>(), sizes, "{frames} frames");
        }
        assert!(steps(&[], 10).is_empty());
    }

    #[test]
    fn a_page_has_one_place_for_its_data_and_loads_nothing() {
        assert_eq!(PAGE.matches(DATA).count(), 1);
        assert!(PAGE.contains("default-src 'none'"));
        for loading in ["src=", "href=", "@import", "fetch("] {
            assert!(!PAGE.contains(loading), "{loading}");
        }
        let history = History::of("2x1".parse().unwrap(), 1, &[], &[Colour::default(); 2]);
        let page = page(&history, &history.board_at(0), &[stroke(3)], (1, 3));
        assert!(page.contains(r#""board":[2,0]"#) && page.contains(r#""strokes":[[3,0,[0,0,0]]]"#), "{page}");
    }

    #[test]
    fn a_file_says_its_form() {
        assert_eq!(form("a.png").unwrap().1, Form::Png);
        assert_eq!(form("a.HTML").unwrap().1, Form::Html);
        assert!(form("a.gif").unwrap_err().contains("which is not written here"));
        assert!(form("a").unwrap_err().contains("name it .png"));
    }
}
