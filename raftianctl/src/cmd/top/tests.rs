//! What keys do, and what the picture says, without a terminal.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use serde_json::json;

use super::*;

/// Five nodes: n2 leads term 3, n4 is dead, and n5 has an entry that the others have not.
fn view() -> View {
    let node = |name: &str, role: &str, terms: &[u64], differs_at: Option<u64>| {
        json!({
            "node": name, "state": if name == "n4" { "killed" } else { "running" }, "is_silent": false, "reason": null,
            "standing": "voter", "role": role, "is_old": name == "n4", "term": 3, "knows": "n2", "election_in_ms": null,
            "snapshot_index": 0, "last_index": terms.len(), "commit_index": 2, "last_applied": 2,
            "tail": { "from": 1, "terms": terms }, "differs_at": differs_at, "digest": "d", "app_state": null,
            "usage": null, "address": null, "sync_us": 0, "fps": null, "faults": [],
        })
    };
    let nodes = [
        node("n1", "follower", &[1, 1, 3], None),
        node("n2", "leader", &[1, 1, 3], None),
        node("n3", "follower", &[1, 1], None),
        node("n4", "follower", &[1], None),
        node("n5", "follower", &[1, 1, 2], Some(3)),
    ];
    let view = json!({
        "lab": "default", "app": "attack", "players": 5, "size": "64x64", "game": "none", "seed": 1,
        "timing": { "election_min_ms": 150, "election_max_ms": 300, "heartbeat_ms": 50 }, "leader": "n2", "term": 3,
        "reasons": [{ "text": "n2 leads term 3, 4 of 5 nodes run", "hints": [{ "do": "restart", "nodes": ["n4"] }] }],
        "members": null, "nodes": nodes, "faults": [], "links": [],
        "rates": { "commits": 12.0, "calls": 80.0, "dropped": 0.0, "syncs": 36.0 },
        "daemon": { "pid": 7, "cpu_percent": null, "cpu_ms": 9, "memory_bytes": 1 },
    });
    serde_json::from_value(view).unwrap()
}

fn state() -> State {
    let mut state = State::default();
    state.frame(Frame::View(Box::new(view())));
    state
}

fn press(state: &mut State, code: KeyCode) -> Option<Wish> {
    state.event(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn line(wish: Option<Wish>) -> String {
    match wish {
        Some(Wish::Do(deed)) => deed.line(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_a_line_of_the_shell_for_the_chosen_or_the_marked_nodes() {
    let mut state = state();
    assert_eq!(line(press(&mut state, KeyCode::Char('k'))), "raftianctl kill n1");
    press(&mut state, KeyCode::Down);
    assert_eq!(line(press(&mut state, KeyCode::Char('c'))), "raftianctl partition n2 n1,n3,n4,n5");
    press(&mut state, KeyCode::Char(' '));
    press(&mut state, KeyCode::Down);
    press(&mut state, KeyCode::Char(' '));
    assert_eq!(line(press(&mut state, KeyCode::Char('r'))), "raftianctl restart n2,n3");
    assert_eq!(press(&mut state, KeyCode::Char('t')), None, "only one can lead");
    assert_eq!(press(&mut state, KeyCode::Esc), None, "nothing is marked any more");
    assert_eq!(line(press(&mut state, KeyCode::Char('t'))), "raftianctl transfer-leader n3");
    assert_eq!(line(press(&mut state, KeyCode::Char('h'))), "raftianctl heal");
    assert_eq!(press(&mut state, KeyCode::Esc), Some(Wish::Leave));
    for line in ["kill n1", "partition n2 n1,n3", "restart n2,n3", "transfer-leader n3", "heal", "start", "resume n1"] {
        let words = ["raftianctl"].into_iter().chain(line.split(' ')).map(Into::into);
        assert!(crate::cli::parse(words).is_ok(), "{line}");
    }
}

#[test]
fn the_picture_fits_a_small_terminal_and_says_all_without_colours() {
    let mut state = state();
    let picture = draw::picture(&mut state, (80, 24));
    assert!(picture.lines().all(|line| line.chars().count() <= 80), "{picture}");
    for part in [
        "lab `default`  attack  n2 leads term 3",
        "n2 leads term 3, 4 of 5 nodes run; `raftianctl restart n4`",
        "n2    running  leader                3        2        3       11│3",
        "n4    killed   was follower",
        "11│≠",
        "12 commits/s  80 calls/s",
    ] {
        assert!(picture.contains(part), "{part}\n{picture}");
    }
    // Any size is survived.
    for (columns, lines) in [(1, 1), (10, 3), (80, 5), (300, 100)] {
        draw::picture(&mut state, (columns, lines));
    }
}

#[test]
fn the_mouse_chooses_marks_and_presses() {
    let mut state = state();
    let mut buffer = ratatui::buffer::Buffer::empty(ratatui::layout::Rect::new(0, 0, 80, 24));
    let area = buffer.area;
    draw::paint(&mut state, area, &mut buffer, false);
    let click = |state: &mut State, column, row| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        state.event(&Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
    };
    let row = (0..24).find(|y| buffer[(3, *y)].symbol() == "n" && buffer[(4, *y)].symbol() == "3").unwrap();
    click(&mut state, 5, row);
    assert_eq!(state.selected(), 2);
    click(&mut state, 5, row);
    assert_eq!(state.marked.len(), 1);
    assert_eq!(line(click(&mut state, 1, 23)), "raftianctl kill n3");
    assert_eq!(click(&mut state, 79, 23), None);
}

#[test]
fn a_command_is_told_by_its_answer_and_else_by_its_complaint() {
    assert_eq!(last_words(b"n2: killed\n", b"note\n"), "n2: killed");
    assert_eq!(last_words(b"f1: partition\n  seen\n", b""), "f1: partition; seen");
    assert_eq!(last_words(b"\n", b"raftianctl: no lab\n"), "raftianctl: no lab");
}
