//! Every figure fails where the rule that it shows is broken.
//!
//! `cargo test -p raftian-sim --release --features mutants --test broken_figures -- --nocapture` prints what is seen.

use std::panic;

use raftian_script::{FIGURES, Figure, Scenario};
use raftian_sim::{Settings, Stopped, draw, minimise, play, run};

/// Figures, and the planted bugs that break what they show.
const BROKEN: &[(&str, &[&str])] = &[
    ("fig7_a", &["next_index_stuck"]),
    ("fig7_b", &["next_index_stuck"]),
    ("fig7_c", &["conflict_kept"]),
    ("fig7_d", &["tail_kept"]),
    ("fig7_e", &["next_index_stuck"]),
    ("fig7_f", &["next_index_stuck", "no_prev_log_check"]),
    ("fig8_d", &["old_term_committed"]),
    ("fig8_e", &["no_up_to_date_check", "only_terms_compared"]),
    ("fig8_unreliable", &["old_term_committed", "no_up_to_date_check"]),
    ("vote_before_reply", &["speaks_before_sync"]),
    ("term_vote_atomic", &["vote_not_persisted"]),
    ("same_term_stepdown_keeps_vote", &["vote_twice"]),
    ("append_ack_power_loss", &["speaks_before_sync"]),
    ("single_node_crash", &["term_not_persisted"]),
    ("corrupt_record", &["wal_cuts_corrupt_log"]),
    ("split_vote_5", &["vote_twice"]),
    ("asym_mute_leader", &["deposed_leader_returns"]),
    ("one_stall", &["replies_wait_for_writes"]),
    ("lost_append", &["loss_not_inferred"]),
    ("long_link_catch_up", &["late_answer_refused"]),
    ("long_link_snapshot", &["late_answer_refused"]),
    ("stale_read_partitioned_leader", &["read_without_quorum"]),
    ("new_leader_read_before_noop", &["read_before_noop"]),
    ("readindex_delayed_ack", &["read_without_quorum"]),
    ("readindex_retry_after_pause", &["read_without_quorum"]),
    ("lease_given_away", &["lease_outlives_transfer"]),
    ("lease_follower_restarts", &["no_protection_after_restart"]),
    ("lease_late_refusal", &["late_refusal_believed"]),
    ("reply_to_former_life", &["former_life_believed"]),
    ("ack_after_truncation", &["driver_answers_by_index"]),
    ("stale_short_append", &["truncates_always"]),
    ("heartbeat_divergent_tail", &["commit_uncapped"]),
    ("snapshot_suffix_restart", &["snapshot_off_by_one", "app_snapshot_off_by_one"]),
    ("install_snapshot_stale_or_duplicate", &["stale_snapshot_installed"]),
    ("snapshot_conflicting_suffix", &["snapshot_term_ignored"]),
    ("crash_mid_install", &["driver_writes_before_restore"]),
    ("append_spans_compaction", &["compacted_taken_for_missing"]),
    ("single_server_bug", &["change_before_noop"]),
    ("joint_partition", &["union_quorum", "joint_left_early"]),
    ("joint_leader_crash", &["joint_left_early"]),
    ("config_truncated", &["configuration_not_rolled_back"]),
    ("remove_leader", &["joint_left_early"]),
    ("rejoin_same_term", &["former_server_believed"]),
    ("member_returns_empty", &["next_index_stuck"]),
    ("disk_back_in_time", &["denial_ignored"]),
    ("wiped_same_name", &["incarnation_ignored"]),
    ("name_reused", &["incarnation_ignored"]),
    ("member_returns_with_old_disk", &["next_index_stuck"]),
    ("transfer_under_load", &["transfer_never_aborted"]),
    ("duplicate_retry", &["app_no_duplicate_suppression"]),
    ("dedup_across_snapshot", &["app_no_duplicate_suppression"]),
    ("restart_all_then_minority", &["quorum_half"]),
    ("split_brain", &["conflict_kept"]),
    ("lose_the_majority", &["next_index_stuck"]),
    ("rolling_restart", &["term_not_persisted", "vote_not_persisted"]),
    ("add_a_member", &["joint_left_early", "next_index_stuck"]),
];

/// Some planted bugs make a server panic, which is told as a violation and need not be printed.
fn hushed<T>(work: impl FnOnce() -> T) -> T {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = work();
    panic::set_hook(hook);
    done
}

#[test]
fn every_figure_fails_with_the_bug_that_it_is_about() {
    let mut held = Vec::new();
    for (name, mutants) in BROKEN {
        let figure = Figure::named(name).unwrap_or_else(|| panic!("there is no figure {name}"));
        for mutant in *mutants {
            let scenario = Scenario { mutant: Some(mutant.to_string()), ..figure.scenario() };
            match hushed(|| play(&scenario)).stopped {
                Some(stopped) => println!("{name:<38} {mutant:<30} {stopped}"),
                None => held.push(format!("{name} with {mutant}")),
            }
        }
    }
    assert!(held.is_empty(), "these hold all the same: {held:#?}");
}

#[test]
fn no_figure_is_about_nothing() {
    // These are about rules that can be switched off (`figures.rs`).
    let others = [
        "cloudflare_partial",
        "asym_deaf_node",
        "disruptive_removed",
        "prevote_rejoin_long_partition",
        "learner_added_partitioned",
        "leader_disk_hangs",
        "uncommitted_limit",
    ];
    for figure in FIGURES {
        let is_listed = BROKEN.iter().any(|(name, _)| *name == figure.name);
        assert!(is_listed != others.contains(&figure.name), "{}", figure.name);
    }
}

/// What a hunt prints can be played, and breaks the same thing in the same step.
#[test]
fn a_script_that_was_cut_down_is_printed_and_breaks_the_same_again() {
    for mutant in ["no_up_to_date_check", "old_term_committed", "speaks_before_sync", "app_no_duplicate_suppression"] {
        let settings = Settings::planted(mutant).unwrap();
        let schedules = (0..3_000).map(draw);
        let (schedule, report) = hushed(|| {
            let mut runs = schedules.map(|schedule| (run(&schedule, &settings), schedule));
            let (report, schedule) = runs.find(|(report, _)| report.violation.is_some()).expect("the bug is found");
            (minimise(&schedule, &settings, 300).expect("it breaks something"), report)
        });
        let expected = hushed(|| run(&schedule, &settings));
        let broken = expected.violation.clone().expect("it still breaks it");
        assert_eq!(broken.invariant, report.violation.unwrap().invariant);

        let text = Scenario::of(&schedule, settings.mutant_name()).to_string();
        let played = hushed(|| play(&text.parse::<Scenario>().unwrap()));
        assert_eq!(played.hash, expected.hash, "{mutant}\n{text}");
        match played.stopped {
            Some(Stopped::Broken { violation, .. }) => assert_eq!(violation, broken, "{mutant}\n{text}"),
            other => panic!("{mutant}: {other:?}\n{text}"),
        }
    }
}

#[test]
fn a_bug_that_is_not_there_is_met_with_the_nearest_name() {
    let why = Settings::planted("old_term_commited").unwrap_err().to_string();
    assert!(why.contains("did you mean `old_term_committed`?"), "{why}");
    let scenario: Scenario = "servers 3\nmutant quorum_hal\nelect n1".parse().unwrap();
    let why = play(&scenario).stopped.unwrap().to_string();
    assert!(
        why.starts_with("`mutant quorum_hal`, but there is no planted bug") && why.contains("`quorum_half`"),
        "{why}"
    );
}
