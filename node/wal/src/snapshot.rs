//! The file of the snapshot, JSON that people can read.
//!
//! ```json
//! {"crc32":"1b0c7f2e","version":1,"last_index":7,"last_term":3,
//!  "configuration":{"voters":["n1","n2","n3"]},"state":{"json":{"k":"v"}}}
//! ```
//!
//! The checksum covers every byte but its own digits. An application's state that is not JSON is stored as
//! `{"hex":"…"}`.
//!
//! Invariant: the file is replaced as a whole. The new one is written under another name and synced before it takes the
//! place of the old one, so only damage leaves a file that does not verify.
//!
//! Deliberately absent: earlier snapshots, and what the state means.

use bytes::Bytes;
use raftian_raft::{Configuration, Index, LastEntry, Snapshot, Term};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Disk, DiskFile, WalError};

/// The name of the file.
pub(crate) const FILE: &str = "snapshot.json";
/// Its name until all of it is durable.
pub(crate) const NEW_FILE: &str = "snapshot.json.new";
const VERSION: u32 = 1;
/// What the file begins with.
const PREFIX: &[u8] = b"{\"crc32\":\"";
/// Where the digits of the checksum end.
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
    Hex(String),
}

/// The part that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Writes the snapshot beside the one that is there. It is durable then, but not in force.
pub(crate) fn write_new<D: Disk>(disk: &mut D, snapshot: &Snapshot) -> Result<(), WalError> {
    let location = disk.locate(NEW_FILE);
    let bytes = encode(snapshot);
    let mut file = disk.create(NEW_FILE).map_err(|error| WalError::io("create", &location, error))?;
    file.write_at(0, &bytes).map_err(|error| WalError::io("write", &location, error))?;
    file.sync().map_err(|error| WalError::io("sync", &location, error))
}

/// Puts the snapshot that was written in the place of the one that is there, durably.
pub(crate) fn put_in_force<D: Disk>(disk: &mut D) -> Result<(), WalError> {
    disk.rename(NEW_FILE, FILE).map_err(|error| WalError::io("rename", &disk.locate(NEW_FILE), error))
}

/// Reads the snapshot, if there is one.
///
/// # Errors
/// When it is not as it was written, or cannot be read.
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

fn encode(snapshot: &Snapshot) -> Vec<u8> {
    // Space around a value would be lost, so bytes with some are not stored as JSON.
    let state = match serde_json::from_slice::<&RawValue>(&snapshot.data) {
        Ok(json) if json.get().len() == snapshot.data.len() => State::Json(json),
        _ => State::Hex(to_hex(&snapshot.data)),
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
    let (_, crc) = checksums(&bytes);
    bytes[PREFIX.len()..CRC_END].copy_from_slice(crc.as_bytes());
    bytes
}

/// The digits of the checksum as they are stored, and as they should be.
fn checksums(bytes: &[u8]) -> (String, String) {
    let (before, rest) = bytes.split_at(bytes.len().min(PREFIX.len()));
    let (digits, after) = rest.split_at(rest.len().min(CRC_END - PREFIX.len()));
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    hasher.update(after);
    (digits.escape_ascii().to_string(), format!("{:08x}", hasher.finalize()))
}

/// The snapshot in a file whose checksum holds. The state shares the file's memory.
fn decode(bytes: &Bytes) -> Result<Snapshot, String> {
    let version = serde_json::from_slice::<Versioned>(bytes).map_err(not_a_snapshot)?.version;
    if version != VERSION {
        return Err(format!("its format has version {version}, and this program reads version {VERSION}"));
    }
    let content: Content<'_> = serde_json::from_slice(bytes).map_err(not_a_snapshot)?;
    let data = match content.state {
        State::Json(json) => bytes.slice_ref(json.get().as_bytes()),
        State::Hex(digits) => from_hex(&digits).ok_or("its state is not hexadecimal")?,
    };
    let last = LastEntry { term: content.last_term, index: content.last_index };
    Ok(Snapshot { last, configuration: content.configuration, data })
}

fn not_a_snapshot(error: serde_json::Error) -> String {
    format!("it is not a snapshot: {error}")
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).expect("half a byte");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
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
    use crate::MemDisk;
    use raftian_raft::NodeId;

    fn snapshot(data: &'static [u8]) -> Snapshot {
        let configuration = Configuration::new(NodeId::first(3)).unwrap();
        Snapshot { last: LastEntry { term: 3, index: 7 }, configuration, data: Bytes::from_static(data) }
    }

    /// What is refused about a file with this text under a checksum that holds.
    fn problem_of(text: &str) -> String {
        let mut bytes = format!("{{\"crc32\":\"--------\",{text}}}").into_bytes();
        let (_, crc) = checksums(&bytes);
        bytes[PREFIX.len()..CRC_END].copy_from_slice(crc.as_bytes());
        let mut disk = MemDisk::new();
        disk.create(FILE).unwrap().write_at(0, &bytes).unwrap();
        read(&disk, &[FILE.to_owned()]).unwrap_err().to_string()
    }

    #[test]
    fn any_state_reads_back_byte_for_byte() {
        let states: [&[u8]; 9] = [
            b"",
            b"{}",
            b"null",
            b" {}",
            b"{}\n",
            b"{\"k\": [1.0, 1e400, \"\\u00e9\"]}",
            b"{\"k\":",
            b"\xff\x00",
            b"\"\xff\"",
        ];
        for data in states {
            let mut disk = MemDisk::new();
            write_new(&mut disk, &snapshot(data)).unwrap();
            assert_eq!(read(&disk, &disk.list().unwrap()).unwrap(), None, "not in force yet");
            put_in_force(&mut disk).unwrap();
            assert_eq!(read(&disk, &disk.list().unwrap()).unwrap(), Some(snapshot(data)), "{}", data.escape_ascii());
        }
    }

    #[test]
    fn the_file_can_be_read_by_people() {
        let text = String::from_utf8(encode(&snapshot(b"{\"k\": 1}"))).unwrap();
        let expected = "\",\"version\":1,\"last_index\":7,\"last_term\":3,\
            \"configuration\":{\"voters\":[\"n1\",\"n2\",\"n3\"]},\"state\":{\"json\":{\"k\": 1}}}\n";
        assert_eq!(&text[CRC_END..], expected);
        let text = String::from_utf8(encode(&snapshot(b"plain"))).unwrap();
        assert!(text.ends_with("\"state\":{\"hex\":\"706c61696e\"}}\n"), "{text}");
    }

    #[test]
    fn what_is_no_snapshot_is_refused_even_under_a_good_checksum() {
        let head = "\"version\":1,\"last_index\":7,\"last_term\":3,\"configuration\":";
        let cases = [
            ("\"version\":2,\"new\":true".to_owned(), "its format has version 2, and this program reads version 1"),
            ("\"kind\":\"notes\"".to_owned(), "it is not a snapshot: missing field `version`"),
            (format!("{head}{{\"voters\":[]}},\"state\":{{\"json\":1}}"), "a configuration needs a voter"),
            (format!("{head}{{\"voters\":[\"n1\"]}},\"state\":{{\"hex\":\"abc\"}}"), "its state is not hexadecimal"),
            (format!("{head}{{\"voters\":[\"n1\"]}},\"state\":{{\"hex\":\"xx\"}}"), "its state is not hexadecimal"),
        ];
        for (text, expected) in cases {
            let problem = problem_of(&text);
            assert!(
                problem.starts_with("`snapshot.json` makes no sense at byte 0: ") && problem.contains(expected),
                "{problem}"
            );
        }
    }
}
