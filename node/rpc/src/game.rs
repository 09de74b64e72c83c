//! The game loop of a node: what it is told to draw, what it says of itself, and the files it records.
//!
//! Invariant: times are nanoseconds of the machine's monotonic clock ([`crate::clock`]), so that what the game, the
//! server and a load generator wrote can be laid side by side.
//!
//! Deliberately absent: behaviour; the game lives in the node.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::assignment::Hosting;

/// The most squares of [`Scene::Dots`].
pub const MAX_DOTS: u32 = 1_000_000;

/// The file of frame times in the folder of a recording: a little-endian `u64`, the time at which the first frame
/// began, and then per frame a little-endian `u32`, the nanoseconds from its beginning to the beginning of the next
/// (the largest `u32` stands for that and longer). A torn tail of less than four bytes is to be ignored.
pub const FRAMES_FILE: &str = "frames.bin";

/// The file of inputs in the folder of a recording: an [`InputRecord`] per line.
pub const INPUTS_FILE: &str = "inputs.jsonl";

/// A game loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GameConfig {
    /// What is drawn.
    pub scene: Scene,
    /// The most frames per second; `None` for as many as the machine draws.
    pub fps_cap: Option<u32>,
    /// Where frames go.
    pub display: Display,
    /// Decides the dots' places and steps and the synthetic clicks.
    pub seed: u64,
    /// Synthetic clicks per second, at exponentially distributed intervals (open loop); `None` for none.
    pub clicks_per_s: Option<f64>,
    /// The folder to record frames and inputs in; `None` records nothing.
    pub record: Option<PathBuf>,
}

/// What a frame shows. Written `attack`, or `dots=1000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Scene {
    /// The board of the attack game.
    #[default]
    Attack,
    /// The board with this many moving squares on it, at most [`MAX_DOTS`].
    Dots(u32),
}

/// Where frames go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Display {
    /// Into memory only.
    #[default]
    Headless,
    /// Into a window.
    Window,
}

/// What a game says of itself, once a second, over the last second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GameReport {
    /// What it draws.
    pub scene: Scene,
    /// Where its server runs; `None` without one.
    pub hosting: Option<Hosting>,
    /// Frames per second: frames over elapsed time.
    pub fps: f64,
    /// The median frame time, in microseconds.
    pub frame_us_p50: f64,
    /// The longest frame time, in microseconds.
    pub frame_us_max: f64,
    /// Frames since the start.
    pub frames: u64,
    /// Orders taken since the start.
    pub orders: u64,
    /// The median time from a command of this game to its order, in microseconds, of those that came in the last
    /// second; `None` without any.
    pub order_us_p50: Option<f64>,
}

/// A click and what became of it. Times it did not reach are `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// The number of the command in the game's session.
    pub serial: u64,
    /// When the click was due (synthetic) or came (real).
    pub due_ns: u64,
    /// When the command was put on the queue.
    pub queued_ns: u64,
    /// When the server put the order on the queue.
    pub ordered_ns: Option<u64>,
    /// When the game took the order.
    pub taken_ns: Option<u64>,
    /// When the first frame that shows it was finished.
    pub shown_ns: Option<u64>,
    /// Why there was no order, for people.
    pub failed: Option<String>,
}

impl std::fmt::Display for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scene::Attack => f.pad("attack"),
            Scene::Dots(count) => f.pad(&format!("dots={count}")),
        }
    }
}

impl FromStr for Scene {
    type Err = String;

    fn from_str(text: &str) -> Result<Scene, String> {
        match text.split_once('=') {
            None if text == "attack" => Ok(Scene::Attack),
            Some(("dots", count)) => match count.parse() {
                Ok(count @ 1..=MAX_DOTS) => Ok(Scene::Dots(count)),
                _ => Err(format!("`{count}` dots cannot be drawn; use 1 to {MAX_DOTS}")),
            },
            _ => Err(format!("`{text}` is not a scene; use `attack` or `dots=1000`")),
        }
    }
}

impl TryFrom<String> for Scene {
    type Error = String;

    fn try_from(text: String) -> Result<Scene, String> {
        text.parse()
    }
}

impl From<Scene> for String {
    fn from(scene: Scene) -> String {
        scene.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_read_as_they_are_written() {
        for scene in [Scene::Attack, Scene::Dots(1), Scene::Dots(MAX_DOTS)] {
            assert_eq!(scene.to_string().parse(), Ok(scene));
        }
    }

    #[test]
    fn what_is_no_scene_is_refused_in_words() {
        for (text, part) in
            [("dots=0", "use 1 to"), ("dots=1000001", "use 1 to"), ("chess", "`attack` or"), ("dots", "is not")]
        {
            assert!(text.parse::<Scene>().unwrap_err().contains(part), "{text}");
        }
    }
}
