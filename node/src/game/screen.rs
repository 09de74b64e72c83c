//! A window of the desktop, and where frames go when there is none.
//!
//! The game loop owns its thread and lets the window's events in once a frame. Where a frame has the size of the
//! window it is painted straight into the memory the display reads; else it is scaled to fit.
//!
//! Invariant: whatever the display does (there is none, a library is missing, it goes away) is an error with what to do
//! about it; winit's panics are caught.
//!
//! Deliberately absent: what a click means.

use std::fmt;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use raftian_rpc::game::Display;
use softbuffer::{Context, Surface};
use winit::application::ApplicationHandler;
use winit::dpi::PhysicalSize;
use winit::event::{ElementState, MouseButton, WindowEvent};
use winit::event_loop::{ActiveEventLoop, EventLoop, OwnedDisplayHandle};
use winit::platform::pump_events::{EventLoopExtPumpEvents as _, PumpStatus};
use winit::window::{Window, WindowId};

use crate::game::canvas::{Colour, HEIGHT, WIDTH};
use crate::game::fit::Fit;

/// How a desktop tells programs where it is.
const DISPLAYS: [&str; 3] = ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"];

/// What a desktop needs for its own bars, and a window for its title.
const BARS_PX: u32 = 80;

/// The smallest window.
const SMALLEST: PhysicalSize<u32> = PhysicalSize { width: WIDTH as u32 / 5, height: HEIGHT as u32 / 5 };

/// Where frames go.
#[derive(Debug)]
pub(crate) enum Screen {
    /// Into memory only.
    Memory(Vec<Colour>),
    /// Into a window.
    Window(Box<Desktop>),
}

/// What a user did with the window since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gestures {
    /// Clicks, as points of the frame.
    pub(crate) clicks: Vec<(u32, u32)>,
    /// Whether the window was closed.
    pub(crate) closed: bool,
}

/// A window and its surface. Fields are dropped in this order, as they need each other.
pub(crate) struct Desktop {
    surface: Surface<OwnedDisplayHandle, Rc<Window>>,
    handler: Handler,
    events: EventLoop<()>,
    /// A frame that has to be scaled.
    frame: Vec<Colour>,
}

/// What winit calls.
struct Handler {
    title: String,
    /// The window once there is one, or why there is none.
    window: Option<Result<Rc<Window>, String>>,
    /// The size the window has taken since the last look.
    resized: Option<PhysicalSize<u32>>,
    fit: Fit,
    pointer: (f64, f64),
    gestures: Gestures,
}

impl Screen {
    /// A screen, with a window on the desktop if it is to have one. Must be called on the main thread then, and once.
    ///
    /// # Errors
    /// When no window can be opened: why, and what to do.
    pub(crate) fn open(display: Display, title: &str) -> Result<Screen, String> {
        match display {
            Display::Headless => Ok(Screen::Memory(vec![0; WIDTH * HEIGHT])),
            Display::Window => {
                guarded(|| Desktop::open(title)).map(|desktop| Screen::Window(Box::new(desktop))).map_err(|cause| {
                    format!(
                        "no window can be opened: {cause}; it takes a desktop and its libraries, on Debian `apt install \
                         libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0`"
                    )
                })
            }
        }
    }

    /// What the user did since the last call.
    ///
    /// # Errors
    /// When the display has gone.
    pub(crate) fn gestures(&mut self) -> Result<Gestures, String> {
        match self {
            Screen::Memory(_) => Ok(Gestures::default()),
            Screen::Window(desktop) => guarded(|| desktop.pump()).map_err(lost),
        }
    }

    /// Has a frame painted, and shows it.
    ///
    /// # Errors
    /// When the display has gone.
    pub(crate) fn show(&mut self, paint: impl FnOnce(&mut [Colour])) -> Result<(), String> {
        match self {
            Screen::Memory(frame) => {
                paint(frame);
                Ok(())
            }
            Screen::Window(desktop) => desktop.show(paint).map_err(lost),
        }
    }

    /// Gives the window another title.
    pub(crate) fn set_title(&self, title: &str) {
        if let Screen::Window(desktop) = self
            && let Some(Ok(window)) = &desktop.handler.window
        {
            window.set_title(title);
        }
    }
}

impl Desktop {
    fn open(title: &str) -> Result<Desktop, String> {
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if !DISPLAYS.iter().any(is_set) {
            return Err(format!("there is no desktop here (none of {} is set)", DISPLAYS.join(", ")));
        }
        let mut events = EventLoop::new().map_err(|error| cause(&error.to_string()))?;
        let mut handler = Handler {
            title: title.to_owned(),
            window: None,
            resized: None,
            fit: Fit::new(0, 0),
            pointer: (-1.0, -1.0),
            gestures: Gestures::default(),
        };
        // The window is made in the first turn of the loop.
        events.pump_app_events(Some(Duration::ZERO), &mut handler);
        let window = handler.window.clone().unwrap_or(Err("the desktop does not let the program start".into()))?;
        let context = Context::new(events.owned_display_handle()).map_err(|error| error.to_string())?;
        let surface = Surface::new(&context, Rc::clone(&window)).map_err(|error| error.to_string())?;
        let mut desktop = Desktop { surface, handler, events, frame: Vec::new() };
        desktop.resize(window.inner_size())?;
        Ok(desktop)
    }

    fn pump(&mut self) -> Result<Gestures, String> {
        if let PumpStatus::Exit(_) = self.events.pump_app_events(Some(Duration::ZERO), &mut self.handler) {
            self.handler.gestures.closed = true;
        }
        if let Some(size) = self.handler.resized.take() {
            self.resize(size)?;
        }
        Ok(std::mem::take(&mut self.handler.gestures))
    }

    fn resize(&mut self, PhysicalSize { width, height }: PhysicalSize<u32>) -> Result<(), String> {
        if !self.handler.fit.is_of(width as usize, height as usize) {
            self.handler.fit = Fit::new(width as usize, height as usize);
            if let (Some(width), Some(height)) = (NonZeroU32::new(width), NonZeroU32::new(height)) {
                self.surface.resize(width, height).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn show(&mut self, paint: impl FnOnce(&mut [Colour])) -> Result<(), String> {
        let fit = &self.handler.fit;
        if fit.is_empty() {
            return Ok(());
        }
        let mut pixels = self.surface.buffer_mut().map_err(|error| error.to_string())?;
        if fit.is_exact() {
            paint(&mut pixels);
        } else {
            self.frame.resize(WIDTH * HEIGHT, 0);
            paint(&mut self.frame);
            fit.scale(&self.frame, &mut pixels);
        }
        pixels.present().map_err(|error| error.to_string())
    }
}

impl ApplicationHandler for Handler {
    fn resumed(&mut self, events: &ActiveEventLoop) {
        if self.window.is_some() {
            return;
        }
        let monitor = events.primary_monitor().or_else(|| events.available_monitors().next());
        let size = first_size(monitor.map(|monitor| monitor.size()));
        let attributes = Window::default_attributes()
            .with_title(self.title.as_str())
            .with_inner_size(size)
            .with_min_inner_size(SMALLEST);
        let window = events.create_window(attributes);
        self.window = Some(window.map(Rc::new).map_err(|error| cause(&error.to_string())));
    }

    fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested | WindowEvent::Destroyed => self.gestures.closed = true,
            WindowEvent::Resized(size) => self.resized = Some(size),
            WindowEvent::CursorMoved { position, .. } => self.pointer = (position.x, position.y),
            WindowEvent::MouseInput { state: ElementState::Pressed, button: MouseButton::Left, .. } => {
                self.gestures.clicks.extend(self.fit.frame_point(self.pointer.0, self.pointer.1));
            }
            _ => {}
        }
    }
}

/// The size of a window on a monitor: that of a frame, or as much of it as fits.
fn first_size(monitor: Option<PhysicalSize<u32>>) -> PhysicalSize<u32> {
    let whole = PhysicalSize::new(WIDTH as u32, HEIGHT as u32);
    // Some displays do not know their size.
    let Some(monitor) = monitor.filter(|size| size.width > 0 && size.height > BARS_PX) else { return whole };
    let room = PhysicalSize::new(f64::from(monitor.width), f64::from(monitor.height - BARS_PX));
    let scale = (room.width / f64::from(whole.width)).min(room.height / f64::from(whole.height)).min(1.0);
    PhysicalSize::new((f64::from(whole.width) * scale) as u32, (f64::from(whole.height) * scale) as u32)
}

/// What is wrong, without the line of the library's source that winit puts before it.
fn cause(error: &str) -> String {
    let bare = error.strip_prefix("os error at ").and_then(|rest| rest.split_once(": "));
    bare.map_or(error, |(_, cause)| cause).trim_end_matches('.').to_owned()
}

/// Does what may panic in a library below us: a missing part of X does.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(cause(words.unwrap_or("the window library gave up")))
    })
}

fn lost(cause: String) -> String {
    format!("the window is lost: {cause}")
}

impl fmt::Debug for Desktop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desktop").field("title", &self.handler.title).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_as_large_as_the_monitor_allows() {
        let size = |width, height| first_size(Some(PhysicalSize::new(width, height)));
        assert_eq!(size(2560, 1440), PhysicalSize::new(1000, 1200));
        assert_eq!(size(1366, 768), PhysicalSize::new(573, 688));
        assert_eq!(size(500, 3000), PhysicalSize::new(500, 600));
        assert_eq!(first_size(None), PhysicalSize::new(1000, 1200));
        assert_eq!(size(0, 0), PhysicalSize::new(1000, 1200));
    }

    #[test]
    fn a_library_that_gives_up_is_an_error() {
        assert_eq!(guarded::<()>(|| panic!("no {}", "xkb")), Err("no xkb".to_owned()));
        assert_eq!(guarded::<()>(|| panic!("no xkb.")), Err("no xkb".to_owned()));
        assert_eq!(guarded(|| Ok(3)), Ok(3));
    }

    #[test]
    fn a_cause_is_told_without_the_librarys_source() {
        let told = cause("os error at /home/x/winit/src/mod.rs:765: neither is set.");
        assert_eq!(told, "neither is set");
        assert_eq!(cause("not supported"), "not supported");
    }

    #[test]
    fn without_a_window_frames_go_into_memory() {
        let mut screen = Screen::open(Display::Headless, "").unwrap();
        assert_eq!(screen.gestures(), Ok(Gestures::default()));
        screen.show(|frame| frame.fill(7)).unwrap();
        assert!(matches!(screen, Screen::Memory(frame) if frame.len() == 1_200_000 && frame.iter().all(|p| *p == 7)));
    }
}
