//! The machine a figure was measured on: a number without it is not a result.
//!
//! Invariant: what the system does not tell is `None`, never a guess. Reads Linux's `/proc`; elsewhere little is told.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A machine, and how busy it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: Option<String>,
    /// Cores that programs may use.
    pub cores: Option<usize>,
    /// The operating system.
    pub os: String,
    /// Its kernel's release.
    pub kernel: Option<String>,
    /// Memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// The type of the file system that holds the labs' folders.
    pub file_system: Option<String>,
    /// How the clock frequency of the first core is chosen.
    pub governor: Option<String>,
    /// What the machine is a guest of, as far as it says; `None` also when it is no guest.
    pub virtualisation: Option<String>,
    /// What the kernel reads the time from.
    pub clock_source: Option<String>,
    /// The load averages of the last 1, 5 and 15 minutes.
    pub load_average: Option<[f64; 3]>,
    /// The version of raftian.
    pub version: String,
    /// Whether this program was built with optimisations.
    pub optimised: bool,
}

impl Machine {
    /// This machine, with `folder` as the place where labs write.
    pub fn this(folder: &Path) -> Machine {
        let read = |path: &str| fs::read_to_string(path).ok();
        let word = |path: &str| read(path).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        Machine {
            cpu: read("/proc/cpuinfo").and_then(|text| cpu_model(&text)),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            os: std::env::consts::OS.to_owned(),
            kernel: word("/proc/sys/kernel/osrelease"),
            memory_bytes: read("/proc/meminfo").and_then(|text| memory_bytes(&text)),
            file_system: folder
                .canonicalize()
                .ok()
                .and_then(|folder| read("/proc/self/mountinfo").and_then(|text| file_system(&text, &folder))),
            governor: word("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            virtualisation: read("/proc/cpuinfo").filter(|text| is_guest(text)).map(|_| {
                let vendor = word("/sys/class/dmi/id/sys_vendor").or_else(|| word("/sys/hypervisor/type"));
                vendor.unwrap_or_else(|| "unnamed hypervisor".to_owned())
            }),
            clock_source: word("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            load_average: read("/proc/loadavg").and_then(|text| load_average(&text)),
            version: raftian_rpc::VERSION.to_owned(),
            optimised: !cfg!(debug_assertions),
        }
    }
}

/// One line, for footers: `Intel Xeon, 2 cores, linux 6.1 · ext4 · raftian 0.1.0`.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cpu.as_deref().unwrap_or("unknown processor"))?;
        if let Some(cores) = self.cores {
            write!(f, ", {cores} core{}", if cores == 1 { "" } else { "s" })?;
        }
        write!(f, ", {}", self.os)?;
        if let Some(kernel) = &self.kernel {
            write!(f, " {kernel}")?;
        }
        if let Some(file_system) = &self.file_system {
            write!(f, " · {file_system}")?;
        }
        write!(f, " · raftian {}", self.version)?;
        if !self.optimised {
            f.write_str(" (debug build)")?;
        }
        Ok(())
    }
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let name = line.split_once(':')?.1;
    // Names carry runs of spaces and trade marks.
    let plain = name.replace("(R)", "").replace("(TM)", "");
    Some(plain.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether the processor says that it is not the real one.
fn is_guest(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| line.split_whitespace().any(|flag| flag == "hypervisor"))
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The type of the mount with the longest path that `folder` lies in.
fn file_system(mountinfo: &str, folder: &Path) -> Option<String> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        Some((before.split(' ').nth(4)?, after.split(' ').next()?))
    });
    let around = mounts.filter(|(point, _)| folder.starts_with(point));
    // Of equally long ones the last is mounted over the others.
    around.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind.to_owned())
}

fn load_average(loadavg: &str) -> Option<[f64; 3]> {
    let mut numbers = loadavg.split(' ').map_while(|word| word.parse().ok());
    Some([numbers.next()?, numbers.next()?, numbers.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_understood() {
        assert_eq!(
            cpu_model("processor : 0\nmodel name\t: Intel(R)  Xeon(R) CPU\n").as_deref(),
            Some("Intel Xeon CPU")
        );
        assert!(is_guest("processor : 0\nflags\t: fpu hypervisor lm\n") && !is_guest("flags\t: fpu lm\n"));
        assert_eq!(memory_bytes("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2_097_152));
        assert_eq!(load_average("0.10 0.20 0.30 1/99 5\n"), Some([0.1, 0.2, 0.3]));
        assert_eq!(load_average(""), None);
    }

    #[test]
    fn the_file_system_is_that_of_the_innermost_mount() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /tmp rw shared:1 - tmpfs tmpfs rw\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/lab")).as_deref(), Some("tmpfs"));
        assert_eq!(file_system(mounts, Path::new("/tmpx")).as_deref(), Some("ext4"));
    }

    #[test]
    fn this_machine_has_a_footer() {
        assert!(Machine::this(Path::new("/")).to_string().contains("raftian"));
    }
}
