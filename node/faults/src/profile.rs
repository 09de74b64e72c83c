//! Networks by name: what their links do to messages.
//!
//! `lan`, `wifi` and `wan` are chosen, of the size that such networks have. `geo` is measured: average round trips between
//! five regions of IBM Cloud, 17 August to 15 September 2024, as IBM publishes them ("Network latency dashboards", in
//! `_include-segments/network-latency.md` of `ibm-cloud-docs/vpc`). Half of a round trip is taken for each way.
//!
//! Invariant: a profile has the same effects for a pair of places whichever nodes stand there; in `geo` the nodes stand at the
//! five places in turn, and two at one place are in one data centre.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Effect;

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// One data centre: 0.25 ms each way.
    Lan,
    /// A wireless network at home: 3 ms each way, give or take 2 ms, and 1 % is lost.
    Wifi,
    /// Two cities: 20 ms each way, give or take 2 ms, and 0.1 % is lost.
    Wan,
    /// Washington DC, Frankfurt, Tokyo, Sydney and São Paulo.
    Geo,
}

/// The places of `geo`, in the order in which nodes stand there.
pub const GEO_PLACES: [&str; 5] = ["Washington DC", "Frankfurt", "Tokyo", "Sydney", "São Paulo"];

/// The round trips between them, in milliseconds.
const GEO_ROUND_TRIPS_MS: [[f64; 5]; 5] = [
    [0.0, 91.0, 166.0, 214.0, 118.0],
    [91.0, 0.0, 228.0, 250.0, 197.0],
    [166.0, 228.0, 0.0, 115.0, 284.0],
    [214.0, 250.0, 115.0, 0.0, 327.0],
    [118.0, 197.0, 284.0, 327.0, 0.0],
];

/// How much of a way in `geo` varies.
const GEO_JITTER: f64 = 0.02;

impl Profile {
    /// All of them, with their names.
    pub const ALL: [(Profile, &'static str); 4] =
        [(Profile::Lan, "lan"), (Profile::Wifi, "wifi"), (Profile::Wan, "wan"), (Profile::Geo, "geo")];

    /// What happens to messages from one node to another, which stand at these places among the nodes, from 0 on.
    pub fn effects(self, from: usize, to: usize) -> Vec<Effect> {
        let late = |delay_ms, jitter_ms| Effect::Latency { delay_ms, jitter_ms };
        match self {
            Profile::Lan => vec![late(0.25, 0.0)],
            Profile::Wifi => vec![late(3.0, 2.0), Effect::Drop { probability: 0.01 }],
            Profile::Wan => vec![late(20.0, 2.0), Effect::Drop { probability: 0.001 }],
            Profile::Geo => {
                let places = GEO_PLACES.len();
                let way_ms = GEO_ROUND_TRIPS_MS[from % places][to % places] / 2.0;
                if way_ms == 0.0 { Profile::Lan.effects(from, to) } else { vec![late(way_ms, way_ms * GEO_JITTER)] }
            }
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) = Profile::ALL[*self as usize];
        f.pad(name)
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Profile, String> {
        let found = Profile::ALL.into_iter().find(|(_, name)| *name == text);
        found.map(|(profile, _)| profile).ok_or_else(|| {
            let names = Profile::ALL.map(|(_, name)| name).join(", ");
            format!("`{text}` is no network; they are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_has_a_name_and_valid_effects_both_ways() {
        for (profile, name) in Profile::ALL {
            assert_eq!((profile.to_string().as_str(), name.parse()), (name, Ok(profile)));
            for (from, to) in (0..7).flat_map(|from| (0..7).map(move |to| (from, to))) {
                let effects = profile.effects(from, to);
                assert!(!effects.is_empty() && effects.iter().all(|effect| effect.validate().is_ok()));
                assert_eq!(effects, profile.effects(to, from), "{name}");
            }
        }
        assert_eq!("moon".parse::<Profile>().unwrap_err(), "`moon` is no network; they are lan, wifi, wan, geo");
    }

    #[test]
    fn a_way_is_half_of_a_round_trip_and_the_sixth_node_stands_beside_the_first() {
        let Effect::Latency { delay_ms, .. } = Profile::Geo.effects(0, 2)[0] else { panic!("it is late") };
        assert_eq!(delay_ms, 83.0);
        assert_eq!(Profile::Geo.effects(0, 5), Profile::Lan.effects(0, 5));
    }
}
