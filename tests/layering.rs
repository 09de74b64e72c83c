//! The arrows of ARCHITECTURE.md, read from what cargo will really build.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Who may depend on whom. A new arrow is a decision: change ARCHITECTURE.md first.
const ARROWS: &[(&str, &[&str])] = &[
    ("raftian-raft", &[]),
    ("raftian-faults", &[]),
    ("raftian-wal", &["raftian-raft"]),
    ("raftian-apps", &["raftian-raft"]),
    ("raftian-check", &["raftian-apps"]),
    ("raftian-planted", &["raftian-raft", "raftian-driver", "raftian-wal", "raftian-apps"]),
    ("raftian-driver", &["raftian-raft", "raftian-faults", "raftian-apps"]),
    ("raftian-script", &["raftian-raft", "raftian-faults", "raftian-apps"]),
    (
        "raftian-sim",
        &[
            "raftian-raft",
            "raftian-driver",
            "raftian-faults",
            "raftian-script",
            "raftian-wal",
            "raftian-apps",
            "raftian-check",
            "raftian-planted",
        ],
    ),
    ("raftian-rpc", &["raftian-raft", "raftian-faults", "raftian-apps"]),
    (
        "raftian-node",
        &[
            "raftian-raft",
            "raftian-driver",
            "raftian-faults",
            "raftian-wal",
            "raftian-apps",
            "raftian-planted",
            "raftian-rpc",
        ],
    ),
    ("raftian-supervise", &["raftian-rpc"]),
    ("raftian-why", &["raftian-rpc"]),
    ("raftian-view", &["raftian-rpc", "raftian-why"]),
    ("raftiand", &["raftian-apps", "raftian-rpc", "raftian-supervise", "raftian-why", "raftian-view"]),
    ("raftian-bench", &["raftian-rpc", "raftian-supervise", "raftian-check", "raftian-script"]),
    (
        "raftianctl",
        &[
            "raftian-rpc",
            "raftian-bench",
            "raftian-check",
            "raftian-script",
            "raftian-sim",
            "raftian-why",
            "raftian-view",
        ],
    ),
    ("raftian-tests", &["raftian-rpc"]),
    ("raftian-xtask", &[]),
];

/// What only tests depend on.
const ARROWS_OF_TESTS: &[(&str, &str)] = &[("raftian-node", "raftian-supervise")];

#[test]
fn every_arrow_between_members_is_one_that_the_architecture_names() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(raftian_tests::workspace())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let members: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().expect("a name")).collect();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    assert_eq!(members, allowed.keys().copied().collect(), "the members and the plan differ");

    for package in packages {
        let from = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let to = dependency["name"].as_str().expect("a name");
            let internal = members.contains(to);
            let of_tests = dependency["kind"] == "dev" && ARROWS_OF_TESTS.contains(&(from, to));
            let is_allowed = allowed[from].contains(&to) || of_tests;
            assert!(!internal || is_allowed, "{from} → {to} is not an arrow of the plan");
        }
    }
}
