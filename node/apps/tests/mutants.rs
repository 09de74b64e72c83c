//! The planted bugs do what they say, so that judges are tried on what they are meant to find.

use raftian_apps::{AppKind, Effect, Entry, Machine, Mutant, Payload};

fn attack(machine: &mut Machine, serial: u64) -> Effect {
    let (index, json) =
        (machine.last_applied() + 1, format!(r#"{{"client":"a","serial":{serial},"op":{{"attack":1}}}}"#));
    machine.apply(&Entry { index, term: 1, payload: Payload::Command(json.into()) }).effect
}

fn hp(machine: &Machine) -> u64 {
    machine.view()["players"][0]["hp"].as_u64().unwrap()
}

fn machine(mutant: Mutant) -> Machine {
    Machine::new(AppKind::Attack, 1).unwrap().plant(mutant)
}

#[test]
fn without_duplicate_suppression_a_retry_hits_twice() {
    let mut machine = machine(Mutant::NoDuplicateSuppression);
    attack(&mut machine, 1);
    assert!(matches!(attack(&mut machine, 1), Effect::Executed(_)));
    assert_eq!(hp(&machine), 40);
}

#[test]
fn a_snapshot_that_is_off_by_one_swallows_the_entry_after_it() {
    let mut machine = machine(Mutant::SnapshotOffByOne);
    attack(&mut machine, 1);
    let mut restored = Machine::restore(AppKind::Attack, machine.snapshot()).unwrap().plant(Mutant::SnapshotOffByOne);
    for serial in [2, 3] {
        attack(&mut machine, serial);
        attack(&mut restored, serial);
    }
    assert_eq!((hp(&machine), hp(&restored)), (10, 40));
    assert_eq!(machine.last_applied(), restored.last_applied());
}

#[test]
fn every_mutant_has_its_name() {
    let names: Vec<String> = Mutant::ALL.iter().map(|mutant| serde_json::to_string(mutant).unwrap()).collect();
    assert_eq!(names, [r#""no_duplicate_suppression""#, r#""snapshot_off_by_one""#]);
}
