//! A history in the form of Porcupine: the JSON of a Go slice of `porcupine.Operation`, so that
//! `json.Unmarshal(text, &operations)` reads it.
//!
//! `Input` is the op as it was asked, `Output` the answer; where the outcome is unknown, `Output` is null and `Return` lies
//! behind all other times: a model takes a null for whatever fits. An operation that failed had no effect, and is left out.

use std::collections::BTreeMap;
use std::io::{self, Write};

use raftian_check::{Operation, Outcome};
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line<'a> {
    client_id: usize,
    input: &'a RawValue,
    call: u64,
    output: Option<Box<RawValue>>,
    r#return: u64,
}

/// Writes a history.
///
/// # Errors
/// When the writer fails.
pub(super) fn write(history: &[Operation], out: &mut impl Write) -> io::Result<()> {
    let end = history.iter().map(|operation| operation.completed_ns.unwrap_or(operation.invoked_ns)).max();
    let after_all = end.unwrap_or(0) + 1;
    let mut clients: BTreeMap<&str, usize> = BTreeMap::new();
    let mut before = "[\n";
    for operation in history {
        let (output, r#return) = match &operation.outcome {
            Outcome::Ok { response, .. } => {
                let answer = RawValue::from_string(response.get().to_owned()).map_err(io::Error::other)?;
                (Some(answer), operation.completed_ns.unwrap_or(after_all))
            }
            Outcome::Unknown { .. } => (None, after_all),
            Outcome::Failed { .. } => continue,
        };
        let count = clients.len();
        let client_id = *clients.entry(&operation.client).or_insert(count);
        let line = Line { client_id, input: &operation.op, call: operation.invoked_ns, output, r#return };
        write!(out, "{before}{}", serde_json::to_string(&line)?)?;
        before = ",\n";
    }
    match before {
        "[\n" => writeln!(out, "[]"),
        _ => writeln!(out, "\n]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_left_out_and_what_is_unknown_never_returned() {
        let text = concat!(
            r#"{"client":"a","serial":1,"op":{"get":"k"},"invoked_ns":5,"completed_ns":9,"outcome":{"ok":{"index":2,"response":{"outcome":"absent"}}}}"#,
            "\n",
            r#"{"client":"b","serial":1,"op":{"set":["k","v"]},"invoked_ns":6,"completed_ns":8,"outcome":{"failed":{"reason":"no"}}}"#,
            "\n",
            r#"{"client":"b","serial":2,"op":{"set":["k","v"]},"invoked_ns":7,"completed_ns":null,"outcome":{"unknown":{"reason":"no"}}}"#,
        );
        let history = raftian_check::read_history(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        write(&history, &mut out).unwrap();
        let expected = concat!(
            "[\n",
            r#"{"ClientId":0,"Input":{"get":"k"},"Call":5,"Output":{"outcome":"absent"},"Return":9},"#,
            "\n",
            r#"{"ClientId":1,"Input":{"set":["k","v"]},"Call":7,"Output":null,"Return":10}"#,
            "\n]\n",
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut none = Vec::new();
        write(&[], &mut none).unwrap();
        assert_eq!(none, b"[]\n");
    }
}
