//! The operations of a run as so many points as a page can hold: operations that are close to each other are one point.
//!
//! Invariants: every operation is in a point, with the others of its kind; there are at most [`MOST`] points.

use std::collections::BTreeMap;

use super::Dot;
use crate::load::OutcomeKind;

/// The most points of a page.
pub(crate) const MOST: usize = 40_000;

/// How many parts the axis of time is cut into at first, and a decade of latency; then fewer and fewer.
const COLUMNS: f64 = 16_000.0;
const ROWS_PER_DECADE: f64 = 100.0;

/// Operations that are close to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Their middle in time.
    pub(crate) at_s: f64,
    /// Their middle in latency.
    pub(crate) latency_ms: f64,
    /// How they ended.
    pub(crate) kind: OutcomeKind,
    /// How many there are.
    pub(crate) count: u64,
}

/// The points of a run that took so long.
pub(crate) fn points(dots: &[Dot], duration_s: f64) -> Vec<Point> {
    let mut coarseness = 1.0;
    loop {
        let column_s = duration_s.max(1e-9) / COLUMNS * coarseness;
        let rows = ROWS_PER_DECADE / coarseness;
        let mut cells: BTreeMap<(u32, i32, u8), (f64, f64, u64)> = BTreeMap::new();
        for dot in dots {
            let row = (dot.latency_ms.max(1e-3).log10() * rows).floor() as i32;
            let cell = cells.entry(((dot.at_s / column_s) as u32, row, dot.kind as u8)).or_default();
            *cell = (cell.0 + dot.at_s, cell.1 + dot.latency_ms, cell.2 + 1);
        }
        if cells.len() <= MOST {
            let kinds = [OutcomeKind::Ok, OutcomeKind::Failed, OutcomeKind::Unknown];
            let point = |((_, _, kind), (at_s, latency_ms, count)): ((u32, i32, u8), (f64, f64, u64))| Point {
                at_s: at_s / count as f64,
                latency_ms: latency_ms / count as f64,
                kind: kinds[usize::from(kind)],
                count,
            };
            return cells.into_iter().map(point).collect();
        }
        coarseness *= 1.5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_operations_there_are_the_points_are_bounded_and_hold_all_of_them() {
        let mut random = fastrand::Rng::with_seed(1);
        let dot = |at: usize, random: &mut fastrand::Rng| Dot {
            at_s: at as f64 / 1_000.0,
            latency_ms: 10_f64.powf(random.f64() * 4.0 - 1.0),
            kind: if at.is_multiple_of(100) { OutcomeKind::Unknown } else { OutcomeKind::Ok },
        };
        let dots: Vec<Dot> = (0..100_000).map(|at| dot(at, &mut random)).collect();
        let points = points(&dots, 100.0);
        assert!((5_000..=MOST).contains(&points.len()), "{}", points.len());
        let count = |kind| points.iter().filter(|point| point.kind == kind).map(|point| point.count).sum::<u64>();
        assert_eq!((count(OutcomeKind::Ok), count(OutcomeKind::Unknown)), (99_000, 1_000));
        let few = super::points(&dots[..50], 0.05);
        assert_eq!(few.iter().map(|point| point.count).sum::<u64>(), 50);
    }
}
