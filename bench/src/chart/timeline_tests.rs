//! The timeline on made-up data: it is the same twice, and nothing in the data breaks it.

use super::*;
use crate::chart::to_png;
use crate::load::Sample;
use crate::summary::Summary;
use crate::timeline::{Dot, FaultWindow};

fn span(from_s: f64, to_s: f64, state: LaneState, term: u64) -> Span {
    Span { from_s, to_s, state, term }
}

/// A run as the demo makes one: kill n2, pause n4, partition n5.
pub(crate) fn sample() -> TimelineData {
    use LaneState::{Candidate, Down, Follower, Leader, Paused};
    let mut random = fastrand::Rng::with_seed(3);
    let outages = [(2.0, 2.26), (14.0, 14.31)];
    let mut samples = Vec::new();
    for number in 0..(24 * 300_u64) {
        let at_s = number as f64 / 300.0;
        let ends_s = outages.iter().find(|(from, to)| (*from..*to).contains(&at_s)).map(|(_, to)| *to);
        let service_ms = 0.6 + random.f64().powi(6) * 9.0;
        let latency_ms = ends_s.map_or(service_ms, |end| (end - at_s) * 1e3 + service_ms);
        let kind = if number == 4_230 { OutcomeKind::Unknown } else { OutcomeKind::Ok };
        let ns = |ms: f64| (ms * 1e6) as u64;
        samples.push(Sample {
            intended_ns: ns(at_s * 1e3),
            sent_ns: ns(at_s * 1e3),
            completed_ns: ns(at_s * 1e3 + if kind == OutcomeKind::Ok { latency_ms } else { 2_000.0 }),
            kind,
        });
    }
    let end_ns = 24_000_000_000;
    let run = crate::timeline::Recorded { events: &[], samples: &samples, start_ns: 0, end_ns };
    let summary = Summary::of(&samples, 0, end_ns, Some(300.0));
    let provenance = "Intel Xeon 2.80 GHz, 2 cores, Linux 6.1 · seed 7 · raftian 0.1.0".to_owned();
    let mut data = TimelineData::of(&run, summary, Some(Verdict::Valid), provenance);
    let lanes = [
        vec![span(0.0, 14.2, Follower, 1), span(14.2, 14.3, Candidate, 3), span(14.3, 24.0, Leader, 3)],
        vec![span(0.0, 2.0, Leader, 1), span(2.0, 5.02, Down, 1), span(5.02, 24.0, Follower, 2)],
        vec![span(0.0, 24.0, Follower, 1)],
        vec![span(0.0, 8.0, Follower, 2), span(8.0, 11.0, Paused, 2), span(11.0, 24.0, Follower, 3)],
        vec![
            span(0.0, 2.2, Follower, 1),
            span(2.2, 2.25, Candidate, 2),
            span(2.25, 14.45, Leader, 2),
            span(14.45, 18.0, Follower, 2),
            span(18.0, 24.0, Follower, 3),
        ],
    ];
    data.lanes = (1..)
        .zip(lanes)
        .map(|(number, spans)| Lane { node: raftian_rpc::NodeId::new(number).unwrap(), spans })
        .collect();
    data.windows = [(2.0, 5.02, "kill n2"), (8.0, 11.0, "pause n4"), (14.0, 18.0, "partition n5 | rest")]
        .map(|(from_s, to_s, label)| FaultWindow { from_s, to_s, label: label.into(), seen: Vec::new() })
        .into();
    data
}

fn empty() -> TimelineData {
    let run = crate::timeline::Recorded { events: &[], samples: &[], start_ns: 5, end_ns: 5 };
    TimelineData::of(&run, Summary::of(&[], 5, 5, None), None, String::new())
}

#[test]
fn the_same_data_give_the_same_bytes() {
    let (first, second) = (timeline_svg(&sample()), timeline_svg(&sample()));
    assert!(first == second, "two drawings differ");
    assert!(to_png(&first).unwrap() == to_png(&second).unwrap(), "two renderings differ");
    if let Some(folder) = std::env::var_os("RAFTIAN_SHOW_CHARTS").map(std::path::PathBuf::from) {
        std::fs::write(folder.join("timeline.svg"), &first).unwrap();
        std::fs::write(folder.join("timeline.png"), to_png(&first).unwrap()).unwrap();
    }
}

#[test]
fn data_read_back_from_json_draw_the_same_picture() {
    let text = serde_json::to_string(&sample()).unwrap();
    let again: TimelineData = serde_json::from_str(&text).unwrap();
    assert!(timeline_svg(&again) == timeline_svg(&sample()));
}

#[test]
fn nothing_and_next_to_nothing_can_be_drawn() {
    let mut one = empty();
    one.duration_s = 0.1;
    one.dots = vec![Dot { at_s: 0.0, latency_ms: 0.0, kind: OutcomeKind::Ok }];
    one.throughput_per_s = vec![0.0];
    for data in [empty(), one] {
        let svg = timeline_svg(&data);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        to_png(&svg).unwrap();
    }
}

#[test]
fn many_overlapping_faults_get_rows_of_their_own() {
    let mut data = sample();
    data.windows = (0..6)
        .map(|k| FaultWindow {
            from_s: 20.0 + 0.1 * f64::from(k),
            to_s: 24.0,
            label: format!("latency 50 ms on {k} links"),
            seen: Vec::new(),
        })
        .collect();
    let layout = Layout::of(&data);
    let rows: BTreeSet<usize> = layout.rows.iter().flatten().map(|label| label.row).collect();
    assert_eq!(rows.len(), 6);
    assert!(layout.rows.iter().flatten().all(|label| label.x + 4.0 < RIGHT_PX));
    assert!(to_png(&timeline_svg(&data)).is_ok());
}

#[test]
fn every_text_has_the_width_it_was_measured_to_have() {
    // Measured by the renderer's own layout: a title that is not wrapped must end before the right edge.
    let font = title_font();
    let width = font.width_px("no acknowledged command lost");
    assert!((230.0..300.0).contains(&width), "{width} px");
}
