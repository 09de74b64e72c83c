//! Where the windows of a trial are shown: on the desktop there is, or on a virtual display of the trial's own (Xvfb).
//!
//! Invariants: a virtual display is gone, and its socket with it, when this is dropped; and when this program is
//! killed, because a shell beside it ends it at the end of the shell's standard input. It listens on no network.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::experiments::LeftOut;

/// How a desktop tells programs where it is.
const DESKTOPS: [&str; 3] = ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"];

/// Starts the program `$1`, which writes its number, and ends it when standard input ends.
const KEEPER: &str =
    "\"$1\" -displayfd 1 -screen 0 1280x1400x24 -nolisten tcp -noreset & exec >&-; read -r _; kill $!; wait";

/// A display.
#[derive(Debug)]
pub(crate) enum Display {
    /// That of the desktop, which programs find by themselves.
    Desktop,
    /// One of its own.
    Virtual(Xvfb),
}

/// A virtual display and who keeps it.
#[derive(Debug)]
pub(crate) struct Xvfb {
    keeper: Child,
    /// Closed by a drop, by the keeper's end or by that of this program.
    lifeline: Option<ChildStdin>,
    name: String,
}

impl Display {
    /// The desktop's display if there is one, else a virtual one.
    ///
    /// # Errors
    /// [`LeftOut`] when there is no desktop and no virtual display can be had.
    pub(crate) fn open() -> Result<Display, LeftOut> {
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if DESKTOPS.iter().any(is_set) { Ok(Display::Desktop) } else { Xvfb::start("Xvfb").map(Display::Virtual) }
    }

    /// What programs are to be told of it in `DISPLAY`; `None` when they know it.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Display::Desktop => None,
            Display::Virtual(xvfb) => Some(&xvfb.name),
        }
    }
}

impl Xvfb {
    fn start(program: &str) -> Result<Xvfb, LeftOut> {
        let mut shell = Command::new("sh");
        shell.args(["-c", KEEPER, "sh", program]).process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let none = || LeftOut("no display: install Xvfb or set DISPLAY".to_owned());
        let mut keeper = shell.spawn().map_err(|_| none())?;
        let stdout = keeper.stdout.take().expect("standard output is piped");
        let lifeline = keeper.stdin.take();
        let mut xvfb = Xvfb { keeper, lifeline, name: String::new() };
        // Its number comes once it listens; nothing comes, and the stream ends, when it does not.
        let mut number = String::new();
        let read = BufReader::new(stdout).read_line(&mut number);
        match number.trim().parse::<u32>() {
            Ok(number) if read.is_ok() => xvfb.name = format!(":{number}"),
            _ => return Err(none()),
        }
        Ok(xvfb)
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        self.lifeline = None;
        let _ = self.keeper.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    use super::*;

    #[test]
    fn without_the_program_trials_are_left_out_and_it_is_said_what_to_do() {
        let left_out = Xvfb::start("raftian-has-no-such-program").unwrap_err();
        assert!(left_out.to_string().contains("install Xvfb or set DISPLAY"), "{left_out}");
        // One that starts and is no display, neither.
        assert!(Xvfb::start("true").is_err());
    }

    #[test]
    fn a_virtual_display_is_gone_when_it_is_dropped() {
        let Ok(xvfb) = Xvfb::start("Xvfb") else {
            return println!("skipped: Xvfb is not installed (Debian: apt install xvfb)");
        };
        let socket = format!("/tmp/.X11-unix/X{}", &xvfb.name[1..]);
        assert!(UnixStream::connect(&socket).is_ok());
        drop(xvfb);
        assert!(!Path::new(&socket).exists());
    }
}
