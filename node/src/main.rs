//! `raftian-node`: started by `raftiand`, never by hand. See the library for everything it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    raftian_node::run()
}
