//! The bug that is planted in this process, for those who test the judges: that of the environment variable
//! [`VARIABLE`], in a program that was built to have bugs (feature `mutants`).
//!
//! Invariant: a program that cannot plant the bug which it is asked for does not start: a cluster without the bug would
//! pass for one that no judge sees through.
//!
//! Deliberately absent: the bugs (`raftian-planted`).

use std::sync::OnceLock;

use raftian_planted::Planted;

/// The name of the bug.
const VARIABLE: &str = "RAFTIAN_MUTANT";

static PLANTED: OnceLock<Planted> = OnceLock::new();

/// Reads which bug is wanted.
///
/// # Errors
/// A message for people, when there is no such bug, or this program has none.
pub(crate) fn plant() -> Result<(), String> {
    if let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) {
        let planted = named(&name.to_string_lossy())?;
        PLANTED.get_or_init(|| planted);
    }
    Ok(())
}

/// The bug that is planted, if one is.
pub(crate) fn planted() -> Planted {
    PLANTED.get().copied().unwrap_or_default()
}

#[cfg(feature = "mutants")]
fn named(name: &str) -> Result<Planted, String> {
    let mutant = raftian_planted::Mutant::named(name);
    mutant.map(|mutant| Planted { mutant: Some(mutant) }).ok_or_else(|| format!("there is no planted bug `{name}`"))
}

#[cfg(not(feature = "mutants"))]
fn named(name: &str) -> Result<Planted, String> {
    Err(format!(
        "{VARIABLE} asks for the planted bug `{name}`, and this raftian-node has none; one that has is built with `cargo build \
         --release -p raftian-node --features mutants`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_that_is_not_there_is_refused_by_name() {
        assert!(named("zebra").unwrap_err().contains("`zebra`"));
        assert_eq!(named("quorum_half").is_ok(), cfg!(feature = "mutants"));
        assert_eq!(planted(), Planted::default());
    }
}
