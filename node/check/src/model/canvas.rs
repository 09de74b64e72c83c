//! One pixel of a canvas.
//!
//! A batch is a write of each of its pixels, and each pixel is judged by itself. So the search does not see whether a batch
//! was painted as a whole: of two batches that cross, each may come first on another pixel. The replay of the log does, for
//! an entry is one place in it, and each read is held against the state there; so does it see the index that a read tells.
//!
//! A pixel that nobody read is left out: its writes say nothing that an order would have to explain. A long run paints many
//! pixels with each command, and reads few.

use std::collections::{BTreeMap, HashSet};

use raftian_apps::{CanvasOp, CanvasReply, CanvasReplyKind, Colour, Machine, Response, Size};
use serde_json::value::{RawValue, to_raw_value};

use crate::history::{Operation, Outcome};
use crate::search::{Makes, Transition};

/// A pixel, by its column and its row.
pub(crate) type Place = (u16, u16);

/// What is known of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pixel {
    /// Nothing.
    Any,
    /// It was never painted.
    Unpainted,
    /// It has this colour.
    Colour(Colour),
}

/// What an op did to a pixel, as its client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// Nothing: the pixel was, and is, like this.
    Saw(Pixel),
    /// It has this colour now.
    Painted(Colour),
    /// What no canvas could have done.
    Impossible,
}

/// Reads ops on a canvas.
#[derive(Debug)]
pub(crate) struct Reader {
    size: Size,
    /// The pixels of which somebody was told what they show.
    read: HashSet<Place>,
}

impl Reader {
    /// Of ops on a canvas of this size.
    pub(crate) fn new(size: Size, history: &[&Operation]) -> Reader {
        let answered = history.iter().filter(|operation| matches!(operation.outcome, Outcome::Ok { .. }));
        let read = answered.filter_map(|operation| match CanvasOp::parse(&operation.op) {
            Ok(CanvasOp::Pixel(x, y)) => Some((x, y)),
            _ => None,
        });
        Reader { size, read: read.collect() }
    }

    /// Which pixels an op touches and what it did to each; `None` if it is not an op. Without a response the outcome is
    /// unknown.
    pub(crate) fn read(&self, op: &RawValue, response: Option<&Response>) -> Option<BTreeMap<Place, Effect>> {
        let op = CanvasOp::parse(op).ok()?;
        let reply = response.map(|response| serde_json::from_str::<CanvasReply>(response.get()).ok());
        let first = match &op {
            CanvasOp::Pixel(x, y) => (*x, *y),
            CanvasOp::Paint(pixels) => pixels.first().map(|(x, y, _)| (*x, *y))?,
        };
        let effects = match (reply, op.is_on(self.size)) {
            // Whatever became of it, it changed nothing.
            (None, false) => Some(BTreeMap::new()),
            (None, true) => Some(self.painted(&op)),
            (Some(reply), is_on) => reply.and_then(|reply| self.told(&op, reply, is_on)),
        };
        Some(effects.unwrap_or_else(|| BTreeMap::from([(first, Effect::Impossible)])))
    }

    /// What a pixel is on a canvas.
    pub(crate) fn on_canvas(&self, (x, y): Place, canvas: &Machine) -> Pixel {
        let answer = to_raw_value(&CanvasOp::Pixel(x, y)).ok().and_then(|op| canvas.query(&op).ok());
        let reply = answer.and_then(|answer| serde_json::from_str::<CanvasReply>(answer.get()).ok());
        // A canvas answers every read. Should one not, nothing is known.
        reply.map_or(Pixel::Any, |reply| reply.colour.map_or(Pixel::Unpainted, Pixel::Colour))
    }

    fn told(&self, op: &CanvasOp, reply: CanvasReply, is_on: bool) -> Option<BTreeMap<Place, Effect>> {
        match (op, reply.outcome) {
            (_, CanvasReplyKind::OutOfRange) => (!is_on).then(BTreeMap::new),
            _ if !is_on => None,
            (CanvasOp::Paint(_), CanvasReplyKind::Painted) => Some(self.painted(op)),
            (CanvasOp::Pixel(x, y), CanvasReplyKind::Unpainted) => {
                Some(BTreeMap::from([((*x, *y), Effect::Saw(Pixel::Unpainted))]))
            }
            (CanvasOp::Pixel(x, y), CanvasReplyKind::Found) => {
                Some(BTreeMap::from([((*x, *y), Effect::Saw(Pixel::Colour(reply.colour?)))]))
            }
            _ => None,
        }
    }

    /// What a batch makes of the pixels that somebody read: of those that it names twice, what it says last.
    fn painted(&self, op: &CanvasOp) -> BTreeMap<Place, Effect> {
        let CanvasOp::Paint(pixels) = op else { return BTreeMap::new() };
        let painted = pixels.iter().map(|(x, y, colour)| ((*x, *y), Effect::Painted(*colour)));
        painted.filter(|(place, _)| self.read.contains(place)).collect()
    }
}

impl Transition for Effect {
    type State = Pixel;

    const ANY: Pixel = Pixel::Any;

    fn step(&self, before: Pixel) -> Option<Pixel> {
        match *self {
            Effect::Saw(seen) => (before == seen || before == Pixel::Any).then_some(seen),
            Effect::Painted(colour) => Some(Pixel::Colour(colour)),
            Effect::Impossible => None,
        }
    }

    fn needs(&self) -> Option<Pixel> {
        match *self {
            Effect::Saw(seen) => Some(seen),
            Effect::Painted(_) | Effect::Impossible => None,
        }
    }

    fn makes(&self) -> Makes<Pixel> {
        match *self {
            Effect::Painted(colour) => Makes::One(Pixel::Colour(colour)),
            Effect::Saw(_) | Effect::Impossible => Makes::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn effects(op: &str, response: Option<&str>) -> Option<Vec<(Place, Effect)>> {
        let reader = Reader { size: Size::new(8, 8).unwrap(), read: HashSet::from([(1, 1), (2, 2)]) };
        let response = response.map(|text| serde_json::from_str(text).unwrap());
        reader.read(&raw(op), response.as_ref()).map(|effects| effects.into_iter().collect())
    }

    #[test]
    fn a_batch_writes_the_pixels_that_are_read_and_the_last_of_a_pixel_counts() {
        let batch = r#"{"paint":[[1,1,5],[3,3,5],[1,1,6]]}"#;
        let painted = vec![((1, 1), Effect::Painted(Colour::try_from(6).unwrap()))];
        assert_eq!(effects(batch, Some(r#"{"outcome":"painted"}"#)), Some(painted.clone()));
        assert_eq!(effects(batch, None), Some(painted));
        assert_eq!(effects(r#"{"paint":[[3,3,5]]}"#, None), Some(vec![]));
    }

    #[test]
    fn a_batch_that_is_not_on_the_canvas_touches_nothing_whatever_its_outcome() {
        let batch = r#"{"paint":[[1,1,5],[8,0,5]]}"#;
        assert_eq!(effects(batch, None), Some(vec![]));
        assert_eq!(effects(batch, Some(r#"{"outcome":"out_of_range","size":"8x8"}"#)), Some(vec![]));
    }

    #[test]
    fn an_answer_that_no_canvas_gives_is_impossible() {
        let impossible = |place| Some(vec![(place, Effect::Impossible)]);
        for (op, response, place) in [
            (r#"{"paint":[[1,1,5],[8,0,5]]}"#, r#"{"outcome":"painted"}"#, (1, 1)),
            (r#"{"paint":[[3,3,5]]}"#, r#"{"outcome":"out_of_range","size":"8x8"}"#, (3, 3)),
            (r#"{"paint":[[3,3,5]]}"#, r#"{"outcome":"unpainted"}"#, (3, 3)),
            (r#"{"pixel":[1,1]}"#, r#"{"outcome":"found"}"#, (1, 1)),
            (r#"{"pixel":[1,1]}"#, r#"{"outcome":"painted"}"#, (1, 1)),
            (r#"{"pixel":[1,1]}"#, r#"7"#, (1, 1)),
        ] {
            assert_eq!(effects(op, Some(response)), impossible(place), "{op} {response}");
        }
        assert_eq!(effects(r#"{"erase":1}"#, None), None);
    }
}
