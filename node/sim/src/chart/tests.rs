//! Charts of worlds that were moved by hand.

use raftian_raft::NodeId;
use raftian_script::{Action, Op, Part, Plan, Whom};

use super::{View, svg, text};

use crate::{Happening, Settings, World};

fn n(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

/// An election that loses a request; a write; a crash, which a message finds.
fn story() -> Vec<Happening> {
    let mut world = World::manual(Plan { pre_vote: false, clients: 1, ..Plan::quiet(3) }, 1, Settings::default());
    world.record();
    world.perform(Action::Cut { from: n(1), to: n(3) }).unwrap();
    world.tick(n(1)).unwrap();
    world.step_all().unwrap();
    world.perform(Action::Heal).unwrap();
    world.want(0, Op::Set(1, 7)).unwrap();
    world.step_all().unwrap();
    world.perform(Action::Crash { node: Whom::Node(n(2)), keep: 0 }).unwrap();
    world.want(0, Op::Set(1, 8)).unwrap();
    world.step_all().unwrap();
    world.tick(n(3)).unwrap();
    world.step_all().unwrap();
    world.take_journal()
}

#[test]
fn a_story_reads_like_this() {
    let expected = include_str!("story.txt");
    let chart = text(&story(), &View::default());
    assert_eq!(chart, expected, "{chart}");
    assert!(chart.lines().all(|line| line.trim_end() == line));
}

#[test]
fn damage_is_told_when_it_comes_about_and_when_it_is_found() {
    let mut world = World::manual(Plan { pre_vote: false, ..Plan::quiet(3) }, 1, Settings::default());
    world.record();
    world.tick(n(1)).unwrap();
    world.step_all().unwrap();
    world.perform(Action::FlipBit { node: n(2), part: Part::Entry(1) }).unwrap();
    world.perform(Action::Crash { node: Whom::Node(n(2)), keep: 0 }).unwrap();
    world.perform(Action::Restart(n(2))).unwrap();
    let story = world.take_journal();
    let lines: Vec<String> = text(&story, &View::default()).lines().map(str::to_owned).collect();
    let [damaged, crashed, refused] = &lines[lines.len() - 7..lines.len() - 4] else { panic!("{lines:#?}") };
    assert!(damaged.ends_with("║     %     │     a bit flips in entry 1 of n2"), "{damaged}");
    assert!(crashed.ends_with("║     ✗     │     n2 crashes"), "{crashed}");
    assert!(refused.ends_with("║     !     │     n2 does not start: entry 1 is damaged"), "{refused}");
}

#[test]
fn a_view_counts_what_it_leaves_out() {
    let story = story();
    let count = |chart: &str| chart.lines().filter(|line| is_row(line)).count();
    let all = text(&story, &View { idle: true, ..View::default() });
    let (first, last) = (story[0].step, story[story.len() - 1].step);
    let middle = first + (last - first) / 2;
    let begin = text(&story, &View { to: middle, idle: true, ..View::default() });
    let end = text(&story, &View { from: middle + 1, idle: true, ..View::default() });
    assert_eq!(count(&begin) + count(&end), count(&all), "{begin}{end}");
    assert!(begin.contains(&format!("{} rows after this are left out", count(&end))), "{begin}");
    assert!(end.contains(&format!("{} rows before this are left out", count(&begin))), "{end}");
    assert!(text(&story, &View { from: last + 1, ..View::default() }).starts_with("nothing happened in these steps"));
    assert!(count(&all) > count(&text(&story, &View::default())), "idle heartbeats are left out");
}

/// Whether a line begins with a step and a time.
fn is_row(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_number = |word: Option<&str>| word.is_some_and(|word| word.parse::<f64>().is_ok());
    is_number(words.next()) && is_number(words.next())
}

#[test]
fn the_drawing_says_the_same_and_closes_what_it_opens() {
    let story = story();
    let (chart, drawing) = (text(&story, &View::default()), svg(&story, &View::default()));
    for line in chart.lines().filter(|line| is_row(line)) {
        let said = line.rsplit("  ").next().unwrap().trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        assert!(drawing.contains(&format!(">{}</text>", said.replace('>', "&gt;"))), "{said}\n{drawing}");
    }
    let mut open = Vec::new();
    for tag in drawing.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap()),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(drawing.contains("prefers-color-scheme: dark") && !drawing.contains("@font-face"));
    assert_eq!(drawing, svg(&story, &View::default()));
}
