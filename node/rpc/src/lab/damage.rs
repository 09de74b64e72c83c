//! `lab.damage`: what is done to the files of nodes that are down.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Resolution;
use crate::NodeId;
use crate::control::Damaged;
use crate::faults::Damage;
use crate::selector::Selector;

/// Damage to the files of nodes that are down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DamageRequest {
    /// Whose files.
    pub on: Selector,
    /// What happens to them.
    pub damage: Damage,
}

/// Damage that was done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DamageReport {
    /// What the selector named.
    pub resolved: Resolution,
    /// What was done to the files of each.
    pub done: BTreeMap<NodeId, Damaged>,
}
