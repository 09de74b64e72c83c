//! The picture of `top`: from the state, and nothing else.
//!
//! Invariant: 80 columns and 24 lines are enough for five nodes and all that is wrong; a larger terminal shows more of the
//! logs and of what happened. Nothing is said by a colour alone.

use raftian_rpc::lab::NodeState;
use raftian_view::{NodeView, Role, View};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Row, Sparkline, Table, Widget as _, Wrap};

use super::state::State;
use super::strip::strip;
use crate::output::with_lab;
use crate::{advice, words};

/// The columns of the table but for the strip.
const WIDTHS: [u16; 8] = [2, 5, 8, 17, 5, 8, 8, 5];

/// The columns between two columns.
const GAP: u16 = 1;

/// The keys at the foot, the most important first.
const KEYS: [(char, &str); 9] = [
    ('k', "kill"),
    ('p', "pause"),
    ('r', "restart"),
    ('c', "cut off"),
    ('t', "transfer"),
    ('h', "heal"),
    ('S', "start"),
    ('?', "help"),
    ('q', "quit"),
];

const HELP: &str = "\
up, down      choose a node
space         mark it, or unmark it; what follows is then for all that are marked
k             kill            raftianctl kill n2
p             pause, resume   raftianctl pause n2
r             restart         raftianctl restart n2
c             cut off         raftianctl partition n2 n1,n3
t             lead            raftianctl transfer-leader n2
h             heal            raftianctl heal
S             start all       raftianctl start
esc           unmark all, then leave
m             leave the mouse to the terminal, to select text; again takes it
q, Ctrl-C     leave; the lab goes on

The strip is the end of each node's log: a digit for each entry, the last of its term. │ stands after the last committed entry, ≠ where the log \
differs from the leader's. The mouse chooses a node, marks it by a second click, scrolls, and presses the keys at the foot.";

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, colour: bool) {
    let area = frame.area();
    paint(state, area, frame.buffer_mut(), colour);
}

/// The picture as text.
pub(super) fn picture(state: &mut State, (columns, lines): (u16, u16)) -> String {
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, lines));
    let area = buffer.area;
    // Keys that nobody can press are left out.
    paint_all(state, area, &mut buffer, false, false);
    let row = |y| (0..columns).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    let rows: Vec<String> = (0..lines).map(row).collect();
    format!("{}\n", rows.join("\n").trim_end())
}

/// Draws it into a buffer.
pub(super) fn paint(state: &mut State, area: Rect, buffer: &mut Buffer, colour: bool) {
    paint_all(state, area, buffer, colour, true);
    if state.shows_help {
        help(area, buffer);
    }
}

fn paint_all(state: &mut State, area: Rect, buffer: &mut Buffer, colour: bool, is_pressed: bool) {
    let Some(view) = state.view().cloned() else {
        Paragraph::new(state.lost.clone().unwrap_or_else(|| "waiting for the daemon".to_owned()))
            .wrap(Wrap { trim: true })
            .render(area, buffer);
        return;
    };
    let reasons = reasons(state, &view, colour);
    let wrong = lines_of(&reasons, area.width).clamp(1, 4);
    let faults = view.faults.len().min(4) as u16;
    let nodes = (view.nodes.len() as u16 + 1).min(area.height.saturating_sub(8).max(2));
    let foot = if is_pressed { 2 } else { 0 };
    let [title, reason, table, faulty, rates, events, done, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(wrong),
        Constraint::Length(nodes),
        Constraint::Length(faults),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(foot / 2),
        Constraint::Length(foot / 2),
    ])
    .areas(area);
    headline(&view, colour).render(title, buffer);
    Paragraph::new(reasons).wrap(Wrap { trim: true }).render(reason, buffer);
    rows(state, &view, table, buffer, colour, is_pressed);
    let fault = |fault: &raftian_view::FaultView| {
        let seen = fault.seen.as_ref().map(|seen| format!(" ({seen})")).unwrap_or_default();
        Line::styled(format!("{} {}{seen}", fault.id, fault.title), tint(colour, Color::Yellow))
    };
    Paragraph::new(view.faults.iter().map(fault).collect::<Vec<_>>()).render(faulty, buffer);
    rate(state, &view, rates, buffer, colour);
    let told: Vec<Line<'_>> = state.last_events(usize::from(events.height)).map(Line::raw).collect();
    Paragraph::new(told).render(events, buffer);
    if is_pressed {
        last_line(state, colour).render(done, buffer);
        foot_keys(state, keys, buffer);
    }
}

fn tint(colour: bool, tint: Color) -> Style {
    if colour { Style::default().fg(tint) } else { Style::default() }
}

fn headline(view: &View, colour: bool) -> Line<'static> {
    let leads = match view.leader {
        Some(leader) => format!("{leader} leads term {}", view.term),
        None => format!("no leader, highest term {}", view.term),
    };
    let app = view.app.map_or("never started".to_owned(), |app| app.to_string());
    let bold = tint(colour, Color::Cyan).add_modifier(Modifier::BOLD);
    Line::from(vec![Span::styled(format!("lab `{}`", view.lab), bold), Span::raw(format!("  {app}  {leads}"))])
}

/// The reason line, or why there is nothing new.
fn reasons(state: &State, view: &View, colour: bool) -> Vec<Line<'static>> {
    if let Some(lost) = &state.lost {
        return vec![Line::styled(lost.clone(), tint(colour, Color::Red))];
    }
    let mood = if view.leader.is_some() { Color::Green } else { Color::Red };
    view.reasons
        .iter()
        .take(2)
        .map(|reason| Line::styled(with_lab(&advice::said(reason)), tint(colour, mood)))
        .collect()
}

fn lines_of(lines: &[Line<'_>], columns: u16) -> u16 {
    let columns = usize::from(columns.max(1));
    lines.iter().map(|line| line.width().div_ceil(columns).max(1) as u16).sum()
}

fn rows(state: &mut State, view: &View, area: Rect, buffer: &mut Buffer, colour: bool, is_pressed: bool) {
    let fixed = WIDTHS.iter().sum::<u16>() + GAP * WIDTHS.len() as u16;
    let columns = usize::from(area.width.saturating_sub(fixed));
    let shown = usize::from(area.height.saturating_sub(1));
    let first = (state.selected() + 1).saturating_sub(shown);
    state.places.rows = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    state.places.first_row = first;
    let rows = view.nodes.iter().enumerate().skip(first).take(shown).map(|(number, node)| {
        let is_chosen = is_pressed && number == state.selected();
        let mark = match (is_chosen, state.marked.contains(&node.node)) {
            (true, true) => "▶●",
            (true, false) => "▶",
            (false, true) => " ●",
            (false, false) => "",
        };
        let known = node.role.is_some();
        let number = |number: u64| if known { number.to_string() } else { String::new() };
        let cpu =
            node.usage.and_then(|usage| usage.cpu_percent).map_or(String::new(), |percent| format!("{percent:.0}"));
        let age = if node.is_old { Style::default().add_modifier(Modifier::DIM) } else { Style::default() };
        let cells = [
            Line::raw(mark.to_owned()),
            Line::styled(node.node.to_string(), name_style(node, colour)),
            Line::styled(if node.is_silent { "silent" } else { words::state(node.state) }, state_style(node, colour)),
            Line::styled(role(node), name_style(node, colour).patch(age)),
            Line::styled(number(node.term), age).right_aligned(),
            Line::styled(number(node.commit_index), age).right_aligned(),
            Line::styled(number(node.last_index), age).right_aligned(),
            Line::raw(cpu).right_aligned(),
            Line::from(strip(node, columns, colour)),
        ];
        let row = Row::new(cells);
        if is_chosen { row.style(Style::default().add_modifier(Modifier::BOLD)) } else { row }
    });
    let right = |title: &'static str| Line::raw(title).right_aligned();
    let header = [
        Line::raw(""),
        Line::raw("NODE"),
        Line::raw("STATE"),
        Line::raw("ROLE"),
        right("TERM"),
        right("COMMIT"),
        right("LOG"),
        right("CPU %"),
        Line::raw("END OF LOG"),
    ];
    let widths = WIDTHS.iter().map(|width| Constraint::Length(*width)).chain([Constraint::Min(0)]);
    Table::new(rows, widths)
        .header(Row::new(header).style(Style::default().add_modifier(Modifier::DIM)))
        .column_spacing(GAP)
        .render(area, buffer);
}

/// What a node does, or did.
fn role(node: &NodeView) -> String {
    match node.role {
        Some(role) if node.is_old => format!("was {}", role.words()),
        Some(role) => role.words().to_owned(),
        None => String::new(),
    }
}

fn name_style(node: &NodeView, colour: bool) -> Style {
    match node.role {
        Some(Role::Leader) if !node.is_old => tint(colour, Color::Green),
        Some(Role::Candidate | Role::PreCandidate | Role::LeaderWithoutQuorum) if !node.is_old => {
            tint(colour, Color::Yellow)
        }
        _ => Style::default(),
    }
}

fn state_style(node: &NodeView, colour: bool) -> Style {
    match node.state {
        NodeState::Running if node.is_silent => tint(colour, Color::Yellow),
        NodeState::Running | NodeState::Stopped => Style::default(),
        NodeState::Starting | NodeState::Paused => tint(colour, Color::Yellow),
        NodeState::Killed | NodeState::Failed => tint(colour, Color::Red),
    }
}

fn rate(state: &State, view: &View, area: Rect, buffer: &mut Buffer, colour: bool) {
    let rates = view.rates;
    let text = format!(
        "{:.0} commits/s  {:.0} calls/s  {:.0} dropped/s  {:.0} syncs/s  ",
        rates.commits, rates.calls, rates.dropped, rates.syncs
    );
    let width = (text.chars().count() as u16).min(area.width);
    let [words, line] = Layout::horizontal([Constraint::Length(width), Constraint::Min(0)]).areas(area);
    Line::raw(text).render(words, buffer);
    let skipped = state.commits.len().saturating_sub(usize::from(line.width));
    let last: Vec<u64> = state.commits.iter().skip(skipped).copied().collect();
    Sparkline::default().data(&last).style(tint(colour, Color::Cyan)).render(line, buffer);
}

/// The last line that was run, and what it said.
fn last_line(state: &State, colour: bool) -> Line<'static> {
    if state.leaves_mouse {
        return Line::raw("the mouse is the terminal's; m takes it");
    }
    let Some(line) = &state.line else { return Line::default() };
    let said = state.said.as_ref().map_or("…".to_owned(), |said| words::escaped(said));
    Line::from(vec![Span::styled(format!("$ {line}  "), tint(colour, Color::Cyan)), Span::raw(said)])
}

fn foot_keys(state: &mut State, area: Rect, buffer: &mut Buffer) {
    state.places.keys.clear();
    let mut x = area.x;
    for (key, what) in KEYS {
        let width = what.len() as u16 + 2;
        if x + width > area.right() {
            break;
        }
        let place = Rect { x, width, ..area };
        let spans = vec![
            Span::styled(key.to_string(), Style::default().add_modifier(Modifier::REVERSED)),
            Span::raw(format!(" {what}")),
        ];
        Line::from(spans).render(place, buffer);
        state.places.keys.push((place, key));
        x += width + 1;
    }
}

fn help(area: Rect, buffer: &mut Buffer) {
    let width = area.width.min(78);
    let height = area.height.min(22);
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    Clear.render(place, buffer);
    let block = Block::bordered().title(" raftianctl top: any key closes this ");
    Paragraph::new(HELP).wrap(Wrap { trim: false }).block(block).render(place, buffer);
}
