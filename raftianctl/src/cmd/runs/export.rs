//! `raftianctl runs export` and `import`: a run as one file, and its history in the forms of other judges.
//!
//! Invariant: a file that is there is replaced in one step, or stays as it was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use raftian_bench::run::{Run, RunId, Store};
use serde::Serialize;

use crate::cli::Context;
use crate::failure::Failure;
use crate::{progress, words};

pub(super) const EXAMPLES: &str = "\
Examples:
  raftianctl runs export last --to found.run
  raftianctl runs export 3fa2 --format jepsen --to history.edn
  raftianctl runs export last --format porcupine --to -

A run is exported as a tar archive in an LZ4 frame, with the SHA-256 of every file: `raftianctl check FILE` judges it, \
`raftianctl runs import FILE` takes it in, and `tar -I lz4 -xf FILE` unpacks it.

jepsen: a map in EDN per line, as Knossos and Elle read it; the keys of a store are independent registers, the value is \
[key value]. porcupine: a JSON list of its Operation, with Input the op, Output the answer; both are as in history.jsonl. \
An unknown outcome has a null Output and returns after all others; what failed is left out.";

/// What is exported.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The run: its name, the beginning of it, `last`, or a folder
    #[arg(value_name = "RUN")]
    run: String,
    /// The file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// run (all of it), jepsen or porcupine (its history)
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Form::Run, hide_possible_values = true)]
    format: Form,
}

/// The forms of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    /// All of it, in one file.
    Run,
    /// The history as Jepsen has it.
    Jepsen,
    /// The history as Porcupine has it.
    Porcupine,
}

/// What was exported.
#[derive(Debug, Serialize)]
struct Exported {
    run: RunId,
    format: Form,
    file: PathBuf,
    bytes: u64,
}

/// Exports a run, or its history.
pub(super) fn export(context: &Context, store: &Store, args: &Args) -> Result<(), Failure> {
    let run = Run::open(&store.find(&args.run)?)?;
    if args.to == Path::new("-") {
        return write(context, &run, args.format, &mut io::stdout().lock());
    }
    let unwritable = |error: io::Error| Failure::failed(format!("{} cannot be written: {error}", args.to.display()));
    let scratch = raftian_rpc::files::scratch_of(&args.to);
    let written = create(&scratch).map_err(unwritable).and_then(|mut file| {
        let spinner = progress::spinner(context.output);
        spinner.set_message("writing the run");
        let written = write(context, &run, args.format, &mut file);
        spinner.finish_and_clear();
        written?;
        file.flush().and_then(|()| fs::rename(&scratch, &args.to)).map_err(unwritable)
    });
    written.inspect_err(|_| {
        // Half a file is of no use.
        let _ = fs::remove_file(&scratch);
    })?;
    let bytes = fs::metadata(&args.to).map_err(unwritable)?.len();
    let exported = Exported { run: run.manifest().id.clone(), format: args.format, file: args.to.clone(), bytes };
    context.output.report(&exported, |exported| {
        let what = match exported.format {
            Form::Run => "run",
            Form::Jepsen | Form::Porcupine => "history of run",
        };
        format!("{what} {} in {}, {}\n", exported.run, exported.file.display(), words::bytes(exported.bytes))
    })
}

/// A new file for its owner alone: it holds what a run holds.
fn create(path: &Path) -> io::Result<BufWriter<File>> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(BufWriter::new)
}

fn write(context: &Context, run: &Run, form: Form, out: &mut impl Write) -> Result<(), Failure> {
    let cut = match form {
        Form::Run => {
            run.pack(out)?;
            None
        }
        Form::Jepsen => run.jepsen(out)?,
        Form::Porcupine => run.porcupine(out)?,
    };
    if let Some(cut) = cut {
        context.output.note(&format!("warning: {cut}"));
    }
    Ok(())
}

/// Takes in a run.
pub(super) fn import(context: &Context, store: &Store, file: &Path) -> Result<(), Failure> {
    let run = Run::open(&store.import(file)?)?;
    let imported = super::shown(&run);
    context.output.report(&imported, |imported| {
        let id = &imported.manifest.id;
        format!("run {id} taken in; `raftianctl check {id}` judges it\n")
    })
}
