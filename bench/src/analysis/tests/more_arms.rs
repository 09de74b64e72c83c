//! What findings say of arms that some runs have: a game in a window, and a server that computes over each message.

use super::*;
use crate::experiments::{DISPLAY, WINDOW};

/// A game in a window.
pub(super) fn windows() -> [Arm; 2] {
    [BASELINE, "thread"].map(|name| Arm::of([(DISPLAY, WINDOW), ("dots", "1000"), (HOSTING, name)]))
}

/// A server that computes over each message.
pub(super) fn works() -> [Arm; 2] {
    let arm = |lock| Arm::of([("global_lock", lock), ("framing", "json"), (HOSTING, "thread")]);
    ["off", "on"].map(|lock| arm(lock).with("server_work_us", 1_000))
}

#[test]
fn a_window_has_numbers_of_its_own() {
    let mut made = Synthetic::new(1);
    (made.noise, made.block_noise) = (0.0, 0.0);
    let memory = [BASELINE, "thread"].map(|name| Arm::of([("dots", "1000"), (HOSTING, name)]));
    let arms: Vec<Arm> = memory.into_iter().chain(windows()).collect();
    made.blocks(2, 6, &arms, |arm| match arm.level(DISPLAY) {
        None => vec![("fps", 9_000.0)],
        Some(_) => vec![("fps", 1_000.0), ("virtual_display", 1.0)],
    });
    let finding = only(analyse(&made.run()));
    let takeaway = &finding.takeaway;
    assert!(
        takeaway.starts_with("Without a server the game draws 9,000 frames per second with 1,000 dots"),
        "{takeaway}"
    );
    assert!(takeaway.contains("Shown in a window on a virtual display it draws 1,000 (1,000…1,000)"), "{takeaway}");
    assert!(takeaway.contains("; a server in a thread costs it"), "{takeaway}");
    let Plot::Groups(groups) = &figure(&finding, "e2-window").plot else { panic!("not groups") };
    let references: Vec<Vec<Option<f64>>> =
        groups.groups.iter().map(|group| group.columns.iter().map(|column| column.reference).collect()).collect();
    assert_eq!(references, [vec![None, None], vec![Some(103.0), Some(105.0)]]);
    let names: Vec<&str> = finding.figures.iter().map(|figure| figure.name.as_str()).collect();
    assert!(!names.contains(&"e2-fps"), "a single number of dots makes no curve: {names:?}");
}

#[test]
fn what_was_left_out_for_want_of_something_is_said_and_is_no_failure() {
    let mut made = Synthetic::new(1);
    made.blocks(2, 6, &[Arm::of([("dots", "1000"), (HOSTING, BASELINE)])], frames);
    for (block, arm) in (0..6).flat_map(|block| windows().map(|arm| (block, arm))) {
        let why = Some("no display: install Xvfb or set DISPLAY".into());
        made.add(Trial { left_out: why, ..trial(2, arm, block, 1) }, &Measured::default());
    }
    let run = made.run();
    let finding = only(analyse(&run));
    assert!(finding.takeaway.starts_with("Without a server") && !finding.takeaway.contains("window"));
    let caveats = finding.caveats.join("\n");
    let said = "12 trials left out (1,000 dots, in a window, no server; 1,000 dots, in a window, thread): no display:";
    assert!(caveats.contains(said) && !caveats.contains("failed"), "{caveats}");
    assert_eq!(run.remarks(), ["12 of 18 trials were left out: the machine lacks what they need"]);
}

#[test]
fn a_lock_costs_what_the_server_holds_it() {
    let mut made = Synthetic::new(1);
    let lock = |lock| Arm::of([("global_lock", lock), ("framing", "json"), (HOSTING, "thread")]);
    let mut arms = vec![Arm::of([(HOSTING, BASELINE)]), lock("off"), lock("on")];
    arms.extend(works());
    made.blocks(11, 6, &arms, |arm| {
        let holds = arm.level("server_work_us").is_some() && arm.level("global_lock") == Some("on");
        vec![("fps", if holds { 6_000.0 } else { 9_000.0 })]
    });
    let finding = only(analyse(&made.run()));
    let title = &figure(&finding, "e11-why").title;
    assert!(title.starts_with("Under a global lock 1 ms of work per message takes 3"), "{title}");
    assert!(finding.takeaway.contains("; with that work and the lock 3"), "{}", finding.takeaway);
    let caveats = finding.caveats.join("\n");
    assert!(
        caveats.contains("does not explain what the original lost") && caveats.contains("not measured"),
        "{caveats}"
    );
}
