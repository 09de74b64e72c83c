//! Colours with a meaning, each with dashes of its own, so that a chart can be read without colours.
//!
//! Invariant: two hues of one chart differ in colour and, among the first, in dashes as well; every colour is dark
//! enough for a text on white.

use plotters::prelude::RGBColor;

use super::canvas::color;
use crate::analysis::finding::Hue;

/// Colours without a meaning, for whatever else a chart shows.
const OTHERS: [RGBColor; 6] = [
    RGBColor(0x33, 0x22, 0x88),
    RGBColor(0xB8, 0x74, 0x00),
    RGBColor(0xC0, 0x4F, 0x63),
    RGBColor(0x2F, 0x8F, 0xB8),
    RGBColor(0x7A, 0x7A, 0x1F),
    RGBColor(0x88, 0x22, 0x55),
];

/// Patterns, from the plainest.
const DASHES: [&[f64]; 4] = [&[], &[9.0, 3.0], &[2.5, 2.5], &[9.0, 3.0, 2.0, 3.0]];

/// The colour.
pub(crate) fn colour(hue: Hue) -> RGBColor {
    match hue {
        Hue::Baseline => color::GREY,
        Hue::Thread => color::BLUE,
        Hue::Process => color::VERMILION,
        Hue::Async => color::GREEN,
        Hue::Other(place) => OTHERS[usize::from(place) % OTHERS.len()],
        Hue::Reference => RGBColor(0x77, 0x77, 0x77),
    }
}

/// How long to draw, skip, draw …; empty for a line without gaps.
pub(crate) fn pattern(hue: Hue) -> &'static [f64] {
    match hue {
        Hue::Baseline => DASHES[0],
        Hue::Thread => DASHES[1],
        Hue::Async => DASHES[2],
        Hue::Process => DASHES[3],
        Hue::Other(place) => DASHES[usize::from(place) % DASHES.len()],
        Hue::Reference => &[4.0, 4.0],
    }
}
