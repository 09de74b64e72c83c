//! `raftianctl sim figure`: the scenarios that everybody should have seen.

use raftian_script::{FIGURES, Figure, nearest};
use serde::Serialize;

use crate::cli::Context;
use crate::cmd::sim::chart::Drawing;
use crate::cmd::sim::script;
use crate::failure::{Failure, Kind};
use crate::table::{Align, Table};

const EXAMPLES: &str = "\
Examples:
  raftianctl sim figure
  raftianctl sim figure fig8_d
  raftianctl sim figure fig8_d --chart svg --to fig8_d.svg
  raftianctl sim figure fig8_d --text

Without a name, lists them. A situation of `raftianctl sim peers` can be played by its name, too. Exit code 1 if it does not hold; with the bug that it is about planted (--mutant), it \
does not.";

/// Play a figure of the paper, or another scenario that everybody should have seen
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Its name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print the scenario instead of playing it
    #[arg(long, requires = "name", conflicts_with = "chart")]
    text: bool,
    /// Plant this bug (see `raftianctl sim zoo`)
    #[arg(long, value_name = "NAME", requires = "name")]
    mutant: Option<String>,
    #[command(flatten)]
    chart: Drawing,
}

/// A scenario in the list.
#[derive(Debug, Serialize)]
struct Listed {
    /// Its name.
    name: &'static str,
    /// What it is, in a line.
    title: String,
}

/// Plays one, or lists them all.
pub(crate) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let Some(name) = &args.name else {
        return match args.chart.is_wanted() {
            true => Err(Failure::new(Kind::Usage, "name the figure to draw; `raftianctl sim figure` lists them")),
            false => list(context).map(|()| 0),
        };
    };
    let figure = Figure::named(name).ok_or_else(|| unknown(name))?;
    if args.text {
        return context.output.text(figure.text).map(|()| 0);
    }
    script::play(context, figure.scenario(), args.mutant.as_deref(), &args.chart)
}

fn unknown(name: &str) -> Failure {
    let hint = match nearest(name, FIGURES.iter().map(|figure| figure.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`raftianctl sim figure` lists them".to_owned(),
    };
    Failure::new(Kind::Usage, format!("there is no figure `{name}`; {hint}"))
}

fn list(context: &Context) -> Result<(), Failure> {
    let listed: Vec<Listed> =
        FIGURES.iter().map(|figure| Listed { name: figure.name, title: figure.scenario().title }).collect();
    context.output.data(&listed, |listed| {
        let mut table = Table::new([("NAME", Align::Left), ("WHAT THERE IS TO SEE", Align::Left)]);
        listed.iter().for_each(|Listed { name, title }| table.row([*name, title.as_str()]));
        table.render(context.output.colour())
    })
}
