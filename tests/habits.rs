//! What people type because other tools have taught them to: it works, and does what they mean.

use raftian_tests::Lab;

#[test]
fn words_of_other_tools_do_the_same() {
    let lab = Lab::new();
    assert!(lab.ok("labs").starts_with("no labs in "));
    lab.ok("start -n 3 --app kv");
    lab.ok("kv put a 1");
    lab.ok("kv put b 22");
    assert_eq!(lab.ok("kv list"), "KEY  BYTES\na        1\nb        2\n");
    assert_eq!(lab.json("kv list -n 1")["response"]["more"], true);
    assert_eq!(lab.json("kv list --from b --stale --as n2")["response"]["keys"][0][0], "b");
    assert_eq!(lab.ok("kv get a --as @leader"), "1\n");
    let several = lab.run("kv get a --as @all");
    assert_eq!(several.code, 2, "{several:#?}");
    assert!(several.stderr.contains("`@all` names n1,n2,n3"), "{several:#?}");

    lab.ok("crash n1");
    assert!(lab.ok("start n1").starts_with("n1: started"));
    assert!(lab.ok("start n1").starts_with("n1: already running"));
    lab.ok("pause n2");
    assert!(lab.ok("resume").contains("n2 resumed"));
    lab.ok("pause n3");
    lab.ok("unpause n3");

    lab.ok("fault add loss 5% --from n1 --to n2");
    lab.ok("partition n1 n3");
    assert!(lab.ok("fault add duplicate 10% --from n1 --to n2").starts_with("f3: duplicate 10 % n1 ↔ n2"));
    assert!(
        lab.ok("fault add reorder 10% --by 5ms --from n1 --to n2 --one-way").starts_with("f4: reorder 10 % by 5 ms")
    );
    assert!(lab.ok("heal f1").starts_with("f1: drop 5 % "));
    assert!(lab.ok("fault clear all").starts_with("f2: "));
    assert_eq!(lab.ok("fault clear all"), "nothing to heal: no faults in force\n");

    lab.ok("member rm n3");
    let members = lab.json("member list");
    assert_eq!(members.as_array().unwrap().len(), 2);
    assert_eq!((&members[1]["node"], &members[1]["standing"]), (&"n2".into(), &"voter".into()));
    let labs = lab.json("ls");
    assert_eq!((&labs[0]["state"], &labs[0]["nodes"][0]), (&"running".into(), &2.into()), "{labs}");
    assert_eq!(lab.json("version")["raftiand"], lab.json("version")["raftianctl"]);
    let other = lab.run("player list");
    assert_eq!(other.code, 2, "{other:#?}");
    lab.ok("stop");
    assert_eq!(lab.json("labs")[0]["state"], "stopped");
}

#[test]
fn the_players_are_those_that_a_node_has() {
    let lab = Lab::new();
    lab.ok("start -n 3 --players 2");
    lab.ok("attack 2");
    let board = lab.json("player list");
    assert_eq!((&board["players"][1]["player"], &board["players"][1]["hp"]), (&2.into(), &70.into()), "{board}");
    lab.ok("wait converged");
    assert!(lab.ok("player list n3").starts_with("PLAYER   HP\n     1  100\n     2   70\nas n3 has applied"));
}

#[test]
fn a_shell_completes_the_names_of_what_there_is() {
    let lab = Lab::new();
    lab.ok("start -n 3 --app kv");
    lab.ok("partition n1 n3");
    let offered = |line: &str| {
        let mut shell = lab.command(&format!("-- raftianctl {line}"));
        let done = shell.env("RAFTIANCTL_COMPLETE", "fish").output().unwrap();
        assert!(done.status.success(), "{done:?}");
        let names = String::from_utf8(done.stdout).unwrap();
        names.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(offered("kill n1,n"), ["n1,n1", "n1,n2", "n1,n3"]);
    assert_eq!(offered("heal f"), ["f1"]);
    assert_eq!(offered("transfer-leader n3"), ["n3"]);
    assert!(lab.ok("completions fish").contains("RAFTIANCTL_COMPLETE=fish"));
    lab.ok("kill n1");
    lab.ok("stop");
    assert_eq!(offered("kill n"), Vec::<String>::new());
}
