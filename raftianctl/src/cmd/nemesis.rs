//! `raftianctl nemesis`: faults that are drawn, on a cluster under load, and a verdict.
//!
//! Invariant: what is drawn is a scenario, and played as `run` plays one.

use std::time::Duration;

use raftian_rpc::AppKind;
use raftian_script::{Load, MAX_LOAD_PER_S, Nemesis, Profile};
use serde::Serialize;

use crate::cli::Context;
use crate::cmd::run::{self, On, Piece};
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  raftianctl nemesis
  raftianctl nemesis --profile hard --seed 7 --for 10m
  raftianctl nemesis --profile disks --seed 3
  raftianctl nemesis --profile membership --for 1m -o json
  raftianctl nemesis --profile hard --seed 7 --print > mine.scenario

Nodes crash, pause, are cut off from each other, leave and join, while clients ask for things all the time; at the end \
all is mended, the nodes must agree, and histories and logs are judged. The same seed draws the same faults: --print \
shows them as a scenario, which `raftianctl run` plays, too. gentle has one fault at a time; in hard faults meet; \
disks has slow, full and failing disks; clocks has clocks at other rates, that stand still, or jump; membership has nodes \
leave and join. It is kept as a run (`raftianctl runs`). The exit code tells the verdict: 0 valid, 1 \
violated, or the cluster did not come to life; 3 unknown.";

/// Strike a cluster under load with drawn faults, and judge it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How hard, and where: gentle, hard, disks, clocks or membership
    #[arg(long, value_name = "NAME", default_value = "gentle", value_parser = profile)]
    profile: Profile,
    /// What decides which faults come when, and what clients ask for
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = units::seed)]
    seed: u64,
    /// How long it strikes
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = units::duration, allow_hyphen_values = true)]
    lasting: Duration,
    /// How many nodes, 3 to 64
    #[arg(short, long, value_name = "COUNT", default_value_t = 5, value_parser = units::node_count, allow_hyphen_values = true)]
    nodes: u16,
    /// The application: kv, attack or canvas
    #[arg(long, value_name = "NAME", default_value_t = AppKind::Kv)]
    app: AppKind,
    /// Operations per second, in all
    #[arg(long, value_name = "RATE", default_value = "300/s", value_parser = units::rate_per_s, allow_hyphen_values = true)]
    rate: f64,
    /// Concurrent clients, each with one operation outstanding
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    clients: u16,
    /// What plays it: processes, or sim
    #[arg(long, value_name = "ENGINE", value_enum, default_value_t = On::Processes, hide_possible_values = true)]
    engine: On,
    /// Print what is drawn, as a scenario, and play nothing
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    keeping: run::Keeping,
}

/// What is drawn, where it is printed.
#[derive(Debug, Serialize)]
struct Printed {
    profile: &'static str,
    seed: u64,
    scenario: String,
}

/// Plays what is drawn. The exit code is the verdict's.
pub(crate) async fn run(context: &Context, args: Args, interrupt: Interrupt) -> Result<u8, Failure> {
    let usage = |why: String| Err(Failure::new(Kind::Usage, why));
    if args.nodes < 3 {
        return usage(format!("a nemesis needs 3 nodes, not {}: of fewer, none may be missing", args.nodes));
    }
    if !(1.0..=f64::from(MAX_LOAD_PER_S)).contains(&args.rate) {
        return usage(format!("the rate of a nemesis is 1/s to {MAX_LOAD_PER_S}/s"));
    }
    let drawn = Nemesis {
        profile: args.profile,
        seed: args.seed,
        lasting: args.lasting,
        nodes: args.nodes,
        app: args.app,
        clients: usize::from(args.clients),
        load: Load { per_s: args.rate.round() as u32 },
    };
    let text = drawn.draw();
    if args.print {
        let printed = Printed { profile: args.profile.name(), seed: args.seed, scenario: text };
        return context.output.data(&printed, |printed| printed.scenario.clone()).map(|()| 0);
    }
    let scenario = text.parse().map_err(|why| Failure::failed(format!("what was drawn cannot be read: {why}")))?;
    let piece = Piece { name: format!("nemesis_{}", args.profile.name()), text, scenario };
    run::play(context, &run::Playing::drawn(args.engine, args.keeping), vec![piece], interrupt).await
}

fn profile(text: &str) -> Result<Profile, String> {
    let found = Profile::NAMES.into_iter().find(|(name, _)| *name == text).map(|(_, profile)| profile);
    found.ok_or_else(|| {
        let names = Profile::NAMES.map(|(name, _)| name).join(", ");
        format!("there is none of this name; it is one of {names}")
    })
}
