//! `raftianctl plot`: single charts of a run, for a page or for a column of a paper.
//!
//! Invariant: what is drawn is computed from the run's raw data, never read from an earlier report.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use raftian_bench::analysis::finding::Figure;
use raftian_bench::chart::Width;
use raftian_bench::report::Source;
use raftian_script::nearest;
use serde::Serialize;

use crate::cli::Context;
use crate::failure::{Failure, Kind};

/// Draw charts of a run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raftianctl plot results/mine --list
  raftianctl plot results/mine
  raftianctl plot results/mine e1-fps --to fps.png
  raftianctl plot results/mine e1-fps e4-order --width column --to .

Without a FIGURE the run's main one is drawn: that of E1, if it was run. A chart for a page has its title, subtitle and \
footer with it. A chart for a column of a two-column paper is the plot alone, with texts of 7 to 8 points when it is \
3.5 inches wide; the paper's caption says the rest, and is printed here. An SVG becomes a PDF with `rsvg-convert -f \
pdf` or with Inkscape.")]
pub(crate) struct Args {
    /// The folder of the run, made by `raftianctl bench run`
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Which figures, by the names that --list shows
    #[arg(value_name = "FIGURE")]
    figures: Vec<String>,
    /// List the figures of the run, and draw none
    #[arg(long, conflicts_with_all = ["figures", "to", "format", "width"])]
    list: bool,
    /// The file to draw into, or a folder that exists, for files named after their figures [default: the current folder]
    #[arg(long, value_name = "FILE|FOLDER")]
    to: Option<PathBuf>,
    /// svg or png; without it, what the ending of the file's name says, or svg where it has none
    #[arg(long, value_name = "FORM", value_enum, hide_possible_values = true)]
    format: Option<Form>,
    /// page (860 px) or column (of a two-column paper)
    #[arg(long, value_name = "WIDTH", value_enum, default_value_t, hide_possible_values = true)]
    width: Size,
}

/// The form of a chart's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Svg,
    Png,
}

/// What a chart is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Size {
    #[default]
    Page,
    Column,
}

/// A chart that was drawn, or could be.
#[derive(Debug, Serialize)]
struct Drawn<'a> {
    figure: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    title: &'a str,
    subtitle: &'a str,
    caption: &'a str,
}

/// Draws.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let source = Source::open(&args.run)?;
    let all: Vec<&Figure> = source.figures().collect();
    if args.list {
        let list: Vec<Drawn<'_>> = all.iter().map(|figure| drawn(figure, None)).collect();
        return context.output.data(&list, |list| table(list));
    }
    let chosen = choose(&all, &args.figures, &args.run)?;
    let targets = targets(&chosen, args.to.as_deref(), args.format)?;
    let width = match args.width {
        Size::Page => Width::Page,
        Size::Column => Width::Column,
    };
    let mut charts = Vec::new();
    for (figure, (file, form)) in chosen.into_iter().zip(targets) {
        let svg = source.draw(figure, width);
        let bytes = match form {
            Form::Svg => svg.into_bytes(),
            Form::Png => width.to_png(&svg)?,
        };
        fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        charts.push(drawn(figure, Some(file)));
    }
    if !context.output.is_json() {
        context.output.note(&format!("measured on {}", source.provenance()));
    }
    context.output.data(&charts, |charts| words(charts))
}

fn drawn(figure: &Figure, file: Option<PathBuf>) -> Drawn<'_> {
    let Figure { name, title, subtitle, caption, .. } = figure;
    Drawn { figure: name, file, title, subtitle, caption }
}

/// The figures with these names, or the main one.
fn choose<'a>(all: &[&'a Figure], names: &[String], run: &Path) -> Result<Vec<&'a Figure>, Failure> {
    let find = |name: &String| {
        let figure = all.iter().find(|figure| figure.name == *name).copied();
        figure.ok_or_else(|| {
            let list = format!("`raftianctl plot {} --list` shows all", run.display());
            let hint = match nearest(name, all.iter().map(|figure| &*figure.name)) {
                Some(near) => format!("did you mean `{near}`? {list}"),
                None => list,
            };
            Failure::new(Kind::Usage, format!("the run has no figure `{name}`; {hint}"))
        })
    };
    // The paper's question first, whatever else was measured.
    let main = all.iter().find(|figure| figure.name.starts_with("e1-")).or(all.first());
    match (names, main) {
        (_, None) => Err(Failure::failed(format!(
            "nothing in {} can be drawn: no experiment has enough trials for a figure; `raftianctl bench report {}` says \
             what is missing",
            run.display(),
            run.display()
        ))),
        ([], Some(main)) => Ok(vec![main]),
        (names, _) => names.iter().map(find).collect(),
    }
}

/// Where each figure goes, and in which form.
fn targets(figures: &[&Figure], to: Option<&Path>, format: Option<Form>) -> Result<Vec<(PathBuf, Form)>, Failure> {
    let usage = |message: String| Failure::new(Kind::Usage, message);
    let file = to.filter(|to| !to.is_dir() && !to.as_os_str().as_encoded_bytes().ends_with(b"/"));
    let Some(file) = file else {
        let folder = to.unwrap_or(Path::new(""));
        let form = format.unwrap_or(Form::Svg);
        return Ok(figures
            .iter()
            .map(|figure| (folder.join(format!("{}.{}", figure.name, form.extension())), form))
            .collect());
    };
    if figures.len() > 1 {
        let file = file.display();
        return Err(usage(format!("{} figures do not fit into {file}; name a folder that exists", figures.len())));
    }
    if file == Path::new("-") {
        return Err(usage("a chart goes into a file, not to standard output; name it .svg or .png".to_owned()));
    }
    let ending = file.extension().map(|ending| ending.to_string_lossy());
    let named = ending.as_ref().and_then(|ending| Form::from_str(ending, true).ok());
    match (ending, named, format) {
        (_, Some(named), Some(format)) if named != format => Err(usage(format!(
            "{} is not the name of a {} file; leave out --format or change the name",
            file.display(),
            format.extension()
        ))),
        (Some(ending), None, None) => Err(usage(format!(
            "{} would be a chart in a form `{ending}`, which there is not; name it .svg or .png, or say --format",
            file.display()
        ))),
        (_, named, format) => Ok(vec![(file.to_owned(), format.or(named).unwrap_or(Form::Svg))]),
    }
}

impl Form {
    fn extension(self) -> &'static str {
        match self {
            Form::Svg => "svg",
            Form::Png => "png",
        }
    }
}

fn table(list: &[Drawn<'_>]) -> String {
    let width = list.iter().map(|drawn| drawn.figure.len()).max().unwrap_or(0);
    list.iter().fold(String::new(), |mut text, drawn| {
        let _ = writeln!(text, "{:<width$}  {}", drawn.figure, drawn.title);
        text
    })
}

fn words(charts: &[Drawn<'_>]) -> String {
    charts.iter().fold(String::new(), |mut text, drawn| {
        let file = drawn.file.as_deref().unwrap_or(Path::new("")).display();
        let _ = writeln!(text, "{file}\n  {}\n  {}\n  {}", drawn.title, drawn.subtitle, drawn.caption);
        text
    })
}

#[cfg(test)]
mod tests {
    use raftian_bench::analysis::finding::{Axis, Plot, Scale, Stacks};

    use super::*;

    fn figure(name: &str) -> Figure {
        let plot = Stacks { y: Axis { label: "y".into(), scale: Scale::FromZero }, parts: vec![], bars: vec![] };
        let [title, subtitle, caption] = ["title", "subtitle", "caption"].map(str::to_owned);
        Figure { name: name.into(), title, subtitle, caption, plot: Plot::Stacks(plot) }
    }

    #[test]
    fn an_unknown_figure_is_answered_with_near_ones() {
        let figures = ["e0-timer", "e1-cost", "e1-fps", "e1-fps-cap-1000", "e4-order"].map(figure);
        let all: Vec<&Figure> = figures.iter().collect();
        let failure = choose(&all, &["e1-fsp".into()], Path::new("RUN")).unwrap_err();
        assert_eq!(failure.kind(), Kind::Usage);
        let message = failure.message();
        assert!(message.contains("did you mean `e1-fps`? `raftianctl plot RUN --list`"), "{message}");
        let message = choose(&all, &["throughput".into()], Path::new("RUN")).unwrap_err().message().to_owned();
        assert_eq!(message, "the run has no figure `throughput`; `raftianctl plot RUN --list` shows all");
    }

    #[test]
    fn without_a_name_the_papers_figure_is_drawn() {
        let figures = ["e0-timer", "e1-fps"].map(figure);
        let all: Vec<&Figure> = figures.iter().collect();
        let names = |names: &[&str]| -> Vec<String> {
            let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
            choose(&all, &names, Path::new("RUN")).unwrap().iter().map(|figure| figure.name.clone()).collect()
        };
        assert_eq!(names(&[]), ["e1-fps"]);
        assert_eq!(names(&["e1-fps", "e0-timer"]), ["e1-fps", "e0-timer"]);
        assert!(choose(&[], &[], Path::new("RUN")).unwrap_err().message().contains("nothing in RUN can be drawn"));
    }

    #[test]
    fn the_form_is_what_was_asked_for_or_what_the_file_is_called() {
        let figures = [figure("a"), figure("b")];
        let [a, b] = [&figures[0], &figures[1]];
        let one = |to: &str, format| targets(&[a], Some(Path::new(to)), format);
        assert_eq!(targets(&[a, b], None, None).unwrap()[1], ("b.svg".into(), Form::Svg));
        assert_eq!(one("chart.PNG", None).unwrap(), [("chart.PNG".into(), Form::Png)]);
        assert_eq!(one("chart", None).unwrap(), [("chart".into(), Form::Svg)]);
        assert_eq!(one("chart", Some(Form::Png)).unwrap(), [("chart".into(), Form::Png)]);
        assert_eq!(one("/", Some(Form::Png)).unwrap(), [("/a.png".into(), Form::Png)]);
        assert!(one("chart.svg", Some(Form::Png)).unwrap_err().message().contains("not the name of a png file"));
        for unknown in ["chart.gif", "chart.svg.gz"] {
            let failure = one(unknown, None).unwrap_err();
            assert_eq!(failure.kind(), Kind::Usage, "{unknown}");
            assert!(failure.message().contains("name it .svg or .png"), "{failure:?}");
        }
        let to_standard_output = one("-", Some(Form::Png)).unwrap_err();
        assert!(to_standard_output.message().contains("name it .svg or .png"), "{to_standard_output:?}");
        assert_eq!(one("chart.v2", Some(Form::Png)).unwrap(), [("chart.v2".into(), Form::Png)]);
        let both = targets(&[a, b], Some(Path::new("chart.svg")), None);
        assert!(both.unwrap_err().message().contains("do not fit into chart.svg"));
    }
}
