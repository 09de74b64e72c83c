//! A world that is moved by hand: lessons and scenarios rest on this.

use raftian_script::{Action, Invariant, Kind, Op, Plan, Whom};
use raftian_sim::{Settings, What, World};

use raftian_apps::{Command, NodeId};
use raftian_raft::{Change, Entry, HardState, Payload, Recovered, RoleKind};

fn n(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

fn world(plan: Plan) -> World {
    World::manual(plan, 1, Settings::default())
}

fn command(serial: u64) -> Command {
    Command::new("a", serial, serde_json::from_str(r#"{"set":["k","v"]}"#).unwrap()).unwrap()
}

/// Five servers, of which `n1` leads.
fn led() -> World {
    let mut world = world(Plan::quiet(5));
    world.tick(n(1)).unwrap();
    world.step_all().unwrap();
    assert_eq!(world.leader(), Some(n(1)));
    world
}

#[test]
fn an_election_goes_message_by_message() {
    let mut world = world(Plan { pre_vote: false, ..Plan::quiet(3) });
    world.tick(n(1)).unwrap();
    // The request waits for the candidate's own vote to be durable.
    assert!(world.messages().is_empty());
    assert!(world.step().unwrap());
    let requests: Vec<_> = world.messages().iter().map(|(id, message)| (*id, Kind::of(message), message.to)).collect();
    assert_eq!(
        requests.iter().map(|(_, kind, to)| (*kind, *to)).collect::<Vec<_>>(),
        [(Kind::RequestVote, n(2)), (Kind::RequestVote, n(3))]
    );
    assert!(world.lose(requests[0].0) && !world.lose(requests[0].0));
    assert_eq!(world.deliver(requests[1].0), Ok(true));
    assert_eq!(world.server(n(3)).unwrap().hard_state().voted_for, Some(n(1)));
    assert_eq!(world.server(n(2)).unwrap().hard_state().term, 0);
    world.step_all().unwrap();
    assert_eq!(world.server(n(1)).unwrap().role(), RoleKind::Leader);
}

#[test]
fn what_a_disk_has_not_synced_is_lost_with_its_server() {
    let mut world = led();
    world.hold_disk(n(2), true).unwrap();
    assert_eq!(world.propose(n(1), &command(1)), Ok(Some(true)));
    world.step_all().unwrap();
    assert_eq!((world.committed(), world.waiting(n(2)) > 0), (2, true));
    assert_eq!(world.durable(n(2)).unwrap().unwrap().entries.len(), 1);
    world.perform(Action::Crash { node: Whom::Node(n(2)), keep: 0 }).unwrap();
    world.perform(Action::Restart(n(2))).unwrap();
    assert_eq!(world.server(n(2)).unwrap().last().index, 1);
    world.hold_disk(n(2), false).unwrap();
    world.run_until(world.now_us() + 500_000).unwrap();
    assert_eq!(world.durable(n(2)).unwrap().unwrap().entries.len(), 2);
    world.come_to_life().unwrap();
}

#[test]
fn a_leader_that_is_cut_off_is_replaced_and_its_entries_with_it() {
    let mut world = led();
    world.perform(Action::IsolateLeader).unwrap();
    assert_eq!(world.propose(n(1), &command(1)), Ok(Some(true)));
    world.record();
    world.run_until(2_000_000).unwrap();
    assert!(world.leader().is_some_and(|leader| leader != n(1)));
    world.perform(Action::Heal).unwrap();
    world.run_until(3_000_000).unwrap();
    let truncated = |what: &What| matches!(what, What::Event(id, raftian_raft::Event::Truncated { .. }) if *id == n(1));
    assert!(world.take_journal().iter().any(|happening| truncated(&happening.what)));
    world.come_to_life().unwrap();
}

#[test]
fn figure_7_converges() {
    let logs: [&[u64]; 7] = [
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6],
        &[1, 1, 1, 4],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        &[1, 1, 1, 4, 4, 4, 4],
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    let mut world = world(Plan::quiet(7));
    for (id, terms) in world.ids().collect::<Vec<_>>().into_iter().zip(logs) {
        let entries =
            (1..).zip(terms).map(|(index, term)| Entry { index, term: *term, payload: Payload::Noop }).collect();
        let hard_state = HardState { term: 7, voted_for: None };
        world.install(id, Recovered { hard_state, snapshot: None, entries }).unwrap();
    }
    world.tick(n(1)).unwrap();
    world.step_all().unwrap();
    assert_eq!(world.leader(), Some(n(1)));
    world.run_until(world.now_us() + 1_000_000).unwrap();
    for id in world.ids() {
        let terms: Vec<u64> = world.server(id).unwrap().entries(1, 99).iter().map(|entry| entry.term).collect();
        assert_eq!(terms, [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 8], "{id}");
    }
}

#[test]
fn logs_that_cannot_be_are_refused() {
    let mut world = world(Plan::quiet(3));
    let disk = |terms: &[u64]| {
        let entries = (1..).zip(terms).map(|(index, term)| Entry { index, term: *term, payload: Payload::Noop });
        Recovered { entries: entries.collect(), ..Recovered::default() }
    };
    world.install(n(1), disk(&[1, 2])).unwrap();
    let violation = world.install(n(2), disk(&[2, 2])).unwrap_err();
    assert_eq!(violation.invariant, Invariant::LogMatching);
}

#[test]
fn a_node_joins_and_clients_are_served() {
    let mut world = world(Plan { joiners: 1, clients: 1, ..Plan::quiet(3) });
    world.run_until(500_000).unwrap();
    let leader = world.leader().unwrap();
    world.change(leader, Change::AddLearner(n(4))).unwrap().unwrap().unwrap();
    world.run_until(600_000).unwrap();
    world.change(leader, Change::Promote(n(4))).unwrap().unwrap().unwrap();
    world.want(0, Op::Set(1, 7)).unwrap();
    world.want(0, Op::Read(1)).unwrap();
    world.run_until(1_000_000).unwrap();
    assert_eq!(world.counts(), (2, 2));
    assert_eq!(world.server(n(4)).unwrap().configuration().unwrap().voters().len(), 4);
    assert_eq!(world.machine(n(4)).unwrap().digest(), world.machine(leader).unwrap().digest());
}
