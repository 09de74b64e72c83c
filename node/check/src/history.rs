//! What clients did and saw, one operation per line of JSON.
//!
//! Invariant: an operation is *one* (client, serial), however often it was retried; it failed only if it certainly was
//! not and will not be applied, and everything else that was not acknowledged is unknown. A refusal (`stale_serial`,
//! `no_session`) of one attempt tells nothing of the others, so what was tried more than once is then unknown too.
//! Deliberately absent: judging, and reads that may be stale: they promise nothing that could be judged.

use std::fmt;
use std::io::{self, BufRead, Write};

use raftian_apps::{Index, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

/// One operation of one client. A line of a history, here broken into two:
///
/// ```json
/// {"client":"a","serial":1,"op":{"attack":3},"invoked_ns":5,"completed_ns":9,
///  "outcome":{"ok":{"index":2,"response":{"outcome":"hit","player":3,"hp":70}}}}
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Who asked.
    pub client: String,
    /// Its number among the client's commands.
    pub serial: u64,
    /// What was asked.
    pub op: Box<RawValue>,
    /// When it should have been sent, on the same clock; `None` where there was no schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_ns: Option<u64>,
    /// When it was first sent, on a monotonic clock common to the whole history.
    pub invoked_ns: u64,
    /// When the client knew the outcome, or gave up; `None` if the run ended before.
    pub completed_ns: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an operation ended for its client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Outcome {
    /// It was acknowledged.
    Ok {
        /// The index at which it took effect. For a read that left no entry: of the last entry that went into the
        /// state it was answered from.
        index: Index,
        /// What the application said.
        response: Response,
    },
    /// It certainly was not and will not be applied, because it was refused before it was proposed.
    Failed {
        /// The refusal.
        reason: String,
    },
    /// Nobody told: a time-out, a broken connection, a lost leader.
    Unknown {
        /// What was seen instead of an answer.
        reason: String,
    },
}

/// Why a history could not be read. Lines count from 1.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The reader failed.
    #[error("line {line} of the history could not be read: {source}")]
    Read {
        /// At this line.
        line: usize,
        /// For this reason.
        source: io::Error,
    },
    /// A line is not an operation.
    #[error("line {line} of the history is not an operation: {source}")]
    Malformed {
        /// This line.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The last line stops in its middle: whoever wrote it was stopped, and one operation is lost.
    #[error("line {line} of the history, the last, is cut short; remove it to judge the operations before it")]
    Truncated {
        /// This line.
        line: usize,
    },
}

/// Reads a history to its end.
///
/// # Errors
/// At the first line that is not a whole operation: a history with a hole must not pass for a shorter one.
pub fn read_history(mut reader: impl BufRead) -> Result<Vec<Operation>, HistoryError> {
    let mut history = Vec::new();
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(|source| HistoryError::Read { line, source })? == 0 {
            break;
        }
        match serde_json::from_slice(&text) {
            Ok(operation) => history.push(operation),
            Err(_) if text.last() != Some(&b'\n') => return Err(HistoryError::Truncated { line }),
            Err(source) => return Err(HistoryError::Malformed { line, source }),
        }
    }
    Ok(history)
}

/// Writes one operation as one line.
///
/// # Errors
/// When the writer fails.
pub fn write_operation(writer: &mut impl Write, operation: &Operation) -> io::Result<()> {
    // Raw JSON may hold line breaks, but only between tokens (inside a text they are escaped): a space means the same.
    let mut line = serde_json::to_string(operation)?;
    if line.contains(['\n', '\r']) {
        line = line.replace(['\n', '\r'], " ");
    }
    line.push('\n');
    writer.write_all(line.as_bytes())
}

/// In findings an operation is named `client#serial`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.client, self.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = concat!(
        r#"{"client":"a","serial":1,"op":{"attack":3},"invoked_ns":5,"completed_ns":9,"#,
        r#""outcome":{"ok":{"index":2,"response":{"outcome":"hit"}}}}"#,
    );
    const FAILED: &str = concat!(
        r#"{"client":"a","serial":2,"op":0,"invoked_ns":10,"completed_ns":11,"#,
        r#""outcome":{"failed":{"reason":"unknown op"}}}"#,
    );
    const UNKNOWN: &str = concat!(
        r#"{"client":"a","serial":3,"op":0,"invoked_ns":12,"completed_ns":null,"#,
        r#""outcome":{"unknown":{"reason":"time-out"}}}"#,
    );

    #[test]
    fn a_history_reads_back_as_written() {
        let text = format!("{OK}\n{FAILED}\n{UNKNOWN}\n");
        let history = read_history(text.as_bytes()).unwrap();
        let mut written = Vec::new();
        for operation in &history {
            write_operation(&mut written, operation).unwrap();
        }
        assert_eq!(String::from_utf8(written).unwrap(), text);
        assert!(read_history(&b""[..]).unwrap().is_empty());
    }

    #[test]
    fn an_op_with_line_breaks_is_still_one_line() {
        let mut operation: Operation = serde_json::from_str(OK).unwrap();
        operation.op = RawValue::from_string("{\r\n\"attack\":\n3}".to_owned()).unwrap();
        let mut written = Vec::new();
        write_operation(&mut written, &operation).unwrap();
        assert_eq!(read_history(&written[..]).unwrap()[0].op.get(), "{  \"attack\": 3}");
    }

    #[test]
    fn a_malformed_line_is_named() {
        for bad in ["", "x", "{}", &OK.replace("\"ok\"", "\"okay\""), &OK.replace("\"op\"", "\"do\"")] {
            let error = read_history(format!("{OK}\n{bad}\n{FAILED}\n").as_bytes()).unwrap_err();
            assert!(matches!(error, HistoryError::Malformed { line: 2, .. }), "{bad:?}: {error}");
        }
    }

    #[test]
    fn a_line_cut_short_is_reported_wherever_the_cut_is() {
        for cut in 1..UNKNOWN.len() {
            let error = read_history(format!("{OK}\n{}", &UNKNOWN[..cut]).as_bytes()).unwrap_err();
            assert!(matches!(error, HistoryError::Truncated { line: 2 }), "cut at {cut}: {error}");
        }
    }

    #[test]
    fn a_whole_last_line_needs_no_line_break() {
        assert_eq!(read_history(format!("{OK}\n{FAILED}").as_bytes()).unwrap().len(), 2);
    }
}
