//! `raftianctl timeline`: a run, or the last minute of the lab, as a page to zoom and ask, as a chart, or as a trace.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use raftian_bench::chart::{timeline_html, timeline_svg, to_png};
use raftian_bench::lab::Lab;
use raftian_bench::run::{Message, Messages, Run, Unpacked, lab_timeline};
use raftian_bench::timeline::{MOST_CALLS, TimelineData};
use raftian_rpc::files::write_private;
use serde::Serialize;

use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::keep::store;
use crate::{progress, words};

/// How much of a lab that runs is drawn.
const LAST: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  raftianctl timeline last
  raftianctl timeline 3fa2 --to run.svg
  raftianctl timeline last --to trace.json
  raftianctl timeline

Roles and terms of every node, faults, elections with who voted for whom, throughput, latencies, and operations that \
failed or are unknown. The page is one file that loads nothing: the wheel zooms, dragging moves, and what is under the \
mouse says what it is. A trace (Trace Event format) opens in Perfetto (ui.perfetto.dev) and speedscope, and shows the \
messages, too, if they were recorded (`load --record messages`). Without a run, the \
last 60 s of the lab are drawn, which has no history of its clients.";

/// Draw a run, or the last minute of the lab, over time
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The run: its name, the beginning of it, `last`, a folder, or a file that was exported [default: the running lab]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// The file: .html, .svg, .png, or .json for a trace [default: timeline-RUN.html]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// The forms of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Html,
    Svg,
    Png,
    Json,
}

/// What was drawn.
#[derive(Debug, Serialize)]
struct Drawn {
    file: PathBuf,
    bytes: u64,
    nodes: usize,
    faults: usize,
    elections: usize,
    operations: u64,
    /// The calls that were recorded, where they are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<usize>,
    #[serde(skip)]
    what: String,
}

/// What is drawn.
struct Source {
    data: TimelineData,
    messages: Messages,
    /// What it is, in words.
    what: String,
    /// How its file is called.
    name: String,
}

/// Draws it.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let Source { data, messages, what, name } = match &args.run {
        Some(run) => of_run(context, run)?,
        None => of_lab(context).await?,
    };
    let file = args.to.unwrap_or_else(|| format!("timeline-{name}.html").into());
    let form = form(&file)?;
    let spinner = progress::spinner(context.output);
    spinner.set_message("drawing");
    let drawn = draw(&data, &messages.calls, form);
    spinner.finish_and_clear();
    let drawn = drawn?;
    write_private(&file, &drawn)
        .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", file.display())))?;
    let report = Drawn {
        bytes: drawn.len() as u64,
        nodes: data.lanes.len(),
        faults: data.windows.len(),
        elections: data.elections.len(),
        operations: data.summary.n,
        messages: (form == Form::Json && !messages.calls.is_empty()).then_some(messages.calls.len()),
        what,
        file,
    };
    context.output.report(&report, told)
}

fn told(drawn: &Drawn) -> String {
    let Drawn { file, bytes, nodes, faults, elections, operations, messages, what } = drawn;
    let count = |count: usize, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    let messages = match messages {
        Some(all) if *all > MOST_CALLS => format!(", at most {MOST_CALLS} of {all} calls between nodes"),
        Some(all) => format!(", {} between nodes", count(*all, "call")),
        None => String::new(),
    };
    format!(
        "{}, {}: {what}; {}, {}, {} with a candidate, {}{messages}\n",
        file.display(),
        words::bytes(*bytes),
        words::nodes(*nodes),
        count(*faults, "fault"),
        count(*elections, "term"),
        count(usize::try_from(*operations).unwrap_or(usize::MAX), "operation"),
    )
}

fn of_run(context: &Context, name: &str) -> Result<Source, Failure> {
    let file = Path::new(name);
    let unpacked = if file.is_file() { Some(Unpacked::of(file)?) } else { None };
    let run = match &unpacked {
        Some(unpacked) => unpacked.run().clone(),
        None => Run::open(&store()?.find(name)?)?,
    };
    let (data, cuts) = run.timeline()?;
    let messages = run.messages()?;
    cuts.iter().chain(&messages.cuts).for_each(|cut| context.output.note(&format!("warning: {cut}")));
    let id = run.manifest().id.to_string();
    Ok(Source { data, messages, what: format!("run {id}"), name: id })
}

async fn of_lab(context: &Context) -> Result<Source, Failure> {
    let daemon = context.daemon().await?;
    let lab = Lab::at(daemon.address, daemon.secret.clone())?;
    let data = lab_timeline(&lab, LAST).await?;
    let what = format!("the last {} s of lab `{}`", LAST.as_secs(), context.lab);
    Ok(Source { data, messages: Messages::default(), what, name: context.lab.clone() })
}

fn form(file: &Path) -> Result<Form, Failure> {
    let ending = file.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
    Form::from_str(&ending, true).map_err(|_| {
        let why = format!("{} is not the name of a timeline; name it .html, .svg, .png or .json", file.display());
        Failure::new(Kind::Usage, why)
    })
}

fn draw(data: &TimelineData, messages: &[Message], form: Form) -> Result<Vec<u8>, Failure> {
    Ok(match form {
        Form::Html => timeline_html(data).into_bytes(),
        Form::Svg => timeline_svg(data).into_bytes(),
        Form::Png => to_png(&timeline_svg(data))?,
        Form::Json => data.trace(messages).into_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_what_the_file_is_called() {
        let of = |name: &str| form(Path::new(name)).ok();
        assert_eq!(
            (of("a.html"), of("a.SVG"), of("x/trace.json")),
            (Some(Form::Html), Some(Form::Svg), Some(Form::Json))
        );
        for name in ["a", "a.gif", "-", ""] {
            assert!(
                form(Path::new(name)).unwrap_err().message().contains("name it .html, .svg, .png or .json"),
                "{name}"
            );
        }
    }

    #[test]
    fn the_help_says_how_much_of_a_lab_is_drawn() {
        assert!(EXAMPLES.contains(&format!("last {} s of the lab", LAST.as_secs())));
    }
}
