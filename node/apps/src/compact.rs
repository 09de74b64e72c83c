//! The compact form of a snapshot's JSON, for large ones: a line of JSON, and then an LZ4 frame.
//!
//! ```text
//! {"lz4":{"bytes":27291523,"json_bytes":67108921}}
//! … 27291523 bytes, of which `lz4 -d` makes 67108921 bytes of JSON
//! ```
//!
//! Invariants: equal texts give equal bytes, in programs of one build; what is read back is what was written, or it is
//! refused (the frame has a checksum of its content); nobody can make a reader take up more memory than a snapshot may
//! have, nor more than 255 times what it was given, which is as far as LZ4 compresses.
//!
//! Deliberately absent: dictionaries and levels. This is for speed first: a frame is read about as fast as its JSON is
//! copied.

use std::io::{self, Read as _, Write as _};

use lz4_flex::frame::{BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use serde::{Deserialize, Serialize};

use crate::snapshot::SnapshotError;

/// No compact form stands for longer JSON than this, in bytes; what is longer stays as it is.
const MAX_JSON_BYTES: usize = 1 << 30;

/// What every compact form begins with, and no plain one.
const PREFIX: &[u8] = b"{\"lz4\":";

/// The line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    lz4: Sizes,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sizes {
    /// Of the frame.
    bytes: usize,
    /// Of what comes out of it.
    json_bytes: usize,
}

/// The form in which JSON is kept: as it is, or compact if it is longer than `max_plain_bytes`.
pub(crate) fn pack(json: Vec<u8>, max_plain_bytes: usize) -> Vec<u8> {
    if json.len() <= max_plain_bytes || json.len() > MAX_JSON_BYTES {
        return json;
    }
    let info = FrameInfo::new().block_size(BlockSize::Max256KB).content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&json).expect("memory takes what is written");
    let frame = encoder.finish().expect("memory takes what is written");
    let head = Head { lz4: Sizes { bytes: frame.len(), json_bytes: json.len() } };
    let mut packed = serde_json::to_vec(&head).expect("numbers always serialise");
    packed.push(b'\n');
    packed.extend_from_slice(&frame);
    packed
}

/// The JSON that a compact form stands for; `None` if the bytes are no compact form, but perhaps JSON.
///
/// # Errors
/// When it is cut short, or not as it was written.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
    if !bytes.starts_with(PREFIX) {
        return Ok(None);
    }
    let cut_short = SnapshotError::CutShort { bytes: bytes.len() };
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return Err(cut_short) };
    let (head, frame) = (&bytes[..end], &bytes[end + 1..]);
    let Head { lz4: Sizes { bytes: said, json_bytes } } =
        serde_json::from_slice(head).map_err(SnapshotError::Malformed)?;
    let garbled = |problem: String| Err(SnapshotError::Garbled { problem });
    if frame.len() < said {
        return Err(cut_short);
    }
    if frame.len() > said {
        return garbled(format!("{} bytes come after its end", frame.len() - said));
    }
    if json_bytes > MAX_JSON_BYTES {
        return garbled(format!("it stands for {json_bytes} bytes, and for {MAX_JSON_BYTES} at most is believed"));
    }
    match decompress(frame, json_bytes) {
        Ok(json) if json.len() == json_bytes => Ok(Some(json)),
        Ok(json) => garbled(format!("it stands for {} bytes or more, and says {json_bytes}", json.len())),
        Err(error) => garbled(error.to_string()),
    }
}

/// What a frame stands for, or the beginning of that if it is more than was said. Memory is taken up only as it fills.
fn decompress(frame: &[u8], json_bytes: usize) -> io::Result<Vec<u8>> {
    let mut json = Vec::new();
    FrameDecoder::new(frame).take(json_bytes as u64 + 1).read_to_end(&mut json)?;
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_PLAIN_BYTES: usize = 1 << 20;

    /// Text that is long enough, and compresses well but not all too well.
    fn long() -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut text = vec![b'"'];
        while text.len() < MAX_PLAIN_BYTES {
            text.extend(std::iter::repeat_n(b'a' + random.u8(0..26), random.usize(1..2_000)));
        }
        text.push(b'"');
        text
    }

    fn refusal(bytes: &[u8]) -> String {
        unpack(bytes).unwrap_err().to_string()
    }

    /// A compact form with another line.
    fn with_head(bytes: usize, json_bytes: usize, frame: &[u8]) -> Vec<u8> {
        let head = format!("{{\"lz4\":{{\"bytes\":{bytes},\"json_bytes\":{json_bytes}}}}}\n");
        [head.as_bytes(), frame].concat()
    }

    fn frame_of(packed: &[u8]) -> &[u8] {
        &packed[packed.iter().position(|&byte| byte == b'\n').unwrap() + 1..]
    }

    #[test]
    fn only_what_is_long_is_compressed_and_it_comes_back() {
        let json = long();
        let packed = pack(json.clone(), MAX_PLAIN_BYTES);
        let frame = frame_of(&packed);
        assert_eq!(packed, with_head(frame.len(), json.len(), frame));
        assert!(packed.len() < json.len() / 10, "{}", packed.len());
        assert_eq!(unpack(&packed).unwrap(), Some(json.clone()));
        assert_eq!(pack(json, MAX_PLAIN_BYTES), packed, "the same text, the same bytes");
        let longest_plain = vec![b' '; MAX_PLAIN_BYTES];
        assert_eq!(pack(longest_plain.clone(), MAX_PLAIN_BYTES), longest_plain);
        assert_eq!(unpack(&longest_plain).unwrap(), None);
    }

    #[test]
    fn one_that_is_cut_anywhere_is_refused() {
        let packed = pack(long(), MAX_PLAIN_BYTES);
        let head = packed.len() - frame_of(&packed).len();
        let middle = (head..packed.len()).step_by(61);
        for length in (PREFIX.len()..head).chain(middle).chain(packed.len() - 20..packed.len()) {
            let refused = unpack(&packed[..length]).unwrap_err();
            assert!(matches!(refused, SnapshotError::CutShort { bytes } if bytes == length), "{length}: {refused}");
        }
        for length in 0..PREFIX.len() {
            assert!(unpack(&packed[..length]).unwrap().is_none(), "nor is it JSON");
        }
    }

    #[test]
    fn one_with_a_flipped_bit_is_refused() {
        let packed = pack(long(), MAX_PLAIN_BYTES);
        let json = unpack(&packed).unwrap();
        for offset in (0..200).chain((200..packed.len()).step_by(97)).chain(packed.len() - 20..packed.len()) {
            let mut flipped = packed.clone();
            flipped[offset] ^= 1 << (offset % 8);
            match unpack(&flipped) {
                Err(_) => {}
                // Then it is no JSON either.
                Ok(None) => assert!(offset < PREFIX.len(), "byte {offset}"),
                // A bit that means nothing.
                Ok(Some(same)) => assert_eq!(Some(same), json, "byte {offset}"),
            }
        }
    }

    #[test]
    fn one_that_lies_about_its_sizes_is_refused_before_it_takes_up_memory() {
        let packed = pack(long(), MAX_PLAIN_BYTES);
        let frame = frame_of(&packed);
        let (bytes, json_bytes) = (frame.len(), long().len());
        for (said, expected) in [
            (with_head(bytes, json_bytes - 1, frame), format!("stands for {json_bytes} bytes or more, and says")),
            (with_head(bytes, json_bytes + 1, frame), format!("stands for {json_bytes} bytes or more, and says")),
            (with_head(bytes - 1, json_bytes, frame), "1 bytes come after its end".to_owned()),
            (with_head(bytes, MAX_JSON_BYTES + 1, frame), "for 1073741824 at most is believed".to_owned()),
        ] {
            assert!(refusal(&said).contains(&expected), "{} and not {expected}", refusal(&said));
        }
        // Nothing is set aside for what is merely said, or this would take a gigabyte.
        let greedy = with_head(bytes, MAX_JSON_BYTES, frame);
        assert!(refusal(&greedy).contains("bytes or more, and says 1073741824"));
        assert!(decompress(frame, MAX_JSON_BYTES).unwrap().capacity() < 4 * MAX_PLAIN_BYTES);
    }
}
