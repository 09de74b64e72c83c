//! Charts: SVG first, PNG from the SVG.
//!
//! House rules: 860 px wide; the title is the takeaway, computed from the data; the subtitle says unit and n; the
//! footer says machine, seed and version; direct labels and no legend; colours that the colour-blind can tell apart.
//!
//! The way of a figure: `figure` (the page) → a file per kind of plot, each a block that knows its size → `board`
//! (categories), `axes`, `label`, `scale` → `canvas` → SVG → `png`.
//!
//! Invariant: the same data give the same bytes. Fonts come with the program, never from the system.

mod axes;
mod board;
mod canvas;
mod figure;
mod groups;
mod heat;
mod hue;
mod label;
mod lines;
mod number;
mod png;
mod scale;
mod stacks;
mod timeline;
mod timeline_page;
mod waterfall;

use self::figure::Block;
pub use self::figure::{Width, figure_svg};
pub use self::png::to_png;
pub use self::timeline::timeline_svg;
pub use self::timeline_page::timeline_html;

#[cfg(test)]
pub(crate) use self::timeline::tests::sample as sample_timeline;

#[cfg(test)]
#[path = "chart/figure_tests.rs"]
pub(crate) mod figure_tests;
