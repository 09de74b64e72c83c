//! The settings of a scenario as text, both ways: what a cluster is before anything happens.
//!
//! Invariant: what is written reads back as the same plan; what is not written is as in [`Plan::quiet`].

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::time::Duration;

use raftian_apps::AppKind;
use raftian_faults::Effect;
use raftian_raft::{Lease, NodeId};

use crate::Scenario;
use crate::load::{Load, MAX_LOAD_PER_S};
use crate::plan::{Crashes, LinkEffect, MAX_NODES, Plan};
use crate::words::{Micros, Unreadable, Words};

/// The words that a setting begins with.
pub(crate) const WORDS: [&str; 40] = [
    "title",
    "source",
    "see",
    "differs",
    "servers",
    "joiners",
    "seed",
    "mutant",
    "app",
    "election",
    "heartbeat",
    "pre_vote",
    "check_quorum",
    "lease",
    "batch",
    "append_bytes",
    "committed_batch",
    "uncommitted_bytes",
    "disk_patience",
    "chunk",
    "sessions",
    "compact_above",
    "snapshot_every",
    "keep",
    "links",
    "disks",
    "segments",
    "crashes",
    "turns",
    "jobs",
    "news",
    "call_timeout",
    "forwarding",
    "clocks",
    "clients",
    "load",
    "stubborn",
    "patience",
    "attempts",
    "loss",
];

/// Those that are for people, and may stand before all else.
pub(crate) const PROSE: [&str; 4] = ["title", "source", "see", "differs"];

/// What can be said of all links, again and again.
pub(crate) const EFFECTS: [&str; 4] = ["drop", "latency", "duplicate", "reorder"];

/// The most clients there can be.
const MAX_CLIENTS: usize = 1_000;

/// Whether a line is a setting of all servers. What `app` says of one server is an action.
pub(crate) fn is_setting(words: &Words<'_>) -> bool {
    let of_server = || words.peek_second().is_some_and(|word| word.parse::<NodeId>().is_ok());
    words.peek().is_some_and(|word| WORDS.contains(&word) && (word != "app" || !of_server()))
}

fn app(words: &mut Words<'_>) -> Result<AppKind, Unreadable> {
    let names = AppKind::ALL.map(AppKind::name);
    words.one_of(&names).map(|name| AppKind::ALL.into_iter().find(|app| app.name() == name).unwrap_or_default())
}

/// Reads a setting into a scenario that has no steps yet. `servers` has come before, unless this is it.
pub(crate) fn read(word: &str, words: &mut Words<'_>, scenario: &mut Scenario) -> Result<(), Unreadable> {
    let plan = &mut scenario.plan;
    match word {
        "title" => scenario.title = prose(words)?,
        "source" => scenario.source = prose(words)?,
        "see" => scenario.see = prose(words)?,
        "differs" => scenario.differs = prose(words)?,
        "seed" => scenario.seed = words.number("a seed")?,
        "mutant" => scenario.mutant = Some(words.take("the name of a planted bug")?.text.to_owned()),
        "servers" => plan.founders = count(words, 1, MAX_NODES - usize::from(plan.joiners))?,
        "joiners" => plan.joiners = count(words, 0, MAX_NODES - usize::from(plan.founders))?,
        "app" => plan.app = app(words)?,
        "election" => plan.election_timeout = election(words)?,
        "heartbeat" => plan.heartbeat_interval = Duration::from_micros(positive(words)?),
        "pre_vote" => plan.pre_vote = words.switch()?,
        "check_quorum" => plan.check_quorum = words.switch()?,
        "lease" => plan.lease = Some(Lease { drift_percent: percent(words)? }),
        "batch" => plan.max_append_entries = words.positive("a number of entries")?,
        "append_bytes" => plan.max_append_bytes = words.positive("a number of bytes")?,
        "committed_batch" => plan.max_committed_per_ready = words.positive("a number of entries")?,
        "uncommitted_bytes" => plan.max_uncommitted_bytes = words.positive("a number of bytes")?,
        "disk_patience" => plan.disk_patience = Duration::from_micros(positive(words)?),
        "chunk" => plan.max_snapshot_chunk_bytes = words.positive("a number of bytes")?,
        "sessions" => plan.limits.max_sessions = words.positive("a number of sessions")?,
        "compact_above" => plan.limits.compact_above_bytes = words.number("a number of bytes")?,
        "snapshot_every" => plan.snapshot_every = Some(words.positive("a number of entries")?),
        "keep" => plan.keep = words.number("a number of entries")?,
        "links" => match words.peek().is_some_and(|word| word.starts_with('n')) {
            true => plan.link_effects.push(link_effect(words)?),
            false => plan.effects.push(effect(words)?),
        },
        "disks" => plan.sync_us = sync(words)?,
        "segments" => plan.segment_bytes = segment_bytes(words)?,
        "crashes" => plan.crashes = crashes(words)?,
        "turns" => plan.turn_us = words.time_us()?,
        "jobs" => plan.job_us = words.time_us()?,
        "news" => plan.news_us = words.time_us()?,
        "call_timeout" => plan.call_timeout = words.switch()?,
        "forwarding" => plan.forwarding = words.switch()?,
        "clocks" => plan.clock_permille = clocks(words)?,
        "clients" => {
            plan.clients = words.number("a number of clients")?;
            if plan.clients > MAX_CLIENTS {
                return Err(words.refuse(format!("there are at most {MAX_CLIENTS} clients")));
            }
        }
        "load" => plan.load = Some(load(words)?),
        "stubborn" => plan.stubborn_clients = words.number("a number of clients")?,
        "patience" => plan.client_patience_us = positive(words)?,
        "attempts" => plan.client_attempts = words.positive("a number of attempts")?,
        _ => plan.client_loss_percent = percent(words)?.into(),
    }
    Ok(())
}

/// A text for people. It is shown as it is, so it must not have a say over a terminal.
fn prose(words: &mut Words<'_>) -> Result<String, Unreadable> {
    let prose = words.prose();
    match prose.contains(char::is_control) {
        true => Err(words.refuse("it has a control character, which no editor shows; take it out")),
        false => Ok(prose),
    }
}

fn count(words: &mut Words<'_>, least: usize, most: usize) -> Result<u16, Unreadable> {
    let count: u16 = words.number("a number of nodes")?;
    match (least..=most).contains(&usize::from(count)) {
        true => Ok(count),
        false => {
            Err(words
                .refuse(format!("there are {least} to {most} of them, since a cluster has at most {MAX_NODES} nodes")))
        }
    }
}

fn positive(words: &mut Words<'_>) -> Result<u64, Unreadable> {
    match words.time_us()? {
        0 => Err(words.refuse("it must be longer than 0")),
        us => Ok(us),
    }
}

fn election(words: &mut Words<'_>) -> Result<Range<Duration>, Unreadable> {
    let range = times_us(words)?;
    match range.is_empty() || range.start < 1_000 {
        true => Err(words.refuse("the shortest election time-out must be 1ms at least, and below the longest")),
        false => Ok(Duration::from_micros(range.start)..Duration::from_micros(range.end)),
    }
}

fn times_us(words: &mut Words<'_>) -> Result<Range<u64>, Unreadable> {
    words.parsed("two times such as 150ms..300ms", |text| {
        let (start, end) = text.split_once("..")?;
        Some(crate::words::time_us(start)?..crate::words::time_us(end)?)
    })
}

fn sync(words: &mut Words<'_>) -> Result<Option<Range<u64>>, Unreadable> {
    if words.eat("held") {
        return Ok(None);
    }
    let range = times_us(words)?;
    match range.start > range.end {
        true => Err(words.refuse("the shortest sync must take no longer than the longest")),
        false => Ok(Some(range)),
    }
}

fn load(words: &mut Words<'_>) -> Result<Load, Unreadable> {
    let per_s = words.parsed("a number of operations in a second such as 200/s", |text| {
        text.strip_suffix("/s")?.parse().ok().filter(|per_s| *per_s > 0)
    })?;
    match per_s > MAX_LOAD_PER_S {
        true => Err(words.refuse(format!("there are at most {MAX_LOAD_PER_S} operations in a second"))),
        false => Ok(Load { per_s }),
    }
}

fn percent(words: &mut Words<'_>) -> Result<u8, Unreadable> {
    let percent = |text: &str| text.strip_suffix('%')?.parse().ok().filter(|percent| *percent <= 100);
    words.parsed("a percentage such as 10%", percent)
}

fn segment_bytes(words: &mut Words<'_>) -> Result<u32, Unreadable> {
    let bytes = words.number("a number of bytes")?;
    match (256..=1 << 30).contains(&bytes) {
        true => Ok(bytes),
        false => Err(words.refuse("a segment has 256 bytes to 1 GiB")),
    }
}

fn crashes(words: &mut Words<'_>) -> Result<Crashes, Unreadable> {
    let name = words.one_of(&Crashes::NAMES.map(|(name, _)| name))?;
    let crashes = Crashes::NAMES.into_iter().find(|(known, _)| *known == name);
    Ok(crashes.map(|(_, crashes)| crashes).unwrap_or_default())
}

fn clocks(words: &mut Words<'_>) -> Result<Vec<u64>, Unreadable> {
    let mut rates = Vec::new();
    while words.peek().is_some() {
        let rate = |text: &str| text.parse().ok().filter(|rate| (1..=10_000).contains(rate));
        rates.push(words.parsed("the rate of a clock in thousandths, from 1 to 10000", rate)?);
    }
    Ok(rates)
}

fn link_effect(words: &mut Words<'_>) -> Result<LinkEffect, Unreadable> {
    let from = words.node()?;
    words.expect("->")?;
    let to = words.node()?;
    if from == to {
        return Err(words.refuse("a node has no link to itself"));
    }
    Ok(LinkEffect { from, to, effect: effect(words)? })
}

fn effect(words: &mut Words<'_>) -> Result<Effect, Unreadable> {
    let effect = match words.one_of(&EFFECTS)? {
        "drop" => Effect::drop(share(words)?),
        "duplicate" => Effect::duplicate(share(words)?),
        "latency" => {
            let delay_ms = delay_ms(words)?;
            let jitter_ms = if words.eat("jitter") { self::delay_ms(words)? } else { 0.0 };
            Effect::latency(delay_ms, jitter_ms)
        }
        _ => {
            let probability = share(words)?;
            words.expect("by")?;
            Effect::reorder(probability, delay_ms(words)?)
        }
    };
    effect.map_err(|invalid| words.refuse(invalid.to_string()))
}

fn share(words: &mut Words<'_>) -> Result<f64, Unreadable> {
    words.parsed("a share of the messages from 0 to 1, such as 0.1", number)
}

fn delay_ms(words: &mut Words<'_>) -> Result<f64, Unreadable> {
    words.parsed("a delay such as 1.5ms", |text| number(text.strip_suffix("ms")?))
}

/// Digits with at most one point among them; not everything that `f64` reads.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { text.parse().ok() } else { None }
}

/// Writes what a scenario says before anything happens; with `all`, also what is so without it.
pub(crate) fn write(scenario: &Scenario, all: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Scenario { title, source, see, differs, seed, mutant, plan, steps: _, lines: _ } = scenario;
    for (word, text) in PROSE.into_iter().zip([title, source, see, differs]) {
        if !text.is_empty() {
            writeln!(f, "{word} {text}")?;
        }
    }
    writeln!(f, "servers {}", plan.founders)?;
    writeln!(f, "seed {seed}")?;
    if let Some(mutant) = mutant {
        writeln!(f, "mutant {mutant}")?;
    }
    let quiet = told(&Plan::quiet(plan.founders));
    let told = told(plan);
    told.iter().filter(|line| all || !quiet.contains(line)).try_for_each(|line| writeln!(f, "{line}"))?;
    plan.server_settings.iter().try_for_each(|(node, settings)| writeln!(f, "{node}{settings}"))?;
    plan.effects.iter().try_for_each(|effect| writeln!(f, "links {}", spelt(effect)))?;
    plan.link_effects.iter().try_for_each(|LinkEffect { from, to, effect }| {
        let effect = spelt(effect);
        writeln!(f, "links {from} -> {to} {effect}")
    })
}

fn spelt(effect: &Effect) -> String {
    match *effect {
        Effect::Drop { probability } => format!("drop {probability}"),
        Effect::Duplicate { probability } => format!("duplicate {probability}"),
        Effect::Reorder { probability, by_ms } => format!("reorder {probability} by {by_ms}ms"),
        Effect::Latency { delay_ms, jitter_ms } => format!("latency {delay_ms}ms jitter {jitter_ms}ms"),
    }
}

/// The parameters as lines.
fn told(plan: &Plan) -> Vec<String> {
    let time = |duration: Duration| Micros(duration.as_micros() as u64);
    let on = |is_on: bool| if is_on { "on" } else { "off" };
    let mut lines = vec![
        format!("app {}", plan.app),
        format!("election {}..{}", time(plan.election_timeout.start), time(plan.election_timeout.end)),
        format!("heartbeat {}", time(plan.heartbeat_interval)),
        format!("pre_vote {}", on(plan.pre_vote)),
        format!("check_quorum {}", on(plan.check_quorum)),
        format!("batch {}", plan.max_append_entries),
        format!("append_bytes {}", plan.max_append_bytes),
        format!("committed_batch {}", plan.max_committed_per_ready),
        format!("uncommitted_bytes {}", plan.max_uncommitted_bytes),
        format!("disk_patience {}", time(plan.disk_patience)),
        format!("chunk {}", plan.max_snapshot_chunk_bytes),
        format!("sessions {}", plan.limits.max_sessions),
        format!("compact_above {}", plan.limits.compact_above_bytes),
        format!("keep {}", plan.keep),
        match &plan.sync_us {
            Some(range) => format!("disks {}..{}", Micros(range.start), Micros(range.end)),
            None => "disks held".to_owned(),
        },
        format!("segments {}", plan.segment_bytes),
        format!("crashes {}", name_of(plan.crashes)),
        format!("turns {}", Micros(plan.turn_us)),
        format!("jobs {}", Micros(plan.job_us)),
        format!("news {}", Micros(plan.news_us)),
        format!("call_timeout {}", on(plan.call_timeout)),
        format!("forwarding {}", on(plan.forwarding)),
        format!("clients {}", plan.clients),
        format!("stubborn {}", plan.stubborn_clients),
        format!("patience {}", Micros(plan.client_patience_us)),
        format!("attempts {}", plan.client_attempts),
        format!("loss {}%", plan.client_loss_percent),
    ];
    lines.extend(plan.load.map(|load| format!("load {load}")));
    lines.extend((plan.joiners > 0).then(|| format!("joiners {}", plan.joiners)));
    lines.extend(plan.lease.map(|lease| format!("lease {}%", lease.drift_percent)));
    lines.extend(plan.snapshot_every.map(|every| format!("snapshot_every {every}")));
    if !plan.clock_permille.is_empty() {
        let rates = plan.clock_permille.iter().fold("clocks".to_owned(), |mut text, rate| {
            let _ = write!(text, " {rate}");
            text
        });
        lines.push(rates);
    }
    lines
}

fn name_of(crashes: Crashes) -> &'static str {
    Crashes::NAMES.into_iter().find(|(_, known)| *known == crashes).map_or("whole", |(name, _)| name)
}
