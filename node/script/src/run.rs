//! A scenario is run, on any engine.
//!
//! Invariant: it stops at the first thing that is not as it must be, with its line.

use std::fmt;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::condition::Condition;
use crate::engine::{Engine, Halt, Performed};
use crate::invariant::Invariant;
use crate::scenario::{Scenario, Statement, Step};
use crate::view::NodeView;

/// Why a scenario went no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped<V> {
    /// An invariant was broken, and the scenario did not say so.
    Broken {
        /// The line at which it was; 0 if there are no lines.
        line: usize,
        /// Which, and when.
        violation: V,
    },
    /// Something was not as the scenario said.
    Failed {
        /// The line that says it; 0 if there are no lines.
        line: usize,
        /// What it says.
        statement: String,
        /// What was the case instead.
        why: String,
    },
}

/// Something that whoever watches a run may want to know.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The steps of the line that it is about.
    pub line: &'a [Step],
    /// When, in microseconds since the beginning.
    pub at_us: u64,
    /// What.
    pub news: News<'a>,
    /// The nodes at that moment; none while a line is waiting, or where nobody wants to see them.
    pub nodes: &'a [NodeView],
}

/// Whoever watches a run.
pub trait Watch {
    /// Whether it wants to see the nodes when a line begins and when it ends.
    fn wants_nodes(&self) -> bool;

    /// Hears what is new. The run goes on when this has ended.
    fn hear(&mut self, moment: Moment<'_>) -> impl Future<Output = ()>;
}

/// A run that nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn wants_nodes(&self) -> bool {
        false
    }

    async fn hear(&mut self, _: Moment<'_>) {}
}

/// What is new of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// Its time has come.
    Begins,
    /// What it expects is not so yet, but this is.
    Waits(&'a str),
    /// It is done, or holds; and what there is to say about it.
    Done(Option<&'a str>),
    /// It is not as it says, or an invariant was broken; the run ends here.
    Stopped,
}

/// Runs a scenario to its end, or to the first thing that is not as it must be; `watch` hears of every line.
pub async fn run<E: Engine>(
    engine: &mut E,
    scenario: &Scenario,
    watch: &mut impl Watch,
) -> Option<Stopped<E::Violation>> {
    let mut rest = scenario.steps.as_slice();
    for line in scenario.steps.chunk_by(are_of_one_line) {
        let halt = match take(engine, line, watch).await {
            Ok(note) => {
                tell(engine, line, News::Done(note.as_deref()), watch).await;
                rest = &rest[line.len()..];
                continue;
            }
            Err(halt) => halt,
        };
        tell(engine, line, News::Stopped, watch).await;
        return match halt {
            Halt::Failed(why) => Some(Stopped::Failed { line: line[0].line, statement: line[0].to_string(), why }),
            // What was expected and came about is the end, and no failure.
            Halt::Broken(violation) if expect(rest, E::invariant(&violation)) => None,
            Halt::Broken(violation) => Some(Stopped::Broken { line: line[0].line, violation }),
        };
    }
    None
}

/// Tells of a line with what the nodes are like, if that is wanted.
async fn tell<E: Engine>(engine: &mut E, line: &[Step], news: News<'_>, watch: &mut impl Watch) {
    let nodes = if watch.wants_nodes() { engine.look().await } else { Vec::new() };
    watch.hear(Moment { line, at_us: engine.now_us(), news, nodes: &nodes }).await;
}

/// The same on an engine that never waits, since its time is virtual.
///
/// # Panics
/// When it does wait, or `watch` does.
pub fn run_at_once<E: Engine>(
    engine: &mut E,
    scenario: &Scenario,
    watch: &mut impl Watch,
) -> Option<Stopped<E::Violation>> {
    match pin!(run(engine, scenario, watch)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(stopped) => stopped,
        Poll::Pending => unreachable!("virtual time passes without waiting"),
    }
}

/// Whether two steps that follow each other were written as one statement.
fn are_of_one_line(one: &Step, next: &Step) -> bool {
    one.line > 0 && one.line == next.line
}

async fn take<E: Engine>(engine: &mut E, line: &[Step], watch: &mut impl Watch) -> Performed<E::Violation> {
    if let Some(at_us) = line[0].at_us {
        engine.pass_until(at_us).await?;
    }
    tell(engine, line, News::Begins, watch).await;
    match &line[0].statement {
        Statement::Advance(us) => engine.pass_until(engine.now_us() + us).await.map(|()| None),
        Statement::Expect { condition, within_us } => {
            let within_us = engine.patience_us().max(*within_us);
            let end_us = engine.now_us() + within_us;
            loop {
                let Err(why) = engine.observe(condition).await? else { return Ok(None) };
                if within_us == 0 || !engine.pass_some(end_us).await? {
                    return Err(Halt::Failed(why));
                }
                watch.hear(Moment { line, at_us: engine.now_us(), news: News::Waits(&why), nodes: &[] }).await;
            }
        }
        _ => engine.perform(line).await,
    }
}

/// Whether this is to be broken, in one of these steps.
fn expect(steps: &[Step], invariant: Invariant) -> bool {
    let broken = Condition::Violation(invariant);
    steps.iter().any(|step| matches!(&step.statement, Statement::Expect { condition, .. } if *condition == broken))
}

impl<V> Stopped<V> {
    /// The line; 0 if there are no lines.
    pub fn line(&self) -> usize {
        match self {
            Stopped::Broken { line, .. } | Stopped::Failed { line, .. } => *line,
        }
    }
}

impl<V: fmt::Display> fmt::Display for Stopped<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line();
        if line > 0 {
            write!(f, "line {line}: ")?;
        }
        match self {
            Stopped::Broken { violation, .. } => write!(f, "{violation}"),
            Stopped::Failed { statement, why, .. } => write!(f, "`{statement}`, but {why}"),
        }
    }
}
