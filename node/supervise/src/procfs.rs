//! What the kernel tells of processes: when exactly one started, the name it keeps, whether every thread stands still, and
//! who belongs to a group.

use std::fs;
use std::io;

/// What `/proc/PID/stat` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// The name of the program, cut to 15 bytes by the kernel.
    pub(crate) name: String,
    /// `R`, `S`, `D`, `T`, `Z` and so on.
    pub(crate) state: char,
    /// The number of its group.
    pub(crate) group: u32,
    /// When it started, in clock ticks since the machine booted.
    pub(crate) start_ticks: u64,
}

/// What the kernel says of a process; `None` if there is none.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The numbers of the processes of a group.
pub(crate) fn members(group: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| stat(*pid).is_some_and(|stat| stat.group == group)).collect()
}

/// Whether all threads of a process are stopped by a signal, or gone.
///
/// # Errors
/// When there is no such process.
pub(crate) fn is_stopped(pid: u32) -> io::Result<bool> {
    let mut all = true;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = fs::read_to_string(task?.path().join("stat")).ok().and_then(|text| parse(&text));
        // A thread may end while we look.
        all &= stat.is_none_or(|stat| matches!(stat.state, 'T' | 't' | 'Z' | 'X'));
    }
    Ok(all)
}

/// The name stands in parentheses, and may itself contain spaces and parentheses.
fn parse(text: &str) -> Option<Stat> {
    let (_, rest) = text.split_once('(')?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    // Fields 5 and 22 of the line; `state` was field 3.
    let group = fields.nth(5 - 4)?.parse().ok()?;
    let start_ticks = fields.nth(22 - 6)?.parse().ok()?;
    Some(Stat { name: name.to_owned(), state, group, start_ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_read_whatever_the_name() {
        let line = "42 (a ) (b) T 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0 18446744073709551615";
        assert_eq!(parse(line), Some(Stat { name: "a ) (b".into(), state: 'T', group: 42, start_ticks: 98765 }));
        assert_eq!(parse("42"), None);
    }

    #[test]
    fn the_own_process_runs() {
        let own = stat(std::process::id()).unwrap();
        assert!(own.start_ticks > 0 && members(own.group).contains(&std::process::id()));
        assert!(!is_stopped(std::process::id()).unwrap());
    }
}
