//! Words that scenarios had before they spoke as the shell does, and what to say instead.

use crate::words::Words;

/// A statement of more words was never one.
const LONGEST: usize = 8;

/// What a statement that begins with this former word is now, as far as it can be told; nothing if it was never one.
pub(crate) fn now(verb: &str, words: &Words<'_>) -> Option<String> {
    let mut rest = words.rest();
    if rest.len() > LONGEST {
        return None;
    }
    let refused = rest.pop_if(|last| *last == "refused").map_or("", |_| " refused");
    let now = match (verb, rest.as_slice()) {
        ("crash", rest) => format!("kill {}", rest.join(" ")),
        ("compact", rest) => format!("snapshot {}", rest.join(" ")),
        ("isolate", rest) => format!("partition --shape isolate={}", rest.join(",")),
        ("try", ["transfer", rest @ ..]) => format!("transfer-leader {}", rest.join(" ")),
        ("try", [verb, rest @ ..]) => format!("member {}", change(verb, rest)),
        ("transfer", [at, rest @ ..]) => format!("transfer-leader {} via {at}{refused}", rest.join(" ")),
        ("add" | "promote" | "remove" | "members", [at, rest @ ..]) => {
            format!("member {} via {at}{refused}", change(verb, rest))
        }
        _ => return None,
    };
    Some(now)
}

fn change(verb: &str, rest: &[&str]) -> String {
    let rest = rest.join(" ");
    match verb {
        "add" => format!("add {rest} --learner"),
        "members" => format!("set {rest}"),
        _ => format!("{verb} {rest}"),
    }
}
