//! What a game says of itself once a second.
//!
//! Invariant: frames per second are frames over elapsed time, never a mean of single frames' rates. All of it is
//! computed in every hosting, the baseline too, so that it is no difference between them.

use raftian_rpc::assignment::Hosting;
use raftian_rpc::game::{GameReport, Scene};

const SECOND_NS: u64 = 1_000_000_000;

/// The counts of a game.
#[derive(Debug)]
pub(crate) struct Tally {
    scene: Scene,
    hosting: Option<Hosting>,
    frames: u64,
    orders: u64,
    /// When the current second and the last frame began; unset before the first frame.
    since: Option<Since>,
    /// The frame times of the current second.
    frame_ns: Vec<u64>,
    /// From a command to its order, of the orders taken in the current second.
    order_ns: Vec<u64>,
    fps: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Since {
    second_ns: u64,
    frame_ns: u64,
}

impl Tally {
    /// Nothing counted yet.
    pub(crate) fn new(scene: Scene, hosting: Option<Hosting>) -> Tally {
        let (frame_ns, order_ns) = (Vec::with_capacity(8192), Vec::new());
        Tally { scene, hosting, frames: 0, orders: 0, since: None, frame_ns, order_ns, fps: None }
    }

    /// A frame begins, which ends the one before. Once a second, a report on the second that is over.
    pub(crate) fn frame(&mut self, now_ns: u64) -> Option<GameReport> {
        let Since { second_ns, frame_ns } = *self.since.get_or_insert(Since { second_ns: now_ns, frame_ns: now_ns });
        if now_ns > frame_ns {
            self.frame_ns.push(now_ns - frame_ns);
            self.frames += 1;
        }
        let elapsed_ns = now_ns - second_ns;
        let is_over = elapsed_ns >= SECOND_NS;
        self.since = Some(Since { second_ns: if is_over { now_ns } else { second_ns }, frame_ns: now_ns });
        is_over.then(|| self.report(elapsed_ns))
    }

    /// An order was taken; `waited_ns` is the time since its command, where that was this game's.
    pub(crate) fn order(&mut self, waited_ns: Option<u64>) {
        self.orders += 1;
        self.order_ns.extend(waited_ns);
    }

    /// The frames per second of the last whole second; `None` in the first.
    pub(crate) fn fps(&self) -> Option<f64> {
        self.fps
    }

    fn report(&mut self, elapsed_ns: u64) -> GameReport {
        let fps = self.frame_ns.len() as f64 * SECOND_NS as f64 / elapsed_ns as f64;
        self.fps = Some(fps);
        let longest_ns = self.frame_ns.iter().copied().max().unwrap_or(0);
        let report = GameReport {
            scene: self.scene,
            hosting: self.hosting,
            fps,
            frame_us_p50: median_us(&mut self.frame_ns).unwrap_or(0.0),
            frame_us_max: longest_ns as f64 / 1e3,
            frames: self.frames,
            orders: self.orders,
            order_us_p50: median_us(&mut self.order_ns),
        };
        self.frame_ns.clear();
        self.order_ns.clear();
        report
    }
}

/// The (upper) median. Leaves the values in another order.
fn median_us(values_ns: &mut [u64]) -> Option<f64> {
    let middle = values_ns.len() / 2;
    (!values_ns.is_empty()).then(|| *values_ns.select_nth_unstable(middle).1 as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_frames_makes_a_report() {
        let mut tally = Tally::new(Scene::Dots(7), Some(Hosting::Thread));
        // 99 frames of 10 ms and one of 20 ms; the second is over when the frame that crosses it is.
        let begins = (0..=99).map(|frame| frame * 10_000_000).chain([1_010_000_000]);
        let mut reports: Vec<GameReport> = Vec::new();
        for (number, now_ns) in begins.enumerate() {
            if number == 50 {
                [Some(300_000), None, Some(100_000), Some(200_000)].into_iter().for_each(|waited| tally.order(waited));
            }
            reports.extend(tally.frame(5_000_000_000 + now_ns));
        }
        let expected = GameReport {
            scene: Scene::Dots(7),
            hosting: Some(Hosting::Thread),
            fps: 100.0 / 1.01,
            frame_us_p50: 10_000.0,
            frame_us_max: 20_000.0,
            frames: 100,
            orders: 4,
            order_us_p50: Some(200.0),
        };
        assert_eq!(reports, [expected]);
        assert_eq!(tally.fps(), Some(expected.fps));
    }

    #[test]
    fn a_second_knows_nothing_of_the_one_before() {
        let mut tally = Tally::new(Scene::Attack, None);
        assert_eq!(tally.fps(), None);
        tally.frame(0);
        tally.order(Some(1_000));
        tally.frame(1_000_000_000).unwrap();
        let second = tally.frame(3_000_000_000).unwrap();
        assert_eq!((second.fps, second.frames, second.orders, second.order_us_p50), (0.5, 2, 1, None));
        assert_eq!(second.frame_us_max, 2e6);
    }
}
