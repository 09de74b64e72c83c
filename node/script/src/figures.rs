//! The scenarios that everybody should have seen: the paper's figures, and what went wrong elsewhere.
//!
//! Invariant: each is a text file of its own, with a title, a paragraph and expectations; a test plays all of them, and
//! sees them fail where the rule that they show is broken.

use crate::{PEERS, Scenario};

/// A scenario that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// What it is about, with others.
    pub group: &'static str,
    /// What it says.
    pub text: &'static str,
}

/// Figures whose texts are files of a folder, by their names.
macro_rules! figures {
    ($folder:literal: $($group:literal: [$($name:literal,)*],)*) => {
        &[$($(Figure {
            name: $name,
            group: $group,
            text: include_str!(concat!("../scenarios/", $folder, $name, ".scenario")),
        },)*)*]
    };
}
pub(crate) use figures;

/// All of them, in the order in which they are best read.
pub const FIGURES: &[Figure] = figures! { "":
    "Figure 7 of the paper (§5.3)": ["fig7_a", "fig7_b", "fig7_c", "fig7_d", "fig7_e", "fig7_f",],
    "Figure 8 of the paper (§5.4)": ["fig8_d", "fig8_e", "fig8_unreliable",],
    "Elections (§5.2, thesis §4.2.3)": [
        "split_brain",
        "lose_the_majority",
        "split_vote_5",
        "cloudflare_partial",
        "asym_deaf_node",
        "asym_mute_leader",
        "prevote_rejoin_long_partition",
    ],
    "Handing over (thesis §3.10)": ["transfer_under_load",],
    "Replication (§5.3)": [
        "one_stall",
        "lost_append",
        "long_link_catch_up",
        "long_link_snapshot",
        "ack_after_truncation",
        "stale_short_append",
        "heartbeat_divergent_tail",
    ],
    "Reads (§8, thesis §6.4)": [
        "stale_read_partitioned_leader",
        "new_leader_read_before_noop",
        "readindex_delayed_ack",
        "readindex_retry_after_pause",
        "lease_given_away",
        "lease_follower_restarts",
        "lease_late_refusal",
        "reply_to_former_life",
    ],
    "Clients (§8, thesis §6.3)": ["uncommitted_limit", "duplicate_retry", "dedup_across_snapshot",],
    "Membership (§6, thesis §4)": [
        "add_a_member",
        "learner_added_partitioned",
        "single_server_bug",
        "joint_partition",
        "joint_leader_crash",
        "config_truncated",
        "remove_leader",
        "disruptive_removed",
        "rejoin_same_term",
        "name_reused",
    ],
    "Snapshots (§7)": [
        "snapshot_suffix_restart",
        "install_snapshot_stale_or_duplicate",
        "snapshot_conflicting_suffix",
        "crash_mid_install",
        "append_spans_compaction",
    ],
    "Crashes and disks (§5.1, §5.2, thesis §3.8)": [
        "restart_all_then_minority",
        "rolling_restart",
        "single_node_crash",
        "vote_before_reply",
        "term_vote_atomic",
        "same_term_stepdown_keeps_vote",
        "append_ack_power_loss",
        "corrupt_record",
        "leader_disk_hangs",
        "member_returns_empty",
        "wiped_same_name",
        "disk_back_in_time",
        "member_returns_with_old_disk",
    ],
};

impl Figure {
    /// The figure, or the situation of [`PEERS`], of this name.
    pub fn named(name: &str) -> Option<Figure> {
        FIGURES.iter().chain(PEERS).find(|figure| figure.name == name).copied()
    }

    /// What it says.
    ///
    /// # Panics
    /// When it cannot be read, which a test excludes.
    pub fn scenario(self) -> Scenario {
        self.text.parse().unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}
