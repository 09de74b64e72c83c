//! The chart for a terminal.
//!
//! Invariant: every character is one column wide, and no line ends in blanks.

use raftian_raft::{NodeId, RoleKind};

use super::rows::{Arrow, Lane, Picture, Row};
use super::words::LEGEND;

/// How many characters a server has, and where in them its line runs.
const LANE: usize = 6;
const CENTRE: usize = 1;

const MARKS: &str = "║ leads  │ follows  ┆ campaigns  ¦ paused  (blank) down\n\
     L leads  C campaigns  F follows  v votes  ✓ applies  < discards  s snapshot  r read  ✗ crashes  ○ starts  \
     ‖ pauses  ▸ goes on  % is damaged  ! does not start  ╳ lost\n";

pub(super) fn render(picture: &Picture) -> String {
    let names = (1..=picture.servers).filter_map(|number| NodeId::new(number as u16));
    let header: String = names.map(|id| format!("{id:<LANE$}")).collect();
    let mut out = format!("{}\n\n    step         ms  {}\n", picture.heading(), header.trim_end());
    for row in &picture.rows {
        let time = format!("{}.{:03}", row.at_us / 1000, row.at_us % 1000);
        let line = format!("{:>8} {time:>10}  {} {}", row.step, lanes(row), row.text);
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.push_str(&format!("\n{MARKS}{LEGEND}\n"));
    out
}

fn lanes(row: &Row) -> String {
    let mut line = vec![' '; row.lanes.len() * LANE];
    for (at, lane) in row.lanes.iter().enumerate() {
        line[centre(at)] = character(*lane);
    }
    if let Some(arrow) = row.arrow {
        draw(&mut line, arrow);
    }
    for (at, mark) in &row.marks {
        line[centre(*at)] = mark.letter();
    }
    line.into_iter().collect()
}

fn centre(at: usize) -> usize {
    at * LANE + CENTRE
}

fn character(lane: Lane) -> char {
    match lane {
        Lane::Down => ' ',
        Lane::Paused => '¦',
        Lane::Up(RoleKind::Leader) => '║',
        Lane::Up(RoleKind::Follower) => '│',
        Lane::Up(RoleKind::PreCandidate | RoleKind::Candidate) => '┆',
    }
}

fn draw(line: &mut [char], Arrow { from, to, is_lost, .. }: Arrow) {
    let (tail, tip) = (centre(from), centre(to));
    let goes_right = tail < tip;
    for character in &mut line[tail.min(tip) + 1..tail.max(tip)] {
        *character = match *character {
            ' ' => '─',
            '║' => '╫',
            _ => '┼',
        };
    }
    line[tail] = match (line[tail], goes_right) {
        ('║', true) => '╟',
        ('║', false) => '╢',
        (_, true) => '├',
        (_, false) => '┤',
    };
    let head = if goes_right { tip - 1 } else { tip + 1 };
    line[head] = match (is_lost, goes_right) {
        (true, _) => '╳',
        (false, true) => '▶',
        (false, false) => '◀',
    };
}
