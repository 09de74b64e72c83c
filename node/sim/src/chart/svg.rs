//! The chart as SVG: arrows run from when a message was sent to when it arrived.
//!
//! Invariants: no font is embedded and none but the generic families is named; the paper is part of the drawing, white
//! or, where the reader prefers it, dark; every text is escaped.
//!
//! Deliberately absent: the charts of measurements, which belong to the experiments.

use std::fmt::Write as _;

use raftian_raft::RoleKind;

use super::rows::{Arrow, Lane, Mark, Picture, Row};
use super::words::LEGEND;

/// Where the first server stands, and how far apart they are.
const LEFT_PX: usize = 150;
const LANE_PX: usize = 76;
/// The height of a row, and where the first one is.
const ROW_PX: usize = 22;
const TOP_PX: usize = 78;
/// A character of text is about as wide, a bold one included; text is given this much room at least.
const CHARACTER_PX: f64 = 7.0;
const LEAST_TEXT_PX: usize = 320;
/// How far an arrow stays away from the lines it connects.
const GAP_PX: f64 = 9.0;

const STYLE: &str = "\
.paper{fill:#fff}.ink{fill:#222}.note{fill:#4d4d4d}.bad{fill:#b34700;font-weight:bold}
.line{stroke:#9a9a9a;stroke-width:1.2}.leads{stroke:#0072b2;stroke-width:4}.campaigns{stroke:#b87400;stroke-width:2;stroke-dasharray:3 3}
.paused{stroke:#9a9a9a;stroke-width:1.2;stroke-dasharray:1 4}.arrow{stroke:#333;stroke-width:1.1;fill:none}.tip{fill:#333}
.lost{stroke:#d55e00;stroke-width:1.4;fill:none}.mark{fill:#fff;stroke:#333;stroke-width:1}.L{fill:#0072b2;stroke:#0072b2}
.X{fill:#d55e00;stroke:#d55e00}.light{fill:#fff}
@media (prefers-color-scheme: dark){.paper{fill:#16191d}.ink{fill:#e6e6e6}.note{fill:#a8adb3}.bad{fill:#ff9a52}
.line,.paused{stroke:#6b7178}.leads{stroke:#58b0e3}.campaigns{stroke:#e6a93c}.arrow{stroke:#c4c9cf}.tip{fill:#c4c9cf}
.lost{stroke:#ff9a52}.mark{fill:#16191d;stroke:#c4c9cf}.L{fill:#0072b2;stroke:#58b0e3}.X{fill:#b34700;stroke:#ff9a52}}";

pub(super) fn render(picture: &Picture) -> String {
    let widest = picture.rows.iter().map(|row| row.text.chars().count()).max().unwrap_or(0);
    let text_px = LEAST_TEXT_PX.max((widest as f64 * CHARACTER_PX) as usize);
    let width = text_x(picture.servers) + text_px + 16;
    let height = TOP_PX + picture.rows.len() * ROW_PX + 44;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n",
        escaped(&picture.heading())
    );
    write_text(&mut out, 16.0, 26.0, "note", "", &picture.heading());
    write_text(&mut out, 60.0, 56.0, "note", END, "step");
    write_text(&mut out, 128.0, 56.0, "note", END, "ms");
    for at in 0..picture.servers {
        write_text(&mut out, x(at), 56.0, "ink", BOLD, &format!("n{}", at + 1));
        lane(&mut out, at, &picture.rows);
    }
    for (number, row) in picture.rows.iter().enumerate() {
        draw_row(&mut out, picture, number, row);
    }
    let legend = format!("thick: leads; dashed: campaigns; no line: down. {LEGEND}.");
    write_text(&mut out, 16.0, (height - 14) as f64, "note", "", &legend);
    out.push_str("</svg>\n");
    out
}

const END: &str = " text-anchor=\"end\"";
const MIDDLE: &str = " text-anchor=\"middle\"";
const BOLD: &str = " text-anchor=\"middle\" font-weight=\"bold\"";

fn x(at: usize) -> f64 {
    (LEFT_PX + at * LANE_PX + LANE_PX / 2) as f64
}

fn y(row: usize) -> f64 {
    (TOP_PX + row * ROW_PX) as f64
}

fn text_x(servers: usize) -> usize {
    LEFT_PX + servers * LANE_PX + 14
}

/// The line of a server, a piece for each state it was in. A piece begins where the state did.
fn lane(out: &mut String, at: usize, rows: &[Row]) {
    let half = ROW_PX as f64 / 2.0;
    let mut number = 0;
    for run in rows.chunk_by(|a, b| a.lanes[at] == b.lanes[at]) {
        let first = if number == 0 { y(0) - half } else { y(number) };
        number += run.len();
        let last = if number == rows.len() { y(number - 1) + half } else { y(number) };
        let class = match run[0].lanes[at] {
            Lane::Down => continue,
            Lane::Paused => "paused",
            Lane::Up(RoleKind::Leader) => "leads",
            Lane::Up(RoleKind::Follower) => "line",
            Lane::Up(RoleKind::PreCandidate | RoleKind::Candidate) => "campaigns",
        };
        let x = x(at);
        let _ = writeln!(out, "<line class=\"{class}\" x1=\"{x}\" y1=\"{first}\" x2=\"{x}\" y2=\"{last}\"/>");
    }
}

fn draw_row(out: &mut String, picture: &Picture, number: usize, row: &Row) {
    let baseline = y(number) + 4.0;
    let is_first_of_step = number == 0 || picture.rows[number - 1].step != row.step;
    if is_first_of_step {
        write_text(out, 60.0, baseline, "note", END, &row.step.to_string());
        let time = format!("{}.{:03}", row.at_us / 1000, row.at_us % 1000);
        write_text(out, 128.0, baseline, "note", END, &time);
    }
    if let Some(arrow) = row.arrow {
        draw_arrow(out, picture, number, arrow);
    }
    for (at, mark) in &row.marks {
        draw_mark(out, x(*at), y(number), *mark);
    }
    let class = if row.is_broken { "bad" } else { "ink" };
    write_text(out, text_x(picture.servers) as f64, baseline, class, "", &row.text);
}

/// From the row in which it was sent, or the first one after that, to the row in which it arrived.
fn draw_arrow(out: &mut String, picture: &Picture, number: usize, arrow: Arrow) {
    let sent = picture.rows.partition_point(|row| row.step < arrow.sent).min(number);
    let (mut from, mut to) = ((x(arrow.from), y(sent)), (x(arrow.to), y(number)));
    let length = (to.0 - from.0).hypot(to.1 - from.1);
    let (along_x, along_y) = ((to.0 - from.0) / length, (to.1 - from.1) / length);
    from = (from.0 + along_x * GAP_PX, from.1 + along_y * GAP_PX);
    if arrow.is_lost {
        // It ends a little before the server that waits for it.
        let end = to.0 - along_x * 2.0 * GAP_PX;
        let (left, right, top, bottom) = (end - 4.0, end + 4.0, to.1 - 4.0, to.1 + 4.0);
        let _ = writeln!(
            out,
            "<path class=\"lost\" d=\"M{:.1} {:.1}H{end:.1}M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{left:.1} \
             {bottom:.1}L{right:.1} {top:.1}\"/>",
            from.0, to.1
        );
        return;
    }
    to = (to.0 - along_x * GAP_PX, to.1 - along_y * GAP_PX);
    let (back_x, back_y) = (to.0 - along_x * 8.0, to.1 - along_y * 8.0);
    let (side_x, side_y) = (-along_y * 3.5, along_x * 3.5);
    let _ = writeln!(
        out,
        "<path class=\"arrow\" d=\"M{:.1} {:.1}L{back_x:.1} {back_y:.1}\"/><path class=\"tip\" d=\"M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z\"/>",
        from.0,
        from.1,
        to.0,
        to.1,
        back_x + side_x,
        back_y + side_y,
        back_x - side_x,
        back_y - side_y
    );
}

fn draw_mark(out: &mut String, x: f64, y: f64, mark: Mark) {
    let (class, ink) = match mark {
        Mark::Leads => ("mark L", "light"),
        Mark::Crashed | Mark::Refuses => ("mark X", "light"),
        _ => ("mark", "ink"),
    };
    let _ = writeln!(out, "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"7.5\"/>");
    if mark != Mark::Started {
        let _ = writeln!(
            out,
            "<text class=\"{ink}\" x=\"{x}\" y=\"{}\" font-size=\"10\"{MIDDLE}>{}</text>",
            y + 3.5,
            escaped(&mark.letter().to_string())
        );
    }
}

fn write_text(out: &mut String, x: f64, y: f64, class: &str, more: &str, text: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{more}>{}</text>", escaped(text));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
