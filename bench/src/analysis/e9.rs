//! E9: what the link between the nodes does to a commit and to a click.
//!
//! Invariant: profiles are compared within blocks with the bare loopback.

use super::Part;
use super::draw::{cell, figure, panels, percentile_line, percentile_plot, table};
use super::evidence::Evidence;
use super::finding::{Figure, Hue, Line};
use super::words::{count, list, number, time_us, with_interval};
use crate::suite::trial::Arm;

const LINK: &str = "link";
const LOOPBACK: &str = "loopback";
const COMMIT: &str = "commit";
const ORDER: &str = "order";

/// The profiles as they get worse.
const PROFILES: [&str; 4] = [LOOPBACK, "lan", "wifi", "wan"];

/// Those that lose messages.
const LOSSY: [&str; 2] = ["wifi", "wan"];

/// What a loss means, so that nobody takes it for the link's doing alone.
const HELD_UP: &str = "a leader has one call in flight to each follower: where a message is lost, that follower gets \
                       nothing more until the leader gives the call up, after the shortest election time-out; commands \
                       wait for that only where no other follower makes a majority";

/// What it finds.
pub(super) fn find(evidence: &Evidence<'_>) -> Part {
    let mut part = Part { takeaway: takeaway(evidence), ..Part::default() };
    part.figures.extend(percentiles(evidence));
    let rows = links(evidence).into_iter().map(|link| {
        let of = |metric: &str| cell(evidence.estimate(&arm(link), metric), time_us);
        let ratio = evidence.ratio(&arm(LOOPBACK), &arm(link), "commit_us_p50").filter(|_| link != LOOPBACK);
        vec![
            link.to_owned(),
            of("commit_us_p50"),
            of("commit_us_p99"),
            cell(ratio, |ratio| format!("{} ×", number(ratio))),
            of("order_us_p50"),
            of("order_us_p99"),
        ]
    });
    let columns = ["link", "commit p50", "commit p99", "to loopback", "order p50", "order p99"];
    part.tables.extend(table("Latency by link: medians over trials", &columns, rows.collect()));
    if links(evidence).iter().any(|link| LOSSY.contains(link)) {
        part.caveats.push(HELD_UP.to_owned());
    }
    part
}

fn arm(link: &str) -> Arm {
    Arm::of([(LINK, link)])
}

fn links<'a>(evidence: &Evidence<'a>) -> Vec<&'a str> {
    let mut links = evidence.levels(LINK);
    links.sort_by_key(|link| PROFILES.iter().position(|known| known == link).unwrap_or(PROFILES.len()));
    links
}

fn takeaway(evidence: &Evidence<'_>) -> Option<String> {
    let found = links(evidence).into_iter().filter_map(|link| {
        let estimate = evidence.estimate(&arm(link), "commit_us_p50")?;
        Some((estimate.n, format!("{} over {link}", with_interval(&estimate, time_us))))
    });
    let (sizes, phrases): (Vec<usize>, Vec<String>) = found.unzip();
    Some(format!("Half of the commands commit within {} (n = {}).", list(&phrases), sizes.first()?))
}

/// A panel per link with both latencies.
fn percentiles(evidence: &Evidence<'_>) -> Option<Figure> {
    let lines = |link: &str| -> Vec<Line> {
        let found = [(COMMIT, "commit", Hue::Other(0)), (ORDER, "click to order", Hue::Other(1))];
        let found =
            found.into_iter().filter_map(|(name, label, hue)| percentile_line(evidence, &arm(link), name, label, hue));
        found.collect()
    };
    let links = links(evidence);
    let found = links.iter().filter_map(|link| Some(((*link).to_owned(), percentile_plot("latency", lines(link))?)));
    let median = |link: &&str| Some(time_us(evidence.estimate(&arm(link), "commit_us_p50")?.value));
    let (near, far) = (links.first()?, links.last()?);
    figure(
        "e9-links",
        panels(found.collect()),
        format!("Half of the commits take {} over {near} and {} over {far}", median(near)?, median(far)?),
        format!("all commands of {}, from when they were due", count(evidence.good.len(), "trial")),
        "Percentiles of the commit latency and of the time from a click to its order, by link profile; none with fewer \
         than ten samples beyond it.",
    )
}
