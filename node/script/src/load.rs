//! What clients ask for again and again while a scenario is played: the background load, drawn from its seed.
//!
//! Invariant: one seed draws the same operations, on every engine.
//!
//! Deliberately absent: when each is asked; in virtual time that is exact, on real processes as exact as their clock.

use std::fmt;

use fastrand::Rng;
use raftian_apps::{AppKind, Colour};

use crate::schedule::Op;

/// The most operations in a second.
pub const MAX_LOAD_PER_S: u32 = 10_000;

/// How many keys a load uses: few, so that clients meet at each.
const KEYS: u8 = 16;

/// The pixels along a side of what a load paints on a canvas.
const SIDE_PX: u16 = 4;

/// The players of an attack game.
const PLAYERS: u8 = raftian_apps::DEFAULT_PLAYERS as u8;

/// A load that goes on until the scenario's `finish`, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// How many operations are asked for in a second, by all clients together; a client that has not been answered is
    /// passed over.
    pub per_s: u32,
}

impl Load {
    /// The time from one operation to the next, in microseconds.
    pub fn every_us(self) -> u64 {
        (1_000_000 / u64::from(self.per_s)).max(1)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.per_s)
    }
}

/// The operations of a load, one after another.
#[derive(Clone, Debug)]
pub struct LoadOps {
    random: Rng,
    app: AppKind,
    /// A number that no value has had yet.
    value: u32,
}

impl LoadOps {
    /// Those of a scenario with this seed.
    pub fn new(seed: u64, app: AppKind) -> LoadOps {
        LoadOps { random: Rng::with_seed(seed ^ 0x6c6f_6164), app, value: 0 }
    }
}

impl Iterator for LoadOps {
    type Item = Op;

    fn next(&mut self) -> Option<Op> {
        let random = &mut self.random;
        let key = random.u8(0..KEYS);
        Some(match self.app {
            AppKind::Attack => match random.u8(0..10) {
                0 => Op::Add(random.u8(1..=PLAYERS)),
                1 => Op::Leave(random.u8(1..=PLAYERS)),
                _ => Op::Attack(random.u8(1..=PLAYERS)),
            },
            AppKind::Kv => {
                self.value += 1;
                match random.u8(0..10) {
                    0..4 => Op::Read(key),
                    4..8 => Op::Set(key, self.value),
                    8 => Op::Incr(key, random.i8(-3..4)),
                    _ => Op::Cas(key, random.bool().then(|| random.u32(0..=self.value)), self.value),
                }
            }
            AppKind::Canvas => {
                self.value += 1;
                let [_, colour @ ..] = self.value.to_be_bytes();
                let (x, y) = (u16::from(key) % SIDE_PX, u16::from(key) / SIDE_PX);
                if random.bool() { Op::Pixel(x, y) } else { Op::Paint(x, y, Colour::from_rgb(colour)) }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_operations_of_the_application() {
        for app in AppKind::ALL {
            let draw = |seed| LoadOps::new(seed, app).take(200).collect::<Vec<_>>();
            assert_eq!(draw(7), draw(7));
            assert_ne!(draw(7), draw(8));
            assert!(draw(7).iter().all(|op| op.app() == app));
        }
    }
}
