//! A snapshot stands for the log it replaces, and one that was damaged stands for nothing.

use raftian_apps::{AppKind, Applied, Digest, Effect, Entry, Limits, Machine, Payload, Snapshot, SnapshotError};

const PLAYERS: u16 = 5;

fn machine(app: AppKind) -> Machine {
    Machine::new(app, PLAYERS).unwrap()
}

/// A log with retries, stale serials, clients without a session, no-ops and nonsense.
fn random_log(app: AppKind, length: u64, random: &mut fastrand::Rng) -> Vec<Entry> {
    (1..=length).map(|index| Entry { index, term: 1, payload: random_payload(app, random) }).collect()
}

fn random_payload(app: AppKind, random: &mut fastrand::Rng) -> Payload {
    let (client, serial) = (random.u8(0..4), random.u8(1..20));
    let (key, value) = (random.u8(0..3), random.i8(-3..3));
    let op = match (app, random.u8(0..6)) {
        (_, 0) => return Payload::Noop,
        (_, 1) => "{}".to_owned(),
        (AppKind::Attack, 2) => format!(r#"{{"add":{}}}"#, key + 4),
        (AppKind::Attack, 3) => format!(r#"{{"del":{}}}"#, key + 4),
        (AppKind::Attack, _) => format!(r#"{{"attack":{}}}"#, key + 3),
        (AppKind::Kv, 2) => format!(r#"{{"set":["k{key}","text \"{value}\""]}}"#),
        (AppKind::Kv, 3) => format!(r#"{{"del":"k{key}"}}"#),
        (AppKind::Kv, 4) => format!(r#"{{"cas":["k{key}",null,"{value}"]}}"#),
        (AppKind::Kv, _) => format!(r#"{{"incr":["k{key}",{value}]}}"#),
        (AppKind::Canvas, 2) => format!(r#"{{"pixel":[{key},{serial}]}}"#),
        (AppKind::Canvas, 3) => r#"{"paint":[[1,1,1],[999,0,1]]}"#.to_owned(),
        (AppKind::Canvas, _) => format!(r#"{{"paint":[[{key},{serial},{}],[1,1,7]]}}"#, value.unsigned_abs()),
    };
    Payload::Command(format!(r#"{{"client":"c{client}","serial":{serial},"op":{op}}}"#).into())
}

fn effects(applied: Vec<Applied>) -> Vec<Effect> {
    applied.into_iter().map(|applied| applied.effect).collect()
}

fn apply_all(machine: &mut Machine, log: &[Entry]) -> Vec<Effect> {
    effects(log.iter().map(|entry| machine.apply(entry)).collect())
}

/// A kv machine with one session and one value, as a snapshot's JSON.
fn small_snapshot() -> String {
    let mut machine = machine(AppKind::Kv);
    let set = br#"{"client":"a","serial":1,"op":{"set":["k","v"]}}"#;
    machine.apply(&Entry { index: 1, term: 1, payload: Payload::Command(set[..].into()) });
    String::from_utf8(machine.snapshot().encode()).unwrap()
}

fn restore(json: &str) -> Result<Machine, SnapshotError> {
    Machine::restore(AppKind::Kv, Snapshot::decode(json.as_bytes())?)
}

#[test]
fn a_snapshot_and_the_rest_of_the_log_are_the_whole_log() {
    let mut random = fastrand::Rng::with_seed(7);
    for app in AppKind::ALL {
        for _ in 0..200 {
            let log = random_log(app, 60, &mut random);
            let cut = random.usize(0..=log.len());
            let mut straight = machine(app);
            apply_all(&mut straight, &log[..cut]);
            let json = straight.snapshot().encode();

            let mut restored = Machine::restore(app, Snapshot::decode(&json).unwrap()).unwrap();
            assert_eq!((restored.last_applied(), restored.digest()), (cut as u64, straight.digest()));
            assert_eq!(restored.snapshot().encode(), json, "the same state, the same bytes");
            assert_eq!(apply_all(&mut restored, &log[cut..]), apply_all(&mut straight, &log[cut..]));
            assert_eq!(restored.snapshot().encode(), straight.snapshot().encode());
        }
    }
}

#[test]
fn a_snapshot_is_readable() {
    let json: serde_json::Value = serde_json::from_str(&small_snapshot()).unwrap();
    let expected = serde_json::json!({
        "version": 1, "app": "kv", "last_applied": 1, "digest": json["digest"], "seal": json["seal"],
        "sessions": [{"client": "a", "serial": 1, "index": 1, "response": {"outcome": "set"}}],
        "state": {"k": "v"},
    });
    assert_eq!(json, expected);
}

#[test]
fn a_snapshot_cut_anywhere_is_refused() {
    let json = small_snapshot();
    for bytes in 0..json.len() {
        let error = restore(&json[..bytes]).unwrap_err();
        assert!(matches!(error, SnapshotError::CutShort { bytes: said } if said == bytes), "cut at {bytes}: {error}");
    }
}

#[test]
fn a_snapshot_with_any_byte_altered_is_refused() {
    let json = small_snapshot();
    let original = restore(&json).unwrap().digest();
    for place in 0..json.len() {
        for byte in [b'0', b'1', b'a', b'"', b' ', b'}'] {
            let mut altered = json.clone().into_bytes();
            if altered[place] == byte {
                continue;
            }
            altered[place] = byte;
            let text = String::from_utf8(altered).unwrap();
            let Ok(machine) = restore(&text) else { continue };
            panic!("byte {place} altered: {text} was taken as {} (it was {original})", machine.digest());
        }
    }
}

#[test]
fn each_kind_of_damage_has_its_own_error() {
    let json = small_snapshot();
    let error = |from: &str, to: &str| {
        assert!(json.contains(from), "{from} is in {json}");
        restore(&json.replacen(from, to, 1)).unwrap_err()
    };
    let altered = |error: SnapshotError, field: &str| match error {
        SnapshotError::Altered { what, said, found } => assert!(what == field && said != found, "{what}"),
        other => panic!("{other}"),
    };
    altered(error(r#""last_applied":1"#, r#""last_applied":2"#), "seal");
    altered(error(r#"{"k":"v"}"#, r#"{"k":"w"}"#), "digest");
    altered(error(r#""serial":1"#, r#""serial":2"#), "digest");
    altered(error(r#"{"outcome":"set"}"#, r#"{"outcome":"sat"}"#), "digest");
    assert!(matches!(error(r#""version":1"#, r#""version":2"#), SnapshotError::Version { found: 2 }));
    assert!(matches!(error(r#""version":1,"#, r#""version":3,"more":0,"#), SnapshotError::Version { found: 3 }));
    assert!(matches!(error(r#""state":{"k":"v"}"#, r#""state":[]"#), SnapshotError::Impossible { what: "state", .. }));
    let twice = r#""sessions":[{"client":"a","serial":1,"index":1,"response":0},"#;
    assert!(matches!(error(r#""sessions":["#, twice), SnapshotError::Impossible { what: "sessions", .. }));
    assert!(matches!(error(r#""app":"kv""#, r#""app":"chess""#), SnapshotError::Malformed(_)));
    assert!(matches!(restore("{}").unwrap_err(), SnapshotError::Malformed(_)));
}

#[test]
fn a_snapshot_of_another_application_is_refused() {
    let snapshot = machine(AppKind::Attack).snapshot();
    let error = Machine::restore(AppKind::Kv, snapshot).unwrap_err();
    assert_eq!(error.to_string(), "the snapshot is of `attack`, and this server replicates `kv`");
}

#[test]
fn a_snapshot_names_the_state_as_the_status_does() {
    let mut machine = machine(AppKind::Attack);
    let mut random = fastrand::Rng::with_seed(1);
    apply_all(&mut machine, &random_log(AppKind::Attack, 30, &mut random));
    let snapshot = machine.snapshot();
    let digest: Digest = machine.digest();
    assert_eq!((snapshot.app(), snapshot.last_applied(), snapshot.digest()), (AppKind::Attack, 30, digest));
}

/// A kv machine whose snapshot is long.
fn large_machine() -> Machine {
    let mut machine = machine(AppKind::Kv);
    for index in 1..=4 {
        let value = "v".repeat(Limits::default().compact_above_bytes / 3);
        let set = format!(r#"{{"client":"a","serial":{index},"op":{{"set":["k{index}","{value}"]}}}}"#);
        machine.apply(&Entry { index, term: 1, payload: Payload::Command(set.into()) });
    }
    machine
}

#[test]
fn a_long_snapshot_is_compact_and_the_same_machine_comes_back() {
    let machine = large_machine();
    let bytes = machine.snapshot().encode();
    let max_plain_bytes = Limits::default().compact_above_bytes;
    assert!(bytes.starts_with(b"{\"lz4\":{\"bytes\":") && bytes.len() < max_plain_bytes / 10, "{} bytes", bytes.len());
    let restored = Machine::restore(AppKind::Kv, Snapshot::decode(&bytes).unwrap()).unwrap();
    assert_eq!((restored.last_applied(), restored.digest()), (4, machine.digest()));
    assert_eq!(restored.snapshot().encode(), bytes, "the same state, the same bytes");
}

#[test]
fn a_long_snapshot_is_read_as_plain_json_too() {
    let machine = large_machine();
    let json = serde_json::to_vec(&machine.snapshot()).unwrap();
    let restored = Machine::restore(AppKind::Kv, Snapshot::decode(&json).unwrap()).unwrap();
    assert_eq!(restored.digest(), machine.digest());
}

#[test]
fn a_compact_snapshot_that_was_cut_or_altered_is_refused() {
    let bytes = large_machine().snapshot().encode();
    for end in (0..bytes.len()).step_by(101).chain([bytes.len() - 1]) {
        assert!(Snapshot::decode(&bytes[..end]).is_err(), "cut at {end}");
    }
    for place in (0..bytes.len()).step_by(101) {
        let mut altered = bytes.clone();
        altered[place] ^= 0x10;
        assert!(Snapshot::decode(&altered).is_err(), "byte {place} altered");
    }
}

#[test]
fn the_same_machine_comes_back_from_either_form_whatever_the_limits_of_the_reader() {
    let mut random = fastrand::Rng::with_seed(3);
    let log = random_log(AppKind::Kv, 40, &mut random);
    let with =
        |compact_above_bytes| machine(AppKind::Kv).with_limits(Limits { compact_above_bytes, ..Limits::default() });
    let (mut compact, mut plain) = (with(0), with(usize::MAX));
    apply_all(&mut compact, &log);
    apply_all(&mut plain, &log);
    let (compact, plain) = (compact.snapshot().encode(), plain.snapshot().encode());
    assert!(compact.starts_with(b"{\"lz4\":") && plain.starts_with(b"{\"version\":"));
    let restored = [&compact, &plain].map(|bytes| {
        let limits = Limits { compact_above_bytes: plain.len(), ..Limits::default() };
        Machine::restore(AppKind::Kv, Snapshot::decode(bytes).unwrap()).unwrap().with_limits(limits)
    });
    assert!(restored.iter().all(|machine| machine.snapshot().encode() == plain), "not longer than the limit");
}

#[test]
fn a_restored_machine_with_the_limits_of_its_cluster_expires_the_same_sessions() {
    let limits = Limits { max_sessions: 3, ..Limits::default() };
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..50 {
        let log = random_log(AppKind::Kv, 60, &mut random);
        let cut = random.usize(0..=log.len());
        let mut straight = machine(AppKind::Kv).with_limits(limits);
        apply_all(&mut straight, &log[..cut]);
        let snapshot = Snapshot::decode(&straight.snapshot().encode()).unwrap();
        let mut restored = Machine::restore(AppKind::Kv, snapshot).unwrap().with_limits(limits);
        assert_eq!(apply_all(&mut restored, &log[cut..]), apply_all(&mut straight, &log[cut..]));
        assert_eq!(restored.digest(), straight.digest());
    }
}
