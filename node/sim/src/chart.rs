//! Message-sequence charts: one column a server, time downwards, an arrow a message.
//!
//! ```text
//!     step        ms  n1    n2    n3
//!        9   151.240  ├────▶│     ┆     vote granted, t1
//! ```
//!
//! [`text()`] is for a terminal, [`svg()`] for a page; both draw the same rows, which `rows` makes of what happened, in the
//! words of `words`.
//!
//! Invariants: a chart is a function of what happened and of the [`View`], byte for byte; whatever is left out is counted
//! in its heading.
//!
//! Deliberately absent: messages that are on their way when the record ends, and syncs of disks, which every step has.

mod rows;
mod svg;
mod text;
mod words;

use crate::journal::Happening;

/// What of a run a chart shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The first step.
    pub from: u64,
    /// The last step.
    pub to: u64,
    /// Whether heartbeats and their replies are shown even where they change nothing.
    pub idle: bool,
}

/// All of it, but for idle heartbeats.
impl Default for View {
    fn default() -> View {
        View { from: 0, to: u64::MAX, idle: false }
    }
}

/// The chart as lines of text, for a terminal. `happenings` are all of a run, in order, as
/// [`World::take_journal`](crate::World::take_journal) gives them: what is before the view decides how it begins.
pub fn text(happenings: &[Happening], view: &View) -> String {
    text::render(&rows::Picture::of(happenings, view))
}

/// The chart as an SVG document of its own, readable on light and on dark pages; see [`text()`].
pub fn svg(happenings: &[Happening], view: &View) -> String {
    svg::render(&rows::Picture::of(happenings, view))
}

#[cfg(test)]
mod tests;
