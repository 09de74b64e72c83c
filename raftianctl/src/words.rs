//! Phrases that more than one command says.

use std::time::Duration;

use raftian_rpc::Configuration;
use raftian_rpc::faults::proof::Outcome;
use raftian_rpc::lab::{Leadership, Resolution};
use raftian_rpc::selector::names;
pub(crate) use raftian_why::words::{bytes, spell_ms, state, typed};

/// How long ago something was, in one unit: `12 s`, `5 min`, `3 h`, `8 d`.
pub(crate) fn age(age: Duration) -> String {
    match age.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

/// Whole milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `n2 leads term 1 after 212 ms`; without the time if it led before.
pub(crate) fn leads(leadership: &Leadership) -> String {
    let Leadership { leader, term, after_ms } = leadership;
    match after_ms {
        0 => format!("{leader} leads term {term}"),
        _ => format!("{leader} leads term {term} after {}", spell_ms(*after_ms)),
    }
}

/// `@leader → n2 (term 1)`; only the nodes where the selector says no more than they do.
pub(crate) fn resolved(resolution: &Resolution) -> String {
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
pub(crate) fn in_effect(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Confirmed => "is in effect",
        Outcome::Inconclusive => "may be in effect, which was not to be seen",
        Outcome::Mismatch => "is not in effect as it should be",
    }
}

/// Whether a fault is gone, by what was seen.
pub(crate) fn gone(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Confirmed => "it is gone",
        Outcome::Inconclusive => "it may be gone, which was not to be seen",
        Outcome::Mismatch => "it is not gone",
    }
}

/// `1 node`, `5 nodes`.
pub(crate) fn nodes(count: usize) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}

/// A text that somebody made up, such as a key, on one line and without a say over the terminal: as within the quotation
/// marks of a value, control characters are escaped.
pub(crate) fn escaped(text: &str) -> String {
    let quoted = format!("{text:?}");
    quoted[1..quoted.len() - 1].to_owned()
}

/// Bytes of memory as people read them: `8.1 MB`, `25.3 GB`.
pub(crate) fn memory(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// `voters n1,n2,n3`, `voters n1,n2,n3 + learner n4`, or `voters n2,n3 and n1,n2,n3 (joint)` on the way from one set to
/// another.
pub(crate) fn configuration(members: &Configuration) -> String {
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

/// Words in lines of at most so many characters, where they fit.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= width) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use raftian_rpc::NodeId;

    use super::*;

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
    fn nobodys_text_breaks_a_line_or_paints_the_terminal() {
        assert_eq!(escaped("k\n2\u{1b}[31m\u{9b}\u{202e}"), r"k\n2\u{1b}[31m\u{9b}\u{202e}");
        assert_eq!((escaped("größe it's"), escaped("")), ("größe it's".to_owned(), String::new()));
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

    #[test]
    fn lines_are_as_long_as_they_may_be() {
        assert_eq!(wrapped("one two  three\nfour", 9), "one two\nthree\nfour");
        assert_eq!((wrapped("", 9), wrapped("extraordinary", 9)), (String::new(), "extraordinary".to_owned()));
    }
}
