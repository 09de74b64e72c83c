//! Tests of what a driver shows its host, and of its deadlines.

use super::*;

#[test]
fn a_driver_shows_what_waits_and_when_it_wants_to_be_called() {
    let mut bench = Bench::new(3, Recovered::default());
    bench.elect();
    assert!(!bench.driver.is_restoring());
    assert_eq!(bench.driver.deadline(), Some(bench.driver.server().deadline()));
    bench.submit(Route::Direct, "ann");
    bench.submit(Route::Direct, "bob");
    bench.read(Route::Direct, "cy");
    assert_eq!(bench.driver.pending(), 3);
    assert_eq!(bench.driver.counters().proposed, 2);

    let mut follower = Bench::new(3, Recovered::default());
    follower.ask(1, install(3));
    follower.sync();
    assert!(follower.driver.is_restoring());
    follower.restore();
    assert!(!follower.driver.is_restoring());
    assert!(matches!(follower.driver.transfer(follower.now, id(3)), Err(TransferRefused::NotLeader(_))));
}

#[test]
fn a_driver_that_does_not_take_part_yet_has_no_deadline() {
    let core = raftian_raft::Options::new(id(1), Configuration::new(NodeId::first(3)).unwrap(), 1);
    let server = Server::new(core, Recovered::default(), Time::default());
    let machine = Machine::new(AppKind::Kv, 1).unwrap();
    let mut driver: Driver<Names> = Driver::new(Options::new(AppKind::Kv), server, machine);
    assert_eq!(driver.deadline(), None);
    driver.tick(Time(Duration::from_secs(10)));
    assert_eq!(driver.server().role(), RoleKind::Follower);
    driver.take_part();
    driver.tick(Time(Duration::from_secs(10)));
    assert_ne!(driver.server().role(), RoleKind::Follower);
}

#[test]
fn a_call_that_was_lost_is_made_anew_with_the_next_heartbeat() {
    let mut bench = Bench::new(3, Recovered::default());
    bench.elect();
    let carries_entries = |call: &Message| match &call.body {
        Body::Request(Request::AppendEntries(append)) => call.to == id(2) && !append.entries.is_empty(),
        _ => false,
    };
    let first = std::mem::take(&mut bench.calls).into_iter().find(carries_entries).expect("its no-op is sent");
    let beat = |bench: &mut Bench| {
        bench.now = bench.driver.deadline().expect("it takes part");
        bench.turn();
        std::mem::take(&mut bench.calls).into_iter().any(|call| carries_entries(&call))
    };
    assert!(!beat(&mut bench), "the first call may still be answered");
    bench.driver.lost(bench.now, id(2), first.call);
    assert!(beat(&mut bench));
}

#[test]
fn a_snapshot_holds_the_state_and_says_how_many_entries_it_made_room_for() {
    let mut bench = Bench::leading();
    let take = |bench: &mut Bench| {
        bench.driver.snapshot(0, "asker");
        // It is encoded, and then written.
        (0..2).for_each(|_| bench.turn());
        bench.sync();
        let answers: Vec<String> = std::mem::take(&mut bench.log);
        answers.into_iter().find(|words| words.starts_with("asker")).expect("it is told")
    };
    let first = take(&mut bench);
    assert!(first.contains("discarded: 1"), "{first}");
    for client in ["ann", "bob", "cy"] {
        bench.submit(Route::Direct, client);
        bench.sync();
    }
    let second = take(&mut bench);
    assert!(second.contains("discarded: 3"), "{second}");
    assert_eq!(bench.driver.counters(), Counters { proposed: 3, applied: 4, snapshots: 2, ..Counters::default() });
    let snapshot = bench.driver.server().snapshot().expect("one was taken");
    assert_eq!(snapshot.data, Bytes::from(bench.driver.machine().snapshot().encode()));
}
