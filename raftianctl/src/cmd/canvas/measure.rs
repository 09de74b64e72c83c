//! `raftianctl canvas measure`: a load on an open canvas as browsers make it.

use std::net::SocketAddr;
use std::time::Duration;

use raftian_bench::gateway::{GatewayFigures, GatewayLoad, paint};

use crate::cli::Context;
use crate::failure::Failure;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  raftianctl canvas measure http://127.0.0.1:8080/?key=9f2c
  raftianctl canvas measure http://127.0.0.1:8080/?key=9f2c --looks 1000

The address is what `raftianctl canvas share` prints. The canvas is painted over. Times count from the moment at which a pixel was to be painted.";

/// How large the load is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The address that `canvas share` prints
    #[arg(value_name = "URL", value_parser = shared)]
    url: (SocketAddr, String),
    /// How many WebSockets look
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    looks: u16,
    /// How many painters post, each one request after the other
    #[arg(long, value_name = "COUNT", default_value = "50", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    painters: u16,
    /// How many pixels each request has
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=4_096))]
    batch: u16,
    /// How many pixels are painted in a second, by all
    #[arg(long, value_name = "RATE", default_value = "500/s", value_parser = units::rate_per_s)]
    rate: f64,
    /// For how long
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    time: Duration,
}

/// Carries it out.
pub(super) async fn measure(context: &Context, args: Args) -> Result<(), Failure> {
    let Args { url: (address, key), looks, painters, batch, rate, time } = args;
    let (looks, painters, batch) = (usize::from(looks), usize::from(painters), usize::from(batch));
    let load = GatewayLoad { address, key, looks, painters, batch, pixels_per_s: rate, time };
    let figures = paint(&load).await.map_err(|error| Failure::failed(format!("{error:#}")))?;
    let is_equal = figures.equal == figures.looks;
    context.output.data(&figures, summary)?;
    match is_equal {
        true => Ok(()),
        false => Err(Failure::failed("not every look ended with the board that is served")),
    }
}

fn summary(figures: &GatewayFigures) -> String {
    let GatewayFigures { looks, painters, batch, offered_per_s, painted_per_s, requests, failed, .. } = figures;
    let times = |times: Option<(f64, f64)>| {
        times.map_or("not measured".to_owned(), |(p50, p99)| format!("p50 {p50:.1} ms, p99 {p99:.1} ms"))
    };
    format!(
        "{painted_per_s:.0} of {offered_per_s:.0} pixels/s painted by {painters} painters, {batch} with each request; {requests} \
         requests succeeded, {failed} failed\nclick → answer   {}\nclick → seen     {} ({} times)\n{} of {looks} looks ended with \
         the board that is served",
        times(figures.answered_ms),
        times(figures.seen_ms),
        figures.seen_count,
        figures.equal
    )
}

/// The address and the key in `http://127.0.0.1:8080/?key=…`.
fn shared(text: &str) -> Result<(SocketAddr, String), String> {
    let parts = text.strip_prefix("http://").and_then(|rest| rest.split_once("/?key="));
    let shared = parts.and_then(|(address, key)| Some((address.parse().ok()?, key.to_owned())));
    shared.ok_or_else(|| format!("`{text}` is not an address of a canvas, such as `raftianctl canvas share` prints"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_was_shared_is_understood() {
        let (address, key) = shared("http://127.0.0.1:8080/?key=abc").unwrap();
        assert_eq!((address.port(), key.as_str()), (8080, "abc"));
        assert!(shared("http://127.0.0.1:8080").unwrap_err().contains("canvas share"));
    }
}
