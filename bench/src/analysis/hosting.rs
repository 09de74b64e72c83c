//! How hostings are called and coloured.
//!
//! Invariant: one order and one colour per hosting, in every figure and table.

use super::finding::Hue;
use crate::experiments::{BASELINE, CONTROL};

/// The order in reports: without a server first.
pub(crate) const ORDER: [&str; 5] = [BASELINE, CONTROL, "thread", "process", "async"];

/// The hostings that have a server.
pub(crate) const WITH_SERVER: [&str; 3] = ["thread", "process", "async"];

/// Its colour.
pub(crate) fn hue(hosting: &str) -> Hue {
    match hosting {
        BASELINE => Hue::Baseline,
        CONTROL => Hue::Reference,
        "thread" => Hue::Thread,
        "process" => Hue::Process,
        "async" => Hue::Async,
        _ => Hue::Other(0),
    }
}

/// A column's heading.
pub(crate) fn label(hosting: &str) -> &str {
    match hosting {
        BASELINE => "no server",
        CONTROL => "no server (A/A)",
        other => other,
    }
}

/// Where the server is, in a sentence: `in a thread`.
pub(crate) fn place(hosting: &str) -> &str {
    match hosting {
        BASELINE => "without a server",
        CONTROL => "without a server, once more",
        "thread" => "in a thread",
        "process" => "in a process",
        "async" => "as an async task",
        other => other,
    }
}
