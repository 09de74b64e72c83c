//! What faces get from the daemon beside `lab.*`: the files of the page, and `view.*`.
//!
//! | file    | has                                                                   |
//! |---------|-----------------------------------------------------------------------|
//! | `files` | the files of the page                                                 |
//! | `watch` | the one task that looks at the lab for all who watch it               |
//! | `exposition` | the metrics, for Prometheus                                      |
//! | `play`  | scenarios, played for the page by a process of its own                |
//! | `api`   | `view.*`, served                                                      |
//!
//! Invariant: where nobody watches, nothing is looked at; the more watch, the nodes are not asked more often.

mod api;
mod exposition;
mod files;
mod play;
mod watch;

pub(crate) use api::Api;
pub(crate) use exposition::text as exposition;
pub(crate) use files::file;
pub(crate) use watch::Watch;
