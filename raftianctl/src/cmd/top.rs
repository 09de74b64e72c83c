//! `raftianctl top`: the lab in the terminal, as it changes, and what can be done to it by a key.
//!
//! Invariant: whatever happens, the terminal is left as it was found. A key does what a line of the shell does, and shows that
//! line: it runs this very program with it.
//!
//! Deliberately absent: a way of its own to change anything.

mod draw;
mod screen;
mod state;
mod strip;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};
use std::process::Stdio;
use std::time::Duration;

use jsonrpsee::core::client::{Client, Subscription};
use raftian_rpc::connect::Http;
use raftian_rpc::lab::LabClient as _;
use raftian_view::{Frame, View, ViewClient as _, WatchRequest};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::cli::Context;
use crate::failure::Failure;
use crate::output;
use screen::Screen;
use state::{Deed, State, Wish};

const EXAMPLES: &str = "\
Examples:
  raftianctl top
  raftianctl top | cat
  raftianctl top -o json | jq '.nodes[].tail'

Keys: up and down choose a node, space marks several; k kills, p pauses or resumes, r restarts, t transfers the lead, c cuts the marked \
nodes off from the others, h heals, S starts what is down; m lets the terminal select text again, ? shows all keys, q leaves. The mouse chooses, \
marks and presses, too. Each key shows the line of the shell that does the same. Where the output is no terminal, one picture is printed.";

/// How long to wait before the daemon is looked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// The size of a picture that is printed.
const PRINTED: (u16, u16) = (200, 40);

/// Watch the lab in the terminal, and break it by key and mouse
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// What happens while it runs.
enum News {
    Frame(Frame),
    /// The daemon cannot be reached, and why.
    Lost(String),
    /// What a deed said.
    Done(String),
}

/// Shows the lab until the person leaves.
pub(crate) async fn run(context: &Context, _: Args) -> Result<(), Failure> {
    if context.output.is_json() || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return print(context).await;
    }
    // Said before the screen is taken over: that there is no lab.
    context.daemon().await?;
    let (news, mut told) = mpsc::channel(64);
    let mut screen =
        Screen::open().map_err(|error| Failure::failed(format!("the terminal cannot be used: {error}")))?;
    let watching = follow(context, news.clone());
    tokio::pin!(watching);
    let mut state = State::default();
    loop {
        screen.draw(|frame| draw::draw(frame, &mut state, context.output.colour())).map_err(output::unwritable)?;
        let wish = tokio::select! {
            () = &mut watching => None,
            Some(news) = told.recv() => {
                take_in(&mut state, news);
                // What has come meanwhile is shown in the same picture.
                while let Ok(news) = told.try_recv() {
                    take_in(&mut state, news);
                }
                None
            }
            event = screen.event() => match event {
                Some(event) => state.event(&event),
                None => Some(Wish::Leave),
            },
        };
        match wish {
            Some(Wish::Leave) => return Ok(()),
            Some(Wish::Mouse(on)) => screen.take_mouse(on).map_err(output::unwritable)?,
            Some(Wish::Do(deed)) => carry_out(context, deed, &news),
            None => {}
        }
    }
}

fn take_in(state: &mut State, news: News) {
    match news {
        News::Frame(frame) => state.frame(frame),
        News::Lost(why) => state.lose(why),
        News::Done(said) => state.say(said),
    }
}

/// Tells what the daemon shows, over lost connections, for ever.
async fn follow(context: &Context, news: mpsc::Sender<News>) {
    let mut since = 0;
    loop {
        match subscribe(context, since).await {
            Ok((_client, mut frames)) => {
                while let Some(Ok(frame)) = frames.next().await {
                    if let Frame::Events(events) = &frame {
                        since = events.last().map_or(since, |told| told.event.seq + 1);
                    }
                    if news.send(News::Frame(frame)).await.is_err() {
                        return;
                    }
                }
            }
            Err(failure) => drop(news.send(News::Lost(failure.line(false).unwrap_or_default())).await),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// A connection, and the frames that come over it as long as it is held.
async fn subscribe(context: &Context, since: u64) -> Result<(Client, Subscription<Frame>), Failure> {
    let daemon = context.daemon().await?;
    let client = daemon.websocket().await?;
    let request = WatchRequest { since, messages: false };
    match client.watch(request).await {
        Ok(frames) => Ok((client, frames)),
        Err(error) => Err(daemon.explain(&error, crate::connect::QUICK)),
    }
}

/// Runs this program with a line of the shell; what it says is news.
fn carry_out(context: &Context, deed: Deed, news: &mpsc::Sender<News>) {
    let (lab, news) = (context.lab.clone(), news.clone());
    tokio::spawn(async move {
        let said = match std::env::current_exe() {
            Ok(program) => {
                let mut command = Command::new(program);
                command
                    .args(["--lab", &lab])
                    .args(&deed.words)
                    .env("NO_COLOR", "1")
                    .stdin(Stdio::null())
                    .kill_on_drop(true);
                match command.output().await {
                    Ok(output) => last_words(&output.stdout, &output.stderr),
                    Err(error) => format!("it cannot be done: {error}"),
                }
            }
            Err(error) => format!("it cannot be done: {error}"),
        };
        // Nobody waits for it any more when the person has left.
        let _ = news.send(News::Done(said)).await;
    });
}

/// What a command said, in a line: its answer, else its complaint.
fn last_words(stdout: &[u8], stderr: &[u8]) -> String {
    let said = if stdout.trim_ascii().is_empty() { stderr } else { stdout };
    let lines = String::from_utf8_lossy(said);
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// One picture, as text; or the view itself.
async fn print(context: &Context) -> Result<(), Failure> {
    if context.output.is_json() {
        let daemon = context.daemon().await?;
        let status = daemon.ask(async |lab: Http| lab.status().await).await?;
        return context.output.data(&View::of(&status), |_| String::new());
    }
    let mut state = State::default();
    let (_client, mut frames) = subscribe(context, 0).await?;
    // The events come before the view.
    while state.view().is_none() {
        match frames.next().await {
            Some(Ok(frame)) => state.frame(frame),
            _ => return Err(Failure::failed("the daemon went away")),
        }
    }
    context.output.text(&draw::picture(&mut state, PRINTED))
}
