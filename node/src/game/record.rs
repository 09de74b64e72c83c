//! The recording of a game: every frame time, and every input with what became of it.
//!
//! A frame costs four bytes in a buffer, and a second two writes. Invariant: a disk that fails ends the recording, says
//! so once, and leaves the game alone; what was written stays readable up to there.
//!
//! Deliberately absent: what the files mean, which stands beside [`FRAMES_FILE`] and [`INPUTS_FILE`].

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use raftian_rpc::game::{FRAMES_FILE, INPUTS_FILE, InputRecord};

use crate::parent;

/// More than a second of frames or inputs.
const BUFFER_BYTES: usize = 64 * 1024;

/// The files of one recording.
#[derive(Debug)]
pub(crate) struct Recorder {
    folder: PathBuf,
    /// `None` once the disk has failed.
    files: Option<Files>,
    /// When the current frame began; unset before the first one.
    frame_ns: Option<u64>,
}

#[derive(Debug)]
struct Files {
    frames: BufWriter<File>,
    inputs: BufWriter<File>,
}

impl Recorder {
    /// A recording in this folder, which is made if it is not there. An earlier one in it is overwritten.
    ///
    /// # Errors
    /// When it cannot be written: which file, and why.
    pub(crate) fn open(folder: &Path) -> Result<Recorder, String> {
        fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make the folder {} for a recording: {error}", folder.display()))?;
        let create = |name: &str| {
            let path = folder.join(name);
            let file = File::create(&path);
            let file = file.map_err(|error| format!("cannot write the recording {}: {error}", path.display()))?;
            Ok::<_, String>(BufWriter::with_capacity(BUFFER_BYTES, file))
        };
        let files = Files { frames: create(FRAMES_FILE)?, inputs: create(INPUTS_FILE)? };
        Ok(Recorder { folder: folder.to_owned(), files: Some(files), frame_ns: None })
    }

    /// A frame begins, which ends the one before.
    pub(crate) fn frame(&mut self, now_ns: u64) {
        let before = self.frame_ns.replace(now_ns);
        self.write(|files| match before {
            None => files.frames.write_all(&now_ns.to_le_bytes()),
            Some(before_ns) => {
                let lasted_ns = u32::try_from(now_ns.saturating_sub(before_ns)).unwrap_or(u32::MAX);
                files.frames.write_all(&lasted_ns.to_le_bytes())
            }
        });
    }

    /// An input is settled.
    pub(crate) fn input(&mut self, record: &InputRecord) {
        self.write(|files| {
            serde_json::to_writer(&mut files.inputs, record)?;
            files.inputs.write_all(b"\n")
        });
    }

    /// Hands what is buffered to the system. To be called about once a second, and at the end.
    pub(crate) fn flush(&mut self) {
        self.write(|files| files.frames.flush().and_then(|()| files.inputs.flush()));
    }

    fn write(&mut self, write: impl FnOnce(&mut Files) -> io::Result<()>) {
        let Some(files) = &mut self.files else { return };
        if let Err(error) = write(files) {
            let folder = self.folder.display();
            parent::complain(&format!("the recording in {folder} ends early: {error}; the game goes on without it"));
            self.files = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::scratch::Scratch;

    fn record(serial: u64) -> InputRecord {
        InputRecord {
            serial,
            due_ns: 1,
            queued_ns: 2,
            ordered_ns: Some(3),
            taken_ns: None,
            shown_ns: None,
            failed: Some("no \"leader\"\n".into()),
        }
    }

    #[test]
    fn frames_are_a_beginning_and_lengths() {
        let scratch = Scratch::new();
        let mut recorder = Recorder::open(&scratch.path().join("new/folder")).unwrap();
        [1_000, 1_250, 1_250, 11_000_000_000].into_iter().for_each(|now_ns| recorder.frame(now_ns));
        recorder.flush();
        let bytes = fs::read(scratch.path().join("new/folder").join(FRAMES_FILE)).unwrap();
        let (start, lengths) = bytes.split_first_chunk().unwrap();
        assert_eq!(u64::from_le_bytes(*start), 1_000);
        let lengths: Vec<u32> = lengths.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four)).collect();
        assert_eq!(lengths, [250, 0, u32::MAX]);
    }

    #[test]
    fn inputs_are_lines() {
        let scratch = Scratch::new();
        let mut recorder = Recorder::open(scratch.path()).unwrap();
        (1..=2).for_each(|serial| recorder.input(&record(serial)));
        recorder.flush();
        let text = fs::read_to_string(scratch.path().join(INPUTS_FILE)).unwrap();
        let read: Vec<InputRecord> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, [record(1), record(2)]);
    }

    #[test]
    fn a_full_disk_ends_the_recording_and_nothing_else() {
        let scratch = Scratch::new();
        std::os::unix::fs::symlink("/dev/full", scratch.path().join(FRAMES_FILE)).unwrap();
        let mut recorder = Recorder::open(scratch.path()).unwrap();
        recorder.frame(1);
        assert!(recorder.files.is_some());
        recorder.flush();
        assert!(recorder.files.is_none());
        recorder.frame(2);
        recorder.input(&record(1));
        recorder.flush();
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let scratch = Scratch::new();
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Recorder::open(&file.join("folder")).unwrap_err();
        assert!(error.contains("file/folder"), "{error}");
    }
}
