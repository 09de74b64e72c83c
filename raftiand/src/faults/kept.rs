//! `faults.json`: the faults in force, so that the next daemon has them in force again, with their ids.
//!
//! Times of a fault are those of the machine's monotonic clock, which begins anew with every boot. So the file names the
//! boot, and says by the wall clock, too, when each fault ends.
//!
//! Invariant: a reader sees an old file or a whole new one. A file that cannot be understood is reported and left alone.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::files;
use raftian_rpc::lab::Fault;
use serde::{Deserialize, Serialize};

use crate::faults::{Faults, MAX_FOR_MS};

/// The layout of the file; another one is refused.
const FORMAT: u32 = 1;

/// No lab has had so many faults.
const LAST_ID: u64 = 1 << 48;

/// The content of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    format: u32,
    boot: String,
    last_id: u64,
    faults: Vec<KeptFault>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptFault {
    fault: Fault,
    /// When it ends, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_unix_ms: Option<u64>,
}

/// What an earlier daemon has left.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// What is in force again.
    pub(crate) faults: Faults,
    /// The faults whose time was up meanwhile.
    pub(crate) expired: Vec<Fault>,
}

/// A moment on both clocks.
struct Now {
    boot: String,
    monotonic_ns: u64,
    unix_ms: u64,
}

impl Now {
    fn read() -> Now {
        // Where the system does not tell, all boots are the same one.
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        Now { boot: boot.trim().to_owned(), monotonic_ns: monotonic_ns(), unix_ms }
    }
}

/// Writes the file in one step.
///
/// # Errors
/// When the folder cannot be written or the disk is full; the former file is still there then.
pub(crate) fn save(faults: &Faults, path: &Path) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(&kept(faults, Now::read())).expect("faults always become JSON");
    files::write_private(path, &text)
}

/// Reads the file, if there is one. No id up to `last_id` is given again, whatever the file says.
///
/// # Errors
/// A sentence that names the file and says what to do, when it cannot be read or understood.
pub(crate) fn load(path: &Path, last_id: u64) -> Result<Restored, String> {
    let text = match files::read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Restored { faults: Faults::restored(last_id, Vec::new()), expired: Vec::new() });
        }
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    let damaged = |why: String| format!("{} is damaged ({why}); remove it to go on without faults", path.display());
    let kept: Kept = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    match kept.format {
        FORMAT if kept.last_id > LAST_ID => Err(damaged(format!("no fault has the id {}", kept.last_id))),
        FORMAT if kept.faults.iter().any(|kept| kept.fault.title.chars().any(char::is_control)) => {
            Err(damaged("the title of a fault has control characters".to_owned()))
        }
        FORMAT => Ok(restored(kept, last_id, &Now::read())),
        other => Err(damaged(format!("its format is {other}, and this daemon knows {FORMAT}"))),
    }
}

fn kept(faults: &Faults, now: Now) -> Kept {
    let with_end = |fault: Fault| {
        let left_ms = |until_ns: u64| until_ns.saturating_sub(now.monotonic_ns) / 1_000_000;
        KeptFault { until_unix_ms: fault.until_ns.map(|until_ns| now.unix_ms + left_ms(until_ns)), fault }
    };
    let list = faults.list().into_iter().map(with_end).collect();
    Kept { format: FORMAT, boot: now.boot, last_id: faults.last_id(), faults: list }
}

fn restored(kept: Kept, last_id: u64, now: &Now) -> Restored {
    let mut in_force = Vec::new();
    let mut expired = Vec::new();
    for KeptFault { mut fault, until_unix_ms } in kept.faults {
        // The nodes to which it was told, and in which it was seen, are gone.
        (fault.injected, fault.proof) = (false, None);
        if kept.boot != now.boot {
            fault.since_ns = now.monotonic_ns;
            let left_ms = |until: u64| until.saturating_sub(now.unix_ms);
            fault.until_ns =
                until_unix_ms.map(|until| now.monotonic_ns.saturating_add(left_ms(until).saturating_mul(1_000_000)));
        }
        // No fault is given more than that; a longer time is somebody's who wrote in the file.
        fault.until_ns =
            fault.until_ns.map(|until_ns| until_ns.min(now.monotonic_ns.saturating_add(MAX_FOR_MS * 1_000_000)));
        match fault.until_ns.is_some_and(|until_ns| until_ns <= now.monotonic_ns) {
            true => expired.push(fault),
            false => in_force.push(fault),
        }
    }
    Restored { faults: Faults::restored(kept.last_id.max(last_id), in_force), expired }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::faults::Effect;
    use raftian_rpc::lab::{FaultId, FaultKind};

    use super::*;

    fn now(boot: &str, monotonic_s: u64, unix_s: u64) -> Now {
        Now { boot: boot.to_owned(), monotonic_ns: monotonic_s * 1_000_000_000, unix_ms: unix_s * 1_000 }
    }

    /// Two faults that were added at 100 s, of which one lasts 10 s, as they were kept at 101 s.
    fn written() -> Kept {
        let mut faults = Faults::default();
        let link = ("n1".parse().unwrap(), "n2".parse().unwrap());
        for for_ms in [Some(10_000), None] {
            let what = FaultKind::Links { effect: Effect::CUT, links: vec![link] };
            faults.add("cut".into(), what, 100_000_000_000, for_ms);
        }
        let text = serde_json::to_string(&kept(&faults, now("a", 101, 5_001))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn ids(faults: &[Fault]) -> Vec<u64> {
        faults.iter().map(|fault| fault.id.0).collect()
    }

    #[test]
    fn within_a_boot_a_fault_keeps_its_times_and_expires_by_them() {
        let soon = restored(written(), 0, &now("a", 105, 5_005));
        assert_eq!((ids(&soon.faults.list()), soon.expired.len()), (vec![1, 2], 0));
        assert_eq!(soon.faults.get(FaultId(1)).unwrap().until_ns, Some(110_000_000_000));
        let late = restored(written(), 0, &now("a", 111, 5_011));
        assert_eq!((ids(&late.faults.list()), ids(&late.expired)), (vec![2], vec![1]));
    }

    #[test]
    fn after_a_boot_the_wall_clock_tells_when_a_fault_ends() {
        let soon = restored(written(), 0, &now("b", 3, 5_006));
        assert_eq!(soon.faults.get(FaultId(1)).unwrap().until_ns, Some(7_000_000_000), "4 s are left");
        let late = restored(written(), 0, &now("b", 3, 5_060));
        assert_eq!(ids(&late.expired), [1]);
    }

    #[test]
    fn no_id_is_given_twice_even_if_the_file_is_older_than_the_journal() {
        for (last_id, next) in [(0, 3), (7, 8)] {
            let mut faults = restored(written(), last_id, &now("a", 105, 5_005)).faults;
            let what = FaultKind::Links { effect: Effect::CUT, links: Vec::new() };
            assert_eq!(faults.add("cut".into(), what, 0, None).id, FaultId(next));
        }
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_named_with_what_to_do() {
        let path = std::env::temp_dir().join(format!("raftiand-faults-{}.json", std::process::id()));
        assert_eq!(load(&path, 4).unwrap().faults.last_id(), 4, "there is none");
        for text in ["{", r#"{"format":9,"boot":"","last_id":0,"faults":[]}"#] {
            fs::write(&path, text).unwrap();
            let why = load(&path, 0).unwrap_err();
            assert!(why.contains("is damaged") && why.contains("remove it to go on without faults"), "{why}");
        }
        fs::remove_file(&path).unwrap();
    }
}
