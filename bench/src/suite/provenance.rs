//! Where a run's numbers come from: revision, compiler, programs, machine.
//!
//! Invariant: nothing is guessed. The compiler is read from the program that was measured, not from the one that is
//! installed; the revision is that of the tree the program was built in, if it is still there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use crate::machine::Machine;
use crate::suite::manifest::{Provenance, digest};

/// What every compiler writes into its programs, before the version.
const COMPILER_MARK: &str = "rustc version ";

/// The programs a run measures and is measured by.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The node program.
    pub node: PathBuf,
    /// The program that runs the suite.
    pub runner: PathBuf,
}

impl Provenance {
    /// What is known of a run that `argv` begins now, with its results in `folder`.
    ///
    /// # Errors
    /// When a program cannot be read.
    pub fn gather(argv: &[String], programs: &Programs, folder: &Path) -> anyhow::Result<Provenance> {
        let (sha256, rustc) = programs.inspect()?;
        let (revision, dirty) = source_tree();
        // A folder that is not there yet will be made on the file system of what it is made in.
        let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
        Ok(Provenance {
            argv: shown(argv),
            started_unix_ms: unix_ms(),
            revision,
            dirty,
            rustc,
            sha256,
            machine: Machine::this(there),
        })
    }

    /// What of it is not as it was when the run began, if anything: the trials of one run must be comparable.
    pub fn differs_from(&self, began: &Provenance) -> Option<&'static str> {
        let machine = |provenance: &Provenance| {
            let Machine { cpu, cores, kernel, memory_bytes, .. } = provenance.machine.clone();
            (cpu, cores, kernel, memory_bytes)
        };
        if self.sha256 != began.sha256 {
            return Some("the programs");
        }
        (machine(self) != machine(began)).then_some("the machine")
    }
}

impl Programs {
    /// The digests of the programs and of the lock file they were built by, and the compiler of the node program.
    fn inspect(&self) -> anyhow::Result<(BTreeMap<String, String>, Option<String>)> {
        let read = |path: &Path| {
            fs::read(path).with_context(|| {
                format!(
                    "the program {} cannot be read; build all programs with `cargo build --release`",
                    path.display()
                )
            })
        };
        let node = read(&self.node)?;
        let mut digests: BTreeMap<String, String> =
            [("raftian-node".to_owned(), digest(&node)), ("raftianctl".to_owned(), digest(&read(&self.runner)?))]
                .into();
        if let Some(lock) = tree().and_then(|tree| fs::read(tree.join("Cargo.lock")).ok()) {
            digests.insert("Cargo.lock".to_owned(), digest(&lock));
        }
        Ok((digests, compiler(&node)))
    }
}

/// Now, in milliseconds of the Unix epoch.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A command line as it is kept: where the program lies is nobody's business.
pub(crate) fn shown(argv: &[String]) -> Vec<String> {
    let mut argv = argv.to_vec();
    if let Some(program) = argv.first_mut() {
        let name = Path::new(&*program).file_name().map(|name| name.to_string_lossy().into_owned());
        *program = name.unwrap_or_default();
    }
    argv
}

/// The tree this program was built in, if it is there.
fn tree() -> Option<&'static Path> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    tree.join("Cargo.lock").is_file().then_some(tree)
}

fn source_tree() -> (Option<String>, Option<bool>) {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").arg("--no-optional-locks").args(arguments).current_dir(tree()?).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let revision = git(&["rev-parse", "HEAD"]);
    let changes = revision.as_ref().and_then(|_| git(&["status", "--porcelain", "--", ".", ":!results"]));
    (revision, changes.map(|changes| !changes.is_empty()))
}

/// The compiler's version, as it stands in the program.
fn compiler(program: &[u8]) -> Option<String> {
    let mark = COMPILER_MARK.as_bytes();
    // The mark may also stand among a program's own words; the compiler's come after those.
    let is_version = |window: &[u8]| window.starts_with(mark) && window[mark.len()].is_ascii_digit();
    let at = program.windows(mark.len() + 1).rposition(is_version)?;
    let text = &program[at + mark.len()..];
    // `1.95.0 (59807616e 2026-04-14)`, whatever stands around it.
    let end = text.iter().position(|byte| *byte == b')')?;
    Some(String::from_utf8_lossy(&text[..=end.min(80)]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_what_it_was_made_by() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let version = compiler(&own).unwrap();
        assert!(version.starts_with("1.") && version.ends_with(')') && !version.ends_with("))"), "{version}");
        assert_eq!(compiler(b"rustc version 9.0\0(rustc version 9.2.3 (abc))\0"), Some("9.2.3 (abc)".to_owned()));
        assert_eq!(compiler(b"rustc version "), None);
    }

    #[test]
    fn other_programs_or_another_machine_are_told_apart() {
        let began =
            Provenance { sha256: [("raftian-node".to_owned(), "a".to_owned())].into(), ..Provenance::default() };
        let mut now = Provenance { started_unix_ms: 5, revision: Some("b".into()), ..began.clone() };
        assert_eq!(now.differs_from(&began), None);
        now.machine.load_average = Some([1.0, 2.0, 3.0]);
        assert_eq!(now.differs_from(&began), None);
        now.machine.cores = Some(64);
        assert_eq!(now.differs_from(&began), Some("the machine"));
        now.sha256.clear();
        assert_eq!(now.differs_from(&began), Some("the programs"));
    }

    #[test]
    fn a_kept_command_line_names_no_folder_of_programs() {
        assert_eq!(shown(&["/home/me/raftianctl".into(), "bench".into()]), ["raftianctl", "bench"]);
    }
}
