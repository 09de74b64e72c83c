//! On which cores processes may run: those of a child are its parent's at the moment it is spawned.
//!
//! Invariant: whatever happens, the calling thread ends up on the cores it had before.

use anyhow::{Context as _, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Gives the calling thread its cores back.
struct Restore(CpuSet);

/// Runs `body` on only this many cores, if a number is given, and so everything that it spawns.
///
/// # Errors
/// When there are not so many, or the system says no.
pub(crate) fn on_cores<T>(count: Option<usize>, body: impl FnOnce() -> T) -> anyhow::Result<T> {
    let Some(count) = count else { return Ok(body()) };
    let all = sched_getaffinity(None).context("the system does not tell which cores may be used")?;
    let mut few = CpuSet::new();
    for core in (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).take(count) {
        few.set(core);
    }
    ensure!(few.count() as usize == count, "{count} cores are asked for, and only {} may be used", all.count());
    let _restore = Restore(all);
    sched_setaffinity(None, &few).context("the system does not let this thread choose its cores")?;
    Ok(body())
}

impl Drop for Restore {
    fn drop(&mut self) {
        // It had them before, so it may have them again.
        let _ = sched_setaffinity(None, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> u32 {
        sched_getaffinity(None).unwrap().count()
    }

    #[test]
    fn the_cores_are_few_inside_and_all_again_after() {
        let before = allowed();
        assert_eq!(on_cores(Some(1), allowed).unwrap(), 1);
        assert_eq!((on_cores(None, allowed).unwrap(), allowed()), (before, before));
        let why = on_cores(Some(CpuSet::MAX_CPU + 1), allowed).unwrap_err().to_string();
        assert!(why.contains("cores are asked for"), "{why}");
    }
}
