//! What arms are called: `1,000 dots, uncapped, thread` for `cap=none dots=1000 hosting=thread`.
//!
//! Invariant: arms of one experiment that differ have names that differ; a factor or level that is not known here is
//! written as it stands.

use super::evidence::leading_number;
use super::hosting::label;
use super::words::{count, number, time_us};
use crate::experiments::{DISPLAY, HOSTING, WINDOW};
use crate::suite::trial::Arm;

/// The factors in the order in which names tell them; others come after them.
const ORDER: [&str; 4] = ["dots", "cap", DISPLAY, HOSTING];

/// An arm's name.
pub(crate) fn arm_words(arm: &Arm) -> String {
    let mut levels: Vec<(&str, &str)> = arm.levels().collect();
    levels.sort_by_key(|(factor, _)| ORDER.iter().position(|known| known == factor).unwrap_or(ORDER.len()));
    levels.into_iter().map(|(factor, level)| level_words(factor, level)).collect::<Vec<_>>().join(", ")
}

/// A payload for people: `16 B`, `1 KiB`.
pub(crate) fn size(payload: &str) -> String {
    match leading_number(payload) {
        Some(bytes) if bytes >= 1024.0 => format!("{} KiB", (bytes / 1024.0).round()),
        Some(bytes) => format!("{bytes} B"),
        None => payload.to_owned(),
    }
}

/// Cores: `1 core`, `2 cores`.
pub(crate) fn cores(level: &str) -> String {
    counted(level, "core")
}

fn counted(level: &str, noun: &str) -> String {
    level.parse().map_or_else(|_| format!("{level} {noun}s"), |n: usize| count(n, noun))
}

fn level_words(factor: &str, level: &str) -> String {
    let value = leading_number(level);
    match (factor, level, value) {
        ("dots", _, Some(dots)) => format!("{} dots", number(dots)),
        ("cap", "none", _) => "uncapped".into(),
        ("cap", _, Some(fps)) => format!("capped at {}", number(fps)),
        (DISPLAY, WINDOW, _) => "in a window".into(),
        (HOSTING, _, _) => label(level).into(),
        ("cores", _, _) => cores(level),
        ("heartbeat_ms", _, _) => format!("heartbeat {level} ms"),
        ("node", _, _) => format!("clicks at the {level}"),
        ("fsync", "on", _) => "fsync".into(),
        ("fsync", "off", _) => "no fsync".into(),
        ("payload_bytes", _, _) => size(level),
        ("offered_per_s", "0", _) => "idle".into(),
        ("offered_per_s", _, Some(rate)) => format!("{} commands/s offered", number(rate)),
        ("nodes", _, _) => counted(level, "node"),
        ("fault", _, _) => format!("fault: {level}"),
        ("election_timeout_ms", _, _) => format!("time-outs of {level} ms"),
        ("link", _, _) => format!("over {level}"),
        ("framing", "json", _) => "JSON-RPC".into(),
        ("framing", "xml_rpc", _) => "XML-RPC".into(),
        ("global_lock", "on", _) => "global lock".into(),
        ("global_lock", "off", _) => "no lock".into(),
        ("server_work_us", _, Some(us)) => format!("{} of work per message", time_us(us)),
        ("placement", _, _) => format!("nodes as {level}"),
        ("record", "on", _) => "a game that records".into(),
        ("record", "off", _) => "a game that does not".into(),
        ("instrument", "direct", _) => "timed directly".into(),
        _ => format!("{factor}={level}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::experiments::{Profile, all};

    #[test]
    fn arms_are_named_in_words() {
        let arm = Arm::of([("cap", "none"), ("dots", "1000"), (HOSTING, "thread")]);
        assert_eq!(arm_words(&arm), "1,000 dots, uncapped, thread");
        assert_eq!(arm_words(&Arm::of([("cores", "1"), (HOSTING, "baseline")])), "no server, 1 core");
        assert_eq!(arm_words(&Arm::of([("payload_bytes", "1024"), ("fsync", "off")])), "no fsync, 1 KiB");
        assert_eq!(arm_words(&Arm::of([("colour", "red")])), "colour=red");
    }

    #[test]
    fn every_arm_has_words_and_those_of_an_experiment_differ() {
        for experiment in all() {
            for profile in [Profile::Quick, Profile::Paper] {
                let arms = experiment.plan(profile).arms;
                let names: BTreeSet<String> = arms.iter().map(|planned| arm_words(&planned.arm)).collect();
                assert_eq!(names.len(), arms.len(), "{names:?}");
                assert!(names.iter().all(|name| !name.contains('=')), "{names:?}");
            }
        }
    }
}
