//! Synthetic clicks: an open loop of attacks at random moments, whatever becomes of them.
//!
//! Invariant: the seed alone decides when clicks are due and whom they hit; a game that is late finds all that came
//! due meanwhile, each with the time it was due.

use raftian_apps::MAX_PLAYERS;

/// The most clicks per second.
pub(crate) const MAX_CLICKS_PER_S: f64 = 100_000.0;

/// A Poisson process of clicks.
#[derive(Debug)]
pub(crate) struct Clicks {
    random: fastrand::Rng,
    /// The mean time between two clicks.
    mean_ns: f64,
    /// When the next one is due; unset until the game starts.
    next_ns: Option<u64>,
    players: u8,
}

/// A click on a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Click {
    /// When it is due.
    pub(crate) due_ns: u64,
    /// Whom it hits.
    pub(crate) player: u8,
}

impl Clicks {
    /// Clicks at this mean rate on players 1 to `players`.
    ///
    /// # Errors
    /// When the rate is not above 0 and at most [`MAX_CLICKS_PER_S`], or there is no such number of players.
    pub(crate) fn new(per_s: f64, players: u16, seed: u64) -> Result<Clicks, String> {
        if !(per_s > 0.0 && per_s <= MAX_CLICKS_PER_S) {
            return Err(format!("{per_s} clicks per second cannot be made; use more than 0, up to {MAX_CLICKS_PER_S}"));
        }
        let players = u8::try_from(players).ok().filter(|count| (1..=MAX_PLAYERS).contains(&u16::from(*count)));
        let players = players.ok_or(format!("clicks need 1 to {MAX_PLAYERS} players"))?;
        Ok(Clicks { random: fastrand::Rng::with_seed(seed), mean_ns: 1e9 / per_s, next_ns: None, players })
    }

    /// The next click that is due now, if one is. The first call starts the process.
    pub(crate) fn due(&mut self, now_ns: u64) -> Option<Click> {
        let due_ns = match self.next_ns {
            Some(due_ns) => due_ns,
            None => now_ns + self.interval_ns(),
        };
        if due_ns > now_ns {
            self.next_ns = Some(due_ns);
            return None;
        }
        self.next_ns = Some(due_ns + self.interval_ns());
        Some(Click { due_ns, player: self.random.u8(1..=self.players) })
    }

    fn interval_ns(&mut self) -> u64 {
        // `f64` draws from [0, 1), and the logarithm wants (0, 1].
        (-(1.0 - self.random.f64()).ln() * self.mean_ns) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_second(seed: u64) -> Vec<Click> {
        let mut clicks = Clicks::new(1_000.0, 5, seed).unwrap();
        assert_eq!(clicks.due(0), None);
        std::iter::from_fn(|| clicks.due(1_000_000_000)).collect()
    }

    #[test]
    fn clicks_come_at_the_rate_and_each_was_due_when_it_says() {
        let clicks = first_second(1);
        // Five standard deviations of a Poisson count.
        assert!((842..=1158).contains(&clicks.len()), "{}", clicks.len());
        assert!(clicks.is_sorted_by_key(|click| click.due_ns));
        assert!((1..=5).all(|player| clicks.iter().any(|click| click.player == player)));
        assert!(clicks.iter().all(|click| (1..=5).contains(&click.player)));
    }

    #[test]
    fn looking_more_often_changes_nothing() {
        let mut clicks = Clicks::new(1_000.0, 5, 1).unwrap();
        let mut found = Vec::new();
        for now_ns in (0..=1_000_000_000).step_by(250_000) {
            found.extend(std::iter::from_fn(|| clicks.due(now_ns)));
        }
        assert_eq!(found, first_second(1));
        assert_ne!(found, first_second(2));
    }

    #[test]
    fn impossible_rates_are_refused() {
        for per_s in [0.0, -1.0, f64::NAN, f64::INFINITY, 2.0 * MAX_CLICKS_PER_S] {
            assert!(Clicks::new(per_s, 5, 1).is_err(), "{per_s}");
        }
        assert!(Clicks::new(1.0, 0, 1).is_err() && Clicks::new(1.0, 65, 1).is_err());
    }
}
