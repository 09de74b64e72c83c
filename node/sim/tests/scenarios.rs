//! Scenarios read back as written, play as schedules do, and are refused with a hint where they make no sense.

use fastrand::Rng;
use raftian_script::{FIGURES, PEERS, Scenario};
use raftian_sim::{Settings, Stopped, draw, play, run};

fn read(text: &str) -> Scenario {
    text.parse().unwrap_or_else(|why| panic!("{why}\n{text}"))
}

#[track_caller]
fn refused(text: &str) -> String {
    text.parse::<Scenario>().expect_err("it makes no sense").to_string()
}

/// Plays statements on three servers.
fn played(statements: &str) -> Option<String> {
    play(&read(&format!("servers 3\n{statements}"))).stopped.map(|stopped| stopped.to_string())
}

#[test]
fn schedules_are_written_read_and_played_to_the_same_hash() {
    for seed in 0..12 {
        let schedule = draw(seed);
        let written = Scenario::of(&schedule, None);
        let text = written.to_string();
        let scenario = read(&text);
        assert_eq!(scenario, written, "seed {seed}");
        let (played, report) = (play(&scenario), run(&schedule, &Settings::default()));
        assert_eq!((played.stopped, played.hash), (None, report.hash), "seed {seed}");
        assert_eq!((played.events, played.virtual_us), (report.events, report.virtual_us), "seed {seed}");
    }
}

/// Every kind of plan and of action that is ever drawn.
#[test]
fn whatever_is_drawn_reads_back_as_written() {
    for seed in 0..400 {
        let written = Scenario::of(&draw(seed), None);
        assert_eq!(read(&written.to_string()), written, "seed {seed}");
    }
}

#[test]
fn what_comes_with_the_program_reads_back_as_written() {
    for figure in FIGURES.iter().chain(PEERS) {
        let scenario = figure.scenario();
        assert_eq!(read(&scenario.to_string()), scenario, "{}", figure.name);
    }
}

#[test]
fn a_canvas_is_painted_and_judged_through_a_crash() {
    let statements =
        "app canvas\nclients 2\nload 100/s\nadvance 1s\nclient 0 canvas set 3 4 ff8000\nclient 1 canvas get 3 4
kill @leader or n1\nadvance 2s\nrestart all\nat 4s finish\nexpect acknowledged >= 100";
    assert_eq!(played(statements), None);
    assert!(refused("servers 1\napp canvas\nclient 0 canvas set 1000 0 red").contains("a row from 0 to 999"));
    assert!(
        refused("servers 1\napp canvas\nclient 0 canvas set 1 0 reddish").contains("a colour such as ff8000 or red")
    );
}

#[test]
fn every_statement_and_condition_reads_back_as_written() {
    let text = include_str!("every_statement.scenario");
    let scenario = read(text);
    let written = scenario.to_string();
    assert_eq!(read(&written), scenario);
    assert_eq!(written, text, "it is written in the form in which everything is written");
}

#[test]
fn a_typo_is_met_with_its_place_and_the_nearest_word() {
    for (text, expected) in [
        ("", "line 1, column 1: expected `servers`"),
        ("elect n1", "line 1, column 1: expected `servers` and how many there are, before all else, found `elect`"),
        (
            "servrs 3",
            "line 1, column 1: expected `servers` and how many there are, before all else, found `servrs`; did you mean `servers`?",
        ),
        ("servers", "line 1, column 8: expected a number of nodes, but the line ends here"),
        ("servers 0", "line 1, column 9: there are 1 to 64 of them"),
        ("servers 65", "line 1, column 9: there are 1 to 64 of them"),
        ("servers three", "line 1, column 9: expected a number of nodes, found `three`"),
        ("servers 3\njoiners 62", "line 2, column 9: there are 0 to 61 of them"),
        ("servers 3\nelct n1", "line 2, column 1: expected a statement, found `elct`; did you mean `elect`?"),
        ("servers 3\nelect n4", "line 2, column 7: there is no n4: the nodes are n1 to n3"),
        ("servers 3\nelect 1", "line 2, column 7: expected a node such as n1, found `1`"),
        ("servers 3\nelect n1 n2", "line 2, column 10: expected the end of the line, found `n2`"),
        ("servers 3\ndeliver n1 => n2", "line 2, column 12: expected `->`, found `=>`; did you mean `->`?"),
        ("servers 3\ndeliver n1 -> n2 apend", "line 2, column 18: expected "),
        ("servers 3\ndeliver n1 -> n2 apend", "found `apend`; did you mean `append`?"),
        ("servers 3\nadvance 300", "line 2, column 9: expected a time in us, ms or s, such as 300ms"),
        ("servers 3\npartition n1,n5 n2", "line 2, column 14: there is no n5"),
        ("servers 3\npartition n1,n2", "line 2, column 16: expected nodes such as n1,n2, but the line ends here"),
        ("servers 3\npartition n1,\n  n2 | n3", "line 2, column 14: expected a node such as n1, found ``"),
        ("servers 3\nexpect comitted all 1", "line 2, column 8: expected "),
        ("servers 3\nexpect comitted all 1", "did you mean `committed`?"),
        ("servers 3\nexpect violation comit_own_term", "did you mean `commit_own_term`?"),
        (
            "servers 3\nelect n1\nbatch 1",
            "line 3, column 1: `batch` is a setting, and comes before the first statement",
        ),
        ("servers 3\nelection 300ms..150ms", "line 2, column 10: the shortest election time-out must be 1ms at least"),
        ("servers 3\nlinks drop 1.5", "line 2, column 12: `probability` is 1.5, but must be a number from 0 to 1"),
        ("servers 3\nn1 log 2 1", "line 2, column 10: terms never fall along a log"),
        ("servers 3\nn1 term 1 log 2", "line 2, column 15: terms never fall along a log"),
        ("servers 3\nn1 log 1 1 members 3 n1", "line 2, column 20: it must be an entry of this log"),
        ("servers 3\nn1 log 1 members 1 n1 members 1 n2", "line 2, column 31: it must be an entry of this log"),
        ("servers 3\nn1 log 1 members 1 n1 + n1", "line 2, column 25: a configuration has voters"),
        ("servers 3\nn1 log 1 snapshot 2", "line 2, column 19: a snapshot stands for the entries of this log"),
        ("servers 3\nn1 log 1 snapshot", "line 2, column 18: expected the index of an entry, but the line ends here"),
        ("servers 3\napp n1 take 1ms", "line 2, column 8: expected `takes`, found `take`; did you mean `takes`?"),
        ("servers 3\napp n4 takes 1ms", "line 2, column 5: there is no n4"),
        ("servers 3\ntimeout n1 erly", "line 2, column 12: expected the end of the line, found `erly`"),
        ("servers 3\nn1 log 0", "line 2, column 8: terms of entries begin with 1"),
        ("servers 3\nkill @leader", "line 2, column 13: expected `or`, but the line ends here"),
        (
            "servers 3\ndisk n2 flips entries",
            "line 2, column 15: expected `entry`, `hard_state` or `snapshot`, found `entries`",
        ),
        ("servers 3\ndisk @leader or n1 full", "line 2, column 20: only `fails` can be said"),
        ("servers 3\nclient 0 kv set x 1", "line 2, column 17: expected a key from k0 to k255, found `x`"),
        ("servers 3\npropose n1 \"x\"", "line 2, column 12: expected the name of a command"),
        ("servers 3\nservers 4", "line 2, column 1: `servers` was given already, on line 1"),
        ("title a\n\nservers 3\ntitle b", "line 4, column 1: `title` was given already, on line 1"),
        ("servers 3\nelect n1\nfinish\nat 20s finish", "line 4, column 8: `finish` was given already, on line 3"),
        ("servers 3\nn2 pre_vote maybe", "line 2, column 13: expected `on` or `off`, found `maybe`"),
        ("servers 3\nn4 pre_vote on", "line 2, column 1: there is no n4"),
        (
            "servers 3\nn2 pre_vote on\nn2 pre_vote off",
            "line 3, column 4: `pre_vote` was given already for this server",
        ),
        ("servers 3\nelect n1\nn2 pre_vote on", "line 3, column 1: its settings come before the first statement"),
        (
            "servers 3\nrestart n2 pre_vot on",
            "line 2, column 12: expected `pre_vote` or `check_quorum`, found `pre_vot`",
        ),
        ("servers 3\nn2 check_quorum off\nlease 10%", "line 3, column 7: leases need the same CheckQuorum on all"),
        ("servers 3\nlease 10%\nn2 check_quorum off", "line 3, column 17: leases need the same CheckQuorum on all"),
        ("servers 3\nlease 10%\nrestart n2 check_quorum off", "line 3, column 25: leases need the same CheckQuorum"),
        ("servers 3\nelection 1us..20us", "line 2, column 10: the shortest election time-out must be 1ms at least"),
        ("servers 3\nheartbeat 400ms", "line 2, column 1: heartbeats must come more often"),
        ("servers 3\nstubborn 9", "line 2, column 1: there are not so many clients"),
        ("servers 3\nclocks 1000 1000 1000 1000", "line 2, column 1: there are not so many nodes"),
        ("servers 3\nclocks 1000000", "line 2, column 8: expected the rate of a clock"),
        ("servers 3\ndisks 200us..100us", "line 2, column 7: the shortest sync must take no longer"),
        ("servers 3\nn1 term 18446744073709551615 log 1", "none is beyond 9007199254740992"),
        ("servers 3\nclient 0 kv get k1", "there are 0 clients"),
        ("servers 3\nclocks 0", "line 2, column 8: expected the rate of a clock"),
    ] {
        let why = refused(text);
        assert!(why.contains(expected), "{text:?}: {why}");
    }
}

#[test]
fn a_former_word_is_met_with_what_to_say_now() {
    for (former, now) in [
        ("crash n2 keeping 1", "kill n2 keeping 1"),
        ("crash all", "kill all"),
        ("compact n1 keep 2", "snapshot n1 keep 2"),
        ("isolate n1,n2", "partition --shape isolate=n1,n2"),
        ("isolate @leader", "partition --shape isolate=@leader"),
        ("try add n4", "member add n4 --learner"),
        ("try members n1,n2 + n3", "member set n1,n2 + n3"),
        ("try transfer n2", "transfer-leader n2"),
        ("add n1 n4", "member add n4 --learner via n1"),
        ("remove n1 n3 refused", "member remove n3 via n1 refused"),
        ("transfer n1 n2", "transfer-leader n2 via n1"),
    ] {
        let why = refused(&format!("servers 3\njoiners 1\n{former}"));
        assert_eq!(why, format!("line 3, column 1: this is `{now}` now"));
    }
}

#[test]
fn sides_groups_and_numbers_that_make_no_sense_are_refused() {
    for (statement, expected) in [
        ("partition n1 n1", "line 2, column 14: n1 is on two sides"),
        ("partition n1,n2 n3 n2", "line 2, column 20: n2 is on two sides"),
        ("partition n1", "line 2, column 13: expected nodes such as n1,n2, but the line ends here"),
        ("partition n1 | n2", "line 2, column 14: groups are separated by blanks: `partition n1,n2 n3,n4,n5`"),
        ("partition n1, n2", "line 2, column 14: expected a node such as n1, found ``"),
        ("partition n1,n1 n2", "line 2, column 14: n1 is named twice"),
        ("kill n2.2", "line 2, column 6: a node goes by its name here, whichever n2 there is"),
        (
            "partition --shape isolate=n1,n2,n3",
            "line 2, column 27: these are all nodes, and there are no others to isolate them from",
        ),
        ("partition --shape isolate=n1,n1,n2", "line 2, column 30: n1 is named twice"),
        (
            "partition --shape isolate=n1 n2 n3",
            "expected the end of the line, found `n2`; where several nodes can be named, it is without blanks: n1,n2",
        ),
        ("expect term n1,n1 0", "line 2, column 16: n1 is named twice"),
        ("member set n1,n1", "line 2, column 15: n1 is named twice"),
        ("cut n1 -> n1", "line 2, column 11: a node has no link to itself"),
        ("cut n2 <-> n2", "line 2, column 12: a node has no link to itself"),
        ("links n1 -> n1 drop 1", "line 2, column 13: a node has no link to itself"),
        ("kill n1 at boundary 0", "line 2, column 21: a number of boundaries must be 1 or more"),
    ] {
        let why = refused(&format!("servers 3\n{statement}"));
        assert!(why.contains(expected), "{statement}: {why}");
    }
    for setting in [
        "batch",
        "append_bytes",
        "committed_batch",
        "uncommitted_bytes",
        "chunk",
        "sessions",
        "snapshot_every",
        "attempts",
    ] {
        let why = refused(&format!("servers 3\n{setting} 0"));
        assert!(why.contains(" must be 1 or more"), "{setting}: {why}");
    }
    for (statement, expected) in [
        ("partition --shape isolate=n1", "there are no others to isolate them from"),
        ("cut n1 -> *", "a node has no link to itself"),
        ("cut * <-> *", "a node has no link to itself"),
    ] {
        let why = refused(&format!("servers 1\n{statement}"));
        assert!(why.contains(expected), "{statement}: {why}");
    }
}

#[test]
fn what_an_editor_or_a_program_left_in_a_file_is_seen_or_does_not_matter() {
    assert_eq!(read("\u{feff}servers 3\r\nelect n1\r\n"), read("servers 3\nelect n1\n"));
    let why = refused("servers 3\nelect n1\0\n");
    assert!(why.ends_with(r"expected a node such as n1, found `n1\u{0}`"), "{why}");
    let why = refused(&format!("servers 3\n{}", "x".repeat(3 << 20)));
    assert!(why.len() < 200 && why.ends_with("x…`"), "{}", why.len());
}

#[test]
fn time_that_goes_back_is_refused_where_it_can_be_seen_and_where_it_turns_out() {
    for (statements, expected) in [
        ("at 10s heal\nat 5s heal", "line 3, column 4: it is 10s already, and time does not go back"),
        ("advance 2s\nadvance 500ms\nat 2s heal", "line 4, column 4: it is 2500ms already"),
        ("at 1s advance 1s\nheal\nat 1999.9ms heal", "line 4, column 4: it is 2s already"),
        ("at 10s heal\nelect n1\nat 5s finish", "line 4, column 4: it is 10s already"),
    ] {
        let why = refused(&format!("servers 3\n{statements}"));
        assert!(why.contains(expected), "{statements}: {why}");
    }
    assert_eq!(played("at 1s heal\nat 1s heal\nadvance 1s\nat 2s finish"), None);
    // When somebody leads is not known beforehand.
    let why = played("expect leader any within 2s\nat 10ms heal").expect("it took longer than that");
    assert!(why.contains("line 3: `at 10ms heal`, but it is ") && why.contains("time does not go back"), "{why}");
}

#[test]
fn a_scenario_has_so_many_steps_and_no_more() {
    // Each cuts 64 * 63 links.
    let text = |lines: usize| format!("servers 64\n{}", "cut * -> *\n".repeat(lines));
    assert!(text(24).parse::<Scenario>().is_ok());
    let why = refused(&text(25));
    assert!(why.contains("line 26, column 10: a scenario has at most 100000 steps"), "{why}");
}

#[test]
fn settings_of_servers_read_back_as_written_and_count_from_the_start_and_after_a_restart() {
    let text =
        "servers 3\nseed 1\nn2 pre_vote off check_quorum off\nn3 check_quorum off\nkill n2\nrestart n2 pre_vote on\n";
    assert_eq!(read(text).to_string(), text);
    // Who asks before it campaigns stays in its term where nobody answers.
    let stands_alone = "partition --shape isolate=n2\nadvance 1s\nexpect role n2";
    assert_eq!(played(&format!("{stands_alone} pre_candidate")), None);
    assert_eq!(played(&format!("n2 pre_vote off\n{stands_alone} candidate")), None);
    let restarted = format!("kill n2\nrestart n2 pre_vote off\nkill n2\nrestart n2\n{stands_alone} candidate");
    assert_eq!(played(&restarted), None);
    // Without CheckQuorum a leader that is alone stays one.
    let is_alone = "elect n1\npartition --shape isolate=n1\nadvance 1s\nexpect role n1";
    assert_eq!(played(&format!("{is_alone} pre_candidate")), None);
    assert_eq!(played(&format!("n1 check_quorum off\n{is_alone} leader")), None);
}

#[test]
fn no_text_makes_the_reader_panic() {
    let mut random = Rng::with_seed(7);
    let texts: Vec<&str> =
        FIGURES.iter().map(|figure| figure.text).chain([include_str!("every_statement.scenario")]).collect();
    for _ in 0..4_000 {
        let mut letters: Vec<char> = texts[random.usize(0..texts.len())].chars().collect();
        for _ in 0..random.usize(1..6) {
            let (at, other) = (random.usize(0..letters.len()), random.usize(0..letters.len()));
            match random.u8(0..3) {
                0 => drop(letters.remove(at)),
                1 => letters.insert(at, ['\n', ' ', '9', 'n', '-', 'ß', '.', '#'][random.usize(0..8)]),
                _ => letters.swap(at, other),
            }
        }
        // What can be read may make no sense on the stage; what matters here is that reading ends.
        let _ = letters.into_iter().collect::<String>().parse::<Scenario>();
    }
}

#[test]
fn what_is_not_so_is_told_with_its_line() {
    for (statements, expected) in [
        ("expect leader n1", "line 2: `expect leader n1`, but there is no leader"),
        ("elect n1\nexpect leader n2", "line 3: `expect leader n2`, but n1 leads"),
        ("elect n1\nexpect log n2 1 2", "but the log of n2 has terms 1"),
        ("expect log n2 1", "but the log of n2 is empty"),
        ("elect n1\nexpect term all <= 0", "but it is 1 at n1"),
        ("kill n2\nexpect term n2 0", "but n2 is down"),
        ("kill n2\nelect n2", "n2 does not run, and looks at no clock"),
        ("partition --shape isolate=n1\nelect n1", "line 3: `elect n1`, but n1 is not elected"),
        ("deliver n1 -> n2", "no such message is on its way"),
        ("release * -> *", "no such message was put aside"),
        ("propose n1 x", "n1 refuses: this server does not lead"),
        ("elect n1\npropose n1 x refused", "n1 did not refuse"),
        ("elect n1\nretry n1 x", "no command x was proposed before"),
        ("elect n1\nread n1\nexpect read 1 served", "read 1 is waiting"),
        ("expect read 1 served", "there was no read 1"),
        ("sync n1", "no write waits for the disk of n1"),
        ("elect n1\nexpect value all x 1", "x has no value at n1"),
        ("partition --shape isolate=n1\nexpect leader n1 within 1s", "leads"),
        ("elect n1\nexpect violation liveness", "nothing was broken"),
        ("elect n1\nexpect members n1 n1,n2", "n1 has members n1 n2 n3"),
        ("elect n1\nexpect sent n1 -> n2 pre_vote 7", "1 were"),
        ("lost n1 -> n2", "no such message is on its way"),
        ("kill n2\ntimeout n2 early", "n2 does not run, and looks at no clock"),
        ("restart n2 pre_vote off", "line 2: `restart n2 pre_vote off`, but n2 is not down"),
    ] {
        let why = played(statements).unwrap_or_else(|| panic!("{statements} holds"));
        assert!(why.contains(expected), "{statements}: {why}");
    }
    assert_eq!(played("elect n1\npropose n1 x\nadvance 100ms\nexpect value all x 1\nfinish"), None);
}

#[test]
fn what_a_disk_cannot_do_stops_a_scenario_with_its_line_unless_it_has_a_time() {
    for (statements, expected) in [
        ("elect n1\ndisk n2 flips entry 9", "line 3: `disk n2 flips entry 9`, but the disk of n2 has no such record"),
        ("disk n2 flips snapshot", "the disk of n2 has no such record"),
        ("elect n1\ndisk n2 flips hard_state\ndisk n2 flips entry 1", "the disk of n2 is damaged already"),
        ("elect n1\ndisk n2 flips entry 1\ndisk n3 flips entry 1", "without n3 a quorum would be lost for good"),
        ("elect n1\ndisk n2 flips entry 1\ndisk n2 kept", "the disk of n2 is damaged"),
        ("disk n2 wiped", "n2 is not down"),
        ("kill n2\ndisk n2 wiped\nkill n3\ndisk n3 wiped", "without n3 a quorum would be lost for good"),
        ("kill n2\ndisk n2 wiped\ndisk n2 wiped", "the disk of n2 is empty already"),
        (
            "disk n2 kept\nelect n1\nkill n2\ndisk n2 put_back",
            "a configuration may still need what is on the disk of n2",
        ),
        ("joiners 1\nkill n4\ndisk n4 put_back", "no copy of the disk of n4 was kept"),
        ("kill n2\ndisk n2 fails", "n2 is down"),
        ("app attack\nclients 1\nclient 0 kv get k1", "this is an operation of `kv`, and the scenario is of `attack`"),
    ] {
        let why = played(statements).unwrap_or_else(|| panic!("{statements} holds"));
        assert!(why.contains(expected), "{statements}: {why}");
        let (before, last) = statements.rsplit_once('\n').unwrap_or(("", statements));
        // So it is with what is drawn: it is done if it can be done.
        assert_eq!(played(&format!("{before}\nat 1s {last}\nfinish")), None, "{statements}");
    }
}

/// Its log begins after the snapshot, and its state is that of the entries before.
#[test]
fn a_disk_can_begin_with_a_snapshot_unless_others_hold_what_contradicts_it() {
    let starts = "joiners 1\nn2 term 3 log 1 1 1 3 snapshot 3 members 2 n1,n2,n3 + n4\n\
                  expect log n2 3\nexpect snapshot n2 3\nexpect applied n2 3\nexpect committed n2 3\n\
                  expect members n2 n1,n2,n3 + n4\nelect n2\nexpect log n1 1 1 1 3 4";
    assert!(played(starts).is_some_and(|why| why.contains("the log of n1 has terms 3 4")), "it got the snapshot");
    assert_eq!(
        played("n2 log 1 1 snapshot 2\nn3 log 1 1 snapshot 1\nexpect log n2\nelect n2\nadvance 1s\nfinish"),
        None
    );
    for (contradiction, expected) in [
        ("n2 log 1 1 snapshot 2\nn3 log 1 2 snapshot 2", "state_machine_safety"),
        ("n2 log 1 2 snapshot 2\nn3 log 2 2", "log_matching"),
        ("n3 log 2 2\nn2 log 1 2 snapshot 2", "log_matching"),
        ("n2 log 1 1 snapshot 2 members 1 n4 | n5\n", "there is no n4"),
        ("n2 log 1 1 snapshot 2 members 1 n1", "configuration_truth"),
        ("n2 log 1 1 snapshot 2\nn1 term 1 log\npartition --shape isolate=n2\nelect n1", "leader_completeness"),
    ] {
        let why = format!("servers 3\n{contradiction}").parse::<Scenario>().map_err(|why| why.to_string());
        let why = why.map_or_else(|why| why, |scenario| format!("{:?}", play(&scenario).stopped));
        assert!(why.to_lowercase().replace('_', "").contains(&expected.replace('_', "")), "{contradiction}: {why}");
    }
}

#[test]
fn a_call_that_was_given_up_is_made_again_with_the_next_heartbeat_and_its_reply_counts_no_more() {
    let call = "elect n1\npropose n1 x\nkill n3";
    for lost in ["lost n1 -> n2 append", "deliver n1 -> n2 append\nlost n2 -> n1 append_reply"] {
        let again = "timeout n1\nexpect sent n1 -> n2 append 3\ndeliver all\nexpect committed n1,n2 2\nfinish";
        assert_eq!(played(&format!("{call}\n{lost}\nexpect sent n1 -> n2 append 2\n{again}")), None, "{lost}");
    }
    let paused = "pause n1\nlost n1 -> n2 append\nadvance 10ms\nresume n1\nadvance 90ms\nexpect committed n1,n2 2";
    assert_eq!(played(&format!("{call}\n{paused}\nfinish")), None, "it hears of it when it goes on");
    let late = "copy n1 -> n2 append\nlost n1 -> n2 append\nrelease n1 -> n2\ndeliver all";
    assert_eq!(played(&format!("{call}\n{late}\nexpect log n2 1 1\nexpect committed n1 1")), None);
}

#[test]
fn a_clock_that_jumps_ahead_makes_a_time_out_come_early_and_no_time_passes_for_others() {
    let early = "timeout n1\ndeliver all\nexpect leader n1\ntimeout n2 early\nexpect role n2 pre_candidate";
    let all_at_once = "timeout n1 early\ntimeout n2 early\ntimeout n3 early\nexpect role all pre_candidate\nadvance 1s";
    assert_eq!(played(&format!("{early}\nadvance 1s\nexpect leader n1\nexpect term all 1\nfinish")), None);
    assert_eq!(played(&format!("clocks 1100 950\n{all_at_once}\nexpect leader any\nfinish")), None);
}

#[test]
fn a_slow_application_occupies_its_server_for_each_entry() {
    let three = "app n1 takes 20ms\nelect n1\npropose n1 x\npropose n1 y\nadvance 1ms";
    assert_eq!(
        played(&format!("{three}\nexpect applied n1 2\nexpect last n1 3\nexpect committed n1 2")),
        None,
        "the next one waits"
    );
    assert_eq!(played(&format!("{three}\nadvance 100ms\nexpect applied n1 3\nexpect value n1 y 1\nfinish")), None);
    let restart =
        "elect n1\npropose n1 x\nadvance 100ms\napp n2 takes 30ms\nkill n2\nrestart n2\nexpect role n2 follower";
    assert_eq!(played(&format!("{restart}\nadvance 300ms\nexpect value n2 x 1\nfinish")), None);
}

#[test]
fn a_damaged_record_keeps_its_node_down_for_as_long_as_it_is_there() {
    let begin = "elect n1\npropose n1 x\nadvance 100ms\nsnapshot n2\npropose n1 y\nadvance 100ms";
    let restart = "kill n2 keeping 3\nrestart n2\nadvance 1s";
    for part in ["entry 3", "entry 1", "hard_state", "snapshot"] {
        let stays_out = format!("{restart}\nrestart all\nexpect role n2 down\nfinish");
        assert_eq!(played(&format!("{begin}\ndisk n2 flips {part}\n{stays_out}")), None, "{part}");
    }
    // A record goes with its segment, when that is not the last one and nothing in it is to stay.
    let more = "propose n1 z\npropose n1 z2\nadvance 100ms";
    for part in ["entry 3", "snapshot"] {
        let comes_back = format!("snapshot n2\nadvance 10ms\n{restart}\nexpect role n2 follower\nexpect value all y 1");
        let played = played(&format!("segments 256\n{begin}\ndisk n2 flips {part}\n{more}\n{comes_back}"));
        assert_eq!(played, None, "{part}");
    }
}

#[test]
fn no_damage_costs_a_quorum_for_good() {
    let restart_all = "kill all\nrestart all\nadvance 1s";
    let of_three = format!("elect n1\ndisk n2 flips entry 1\nat 1s disk n3 flips entry 1\n{restart_all}");
    assert_eq!(played(&format!("{of_three}\nexpect role n2 down\nexpect role n3 follower\nfinish")), None);
    // A change that would need the damaged one is not asked for either.
    let without_n1 = format!("elect n1\ndisk n2 flips entry 1\nmember remove n1\n{restart_all}");
    assert_eq!(played(&format!("{without_n1}\nexpect members n1 n1,n2,n3\nfinish")), None);
    let without_n2 = format!("elect n1\ndisk n2 flips entry 1\nmember remove n2\nadvance 1s\n{restart_all}");
    assert_eq!(played(&format!("{without_n2}\nexpect members n1 n1,n3\nfinish")), None);
}

/// A contradiction between two disks is no scenario's to make: it is told like any broken invariant.
#[test]
fn what_is_broken_stops_a_scenario_unless_it_says_so() {
    let contradiction = "n1 log 1 2\nn2 log 2 2";
    let stopped = play(&read(&format!("servers 3\n{contradiction}"))).stopped;
    assert!(matches!(stopped, Some(Stopped::Broken { line: 3, .. })), "{stopped:?}");
    assert_eq!(played(&format!("{contradiction}\nelect n3\nexpect violation log_matching")), None);
    assert!(
        played(&format!("{contradiction}\nexpect violation liveness")).is_some_and(|why| why.contains("log_matching"))
    );
}

#[test]
fn what_is_stuck_for_long_when_all_is_healed_does_not_keep_a_cluster_from_working() {
    for stuck in ["app n2 takes 20s", "disk n2 takes 20s"] {
        assert_eq!(played(&format!("elect n1\n{stuck}\npropose n1 x\nadvance 200ms\nfinish")), None, "{stuck}");
    }
}
