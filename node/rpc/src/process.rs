//! What the processes of a lab take over from the process that starts them, and what they do not.
//!
//! Invariant: after [`prepare`] every file and folder that this process makes is its owner's only, whatever the umask was,
//! and it has no descriptor of its caller's shell beyond standard input, output and error.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use rustix::fs::Mode;
use rustix::process::umask;

use crate::files;

/// The umask of a process of a lab: nothing for the group, nothing for others.
const UMASK: Mode = Mode::from_raw_mode(0o077);

/// Set in a process that has been executed anew, so that one which cannot be rid of a descriptor does not try for ever.
const EXECUTED_ANEW: &str = "RAFTIAN_EXECUTED_ANEW";

/// Prepares a daemon or a node, as its first deed.
pub fn prepare() {
    close_inherited();
    umask(UMASK);
    files::raise_limit();
}

/// Makes files or folders that are their owner's only, in a process whose other files are not.
pub fn privately<T>(make: impl FnOnce() -> T) -> T {
    let former = umask(UMASK);
    let made = make();
    umask(former);
    made
}

/// A descriptor that was inherited can only be closed by code that is not safe. So all are marked to be closed at the next
/// exec, and this program is executed anew, with the same number and arguments.
fn close_inherited() {
    if env::var_os(EXECUTED_ANEW).is_some() || !has_inherited() {
        return;
    }
    close_fds::set_fds_cloexec(3, &[]);
    let mut arguments = env::args_os();
    // Where this fails, the process goes on with what it has: no harm to the lab.
    if let (Ok(program), Some(name)) = (env::current_exe(), arguments.next()) {
        let _ = Command::new(program).arg0(name).args(arguments).env(EXECUTED_ANEW, "1").exec();
    }
}

fn has_inherited() -> bool {
    let descriptors = Path::new("/proc/self/fd");
    let Ok(entries) = fs::read_dir(descriptors) else { return false };
    let numbers: Vec<u32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // The one by which the folder was read is closed by now.
    numbers.iter().any(|number| *number > 2 && descriptors.join(number.to_string()).symlink_metadata().is_ok())
}
