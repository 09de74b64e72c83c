//! The actions of a schedule as text, both ways.
//!
//! Invariant: what is written reads back as the same action. One line may stand for several: a partition is many cuts.

use std::collections::BTreeSet;
use std::fmt;

use raftian_apps::MAX_SIDE_PX;
use raftian_raft::{Change, NodeId};

use crate::plan::ServerSettings;
use crate::schedule::{Action, ClockGoes, Op, Part, Whom};
use crate::server;
use crate::words::{Micros, Unreadable, Words};

/// The words that an action begins with, but for `disk`, of which there is more than actions.
pub(crate) const VERBS: [&str; 18] = [
    "app",
    "attack",
    "canvas",
    "client",
    "clock",
    "clog",
    "cut",
    "heal",
    "kill",
    "kv",
    "member",
    "partition",
    "pause",
    "player",
    "restart",
    "resume",
    "snapshot",
    "transfer-leader",
];

/// What a client can do.
pub(crate) const CLIENT: [&str; 4] = ["kv", "attack", "player", "canvas"];

/// What it can do to the key-value store.
pub(crate) const KV: [&str; 5] = ["set", "get", "cas", "incr", "del"];

/// What can be done to the members.
pub(crate) const MEMBER: [&str; 4] = ["add", "promote", "remove", "set"];

/// What a colour reads like: a `#` would begin a comment.
const COLOUR: &str = "a colour such as ff8000 or red";

/// How a clock can go.
pub(crate) const CLOCKS: [&str; 4] = ["rate", "freeze", "true", "jump"];

/// The records in which a bit can flip.
pub(crate) const PARTS: [&str; 3] = ["entry", "hard_state", "snapshot"];

/// Reads what follows a verb.
pub(crate) fn read(verb: &str, words: &mut Words<'_>) -> Result<Vec<Action>, Unreadable> {
    let one = match verb {
        "app" => {
            let node = words.node()?;
            words.expect("takes")?;
            Action::ApplyTakes { node, us: words.time_us()? }
        }
        "client" => {
            let client = words.number("the number of a client, from 0 on")?;
            let verb = words.one_of(&CLIENT)?;
            Action::Op { client, op: op(verb, words)? }
        }
        "clock" => Action::Clock { node: words.node()?, goes: clock(words)? },
        "kv" | "attack" | "player" | "canvas" => Action::Op { client: 0, op: op(verb, words)? },
        "kill" => kill(words)?,
        "restart" if words.eat("all") => Action::RestartAll,
        "restart" => restart(words)?,
        "pause" => Action::Pause(whom(words)?),
        "resume" if words.eat("all") => Action::ResumeAll,
        "resume" => Action::Resume(words.node()?),
        "cut" => {
            let links = links(words)?;
            if links.iter().any(|(from, to)| from == to) {
                return Err(words.refuse("a node has no link to itself"));
            }
            return Ok(links.into_iter().map(|(from, to)| Action::Cut { from, to }).collect());
        }
        "partition" => return partition(words),
        "heal" => Action::Heal,
        "clog" => {
            let links = links(words)?;
            words.expect("for")?;
            let for_us = words.time_us()?;
            return Ok(links.into_iter().map(|(from, to)| Action::Clog { from, to, for_us }).collect());
        }
        "snapshot" => {
            let node = whom(words)?;
            let keep = if words.eat("keep") { words.number("a number of entries")? } else { 0 };
            Action::Compact { node, keep }
        }
        "member" => Action::Change(change(words)?),
        _ => Action::Transfer(words.node()?),
    };
    Ok(vec![one])
}

/// `n2`, or `n2 pre_vote on`.
fn restart(words: &mut Words<'_>) -> Result<Action, Unreadable> {
    let node = words.node()?;
    match words.peek() {
        Some(_) => Ok(Action::RestartWith { node, settings: server::read(words, ServerSettings::default())? }),
        None => Ok(Action::Restart(node)),
    }
}

/// Reads what is done to a disk, but for the words by hand.
pub(crate) fn read_disk(node: Whom, what: &str, words: &mut Words<'_>) -> Result<Action, Unreadable> {
    let Whom::Node(id) = node else {
        return match what {
            "fails" => Ok(Action::SyncFails(node)),
            _ => Err(words.refuse(format!("only `fails` can be said of the disk of a leader, found `{what}`"))),
        };
    };
    match what {
        "takes" => Ok(Action::SyncTakes { node: id, us: words.time_us()? }),
        "fails" => Ok(Action::SyncFails(node)),
        "flips" => Ok(Action::FlipBit { node: id, part: part(words)? }),
        "wiped" => Ok(Action::Wipe(id)),
        "kept" => Ok(Action::KeepDisk(id)),
        "put_back" => Ok(Action::PutBackDisk(id)),
        _ => Ok(Action::DiskFull { node: id, is_full: what == "full" }),
    }
}

/// `rate 1.1`, `freeze`, `true` or `jump 2s`.
fn clock(words: &mut Words<'_>) -> Result<ClockGoes, Unreadable> {
    Ok(match words.one_of(&CLOCKS)? {
        "rate" => {
            let rate = |text: &str| text.parse::<f64>().ok().filter(|rate| (0.1..=10.0).contains(rate));
            let rate = words.parsed("the rate of a clock, from 0.1 to 10", rate)?;
            ClockGoes::AtRate((rate * 1e3).round() as u32)
        }
        "freeze" => ClockGoes::Frozen,
        "true" => ClockGoes::True,
        _ => ClockGoes::Ahead(words.time_us()?),
    })
}

/// `entry 3`, `hard_state` or `snapshot`.
fn part(words: &mut Words<'_>) -> Result<Part, Unreadable> {
    Ok(match words.one_of(&PARTS)? {
        "entry" => Part::Entry(words.number("the index of an entry")?),
        "hard_state" => Part::HardState,
        _ => Part::Snapshot,
    })
}

/// `n3`, or `@leader or n3`.
pub(crate) fn whom(words: &mut Words<'_>) -> Result<Whom, Unreadable> {
    if !words.eat("@leader") {
        return Ok(Whom::Node(words.node()?));
    }
    words.expect("or")?;
    Ok(Whom::Leader { or: words.node()? })
}

/// A change of the membership: `add n6 --learner`, `set n1,n2 + n4`.
pub(crate) fn change(words: &mut Words<'_>) -> Result<Change, Unreadable> {
    match words.one_of(&MEMBER)? {
        "add" => {
            let node = words.node()?;
            words.expect("--learner")?;
            Ok(Change::AddLearner(node))
        }
        "promote" => Ok(Change::Promote(words.node()?)),
        "remove" => Ok(Change::Remove(words.node()?)),
        _ => {
            let voters = members(words)?;
            let learners = if words.eat("+") { members(words)? } else { BTreeSet::new() };
            Ok(Change::Members { voters, learners })
        }
    }
}

/// `n1,n2`, or `none`.
pub(crate) fn members(words: &mut Words<'_>) -> Result<BTreeSet<NodeId>, Unreadable> {
    if words.eat("none") { Ok(BTreeSet::new()) } else { Ok(words.some_nodes()?.into_iter().collect()) }
}

/// `kv set k1 7`, `attack 3`, `player add 3` or `canvas set 3 4 red`.
fn op(verb: &str, words: &mut Words<'_>) -> Result<Op, Unreadable> {
    Ok(match verb {
        "kv" => match words.one_of(&KV)? {
            "set" => Op::Set(key(words)?, value(words)?),
            "get" => {
                let key = key(words)?;
                if words.eat("logged") { Op::Get(key) } else { Op::Read(key) }
            }
            "cas" => {
                let (key, value) = (key(words)?, value(words)?);
                match words.eat("--absent") {
                    true => Op::Cas(key, None, value),
                    false => Op::Cas(key, Some(value), self::value(words)?),
                }
            }
            "incr" => Op::Incr(key(words)?, words.number("a number from -128 to 127")?),
            _ => Op::Del(key(words)?),
        },
        "attack" => Op::Attack(player(words)?),
        "canvas" => match words.one_of(&["set", "get"])? {
            "set" => Op::Paint(coordinate(words)?, coordinate(words)?, words.parsed(COLOUR, |text| text.parse().ok())?),
            _ => Op::Pixel(coordinate(words)?, coordinate(words)?),
        },
        _ => match words.one_of(&["add", "del"])? {
            "add" => Op::Add(player(words)?),
            _ => Op::Leave(player(words)?),
        },
    })
}

fn key(words: &mut Words<'_>) -> Result<u8, Unreadable> {
    words.parsed("a key from k0 to k255", |text| text.strip_prefix('k')?.parse().ok())
}

fn value(words: &mut Words<'_>) -> Result<u32, Unreadable> {
    words.number("a whole number")
}

fn player(words: &mut Words<'_>) -> Result<u8, Unreadable> {
    words.number("the number of a player")
}

fn coordinate(words: &mut Words<'_>) -> Result<u16, Unreadable> {
    words.parsed("a column or a row from 0 to 999", |text| text.parse().ok().filter(|place| *place < MAX_SIDE_PX))
}

fn kill(words: &mut Words<'_>) -> Result<Action, Unreadable> {
    if words.eat("all") {
        return Ok(Action::CrashAll { keep: keeping(words)? });
    }
    let node = whom(words)?;
    if !words.eat("at") {
        return Ok(Action::Crash { node, keep: keeping(words)? });
    }
    match (words.one_of(&["boundary", "install"])?, node) {
        ("boundary", _) => {
            let boundaries = words.positive("a number of boundaries")?;
            Ok(Action::CrashAtBoundary { node, boundaries, keep: keeping(words)? })
        }
        (_, Whom::Node(node)) => Ok(Action::CrashAtInstall { node, keep: keeping(words)? }),
        (_, Whom::Leader { .. }) => Err(words.refuse("a leader installs no snapshot; name a node")),
    }
}

fn keeping(words: &mut Words<'_>) -> Result<usize, Unreadable> {
    if words.eat("keeping") { words.number("a number of records") } else { Ok(0) }
}

/// The links between two nodes, or between one and all others: `n1 -> n2`, `n1 <-> *`.
fn links(words: &mut Words<'_>) -> Result<Vec<(NodeId, NodeId)>, Unreadable> {
    let froms = one_or_all(words)?;
    let is_mutual = words.one_of(&["->", "<->"])? == "<->";
    let tos = one_or_all(words)?;
    let is_one = froms.len() == 1 && tos.len() == 1;
    let links = froms.iter().flat_map(|from| tos.iter().map(move |to| (*from, *to)));
    let links = links.filter(|(from, to)| is_one || from != to);
    let both = |(from, to)| [(from, to), (to, from)].into_iter().take(1 + usize::from(is_mutual));
    Ok(links.flat_map(both).collect())
}

fn one_or_all(words: &mut Words<'_>) -> Result<Vec<NodeId>, Unreadable> {
    if words.eat("*") { Ok((0..words.nodes).map(id_at).collect()) } else { Ok(vec![words.node()?]) }
}

/// All links between the groups: `n1,n2 n3,n4,n5`, or `--shape isolate=n1,n2`. Nodes that no group names stay fully
/// connected.
fn partition(words: &mut Words<'_>) -> Result<Vec<Action>, Unreadable> {
    if words.eat("--shape") {
        words.strip("isolate=", "a shape: isolate=n1,n2 or isolate=@leader")?;
        return if words.eat("@leader") { Ok(vec![Action::IsolateLeader]) } else { isolate(words) };
    }
    let mut groups = vec![words.some_nodes()?];
    loop {
        if words.eat("|") {
            return Err(words.refuse("groups are separated by blanks: `partition n1,n2 n3,n4,n5`"));
        }
        let group = words.some_nodes()?;
        if let Some(id) = group.iter().find(|id| groups.iter().any(|other| other.contains(id))) {
            return Err(words.refuse(format!("{id} is on two sides; name it on one")));
        }
        groups.push(group);
        if words.peek().is_none() {
            break;
        }
    }
    let group_of = |id: NodeId| groups.iter().position(|group| group.contains(&id));
    Ok(cuts(words.nodes, |from, to| match (group_of(from), group_of(to)) {
        (Some(from), Some(to)) => from != to,
        _ => false,
    }))
}

fn isolate(words: &mut Words<'_>) -> Result<Vec<Action>, Unreadable> {
    let nodes = words.some_nodes()?;
    if nodes.len() == words.nodes {
        return Err(words.refuse("these are all nodes, and there are no others to isolate them from; leave one out"));
    }
    Ok(cuts(words.nodes, |from, to| nodes.contains(&from) != nodes.contains(&to)))
}

fn cuts(nodes: usize, is_cut: impl Fn(NodeId, NodeId) -> bool) -> Vec<Action> {
    let links = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (id_at(from), id_at(to))));
    links.filter(|(from, to)| is_cut(*from, *to)).map(|(from, to)| Action::Cut { from, to }).collect()
}

/// The node at a place, from 0 on.
fn id_at(place: usize) -> NodeId {
    let number = u16::try_from(place + 1).expect("clusters are small");
    NodeId::new(number).expect("numbers start at 1")
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::HardState => f.write_str("hard_state"),
            Part::Snapshot => f.write_str("snapshot"),
            Part::Entry(index) => write!(f, "entry {index}"),
        }
    }
}

impl fmt::Display for ClockGoes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClockGoes::AtRate(per_mille) => write!(f, "rate {}", f64::from(*per_mille) / 1e3),
            ClockGoes::Frozen => f.write_str("freeze"),
            ClockGoes::True => f.write_str("true"),
            ClockGoes::Ahead(us) => write!(f, "jump {}", Micros(*us)),
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whom::Node(id) => write!(f, "{id}"),
            Whom::Leader { or } => write!(f, "@leader or {or}"),
        }
    }
}

/// As a scenario says it.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Op { client, op } => write!(f, "client {client} {op}"),
            Action::Crash { node, keep } => write!(f, "kill {node}{}", Keeping(*keep)),
            Action::CrashAtBoundary { node, boundaries, keep } => {
                write!(f, "kill {node} at boundary {boundaries}{}", Keeping(*keep))
            }
            Action::CrashAtInstall { node, keep } => write!(f, "kill {node} at install{}", Keeping(*keep)),
            Action::CrashAll { keep } => write!(f, "kill all{}", Keeping(*keep)),
            Action::Restart(id) => write!(f, "restart {id}"),
            Action::RestartWith { node, settings } => write!(f, "restart {node}{settings}"),
            Action::RestartAll => write!(f, "restart all"),
            Action::Pause(whom) => write!(f, "pause {whom}"),
            Action::Resume(id) => write!(f, "resume {id}"),
            Action::ResumeAll => write!(f, "resume all"),
            Action::Cut { from, to } => write!(f, "cut {from} -> {to}"),
            Action::IsolateLeader => write!(f, "partition --shape isolate=@leader"),
            Action::Heal => write!(f, "heal"),
            Action::Clog { from, to, for_us } => write!(f, "clog {from} -> {to} for {}", Micros(*for_us)),
            Action::SyncTakes { node, us } => write!(f, "disk {node} takes {}", Micros(*us)),
            Action::ApplyTakes { node, us } => write!(f, "app {node} takes {}", Micros(*us)),
            Action::SyncFails(whom) => write!(f, "disk {whom} fails"),
            Action::DiskFull { node, is_full: true } => write!(f, "disk {node} full"),
            Action::DiskFull { node, is_full: false } => write!(f, "disk {node} has_room"),
            Action::Clock { node, goes } => write!(f, "clock {node} {goes}"),
            Action::FlipBit { node, part } => write!(f, "disk {node} flips {part}"),
            Action::Wipe(id) => write!(f, "disk {id} wiped"),
            Action::KeepDisk(id) => write!(f, "disk {id} kept"),
            Action::PutBackDisk(id) => write!(f, "disk {id} put_back"),
            Action::Change(change) => {
                let (verb, what) = told(change);
                write!(f, "member {verb} {what}")
            }
            Action::Transfer(to) => write!(f, "transfer-leader {to}"),
            Action::Compact { node, keep: 0 } => write!(f, "snapshot {node}"),
            Action::Compact { node, keep } => write!(f, "snapshot {node} keep {keep}"),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Read(key) => write!(f, "kv get k{key}"),
            Op::Get(key) => write!(f, "kv get k{key} logged"),
            Op::Set(key, value) => write!(f, "kv set k{key} {value}"),
            Op::Cas(key, None, new) => write!(f, "kv cas k{key} {new} --absent"),
            Op::Cas(key, Some(old), new) => write!(f, "kv cas k{key} {old} {new}"),
            Op::Incr(key, by) => write!(f, "kv incr k{key} {by}"),
            Op::Del(key) => write!(f, "kv del k{key}"),
            Op::Attack(player) => write!(f, "attack {player}"),
            Op::Add(player) => write!(f, "player add {player}"),
            Op::Leave(player) => write!(f, "player del {player}"),
            Op::Pixel(x, y) => write!(f, "canvas get {x} {y}"),
            Op::Paint(x, y, colour) => write!(f, "canvas set {x} {y} {colour:#}"),
        }
    }
}

/// The verb of a change, and the rest of the words.
pub(crate) fn told(change: &Change) -> (&'static str, String) {
    match change {
        Change::AddLearner(id) => ("add", format!("{id} --learner")),
        Change::Promote(id) => ("promote", id.to_string()),
        Change::Remove(id) => ("remove", id.to_string()),
        Change::Members { voters, learners } if learners.is_empty() => ("set", list(voters)),
        Change::Members { voters, learners } => ("set", format!("{} + {}", list(voters), list(learners))),
    }
}

/// `n1,n2`, or `none`.
pub(crate) fn list<'a>(ids: impl IntoIterator<Item = &'a NodeId>) -> String {
    let names: Vec<String> = ids.into_iter().map(NodeId::to_string).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

struct Keeping(usize);

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            keep => write!(f, " keeping {keep}"),
        }
    }
}
