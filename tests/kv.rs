//! The key-value store: its commands, its reads, and a load on it.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use raftian_tests::{Lab, Ran, assert_valid, ended, ran};

fn store(nodes: u16) -> Lab {
    let lab = Lab::new();
    lab.ok(&format!("start -n {nodes} --app kv"));
    lab
}

/// Runs a command with this on its standard input.
fn fed(lab: &Lab, arguments: &str, input: &[u8]) -> Ran {
    let mut command = lab.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its input early closes the pipe, which is no failure of ours.
    let _ = child.stdin.take().unwrap().write_all(input);
    ran(arguments.into(), child.wait_with_output().unwrap())
}

#[test]
fn every_op_does_what_it_says_through_every_node() {
    let lab = store(3);
    lab.ok("kv set colour blue --as n1");
    for node in ["n1", "n2", "n3"] {
        assert_eq!(lab.ok(&format!("kv get colour --as {node}")), "blue\n");
    }
    let absent = lab.run("kv get size");
    assert_eq!((absent.code, absent.stdout.as_str(), absent.stderr.as_str()), (1, "", "there is no key `size`\n"));
    let absent = lab.run("kv get size -o json");
    assert_eq!(absent.code, 1, "{absent:#?}");
    assert!(absent.stdout.contains(r#""response":{"outcome":"absent","value":null}"#), "{absent:#?}");
    assert_eq!(fed(&lab, "kv set empty -", b"").code, 0);
    let empty = lab.run("kv get empty");
    assert_eq!((empty.code, empty.stdout.as_str(), empty.stderr.as_str()), (0, "", ""));
    assert!(lab.ok("kv cas colour blue green --as n2").starts_with("`colour` swapped (index "));
    let other = lab.run("kv cas colour blue red");
    assert_eq!(other.code, 1, "{other:#?}");
    assert!(other.stdout.starts_with("not swapped: `colour` is `green` ("), "{other:#?}");
    assert_eq!(lab.run("-o json kv cas lock --absent me --as n3").code, 0);
    assert_eq!(lab.run("-o json kv cas lock --absent you").code, 1);
    assert!(lab.ok("kv incr visits").starts_with("`visits` is `1` ("));
    assert_eq!(lab.json("kv incr visits -5")["response"]["value"], "-4");
    assert_eq!(lab.run("kv incr colour").code, 1);
    assert!(lab.ok("kv del colour").starts_with("`colour` deleted ("));
    assert!(lab.ok("kv del colour").contains("nothing to delete"));
    // A read leaves no entry.
    let last = || lab.node("n1")["server"]["last_index"].as_u64().unwrap();
    lab.ok("wait converged");
    let before = last();
    lab.ok("kv get visits");
    lab.ok("kv get visits --stale --as n3");
    assert_eq!(last(), before);
    assert!(lab.ok("status").contains("store (on n"), "{}", lab.ok("status"));
    let log = lab.ok("log n2 -n 5");
    assert!(log.contains("incr visits by -5") && log.contains("del colour"), "{log}");
}

#[test]
fn values_come_from_the_line_a_file_or_standard_input_up_to_a_mebibyte() {
    let lab = store(3);
    let largest = "x".repeat(1 << 20);
    fs::write(lab.home().join("largest"), &largest).unwrap();
    lab.ok("kv set large --file largest");
    assert_eq!(lab.json("kv get large")["response"]["value"], largest);
    let lines = fed(&lab, "kv set lines -", b"a\n\nb\n");
    assert_eq!(lines.code, 0, "{lines:#?}");
    assert_eq!(lab.json("kv get lines")["response"]["value"], "a\n\nb\n");
    lab.ok("kv set minus -5");
    assert_eq!(lab.ok("kv get minus"), "-5\n");
    lab.ok("wait converged");

    fs::write(lab.home().join("larger"), format!("{largest}x")).unwrap();
    lab.fails("kv set large --file larger", 2, &["at most 1 MiB"]);
    let larger = fed(&lab, "kv set large -", format!("{largest}x").as_bytes());
    assert!(larger.code == 2 && larger.stderr.contains("at most 1 MiB"), "{larger:#?}");
    fs::write(lab.home().join("quotes"), "\"".repeat(1 << 20)).unwrap();
    lab.fails("kv set quotes --file quotes", 2, &["written as JSON"]);
    let bytes = fed(&lab, "kv set bytes -", b"\xff");
    assert!(bytes.code == 2 && bytes.stderr.contains("byte 0 is not UTF-8"), "{bytes:#?}");
    lab.fails("kv set gone --file gone", 2, &["gone", "cannot be read"]);
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_way_out() {
    let lab = store(1);
    lab.fails("attack 1", 2, &["replicates the key-value store, not the attack game", "--app attack --lab NAME"]);
    lab.fails("kv get k --as n9", 2, &["there is no node n9"]);
    lab.fails("kv cas k a", 2, &["--absent"]);
    lab.fails("kv cas k --absent a b", 2, &["no old value"]);
    lab.fails("kv incr k 1.5", 2, &["1.5"]);
    lab.fails("kv incr k 9223372036854775808", 2, &["9223372036854775808"]);
    lab.fails("kv set k", 2, &["VALUE"]);
    lab.fails(&format!("kv get {}", "k".repeat(1025)), 2, &["1 to 1024 bytes"]);
    lab.fails("load --keys 0 --for 1s", 2, &["keys"]);
    lab.fails("load --app attack --for 1s", 2, &["replicates the key-value store, not the attack game"]);
    lab.ok("--lab game start -n 1");
    lab.fails(
        "--lab game kv get k",
        2,
        &["replicates the attack game, not the key-value store", "--app kv --lab NAME"],
    );
    lab.ok("--lab game stop --purge");
}

#[test]
fn behind_a_partition_a_stale_read_is_old_and_a_linearizable_one_fails() {
    let lab = store(3);
    lab.ok("kv set k old");
    lab.ok("wait converged");
    let old = lab.leader();
    lab.ok("partition --shape isolate=@leader");
    let new = lab.leader();
    assert_ne!(old, new);
    lab.ok(&format!("kv set k new --as {new}"));
    assert_eq!(lab.ok(&format!("kv get k --stale --as {old}")), "old\n");
    let refused = lab.run(&format!("kv get k --as {old} --timeout 1s"));
    assert!([1, 124].contains(&refused.code) && refused.stdout.is_empty(), "{refused:#?}");
    assert_eq!(lab.ok(&format!("kv get k --as {new}")), "new\n");
    lab.ok("heal");
    lab.ok("wait converged");
    assert_eq!(lab.ok(&format!("kv get k --stale --as {old}")), "new\n");
}

#[test]
fn a_load_on_the_store_through_a_crash_is_linearizable() {
    let lab = store(3);
    let load = lab.begin("-o json load --rate 400 --clients 8 --keys 3 --for 5s");
    lab.ok("wait commit>=100");
    lab.ok("kill @leader");
    lab.ok("restart @all");
    let load = ended(load);
    assert_valid(&load);
    let report: serde_json::Value = serde_json::from_str(&load.stdout).unwrap();
    assert!(report["report"]["counts"]["reads"].as_u64().unwrap() > 100, "{report}");
    assert_eq!(report["report"]["linearizability"]["violated"], 0, "{report}");
}

#[test]
fn reads_by_leases_are_linearizable_too() {
    let lab = Lab::new();
    lab.ok("start -n 3 --app kv --read-leases");
    assert_valid(&lab.run("-o json load --rate 400 --clients 8 --keys 3 --for 2s"));
    lab.fails("start --read-leases 20", 1, &["reads by leases for clocks within 10 %, not"]);
}

#[test]
fn logs_of_large_values_are_shown_in_full_however_many_nodes_are_asked() {
    let lab = store(3);
    let value = "v".repeat(900 << 10);
    for key in 1..=6 {
        assert_eq!(fed(&lab, &format!("kv set k{key} -"), value.as_bytes()).code, 0);
    }
    lab.ok("wait converged");
    let report = lab.json("log @all -n 20");
    let last = lab.node("n1")["server"]["last_index"].as_u64().unwrap();
    for page in report["pages"].as_array().unwrap() {
        let entries = page["entries"].as_array().unwrap();
        assert_eq!(entries.last().unwrap()["index"], last, "{} entries", entries.len());
        assert!(entries.windows(2).all(|pair| pair[0]["index"].as_u64().unwrap() + 1 == pair[1]["index"]));
    }
    let shown = lab.ok("log @all -n 20");
    assert!((1..=6).all(|key| shown.contains(&format!("set k{key} = "))), "{shown}");
}

/// What lists keys is a read like any other: no older than the question, unless it may be.
#[test]
fn a_list_of_keys_is_not_answered_by_a_leader_without_a_quorum() {
    let lab = Lab::new();
    lab.ok("start -n 3 --app kv");
    lab.ok("kv set a 1");
    lab.ok("kill @followers --no-wait");
    let refused = lab.run("kv list --timeout 1s");
    assert_eq!(refused.code, 124, "{refused:#?}");
    assert_eq!(lab.ok("kv list --stale"), "KEY  BYTES\na        1\n");
}
