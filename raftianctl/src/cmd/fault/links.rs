//! `raftianctl fault add latency|drop|duplicate|reorder`: what goes wrong on links.

use std::time::Duration;

use clap::Subcommand;
use raftian_rpc::connect::Http;
use raftian_rpc::faults::{Effect, InvalidEffect, Profile};
use raftian_rpc::lab::{FaultReport, FaultRequest, LabClient as _, NetworkRequest};
use raftian_rpc::selector::Selector;

use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::{units, words};

const PROFILE_EXAMPLES: &str = "\
Examples:
  raftianctl fault add profile wan
  raftianctl fault add profile geo --for 1m

lan: 0.25 ms each way. wifi: 3 ms, give or take 2, and 1 % is lost. wan: 20 ms, give or take 2, and 0.1 % is lost. geo: the \
nodes stand in turn in Washington DC, Frankfurt, Tokyo, Sydney and São Paulo, and have the average round trips that IBM \
Cloud publishes. A lab for that has long time-outs: `raftianctl start --pace classroom`.";

const LATENCY_EXAMPLES: &str = "\
Examples:
  raftianctl fault add latency --from @leader --to @followers --one-way 50ms
  raftianctl fault add latency --from n1 --to n2,n3 50ms --jitter 10ms --for 30s";

const DROP_EXAMPLE: &str = "\
Example:
  raftianctl fault add drop --from n1 --to @all 20% --for 30s";

const DUPLICATE_EXAMPLE: &str = "\
Example:
  raftianctl fault add duplicate --from @all --to @all 10% --for 30s";

const REORDER_EXAMPLE: &str = "\
Example:
  raftianctl fault add reorder --from @all --to @all 20% --by 30ms";

/// The effects on links.
#[derive(Debug, Subcommand)]
pub(super) enum OnLinks {
    /// Make messages late
    #[command(after_help = LATENCY_EXAMPLES)]
    Latency {
        /// How late
        #[arg(value_name = "DELAY", value_parser = units::delay_ms, allow_hyphen_values = true)]
        delay_ms: f64,
        /// How much more or less than that, at random
        #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = units::delay_ms, allow_hyphen_values = true)]
        jitter: f64,
        #[command(flatten)]
        links: Links,
    },
    /// Lose some messages at random
    #[command(visible_alias = "loss", after_help = DROP_EXAMPLE)]
    Drop {
        /// Which share of them
        #[arg(value_name = "SHARE", value_parser = units::probability, allow_hyphen_values = true)]
        probability: f64,
        #[command(flatten)]
        links: Links,
    },
    /// Deliver some messages twice
    #[command(after_help = DUPLICATE_EXAMPLE)]
    Duplicate {
        /// Which share of them
        #[arg(value_name = "SHARE", value_parser = units::probability, allow_hyphen_values = true)]
        probability: f64,
        #[command(flatten)]
        links: Links,
    },
    /// Hold some messages back, so that those after them come first
    #[command(after_help = REORDER_EXAMPLE)]
    Reorder {
        /// Which share of them
        #[arg(value_name = "SHARE", value_parser = units::probability, allow_hyphen_values = true)]
        probability: f64,
        /// For how long at most, at random
        #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = units::delay_ms, allow_hyphen_values = true)]
        by: f64,
        #[command(flatten)]
        links: Links,
    },
}

/// The networks that have names.
#[derive(Debug, Subcommand)]
pub(super) enum Network {
    /// Put all nodes into a network: lan, wifi, wan, or geo with round trips between continents
    #[command(after_help = PROFILE_EXAMPLES)]
    Profile {
        /// Which: lan, wifi, wan or geo
        #[arg(value_name = "NAME")]
        profile: Profile,
        /// Clear by itself after this time
        #[arg(long = "for", value_name = "TIME", value_parser = units::duration, allow_hyphen_values = true)]
        lasting: Option<Duration>,
    },
}

/// Which links, and for how long.
#[derive(Debug, clap::Args)]
pub(super) struct Links {
    /// Where the links start
    #[arg(long, value_name = "SELECTOR")]
    from: Selector,
    /// Where they end
    #[arg(long, value_name = "SELECTOR")]
    to: Selector,
    /// Not the way back; without this, links in both directions
    #[arg(long)]
    one_way: bool,
    /// Clear by itself after this time
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration, allow_hyphen_values = true)]
    lasting: Option<Duration>,
}

/// Adds a fault to links.
pub(super) async fn add(context: &Context, what: OnLinks) -> Result<(FaultReport, Option<Duration>), Failure> {
    let (effect, links) = match what {
        OnLinks::Latency { delay_ms, jitter, links } => (Effect::latency(delay_ms, jitter), links),
        OnLinks::Drop { probability, links } => (Effect::drop(probability), links),
        OnLinks::Duplicate { probability, links } => (Effect::duplicate(probability), links),
        OnLinks::Reorder { probability, by, links } => (Effect::reorder(probability, by), links),
    };
    let Links { from, to, one_way, lasting } = links;
    let effect = effect.map_err(out_of_range)?;
    let request = FaultRequest { effect, from, to, one_way, for_ms: lasting.map(words::millis) };
    let daemon = context.daemon().await?;
    Ok((daemon.ask(async |lab: Http| lab.fault_add(request).await).await?, lasting))
}

/// Puts all nodes into a network.
pub(super) async fn network(context: &Context, what: Network) -> Result<(FaultReport, Option<Duration>), Failure> {
    let Network::Profile { profile, lasting } = what;
    let request = NetworkRequest { profile, for_ms: lasting.map(words::millis) };
    let daemon = context.daemon().await?;
    Ok((daemon.ask(async |lab: Http| lab.network(request).await).await?, lasting))
}

/// A value that no effect has.
pub(super) fn out_of_range(error: InvalidEffect) -> Failure {
    Failure::new(Kind::Usage, error.to_string())
}
