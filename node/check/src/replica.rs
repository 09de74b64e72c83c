//! What one server says it committed and applied, as JSON.
//!
//! Invariant of the format: a command is kept to the byte, because two replicas agree only if their bytes do.
//! A server discards what a snapshot stands for, so a log that is read while it grows may have gaps: it is a list of parts,
//! each of consecutive entries.
//! Deliberately absent: any belief in it; see `evidence`.

use raftian_apps::{Configuration, Digest, Entry, Index, NodeId, Payload, Term};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The log and applied state of one server at one moment.
///
/// An entry is `{"index":1,"term":1,"kind":"noop"}`, `{"index":2,"term":1,"kind":"command","command":{…}}`, or
/// `{"index":3,"term":1,"kind":"configuration","configuration":{…}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplicaLog {
    /// Whose it is.
    pub node: NodeId,
    /// The last index it knows to be committed.
    pub commit_index: Index,
    /// The last index it had applied when the digest was taken.
    pub applied_index: Index,
    /// The digest of its applied state.
    pub digest: Digest,
    /// All its entries, from index 1 on or from where its snapshot ends. Those beyond `commit_index` are not judged, but belong here: that a majority
    /// has none tells that nothing more was committed.
    #[serde(serialize_with = "write_entries", deserialize_with = "read_entries")]
    pub entries: Vec<Entry>,
    /// The index after which `entries` begin, where there are none to tell: a snapshot stands for all up to there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub discarded: Index,
    /// Parts that were read before, all of them committed; the server discarded what came between before it was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<LogPart>,
    /// Whether the server may hold more than these entries, since reading them was cut short: then their end tells nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_partial: bool,
}

/// Consecutive entries of a log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogPart(
    /// The entries.
    #[serde(serialize_with = "write_entries", deserialize_with = "read_entries")]
    pub Vec<Entry>,
);

impl ReplicaLog {
    /// The entries of the last part known to be committed: those up to `commit_index`, if their indexes are consecutive.
    pub fn committed(&self) -> &[Entry] {
        let known = usize::try_from(self.commit_index.saturating_sub(self.begin())).unwrap_or(usize::MAX);
        &self.entries[..known.min(self.entries.len())]
    }

    /// All parts of what is known to be committed, in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[Entry]> {
        self.earlier.iter().map(|part| part.0.as_slice()).chain([self.committed()])
    }

    /// The index after which its last part begins.
    pub(crate) fn begin(&self) -> Index {
        self.entries.first().map_or(self.discarded, |first| first.index.saturating_sub(1))
    }

    /// The last index it holds.
    pub(crate) fn end(&self) -> Index {
        self.entries.last().map_or(self.discarded, |last| last.index)
    }
}

fn is_zero(index: &Index) -> bool {
    *index == 0
}

/// How far a server was when its log had been read up to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The last index it knew to be committed.
    pub commit_index: Index,
    /// The last index it had applied when the digest was taken.
    pub applied_index: Index,
    /// The digest of its applied state.
    pub digest: Digest,
}

/// A line of a log that is kept while it grows: an entry, in the form of [`ReplicaLog`]; where its server stood then,
/// `{"commit_index":5,"applied_index":5,"digest":"…"}`; or a gap, `{"discarded":9}`.
#[derive(Clone, Debug, PartialEq)]
pub enum LogRecord {
    /// The next entry.
    Entry(Entry),
    /// How far the server was.
    Standing(Standing),
    /// The server has discarded the entries up to this index, and some of them were not read.
    Discarded(Index),
}

/// The form of [`LogRecord::Discarded`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Discarded {
    discarded: Index,
}

impl LogRecord {
    /// Reads one line.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn read(line: &[u8]) -> serde_json::Result<LogRecord> {
        // Which of them it is has to be known first: raw JSON cannot be tried twice.
        if line.starts_with(br#"{"commit_index""#) {
            return serde_json::from_slice(line).map(LogRecord::Standing);
        }
        if line.starts_with(br#"{"discarded""#) {
            return serde_json::from_slice(line).map(|Discarded { discarded }| LogRecord::Discarded(discarded));
        }
        serde_json::from_slice(line).and_then(read_entry).map(LogRecord::Entry)
    }

    /// Writes it as one line.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn write(&self, writer: &mut impl std::io::Write) -> std::io::Result<()> {
        let text = match self {
            LogRecord::Entry(Entry { index, term, payload: Payload::Command(command) }) => {
                // A log is kept while it grows: its commands are JSON already, and are not read for that.
                write!(writer, r#"{{"index":{index},"term":{term},"kind":"command","command":"#)?;
                write_in_line(command, writer)?;
                return writer.write_all(b"}\n");
            }
            LogRecord::Entry(entry) => write_entry(entry).and_then(|entry| serde_json::to_string(&entry))?,
            LogRecord::Standing(standing) => serde_json::to_string(standing)?,
            LogRecord::Discarded(discarded) => serde_json::to_string(&Discarded { discarded: *discarded })?,
        };
        writer.write_all((text + "\n").as_bytes())
    }
}

/// Writes JSON without line breaks: between its tokens, a space means the same.
fn write_in_line(json: &[u8], writer: &mut impl std::io::Write) -> std::io::Result<()> {
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !json.iter().any(is_break) {
        return writer.write_all(json);
    }
    writer.write_all(&json.iter().map(|byte| if is_break(byte) { b' ' } else { *byte }).collect::<Vec<u8>>())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogEntry {
    index: Index,
    term: Term,
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configuration: Option<Box<Configuration>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Noop,
    Command,
    Configuration,
}

fn write_entries<S: Serializer>(entries: &[Entry], serializer: S) -> Result<S::Ok, S::Error> {
    let written: Result<Vec<LogEntry>, S::Error> = entries.iter().map(write_entry).collect();
    written?.serialize(serializer)
}

fn write_entry<E: serde::ser::Error>(entry: &Entry) -> Result<LogEntry, E> {
    let (kind, command, configuration) = match &entry.payload {
        Payload::Noop => (Kind::Noop, None, None),
        Payload::Command(bytes) => match serde_json::from_slice(bytes) {
            Ok(command) => (Kind::Command, Some(command), None),
            Err(error) => return Err(E::custom(format!("the command at index {} is not JSON: {error}", entry.index))),
        },
        Payload::Configuration(configuration) => (Kind::Configuration, None, Some(configuration.clone())),
    };
    Ok(LogEntry { index: entry.index, term: entry.term, kind, command, configuration })
}

fn read_entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry>, D::Error> {
    Vec::<LogEntry>::deserialize(deserializer)?.into_iter().map(read_entry).collect()
}

fn read_entry<E: serde::de::Error>(entry: LogEntry) -> Result<Entry, E> {
    let payload = match (entry.kind, entry.command, entry.configuration) {
        (Kind::Noop, None, None) => Payload::Noop,
        (Kind::Command, Some(json), None) => Payload::Command(json.get().to_owned().into()),
        (Kind::Configuration, None, Some(configuration)) => Payload::Configuration(configuration),
        _ => return Err(E::custom(format!("the entry at index {} does not have what its kind says", entry.index))),
    };
    Ok(Entry { index: entry.index, term: entry.term, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = concat!(
        r#"{"node":"n2","commit_index":1,"applied_index":1,"digest":"00000000000000ff","entries":["#,
        r#"{"index":1,"term":1,"kind":"noop"},"#,
        r#"{"index":2,"term":3,"kind":"command","command":{"a" : 1.0}},"#,
        r#"{"index":3,"term":3,"kind":"configuration","configuration":{"voters":["n1","n2"]}}]}"#,
    );

    #[test]
    fn a_replica_log_reads_back_as_written_with_its_commands_to_the_byte() {
        let replica: ReplicaLog = serde_json::from_str(TEXT).unwrap();
        assert_eq!(replica.entries[1].payload, Payload::Command(r#"{"a" : 1.0}"#.into()));
        assert_eq!(serde_json::to_string(&replica).unwrap(), TEXT);
    }

    #[test]
    fn the_lines_of_a_growing_log_read_back_as_written() {
        let replica: ReplicaLog = serde_json::from_str(TEXT).unwrap();
        let standing = Standing { commit_index: 1, applied_index: 1, digest: replica.digest };
        let others = [LogRecord::Standing(standing), LogRecord::Discarded(9)];
        let records = replica.entries.into_iter().map(LogRecord::Entry).chain(others);
        for record in records {
            let mut line = Vec::new();
            record.write(&mut line).unwrap();
            assert_eq!(LogRecord::read(&line).unwrap(), record);
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert!(LogRecord::read(&line[..line.len() / 2]).is_err(), "a line that is cut is none");
        }
        let payload = Payload::Command("{\r\n\"a\":\n1}".into());
        let mut line = Vec::new();
        LogRecord::Entry(Entry { index: 1, term: 1, payload }).write(&mut line).unwrap();
        assert!(LogRecord::read(&line).is_ok() && line.ends_with(b"{  \"a\": 1}}\n"), "{line:?}");
    }

    #[test]
    fn only_entries_up_to_the_commit_index_count_as_committed() {
        let mut replica: ReplicaLog = serde_json::from_str(TEXT).unwrap();
        assert_eq!(replica.committed().len(), 1);
        replica.commit_index = 9;
        assert_eq!(replica.committed().len(), 3);
        replica.entries.remove(0);
        replica.commit_index = 2;
        assert_eq!(replica.committed().len(), 1, "the log begins after a snapshot");
    }

    #[test]
    fn a_log_in_parts_reads_back_and_ends_where_its_last_part_does() {
        let mut replica: ReplicaLog = serde_json::from_str(TEXT).unwrap();
        replica.earlier.push(LogPart(std::mem::take(&mut replica.entries)));
        (replica.discarded, replica.commit_index) = (9, 9);
        let back: ReplicaLog = serde_json::from_str(&serde_json::to_string(&replica).unwrap()).unwrap();
        assert_eq!((back.begin(), back.end(), back.committed().len()), (9, 9, 0));
        assert_eq!(back.parts().map(<[Entry]>::len).collect::<Vec<_>>(), [3, 0]);
    }

    #[test]
    fn an_entry_whose_kind_and_content_differ_is_refused() {
        let [noop, command, configuration] = [r#""kind":"noop""#, r#""kind":"command""#, r#""kind":"configuration""#];
        for (good, bad) in [(noop, command), (command, noop), (command, configuration), (configuration, command)] {
            let text = TEXT.replacen(good, bad, 1);
            assert!(serde_json::from_str::<ReplicaLog>(&text).is_err(), "{text}");
        }
    }
}
