//! Phrases that more than one face says.

use raftian_rpc::Configuration;
use raftian_rpc::control::Damaged;
use raftian_rpc::faults::proof::Outcome;
use raftian_rpc::lab::{Leadership, Resolution};
use raftian_rpc::selector::names;
pub use raftian_why::words::{bytes, spell_ms, state, typed};

/// `n2 leads term 1 after 212 ms`; without the time if it led before.
pub fn leads(leadership: &Leadership) -> String {
    let Leadership { leader, term, after_ms } = leadership;
    match after_ms {
        0 => format!("{leader} leads term {term}"),
        _ => format!("{leader} leads term {term} after {}", spell_ms(*after_ms)),
    }
}

/// `@leader → n2 (term 1)`; only the nodes where the selector says no more than they do.
pub fn resolved(resolution: &Resolution) -> String {
    let nodes = names(&resolution.nodes);
    if resolution.selector.to_string() == nodes {
        return nodes;
    }
    match resolution.leader {
        Some((_, term)) => format!("{} → {nodes} (term {term})", resolution.selector),
        None => format!("{} → {nodes}", resolution.selector),
    }
}

/// Whether a fault is in effect, by what was seen.
pub fn in_effect(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Confirmed => "is in effect",
        Outcome::Inconclusive => "may be in effect, which was not to be seen",
        Outcome::Mismatch => "is not in effect as it should be",
    }
}

/// Whether a fault is gone, by what was seen.
pub fn gone(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Confirmed => "it is gone",
        Outcome::Inconclusive => "it may be gone, which was not to be seen",
        Outcome::Mismatch => "it is not gone",
    }
}

/// Bytes of memory as people read them: `8.1 MB`, `25.3 GB`.
pub fn memory(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// `voters n1,n2,n3`, `voters n1,n2,n3 + learner n4`, or `voters n2,n3 and n1,n2,n3 (joint)` on the way from one set to
/// another.
pub fn configuration(members: &Configuration) -> String {
    let several = |word: &str, count: usize| if count == 1 { word.to_owned() } else { format!("{word}s") };
    let mut text = format!("{} {}", several("voter", members.voters().len()), names(members.voters()));
    if members.is_joint() {
        text.push_str(&format!(" and {} (joint)", names(members.outgoing())));
    }
    if !members.learners().is_empty() {
        let learners = members.learners();
        text.push_str(&format!(" + {} {}", several("learner", learners.len()), names(learners)));
    }
    text
}

/// What damage was done, and where: `flips entry 3, in 00000001.wal at byte 120`.
pub fn damage(damaged: &Damaged) -> String {
    let name = damaged.file.as_ref().and_then(|file| file.file_name()).map(|name| name.to_string_lossy().into_owned());
    match (name, damaged.offset) {
        (Some(name), Some(offset)) => format!("{}, in {name} at byte {offset}", damaged.damage),
        _ => damaged.damage.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use raftian_rpc::NodeId;
    use raftian_rpc::faults::Damage;

    use super::*;

    #[test]
    fn damage_is_told_with_its_place() {
        let flips: Damage = "flips entry 3".parse().unwrap();
        let file = Some("/lab/nodes/n2/wal/00000001.wal".into());
        let damaged = Damaged { damage: flips, file, offset: Some(120), length: Some(40) };
        assert_eq!(damage(&damaged), "flips entry 3, in 00000001.wal at byte 120");
        let wiped = Damaged { damage: Damage::Wiped, file: None, offset: None, length: None };
        assert_eq!(damage(&wiped), "wiped");
    }

    #[test]
    fn members_are_told_by_what_they_are() {
        let set = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect::<BTreeSet<NodeId>>();
        let told = |voters: &[&str], outgoing: &[&str], learners: &[&str]| {
            configuration(&Configuration::of(set(voters), set(outgoing), set(learners)).unwrap())
        };
        assert_eq!(told(&["n1", "n2", "n3"], &[], &["n4"]), "voters n1,n2,n3 + learner n4");
        assert_eq!(told(&["n2"], &["n1", "n2"], &[]), "voter n2 and n1,n2 (joint)");
        assert_eq!(told(&["n1"], &[], &["n4", "n5"]), "voter n1 + learners n4,n5");
    }

    #[test]
    fn a_selector_is_explained_where_it_needs_to_be() {
        let resolution = |selector: &str, leader| Resolution {
            selector: selector.parse().unwrap(),
            nodes: ["n2".parse().unwrap()].into(),
            leader,
        };
        assert_eq!(resolved(&resolution("n2", None)), "n2");
        assert_eq!(resolved(&resolution("@any", None)), "@any → n2");
        assert_eq!(resolved(&resolution("@leader", Some(("n2".parse().unwrap(), 7)))), "@leader → n2 (term 7)");
    }

    #[test]
    fn a_leader_is_named_with_its_time() {
        let leadership = |after_ms| Leadership { leader: "n5".parse().unwrap(), term: 2, after_ms };
        assert_eq!(leads(&leadership(243)), "n5 leads term 2 after 243 ms");
        assert_eq!(leads(&leadership(0)), "n5 leads term 2");
    }
}
