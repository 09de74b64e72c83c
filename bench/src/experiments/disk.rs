//! Whether a folder lies on a disk: a sync of what is in memory only costs nothing and means nothing.

use std::path::Path;

use anyhow::Context as _;

/// The types of file systems in memory, as the kernel numbers them.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58F6];

/// Whether a folder lies in a file system in memory (tmpfs or ramfs).
///
/// # Errors
/// When the system does not tell.
pub(super) fn is_in_memory(folder: &Path) -> anyhow::Result<bool> {
    let about = rustix::fs::statfs(folder)
        .with_context(|| format!("the system does not tell what {} lies on", folder.display()))?;
    Ok(IN_MEMORY.iter().any(|kind| u64::try_from(about.f_type) == Ok(*kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_is_memory_and_what_programs_are_built_on_is_not() {
        assert!(is_in_memory(Path::new("/dev/shm")).unwrap());
        assert!(!is_in_memory(Path::new("/proc")).unwrap());
        assert!(is_in_memory(Path::new("/no such folder")).is_err());
    }
}
