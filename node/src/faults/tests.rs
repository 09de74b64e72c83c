//! Faults on files of the real disk, without a node around them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::thread;

use raftian_faults::CrashPoint;
use raftian_rpc::lab::FaultId;

use super::*;

/// A file in a folder of its own, and the faults of that folder.
struct Disk {
    folder: PathBuf,
    file: File,
    faults: Arc<Faults>,
}

impl Disk {
    fn new(name: &str) -> Disk {
        let folder = std::env::temp_dir().join(format!("raftian-faults-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = File::options().read(true).write(true).create(true).truncate(true).open(folder.join("a")).unwrap();
        let faults = Arc::new(Faults::new(NodeId::new(1).unwrap(), folder.clone()));
        Disk { folder, file, faults }
    }

    fn set(&self, effects: &[NodeEffect]) -> bool {
        let fault = |(id, effect): (u64, &NodeEffect)| NodeFault { id: FaultId(id), effect: *effect };
        let faults: Vec<NodeFault> = (1..).zip(effects).map(fault).collect();
        self.faults.set(&faults)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.faults.write_at("a", &self.file, offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.sync("a", || self.file.sync_data())
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.folder.join("a")).unwrap()
    }

    fn measured(&self) -> Vec<Measured> {
        self.faults.status().into_iter().map(|status| status.measured).collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_fault_that_is_configured_again_has_struck_already() {
    let disk = Disk::new("again");
    disk.set(&[NodeEffect::FailSync]);
    let since_ns = disk.faults.status()[0].since_ns;
    assert_eq!(disk.sync().unwrap_err().raw_os_error(), Some(5));
    assert!(!disk.set(&[NodeEffect::FailSync]));
    disk.sync().unwrap();
    let status = disk.faults.status()[0];
    assert_eq!((status.since_ns, status.measured), (since_ns, Measured::Failed { syncs: 1 }));
}

#[test]
fn a_full_disk_takes_what_does_not_grow() {
    let disk = Disk::new("full");
    disk.file.write_all_at(b"0123456789", 0).unwrap();
    disk.set(&[NodeEffect::Full]);
    disk.write(3, b"xx").unwrap();
    let refused = disk.write(8, b"yyyy").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.content(), b"012xx567yy", "what fits is written");
    let refused = disk.faults.create("b", || Ok(())).unwrap_err();
    assert_eq!((refused.kind(), disk.faults.room(100)), (io::ErrorKind::StorageFull, 0));
    disk.faults.rename("a", "c", || fs::rename(disk.folder.join("a"), disk.folder.join("c"))).unwrap();
    assert_eq!(disk.measured(), [Measured::Refused { operations: 3 }]);
}

#[test]
fn a_sync_that_hangs_returns_when_the_fault_ends() {
    let disk = Disk::new("hangs");
    disk.set(&[NodeEffect::HangSync]);
    thread::scope(|scope| {
        let sync = scope.spawn(|| disk.sync());
        while !matches!(disk.measured()[..], [Measured::Hanging { syncs: 1, .. }]) {
            thread::yield_now();
        }
        assert!(!sync.is_finished());
        assert!(disk.set(&[]), "what is left of it is to be settled");
        sync.join().unwrap().unwrap();
    });
    disk.faults.settle().unwrap();
    assert!(disk.faults.are_off());
}

#[test]
fn the_slowest_of_several_faults_counts_and_a_lie_is_still_one() {
    let disk = Disk::new("slow");
    disk.set(&[NodeEffect::SlowSync { takes_ms: 1.0 }, NodeEffect::SlowSync { takes_ms: 20.0 }, NodeEffect::LyingSync]);
    disk.write(0, b"lost").unwrap();
    disk.sync().unwrap();
    let measured = disk.measured();
    let Measured::Syncs { count: 1, shortest_us: Some(20_000..), .. } = measured[0] else { panic!("{measured:?}") };
    assert_eq!(measured[2], Measured::Lied { syncs: 1, unsynced_bytes: 4 });
}

#[test]
fn what_a_lie_left_is_synced_when_it_ends_and_only_then() {
    let disk = Disk::new("lies");
    disk.set(&[NodeEffect::LyingSync, NodeEffect::SlowSync { takes_ms: 0.0 }]);
    disk.write(0, b"x").unwrap();
    disk.sync().unwrap();
    disk.faults.settle().unwrap();
    assert_eq!(disk.measured()[0], Measured::Lied { syncs: 1, unsynced_bytes: 1 }, "it still lies");
    assert!(disk.set(&[]));
    disk.faults.settle().unwrap();
    assert!(disk.faults.are_off());
    disk.set(&[NodeEffect::LyingSync]);
    assert_eq!(disk.measured(), [Measured::Lied { syncs: 0, unsynced_bytes: 0 }]);
}

#[test]
fn a_crash_point_waits_for_its_index_and_counts_the_others() {
    let disk = Disk::new("crash");
    disk.faults.reach(CrashPoint::BeforeSync, 9);
    disk.set(&[NodeEffect::Crash { at: CrashPoint::BeforeSync, from_index: Some(7), power_loss: false }]);
    disk.faults.reach(CrashPoint::BeforeSync, 6);
    disk.faults.reach(CrashPoint::AfterAppend, 7);
    assert_eq!(disk.measured(), [Measured::Armed { passed: 1 }]);
}
