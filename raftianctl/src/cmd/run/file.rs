//! The scenario in a file, or on standard input.
//!
//! Invariant: a text that cannot be read is wrong usage, with line and column; no more is read than a scenario may have.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use raftian_script::Scenario;

use crate::cli::Context;
use crate::failure::{Failure, Kind};

/// The most bytes of a scenario: several times what the longest one needs.
const MAX_BYTES: u64 = 4 << 20;

/// The text of a file, and the scenario in it.
///
/// # Errors
/// When it cannot be read, or is none: file, line and column.
pub(super) fn scenario(context: &Context, file: &Path) -> Result<(String, Scenario), Failure> {
    let (name, text) = match file == Path::new("-") {
        true => ("standard input".to_owned(), read(io::stdin())),
        false => {
            if is_idle_fifo(file) {
                context.output.note(&format!("{} is a FIFO; waiting for a program that writes to it", file.display()));
            }
            (file.display().to_string(), File::open(file).and_then(read))
        }
    };
    let text = text.map_err(|error| Failure::unreadable(&name, &error))?;
    let read: Result<Scenario, _> = text.parse();
    let scenario = read.map_err(|why| {
        Failure::new(Kind::Usage, format!("{name}, {why}; `raftianctl run --grammar` tells all that can be said"))
    })?;
    Ok((text, scenario))
}

/// Whether this is a FIFO with a name, to which a program may never write. A pipe of the shell has its writer.
fn is_idle_fifo(file: &Path) -> bool {
    let is_of_shell = file.starts_with("/dev/fd") || file.starts_with("/proc");
    !is_of_shell && file.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// Reads a text that is no longer than a scenario may be.
fn read(file: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid(format!("a scenario has at most {} MiB", MAX_BYTES >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        invalid(format!("line {line} is not UTF-8 text"))
    })
}
