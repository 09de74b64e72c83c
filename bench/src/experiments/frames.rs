//! The frames of a game, read back from what it recorded, and what they come to.
//!
//! Invariants: frames per second are frames over the time they took, never the mean of rates; a frame counts for a span
//! if it lies in it from beginning to end.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use raftian_rpc::game::FRAMES_FILE;

use super::metrics::put_times;
use super::{Measured, Series};

/// A frame longer than this misses the next refresh of a display of 60 Hz.
const REFRESH_NS: u64 = 16_700_000;

/// The slowest of so many frames are the "1 % low".
const LOW: usize = 100;

/// The fewest frames that have a "1 % low".
const FEWEST: usize = 1_000;

/// The frames of one game.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frames {
    start_ns: u64,
    lengths_ns: Vec<u32>,
}

impl Frames {
    /// Reads them from the folder of a recording.
    ///
    /// # Errors
    /// When there is no recording, or not one frame in it.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Frames> {
        let path = folder.join(FRAMES_FILE);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let (start, lengths) = bytes.split_first_chunk().with_context(|| format!("{} is empty", path.display()))?;
        let lengths_ns: Vec<u32> = lengths.as_chunks().0.iter().map(|length| u32::from_le_bytes(*length)).collect();
        ensure!(!lengths_ns.is_empty(), "{} has no frames", path.display());
        Ok(Frames { start_ns: u64::from_le_bytes(*start), lengths_ns })
    }

    /// Adds what the frames from `from_ns` to `to_ns` come to, and the frames per second of each `bin_ns` from the first
    /// frame on, the warm-up included.
    ///
    /// # Errors
    /// When there is not one frame in the span.
    pub(super) fn report(&self, from_ns: u64, to_ns: u64, bin_ns: u64, measured: &mut Measured) -> anyhow::Result<()> {
        let mut within: Vec<u64> = self.within(from_ns, to_ns).collect();
        let fps = rate(&within).context("not one frame lies within the measured span")?;
        let late = within.iter().filter(|length| **length > REFRESH_NS).count();
        let mut put = |name: &str, value: f64| measured.metrics.insert(name.to_owned(), value);
        put("fps", fps);
        put("frames", within.len() as f64);
        put("share_over_16_7_ms", late as f64 / within.len() as f64);
        within.sort_unstable_by(|a, b| b.cmp(a));
        if within.len() >= FEWEST {
            put("one_percent_low_fps", rate(&within[..within.len() / LOW]).context("a hundredth of a thousand")?);
        }
        measured.series.insert("fps".into(), self.per_bin(to_ns, bin_ns));
        put_times(measured, "frame", within)
    }

    /// How long the frames took that lie between two moments.
    fn within(&self, from_ns: u64, to_ns: u64) -> impl Iterator<Item = u64> {
        let mut begin_ns = self.start_ns;
        let spans = self.lengths_ns.iter().map(move |length| {
            let span = (begin_ns, begin_ns + u64::from(*length));
            begin_ns = span.1;
            span
        });
        spans.filter(move |(begin, end)| *begin >= from_ns && *end <= to_ns).map(|(begin, end)| end - begin)
    }

    /// The frames per second of each bin that is over, by the second at which it begins. A bin without a whole frame
    /// has none, and so no row.
    fn per_bin(&self, to_ns: u64, bin_ns: u64) -> Series {
        // A frame belongs to the bin it ends in.
        let mut bins: Vec<Vec<u64>> = Vec::new();
        let mut end_ns = 0;
        for length in &self.lengths_ns {
            end_ns += u64::from(*length);
            let bin = usize::try_from(end_ns / bin_ns).unwrap_or(usize::MAX);
            if self.start_ns + (bin as u64 + 1) * bin_ns > to_ns {
                break;
            }
            bins.resize_with(bins.len().max(bin + 1), Vec::new);
            bins[bin].push(u64::from(*length));
        }
        let second = |bin: usize| (bin as u64 * bin_ns) as f64 / 1e9;
        let rows = bins.iter().enumerate().filter_map(|(bin, lengths)| Some(vec![second(bin), rate(lengths)?]));
        Series { columns: vec!["second".into(), "fps".into()], rows: rows.collect() }
    }
}

/// Frames per second of frames that took so long; `None` without any.
fn rate(lengths_ns: &[u64]) -> Option<f64> {
    let elapsed_ns: u64 = lengths_ns.iter().sum();
    (elapsed_ns > 0).then(|| lengths_ns.len() as f64 * 1e9 / elapsed_ns as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u32 = 1_000_000;

    fn report(lengths_ns: Vec<u32>, from_ms: u64, to_ms: u64) -> anyhow::Result<Measured> {
        let frames = Frames { start_ns: 1_000_000_000, lengths_ns };
        let at = |ms: u64| 1_000_000_000 + ms * 1_000_000;
        let mut measured = Measured::default();
        frames.report(at(from_ms), at(to_ms), 10_000_000, &mut measured)?;
        Ok(measured)
    }

    #[test]
    fn frames_per_second_are_frames_over_time_and_only_whole_frames_count() {
        // 0–2, 2–4, 4–24, 24–26 ms: the first begins before the span, the last ends after it.
        let measured = report(vec![2 * MS, 2 * MS, 20 * MS, 2 * MS], 1, 25).unwrap();
        assert!((measured.metrics["fps"] - 2.0 / 0.022).abs() < 1e-6, "{measured:?}");
        assert_eq!(measured.metrics["share_over_16_7_ms"], 0.5);
        assert_eq!(measured.metrics["frame_us_max"].round(), 20_000.0);
        assert!(!measured.metrics.contains_key("frame_us_p50"), "two frames have no percentiles");
        assert!(!measured.metrics.contains_key("one_percent_low_fps"));
        assert!(report(vec![2 * MS], 5, 25).is_err());
    }

    #[test]
    fn the_series_has_the_warm_up_and_leaves_out_what_is_not_over() {
        let mut lengths = vec![2 * MS; 5];
        lengths.extend([MS; 13]);
        let measured = report(lengths, 10, 23).unwrap();
        // The frame that ends at 10 ms ends in the second bin.
        let rows = &measured.series["fps"].rows;
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert_eq!(rows[0], [0.0, 500.0]);
        assert_eq!((rows[1][0], rows[1][1].round()), (0.01, 909.0));
    }

    #[test]
    fn the_slowest_hundredth_is_told_with_ten_frames_in_it() {
        let mut lengths = vec![MS; 990];
        lengths.extend([10 * MS; 10]);
        let metrics = report(lengths, 0, 2_000).unwrap().metrics;
        assert_eq!(metrics["one_percent_low_fps"], 100.0);
        assert!(metrics.contains_key("frame_us_p99") && !metrics.contains_key("frame_us_p999"), "{metrics:?}");
    }

    #[test]
    fn a_recording_is_read_without_its_torn_tail() {
        let folder = std::env::temp_dir().join(format!("raftian-bench-frames-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut bytes = 7_u64.to_le_bytes().to_vec();
        bytes.extend([1_u32, 2, 3].iter().flat_map(|length| length.to_le_bytes()));
        fs::write(folder.join(FRAMES_FILE), &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(Frames::read(&folder).unwrap(), Frames { start_ns: 7, lengths_ns: vec![1, 2] });
        fs::write(folder.join(FRAMES_FILE), &bytes[..8]).unwrap();
        assert!(Frames::read(&folder).unwrap_err().to_string().contains("no frames"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
