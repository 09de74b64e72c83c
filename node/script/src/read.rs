//! Text becomes a scenario: settings, then statements.
//!
//! Invariant: a scenario that was read names only nodes that are there, and its settings are legal.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use raftian_apps::AppKind;
use raftian_raft::{Configuration, Index, MAX_TERM, NodeId, Term};

use crate::condition::{Condition, Count, MEASURES, Measure, Nodes, READ_FATES, ROLES};
use crate::invariant::Invariant;
use crate::kind::Kind;
use crate::plan::Plan;
use crate::scenario::{Class, Fate, Scenario, Statement, Step, Which, Wish};
use crate::schedule::{Action, Whom};
use crate::words::{Micros, Unreadable, Words, statements};
use crate::{action, former, server, setup};

/// The words that a statement by hand begins with.
const BY_HAND: [&str; 15] = [
    "elect", "timeout", "deliver", "drop", "lost", "hold", "copy", "release", "propose", "retry", "read", "sync",
    "advance", "expect", "finish",
];

/// What can be said of a disk.
const DISKS: [&str; 10] =
    ["held", "released", "takes", "fails", "full", "has_room", "flips", "wiped", "kept", "put_back"];

/// What can be expected, but for the numbers of a server.
const CONDITIONS: [&str; 11] =
    ["leader", "role", "vote", "log", "durable", "members", "value", "read", "sent", "acknowledged", "violation"];

/// What messages can be called, but for their kinds.
const CLASSES: [&str; 2] = ["conflict", "granted"];

/// The most entries that a disk is given.
const MAX_LOG: usize = 10_000;

/// The most steps of a scenario. A line may stand for many: `cut * -> *` is one for each link.
const MAX_STEPS: usize = 100_000;

impl FromStr for Scenario {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Scenario, Unreadable> {
        let mut scenario = Scenario::quiet(Plan::quiet(1));
        let mut given: BTreeMap<&str, usize> = BTreeMap::new();
        // No step is played before this time.
        let mut earliest_us = 0;
        // Some editors begin a file with a mark of its byte order.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for mut words in statements(text) {
            words.nodes = scenario.plan.nodes();
            let first = words.peek().unwrap_or_default();
            let is_setting = setup::is_setting(&words);
            let needs_servers = first != "servers" && !setup::PROSE.contains(&first);
            if needs_servers && !given.contains_key("servers") {
                let word = words.take("a statement")?;
                return Err(word.unexpected("`servers` and how many there are, before all else", &["servers", "title"]));
            }
            let mut steps = Vec::new();
            if server::is_setting(&words) {
                scenario.lines.0.insert("n", words.line());
                server::read_setting(&mut words, &mut scenario)?;
            } else if is_setting {
                let word = words.take("a setting")?;
                if first != "see" && !scenario.steps.is_empty() {
                    return Err(words.refuse(format!("`{first}` is a setting, and comes before the first statement")));
                }
                once(word.text, &words, &mut given)?;
                let known = setup::WORDS.iter().find(|known| **known == word.text);
                scenario.lines.0.extend(known.map(|known| (*known, words.line())));
                setup::read(word.text, &mut words, &mut scenario)?;
            } else {
                let line = words.line();
                let step = |(at_us, statement)| Step { line, at_us, statement };
                steps.extend(statement(&mut words, earliest_us)?.into_iter().map(step));
                earliest_us = steps.iter().fold(earliest_us, after);
                if steps.iter().any(|step| step.statement == Statement::Finish) {
                    once("finish", &words, &mut given)?;
                }
            }
            words.end()?;
            server::check_lease(&words, &scenario, &steps)?;
            check_clients(&words, &scenario.plan, &steps)?;
            check_reads(&words, &scenario.plan, &steps)?;
            if scenario.steps.len() + steps.len() > MAX_STEPS {
                let why =
                    format!("a scenario has at most {MAX_STEPS} steps, and a line has one for each link it names");
                return Err(words.refuse(why));
            }
            scenario.steps.append(&mut steps);
        }
        check_settings(&scenario.plan, &given)?;
        if !given.contains_key("servers") {
            return Err(Unreadable { line: 1, column: 1, why: "expected `servers` and how many there are".to_owned() });
        }
        Ok(scenario)
    }
}

/// Only clients that are there do something.
fn check_clients(words: &Words<'_>, plan: &Plan, steps: &[Step]) -> Result<(), Unreadable> {
    for step in steps {
        let Statement::Do(Action::Op { client, .. }) = step.statement else { continue };
        if client >= plan.clients {
            return Err(words.refuse(format!(
                "there are {} clients, numbered from 0 on; say `clients {}` before the first statement",
                plan.clients,
                client + 1
            )));
        }
    }
    Ok(())
}

/// Only an application that has reads is asked for one.
fn check_reads(words: &Words<'_>, plan: &Plan, steps: &[Step]) -> Result<(), Unreadable> {
    let is_read = |step: &Step| matches!(step.statement, Statement::Ask { wish: Wish::Read, .. });
    match plan.app == AppKind::Attack && steps.iter().any(is_read) {
        true => Err(words.refuse("the attack game has nothing to read but its whole state; play this with `app kv`")),
        false => Ok(()),
    }
}

/// Settings that fit each by itself also fit each other.
fn check_settings(plan: &Plan, given: &BTreeMap<&str, usize>) -> Result<(), Unreadable> {
    let refuse = |word: &str, why: &str| {
        let line = given.get(word).copied().unwrap_or(1);
        Err(Unreadable { line, column: 1, why: why.to_owned() })
    };
    match () {
        () if plan.heartbeat_interval >= plan.election_timeout.start => {
            refuse("heartbeat", "heartbeats must come more often than the shortest election time-out")
        }
        () if plan.load.is_some() && plan.clients == 0 => refuse("load", "there are no clients; say `clients 8` or so"),
        () if plan.stubborn_clients > plan.clients => refuse("stubborn", "there are not so many clients"),
        () if plan.clock_permille.len() > plan.nodes() => refuse("clocks", "there are not so many nodes"),
        () => Ok(()),
    }
}

/// What was read last is said once in a scenario: a second time it would be a mistake, and hide the first. Effects on
/// links add up.
fn once<'a>(word: &'a str, words: &Words<'_>, given: &mut BTreeMap<&'a str, usize>) -> Result<(), Unreadable> {
    match given.insert(word, words.line()) {
        Some(line) if word != "links" => Err(words.refuse(format!("`{word}` was given already, on line {line}"))),
        _ => Ok(()),
    }
}

/// When a step that begins no earlier than this is over at the earliest.
fn after(earliest_us: u64, step: &Step) -> u64 {
    let begins_us = step.at_us.unwrap_or_default().max(earliest_us);
    match step.statement {
        Statement::Advance(us) => begins_us + us,
        _ => begins_us,
    }
}

/// A statement; several if the line stands for several actions. The time belongs to the first.
fn statement(words: &mut Words<'_>, earliest_us: u64) -> Result<Vec<(Option<u64>, Statement)>, Unreadable> {
    let at_us = if words.eat("at") { Some(words.time_us()?) } else { None };
    if at_us.is_some_and(|at_us| at_us < earliest_us) {
        let earliest = Micros(earliest_us);
        return Err(words.refuse(format!("it is {earliest} already, and time does not go back; give a later time")));
    }
    let mut times = std::iter::once(at_us).chain(std::iter::repeat(None));
    if words.peek().is_some_and(|word| word.parse::<NodeId>().is_ok()) {
        return Ok(vec![(at_us, disk_content(words)?)]);
    }
    let known: Vec<&'static str> = action::VERBS.iter().chain(&BY_HAND).copied().chain(["disk"]).collect();
    let word = words.take("a statement")?;
    let all_known = || known.iter().chain(&setup::WORDS).chain(&["at"]).copied().collect::<Vec<_>>();
    let verb = known.iter().find(|known| **known == word.text).copied();
    let verb = verb.ok_or_else(|| match former::now(word.text, words) {
        Some(now) => words.refuse(format!("this is `{now}` now")),
        None => word.unexpected("a statement", &all_known()),
    })?;
    if action::VERBS.contains(&verb) {
        let actions = action::read(verb, words)?;
        if let Some(asked) = via(&actions, words)? {
            return Ok(vec![(at_us, asked)]);
        }
        return Ok(actions.into_iter().map(|action| (times.next().flatten(), Statement::Do(action))).collect());
    }
    Ok(vec![(at_us, by_hand(verb, words)?)])
}

fn by_hand(verb: &str, words: &mut Words<'_>) -> Result<Statement, Unreadable> {
    Ok(match verb {
        "elect" => Statement::Elect(words.node()?),
        "timeout" => Statement::Timeout { node: words.node()?, is_early: words.eat("early") },
        "deliver" if words.eat("all") => Statement::DeliverAll,
        "deliver" => Statement::Messages { fate: Fate::Deliver, which: which(words)? },
        "drop" => Statement::Messages { fate: Fate::Drop, which: which(words)? },
        "lost" => Statement::Messages { fate: Fate::Lost, which: which(words)? },
        "hold" => Statement::Messages { fate: Fate::Hold, which: which(words)? },
        "copy" => Statement::Messages { fate: Fate::Copy, which: which(words)? },
        "release" => Statement::Messages { fate: Fate::Release, which: which(words)? },
        "propose" | "retry" | "read" => ask(verb, words)?,
        "disk" => disk(words)?,
        "sync" => {
            let node = words.node()?;
            let writes = if words.peek().is_some() { Some(words.number("a number of writes")?) } else { None };
            Statement::Sync { node, writes }
        }
        "advance" => Statement::Advance(words.time_us()?),
        "expect" => {
            let condition = condition(words)?;
            let within_us = if words.eat("within") { words.time_us()? } else { 0 };
            Statement::Expect { condition, within_us }
        }
        _ => Statement::Finish,
    })
}

/// `n3 term 5 vote n2 log 1 1 4 snapshot 2 members 2 n1,n2 + n3`.
fn disk_content(words: &mut Words<'_>) -> Result<Statement, Unreadable> {
    let node = words.node()?;
    let term = if words.eat("term") { Some(words.number("a term")?) } else { None };
    let vote = if words.eat("vote") { Some(words.node()?) } else { None };
    words.expect("log")?;
    let log = terms(words)?;
    let last = log.last().copied().unwrap_or(0);
    let own = term.unwrap_or(last);
    if !log.is_sorted() || own < last || own > MAX_TERM {
        return Err(words.refuse(format!(
            "terms never fall along a log, the term of a server is no earlier than its last entry's, and none is beyond {MAX_TERM}"
        )));
    }
    let is_entry = |index: &Index| (1..=log.len() as Index).contains(index);
    let snapshot = if words.eat("snapshot") { words.number("the index of an entry")? } else { 0 };
    if snapshot > 0 && !is_entry(&snapshot) {
        return Err(words.refuse("a snapshot stands for the entries of this log up to one of them"));
    }
    let mut members = BTreeMap::new();
    while words.eat("members") {
        let index: Index = words.number("the index of an entry")?;
        if !is_entry(&index) || members.contains_key(&index) {
            return Err(words.refuse("it must be an entry of this log, and another one each time"));
        }
        members.insert(index, configuration(words)?);
    }
    Ok(Statement::Disk { node, term, vote, log, snapshot, members })
}

fn configuration(words: &mut Words<'_>) -> Result<Configuration, Unreadable> {
    let [voters, outgoing, learners] = members(words, action::members)?;
    let configuration = Configuration::of(voters, outgoing, learners);
    configuration.ok_or_else(|| words.refuse("a configuration has voters, and none of them is a learner as well"))
}

/// `n1,n2`, while joint `n1,n2 | n1,n3` with those before, and in both cases learners after a `+`.
fn members<'a>(
    words: &mut Words<'a>,
    read: fn(&mut Words<'a>) -> Result<BTreeSet<NodeId>, Unreadable>,
) -> Result<[BTreeSet<NodeId>; 3], Unreadable> {
    let voters = read(words)?;
    let mut more = |sign| if words.eat(sign) { read(words) } else { Ok(BTreeSet::new()) };
    Ok([voters, more("|")?, more("+")?])
}

/// `n1,n2.2`, or `none`.
fn servers(words: &mut Words<'_>) -> Result<BTreeSet<NodeId>, Unreadable> {
    if words.eat("none") { Ok(BTreeSet::new()) } else { Ok(words.some_servers()?.into_iter().collect()) }
}

fn terms(words: &mut Words<'_>) -> Result<Vec<Term>, Unreadable> {
    let mut terms = Vec::new();
    while words.peek().is_some_and(|word| !["within", "members", "snapshot"].contains(&word)) {
        let term: Term = words.number("the term of an entry")?;
        if term == 0 || terms.len() == MAX_LOG {
            return Err(words.refuse(format!("terms of entries begin with 1, and there are at most {MAX_LOG} entries")));
        }
        terms.push(term);
    }
    Ok(terms)
}

/// `n1 -> n2 append_reply`.
fn which(words: &mut Words<'_>) -> Result<Which, Unreadable> {
    let from = if words.eat("*") { None } else { Some(words.node()?) };
    words.expect("->")?;
    let to = if words.eat("*") { None } else { Some(words.node()?) };
    let names = Kind::ALL.iter().map(|kind| kind.name()).chain(CLASSES);
    let class = match words.peek() {
        Some(word) if !is_count(word) => {
            let names: Vec<&'static str> = names.collect();
            match words.one_of(&names)? {
                "conflict" => Class::Conflict,
                "granted" => Class::Granted,
                name => Kind::ALL.iter().find(|kind| kind.name() == name).map_or(Class::Any, |kind| Class::Of(*kind)),
            }
        }
        _ => Class::Any,
    };
    Ok(Which { from, to, class })
}

fn ask(verb: &str, words: &mut Words<'_>) -> Result<Statement, Unreadable> {
    let at = words.node()?;
    let wish = match verb {
        "propose" | "retry" => {
            let name = words.parsed("the name of a command, of letters and digits", |text| {
                text.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| text.to_owned())
            })?;
            if verb == "propose" { Wish::Propose(name) } else { Wish::Retry(name) }
        }
        _ => Wish::Read,
    };
    Ok(Statement::Ask { at, wish, is_refused: words.eat("refused") })
}

/// `member add n6 via n1`: this server is asked, whoever leads.
fn via(actions: &[Action], words: &mut Words<'_>) -> Result<Option<Statement>, Unreadable> {
    let wish = match actions {
        [Action::Change(change)] => Wish::Change(change.clone()),
        [Action::Transfer(to)] => Wish::Transfer(*to),
        _ => return Ok(None),
    };
    if !words.eat("via") {
        return Ok(None);
    }
    let at = words.node()?;
    Ok(Some(Statement::Ask { at, wish, is_refused: words.eat("refused") }))
}

fn disk(words: &mut Words<'_>) -> Result<Statement, Unreadable> {
    let whom = action::whom(words)?;
    let what = words.one_of(&DISKS)?;
    match (what, whom) {
        ("held" | "released", Whom::Node(node)) => Ok(Statement::HoldDisk { node, is_held: what == "held" }),
        _ => action::read_disk(whom, what, words).map(Statement::Do),
    }
}

fn condition(words: &mut Words<'_>) -> Result<Condition, Unreadable> {
    let known: Vec<&'static str> = CONDITIONS.into_iter().chain(MEASURES.map(|(name, _)| name)).collect();
    let name = words.one_of(&known)?;
    Ok(match name {
        "leader" if words.eat("any") => Condition::AnyLeader,
        "leader" => Condition::Leader(node_or_none(words)?),
        "role" => {
            let (nodes, is) = (nodes(words)?, !words.eat("not"));
            Condition::Role { nodes, role: one_of(words, &ROLES)?, is }
        }
        "vote" => Condition::Vote(nodes(words)?, node_or_none(words)?),
        "log" => Condition::Log(nodes(words)?, terms(words)?),
        "durable" => Condition::Durable(nodes(words)?, terms(words)?),
        "members" => {
            let nodes = nodes(words)?;
            let [voters, outgoing, learners] = members(words, servers)?;
            Condition::Members { nodes, voters, outgoing, learners }
        }
        "value" => {
            let nodes = nodes(words)?;
            let key = words.take("a key")?.text.to_owned();
            let value = if words.eat("none") { None } else { Some(words.take("a value, or `none`")?.text.to_owned()) };
            Condition::Value(nodes, key, value)
        }
        "read" => Condition::Read(words.number("the number of a read, from 1 on")?, one_of(words, &READ_FATES)?),
        "sent" => Condition::Sent(which(words)?, count(words)?),
        "acknowledged" => Condition::Acknowledged(count(words)?),
        "violation" => {
            let names: Vec<(&'static str, Invariant)> = Invariant::ALL.iter().map(|one| (one.name(), *one)).collect();
            Condition::Violation(one_of(words, &names)?)
        }
        measure => Condition::Number(measure_named(measure), nodes(words)?, count(words)?),
    })
}

fn measure_named(name: &str) -> Measure {
    MEASURES.iter().find(|(known, _)| *known == name).map_or(Measure::Term, |(_, measure)| *measure)
}

fn one_of<T: Clone>(words: &mut Words<'_>, names: &[(&'static str, T)]) -> Result<T, Unreadable> {
    let known: Vec<&'static str> = names.iter().map(|(name, _)| *name).collect();
    let name = words.one_of(&known)?;
    let found = names.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    found.ok_or_else(|| words.refuse("it is not known"))
}

fn nodes(words: &mut Words<'_>) -> Result<Nodes, Unreadable> {
    if words.eat("all") { Ok(Nodes::Up) } else { Ok(Nodes::These(words.some_nodes()?)) }
}

fn node_or_none(words: &mut Words<'_>) -> Result<Option<NodeId>, Unreadable> {
    if words.eat("none") { Ok(None) } else { words.server().map(Some) }
}

fn is_count(word: &str) -> bool {
    word == "<=" || word == ">=" || word.parse::<u64>().is_ok()
}

/// `4`, `<= 4` or `>= 4`.
fn count(words: &mut Words<'_>) -> Result<Count, Unreadable> {
    let of = match words.peek() {
        Some("<=") => Count::AtMost,
        Some(">=") => Count::AtLeast,
        _ => return words.number("a number, or `<=` or `>=` and a number").map(Count::Exactly),
    };
    words.take("`<=` or `>=`")?;
    words.number("a number").map(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GRAMMAR;

    /// The examples of the page: what stands between its fences.
    fn examples() -> String {
        GRAMMAR.split("```").skip(1).step_by(2).map(|block| block.trim_start_matches("text")).collect()
    }

    #[test]
    fn the_page_has_every_word_that_can_be_said() {
        let has = |word: &str| GRAMMAR.split(|c: char| c.is_whitespace() || c == '`' || c == ',').any(|on| on == word);
        let names = Kind::ALL.iter().map(|kind| kind.name()).chain(Invariant::ALL.iter().map(|one| one.name()));
        let fates = READ_FATES.map(|(name, _)| name).into_iter().chain(ROLES.map(|(name, _)| name));
        let said = [
            &setup::WORDS[..],
            &setup::EFFECTS,
            &action::VERBS,
            &action::CLIENT,
            &action::KV,
            &action::MEMBER,
            &action::PARTS,
            &action::CLOCKS,
        ];
        let said = said.into_iter().chain([&BY_HAND[..], &DISKS, &CONDITIONS, &CLASSES]).flatten().copied();
        let all = said.chain(names).chain(fates).chain(MEASURES.map(|(name, _)| name));
        let missing: Vec<&str> = all.filter(|word| !has(word)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    /// A statement of every setting, action, step and condition stands among the examples, and all can be read.
    #[test]
    fn the_examples_of_the_page_are_one_scenario() {
        let examples = examples();
        let scenario: Scenario = examples.parse().unwrap_or_else(|why| panic!("{why}\n{examples}"));
        assert_eq!(scenario.to_string().parse(), Ok(scenario));
        let begins = |word: &str| examples.lines().any(|line| line.split_whitespace().next() == Some(word));
        let words = setup::WORDS.iter().filter(|word| **word != "mutant").chain(&action::VERBS).chain(&BY_HAND);
        let missing: Vec<&&str> = words.filter(|word| !begins(word)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let expects = |word: &str| examples.lines().any(|line| line.starts_with(&format!("expect {word} ")));
        let conditions = CONDITIONS.into_iter().chain(MEASURES.map(|(name, _)| name));
        let missing: Vec<&str> = conditions.filter(|word| !expects(word)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn a_read_is_for_an_application_that_has_reads() {
        let why = "servers 1\napp attack\nadvance 1s\nread n1".parse::<Scenario>().unwrap_err();
        assert!(why.line == 4 && why.why.contains("play this with `app kv`"), "{why:?}");
    }
}
