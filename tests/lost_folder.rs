//! A lab whose folder is removed under it, and what `doctor` says of processes that belong to no lab.

use std::fs;

use raftian_tests::{Game, Lab, eventually, in_every_hosting, signal, state};
use rustix::process::Signal;

in_every_hosting!(a_lab_whose_folder_is_removed_ends);

fn a_lab_whose_folder_is_removed_ends(game: Game) {
    let lab = Lab::started_beside(3, game);
    assert_eq!(lab.processes().len(), 1 + 3 * game.processes());
    fs::remove_dir_all(lab.folder()).unwrap();
    eventually("daemon and nodes end", || lab.processes().is_empty());
    // The name is free again.
    lab.ok("start -n 1");
}

/// One test, since the doctor ends all lost daemons of this user, those of a test beside it too.
#[test]
fn doctor_tells_lost_processes_and_ends_them_when_asked() {
    let game = Game::Process;
    let lab = Lab::started_beside(2, game);
    let daemon = lab.daemon_pid().unwrap();
    let is_named = |text: &str, pid: i32| text.lines().any(|line| line.contains(&format!(" {pid} (")));
    let before = lab.run("doctor").stdout;
    let all = lab.processes();
    assert_eq!(all.len(), 1 + 2 * game.processes());
    assert!(!all.iter().any(|pid| is_named(&before, *pid)), "{before}");
    // A daemon that is stopped does not notice that its folder is gone.
    signal(daemon, Signal::STOP);
    eventually("it stands still", || state(daemon) == Some('T'));
    fs::remove_dir_all(lab.folder()).unwrap();
    let told = lab.run("doctor").stdout;
    assert!(told.contains(&format!("raftiand {daemon} (its lab's folder is gone)")), "{told}");
    assert!(told.contains("`raftianctl doctor --fix`"), "{told}");
    assert!(!all.iter().filter(|pid| **pid != daemon).any(|pid| is_named(&told, *pid)), "they go with it: {told}");
    let fixed = lab.run("doctor --fix").stdout;
    assert!(fixed.contains(&format!("ended raftiand {daemon}")), "{fixed}");
    eventually("daemon and nodes end", || lab.processes().is_empty());
}
