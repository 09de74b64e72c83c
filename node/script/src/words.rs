//! The words of a scenario, each with its place, and what is said about one that cannot stand there.
//!
//! Invariants: a refusal names line and column, what was expected, what was found, and the nearest known word if one is
//! near. What is written by [`Micros`] reads back as the same time.

use std::fmt;

use raftian_raft::NodeId;

use crate::plan::MAX_INCARNATIONS;

/// So many characters of a word are shown that cannot stand where it does; no known word has as many.
const SHOWN: usize = 60;

/// The longest time that a scenario speaks of: a day.
const MAX_US: u64 = 24 * 3_600 * 1_000_000;

/// A text that is no scenario, and where it ceases to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The line, from 1 on.
    pub line: usize,
    /// The column in characters, from 1 on.
    pub column: usize,
    /// What was expected, and what was found.
    pub why: String,
}

/// A word and its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    line: usize,
    column: usize,
}

/// The words of one statement, taken one after another.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    words: Vec<Word<'a>>,
    taken: usize,
    /// Right after the last word.
    end: (usize, usize),
    /// How many nodes there are; 0 before that is known.
    pub(crate) nodes: usize,
}

/// A time as scenarios write it: `20us`, `1.5ms`, `300ms`, `2s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Micros(pub u64);

/// The statements of a text: a line each, with the lines after it that begin with a blank. What follows a `#` is a
/// comment.
pub(crate) fn statements(text: &str) -> Vec<Words<'_>> {
    let mut statements: Vec<Words<'_>> = Vec::new();
    let mut may_go_on = false;
    for (line, content) in (1..).zip(text.lines()) {
        let words = split(line, content);
        let Some(last) = words.last() else {
            may_go_on &= !content.trim().is_empty();
            continue;
        };
        let end = (line, last.column + last.text.chars().count());
        match statements.last_mut().filter(|_| may_go_on && content.starts_with([' ', '\t'])) {
            Some(statement) => {
                statement.words.extend(words);
                statement.end = end;
            }
            None => statements.push(Words { words, taken: 0, end, nodes: 0 }),
        }
        may_go_on = true;
    }
    statements
}

fn split(line: usize, content: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = content;
    let mut column = 1;
    loop {
        let blanks = rest.chars().take_while(|c| c.is_whitespace()).count();
        column += blanks;
        rest = rest.trim_start();
        let text = rest.split(char::is_whitespace).next().unwrap_or_default();
        if text.is_empty() || text.starts_with('#') {
            return words;
        }
        words.push(Word { text, line, column });
        column += text.chars().count();
        rest = &rest[text.len()..];
    }
}

impl<'a> Words<'a> {
    /// The line on which the statement begins.
    pub(crate) fn line(&self) -> usize {
        self.words.first().map_or(self.end.0, |word| word.line)
    }

    /// The next word, which stays.
    pub(crate) fn peek(&self) -> Option<&'a str> {
        self.words.get(self.taken).map(|word| word.text)
    }

    /// All words that are left, as prose.
    pub(crate) fn prose(&mut self) -> String {
        let rest: Vec<&str> = self.words[self.taken..].iter().map(|word| word.text).collect();
        self.taken = self.words.len();
        rest.join(" ")
    }

    /// All words that are left, which stay.
    pub(crate) fn rest(&self) -> Vec<&'a str> {
        self.words[self.taken..].iter().map(|word| word.text).collect()
    }

    /// Takes the beginning of the next word, which must be this; its rest stays.
    pub(crate) fn strip(&mut self, beginning: &'static str, expected: &str) -> Result<(), Unreadable> {
        let word = self.take(expected)?;
        let rest = word.text.strip_prefix(beginning).ok_or_else(|| word.unexpected(expected, &[]))?;
        self.taken -= 1;
        self.words[self.taken] = Word { text: rest, column: word.column + beginning.chars().count(), ..word };
        Ok(())
    }

    /// Takes the next word.
    pub(crate) fn take(&mut self, expected: &str) -> Result<Word<'a>, Unreadable> {
        let (line, column) = self.end;
        let ends = || Unreadable { line, column, why: format!("expected {expected}, but the line ends here") };
        let word = self.words.get(self.taken).copied().ok_or_else(ends)?;
        self.taken += 1;
        Ok(word)
    }

    /// The word after the next one.
    pub(crate) fn peek_second(&self) -> Option<&'a str> {
        self.words.get(self.taken + 1).map(|word| word.text)
    }

    /// Takes this word, if it is the next one.
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let is_next = self.peek() == Some(text);
        self.taken += usize::from(is_next);
        is_next
    }

    /// Takes this word, which must be the next one.
    pub(crate) fn expect(&mut self, text: &'static str) -> Result<(), Unreadable> {
        self.one_of(&[text]).map(|_| ())
    }

    /// Takes one of these words.
    pub(crate) fn one_of(&mut self, known: &[&'static str]) -> Result<&'static str, Unreadable> {
        let quoted: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
        let expected = match quoted.as_slice() {
            [] => "nothing".to_owned(),
            [one] => one.clone(),
            [some @ .., last] => format!("{} or {last}", some.join(", ")),
        };
        let word = self.take(&expected)?;
        let found = known.iter().find(|known| **known == word.text).copied();
        found.ok_or_else(|| word.unexpected(&expected, known))
    }

    /// Takes a word that can be read as something.
    pub(crate) fn parsed<T>(
        &mut self,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, Unreadable> {
        let word = self.take(expected)?;
        parse(word.text).ok_or_else(|| word.unexpected(expected, &[]))
    }

    /// Takes a whole number.
    pub(crate) fn number<T: std::str::FromStr>(&mut self, expected: &str) -> Result<T, Unreadable> {
        self.parsed(expected, |text| text.parse().ok())
    }

    /// Takes `on` or `off`.
    pub(crate) fn switch(&mut self) -> Result<bool, Unreadable> {
        Ok(self.one_of(&["on", "off"])? == "on")
    }

    /// Takes a time.
    pub(crate) fn time_us(&mut self) -> Result<u64, Unreadable> {
        self.parsed("a time in us, ms or s, such as 300ms (at most a day)", time_us)
    }

    /// Takes the name of a node.
    pub(crate) fn node(&mut self) -> Result<NodeId, Unreadable> {
        let word = self.take("a node such as n1")?;
        self.named(word)
    }

    /// Takes a server: the name of a node, or a later incarnation of it.
    pub(crate) fn server(&mut self) -> Result<NodeId, Unreadable> {
        let word = self.take("a server such as n1 or n1.2")?;
        self.incarnation(word)
    }

    /// Takes the names of nodes, each once: `n1,n2`.
    pub(crate) fn some_nodes(&mut self) -> Result<Vec<NodeId>, Unreadable> {
        self.list("nodes such as n1,n2", |words, part| words.named(part))
    }

    /// Takes servers, each once: `n1,n2.2`.
    pub(crate) fn some_servers(&mut self) -> Result<Vec<NodeId>, Unreadable> {
        self.list("servers such as n1,n2.2", |words, part| words.incarnation(part))
    }

    fn list(
        &mut self,
        expected: &str,
        read: impl Fn(&Words<'_>, Word<'_>) -> Result<NodeId, Unreadable>,
    ) -> Result<Vec<NodeId>, Unreadable> {
        let word = self.take(expected)?;
        let mut before = 0;
        let mut nodes = Vec::new();
        for name in word.text.split(',') {
            let part = Word { text: name, column: word.column + before, ..word };
            let id = read(self, part)?;
            if nodes.contains(&id) {
                return Err(part.refused(format!("{id} is named twice")));
            }
            nodes.push(id);
            before += name.chars().count() + 1;
        }
        Ok(nodes)
    }

    /// What happens to a node happens to the server that there is of its name.
    fn named(&self, part: Word<'_>) -> Result<NodeId, Unreadable> {
        match self.incarnation(part)? {
            id if id == id.name() => Ok(id),
            id => Err(part.refused(format!("a node goes by its name here, whichever {} there is", id.name()))),
        }
    }

    fn incarnation(&self, part: Word<'_>) -> Result<NodeId, Unreadable> {
        let id: NodeId = part.text.parse().map_err(|_| part.unexpected("a node such as n1", &[]))?;
        match usize::from(id.number()) <= self.nodes && usize::from(id.incarnation()) <= MAX_INCARNATIONS {
            true => Ok(id),
            false => Err(part.refused(format!("there is no {id}: the nodes are n1 to n{}", self.nodes))),
        }
    }

    /// There are no more words.
    pub(crate) fn end(&mut self) -> Result<(), Unreadable> {
        match self.words.get(self.taken) {
            Some(word) => {
                let is_node = word.text.parse::<NodeId>().is_ok();
                let hint = if is_node { "; where several nodes can be named, it is without blanks: n1,n2" } else { "" };
                Err(word.refused(format!("expected the end of the line, found `{}`{hint}", word.shown())))
            }
            None => Ok(()),
        }
    }

    /// The word that was taken last cannot stand there.
    pub(crate) fn refuse(&self, why: impl Into<String>) -> Unreadable {
        match self.words[..self.taken].last() {
            Some(word) => word.refused(why.into()),
            None => Unreadable { line: self.end.0, column: self.end.1, why: why.into() },
        }
    }

    /// Takes a whole number that is not 0.
    pub(crate) fn positive<T: std::str::FromStr + PartialEq + From<u8>>(
        &mut self,
        expected: &str,
    ) -> Result<T, Unreadable> {
        let word = self.take(expected)?;
        match word.text.parse() {
            Ok(number) if number != T::from(0) => Ok(number),
            Ok(_) => Err(word.refused(format!("{expected} must be 1 or more, found `0`"))),
            Err(_) => Err(word.unexpected(expected, &[])),
        }
    }
}

impl Word<'_> {
    /// This word cannot stand here; one of the others could.
    pub(crate) fn unexpected(&self, expected: &str, known: &[&str]) -> Unreadable {
        let hint = nearest(self.text, known.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
        self.refused(format!("expected {expected}, found `{}`{}", self.shown(), hint.unwrap_or_default()))
    }

    /// The word for a message: not more than a line holds, and with all that it has to be seen.
    fn shown(&self) -> String {
        let mut text = String::new();
        let mut chars = self.text.chars();
        for c in chars.by_ref().take(SHOWN) {
            match c.is_control() || turns_text(c) {
                true => text.extend(c.escape_default()),
                false => text.push(c),
            }
        }
        text.extend(chars.next().map(|_| '…'));
        text
    }

    fn refused(&self, why: String) -> Unreadable {
        Unreadable { line: self.line, column: self.column, why }
    }
}

/// Whether a character changes the direction in which text is shown, so that a message would not read as it is written.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The known word that is most like what was typed, if one is like it.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = typed.chars().count();
    if letters > SHOWN {
        return None;
    }
    let tolerated = 1 + letters / 3;
    let distances =
        known.into_iter().map(|word| (if word.starts_with(typed) { 0 } else { distance(typed, word) }, word));
    distances.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= tolerated).map(|(_, word)| word)
}

/// How many letters must be put in, taken out or replaced to make the one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (done, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], done + 1);
        for (at, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[b.len()]
}

/// Reads a time, exactly.
pub(crate) fn time_us(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (count, unit) = text.split_at(unit_at);
    let digits_after_point = match unit {
        "us" => 0,
        "ms" => 3,
        "s" => 6,
        _ => return None,
    };
    let (whole, fraction) = count.split_once('.').unwrap_or((count, "0"));
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || fraction.trim_end_matches('0').len() > digits_after_point {
        return None;
    }
    let fraction = format!("{:0<digits_after_point$}", fraction.trim_end_matches('0'));
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let us = whole.parse::<u64>().ok()?.checked_mul(10_u64.pow(digits_after_point as u32))?.checked_add(fraction)?;
    (us <= MAX_US).then_some(us)
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            us if us > 0 && us % 1_000_000 == 0 => write!(f, "{}s", us / 1_000_000),
            us if us % 1_000 == 0 => write!(f, "{}ms", us / 1_000),
            us if us < 1_000 => write!(f, "{us}us"),
            us => write!(f, "{}.{}ms", us / 1_000, format!("{:03}", us % 1_000).trim_end_matches('0')),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.why)
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_written() {
        for us in [0, 1, 20, 999, 1_000, 1_500, 312_457, 999_999, 1_000_000, 2_500_000, 3_600_000_000, MAX_US] {
            assert_eq!(time_us(&Micros(us).to_string()), Some(us), "{}", Micros(us));
        }
        assert_eq!((time_us("1.5s"), time_us("0.25ms")), (Some(1_500_000), Some(250)));
        for text in [
            "",
            "5",
            "ms",
            "1.5us",
            "1.2345ms",
            "-1ms",
            "1e3ms",
            "1.ms",
            ".5s",
            "5m",
            "86401s",
            "99999999999999999999s",
        ] {
            assert_eq!(time_us(text), None, "{text:?}");
        }
    }

    #[test]
    fn statements_keep_the_places_of_their_words() {
        let text = "# nothing\nservers 5\n\nsee one  two # not this\n  three\nheal\n\n  alone";
        let told = |words: &Words<'_>| -> String {
            let places = words.words.iter().map(|word| format!("{}@{}:{}", word.text, word.line, word.column));
            places.collect::<Vec<_>>().join(" ")
        };
        let found: Vec<String> = statements(text).iter().map(told).collect();
        assert_eq!(found, ["servers@2:1 5@2:9", "see@4:1 one@4:5 two@4:10 three@5:3", "heal@6:1", "alone@8:3"]);
        assert_eq!(statements(text).iter().map(Words::line).collect::<Vec<_>>(), [2, 4, 6, 8]);
    }

    #[test]
    fn a_typo_is_met_with_the_nearest_word() {
        let known = ["deliver", "drop", "disk", "crash", "partition", "propose"];
        for (typed, near) in [("delivr", Some("deliver")), ("partion", Some("partition")), ("prop", Some("propose"))] {
            assert_eq!(nearest(typed, known), near);
        }
        assert_eq!((nearest("zebra", known), nearest("crsh", known)), (None, Some("crash")));
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "abc")), (3, 3, 0));
    }
}
