//! The process: from an assignment on standard input to an exit code.
//!
//! Invariant: whatever goes wrong is said twice, once for the parent (a notice) and once for people (standard error),
//! each in one line that names the thing and the cause; and by one process only, where a node has two.

use std::process::ExitCode;

use raftian_rpc::assignment::Assignment;
use raftian_rpc::control::NodeNotice;
use raftian_rpc::process;

use crate::experiment::together;
use crate::hosting;
use crate::parent::{self, Assigned, Failure};

/// Runs whatever this process is to be, to its end.
pub fn run() -> ExitCode {
    process::prepare();
    let code = match parent::read_assignment().map_err(Failure::Because).and_then(be) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Said) => ExitCode::FAILURE,
        Err(Failure::Because(reason)) => {
            parent::complain(&reason);
            parent::notify(&NodeNotice::Failed { reason });
            ExitCode::FAILURE
        }
    };
    parent::flush_notices();
    code
}

/// Is what the parent wants, to the end.
fn be(Assigned { assignment, listeners }: Assigned) -> Result<(), Failure> {
    let mut listeners = listeners.into_iter();
    let mut one = || listeners.next().expect("there are as many sockets as the assignment needs");
    match assignment {
        Assignment::Node(config) => hosting::run(*config, one()),
        Assignment::Server(config) => hosting::process::serve(*config, one()).map_err(Failure::Because),
        Assignment::Game(solo) => hosting::baseline(solo).map_err(Failure::Because),
        Assignment::Together(cohort) => together::run(cohort, listeners.collect()).map_err(Failure::Because),
        Assignment::Window(window) => hosting::window(window).map_err(Failure::Because),
    }
}
