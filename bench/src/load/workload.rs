//! What the clients of a load ask for: the attack game, seeded.
//!
//! Of six commands four attack, one deletes and one adds a random player of the lab. A player dies at the fourth hit,
//! so with attacks alone nearly all commands would meet the dead; this way about a third of the players are alive.
//!
//! Invariant: the same seed and session give the same commands. Deliberately absent: other applications.

use fastrand::Rng;

use super::LoadOptions;

/// The commands of one session.
#[derive(Debug)]
pub(crate) struct Workload {
    random: Rng,
    players: u16,
    op_bytes: usize,
}

impl Workload {
    /// The commands of session number `session`.
    pub(crate) fn new(options: &LoadOptions, session: usize) -> Workload {
        let LoadOptions { seed, players, op_bytes, .. } = *options;
        // Neighbouring seeds must not give neighbouring streams.
        let mixed = (seed ^ (session as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD134_2543_DE82_EF95);
        Workload { random: Rng::with_seed(mixed), players, op_bytes }
    }

    /// The next op, as JSON text.
    pub(crate) fn next_op(&mut self) -> String {
        let player = self.random.u16(1..=self.players);
        let name = match self.random.u8(0..6) {
            0 => "del",
            1 => "add",
            _ => "attack",
        };
        let mut op = format!(r#"{{"{name}":{player}"#);
        // White space inside the braces belongs to the op, so it is carried and kept like any other byte of it.
        let blanks = self.op_bytes.saturating_sub(op.len() + 1);
        op.extend(std::iter::repeat_n(' ', blanks));
        op.push('}');
        op
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(seed: u64, session: usize, op_bytes: usize) -> Workload {
        Workload::new(&LoadOptions { seed, players: 3, op_bytes, ..LoadOptions::default() }, session)
    }

    #[test]
    fn the_same_seed_gives_the_same_commands_and_another_session_gives_others() {
        let ops = |seed, session| {
            let mut workload = workload(seed, session, 0);
            (0..50).map(|_| workload.next_op()).collect::<Vec<_>>()
        };
        assert_eq!(ops(7, 0), ops(7, 0));
        assert_ne!(ops(7, 0), ops(7, 1));
        assert_ne!(ops(7, 0), ops(8, 0));
    }

    #[test]
    fn every_op_is_one_of_the_game_and_names_a_player_of_the_lab() {
        for op_bytes in [0, 16, 1000] {
            let mut workload = workload(1, 0, op_bytes);
            for _ in 0..200 {
                let text = workload.next_op();
                let op: serde_json::Value = serde_json::from_str(&text).unwrap();
                let (name, player) = op.as_object().unwrap().iter().next().unwrap();
                assert!(["attack", "add", "del"].contains(&name.as_str()), "{op}");
                assert!((1..=3).contains(&player.as_u64().unwrap()), "{op}");
                assert!(op_bytes == 0 || text.len() == op_bytes, "{text}");
            }
        }
    }
}
