//! The parent: it speaks through standard input, listens to standard output, and its death is ours.
//!
//! Invariant: a node never outlives its parent. The kernel kills it when the parent's thread dies, and the end of
//! standard input ends it where the parent died before the kernel was asked.

use std::io::{self, BufRead, Read as _, Write as _};
use std::thread;

use raftian_rpc::control::{NodeConfig, NodeNotice};
use rustix::process::{Signal, set_parent_process_death_signal};

/// The longest configuration that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// Reads the configuration, and from then on ends the process at the end of standard input.
///
/// # Errors
/// A sentence for people, when what comes is not a configuration.
pub(crate) fn read_config() -> Result<NodeConfig, String> {
    // Not fatal: the end of standard input tells the same, a little later.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let mut line = String::new();
    let mut input = io::stdin().lock().take(MAX_CONFIG_BYTES);
    input.read_line(&mut line).map_err(|error| format!("cannot read a configuration: {error}"))?;
    if line.trim().is_empty() {
        return Err("raftian-node is started by raftiand, which tells it what to be on standard input; \
                    use `raftianctl start`"
            .into());
    }
    let config = serde_json::from_str(&line).map_err(|error| format!("this is no configuration: {error}"))?;
    thread::spawn(end_with_parent);
    Ok(config)
}

/// Tells the parent. A parent that is gone needs no telling.
pub(crate) fn notify(notice: &NodeNotice) {
    let mut line = serde_json::to_vec(notice).expect("notices have string keys only");
    line.push(b'\n');
    let mut output = io::stdout().lock();
    let _ = output.write_all(&line).and_then(|()| output.flush());
}

/// Tells people, on standard error. `eprintln!` would panic where that file is on a full disk, of all moments.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "raftian-node: {line}");
}

fn end_with_parent() {
    let mut scratch = [0; 256];
    // Whatever else the parent may say means nothing to this version.
    while matches!(io::stdin().lock().read(&mut scratch), Ok(count) if count > 0) {}
    // All that was promised is on disk: leaving at once loses nothing.
    std::process::exit(0);
}
