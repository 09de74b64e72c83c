//! The file of the snapshot: it begins with a line of JSON that people can read.
//!
//! ```json
//! {"crc32":"1b0c7f2e","version":2,"last_index":7,"last_term":3,
//!  "configuration":{"voters":["n1","n2","n3"]},"state":{"json":{"k":"v"}}}
//! ```
//!
//! The checksum covers every byte of the file except its own digits. An application's state that is not JSON follows
//! the line as raw bytes, and the line has their number, `"state":{"bytes":…}`. Version 1, which can be read as well,
//! had them in the line, as `{"hex":"…"}`.
//!
//! Invariant: the file is replaced atomically (see `stage`), so only damage makes its checksum wrong.
//!
//! Deliberately absent: earlier snapshots, and what the state means. (The applications of this lab compress a large
//! state after a line of their own, so `tail -n +3 snapshot.json | lz4 -d` shows it.)

use bytes::Bytes;
use raftian_raft::{Configuration, Index, LastEntry, Snapshot, Term};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Disk, WalError};

/// The name of the file.
pub(crate) const FILE: &str = "snapshot.json";
/// Its name until all of it is durable.
pub(crate) const NEW_FILE: &str = "snapshot.json.new";
const VERSION: u32 = 2;
/// The first bytes of the file.
const PREFIX: &[u8] = b"{\"crc32\":\"";
/// The offset at which the digits of the checksum end.
const CRC_END: usize = PREFIX.len() + 8;

#[derive(Serialize, Deserialize)]
struct Content<'a> {
    crc32: &'a str,
    version: u32,
    last_index: Index,
    last_term: Term,
    configuration: Configuration,
    #[serde(borrow)]
    state: State<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State<'a> {
    #[serde(borrow)]
    Json(&'a RawValue),
    /// The number of bytes after the line.
    Bytes(u64),
    /// As version 1 had it.
    Hex(String),
}

/// The part that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Replaces the snapshot by the one in the file for the next snapshot, atomically and durably.
pub(crate) fn put_in_force<D: Disk>(disk: &mut D) -> Result<(), WalError> {
    disk.rename(NEW_FILE, FILE).map_err(|error| WalError::io("rename", &disk.locate(NEW_FILE), error))
}

/// Reads the snapshot, if there is one.
///
/// # Errors
/// When it is damaged, or cannot be read.
pub(crate) fn read<D: Disk>(disk: &D, files: &[String]) -> Result<Option<Snapshot>, WalError> {
    if !files.iter().any(|file| file == FILE) {
        return Ok(None);
    }
    let file = disk.locate(FILE);
    let bytes = disk.read(FILE).map_err(|error| WalError::io("read", &file, error))?;
    let (stored_crc, computed_crc) = checksums(&bytes);
    if stored_crc != computed_crc {
        return Err(WalError::CorruptSnapshot { file, bytes: bytes.len() as u64, stored_crc, computed_crc });
    }
    decode(&Bytes::from(bytes)).map(Some).map_err(|problem| WalError::Inconsistent { file, offset: 0, problem })
}

/// The whole file.
pub(crate) fn encode(snapshot: &Snapshot) -> Vec<u8> {
    // White space around the value would be lost, and the line must stay a single line.
    let is_kept = |json: &&RawValue| json.get().len() == snapshot.data.len() && !json.get().contains('\n');
    let json = serde_json::from_slice::<&RawValue>(&snapshot.data).ok().filter(is_kept);
    let (state, behind) = match json {
        Some(json) => (State::Json(json), &[][..]),
        None => (State::Bytes(snapshot.size()), &snapshot.data[..]),
    };
    let content = Content {
        crc32: "--------",
        version: VERSION,
        last_index: snapshot.last.index,
        last_term: snapshot.last.term,
        configuration: snapshot.configuration.clone(),
        state,
    };
    let mut bytes = serde_json::to_vec(&content).expect("names, numbers and JSON text always serialise");
    bytes.push(b'\n');
    bytes.extend_from_slice(behind);
    let (_, crc) = checksums(&bytes);
    bytes[PREFIX.len()..CRC_END].copy_from_slice(crc.as_bytes());
    bytes
}

/// The digits of the checksum as they are stored, and as they are computed.
fn checksums(bytes: &[u8]) -> (String, String) {
    let (before, rest) = bytes.split_at(bytes.len().min(PREFIX.len()));
    let (digits, after) = rest.split_at(rest.len().min(CRC_END - PREFIX.len()));
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    hasher.update(after);
    (digits.escape_ascii().to_string(), format!("{:08x}", hasher.finalize()))
}

/// The snapshot in a file whose checksum is correct. The state shares the file's memory.
fn decode(bytes: &Bytes) -> Result<Snapshot, String> {
    let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |newline| newline + 1);
    let (line, behind) = bytes.split_at(end);
    let version = serde_json::from_slice::<Versioned>(line).map_err(not_a_snapshot)?.version;
    if !(1..=VERSION).contains(&version) {
        return Err(format!("its format has version {version}, and this program reads versions 1 to {VERSION}"));
    }
    let content: Content<'_> = serde_json::from_slice(line).map_err(not_a_snapshot)?;
    let (data, length) = match content.state {
        State::Json(json) => (bytes.slice_ref(json.get().as_bytes()), 0),
        State::Bytes(length) => (bytes.slice(end..), length),
        State::Hex(digits) => (from_hex(&digits).ok_or("its state is not hexadecimal")?, 0),
    };
    if behind.len() as u64 != length {
        return Err(format!("behind its first line are {} bytes, and it says {length}", behind.len()));
    }
    let last = LastEntry { term: content.last_term, index: content.last_index };
    Ok(Snapshot { last, configuration: content.configuration, data })
}

fn not_a_snapshot(error: serde_json::Error) -> String {
    format!("it is not a snapshot: {error}")
}

fn from_hex(digits: &str) -> Option<Bytes> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16).map(|value| value as u8);
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?))
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Staged;
    use crate::{DiskFile, MemDisk};
    use raftian_raft::NodeId;

    fn snapshot(data: &'static [u8]) -> Snapshot {
        let configuration = Configuration::new(NodeId::first(3)).unwrap();
        Snapshot { last: LastEntry { term: 3, index: 7 }, configuration, data: Bytes::from_static(data) }
    }

    const HEAD: &str = "\"last_index\":7,\"last_term\":3,\"configuration\":";

    /// Reads a file with this text, from the version on, and a correct checksum.
    fn read_text(text: &str) -> Result<Option<Snapshot>, WalError> {
        let mut bytes = format!("{{\"crc32\":\"--------\",{text}").into_bytes();
        let (_, crc) = checksums(&bytes);
        bytes[PREFIX.len()..CRC_END].copy_from_slice(crc.as_bytes());
        let mut disk = MemDisk::new();
        disk.create(FILE).unwrap().write_at(0, &bytes).unwrap();
        read(&disk, &[FILE.to_owned()])
    }

    #[test]
    fn any_state_reads_back_byte_for_byte() {
        let states: [&[u8]; 11] = [
            b"",
            b"{}",
            b"null",
            b" {}",
            b"{}\n",
            b"{\n}",
            b"\n\n",
            b"{\"k\": [1.0, 1e400, \"\\u00e9\"]}",
            b"{\"k\":",
            b"\xff\x00",
            b"\"\xff\"",
        ];
        for data in states {
            let mut disk = MemDisk::new();
            let staged = Staged::default();
            let held = staged.ready(&mut disk, &snapshot(data)).unwrap();
            assert_eq!(read(&disk, &disk.list().unwrap()).unwrap(), None, "not in force yet");
            put_in_force(&mut disk).unwrap();
            drop(held);
            assert_eq!(read(&disk, &disk.list().unwrap()).unwrap(), Some(snapshot(data)), "{}", data.escape_ascii());
        }
    }

    #[test]
    fn the_file_can_be_read_by_people() {
        let text = String::from_utf8(encode(&snapshot(b"{\"k\": 1}"))).unwrap();
        let expected = "\",\"version\":2,\"last_index\":7,\"last_term\":3,\
            \"configuration\":{\"voters\":[\"n1\",\"n2\",\"n3\"]},\"state\":{\"json\":{\"k\": 1}}}\n";
        assert_eq!(&text[CRC_END..], expected);
        let text = String::from_utf8(encode(&snapshot(b"plain"))).unwrap();
        assert!(text.ends_with("\"state\":{\"bytes\":5}}\nplain"), "{text}");
    }

    #[test]
    fn a_file_of_version_1_is_read() {
        for (state, data) in [("{\"json\":{\"k\":1}}", &b"{\"k\":1}"[..]), ("{\"hex\":\"00ff\"}", b"\x00\xff")] {
            let text = format!("\"version\":1,{HEAD}{{\"voters\":[\"n1\",\"n2\",\"n3\"]}},\"state\":{state}}}\n");
            assert_eq!(read_text(&text).unwrap(), Some(snapshot(data)), "{text}");
        }
    }

    #[test]
    fn what_is_no_snapshot_is_refused_even_under_a_good_checksum() {
        let of = |version: u32, voters: &str, state: &str| {
            format!("\"version\":{version},{HEAD}{{\"voters\":[{voters}]}},\"state\":{{{state}}}}}")
        };
        let n1 = "\"n1\"";
        let cases = [
            (
                "\"version\":3,\"new\":true}".to_owned(),
                "its format has version 3, and this program reads versions 1 to 2",
            ),
            ("\"kind\":\"notes\"}".to_owned(), "it is not a snapshot: missing field `version`"),
            (of(2, "", "\"json\":1"), "a configuration needs a voter"),
            (of(1, n1, "\"hex\":\"abc\""), "its state is not hexadecimal"),
            (of(1, n1, "\"hex\":\"xx\""), "its state is not hexadecimal"),
            (of(2, n1, "\"json\":1") + "\n2", "behind its first line are 1 bytes, and it says 0"),
            (of(2, n1, "\"bytes\":3") + "\n12", "behind its first line are 2 bytes, and it says 3"),
            (of(2, n1, "\"bytes\":3"), "behind its first line are 0 bytes, and it says 3"),
            (of(2, n1, "\"bytes\":1") + "\n12", "behind its first line are 2 bytes, and it says 1"),
        ];
        for (text, expected) in cases {
            let problem = read_text(&text).unwrap_err().to_string();
            assert!(
                problem.starts_with("`snapshot.json` makes no sense at byte 0: ") && problem.contains(expected),
                "{problem}"
            );
        }
    }
}
