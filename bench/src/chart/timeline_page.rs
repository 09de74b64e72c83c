//! The timeline as one HTML file that can be zoomed and asked: data and script are in it, and nothing is loaded.
//!
//! Invariants: no text of the data is taken for markup or for script; however much there was, the page is of a few
//! megabytes at most, since operations that are close to each other are one point.

use plotters::style::RGBColor;
use serde_json::{Value, json};

use super::canvas::color;
use super::timeline::{counts, takeaway};
use crate::timeline::{Candidacy, Election, FaultWindow, Lane, LaneState, MarkKind, TimelineData, points};

const PAGE: &str = include_str!("page/timeline.html");
const SCRIPT: &str = include_str!("page/timeline.js");

/// The most stretches of all lanes; beyond that the shortest go.
const MOST_SPANS: usize = 20_000;

/// The page.
pub fn timeline_html(data: &TimelineData) -> String {
    // Within a script, nothing but `<` could end it.
    let json = value(data).to_string().replace('<', "\\u003c");
    let parts = [
        ("title", escaped(&takeaway(data))),
        ("subtitle", escaped(&counts(data))),
        ("legend", legend()),
        ("footer", escaped(&data.provenance)),
        ("data", json),
        ("script", SCRIPT.to_owned()),
    ];
    let mut page = String::new();
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        page.extend(parts.iter().find(|(part, _)| *part == name).map(|(_, text)| text.as_str()));
        rest = after;
    }
    page + rest
}

/// What the colours of the lanes mean.
fn legend() -> String {
    let colours = [
        (color::BLUE, "leads"),
        (color::ORANGE, "stands for election"),
        (color::PALE_BLUE, "follows"),
        (color::PINK, "is paused"),
    ];
    let key = |(RGBColor(red, green, blue), text)| {
        format!("<span class=\"key\" style=\"background:rgb({red},{green},{blue})\"></span>{text}")
    };
    colours.map(key).concat() + "<span class=\"key\"></span>a line: is down"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What the script draws.
fn value(data: &TimelineData) -> Value {
    let shortest_s = shortest(data);
    let lane_of = |node| data.lanes.iter().position(|lane| lane.node == node).map_or(json!(-1), |place| json!(place));
    let points = points(&data.dots, data.duration_s);
    json!({
        "axis": "seconds since the start",
        "duration": round(data.duration_s),
        "lanes": data.lanes.iter().map(|lane| lane_value(lane, shortest_s)).collect::<Vec<_>>(),
        "windows": data.windows.iter().map(|w| json!([round(w.from_s), round(w.to_s), told(w)])).collect::<Vec<_>>(),
        "bin": round(data.bin_s),
        "rates": data.throughput_per_s.iter().map(|rate| rate.round()).collect::<Vec<_>>(),
        "points": points
            .iter()
            .map(|p| json!([round(p.at_s), round(p.latency_ms), p.kind as u8, p.count]))
            .collect::<Vec<_>>(),
        "marks": data
            .marks
            .iter()
            .map(|mark| json!([round(mark.at_s), lane_of(mark.node), kind(mark.kind), mark.text]))
            .collect::<Vec<_>>(),
        "elections": data.elections.iter().map(election).collect::<Vec<_>>(),
    })
}

/// What a fault was, and what was measured of it.
fn told(window: &FaultWindow) -> String {
    [window.label.as_str()].into_iter().chain(window.seen.iter().map(String::as_str)).collect::<Vec<_>>().join(" · ")
}

fn lane_value(lane: &Lane, shortest_s: f64) -> Value {
    let mut spans: Vec<(f64, f64, u8, u64)> = Vec::new();
    for span in &lane.spans {
        match spans.last_mut() {
            // What is left out looks like what came before it.
            Some(last) if span.to_s - span.from_s < shortest_s && span.state != LaneState::Leader => last.1 = span.to_s,
            _ => spans.push((span.from_s, span.to_s, state(span.state), span.term)),
        }
    }
    let spans = spans.iter().map(|(from, to, state, term)| json!([round(*from), round(*to), state, term]));
    json!([lane.node.to_string(), spans.collect::<Vec<_>>()])
}

/// The shortest stretch that is shown: any, unless there are too many.
fn shortest(data: &TimelineData) -> f64 {
    let mut lengths: Vec<f64> =
        data.lanes.iter().flat_map(|lane| &lane.spans).map(|span| span.to_s - span.from_s).collect();
    lengths.sort_unstable_by(|one, other| other.total_cmp(one));
    lengths.get(MOST_SPANS).copied().unwrap_or(0.0)
}

fn state(state: LaneState) -> u8 {
    match state {
        LaneState::Down => 0,
        LaneState::Paused => 1,
        LaneState::Follower => 2,
        LaneState::Candidate => 3,
        LaneState::Leader => 4,
    }
}

fn kind(kind: MarkKind) -> u8 {
    match kind {
        MarkKind::Vote => 0,
        MarkKind::Other => 1,
        MarkKind::Conflict => 2,
        MarkKind::Broken => 3,
    }
}

fn election(election: &Election) -> Value {
    let candidates: Vec<String> = election.candidates.iter().map(candidacy).collect();
    let without: Vec<String> = election
        .without_vote
        .iter()
        .map(|(node, why)| if why.is_empty() { node.to_string() } else { format!("{node} ({why})") })
        .collect();
    json!({ "at": round(election.at_s), "term": election.term, "candidates": candidates, "without": without.join(", ") })
}

fn candidacy(candidacy: &Candidacy) -> String {
    let voters: Vec<String> = candidacy.voters.iter().map(ToString::to_string).collect();
    let end = match candidacy.won_after_ms {
        Some(ms) => format!("leads after {ms:.1} ms"),
        None => "did not win".to_owned(),
    };
    format!("{}: {} ({end})", candidacy.node, voters.join(", "))
}

/// A tenth of a millisecond is less than anybody sees.
fn round(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::timeline::tests::sample;
    use crate::timeline::{Dot, Mark};

    #[test]
    fn the_page_is_whole_and_takes_no_text_for_markup() {
        let mut data = sample();
        let evil = "</script><script>alert(1)</script>";
        data.windows.push(FaultWindow { from_s: 1.0, to_s: 2.0, label: evil.to_owned(), seen: Vec::new() });
        data.provenance = evil.to_owned();
        let node = data.lanes[0].node;
        data.marks.push(Mark { at_s: 1.0, node, kind: MarkKind::Vote, text: evil.to_owned() });
        let page = timeline_html(&data);
        assert_eq!(page.matches("<script").count(), 2, "the data, and ours");
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("{{") && page.ends_with("</html>\n"));
        let (_, json) = page.split_once("id=\"data\">").unwrap();
        let value: Value = serde_json::from_str(json.split_once("</script>").unwrap().0).unwrap();
        assert_eq!(value["windows"].as_array().unwrap().last().unwrap()[2], evil);
        assert_eq!(value["lanes"].as_array().unwrap().len(), data.lanes.len());
        assert!(!page.contains("http://") && !page.contains("https://"), "nothing is loaded");
    }

    #[test]
    fn a_hundred_thousand_operations_and_three_hundred_faults_make_a_page_of_less_than_five_megabytes() {
        let mut data = sample();
        let mut random = fastrand::Rng::with_seed(7);
        data.duration_s = 600.0;
        let dot = |_| Dot {
            at_s: random.f64() * 600.0,
            latency_ms: 10_f64.powf(random.f64() * 4.0 - 1.0),
            kind: crate::load::OutcomeKind::Ok,
        };
        data.dots = (0..100_000).map(dot).collect();
        let window = |at: u32| FaultWindow {
            from_s: f64::from(at) * 2.0,
            to_s: f64::from(at) * 2.0 + 1.5,
            label: format!("partition n{at} | n1,n2,n3,n4"),
            seen: Vec::new(),
        };
        data.windows = (0..300).map(window).collect();
        let page = timeline_html(&data);
        assert!(page.len() < 5_000_000, "{}", page.len());
    }
}
