//! What happens under faults, and that it is the right thing.

use std::fs;

use raftian_tests::{Game, Lab, ended, eventually, in_every_hosting};
use serde_json::Value;

in_every_hosting!(
    the_majority_goes_on_and_the_minority_does_not,
    a_paused_leader_is_replaced_and_steps_down_when_it_wakes,
    a_partition_with_a_time_heals_itself,
    a_fault_holds_for_nodes_that_start_or_wake_under_it,
    one_way_partitions_are_one_way,
    latency_and_loss_only_slow_things_down,
    load_through_a_crash_keeps_every_promise,
    a_damaged_log_keeps_its_node_down_and_says_where,
    a_node_that_has_lost_its_log_does_not_take_part_again,
    logs_without_their_lab_file_are_not_taken_for_a_new_lab,
);

fn leader(lab: &Lab) -> String {
    lab.ok("wait leader");
    lab.json("status")["leader"].as_str().expect("a leader").to_owned()
}

fn node<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["nodes"].as_array().unwrap().iter().find(|node| node["node"] == name).unwrap()
}

fn the_majority_goes_on_and_the_minority_does_not(game: Game) {
    let lab = Lab::started_beside(5, game);
    let old = leader(&lab);
    lab.ok("partition --shape isolate=@leader");
    lab.ok("wait leader");
    let new = leader(&lab);
    assert_ne!(old, new);
    // It still takes itself for the leader, and waits in vain; or has stepped down, and says so.
    let refused = lab.run(&format!("attack 1 --as {old} --timeout 2s"));
    assert!([1, 124].contains(&refused.code) && refused.stderr.contains(&old), "{refused:#?}");
    lab.ok(&format!("attack 2 --as {new}"));
    lab.ok("heal");
    lab.ok("wait converged");
    let status = lab.json("status");
    let digests: Vec<&Value> =
        status["nodes"].as_array().unwrap().iter().map(|node| &node["server"]["digest"]).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    // Whatever became of the minority's attack, player 2 was hit exactly once.
    assert_eq!(node(&status, &old)["server"]["state"]["players"][1]["hp"], 70);
}

fn a_paused_leader_is_replaced_and_steps_down_when_it_wakes(game: Game) {
    let lab = Lab::started_beside(3, game);
    let old = leader(&lab);
    lab.ok("pause @leader");
    assert_ne!(leader(&lab), old);
    lab.ok("attack 1");
    lab.ok(&format!("resume {old}"));
    lab.ok("wait converged");
    assert_eq!(node(&lab.json("status"), &old)["server"]["role"], "follower");
}

fn a_partition_with_a_time_heals_itself(game: Game) {
    let lab = Lab::started_beside(3, game);
    lab.ok("partition n1 n2,n3 --for 300ms");
    eventually("the fault has expired", || lab.json("fault list").as_array().unwrap().is_empty());
    lab.ok("wait converged");
}

fn a_fault_holds_for_nodes_that_start_or_wake_under_it(game: Game) {
    let lab = Lab::started_beside(3, game);
    leader(&lab);
    lab.ok("kill n1");
    lab.ok("pause n2");
    lab.ok("partition n1 n2,n3");
    lab.ok("partition n2 n1,n3");
    lab.ok("resume n2");
    lab.ok("restart n1");
    // Nobody can have a quorum now.
    let outcome = lab.run("wait leader --timeout 1s");
    assert_eq!(outcome.code, 124, "{outcome:#?}");
    lab.ok("heal");
    lab.ok("wait converged");
}

fn one_way_partitions_are_one_way(game: Game) {
    let lab = Lab::started_beside(3, game);
    let report = lab.json("partition n1 n2,n3 --one-way");
    let links = report["fault"]["links"].as_array().unwrap();
    assert_eq!(links.len(), 2, "{report}");
    assert!(links.iter().all(|link| link[0] == "n1"), "{report}");
    lab.ok("wait leader");
    let index = lab.json("attack 1")["index"].as_u64().unwrap();
    // Nobody hears from n1, but n1 still hears from the others.
    eventually("n1 learns what the others committed", || {
        node(&lab.json("status"), "n1")["server"]["commit_index"].as_u64() >= Some(index)
    });
    lab.ok("heal");
    lab.ok("wait converged");
}

fn latency_and_loss_only_slow_things_down(game: Game) {
    let lab = Lab::started_beside(3, game);
    lab.ok("fault add latency --from @all --to @all 5ms --jitter 2ms");
    lab.ok("fault add drop --from @all --to @all 5%");
    for player in 1..=3 {
        let attack = lab.json(&format!("attack {player} --timeout 20s"));
        // To one follower and back, less twice the jitter.
        assert!(attack["latency_ms"].as_f64().unwrap() >= 6.0, "{attack}");
    }
    lab.ok("fault clear f1");
    lab.ok("heal");
    lab.ok("wait converged");
    for player in 0..3 {
        assert_eq!(lab.nodes()[0]["server"]["state"]["players"][player]["hp"], 70);
    }
}

fn load_through_a_crash_keeps_every_promise(game: Game) {
    let lab = Lab::started_beside(3, game);
    let load = lab.begin("-o json load --rate 100 --clients 8 --for 4s");
    lab.ok("wait commit>=50");
    lab.ok("kill @leader");
    lab.ok("restart @all");
    let ran = ended(load);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stdout.contains("\"valid\""), "{ran:#?}");
}

fn a_damaged_log_keeps_its_node_down_and_says_where(game: Game) {
    let lab = Lab::started_beside(3, game);
    for player in 1..=3 {
        lab.ok(&format!("attack {player}"));
    }
    lab.ok("wait converged");
    lab.ok("stop n2");
    let file = lab.folder().join("nodes/n2/wal/00000001.wal");
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(6).position(|window| window == b"attack").unwrap();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    lab.fails("restart n2", 1, &["n2", "00000001.wal", "checksum"]);
    // The others do not need it.
    lab.ok("attack 4");
}

fn a_node_that_has_lost_its_log_does_not_take_part_again(game: Game) {
    let lab = Lab::started_beside(3, game);
    lab.ok("attack 1");
    lab.ok("wait converged");
    lab.ok("stop n3");
    fs::remove_dir_all(lab.folder().join("nodes/n3/wal")).unwrap();
    lab.fails("restart n3", 1, &["n3", "the log in", "is gone"]);
    lab.ok("attack 2");
}

fn logs_without_their_lab_file_are_not_taken_for_a_new_lab(game: Game) {
    let lab = Lab::started_beside(3, game);
    lab.ok("attack 1");
    lab.ok("stop");
    let file = lab.folder().join("lab.json");
    let content = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    lab.fails("start -n 3", 1, &["lab.json", "is gone", "stop --purge"]);
    assert!(lab.processes().is_empty(), "the daemon that was started in vain has left");
    fs::write(&file, content).unwrap();
    lab.ok("start");
    lab.ok("wait converged");
    assert_eq!(lab.nodes()[0]["server"]["state"]["players"][0]["hp"], 70);
}
