//! What the test suites of other implementations of Raft test, situation by situation.
//!
//! Invariant: each is a text file of its own, with its source. It says what this core does: one that `differs` from what
//! the source expects gives the reason, and fails when that changes. A test plays all of them.
//!
//! Deliberately absent: text of those projects. The situations are theirs, the words are ours.

use super::Figure;
use super::figures::figures;

/// All of them, by source.
pub const PEERS: &[Figure] = figures! { "peers/":
    // etcd-io/raft
    "etcd__LeaderTransfer_late_TimeoutNow",
    "etcd__TestAddNodeCheckQuorum",
    "etcd__TestCandidateDeliversPreCandidateSelfVote",
    "etcd__TestCandidateSelfVoteAfterLostElection",
    "etcd__TestCommitAfterRemoveNode",
    "etcd__TestDisruptiveFollower",
    "etcd__TestDuelingCandidates",
    "etcd__TestFastLogRejection_1",
    "etcd__TestFastLogRejection_3",
    "etcd__TestFastLogRejection_5",
    "etcd__TestFastLogRejection_7",
    "etcd__TestFastLogRejection_many_terms",
    "etcd__TestFreeStuckCandidateWithCheckQuorum",
    "etcd__TestLeaderCyclePreVote",
    "etcd__TestLeaderMsgAppSelfAckAfterTermChange",
    "etcd__TestLeaderStepdownWhenQuorumLost",
    "etcd__TestLeaderSuperseding_leader_without_contact",
    "etcd__TestLeaderTransferAfterSnapshot_slow",
    "etcd__TestLeaderTransferDemoteNode",
    "etcd__TestLeaderTransferRemoveNode",
    "etcd__TestLeaderTransferSecondTransferToAnotherNode",
    "etcd__TestLeaderTransferTimeout",
    "etcd__TestLeaderTransferToSlowFollower",
    "etcd__TestLearnerCampaign",
    "etcd__TestLogReplicationWithReorderedMessage",
    "etcd__TestNodeWithSmallerTermCanCompleteElection",
    "etcd__TestOldMessages",
    "etcd__TestPreVoteWithSplitVote",
    "etcd__TestReadOnlyForNewLeader",
    "etcd__TestReadOnlyWithLearner",
    "etcd__TestRestoreIgnoreSnapshot_fast_forward",
    "etcd__TestRestoreVoterToLearner",
    "etcd__TestSnapshotAbort",
    "etcd__TestVoteFromAnyState",
    "etcd__async_storage_writes_append_aba_race",
    "etcd__checkquorum",
    "etcd__confchange_demote_and_promote",
    "etcd__confchange_demoted_leader",
    "etcd__confchange_v1_remove_leader",
    "etcd__confchange_v2_add_double",
    "etcd__lagging_commit",
    "etcd__prevote_checkquorum",
    "etcd__probe_and_replicate",
    "etcd__replicate_pause",
    "etcd__slow_follower_after_compaction",
    "etcd__snapshot_succeed_via_app_resp_behind",
    // hashicorp/raft
    "hashicorp__FollowerRemovalNoElection",
    "hashicorp__JoinNode_foreign_log",
    "hashicorp__LeadershipTransferWithSevenNodes",
    "hashicorp__PreVoteAvoidElectionWithPartition",
    "hashicorp__RemoveFollower_SplitCluster",
    "hashicorp__SendSnapshotAndLogsFollower",
    "hashicorp__SnapshotRestore_PeerChange",
    "hashicorp__VerifyLeader_PartialConnect",
    "hashicorp__VoteNotGranted_WhenNodeNotInCluster",
    "hashicorp__VotingGrant_WhenLeaderAvailable",
    "hashicorp__fuzzy_AddMembership",
    "hashicorp__fuzzy_LeaderPartitions",
    "hashicorp__fuzzy_SlowSendVote",
    "hashicorp__majority_lost_for_good",
    // MIT 6.5840
    "mit__3A_InitialElection",
    "mit__3A_ManyElections",
    "mit__3A_ReElection",
    "mit__3B_Backup",
    "mit__3B_BasicAgree",
    "mit__3B_Count",
    "mit__3B_Count_commands",
    "mit__3B_Count_idle",
    "mit__3B_FailAgree",
    "mit__3B_FailNoAgree",
    "mit__3B_FollowerFailure",
    "mit__3B_LeaderFailure",
    "mit__3B_RPCBytes",
    "mit__3B_Rejoin",
    "mit__3C_Churn",
    "mit__3C_Figure8Unreliable",
    "mit__3C_Figure8_crash",
    "mit__3C_Persist1",
    "mit__3C_Persist2",
    "mit__3C_Persist3",
    "mit__3C_UnreliableAgree",
    "mit__3D_SnapshotAllCrash",
    "mit__3D_SnapshotBasic",
    "mit__3D_SnapshotInstall",
    "mit__3D_SnapshotInstallCrash",
    "mit__3D_SnapshotInstallUnCrash",
    "mit__3D_SnapshotInstallUnreliable",
    // openraft
    "openraft__t10_api_install_snapshot_with_lower_vote",
    "openraft__t10_append_entries_partial_success",
    "openraft__t10_elect_compare_last_log",
    "openraft__t10_learner_restart",
    "openraft__t11_append_conflicts",
    "openraft__t11_append_updates_membership_b",
    "openraft__t11_elect_seize_leadership",
    "openraft__t12_concurrent_write_and_add_learner",
    "openraft__t14_one_way_isolation_deaf",
    "openraft__t14_one_way_isolation_deaf_shielded",
    "openraft__t14_one_way_isolation_mute",
    "openraft__t21_change_membership_cases",
    "openraft__t21_m01_change_m2",
    "openraft__t21_refused",
    "openraft__t30_commit_joint_config_012_to_234",
    "openraft__t30_commit_joint_config_0_to_012",
    "openraft__t30_commit_joint_config_no_way_back",
    "openraft__t30_elect_with_new_config",
    "openraft__t30_replication_1_voter_to_isolated_learner",
    "openraft__t31_removed_follower",
    "openraft__t32_snapshot_uses_prev_snap_membership",
    "openraft__t33_snapshot_delete_conflict_logs",
    "openraft__t34_replication_does_not_block_purge",
    "openraft__t50_append_entries_backoff",
    "openraft__t50_leader_restart_clears_state",
    "openraft__t51_after_snapshot_add_learner_and_request_a_log",
    "openraft__t51_hung_follower_blocks_loop",
    "openraft__t51_write_when_leader_quit",
    "openraft__t90_issue_920_learner_leader_restart",
    "openraft__t90_issue_920_non_voter_leader_restart",
    "openraft__t99_issue_1500_heartbeat_cause_reversion",
    "openraft__t99_issue_1795_disk_full",
    "openraft__t99_issue_1795_storage_error",
    "openraft__t99_new_leader_auto_commit",
    // toyDB
    "toydb__append_base_missing_all",
    "toydb__append_pipeline",
    "toydb__append_pipeline_latency",
    "toydb__append_probe_divergent_long",
    "toydb__append_response_stale_reject_copy",
    "toydb__append_response_stale_reject_probing",
    "toydb__election_candidate_behind_quorum",
    "toydb__election_contested",
    "toydb__election_tie_even",
    "toydb__heartbeat_commits_follower",
    "toydb__heartbeat_converts",
    "toydb__heartbeat_lost_append_single",
    "toydb__heartbeat_lost_read",
    "toydb__heartbeat_match_commits",
    "toydb__heartbeat_probe_divergent",
    "toydb__old_campaign_rejected",
    "toydb__request_leader_disconnect",
    "toydb__request_leader_read_quorum_sequence",
    "toydb__request_leader_read_quorum_sequence_together",
    "toydb__request_leader_single",
    "toydb__restart_commit_recover",
    "toydb__restart_term_vote",
};

/// The page about them, `docs/peers.md`: where each comes from, and whether it holds here.
pub fn peers_page() -> String {
    let scenarios: Vec<_> = PEERS.iter().map(|figure| (figure.name, figure.scenario())).collect();
    let differ = scenarios.iter().filter(|(_, scenario)| !scenario.differs.is_empty()).count();
    let mut page = format!(
        "# What the peers test\n\n\
         {} situations that the test suites of other implementations of Raft test, as scenarios in our own words. {} hold\n\
         here; {differ} differ, and say why: their scenarios expect what this core does, so that a change is noticed.\n\
         All are played by `raftianctl sim peers`, one with its messages by `raftianctl sim figure NAME --chart text`.\n\
         `raftianctl sim peers --markdown` writes this page.\n\n\
         | Situation | What is so here | Source | Holds, or differs and why |\n|---|---|---|---|\n",
        scenarios.len(),
        scenarios.len() - differ,
    );
    for (name, scenario) in scenarios {
        let cell = |text: &str| text.replace('|', "\\|").replace('*', "\\*");
        let outcome = match scenario.differs.as_str() {
            "" => "holds".to_owned(),
            why => format!("**differs**: {}", cell(why)),
        };
        let (title, source) = (cell(&scenario.title), cell(&scenario.source));
        let file = format!("../node/sim/scenarios/peers/{name}.scenario");
        page.push_str(&format!("| [`{name}`]({file}) | {title} | {source} | {outcome} |\n"));
    }
    page
}
