//! Charts: SVG first, PNG from the SVG.
//!
//! House rules: 860 px wide; the title is the takeaway, computed from the data; the subtitle says unit and n; the
//! footer says machine, seed and version; direct labels and no legend; colours that the colour-blind can tell apart.
//!
//! Invariant: the same data give the same bytes. Fonts come with the program, never from the system.

mod canvas;
mod png;
mod scale;
mod timeline;

pub use self::png::to_png;
pub use self::timeline::timeline_svg;
