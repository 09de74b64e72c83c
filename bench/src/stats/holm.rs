//! Holm's correction: of many comparisons without a difference, the chance that any is called one stays below one in
//! twenty.
//!
//! Invariant: the corrected level of a comparison depends on all of them, so it is given for all at once.

use super::LEVEL;

/// A comparison among many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corrected {
    /// The corrected chance: a difference is claimed at or below `1 − LEVEL`.
    pub chance: f64,
    /// The level at which its interval must be taken to say the same.
    pub level: f64,
}

impl Corrected {
    /// Whether a difference may be claimed.
    pub fn is_claimed(&self) -> bool {
        self.chance <= 1.0 - LEVEL
    }
}

/// Corrects the chances of comparisons, in their order.
pub fn holm(chances: &[f64]) -> Vec<Corrected> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|a, b| chances[*a].total_cmp(&chances[*b]));
    let mut corrected = vec![Corrected { chance: 1.0, level: LEVEL }; chances.len()];
    let mut last = Corrected { chance: 0.0, level: 0.0 };
    for (rank, place) in order.into_iter().enumerate() {
        let left = (chances.len() - rank) as f64;
        // From the first that may not be claimed on, none may: they all keep its level.
        let level = if last.is_claimed() { 1.0 - (1.0 - LEVEL) / left } else { last.level };
        last = Corrected { chance: last.chance.max((chances[place] * left).min(1.0)), level };
        corrected[place] = last;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::super::simulation::coverage;
    use super::*;

    #[test]
    fn the_smallest_chance_is_held_to_the_strictest_level() {
        let corrected = holm(&[0.04, 0.001, 0.03]);
        let chances: Vec<f64> = corrected.iter().map(|one| one.chance).collect();
        assert!((chances[1] - 0.003).abs() < 1e-12 && (chances[2] - 0.06).abs() < 1e-12, "{chances:?}");
        assert_eq!(chances[0], chances[2], "a larger chance is never corrected to a smaller one");
        assert!((corrected[1].level - (1.0 - 0.05 / 3.0)).abs() < 1e-12);
        assert!(corrected[1].is_claimed() && !corrected[0].is_claimed());
        assert_eq!(corrected[0].level, corrected[2].level, "what is not claimed keeps the level it failed at");
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn of_many_comparisons_without_a_difference_one_in_twenty_families_claims_any() {
        let wrong = coverage(4_000, 9, |rng| {
            let chances: Vec<f64> = (0..40).map(|_| rng.f64()).collect();
            holm(&chances).iter().any(Corrected::is_claimed)
        });
        assert!((0.035..0.062).contains(&wrong), "{wrong}");
    }
}
