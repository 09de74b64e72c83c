//! `raftian-node`: started by `raftiand`, never by hand. See the library for everything it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|argument| argument == "--version" || argument == "-V") {
        println!("raftian-node {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    raftian_node::run()
}
