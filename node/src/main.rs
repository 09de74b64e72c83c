//! `raftian-node`: started by `raftiand`, never by hand. See the library for everything it does.

use std::io::Write as _;
use std::process::ExitCode;

/// What a person hears who starts it by hand.
const HELP: &str = "\
A node of a raftian lab: a Raft server with its disk, its replicated application and, if wanted, its game.

Not to be started by hand: the daemon `raftiand` starts a process per node, tells it on standard input what to be, and
hears on standard output how it fares. The folder of the lab has what each node says.

Usage: raftian-node
       raftian-node damage FOLDER WORDS

The second form damages the files of a node that is down, and says where in JSON: `flips entry 3`, `flips hard_state`,
`flips snapshot`, `torn` (the log ends with an unfinished write), `wiped`, `kept` (a copy is made) or `put_back`.

Options:
  -h, --help     Print help
  -V, --version  Print version
";

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("-h" | "--help") => said(HELP),
        Some("-V" | "--version") => said(concat!("raftian-node ", env!("CARGO_PKG_VERSION"), "\n")),
        Some("damage") => raftian_node::damage(std::env::args_os().skip(2)),
        _ => raftian_node::run(),
    }
}

/// A reader that has closed standard output does not want to know.
fn said(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
