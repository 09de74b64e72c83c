//! The terminal: taken over, and given back.
//!
//! Invariant: it is given back when this is dropped, and when the program panics: the mouse too.

use std::io::{self, stdout};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ratatui::crossterm::event::{self, DisableMouseCapture, EnableMouseCapture, Event};
use ratatui::crossterm::execute;
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc;

/// How often the thread that reads looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// A terminal that is taken over.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    events: mpsc::Receiver<Event>,
    is_over: Arc<AtomicBool>,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When it is none, or cannot be set so.
    pub(super) fn open() -> io::Result<Screen> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let _ = execute!(stdout(), DisableMouseCapture);
            before(info);
        }));
        let terminal = ratatui::try_init()?;
        let (sender, events) = mpsc::channel(64);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        // A read of the terminal blocks, so it has a thread of its own.
        thread::Builder::new().name("terminal".into()).spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match event::poll(LOOK) {
                    Ok(true) => {
                        let Ok(event) = event::read() else { return };
                        if sender.blocking_send(event).is_err() {
                            return;
                        }
                    }
                    Ok(false) => {}
                    Err(_) => return,
                }
            }
        })?;
        let mut screen = Screen { terminal, events, is_over };
        screen.take_mouse(true)?;
        Ok(screen)
    }

    /// Draws a picture.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(picture).map(drop)
    }

    /// What the person does next; `None` when the terminal has gone.
    pub(super) async fn event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Takes the mouse, or leaves it to the terminal, which then selects text with it.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub(super) fn take_mouse(&mut self, on: bool) -> io::Result<()> {
        if on { execute!(stdout(), EnableMouseCapture) } else { execute!(stdout(), DisableMouseCapture) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.take_mouse(false);
        ratatui::restore();
    }
}
