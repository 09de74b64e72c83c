//! What painted pixels look like on a WebSocket, and the bounded ring of them that all clients behind a node read.
//!
//! A client of Distri-place gets a text for each pixel: `{"type":"pixel","content":{"x":1,"y":2,"color":255}}`. A page that
//! asks for binary frames gets one for all pixels that were committed within a moment, all numbers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | 1: pixels |
//! | 8 | the last entry in it: what to ask for with `after` later on |
//! | 7 each | the pixels, the later ones over the earlier: x, y (2 each), red, green, blue |
//!
//! Invariant: both forms of a frame are made once, when the first client wants them, and then shared: a thousand clients
//! cost no copy. No client has a queue: one that falls behind the end of the ring has missed something.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::{BufMut as _, Bytes, BytesMut};
use raftian_rpc::Index;

use super::board::Pixel;

/// The most frames that are kept.
const MAX_FRAMES: usize = 4_096;

/// The most pixels in them, the newest frame aside.
const MAX_KEPT_PX: usize = 1 << 20;

/// The kind of a binary frame that has pixels.
const PIXELS: u8 = 1;

/// How a client wants its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As Distri-place sends them.
    Json,
    /// As binary frames.
    Binary,
}

/// What one entry painted.
#[derive(Clone, Debug)]
pub(super) struct Painted {
    /// The entry.
    pub(super) index: Index,
    /// Its pixels.
    pub(super) pixels: Vec<Pixel>,
}

/// What some entries painted, one after the other.
#[derive(Debug)]
pub(super) struct Frame {
    painted: Vec<Painted>,
    binary: OnceLock<Bytes>,
    json: OnceLock<Arc<[Utf8Bytes]>>,
}

/// The last frames of a node.
#[derive(Debug, Default)]
pub(super) struct Frames {
    kept: VecDeque<Arc<Frame>>,
    pixels: usize,
    /// All that was painted after this entry is kept.
    forgotten: Index,
    /// What goes into the next frame.
    gathered: Vec<Painted>,
}

/// A client has missed frames that are not kept any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missed;

impl Frame {
    fn of(painted: Vec<Painted>) -> Frame {
        Frame { painted, binary: OnceLock::new(), json: OnceLock::new() }
    }

    /// Its last entry.
    pub(super) fn index(&self) -> Index {
        self.painted.last().map_or(0, |painted| painted.index)
    }

    /// As messages.
    pub(super) fn messages(&self, form: Form) -> Vec<Message> {
        match form {
            Form::Binary => vec![Message::Binary(self.binary.get_or_init(|| self.to_binary()).clone())],
            Form::Json => {
                let texts = self.json.get_or_init(|| self.to_json());
                texts.iter().cloned().map(Message::Text).collect()
            }
        }
    }

    fn pixels(&self) -> usize {
        self.painted.iter().map(|painted| painted.pixels.len()).sum()
    }

    fn to_binary(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(9 + 7 * self.pixels());
        bytes.put_u8(PIXELS);
        bytes.put_u64_le(self.index());
        for (x, y, colour) in self.painted.iter().flat_map(|painted| &painted.pixels) {
            bytes.put_u16_le(*x);
            bytes.put_u16_le(*y);
            bytes.put_slice(&colour.rgb());
        }
        bytes.freeze()
    }

    fn to_json(&self) -> Arc<[Utf8Bytes]> {
        let pixels = self.painted.iter().flat_map(|painted| &painted.pixels);
        let text = |(x, y, colour): &Pixel| {
            let colour = colour.number();
            format!(r#"{{"type":"pixel","content":{{"x":{x},"y":{y},"color":{colour}}}}}"#).into()
        };
        pixels.map(text).collect()
    }

    /// The part of it after an entry.
    fn after(self: &Arc<Frame>, seen: Index) -> Arc<Frame> {
        match self.painted.first() {
            Some(first) if first.index <= seen => {
                let rest = self.painted.iter().filter(|painted| painted.index > seen);
                Arc::new(Frame::of(rest.cloned().collect()))
            }
            _ => Arc::clone(self),
        }
    }
}

impl Frames {
    /// Frames of which none before this entry is known.
    pub(super) fn from(forgotten: Index) -> Frames {
        Frames { forgotten, ..Frames::default() }
    }

    /// Takes in what an entry painted that follows all others.
    pub(super) fn gather(&mut self, painted: Painted) {
        self.gathered.push(painted);
    }

    /// Whether something waits for the next frame.
    pub(super) fn has_gathered(&self) -> bool {
        !self.gathered.is_empty()
    }

    /// Makes a frame of what was gathered, if anything was.
    pub(super) fn close(&mut self) -> bool {
        let has_gathered = self.has_gathered();
        if has_gathered {
            let frame = Frame::of(std::mem::take(&mut self.gathered));
            self.push(frame);
        }
        has_gathered
    }

    fn push(&mut self, frame: Frame) {
        self.pixels += frame.pixels();
        self.kept.push_back(Arc::new(frame));
        while self.kept.len() > MAX_FRAMES || (self.pixels > MAX_KEPT_PX && self.kept.len() > 1) {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.pixels -= oldest.pixels();
            self.forgotten = oldest.index();
        }
    }

    /// What was painted after an entry.
    ///
    /// # Errors
    /// When not all of it is kept.
    pub(super) fn after(&self, seen: Index) -> Result<Vec<Arc<Frame>>, Missed> {
        if seen < self.forgotten {
            return Err(Missed);
        }
        let first = self.kept.partition_point(|frame| frame.index() <= seen);
        Ok(self.kept.range(first..).map(|frame| frame.after(seen)).collect())
    }
}

#[cfg(test)]
mod tests {
    use raftian_apps::Colour;

    use super::*;

    fn painted(index: Index, x: u16) -> Painted {
        Painted { index, pixels: vec![(x, 258, Colour::from_rgb([1, 2, 3]))] }
    }

    fn push(frames: &mut Frames, painted: Vec<Painted>) {
        painted.into_iter().for_each(|painted| frames.gather(painted));
        assert!(frames.close() && !frames.close());
    }

    fn indices(frames: &[Arc<Frame>]) -> Vec<Index> {
        frames.iter().map(|frame| frame.index()).collect()
    }

    #[test]
    fn a_frame_is_one_binary_message_or_a_text_for_each_pixel() {
        let frame = Frame::of(vec![painted(4, 1), painted(0x105, 2)]);
        let [Message::Binary(bytes)] = &frame.messages(Form::Binary)[..] else { panic!("one message") };
        assert_eq!(bytes[..], [1, 5, 1, 0, 0, 0, 0, 0, 0, 1, 0, 2, 1, 1, 2, 3, 2, 0, 2, 1, 1, 2, 3]);
        let texts = frame.messages(Form::Json);
        let text =
            |x| Message::Text(format!(r#"{{"type":"pixel","content":{{"x":{x},"y":258,"color":66051}}}}"#).into());
        assert_eq!(texts, [text(1), text(2)]);
    }

    #[test]
    fn a_client_gets_what_it_has_not_seen_and_no_entry_twice() {
        let mut frames = Frames::from(2);
        push(&mut frames, vec![painted(3, 1), painted(5, 2)]);
        push(&mut frames, vec![painted(6, 3)]);
        assert_eq!(frames.after(1).unwrap_err(), Missed);
        assert_eq!(indices(&frames.after(2).unwrap()), [5, 6]);
        let rest = frames.after(3).unwrap();
        assert_eq!((indices(&rest), rest[0].messages(Form::Json).len()), (vec![5, 6], 1));
        assert_eq!(indices(&frames.after(5).unwrap()), [6]);
        assert!(frames.after(6).unwrap().is_empty() && frames.after(9).unwrap().is_empty());
    }

    #[test]
    fn what_is_kept_has_a_bound_and_who_falls_behind_it_has_missed_something() {
        let mut frames = Frames::from(0);
        (1..=MAX_FRAMES as Index + 10).for_each(|index| push(&mut frames, vec![painted(index, 0)]));
        assert_eq!(frames.after(9).unwrap_err(), Missed);
        assert_eq!(frames.after(10).unwrap().len(), MAX_FRAMES);
        let large = |index| Painted { index, pixels: vec![(0, 0, Colour::default()); MAX_KEPT_PX] };
        push(&mut frames, vec![large(50_000)]);
        push(&mut frames, vec![large(50_001)]);
        assert_eq!(indices(&frames.after(50_000).unwrap()), [50_001]);
        assert_eq!(frames.after(49_999).unwrap_err(), Missed);
    }
}
