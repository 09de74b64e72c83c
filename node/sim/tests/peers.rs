//! What other implementations test: all of it is as it is said here, and the page about it is up to date.

use std::collections::BTreeSet;
use std::fs;

use raftian_script::{FIGURES, Figure, PEERS, peers_page};
use raftian_sim::play;

#[test]
fn every_situation_of_the_peers_is_as_its_scenario_says() {
    let stopped = PEERS.iter().filter_map(|figure| Some((figure.name, play(&figure.scenario()).stopped?)));
    let stopped: Vec<String> = stopped.map(|(name, stopped)| format!("{name}, {stopped}")).collect();
    assert!(stopped.is_empty(), "{stopped:#?}");
}

#[test]
fn every_situation_has_a_title_a_source_a_paragraph_and_an_expectation() {
    for figure in PEERS {
        let (name, scenario) = (figure.name, figure.scenario());
        assert!((10..=100).contains(&scenario.title.chars().count()), "{name}: {}", scenario.title);
        assert!(scenario.source.chars().count() > 5 && scenario.see.chars().count() > 20, "{name}: {}", scenario.see);
        assert!(scenario.differs.is_empty() || scenario.differs.chars().count() > 40, "{name}: {}", scenario.differs);
        let expects = ["\nexpect ", "\nfinish\n", " refused\n"].iter().any(|part| figure.text.contains(part));
        assert!(expects, "{name} expects nothing");
    }
}

#[test]
fn every_file_of_the_peers_is_listed_once_and_no_name_is_a_figure_too() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../script/scenarios/peers");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.collect();
    let named: BTreeSet<String> = PEERS.iter().map(|figure| format!("{}.scenario", figure.name)).collect();
    assert_eq!(files, named);
    assert_eq!(named.len(), PEERS.len());
    assert!(FIGURES.iter().all(|figure| !named.contains(&format!("{}.scenario", figure.name))));
    assert!(Figure::named("etcd__lagging_commit").is_some());
}

#[test]
fn the_page_about_the_peers_is_what_the_command_prints() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/peers.md")).unwrap_or_default();
    assert!(page == peers_page(), "write it anew: `raftianctl sim peers --markdown > docs/peers.md`");
}
