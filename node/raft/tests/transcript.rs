//! Protocol transcripts: stories in `transcripts/`, a scenario per file.
//!
//! A line `> command` is a command, the lines after it are what happened, lines that begin with `#` tell the story. The
//! test plays the commands and compares; `UPDATE_TRANSCRIPTS=1 cargo test -p raftian-raft transcripts` writes the
//! files anew, and the difference is then for a reader to judge.
//!
//! ```text
//! cluster N [batch K] [chunk B] [seed S] [lease] [no-pre-vote] [no-check-quorum]
//! join n4                                a server starts that knows of nobody, nor anybody of it
//! disk n1 term 4 [vote n1] log 1 1 2     n1 starts with this on its disk
//! elect n1                               n1's time-out elapses, and all is delivered; shows only who leads then
//! timeout n1                             the clock goes on to n1's deadline, and n1 alone looks at it
//! heartbeat n1                           the same, of a leader
//! propose n1 a b                         n1 is given commands
//! read n1 · transfer n1 n2               n1 is asked for a read, or to let n2 lead
//! add n1 n4 · promote n1 n4 · remove n1 n2 · members n1 n2 n3 + n4
//!                                        n1 is asked for another membership; behind the + are learners
//! compact n1 [keep K]                    n1 is given a snapshot of its application
//! deliver [n1 n2]                        everything until all is quiet, or what is on its way from n1 to n2
//! drop [n1 n2] · lose n1 n2              messages vanish; with `lose`, the sender's transport notices
//! hold n1 n2 · release                   messages are put aside, and back on their way
//! cut n1 | n2 n3 · cut n1 → n2 · heal    links, both ways or one way
//! crash n1 [keeping K] · restart n1      loses what is not synced, but for the first K records
//! slow n1 · sync n1                      n1's disk syncs only when told to
//! advance 50ms · run 3s                  time passes; with `run`, messages are delivered at once and not shown
//! status · log · members · peers n1      a log begins with [5] if it is compacted up to 5
//! ```

mod stage;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use stage::Stage;

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are no transcripts in {}", folder.display());
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let mut stale = Vec::new();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        println!("{name}");
        let expected = fs::read_to_string(&path).unwrap();
        let actual = play(&expected);
        if actual == expected {
            continue;
        }
        if update {
            fs::write(&path, actual).unwrap();
        } else {
            print_difference(&expected, &actual);
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "these went otherwise: {stale:?}; see above, or UPDATE_TRANSCRIPTS=1 to accept");
}

/// The transcript with what really happened in it.
fn play(transcript: &str) -> String {
    let mut stage = Stage::new();
    let mut out = String::new();
    for line in transcript.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            writeln!(out, "{line}").unwrap();
            stage.perform(command, &mut out);
        } else if line.is_empty() || line.starts_with('#') {
            writeln!(out, "{line}").unwrap();
        }
    }
    out
}

/// Shows where two texts differ: what is between their common beginning and their common end.
fn print_difference(expected: &str, actual: &str) {
    let (mut old, mut new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let begin = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let end = end.min(old.len() - begin).min(new.len() - begin);
    old.truncate(old.len() - end);
    new.truncate(new.len() - end);
    println!("  line {}", begin + 1);
    old[begin..].iter().for_each(|line| println!("  - {line}"));
    new[begin..].iter().for_each(|line| println!("  + {line}"));
}
