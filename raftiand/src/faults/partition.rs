//! Partitions: from groups of nodes to the directed links that must be cut, and the words for it.
//!
//! Invariant: pure. No link leads from a node to itself, and none is cut twice.
//!
//! Deliberately absent: selectors; whoever calls has resolved them.

use std::collections::BTreeSet;

use raftian_rpc::NodeId;
use raftian_rpc::selector::names;

/// A set of nodes on one side of a cut, by their names: a link stays cut when its end is another node of the name.
pub(crate) type Group = BTreeSet<NodeId>;

/// What to cut, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// In words: `partition n1,n5 | n2,n3,n4`.
    pub(crate) title: String,
    /// The directed links to cut.
    pub(crate) links: Vec<(NodeId, NodeId)>,
}

/// The names of nodes.
pub(crate) fn by_name(nodes: &BTreeSet<NodeId>) -> Group {
    nodes.iter().map(|node| node.name()).collect()
}

/// Cuts every link between two different groups; one way, only those from earlier groups to later ones.
///
/// # Errors
/// A sentence, when there are fewer than two groups or a node stands in two of them.
pub(crate) fn groups(groups: &[Group], one_way: bool) -> Result<Cut, String> {
    if groups.len() < 2 {
        return Err("a partition needs at least two groups, for instance n1,n2 and n3,n4,n5".into());
    }
    let mut seen = Group::new();
    for group in groups {
        if let Some(shared) = group.iter().find(|node| !seen.insert(**node)) {
            return Err(format!("{shared} is in two groups; a partition needs groups that share no node"));
        }
    }
    let mut links = Vec::new();
    for (place, earlier) in groups.iter().enumerate() {
        for later in &groups[place + 1..] {
            links.extend(between(earlier, later, one_way));
        }
    }
    let sides: Vec<String> = groups.iter().map(names).collect();
    Ok(Cut { title: format!("partition {}", sides.join(separator(one_way))), links })
}

/// Puts `inside` on one side and all other nodes on the other.
///
/// # Errors
/// A sentence, when there are no others.
pub(crate) fn isolate(inside: &Group, all: &Group, one_way: bool) -> Result<Cut, String> {
    let outside: Group = all.difference(inside).copied().collect();
    if outside.is_empty() {
        return Err(format!("{} are all nodes of this lab, so there is nobody to isolate them from", names(inside)));
    }
    groups(&[inside.clone(), outside], one_way)
}

/// Two halves that both still reach the one node between them, which is the middle one by number.
///
/// # Errors
/// A sentence, when there are fewer than three nodes.
pub(crate) fn bridge(all: &Group, one_way: bool) -> Result<Cut, String> {
    if all.len() < 3 {
        return Err(format!("a bridge needs at least 3 nodes, and this lab has {}", all.len()));
    }
    let side = (all.len() - 1) / 2;
    let middle = *all.iter().nth(side).expect("a side is shorter than the whole");
    let left: Group = all.iter().copied().take(side).collect();
    let right: Group = all.iter().copied().skip(side + 1).collect();
    let links = between(&left, &right, one_way);
    let title = format!("partition {}{}{}, bridged by {middle}", names(&left), separator(one_way), names(&right));
    Ok(Cut { title, links })
}

/// Every node reaches its two neighbours by number only, the last one being next to the first.
///
/// # Errors
/// A sentence, when there are fewer than four nodes: up to three are all neighbours.
pub(crate) fn ring(all: &Group, one_way: bool) -> Result<Cut, String> {
    if all.len() < 4 {
        let count = all.len();
        return Err(format!("a ring of {count} cuts nothing, since all are neighbours; it needs at least 4 nodes"));
    }
    let circle: Vec<NodeId> = all.iter().copied().collect();
    let last = circle.len() - 1;
    let mut links = Vec::new();
    for (place, from) in circle.iter().enumerate() {
        for (other, to) in circle.iter().enumerate().skip(place + 2) {
            if (place, other) != (0, last) {
                links.push((*from, *to));
                links.extend((!one_way).then_some((*to, *from)));
            }
        }
    }
    let around: Vec<String> = circle.iter().map(NodeId::to_string).collect();
    let way = if one_way { " (one way)" } else { "" };
    Ok(Cut { title: format!("partition ring {}{way}", around.join("-")), links })
}

/// A minority of the voters, with the leader in it if there is one, and a majority with all others.
///
/// # Errors
/// A sentence, when there are fewer than three voters, so that a minority would be nobody.
pub(crate) fn halves(all: &Group, voters: &Group, leader: Option<NodeId>, one_way: bool) -> Result<Cut, String> {
    if voters.len() < 3 {
        return Err(format!("halves need at least 3 nodes with a vote, and this lab has {}", voters.len()));
    }
    let size = (voters.len() - 1) / 2;
    let others = voters.iter().copied().filter(|node| Some(*node) != leader);
    let minority: Group = leader.into_iter().chain(others).take(size).collect();
    isolate(&minority, all, one_way)
}

/// The directed links from each of `from` to each of `to`, and back unless `one_way`.
pub(crate) fn between(from: &Group, to: &Group, one_way: bool) -> Vec<(NodeId, NodeId)> {
    let mut links = BTreeSet::new();
    for &start in from {
        for &end in to.iter().filter(|end| **end != start) {
            links.insert((start, end));
            if !one_way {
                links.insert((end, start));
            }
        }
    }
    links.into_iter().collect()
}

fn separator(one_way: bool) -> &'static str {
    if one_way { " → " } else { " | " }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(text: &str) -> Group {
        text.split(' ').map(|id| id.parse().unwrap()).collect()
    }

    fn all(count: u16) -> Group {
        NodeId::first(count).collect()
    }

    fn written(cut: &Cut) -> String {
        cut.links.iter().map(|(from, to)| format!("{from}>{to}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn groups_are_cut_both_ways_or_one_way() {
        let both = groups(&[group("n1 n2"), group("n3")], false).unwrap();
        assert_eq!(both.title, "partition n1,n2 | n3");
        assert_eq!(written(&both), "n1>n3 n2>n3 n3>n1 n3>n2");
        let one = groups(&[group("n3"), group("n1 n2")], true).unwrap();
        assert_eq!(one.title, "partition n3 → n1,n2");
        assert_eq!(written(&one), "n3>n1 n3>n2");
    }

    #[test]
    fn three_groups_are_cut_pairwise_and_a_node_in_none_keeps_its_links() {
        let cut = groups(&[group("n1"), group("n2"), group("n3")], true).unwrap();
        assert_eq!(written(&cut), "n1>n2 n1>n3 n2>n3");
    }

    #[test]
    fn what_is_no_partition_is_refused_by_name() {
        assert!(groups(&[group("n1")], false).unwrap_err().contains("at least two groups"));
        let shared = groups(&[group("n1 n2"), group("n2 n3")], false).unwrap_err();
        assert!(shared.starts_with("n2 is in two groups"), "{shared}");
        assert!(isolate(&all(3), &all(3), false).unwrap_err().contains("nobody to isolate"));
        for too_few in [bridge(&all(2), false), halves(&all(3), &all(2), None, false), ring(&all(3), false)] {
            assert!(too_few.unwrap_err().contains("at least"));
        }
    }

    #[test]
    fn a_bridge_reaches_both_halves() {
        let cut = bridge(&all(5), false).unwrap();
        assert_eq!(cut.title, "partition n1,n2 | n4,n5, bridged by n3");
        assert_eq!(cut.links.len(), 8);
        let n3: NodeId = "n3".parse().unwrap();
        assert!(cut.links.iter().all(|(from, to)| *from != n3 && *to != n3));
        assert_eq!(written(&bridge(&all(3), true).unwrap()), "n1>n3");
    }

    #[test]
    fn a_ring_leaves_each_node_its_two_neighbours() {
        for count in 4..=9 {
            let cut = ring(&all(count), false).unwrap();
            for node in all(count) {
                let lost = cut.links.iter().filter(|(from, _)| *from == node).count();
                assert_eq!(usize::from(count) - 1 - lost, 2, "{node} of {count}");
            }
        }
        assert_eq!(written(&ring(&all(4), true).unwrap()), "n1>n3 n2>n4");
    }

    #[test]
    fn halves_put_the_leader_in_the_minority() {
        let leader = "n4".parse().ok();
        let title = |nodes, leader| halves(&all(nodes), &all(nodes), leader, false).unwrap().title;
        assert_eq!(title(5, leader), "partition n1,n4 | n2,n3,n5");
        assert_eq!(title(4, leader), "partition n4 | n1,n2,n3");
        assert_eq!(title(3, None), "partition n1 | n2,n3");
        let learners = halves(&all(7), &group("n3 n4 n5"), leader, false).unwrap().title;
        assert_eq!(learners, "partition n4 | n1,n2,n3,n5,n6,n7");
    }
}
