//! What was painted when, and by whom: a function of a log and of what a canvas shows at its end.
//!
//! Invariant: the log is replayed by the application itself, sessions first, so a retry or a batch that is not on the canvas
//! paints nothing here either. What a pixel showed is known, or said not to be; it is never guessed.
//!
//! A log may begin in the middle, where a snapshot stands for what came before. Then a pixel that was not painted since has the
//! colour that it has at the end, at every index; of one that was, the colour before the first known stroke is unknown. A client
//! whose first known command has a serial above 1 had a session before the log begins: it is opened for it. What that cannot
//! tell is a retry of a command that was discarded, which looks like a new one.
//!
//! Deliberately absent: reading logs (`pages.rs`); times, which no entry has.

use std::collections::{BTreeMap, BTreeSet};

use raftian_check::apps::{
    AppKind, AppOptions, CanvasOp, CanvasReply, CanvasReplyKind, Colour, Command, Effect, Entry, Machine, Payload, Size,
};
use raftian_rpc::{Index, Term};
use serde_json::value::RawValue;

/// An op that opens a session and changes nothing.
const OPENER: &str = r#"{"pixel":[0,0]}"#;

/// A command that painted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stroke {
    pub(super) index: Index,
    pub(super) term: Term,
    /// On whose behalf it was painted.
    pub(super) painter: String,
    /// Where it names a pixel twice, the last one counts.
    pub(super) pixels: Vec<(u16, u16, Colour)>,
}

/// All that is known of a canvas up to an index.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) size: Size,
    /// The first index whose entry is known; 1 where all is.
    pub(super) first: Index,
    /// The last one.
    pub(super) last: Index,
    pub(super) strokes: Vec<Stroke>,
    /// The board before the first known entry, row by row; `None` is unknown.
    before: Vec<Option<Colour>>,
    /// How many pixels the log does not leave as the node shows them.
    pub(super) contradicted: usize,
}

impl Stroke {
    /// The colour that it gave a pixel.
    fn colour_of(&self, x: u16, y: u16) -> Option<Colour> {
        self.pixels.iter().rev().find(|pixel| (pixel.0, pixel.1) == (x, y)).map(|(_, _, colour)| *colour)
    }
}

/// Some of a canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: u16,
    pub(super) y: u16,
    pub(super) width: u16,
    pub(super) height: u16,
}

/// Which pixels are to be put back, and how many cannot be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rollback {
    /// What is to be painted.
    pub(super) pixels: Vec<(u16, u16, Colour)>,
    /// How many pixels others have painted over, which are left alone.
    pub(super) painted_over: usize,
    /// How many showed something before that no log has any more.
    pub(super) unknown: usize,
}

impl History {
    /// Replays the committed entries of a log, which are consecutive. `first` is where the log begins, also if it is empty;
    /// `end` is what the canvas shows after the last of them, row by row.
    pub(super) fn of(size: Size, first: Index, entries: &[Entry], end: &[Colour]) -> History {
        let mut machine = machine_before(size, first, entries);
        let strokes: Vec<Stroke> = entries
            .iter()
            .filter_map(|entry| {
                let applied = machine.apply(entry);
                let command = applied.command?;
                let Effect::Executed(response) = applied.effect else { return None };
                let reply: CanvasReply = serde_json::from_str(response.get()).ok()?;
                stroke(entry, &command).filter(|_| reply.outcome == CanvasReplyKind::Painted)
            })
            .collect();
        // A new canvas is black.
        let mut before = match first {
            1 => vec![Some(Colour::default()); size.pixels()],
            _ => end.iter().copied().map(Some).collect(),
        };
        let last = first + entries.len() as Index - 1;
        let mut history = History { size, first, last, strokes, before: Vec::new(), contradicted: 0 };
        for stroke in history.strokes.iter().filter(|_| first > 1) {
            stroke.pixels.iter().for_each(|(x, y, _)| before[history.place(*x, *y)] = None);
        }
        history.before = before;
        let replayed = history.board_at(last);
        let differs = |(replayed, end): &(&Option<Colour>, &Colour)| replayed.is_some_and(|replayed| replayed != **end);
        history.contradicted = replayed.iter().zip(end).filter(differs).count();
        history
    }

    /// What the canvas showed after an index, row by row; `None` is unknown.
    pub(super) fn board_at(&self, index: Index) -> Vec<Option<Colour>> {
        let mut board = self.before.clone();
        for stroke in self.strokes.iter().take_while(|stroke| stroke.index <= index) {
            self.paint(stroke, &mut board);
        }
        board
    }

    /// Paints a stroke on a board.
    pub(super) fn paint(&self, stroke: &Stroke, board: &mut [Option<Colour>]) {
        stroke.pixels.iter().for_each(|(x, y, colour)| board[self.place(*x, *y)] = Some(*colour));
    }

    /// The strokes between two indexes, both included.
    pub(super) fn between(&self, from: Index, until: Index) -> &[Stroke] {
        let begin = self.strokes.partition_point(|stroke| stroke.index < from);
        let end = self.strokes.partition_point(|stroke| stroke.index <= until);
        &self.strokes[begin..end.max(begin)]
    }

    /// The strokes that painted a pixel and the colours they gave it, the latest first.
    pub(super) fn of_pixel(&self, x: u16, y: u16) -> impl Iterator<Item = (&Stroke, Colour)> {
        self.strokes.iter().rev().filter_map(move |stroke| Some((stroke, stroke.colour_of(x, y)?)))
    }

    /// What puts the pixels of a painter back to what they showed before, where nobody has painted over them; strokes before
    /// `since` count as another's.
    pub(super) fn rollback(&self, painter: &str, area: Option<Area>, since: Index) -> Rollback {
        let mut seen: BTreeMap<(u16, u16), Seen> = BTreeMap::new();
        for stroke in &self.strokes {
            let is_theirs = stroke.painter == painter && stroke.index >= since;
            for (x, y, colour) in stroke.pixels.iter().filter(|(x, y, _)| area.is_none_or(|area| area.has(*x, *y))) {
                let before = self.before[self.place(*x, *y)];
                let seen = seen.entry((*y, *x)).or_insert(Seen { before, theirs: None, is_painted_over: false });
                if is_theirs {
                    (seen.theirs, seen.is_painted_over) = (Some(*colour), false);
                } else {
                    seen.is_painted_over |= seen.theirs.take().is_some();
                    seen.before = Some(*colour);
                }
            }
        }
        let mut rollback = Rollback::default();
        for ((y, x), seen) in seen {
            match (seen.theirs, seen.before) {
                (None, _) => rollback.painted_over += usize::from(seen.is_painted_over),
                (Some(_), None) => rollback.unknown += 1,
                (Some(theirs), Some(before)) if theirs == before => {}
                (Some(_), Some(before)) => rollback.pixels.push((x, y, before)),
            }
        }
        rollback
    }

    fn place(&self, x: u16, y: u16) -> usize {
        usize::from(y) * usize::from(self.size.width()) + usize::from(x)
    }
}

/// What was seen of a pixel, for a rollback.
struct Seen {
    /// What it shows without the painter's strokes.
    before: Option<Colour>,
    /// What the painter has left on it, if that is to be seen.
    theirs: Option<Colour>,
    is_painted_over: bool,
}

impl Area {
    fn has(self, x: u16, y: u16) -> bool {
        let within = |place: u16, begin: u16, extent: u16| place.checked_sub(begin).is_some_and(|place| place < extent);
        within(x, self.x, self.width) && within(y, self.y, self.height)
    }
}

/// The application in the state before a log that begins at `first`, as far as the log tells it.
fn machine_before(size: Size, first: Index, entries: &[Entry]) -> Machine {
    let options = AppOptions { size, ..AppOptions::default() };
    let mut machine = Machine::new(AppKind::Canvas, options).expect("a canvas begins with any size");
    let mut known = BTreeSet::new();
    let mut openers = entries.iter().filter_map(|entry| {
        let command = command(entry)?;
        let is_new = known.insert(command.client().to_owned());
        let opener = RawValue::from_string(OPENER.to_owned()).ok()?;
        (is_new && command.serial() > 1).then(|| Command::new(command.client(), 1, opener).ok())?
    });
    for index in 1..first {
        // Each of these clients has an entry of its own before `first`, so there is room for all.
        let opener = openers.next().map(|command| Payload::Command(command.encode().into()));
        machine.apply(&Entry { index, term: 1, payload: opener.unwrap_or(Payload::Noop) });
    }
    machine
}

fn command(entry: &Entry) -> Option<Command> {
    match &entry.payload {
        Payload::Command(json) => Command::parse(json).ok(),
        _ => None,
    }
}

fn stroke(entry: &Entry, command: &Command) -> Option<Stroke> {
    match CanvasOp::parse(command.op()).ok()? {
        CanvasOp::Paint(pixels) => {
            let painter = command.on_behalf_of().to_owned();
            Some(Stroke { index: entry.index, term: entry.term, painter, pixels })
        }
        CanvasOp::Pixel(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client, a serial, and what to paint of the row.
    type Painting<'a> = (&'a str, u64, &'a [(u16, u32)]);

    /// A canvas of 4×1 after some commands from an index on.
    fn history(first: Index, commands: &[Painting<'_>], end: [u32; 4]) -> History {
        let entries: Vec<Entry> = (first..)
            .zip(commands)
            .map(|(index, (client, serial, pixels))| {
                let pixels = pixels.iter().map(|(x, number)| (*x, 0, colour(*number))).collect();
                let op = serde_json::value::to_raw_value(&CanvasOp::Paint(pixels)).unwrap();
                let command = Command::new(*client, *serial, op).unwrap();
                Entry { index, term: 1, payload: Payload::Command(command.encode().into()) }
            })
            .collect();
        History::of("4x1".parse().unwrap(), first, &entries, &end.map(colour))
    }

    fn colour(number: u32) -> Colour {
        Colour::try_from(number).unwrap()
    }

    fn board(history: &History, index: Index) -> Vec<Option<u32>> {
        history.board_at(index).into_iter().map(|colour| colour.map(Colour::number)).collect()
    }

    fn known(colours: [u32; 4]) -> Vec<Option<u32>> {
        colours.map(Some).to_vec()
    }

    #[test]
    fn a_board_is_what_was_painted_up_to_an_index() {
        let history = history(1, &[("a", 1, &[(0, 1), (1, 1)]), ("b", 1, &[(1, 2), (1, 3)])], [1, 3, 0, 0]);
        assert_eq!(board(&history, 0), known([0; 4]));
        assert_eq!(board(&history, 1), known([1, 1, 0, 0]));
        assert_eq!(board(&history, 2), known([1, 3, 0, 0]));
        assert_eq!(board(&history, 99), known([1, 3, 0, 0]));
        assert_eq!((history.first, history.last, history.contradicted), (1, 2, 0));
        let painters: Vec<(&str, u32)> =
            history.of_pixel(1, 0).map(|(stroke, colour)| (&*stroke.painter, colour.number())).collect();
        assert_eq!(painters, [("b", 3), ("a", 1)]);
    }

    #[test]
    fn what_the_application_did_not_carry_out_paints_nothing() {
        let retry: &[(u16, u32)] = &[(0, 1)];
        let off: &[(u16, u32)] = &[(0, 7), (4, 7)];
        let history = history(1, &[("a", 1, retry), ("b", 1, &[(0, 2)]), ("a", 1, retry), ("c", 1, off)], [2, 0, 0, 0]);
        assert_eq!(history.strokes.iter().map(|stroke| stroke.index).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((history.last, history.contradicted), (4, 0));
    }

    #[test]
    fn before_the_log_begins_only_what_was_not_painted_since_is_known() {
        let history = history(8, &[("a", 5, &[(0, 1)]), ("a", 6, &[(1, 2)])], [1, 2, 3, 0]);
        assert_eq!(board(&history, 7), [None, None, Some(3), Some(0)]);
        assert_eq!(board(&history, 8), [Some(1), None, Some(3), Some(0)]);
        assert_eq!(board(&history, 9), known([1, 2, 3, 0]));
        assert_eq!(history.contradicted, 0);
    }

    #[test]
    fn a_state_that_the_log_does_not_lead_to_is_seen() {
        assert_eq!(history(1, &[("a", 1, &[(0, 1)])], [2, 0, 9, 0]).contradicted, 2);
        assert_eq!(history(8, &[("a", 1, &[(0, 1)])], [2, 0, 9, 0]).contradicted, 1);
    }

    #[test]
    fn a_log_without_entries_shows_what_the_node_shows() {
        assert_eq!(board(&history(8, &[], [1, 2, 3, 0]), 7), known([1, 2, 3, 0]));
        assert_eq!(board(&history(1, &[], [0; 4]), 0), known([0; 4]));
    }

    #[test]
    fn a_rollback_shows_what_others_painted_below_and_leaves_what_they_painted_above() {
        let history = history(
            1,
            &[
                ("b", 1, &[(0, 1), (1, 1)]),
                ("a:1", 1, &[(0, 2), (1, 2), (2, 2)]),
                ("b", 2, &[(1, 3)]),
                ("a:2", 1, &[(0, 4)]),
            ],
            [4, 3, 2, 0],
        );
        let all = history.rollback("a", None, 1);
        assert_eq!(all, Rollback { pixels: vec![(0, 0, colour(1)), (2, 0, colour(0))], painted_over: 1, unknown: 0 });
        let since = history.rollback("a", None, 4);
        assert_eq!(since, Rollback { pixels: vec![(0, 0, colour(2))], ..Rollback::default() });
        let area = history.rollback("a", Some(Area { x: 1, y: 0, width: 2, height: 1 }), 1);
        assert_eq!(area, Rollback { pixels: vec![(2, 0, colour(0))], painted_over: 1, unknown: 0 });
        assert_eq!(history.rollback("c", None, 1), Rollback::default());
    }

    #[test]
    fn a_rollback_paints_nothing_that_it_does_not_know_or_that_is_shown_already() {
        let history =
            history(8, &[("a", 2, &[(0, 1), (1, 1)]), ("b", 2, &[(2, 5)]), ("a", 3, &[(2, 5)])], [1, 1, 5, 0]);
        assert_eq!(history.rollback("a", None, 1), Rollback { pixels: vec![], painted_over: 0, unknown: 2 });
    }
}
