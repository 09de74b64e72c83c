//! E2 in a window: how many frames are left where they are shown, beside as many drawn into memory.
//!
//! Invariant: what a server costs a game in a window is its ratio to the game in a window without one, in the same
//! block.

use super::{DOTS, FPS, arm, cost_between};
use crate::analysis::draw::{axis, cell, figure, groups, hosting_group, table};
use crate::analysis::evidence::{Evidence, leading_number};
use crate::analysis::finding::{Figure, Scale, Table};
use crate::analysis::hosting::{WITH_SERVER, label, place};
use crate::analysis::words::{self, about_intervals, number, share, time_us, with_interval};
use crate::experiments::{BASELINE, DISPLAY, HOSTING, WINDOW};
use crate::stats::Estimated;
use crate::suite::trial::Arm;

/// Whether a trial's window was on a virtual display.
const IS_VIRTUAL: &str = "virtual_display";

/// What the original's scripts draw in a window on a virtual display of a machine with two cores, at 1000 dots: medians
/// of their frames per second (Python, Pygame).
const ORIGINAL: [(&str, f64); 2] = [(BASELINE, 103.0), ("thread", 105.0)];
const ORIGINAL_DOTS: &str = "1000";

/// What there is to say of windows.
pub(super) struct Windows<'e, 'a> {
    /// All trials, those into memory too.
    all: &'e Evidence<'a>,
    shown: Evidence<'a>,
    dots: &'a str,
}

impl<'e, 'a> Windows<'e, 'a> {
    /// Those of the trials that had a window; `None` without any.
    pub(super) fn of(all: &'e Evidence<'a>) -> Option<Windows<'e, 'a>> {
        let shown = all.at([(DISPLAY, WINDOW)]);
        let dots = *shown.levels(DOTS).first()?;
        Some(Windows { all, shown, dots })
    }

    fn arm(&self, hosting: &str) -> Arm {
        arm(self.dots, hosting).with(DISPLAY, WINDOW)
    }

    fn fps(&self, hosting: &str) -> Option<Estimated> {
        self.shown.estimate(&self.arm(hosting), FPS)
    }

    fn cost(&self, hosting: &str) -> Option<Estimated> {
        cost_between(&self.shown, &self.arm(BASELINE), &self.arm(hosting))
    }

    /// The display, for a sentence.
    fn place(&self) -> &'static str {
        if self.is_virtual() { "in a window on a virtual display" } else { "in a window" }
    }

    fn is_virtual(&self) -> bool {
        self.shown.all_values(IS_VIRTUAL).iter().all(|is| *is == 1.0)
    }

    fn count_of_dots(&self) -> String {
        leading_number(self.dots).map_or_else(|| self.dots.to_owned(), number)
    }

    /// What is found, as a sentence.
    pub(super) fn sentence(&self) -> Option<String> {
        let alone = self.fps(BASELINE)?;
        let mut sentence = format!(
            "Shown {} it draws {} frames per second with {} dots (n = {})",
            self.place(),
            with_interval(&alone, number),
            self.count_of_dots(),
            alone.n
        );
        for hosting in WITH_SERVER {
            if let Some(cost) = self.cost(hosting) {
                sentence += &format!("; a server {} costs it {}", place(hosting), words::cost(&cost));
            }
        }
        Some(sentence + ".")
    }

    /// Every trial in a window, beside those into memory.
    pub(super) fn figure(&self) -> Option<Figure> {
        let hostings = self.shown.hostings();
        let has_both = |arm: &Arm| arm.level(HOSTING).is_some_and(|hosting| hostings.contains(&hosting));
        let comparable = self.all.only(has_both);
        let rest = Arm::of([(DOTS, self.dots)]);
        let memory = hosting_group(&comparable, &rest, "into memory", FPS);
        let mut window = hosting_group(&self.shown, &rest.with(DISPLAY, WINDOW), self.place(), FPS)?;
        for column in &mut window.columns {
            column.reference = self.original(&column.label);
        }
        let estimates: Vec<Estimated> = hostings.iter().filter_map(|hosting| self.fps(hosting)).collect();
        let then = self.original(label(BASELINE));
        let then = then.map_or(String::new(), |fps| format!("; the original's scripts drew {}", number(fps)));
        let title = self.fps(BASELINE).map(|fps| {
            let dots = self.count_of_dots();
            format!("In a window the game draws {} frames per second at {dots} dots{then}", number(fps.value))
        });
        figure(
            "e2-window",
            groups(
                axis("frames per second", Scale::FromZero),
                memory.into_iter().chain([window]).collect(),
                Vec::new(),
            ),
            title?,
            format!("frames / elapsed time; {}", about_intervals(&estimates)),
            "Frames per second where they are shown, and where they end in memory. A dot is a trial. The display server is a \
             process of its own and works beside the game. The reference marks are medians of the original's scripts \
             (Python, Pygame) on a virtual display of another machine with two cores.",
        )
    }

    /// The original's frames per second for a column with this heading.
    fn original(&self, heading: &str) -> Option<f64> {
        let is_comparable = self.is_virtual() && self.dots == ORIGINAL_DOTS;
        let found = ORIGINAL.iter().find(|(hosting, _)| is_comparable && label(hosting) == heading);
        found.map(|(_, fps)| *fps)
    }

    /// The numbers.
    pub(super) fn table(&self) -> Option<Table> {
        let rows = self.shown.hostings().into_iter().map(|hosting| {
            let of =
                |metric: &str, write: fn(f64) -> String| cell(self.shown.estimate(&self.arm(hosting), metric), write);
            vec![
                self.dots.to_owned(),
                label(hosting).to_owned(),
                of(FPS, number),
                of("frame_us_p50", time_us),
                of("frame_us_max", time_us),
                cell(self.cost(hosting).filter(|_| hosting != BASELINE), share),
            ]
        });
        let columns = ["dots", "server", "frames/s", "frame p50", "longest", "cost"];
        table("Frames in a window", &columns, rows.collect())
    }
}
