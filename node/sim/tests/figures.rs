//! The library of scenarios: all of it holds, and is complete.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use raftian_script::{FIGURES, Figure, Plan};
use raftian_sim::play;

#[test]
fn every_figure_holds() {
    let stopped = FIGURES.iter().filter_map(|figure| Some((figure.name, play(&figure.scenario()).stopped?)));
    let stopped: Vec<String> = stopped.map(|(name, stopped)| format!("{name}, {stopped}")).collect();
    assert!(stopped.is_empty(), "{stopped:#?}");
}

#[test]
fn every_figure_says_what_it_is_and_expects_something() {
    for figure in FIGURES {
        let scenario = figure.scenario();
        assert!((10..=100).contains(&scenario.title.chars().count()), "{}: {}", figure.name, scenario.title);
        assert!(scenario.see.chars().count() > 100, "{}: {}", figure.name, scenario.see);
        assert!(figure.text.contains("\nexpect ") || figure.text.contains(" finish\n"), "{}", figure.name);
    }
}

#[test]
fn every_file_is_a_figure_and_every_figure_has_a_name_of_its_own() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../script/scenarios");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.filter(|file| file != "peers").collect();
    let named: BTreeSet<String> = FIGURES.iter().map(|figure| format!("{}.scenario", figure.name)).collect();
    assert_eq!(files, named);
    assert_eq!(named.len(), FIGURES.len());
    assert!(Figure::named("fig8_d").is_some() && Figure::named("fig9").is_none());
}

/// Switches a rule off.
type Without = fn(&mut Plan);

/// What these figures show is not the absence of a bug, but a rule that can be switched off.
#[test]
fn figures_about_a_rule_fail_without_it() {
    let without: [(&str, Without); 6] = [
        ("cloudflare_partial", |plan| (plan.pre_vote, plan.check_quorum) = (false, false)),
        ("asym_deaf_node", |plan| (plan.pre_vote, plan.check_quorum) = (false, false)),
        ("disruptive_removed", |plan| plan.check_quorum = false),
        ("prevote_rejoin_long_partition", |plan| plan.pre_vote = false),
        ("leader_disk_hangs", |plan| plan.disk_patience = Duration::from_secs(60)),
        ("uncommitted_limit", |plan| plan.max_uncommitted_bytes = usize::MAX),
    ];
    for (name, take_away) in without {
        let mut scenario = Figure::named(name).unwrap().scenario();
        take_away(&mut scenario.plan);
        assert!(play(&scenario).stopped.is_some(), "{name} holds without the rule that it shows");
    }
}
