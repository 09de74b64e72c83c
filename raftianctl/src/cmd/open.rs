//! `raftianctl open`: the page of the lab, in a browser.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use raftian_rpc::connect::Http;
use raftian_rpc::files;
use raftian_rpc::folder::LabFolder;
use raftian_view::ViewClient as _;
use serde::Serialize;

use crate::cli::Context;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  raftianctl open
  raftianctl open --print

Keep the address to yourself: it lets in one page, once, within ten minutes; that page may come back as long as the lab's daemon runs, in other tabs of \
that browser too. Whoever has the page can do what this command line can. For a page where people only paint, see `raftianctl \
canvas share`.";

/// Programs that open an address in the person's browser, the first that is there.
const OPENERS: [&str; 3] = ["xdg-open", "wslview", "open"];

/// Open the page of the lab in a browser
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print the address, and open nothing
    #[arg(long)]
    print: bool,
}

/// Where the page is.
#[derive(Debug, Serialize)]
struct Page {
    /// The address, good for one page.
    url: String,
    /// Whether a browser was asked to show it.
    opened: bool,
}

/// Prints the address, and has a browser show it where there is a person who looks.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let url = daemon.ask(async |lab: Http| lab.open().await).await?.url();
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    let is_wanted = !args.print && io::stdout().is_terminal() && has_screen;
    let opened =
        is_wanted && leads_on(&daemon.folder, &url).is_ok_and(|file| OPENERS.iter().any(|opener| begin(opener, &file)));
    context.output.report(&Page { url, opened }, |page| page.url.clone())
}

/// Writes a file for the owner alone that leads a browser on to an address. All users of the machine can read the arguments of
/// a program, so the address must not be one.
fn leads_on(folder: &LabFolder, url: &str) -> io::Result<PathBuf> {
    let file = folder.path().join("open.html");
    let text = format!("<!DOCTYPE html><meta http-equiv=\"refresh\" content=\"0; url={url}\"><title>raftian</title>\n");
    files::write_private(&file, text.as_bytes())?;
    Ok(file)
}

/// Has a program show a file; whether it is there. What becomes of it is not awaited.
fn begin(opener: &str, file: &Path) -> bool {
    let mut command = Command::new(opener);
    command.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}
