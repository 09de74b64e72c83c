//! A canvas as replicated state: pixels that many people paint at once.
//!
//! | op | answer |
//! |---|---|
//! | `{"paint":[[3,4,16711680],…]}` | `{"outcome":"painted"}`, or `{"outcome":"out_of_range","size":"64x64"}` and nothing changes |
//! | `{"pixel":[3,4]}` | `{"outcome":"found","colour":16711680,"index":7}` or `{"outcome":"unpainted"}`, or out of range |
//!
//! A colour is the number 0xRRGGBB. A batch has 1 to [`MAX_BATCH_PX`] pixels and is painted as a whole or not at all; where
//! it names a pixel twice, the last one counts. What is on no canvas at all ([`MAX_SIDE_PX`]) is refused before it reaches
//! the log; what is not on *this* one only by the state, which knows its size.
//!
//! One read is about many pixels: `{"region":[x,y,width,height]}` answers what of that is on the canvas:
//! `{"size":"64x64","region":[0,0,64,64],"rgb":"…"}`, three bytes per pixel, row by row, as base64. The whole of the largest
//! takes 4 MB, of the default 16 kB. It is no command, so no history has it.
//!
//! **The log is the history.** A pixel holds its colour and the index of the entry that painted it last: 16 bytes. Who that
//! was, and when, stands in that entry, so the question takes one look into the log. What the log has discarded keeps its
//! index and loses its painter: a name of up to 64 bytes per pixel would be four times the board, in each snapshot too.
//!
//! Deliberately absent: what a pixel showed before, which the log has; layers; erasing, which is painting.

mod colour;
mod grid;
mod saved;
mod size;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use raftian_raft::Index;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub use colour::{Colour, NotAColour};
pub use size::{MAX_SIDE_PX, ParseSizeError, Size};

use crate::app::{App, AppKind, NotARead, UnknownOp};
use crate::digest::Digest;
use crate::response::Response;
use grid::{Grid, Pixel};

/// The most pixels of one command.
pub const MAX_BATCH_PX: usize = 4_096;

const KNOWN_OPS: &str = r#"{"paint":[[X,Y,C],…]} and {"pixel":[X,Y]}, with 1 to 4096 pixels, X and Y from 0 to 999 and within the canvas, and a colour C from 0 to 16777215"#;

/// What an op reads like, for example `{"paint":[[3,4,255]]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CanvasOp {
    /// Paint pixels: where, and in which colour.
    Paint(Vec<(u16, u16, Colour)>),
    /// Read a pixel.
    Pixel(u16, u16),
}

/// Reads that are no commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CanvasRead {
    /// The colours of a rectangle: from which pixel on, and how many across and down.
    Region(u16, u16, u16, u16),
}

/// A part of a canvas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanvasRegion {
    /// The size of the whole.
    pub size: Size,
    /// What of it this is: left, top, width and height.
    pub region: (u16, u16, u16, u16),
    /// Red, green and blue of each pixel, row by row, as base64. What was never painted is black.
    pub rgb: String,
}

/// What came of an op, for example `{"outcome":"found","colour":255,"index":7}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanvasReply {
    /// What happened.
    pub outcome: CanvasReplyKind,
    /// The colour of the pixel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<Colour>,
    /// The entry that painted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
    /// The size of the canvas, where something was not on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
}

/// What an op did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CanvasReplyKind {
    /// All its pixels have their colours.
    Painted,
    /// The pixel has this colour.
    Found,
    /// The pixel was never painted.
    Unpainted,
    /// A pixel of it is not on the canvas: ignored, with all others.
    OutOfRange,
}

/// The canvas.
#[derive(Clone, Debug)]
pub struct Canvas {
    grid: Grid,
}

impl CanvasOp {
    /// Reads an op.
    ///
    /// # Errors
    /// When it is not one of a canvas, or of no size that a canvas can have; the error names the ops.
    pub fn parse(op: &RawValue) -> Result<CanvasOp, UnknownOp> {
        let known = serde_json::from_str(op.get()).ok().filter(CanvasOp::is_within_limits);
        known.ok_or_else(|| UnknownOp::new(AppKind::Canvas, op, KNOWN_OPS))
    }

    /// Whether all that it touches is on a canvas of this size.
    pub fn is_on(&self, size: Size) -> bool {
        match self {
            CanvasOp::Paint(pixels) => pixels.iter().all(|(x, y, _)| size.has(*x, *y)),
            CanvasOp::Pixel(x, y) => size.has(*x, *y),
        }
    }

    fn is_within_limits(&self) -> bool {
        let largest = Size::new(MAX_SIDE_PX, MAX_SIDE_PX);
        let is_batch = match self {
            CanvasOp::Paint(pixels) => (1..=MAX_BATCH_PX).contains(&pixels.len()),
            CanvasOp::Pixel(..) => true,
        };
        is_batch && largest.is_some_and(|largest| self.is_on(largest))
    }
}

impl CanvasRegion {
    /// Its colours, row by row; `None` if it is not what a canvas answers.
    pub fn colours(&self) -> Option<Vec<Colour>> {
        let bytes = STANDARD.decode(&self.rgb).ok()?;
        let (.., width, height) = self.region;
        let (colours, rest) = bytes.as_chunks::<3>();
        let is_whole = rest.is_empty() && colours.len() == usize::from(width) * usize::from(height);
        is_whole.then(|| colours.iter().copied().map(Colour::from_rgb).collect())
    }
}

impl Canvas {
    /// A canvas on which nothing was painted.
    pub fn new(size: Size) -> Canvas {
        Canvas { grid: Grid::new(size) }
    }

    /// Whether `op` is an op of a canvas, whatever its size.
    ///
    /// # Errors
    /// When it is not; the error names those that are.
    pub fn validate(op: &RawValue) -> Result<(), UnknownOp> {
        CanvasOp::parse(op).map(|_| ())
    }

    /// The canvas that [`App::save`] saved; `None` when that is no canvas.
    pub(crate) fn load(state: &RawValue) -> Option<Canvas> {
        Some(Canvas { grid: saved::load(state)? })
    }

    fn carry_out(&mut self, index: Index, op: &CanvasOp) -> CanvasReply {
        match op {
            CanvasOp::Pixel(x, y) => self.read(*x, *y),
            CanvasOp::Paint(_) if !op.is_on(self.grid.size()) => self.out_of_range(),
            CanvasOp::Paint(pixels) => {
                for (x, y, colour) in pixels {
                    self.grid.set(*x, *y, Pixel { colour: *colour, index });
                }
                CanvasReplyKind::Painted.alone()
            }
        }
    }

    fn read(&self, x: u16, y: u16) -> CanvasReply {
        if !self.grid.size().has(x, y) {
            return self.out_of_range();
        }
        match self.grid.get(x, y) {
            Pixel { index: 0, .. } => CanvasReplyKind::Unpainted.alone(),
            Pixel { colour, index } => {
                CanvasReply { colour: Some(colour), index: Some(index), ..CanvasReplyKind::Found.alone() }
            }
        }
    }

    fn out_of_range(&self) -> CanvasReply {
        CanvasReply { size: Some(self.grid.size()), ..CanvasReplyKind::OutOfRange.alone() }
    }

    fn region(&self, CanvasRead::Region(x, y, width, height): CanvasRead) -> CanvasRegion {
        let size = self.grid.size();
        let (x, y) = (x.min(size.width()), y.min(size.height()));
        let (width, height) = (width.min(size.width() - x), height.min(size.height() - y));
        let mut rgb = Vec::with_capacity(3 * usize::from(width) * usize::from(height));
        for y in y..y + height {
            (x..x + width).for_each(|x| rgb.extend(self.grid.get(x, y).colour.rgb()));
        }
        CanvasRegion { size, region: (x, y, width, height), rgb: STANDARD.encode(rgb) }
    }
}

impl App for Canvas {
    fn kind(&self) -> AppKind {
        AppKind::Canvas
    }

    fn apply(&mut self, index: Index, op: &RawValue) -> Response {
        match CanvasOp::parse(op) {
            Ok(op) => Response::of(&self.carry_out(index, &op)),
            Err(_) => Response::unknown_op(),
        }
    }

    fn query(&self, op: &RawValue) -> Result<Response, NotARead> {
        match CanvasOp::parse(op) {
            Ok(CanvasOp::Pixel(x, y)) => Ok(Response::of(&self.read(x, y))),
            _ => match serde_json::from_str(op.get()) {
                Ok(region) => Ok(Response::of(&self.region(region))),
                Err(_) => {
                    Err(NotARead::new(self.kind(), op, r#"whose reads are {"pixel":[X,Y]} and {"region":[X,Y,W,H]}"#))
                }
            },
        }
    }

    fn view(&self) -> Value {
        json!({ "size": self.grid.size(), "painted": self.grid.painted() })
    }

    fn digest(&self) -> Digest {
        self.grid.digest()
    }

    fn save(&self) -> Box<RawValue> {
        saved::save(&self.grid)
    }

    fn copy(&self) -> Box<dyn App> {
        Box::new(self.clone())
    }
}

impl CanvasReplyKind {
    fn alone(self) -> CanvasReply {
        CanvasReply { outcome: self, colour: None, index: None, size: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    /// Applies the ops, from index 1 on, to a canvas of 8×4 and compares each response's text.
    #[track_caller]
    fn check(script: &[(&str, &str)]) -> Canvas {
        let mut canvas = Canvas::new(Size::new(8, 4).unwrap());
        for (index, (op, response)) in (1..).zip(script) {
            assert_eq!(canvas.apply(index, &raw(op)).get(), *response, "to {op}");
        }
        canvas
    }

    const PAINTED: &str = r#"{"outcome":"painted"}"#;
    const OUT_OF_RANGE: &str = r#"{"outcome":"out_of_range","size":"8x4"}"#;

    #[test]
    fn a_pixel_has_the_last_colour_it_was_painted_in_and_the_entry_that_did() {
        check(&[
            (r#"{"pixel":[7,3]}"#, r#"{"outcome":"unpainted"}"#),
            (r#"{"paint":[[7,3,255],[0,0,16777215]]}"#, PAINTED),
            (r#"{"pixel":[7,3]}"#, r#"{"outcome":"found","colour":255,"index":2}"#),
            (r#"{"paint":[[7,3,1],[7,3,0]]}"#, PAINTED),
            (r#"{"pixel":[7,3]}"#, r#"{"outcome":"found","colour":0,"index":4}"#),
            (r#"{"pixel":[0,0]}"#, r#"{"outcome":"found","colour":16777215,"index":2}"#),
        ]);
    }

    #[test]
    fn a_batch_with_a_pixel_that_is_not_on_the_canvas_paints_nothing_and_says_so() {
        let canvas = check(&[
            (r#"{"paint":[[0,0,1],[8,0,1]]}"#, OUT_OF_RANGE),
            (r#"{"paint":[[0,4,1]]}"#, OUT_OF_RANGE),
            (r#"{"pixel":[8,0]}"#, OUT_OF_RANGE),
            (r#"{"pixel":[0,0]}"#, r#"{"outcome":"unpainted"}"#),
        ]);
        assert_eq!(canvas.view(), json!({ "size": "8x4", "painted": 0 }));
    }

    #[test]
    fn what_no_canvas_can_do_is_refused_before_the_log() {
        let most = format!(r#"{{"paint":[{}]}}"#, vec!["[0,0,1]"; MAX_BATCH_PX].join(","));
        assert_eq!(Canvas::validate(&raw(&most)), Ok(()));
        assert_eq!(Canvas::validate(&raw(r#"{"paint":[[999,999,16777215]]}"#)), Ok(()));
        let too_many = format!(r#"{{"paint":[{}]}}"#, vec!["[0,0,1]"; MAX_BATCH_PX + 1].join(","));
        let shapes = [
            r#"{"paint":[]}"#,
            r#"{"paint":[[0,0]]}"#,
            r#"{"paint":[[0,0,1,1]]}"#,
            r#"{"paint":[[0,0,16777216]]}"#,
            r#"{"paint":[[0,0,-1]]}"#,
            r#"{"paint":[[1000,0,1]]}"#,
            r#"{"paint":[[0,1000,1]]}"#,
            r#"{"paint":[[0.5,0,1]]}"#,
            r##"{"paint":[[0,0,"#ffffff"]]}"##,
            r#"{"pixel":[0,1000]}"#,
            r#"{"pixel":[0]}"#,
            r#"{"region":[0,0,1,1]}"#,
            r#"{"erase":[0,0]}"#,
            "1",
        ];
        for op in shapes.into_iter().chain([&*too_many]) {
            let why = Canvas::validate(&raw(op)).unwrap_err().to_string();
            assert!(why.contains(r#"{"paint":[[X,Y,C],…]}"#), "{why}");
            assert_eq!(check(&[]).apply(1, &raw(op)).get(), r#"{"error":"unknown_op"}"#);
        }
    }

    #[test]
    fn a_region_is_what_of_it_is_on_the_canvas() {
        let canvas = check(&[(r#"{"paint":[[6,3,66051],[7,3,255]]}"#, PAINTED)]);
        let read = |op: &str| serde_json::from_str::<CanvasRegion>(canvas.query(&raw(op)).unwrap().get()).unwrap();
        let corner = read(r#"{"region":[6,2,1000,1000]}"#);
        assert_eq!((corner.size.to_string(), corner.region), ("8x4".to_owned(), (6, 2, 2, 2)));
        let numbers: Vec<u32> = corner.colours().unwrap().into_iter().map(Colour::number).collect();
        assert_eq!(numbers, [0, 0, 66051, 255]);
        assert_eq!(read(r#"{"region":[0,0,1000,1000]}"#).colours().unwrap().len(), 32);
        assert_eq!(read(r#"{"region":[9,9,1,1]}"#).region, (8, 4, 0, 0));
        assert!(CanvasRegion { rgb: String::new(), ..corner }.colours().is_none());
        let why = canvas.query(&raw(r#"{"paint":[[0,0,1]]}"#)).unwrap_err().to_string();
        assert!(why.contains(r#"{"region":[X,Y,W,H]}"#), "{why}");
    }

    #[test]
    fn a_read_answers_as_the_command_would() {
        let mut canvas = check(&[(r#"{"paint":[[1,1,7]]}"#, PAINTED)]);
        for op in [r#"{"pixel":[1,1]}"#, r#"{"pixel":[0,0]}"#, r#"{"pixel":[9,9]}"#] {
            assert_eq!(canvas.query(&raw(op)).unwrap(), canvas.apply(2, &raw(op)));
        }
    }
}
