//! Phrases that more than one command says.

use std::time::Duration;

pub(crate) use raftian_view::words::{
    bytes, configuration, damage, gone, leads, memory, resolved, spell_ms, state, typed,
};

/// How long ago something was, in one unit: `12 s`, `5 min`, `3 h`, `8 d`.
pub(crate) fn age(age: Duration) -> String {
    match age.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

/// Whole milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `1 node`, `5 nodes`.
pub(crate) fn nodes(count: usize) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}

/// A text that somebody made up, such as a key, on one line and without a say over the terminal: as within the quotation
/// marks of a value, control characters are escaped.
pub(crate) fn escaped(text: &str) -> String {
    let quoted = format!("{text:?}");
    quoted[1..quoted.len() - 1].to_owned()
}

/// Words in lines of at most so many characters, where they fit.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= width) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_text_breaks_a_line_or_paints_the_terminal() {
        assert_eq!(escaped("k\n2\u{1b}[31m\u{9b}\u{202e}"), r"k\n2\u{1b}[31m\u{9b}\u{202e}");
        assert_eq!((escaped("größe it's"), escaped("")), ("größe it's".to_owned(), String::new()));
    }

    #[test]
    fn lines_are_as_long_as_they_may_be() {
        assert_eq!(wrapped("one two  three\nfour", 9), "one two\nthree\nfour");
        assert_eq!((wrapped("", 9), wrapped("extraordinary", 9)), (String::new(), "extraordinary".to_owned()));
    }
}
