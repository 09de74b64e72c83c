//! The file `cluster` beside a log: which cluster the log belongs to.
//!
//! Invariant: it is durable before the log is begun. So a log without it was not begun by this program, or has lost it.
//!
//! Deliberately absent: which node the log belongs to. The log itself says that, in the header of each of its files.

use std::io;

use raftian_rpc::cluster::ClusterId;
use raftian_wal::{Disk, DiskFile as _};

const FILE: &str = "cluster";

/// States which cluster the log belongs to that is about to be begun; or checks that the log there is belongs to it.
///
/// # Errors
/// A message for people, when the log belongs to another cluster, or the disk fails.
pub(crate) fn settle(disk: &mut impl Disk, cluster: ClusterId) -> Result<(), String> {
    match raftian_wal::is_begun(disk).map_err(|error| error.to_string())? {
        false => claim(disk, cluster),
        true => check(disk, cluster),
    }
}

fn claim(disk: &mut impl Disk, cluster: ClusterId) -> Result<(), String> {
    let mut write = || -> io::Result<()> {
        let mut file = disk.create(FILE)?;
        file.write_at(0, format!("{cluster}\n").as_bytes())?;
        file.sync()
    };
    let written = write();
    written.map_err(|error| format!("cannot write {}: {error}", disk.locate(FILE)))
}

fn check(disk: &impl Disk, cluster: ClusterId) -> Result<(), String> {
    let file = disk.locate(FILE);
    let content = match disk.read(FILE) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!(
                "{file} is missing, so it is unknown to which cluster the log beside it belongs; put it back, or remove \
                 the node from its cluster and add it again"
            ));
        }
        Err(error) => return Err(format!("cannot read {file}: {error}")),
    };
    if content.len() > 64 {
        return Err(format!("{file} is damaged: it is too long; put back a good copy: `{cluster}`"));
    }
    let found = String::from_utf8_lossy(&content).trim().parse::<ClusterId>();
    let found = found.map_err(|why| format!("{file} is damaged: {why}; put back a good copy: `{cluster}`"))?;
    if found != cluster {
        return Err(format!(
            "{file} says that the log beside it belongs to another cluster ({found}, and this lab's is {cluster}): with \
             it this node would break promises of its own and keep some that were made elsewhere; nothing was changed: \
             put this node's own log back, or remove the node from its cluster and add it again"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use raftian_wal::MemDisk;

    use super::*;

    #[test]
    fn a_log_of_another_cluster_is_refused() {
        let [own, other] = ["00000000000000aa", "00000000000000bb"].map(|id| id.parse::<ClusterId>().unwrap());
        let mut disk = MemDisk::default();
        assert!(check(&disk, own).unwrap_err().contains("missing"));
        claim(&mut disk, own).unwrap();
        check(&disk, own).unwrap();
        assert!(check(&disk, other).unwrap_err().contains("another cluster"));
        // A crash before the log was begun leaves the file; the next start writes it again.
        claim(&mut disk, other).unwrap();
        check(&disk, other).unwrap();
    }

    #[test]
    fn a_damaged_file_names_what_should_be_in_it() {
        let cluster: ClusterId = "00000000000000aa".parse().unwrap();
        let mut disk = MemDisk::default();
        disk.create(FILE).unwrap().write_at(0, b"\xff\n").unwrap();
        let why = check(&disk, cluster).unwrap_err();
        assert!(why.contains("damaged") && why.contains("`00000000000000aa`"), "{why}");
    }
}
