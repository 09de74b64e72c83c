//! A history in the form of Jepsen: a map in EDN per line, for the invocation and for the completion of each operation, in
//! order of time, as Knossos and Elle read it.
//!
//! A key of the store is a register: `get` is `:read`, `set` is `:write`, `del` is `:write` of nil, `cas` is `:cas`, and the
//! value is a tuple of the key and what Jepsen has there for one register (`jepsen.independent`). `incr`, which a register
//! does not have, and the ops of the game keep their names; their value is `[object argument answer]`. A pixel is a register
//! too, with its place for a key, if the command paints one; a batch of several is a `:txn` of writes (Elle's
//! `[[:w [3 4] 255] …]`), which a checker of registers leaves out.
//!
//! What one painted out of the canvas was refused as a whole: `:fail`.
//!
//! Invariant: a process has one operation at a time, and none after one of which the outcome is unknown: its client goes on
//! as another process.

use std::collections::BTreeMap;
use std::io::{self, Write};

use raftian_check::{Operation, Outcome};
use serde_json::Value;

/// Writes a history.
///
/// # Errors
/// When the writer fails.
pub(super) fn write(history: &[Operation], out: &mut impl Write) -> io::Result<()> {
    let mut processes = Processes::default();
    let mut moments: Vec<Moment> = Vec::new();
    let mut by_invocation: Vec<&Operation> = history.iter().collect();
    by_invocation.sort_by_key(|operation| operation.invoked_ns);
    for operation in by_invocation {
        let process = processes.of(operation);
        let register = Register::of(operation);
        let line = |kind: &str, value: &str| {
            format!(":process {process}, :type :{kind}, :f :{}, :value {value}", register.function)
        };
        moments.push(Moment { at_ns: operation.invoked_ns, order: 1, text: line("invoke", &register.asked) });
        // Of what never completed, Jepsen has no line either.
        let Some(at_ns) = operation.completed_ns else { continue };
        let text = match &operation.outcome {
            Outcome::Ok { .. } if register.is_refused => line("fail", &register.asked),
            Outcome::Ok { .. } => line("ok", &register.answered),
            Outcome::Failed { reason } => line("fail", &register.asked) + &error(reason),
            Outcome::Unknown { reason } => line("info", &register.asked) + &error(reason),
        };
        moments.push(Moment { at_ns, order: 0, text });
    }
    // What completed when another was invoked came before it.
    moments.sort_by_key(|moment| (moment.at_ns, moment.order));
    for (index, Moment { at_ns, text, .. }) in moments.iter().enumerate() {
        writeln!(out, "{{:index {index}, :time {at_ns}, {text}}}")?;
    }
    Ok(())
}

fn error(reason: &str) -> String {
    format!(", :error {}", edn(&Value::from(reason)))
}

/// A line, but for its number.
struct Moment {
    at_ns: u64,
    order: u8,
    text: String,
}

/// The processes that stand for the clients.
#[derive(Default)]
struct Processes<'a> {
    of_client: BTreeMap<&'a str, usize>,
    next: usize,
}

impl<'a> Processes<'a> {
    fn of(&mut self, operation: &'a Operation) -> usize {
        let next = &mut self.next;
        let process = *self.of_client.entry(&operation.client).or_insert_with(|| {
            *next += 1;
            *next - 1
        });
        if matches!(operation.outcome, Outcome::Unknown { .. }) {
            self.of_client.remove(operation.client.as_str());
        }
        process
    }
}

/// An operation as one on a register.
struct Register {
    function: String,
    asked: String,
    answered: String,
    /// Whether its answer says that it changed nothing.
    is_refused: bool,
}

impl Register {
    fn of(operation: &Operation) -> Register {
        let op: Value = serde_json::from_str(operation.op.get()).unwrap_or_default();
        let (name, argument) =
            op.as_object().and_then(|op| op.iter().next()).map_or(("op", &op), |(k, v)| (k.as_str(), v));
        let answer: Value = match &operation.outcome {
            Outcome::Ok { response, .. } => serde_json::from_str(response.get()).unwrap_or_default(),
            Outcome::Failed { .. } | Outcome::Unknown { .. } => Value::Null,
        };
        let part = |place: usize| edn(argument.get(place).unwrap_or(&Value::Null));
        let same = |function: &str, value: String| Register {
            function: function.to_owned(),
            asked: value.clone(),
            answered: value,
            is_refused: answer["outcome"] == "mismatch" || answer["outcome"] == "out_of_range",
        };
        let key = edn(argument);
        match name {
            "get" => Register {
                answered: format!("[{key} {}]", edn(&answer["value"])),
                ..same("read", format!("[{key} nil]"))
            },
            "set" => same("write", format!("[{} {}]", part(0), part(1))),
            "del" if argument.is_string() => same("write", format!("[{key} nil]")),
            "pixel" => Register {
                answered: format!("[{key} {}]", edn(&answer["colour"])),
                ..same("read", format!("[{key} nil]"))
            },
            "paint" => match argument.as_array().map(Vec::as_slice) {
                Some([one]) => same("write", pixel(one)),
                many => {
                    let writes = many.unwrap_or_default().iter().map(|one| format!("[:w {}", &pixel(one)[1..]));
                    same("txn", format!("[{}]", writes.collect::<Vec<_>>().join(" ")))
                }
            },
            "cas" => same("cas", format!("[{} [{} {}]]", part(0), part(1), part(2))),
            other => {
                let asked = match argument {
                    Value::Array(_) => format!("{} {}", part(0), part(1)),
                    _ => format!("{key} nil"),
                };
                let answered = format!("[{asked} {}]", edn(&answer));
                Register { answered, ..same(other, format!("[{asked} nil]")) }
            }
        }
    }
}

/// `[3,4,255]` as `[[3 4] 255]`.
fn pixel(one: &Value) -> String {
    let part = |place: usize| edn(one.get(place).unwrap_or(&Value::Null));
    format!("[[{} {}] {}]", part(0), part(1), part(2))
}

/// JSON as EDN.
fn edn(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        // Its escapes are those of EDN.
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(edn).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            // By name: the order of a map in memory is not the same in every build.
            let fields: BTreeMap<_, _> = fields.iter().collect();
            let each =
                fields.iter().map(|(name, value)| format!("{} {}", edn(&Value::from(name.as_str())), edn(value)));
            format!("{{{}}}", each.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(client: &str, times: (u64, u64), op: &str, outcome: &str) -> Operation {
        let (invoked, completed) = times;
        let completed = if completed == 0 { "null".to_owned() } else { completed.to_string() };
        let text = format!(
            r#"{{"client":"{client}","serial":1,"op":{op},"invoked_ns":{invoked},"completed_ns":{completed},"outcome":{outcome}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn ok(response: &str) -> String {
        format!(r#"{{"ok":{{"index":2,"response":{response}}}}}"#)
    }

    fn lines(history: &[Operation]) -> Vec<String> {
        let mut out = Vec::new();
        write(history, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_ops_of_the_store_are_those_of_registers() {
        let history = [
            operation("a", (1, 2), r#"{"set":["k","v"]}"#, &ok(r#"{"outcome":"set"}"#)),
            operation("a", (3, 4), r#"{"get":"k"}"#, &ok(r#"{"outcome":"found","value":"v"}"#)),
            operation("a", (5, 6), r#"{"cas":["k",null,"w"]}"#, &ok(r#"{"outcome":"mismatch","value":"v"}"#)),
            operation("a", (7, 8), r#"{"del":"k"}"#, &ok(r#"{"outcome":"deleted"}"#)),
            operation("a", (9, 10), r#"{"incr":["n",5]}"#, &ok(r#"{"outcome":"incremented","value":"5"}"#)),
        ];
        assert_eq!(
            lines(&history),
            [
                r#"{:index 0, :time 1, :process 0, :type :invoke, :f :write, :value ["k" "v"]}"#,
                r#"{:index 1, :time 2, :process 0, :type :ok, :f :write, :value ["k" "v"]}"#,
                r#"{:index 2, :time 3, :process 0, :type :invoke, :f :read, :value ["k" nil]}"#,
                r#"{:index 3, :time 4, :process 0, :type :ok, :f :read, :value ["k" "v"]}"#,
                r#"{:index 4, :time 5, :process 0, :type :invoke, :f :cas, :value ["k" [nil "w"]]}"#,
                r#"{:index 5, :time 6, :process 0, :type :fail, :f :cas, :value ["k" [nil "w"]]}"#,
                r#"{:index 6, :time 7, :process 0, :type :invoke, :f :write, :value ["k" nil]}"#,
                r#"{:index 7, :time 8, :process 0, :type :ok, :f :write, :value ["k" nil]}"#,
                r#"{:index 8, :time 9, :process 0, :type :invoke, :f :incr, :value ["n" 5 nil]}"#,
                r#"{:index 9, :time 10, :process 0, :type :ok, :f :incr, :value ["n" 5 {"outcome" "incremented", "value" "5"}]}"#,
            ]
        );
    }

    #[test]
    fn a_pixel_is_a_register_and_a_batch_of_several_a_transaction() {
        let painted = ok(r#"{"outcome":"painted"}"#);
        let history = [
            operation("a", (1, 2), r#"{"paint":[[3,4,255]]}"#, &painted),
            operation("a", (3, 4), r#"{"pixel":[3,4]}"#, &ok(r#"{"outcome":"found","colour":255,"index":2}"#)),
            operation("a", (5, 6), r#"{"paint":[[3,4,1],[5,6,2]]}"#, &painted),
            operation("a", (7, 8), r#"{"paint":[[99,4,1]]}"#, &ok(r#"{"outcome":"out_of_range","size":"64x64"}"#)),
            operation("a", (9, 10), r#"{"pixel":[0,0]}"#, &ok(r#"{"outcome":"unpainted"}"#)),
        ];
        let completed: Vec<String> = lines(&history).into_iter().skip(1).step_by(2).collect();
        assert_eq!(
            completed,
            [
                "{:index 1, :time 2, :process 0, :type :ok, :f :write, :value [[3 4] 255]}",
                "{:index 3, :time 4, :process 0, :type :ok, :f :read, :value [[3 4] 255]}",
                "{:index 5, :time 6, :process 0, :type :ok, :f :txn, :value [[:w [3 4] 1] [:w [5 6] 2]]}",
                "{:index 7, :time 8, :process 0, :type :fail, :f :write, :value [[99 4] 1]}",
                "{:index 9, :time 10, :process 0, :type :ok, :f :read, :value [[0 0] nil]}",
            ]
        );
    }

    #[test]
    fn a_client_is_another_process_after_an_unknown_outcome_and_times_put_the_lines_in_order() {
        let history = [
            operation("b", (2, 5), r#"{"attack":3}"#, &ok(r#"{"outcome":"hit","player":3,"hp":70}"#)),
            operation("a", (1, 4), r#"{"attack":1}"#, r#"{"unknown":{"reason":"time-out"}}"#),
            operation("a", (5, 6), r#"{"attack":1}"#, r#"{"failed":{"reason":"a \"refusal\""}}"#),
            operation("a", (7, 0), r#"{"attack":1}"#, r#"{"unknown":{"reason":"the end"}}"#),
        ];
        assert_eq!(
            lines(&history),
            [
                "{:index 0, :time 1, :process 0, :type :invoke, :f :attack, :value [1 nil nil]}",
                "{:index 1, :time 2, :process 1, :type :invoke, :f :attack, :value [3 nil nil]}",
                "{:index 2, :time 4, :process 0, :type :info, :f :attack, :value [1 nil nil], :error \"time-out\"}",
                "{:index 3, :time 5, :process 1, :type :ok, :f :attack, :value [3 nil {\"hp\" 70, \"outcome\" \"hit\", \"player\" 3}]}",
                "{:index 4, :time 5, :process 2, :type :invoke, :f :attack, :value [1 nil nil]}",
                "{:index 5, :time 6, :process 2, :type :fail, :f :attack, :value [1 nil nil], :error \"a \\\"refusal\\\"\"}",
                "{:index 6, :time 7, :process 2, :type :invoke, :f :attack, :value [1 nil nil]}",
            ]
        );
    }
}
