//! Every kind of plot on made-up data, friendly and nasty: the same twice, no text over another or off the page, and no
//! numbers that are none.
//!
//! With `RAFTIAN_SHOW_CHARTS=folder` the pictures are written there, to be looked at.

use super::*;
use crate::analysis::finding::{
    Axis, Column, Estimate, Figure, Group, Groups, Heat, Hue, Line, Lines, Plot, Point, Scale, Stacks, Waterfall,
};

const HOSTINGS: [(&str, Hue, f64); 5] = [
    ("baseline", Hue::Baseline, 1.0),
    ("A/A control", Hue::Baseline, 1.002),
    ("thread", Hue::Thread, 0.992),
    ("process", Hue::Process, 0.97),
    ("async", Hue::Async, 0.88),
];

fn axis(label: &str, scale: Scale) -> Axis {
    Axis { label: label.into(), scale }
}

fn estimate(value: f64, spread: f64) -> Estimate {
    Estimate { value, interval: Some((value - spread, value + spread)), n: 6 }
}

fn point(x: f64, y: f64) -> Point {
    Point { x, y, interval: None }
}

fn line(label: &str, hue: Hue, points: Vec<Point>) -> Line {
    Line { label: label.into(), hue, steps: false, marks: false, points }
}

fn figure(name: &str, plot: Plot) -> Figure {
    Figure {
        name: name.into(),
        title: "At 1000 dots a server in a thread costs 0.8 % of the frames (95 % interval 0.3…1.4 %, n = 6), in a \
                process 3.0 %, as an async task 12 %"
            .into(),
        subtitle:
            "Frames per second; a dot per trial, the bar its median, the whisker the exact 96.9 % interval; n = 6"
                .into(),
        caption: "What a paper would print below.".into(),
        plot,
    }
}

fn lines(x: Axis, y: Axis, lines: Vec<Line>) -> Lines {
    Lines { x, y, lines, references: vec![], spans: vec![] }
}

fn time_series() -> Plot {
    let mut random = fastrand::Rng::with_seed(1);
    let arms = HOSTINGS.iter().map(|(label, hue, factor)| {
        let mut fps = |k: u32| 2900.0 * factor * (1.0 - 0.3 / f64::from(k + 1)) + random.f64() * 60.0;
        line(label, *hue, (0..300).map(|k| point(f64::from(k), fps(k))).collect())
    });
    let references = [("paper: baseline 286", 286.0, Hue::Baseline), ("paper: threading 158", 158.0, Hue::Thread)];
    Plot::Lines(Lines {
        references: references
            .into_iter()
            .chain([("paper: multiprocessing 154", 154.0, Hue::Process)])
            .map(|(label, value, hue)| (value, label.into(), hue))
            .collect(),
        spans: vec![(0.0, 5.0, "warm-up, not counted".into()), (6.0, 6.2, "second".into())],
        ..lines(axis("seconds", Scale::Linear), axis("frames per second", Scale::FromZero), arms.collect())
    })
}

fn percentiles() -> Plot {
    let ps = [0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99];
    let arms = HOSTINGS.iter().enumerate().map(|(place, (label, hue, _))| {
        let at = |p: f64| 180.0 * (place as f64 * 0.1 + 1.0) * (1.0 - p / 100.0_f64).max(1e-5).powf(-0.45);
        line(label, *hue, ps.iter().map(|p| point(*p, at(*p))).collect())
    });
    Plot::Lines(lines(
        axis("percentile", Scale::Percentile),
        axis("input → order, microseconds (log scale)", Scale::Log),
        arms.collect(),
    ))
}

fn sweep() -> Plot {
    let arms = HOSTINGS.iter().map(|(label, hue, factor)| Line {
        marks: true,
        ..line(
            label,
            *hue,
            [10.0, 100.0, 1e3, 1e4, 1e5]
                .map(|dots: f64| {
                    let fps = 3e6 / (dots + 300.0) * factor;
                    Point { x: dots, y: fps, interval: Some((fps * 0.93, fps * 1.08)) }
                })
                .into(),
        )
    });
    Plot::Lines(lines(
        axis("dots (log scale)", Scale::Log),
        axis("frames per second (log scale)", Scale::Log),
        arms.collect(),
    ))
}

fn ecdf() -> Plot {
    let mut random = fastrand::Rng::with_seed(2);
    let arms =
        ["kill, 150–300 ms", "pause, 150–300 ms", "partition, 150–300 ms"].iter().enumerate().map(|(k, label)| {
            let mut times: Vec<f64> = (0..30).map(|_| 150.0 + 20.0 * k as f64 + random.f64() * 150.0).collect();
            times.sort_by(f64::total_cmp);
            let points = times.iter().enumerate().map(|(n, time)| point(*time, (n + 1) as f64 / 30.0)).collect();
            Line { steps: true, ..line(label, Hue::Other(k as u8), points) }
        });
    let analytic = (0..=60).map(|k| {
        let x = 150.0 + 2.5 * f64::from(k);
        point(x, 1.0 - (1.0 - (x - 150.0) / 150.0).powi(4))
    });
    let all = arms.chain([line("first of four time-outs (analytic)", Hue::Reference, analytic.collect())]);
    Plot::Lines(lines(
        axis("milliseconds until the next leader", Scale::Linear),
        axis("share of elections", Scale::FromZero),
        all.collect(),
    ))
}

fn groups_of(dots: &[&str], base: f64) -> Groups {
    let mut random = fastrand::Rng::with_seed(3);
    let group = |(place, dots): (usize, &&str)| {
        let columns = HOSTINGS.iter().map(|(label, hue, factor)| {
            let value = base * factor / (1.0 + place as f64);
            Column {
                label: (*label).into(),
                hue: *hue,
                dots: (0..6).map(|_| value * (0.97 + 0.06 * random.f64())).collect(),
                estimate: estimate(value, value * 0.025),
                reference: matches!(hue, Hue::Thread | Hue::Process).then_some(value * 0.5),
            }
        });
        Group { label: format!("{dots} dots"), columns: columns.collect() }
    };
    Groups {
        y: axis("frames per second", Scale::FromZero),
        groups: dots.iter().enumerate().map(group).collect(),
        references: vec![],
    }
}

fn heat() -> Plot {
    let columns = ["0.5 ms", "1 ms", "3 ms", "10 ms", "30 ms", "100 ms"];
    let rows = ["thread, 1 core", "thread, 2 cores", "process, 1 core", "process, 2 cores", "async, 1 core"];
    let value = |row: usize, column: usize| 1.01 - 0.05 * row as f64 / (column as f64 + 1.0);
    let mut cells: Vec<Vec<Option<f64>>> =
        (0..rows.len()).map(|row| (0..columns.len()).map(|column| Some(value(row, column))).collect()).collect();
    cells[2][3] = None;
    Plot::Heat(Heat {
        row_label: "hosting".into(),
        column_label: "heartbeat interval".into(),
        rows: rows.map(Into::into).into(),
        columns: columns.map(Into::into).into(),
        cells,
        neutral: 1.0,
        value_label: "frames per second as a ratio to the baseline (1 = no cost)".into(),
    })
}

fn stacks() -> Plot {
    let bars = ["baseline", "thread", "process", "async", "3 nodes as processes", "3 nodes as tasks"];
    Plot::Stacks(Stacks {
        y: axis("CPU seconds per 1000 commits", Scale::FromZero),
        parts: ["game", "server", "storage", "load"].map(Into::into).into(),
        bars: bars
            .iter()
            .enumerate()
            .map(|(place, label)| ((*label).into(), vec![1.2, 0.3 * place as f64, 0.02, 0.4 + 0.05 * place as f64]))
            .collect(),
    })
}

fn waterfall() -> Plot {
    let levels = [
        ("no server", 2900.0),
        ("server in a thread", 2860.0),
        ("one global lock", 1400.0),
        ("XML-RPC framing", 1320.0),
        ("lock and framing", 1210.0),
    ];
    Plot::Waterfall(Waterfall {
        y: axis("frames per second", Scale::FromZero),
        levels: levels.map(|(label, value)| (label.into(), estimate(value, 45.0))).into(),
    })
}

fn profiles() -> Plot {
    let panels = ["loopback", "LAN", "Wi-Fi (jitter and loss)", "WAN"].iter().enumerate().map(|(place, title)| {
        let Plot::Lines(mut lines) = percentiles() else { unreachable!("percentiles are lines") };
        for point in lines.lines.iter_mut().flat_map(|line| &mut line.points) {
            point.y *= 4.0_f64.powi(place as i32);
        }
        ((*title).to_owned(), Plot::Lines(lines))
    });
    Plot::Panels { panels: panels.collect() }
}

/// What a thesis would show.
fn gallery() -> Vec<Figure> {
    let mut many = groups_of(&["10", "100", "1000", "10,000", "100,000"], 9000.0);
    many.references = vec![(286.0, "paper: 286".into(), Hue::Reference), (300.0, "paper: 300".into(), Hue::Reference)];
    let panels = [("capped at 1000", 900.0), ("uncapped", 2900.0)];
    let small = panels.map(|(title, base)| (title.into(), Plot::Groups(groups_of(&["100", "1000"], base))));
    vec![
        figure("time-series", time_series()),
        figure("percentiles", percentiles()),
        figure("sweep", sweep()),
        figure("ecdf", ecdf()),
        figure("groups", Plot::Groups(groups_of(&["100", "1000"], 2900.0))),
        figure("groups-many", Plot::Groups(many)),
        figure("heat", heat()),
        figure("stacks", stacks()),
        figure("waterfall", waterfall()),
        figure("panels", profiles()),
        figure("panels-groups", Plot::Panels { panels: small.into() }),
    ]
}

/// What data can be at their worst.
fn nasty() -> Vec<Figure> {
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -5.0, 1e300, -1e300, f64::MAX, 5e-324, 3.0, 3.0];
    let long =
        "a label & a <tag> with \"quotes\" that goes on and on, andonewordthatistoolongforanycolumnofanypaperever";
    let scales = [Scale::FromZero, Scale::Linear, Scale::Log, Scale::Percentile];
    let series: [&[f64]; 6] = [&[], &[f64::NAN], &[7.0], &[7.0, 7.0, 7.0], &bad, &[0.0, 0.0]];
    let mut figures = Vec::new();
    for (a, values) in series.iter().enumerate() {
        for (b, scale) in scales.iter().enumerate() {
            let points =
                values.iter().zip(values.iter().rev()).map(|(x, y)| Point { x: *x, y: *y, interval: Some((*x, *y)) });
            let both = [(false, true), (true, false)].map(|(steps, marks)| Line {
                steps,
                marks,
                ..line(long, Hue::Other(9), points.clone().collect())
            });
            let data = Lines {
                references: values.iter().map(|value| (*value, long.into(), Hue::Reference)).take(2).collect(),
                spans: values.iter().map(|value| (*value, -value, long.into())).take(2).collect(),
                ..lines(axis(long, *scale), axis(long, *scale), both.into())
            };
            figures.push(figure(&format!("nasty-lines-{a}-{b}"), Plot::Lines(data)));
            let column = |value: &f64| Column {
                label: long.into(),
                hue: Hue::Async,
                dots: values.to_vec(),
                estimate: Estimate { value: *value, interval: Some((-value, *value)), n: 1 },
                reference: Some(*value),
            };
            let group = Group { label: long.into(), columns: values.iter().map(column).collect() };
            let empty = Group { label: "empty".into(), columns: vec![] };
            let groups = Groups { y: axis(long, *scale), groups: vec![group, empty], references: vec![] };
            figures.push(figure(&format!("nasty-groups-{a}-{b}"), Plot::Groups(groups)));
            let levels = values.iter().map(|value| (long.to_owned(), estimate(*value, 1.0))).collect();
            let waterfall = Waterfall { y: axis("y", *scale), levels };
            figures.push(figure(&format!("nasty-waterfall-{a}-{b}"), Plot::Waterfall(waterfall)));
            let bars = vec![(long.to_owned(), values.to_vec()), ("none".into(), vec![])];
            let stacks = Stacks { y: axis("y", *scale), parts: numbered(values), bars };
            figures.push(figure(&format!("nasty-stacks-{a}-{b}"), Plot::Stacks(stacks)));
        }
        let heat = Heat {
            row_label: long.into(),
            column_label: long.into(),
            rows: vec![long.into(), "b".into()],
            columns: numbered(values),
            // A row is missing altogether.
            cells: vec![values.iter().copied().map(Some).collect()],
            neutral: 1.0,
            value_label: long.into(),
        };
        figures.push(figure(&format!("nasty-heat-{a}"), Plot::Heat(heat)));
    }
    let nested = Plot::Panels { panels: vec![("inner".into(), ecdf()), ("empty".into(), figures[0].plot.clone())] };
    let panels = vec![("outer".into(), nested), ("heat".into(), heat()), ("bars".into(), stacks())];
    figures.push(figure("nasty-panels", Plot::Panels { panels }));
    figures.push(figure("nasty-no-panels", Plot::Panels { panels: vec![] }));
    figures
}

fn numbered(values: &[f64]) -> Vec<String> {
    (1..=values.len()).map(|number| format!("number {number}")).collect()
}

/// A text on a page: what it says and its box.
#[derive(Debug)]
struct Text {
    words: String,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// The texts of an SVG, in pixels. Texts stand on their base line, which the back end gives relative to `y`.
fn texts(svg: &str) -> Vec<Text> {
    let elements = svg.split("<text ").skip(1).map(|part| part.split_once("</text>").expect("a text ends").0);
    elements
        .map(|element| {
            let (tag, words) = element.split_once('>').expect("a tag ends");
            let attribute = |name: &str| {
                let from = tag.find(&format!("{name}=\"")).unwrap_or_else(|| panic!("{name} in {tag}"));
                tag[from + name.len() + 2..].split('"').next().expect("a value ends").to_owned()
            };
            let number = |name: &str| -> f64 { attribute(name).parse().unwrap_or_else(|_| panic!("{name} in {tag}")) };
            let (x, width) = (number("x") / 10.0, number("textLength") / 10.0);
            let left = match attribute("text-anchor").as_str() {
                "start" => x,
                "middle" => x - width / 2.0,
                _ => x - width,
            };
            let (size, raised) = (number("font-size") / 10.0, attribute("dy"));
            let dy: f64 = raised.trim_end_matches("em").parse().unwrap_or_else(|_| panic!("dy in {tag}"));
            let base = number("y") / 10.0 + dy * size;
            let words = words.trim().to_owned();
            Text { words, left, right: left + width, top: base - 0.72 * size, bottom: base }
        })
        .collect()
}

/// Whether every text is on its page and over no other.
pub(crate) fn check(name: &str, svg: &str, width_px: f64) {
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    let texts = texts(svg);
    assert!(!texts.is_empty(), "{name} says nothing");
    for (number, text) in texts.iter().enumerate() {
        assert!(
            text.left >= 0.0 && text.right <= width_px + 0.05,
            "{name}: `{}` leaves the page: {text:?}",
            text.words
        );
        for other in &texts[..number] {
            let apart = text.left >= other.right - 0.5
                || other.left >= text.right - 0.5
                || text.top >= other.bottom - 0.5
                || other.top >= text.bottom - 0.5;
            assert!(apart, "{name}: `{}` lies over `{}`: {text:?}, {other:?}", text.words, other.words);
        }
    }
}

const PROVENANCE: &str = "Intel Xeon 2.80 GHz, 2 cores, linux 6.1 · ext4 · raftian 0.1.0 · revision 0f60a3e · seed 7";

#[test]
fn the_gallery_has_no_text_over_another_and_is_the_same_twice() {
    for figure in gallery() {
        for (width, px) in [(Width::Page, 860.0), (Width::Column, 380.0)] {
            let svg = figure_svg(&figure, PROVENANCE, width);
            if let Some(folder) = std::env::var_os("RAFTIAN_SHOW_CHARTS").map(std::path::PathBuf::from) {
                let stem = format!("{}-{px}", figure.name);
                std::fs::write(folder.join(format!("{stem}.svg")), &svg).unwrap();
                std::fs::write(folder.join(format!("{stem}.png")), to_png(&svg).unwrap()).unwrap();
            }
            check(&figure.name, &svg, px);
            assert!(svg == figure_svg(&figure, PROVENANCE, width), "{}: two drawings differ", figure.name);
        }
    }
}

#[test]
fn nasty_data_are_drawn_without_a_text_over_another() {
    for figure in nasty() {
        for (width, px) in [(Width::Page, 860.0), (Width::Column, 380.0)] {
            check(&figure.name, &figure_svg(&figure, "x & y", width), px);
        }
    }
}

#[test]
fn nothing_measured_is_said() {
    for figure in nasty().iter().filter(|figure| figure.name.contains("-0-") || figure.name.contains("-1-")) {
        assert!(figure_svg(figure, "", Width::Page).contains("nothing was measured"), "{}", figure.name);
    }
}

#[test]
fn a_million_points_are_a_small_picture() {
    let points = (0..1_000_000_u64).map(|k| point(k as f64, (k * 7919 % 1000) as f64));
    let data = lines(
        axis("x", Scale::Linear),
        axis("y", Scale::FromZero),
        vec![line("many", Hue::Baseline, points.collect())],
    );
    let svg = figure_svg(&figure("many", Plot::Lines(data)), "", Width::Page);
    assert!(svg.len() < 200_000, "{} bytes", svg.len());
}
