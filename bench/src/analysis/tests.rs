//! What findings say of runs whose truth is known.

mod more_arms;

use hdrhistogram::Histogram;

use self::more_arms::{windows, works};
use super::finding::{Estimate, Finding, Plot};
use super::synthetic::{Synthetic, manifest, trial};
use super::*;
use crate::experiments::{BASELINE, CONTROL, HOSTING, Measured, Series};
use crate::suite::trial::{Arm, Conditions, Cost, Trial};

const HOSTINGS: [&str; 5] = [BASELINE, CONTROL, "thread", "process", "async"];

fn arms(caps: &[&str]) -> Vec<Arm> {
    let scenes = caps.iter().flat_map(|cap| ["100", "1000"].map(|dots| Arm::of([("cap", cap), ("dots", dots)])));
    scenes.flat_map(|scene| HOSTINGS.map(|name| scene.clone().with(HOSTING, name))).collect()
}

/// Frames per second where a process costs a tenth, a task a fifth, and a thread nothing.
fn frames(arm: &Arm) -> Vec<(&'static str, f64)> {
    let base = if arm.level("dots") == Some("1000") { 3_000.0 } else { 5_000.0 };
    let kept = match arm.level(HOSTING) {
        Some("process") => 0.9,
        Some("async") => 0.8,
        _ => 1.0,
    };
    let fps = base * kept;
    vec![("fps", fps), ("frame_us_p50", 1e6 / fps), ("frame_us_p99", 2e6 / fps), ("share_over_16_7_ms", 0.001)]
}

fn game(seed: u64, blocks: u32) -> Synthetic {
    let mut made = Synthetic::new(seed);
    made.noise = 0.004;
    made.blocks(1, blocks, &arms(&["none", "1000"]), frames);
    made
}

fn only(findings: Vec<Finding>) -> Finding {
    let [finding] = <[Finding; 1]>::try_from(findings).unwrap();
    finding
}

fn figure<'a>(finding: &'a Finding, name: &str) -> &'a Figure {
    let names: Vec<&str> = finding.figures.iter().map(|figure| figure.name.as_str()).collect();
    finding.figures.iter().find(|figure| figure.name == name).unwrap_or_else(|| panic!("{name} is not among {names:?}"))
}

#[test]
fn the_first_sentence_answers_the_papers_question() {
    let finding = only(analyse(&game(1, 6).run()));
    let takeaway = &finding.takeaway;
    assert!(takeaway.starts_with("At 1,000 dots a server in a thread costs "), "{takeaway}");
    assert!(
        takeaway.contains("of the frames (96.9 % interval ") && takeaway.contains("%, n = 6: no evidence"),
        "{takeaway}"
    );
    assert!(
        takeaway.contains("no evidence of a cost), in a process 1") || takeaway.contains("in a process 9."),
        "{takeaway}"
    );
    assert!(takeaway.contains("as an async task 2") || takeaway.contains("as an async task 19"), "{takeaway}");
    assert!(takeaway.contains("two games without a server differ by"), "{takeaway}");
    assert!(takeaway.contains("the original lost 45 % in a thread and 46 % in a process."), "{takeaway}");
    let title = &figure(&finding, "e1-cost").title;
    assert!(title.contains("in a process") && title.contains("no evidence of a cost in a thread"), "{title}");
    assert!(finding.caveats.iter().any(|caveat| caveat.contains("would have been seen")), "{:?}", finding.caveats);
}

#[test]
fn a_control_that_differs_from_the_baseline_is_said() {
    let mut made = Synthetic::new(3);
    made.noise = 0.001;
    made.blocks(1, 6, &arms(&["none"]), |arm| {
        vec![("fps", if arm.level(HOSTING) == Some(CONTROL) { 900.0 } else { 1_000.0 })]
    });
    let caveats = only(analyse(&made.run())).caveats.join("\n");
    assert!(caveats.contains("at 1,000 dots the game without a server differs from itself (9."), "{caveats}");
}

#[test]
fn figure_three_has_the_originals_means() {
    let finding = only(analyse(&game(1, 6).run()));
    let Plot::Groups(groups) = &figure(&finding, "e1-fps").plot else { panic!("not groups") };
    let references = |label: &str| -> Vec<Option<f64>> {
        let group = groups.groups.iter().find(|group| group.label == label).unwrap();
        group.columns.iter().map(|column| column.reference).collect()
    };
    assert_eq!(references("100 dots"), [Some(498.0), None, Some(302.0), Some(231.0), None]);
    assert_eq!(references("1,000 dots"), [Some(286.0), None, Some(158.0), Some(154.0), None]);
    figure(&finding, "e1-fps-cap-1000");
}

#[test]
fn frames_over_time_show_the_warm_up() {
    let mut made = Synthetic::new(1);
    for (position, arm) in arms(&["none"]).into_iter().enumerate() {
        let rows = (0..10).map(|second| vec![f64::from(second), 1_000.0]).collect();
        let series = Series { columns: vec!["second".into(), "fps".into()], rows };
        let measured = Measured { series: [("fps".to_owned(), series)].into(), ..Measured::default() };
        made.add(trial(1, arm, 0, position as u32), &measured);
    }
    let finding = only(analyse(&made.run()));
    let Plot::Panels { panels } = &figure(&finding, "e1-seconds").plot else { panic!("no panels") };
    let Plot::Lines(lines) = &panels[0].1 else { panic!("no lines") };
    assert_eq!((panels[0].0.as_str(), lines.lines.len(), lines.references.len()), ("100 dots", 4, 3));
    assert_eq!(lines.spans, [(0.0, 0.1, "warm-up".to_owned())]);
}

#[test]
fn too_few_blocks_claim_nothing() {
    let finding = only(analyse(&game(1, 3).run()));
    assert!(
        finding.takeaway.contains("may cost") && finding.takeaway.contains("too few blocks"),
        "{}",
        finding.takeaway
    );
    assert!(
        finding.caveats[0].contains("3 blocks counted") && finding.caveats[0].contains("needs 6"),
        "{:?}",
        finding.caveats
    );
    let title = &figure(&finding, "e1-cost").title;
    assert!(title.contains("too few blocks to say"), "{title}");
}

#[test]
fn what_was_left_out_is_said() {
    let mut made = game(2, 6);
    let arm = arms(&["none"])[2].clone();
    let measured = |fps: f64| Measured { metrics: [("fps".to_owned(), fps)].into(), ..Measured::default() };
    let failed = Trial { failed: Some("the node died".into()), ..trial(1, arm.clone(), 6, 0) };
    made.add(failed, &Measured::default());
    made.add(trial(1, arm.clone(), 7, 0), &Measured { verdict: Some("violated".into()), ..measured(9e9) });
    let conditions = Conditions { steal: Some(0.25), quiet: false, ..Conditions::default() };
    made.add(Trial { conditions, attempt: 1, ..trial(1, arm, 8, 0) }, &measured(3_000.0));
    let run = made.run();
    let finding = only(analyse(&run));
    let caveats = finding.caveats.join("\n");
    for part in
        ["1 trial failed", "the node died", "verdict violated", "not quiet before 1 of", "at worst 25.0 %", "run again"]
    {
        assert!(caveats.contains(part), "{part}: {caveats}");
    }
    assert!(!serde_json::to_string(&finding).unwrap().contains("9000000000"), "an invalid trial's numbers are nowhere");
}

#[test]
fn what_happened_in_trials_is_said() {
    let mut made = Synthetic::new(1);
    made.blocks(6, 6, &[Arm::of([("offered_per_s", "8000")])], |_| {
        let of =
            [("commands_unanswered", 3.0), ("elections", 1.0), ("send_lag_us_p50", 200.0), ("commit_us_p50", 500.0)];
        of.to_vec()
    });
    let caveats = only(analyse(&made.run())).caveats.join("\n");
    for part in ["commands without an answer, counted with", "elections in the measured span of 6 trials", "left 2"] {
        assert!(caveats.contains(part), "{part}: {caveats}");
    }
}

#[test]
fn a_busy_machine_is_in_the_sentence_itself() {
    let takeaway = |quiet: [bool; 3]| {
        let mut made = Synthetic::new(1);
        for (block, quiet) in (0..).zip(quiet) {
            let conditions = Conditions { quiet, ..Conditions::default() };
            let measured = Measured { metrics: [("achieved_per_s".to_owned(), 900.0)].into(), ..Measured::default() };
            let trial = trial(6, Arm::of([("offered_per_s", "1000")]), block, 0);
            made.add(Trial { conditions, ..trial }, &measured);
        }
        only(analyse(&made.run())).takeaway
    };
    let plain = takeaway([true, true, false]);
    assert!(!plain.contains("busy"), "{plain}");
    let most = "To be taken with care, for 2 of 3 trials met a busy machine: ";
    assert_eq!(takeaway([true, false, false]), format!("{most}{plain}"));
    let all = "Not to be relied on, for every trial met a busy machine: ";
    assert_eq!(takeaway([false, false, false]), format!("{all}{plain}"));
}

#[test]
fn a_machine_that_gets_slower_is_noticed() {
    let mut made = Synthetic::new(4);
    made.block_noise = 0.0;
    for block in 0..8 {
        for (position, arm) in arms(&["none"]).into_iter().enumerate() {
            let fps = 1_000.0 * (1.0 - 0.02 * f64::from(block)) * (0.002 * made.normal()).exp();
            let measured = Measured { metrics: [("fps".to_owned(), fps)].into(), ..Measured::default() };
            made.add(trial(1, arm, block, position as u32), &measured);
        }
    }
    let caveats = only(analyse(&made.run())).caveats.join("\n");
    assert!(caveats.contains("`fps` drifted by −1"), "{caveats}");
    assert!(!only(analyse(&game(5, 8).run())).caveats.join("\n").contains("drifted"));
}

/// Every experiment with everything it may measure, and with nothing.
fn full(blocks: u32) -> Run {
    let mut made = Synthetic::new(7);
    let hostings = || HOSTINGS.into_iter().filter(|name| *name != CONTROL);
    (made.histograms, made.series) = (&["frame"], &["fps"]);
    made.blocks(1, blocks, &arms(&["none", "1000"]), frames);
    (made.histograms, made.series) = (&[], &[]);
    made.blocks(0, blocks, &[Arm::of([("what", "clock")])], |_| {
        vec![("timer_overshoot_us_p50", 60.0), ("loopback_us_p50", 70.0), ("fsync_us_p50", 120.0)]
    });
    let mut dots: Vec<Arm> = ["10", "1000", "100000"]
        .iter()
        .flat_map(|dots| hostings().map(|name| Arm::of([("dots", dots), (HOSTING, name)])))
        .collect();
    dots.extend(windows());
    made.blocks(2, blocks, &dots, frames);
    let heartbeats: Vec<Arm> = ["0.5", "3", "100"]
        .iter()
        .flat_map(|ms| ["1", "2"].map(|cores| Arm::of([("heartbeat_ms", ms), ("cores", cores)])))
        .flat_map(|arm| hostings().map(move |name| arm.clone().with(HOSTING, name)))
        .collect();
    made.blocks(3, blocks, &heartbeats, frames);
    let us = |metric: &'static str, tail: &'static str| move |_: &Arm| vec![(metric, 400.0), (tail, 900.0)];
    let clicks: Vec<Arm> = ["leader", "follower"]
        .iter()
        .flat_map(|node| ["thread", "process", "async"].map(|name| Arm::of([("node", node), (HOSTING, name)])))
        .collect();
    made.histograms = &["order", "shown"];
    made.blocks(4, blocks, &clicks, us("order_us_p50", "order_us_p99"));
    let sizes: Vec<Arm> = ["16", "1024", "65536"]
        .iter()
        .flat_map(|size| ["on", "off"].map(|sync| Arm::of([("payload_bytes", size), ("fsync", sync)])))
        .collect();
    made.histograms = &["commit", "order"];
    made.blocks(5, blocks, &sizes, us("commit_us_p50", "commit_us_p99"));
    let rates: Vec<Arm> = ["1000", "5000", "20000"].iter().map(|rate| Arm::of([("offered_per_s", rate)])).collect();
    made.blocks(6, blocks, &rates, |arm| {
        let offered: f64 = arm.level("offered_per_s").unwrap().parse().unwrap();
        vec![("achieved_per_s", offered.min(9_000.0)), ("commit_us_p50", 500.0), ("commit_us_p99", 900.0)]
    });
    let nodes: Vec<Arm> = ["1", "3", "9"].iter().map(|nodes| Arm::of([("nodes", nodes)])).collect();
    made.blocks(7, blocks, &nodes, |arm| {
        let nodes: f64 = arm.level("nodes").unwrap().parse().unwrap();
        vec![
            ("commit_us_p50", 200.0 * nodes),
            ("commit_us_p99", 900.0),
            ("messages_per_commit", 2.0 * nodes),
            ("fsyncs_per_commit", nodes),
        ]
    });
    let faults: Vec<Arm> =
        ["kill", "pause"].iter().map(|fault| Arm::of([("fault", fault), ("election_timeout_ms", "150-300")])).collect();
    made.blocks(8, blocks, &faults, |_| {
        vec![("detect_ms", 180.0), ("elect_ms", 185.0), ("first_commit_ms", 190.0), ("gap_ms", 195.0)]
    });
    let links: Vec<Arm> = ["loopback", "lan", "wifi", "wan"].iter().map(|link| Arm::of([("link", link)])).collect();
    made.blocks(9, blocks, &links, us("commit_us_p50", "commit_us_p99"));
    let steps = [("off", "json"), ("off", "xml_rpc"), ("on", "json"), ("on", "xml_rpc")];
    let mut steps: Vec<Arm> = steps
        .iter()
        .map(|(lock, framing)| Arm::of([("global_lock", lock), ("framing", framing), (HOSTING, "thread")]))
        .collect();
    steps.push(Arm::of([(HOSTING, BASELINE)]));
    steps.extend(works());
    made.blocks(11, blocks, &steps, frames);
    let placements: Vec<Arm> =
        ["processes", "threads", "tasks"].iter().map(|name| Arm::of([("placement", name)])).collect();
    made.blocks(12, blocks, &placements, |_| {
        vec![
            ("commit_us_p50", 400.0),
            ("commit_us_p99", 900.0),
            ("achieved_per_s", 2_000.0),
            ("cpu_s_per_1000_commits", 0.2),
        ]
    });
    made.run()
}

#[test]
fn every_experiment_has_a_sentence_and_only_finite_numbers() {
    for blocks in [1, 2, 6, 12] {
        let findings = analyse(&full(blocks));
        let ids: Vec<u8> = findings.iter().map(|finding| finding.experiment.0).collect();
        assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12]);
        for finding in &findings {
            let is_calibration = finding.experiment.0 == 0;
            assert!(is_calibration == finding.figures.is_empty(), "{}", finding.experiment);
            assert!(!finding.takeaway.starts_with("Nothing can be"), "{}", finding.experiment);
            assert!(finding.takeaway.ends_with('.'), "{}", finding.takeaway);
            assert!(!finding.tables.is_empty(), "{}", finding.experiment);
            let text = serde_json::to_string(finding).unwrap();
            for wrong in ["NaN", "inf ", "null,null", "  "] {
                assert!(!text.contains(wrong), "{wrong:?} in {text}");
            }
            for figure in &finding.figures {
                assert!(!figure.title.is_empty() && !figure.subtitle.is_empty(), "{figure:?}");
                assert_finite(&figure.plot);
            }
        }
        if blocks < 6 {
            let text = serde_json::to_string(&findings).unwrap().to_lowercase();
            assert!(!text.contains("no evidence"), "without an interval there is not even that");
        }
        assert!(
            findings.iter().all(|finding| finding.caveats.iter().any(|caveat| caveat.contains("needs 6")))
                == (blocks < 6)
        );
    }
}

/// JSON has no numbers that are not finite: they would read as null.
fn assert_finite(plot: &Plot) {
    let value = serde_json::to_value(plot).unwrap();
    let read: Plot = serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}: {plot:?}"));
    assert_eq!(read, *plot);
}

#[test]
fn an_analysis_is_a_pure_function() {
    assert_eq!(analyse(&full(6)), analyse(&full(6)));
}

#[test]
fn a_run_without_trials_has_no_findings_and_one_of_failures_says_so() {
    assert!(analyse(&Run::in_memory(manifest(1, &[]))).is_empty());
    let mut made = Synthetic::new(1);
    let failed = Trial { failed: Some("no display".into()), ..trial(2, Arm::of([("dots", "10")]), 0, 0) };
    made.add(failed, &Measured::default());
    let finding = only(analyse(&made.run()));
    assert!(finding.takeaway.starts_with("Nothing can be concluded"), "{}", finding.takeaway);
    assert!(finding.caveats.iter().any(|caveat| caveat.contains("no display")), "{:?}", finding.caveats);
}

#[test]
fn saturation_is_where_the_offered_rate_is_no_longer_carried() {
    let findings = analyse(&full(6));
    let finding = findings.iter().find(|finding| finding.experiment.0 == 6).unwrap();
    assert!(finding.takeaway.starts_with("The cluster acknowledges at most 9,"), "{}", finding.takeaway);
    assert!(finding.takeaway.contains("carried is 5,000 per second"), "{}", finding.takeaway);
    assert!(figure(finding, "e6-saturation").title.contains("at most"), "{finding:?}");
}

#[test]
fn a_cluster_that_carries_every_rate_carries_at_least_the_highest() {
    let mut made = Synthetic::new(1);
    (made.noise, made.block_noise) = (0.0, 0.0);
    let rates = ["1000", "24000"].map(|rate| Arm::of([("offered_per_s", rate)]));
    made.blocks(6, 6, &rates, |arm| {
        let offered: f64 = arm.level("offered_per_s").unwrap().parse().unwrap();
        vec![("achieved_per_s", 1.01 * offered), ("commit_us_p50", 500.0)]
    });
    let finding = only(analyse(&made.run()));
    let expected =
        "The cluster carries at least 24,000 commands per second (n = 6), the highest rate that was offered.";
    assert_eq!(finding.takeaway, expected);
    assert_eq!(figure(&finding, "e6-saturation").title, "The cluster carries at least 24,000 commands per second");
    assert!(finding.caveats.iter().any(|caveat| caveat.contains("is not known")), "{:?}", finding.caveats);
}

#[test]
fn the_instrument_says_how_quiet_the_machine_was() {
    let mut made = Synthetic::new(1);
    for (block, foreign) in [(0, 0.01), (1, 0.02), (2, 0.30)] {
        let conditions = Conditions { foreign_cpu: Some(foreign), quiet: foreign < 0.1, ..Conditions::default() };
        let measured = Measured { metrics: [("loopback_us_p50".to_owned(), 50.0)].into(), ..Measured::default() };
        made.add(Trial { conditions, ..trial(0, Arm::of([("instrument", "direct")]), block, 0) }, &measured);
    }
    let finding = only(analyse(&made.run()));
    let said = "2 of 3 trials of this run met a quiet machine: before them others used 2.0 % of the CPU in the median and \
                30.0 % at most.";
    assert!(finding.takeaway.contains(said), "{}", finding.takeaway);
    let table = finding.tables.iter().find(|table| table.title.starts_with("How quiet")).unwrap();
    assert_eq!(table.rows, [["CPU time used by others, just before", "2.0 %", "30.0 %", "3"]]);
}

#[test]
fn failover_is_judged_against_the_analytic_distribution() {
    let (mut fits, mut misfits) = (0, 0);
    for seed in 0..20 {
        for (slow_ms, count) in [(0.0, &mut fits), (80.0, &mut misfits)] {
            let finding = only(analyse(&failovers(seed, slow_ms)));
            let caveats = finding.caveats.join("\n");
            *count += usize::from(caveats.contains("agrees with"));
        }
    }
    assert!(fits >= 17, "true draws agree {fits} times of 20");
    assert!(misfits <= 2, "late detection agrees {misfits} times of 20");
}

/// Thirty kills of a leader of five, noticed `slow_ms` after the first time-out.
fn failovers(seed: u64, slow_ms: f64) -> Run {
    let mut made = Synthetic::new(seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    for block in 0..30 {
        let first = (0..4).map(|_| 150.0 + 150.0 * rng.f64()).fold(f64::INFINITY, f64::min);
        // The leader spoke up to 20 ms before.
        let detect = first - 20.0 * rng.f64() + slow_ms;
        let metrics = [
            ("detect_ms", detect),
            ("elect_ms", detect + 5.0),
            ("first_commit_ms", detect + 8.0),
            ("gap_ms", detect + 10.0),
            ("timeout_ms_min", 150.0),
            ("timeout_ms_max", 300.0),
            ("heartbeat_ms", 50.0),
            ("followers", 4.0),
        ];
        let measured =
            Measured { metrics: metrics.map(|(name, ms)| (name.to_owned(), ms)).into(), ..Measured::default() };
        made.add(trial(8, Arm::of([("fault", "kill"), ("election_timeout_ms", "150-300")]), block, 0), &measured);
    }
    made.run()
}

#[test]
fn costs_are_read_off_every_experiment() {
    let mut made = Synthetic::new(1);
    for block in 0..6 {
        let cost = |process: &str, cpu_ms: f64| Cost {
            process: process.to_owned(),
            cpu_ms,
            memory_bytes: if process == "load" { 32 << 20 } else { 8 << 20 },
            voluntary_switches: 10,
            involuntary_switches: 1,
        };
        let measured = Measured {
            metrics: [("cpu_s_per_1000_commits".to_owned(), 0.5), ("commit_us_p50".to_owned(), 400.0)].into(),
            costs: vec![cost("n1", 300.0), cost("n2", 200.0), cost("load", 900.0)],
            ..Measured::default()
        };
        made.add(trial(7, Arm::of([("nodes", "2")]), block, 0), &measured);
        let measured = Measured { costs: vec![cost("n1", 990.0), cost("load", 1.0)], ..Measured::default() };
        made.add(trial(1, Arm::of([(HOSTING, "thread"), ("dots", "100"), ("cap", "none")]), block, 0), &measured);
    }
    let findings = analyse(&made.run());
    let finding = findings.iter().find(|finding| finding.experiment == COSTS).unwrap();
    assert!(finding.takeaway.contains("0.50 s of CPU time"), "{}", finding.takeaway);
    assert!(finding.takeaway.contains("takes 8 MiB"), "not what the load takes: {}", finding.takeaway);
    assert!(finding.caveats.is_empty(), "{:?}", finding.caveats);
    let Plot::Stacks(stacks) = &figure(finding, "e10-game").plot else { panic!("no stacks") };
    assert_eq!(stacks.parts, ["n1"], "what is not seen is not drawn");
    let Plot::Stacks(stacks) = &figure(finding, "e10-cluster").plot else { panic!("no stacks") };
    assert_eq!(stacks.parts, ["load", "n1", "n2"]);
    assert_eq!(stacks.bars[0].1, [0.9, 0.3, 0.2]);
}

#[test]
fn percentile_lines_end_where_ten_samples_are_left() {
    let mut made = Synthetic::new(1);
    for block in 0..6 {
        let mut histogram = Histogram::new(3).unwrap();
        (1..=100).for_each(|ms| histogram.record(ms * 1_000_000).unwrap());
        let measured = Measured { histograms: [("commit".to_owned(), histogram)].into(), ..Measured::default() };
        made.add(trial(5, Arm::of([("fsync", "on"), ("payload_bytes", "16")]), block, 0), &measured);
    }
    let findings = analyse(&made.run());
    let Plot::Lines(lines) = &figure(&findings[0], "e5-commit").plot else { panic!("no lines") };
    let last = lines.lines[0].points.last().unwrap();
    assert!((last.x - 98.0).abs() < 1e-9, "of 600 samples ten lie beyond 98.3 %: {last:?}");
    assert!((last.y / 98.0 - 1.0).abs() < 0.01, "in milliseconds: {last:?}");
}

#[test]
fn an_estimate_for_a_chart_is_the_one_in_the_words() {
    let estimated = crate::stats::Estimated::median_of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    assert_eq!(Estimate::from(estimated), Estimate { value: 3.5, interval: Some((1.0, 6.0)), n: 6 });
}
