//! The README's own commands, word for word.

use std::fs;

use raftian_tests::{Lab, workspace};

/// A command of the README and what it shows for it.
struct Shown {
    line: String,
    output: Vec<String>,
}

/// The commands of all ```console blocks.
fn shown() -> Vec<Shown> {
    let text = fs::read_to_string(workspace().join("README.md")).expect("README.md");
    let mut shown: Vec<Shown> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match (line.strip_prefix("$ "), shown.last_mut()) {
                (Some(command), _) => shown.push(Shown { line: command.to_owned(), output: Vec::new() }),
                (None, Some(last)) => last.output.push(line.to_owned()),
                (None, None) => panic!("output before any command: {line}"),
            },
        }
    }
    shown
}

/// A line with what differs from run to run made equal: numbers and nodes.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for c in line.trim_end().chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        if !(c == '#' && shape.ends_with('#')) {
            shape.push(c);
        }
    }
    shape.replace("#.#", "#")
}

#[test]
fn every_raftianctl_command_of_the_readme_works_and_prints_what_is_shown() {
    let commands: Vec<Shown> = shown().into_iter().filter(|shown| shown.line.starts_with("raftianctl ")).collect();
    assert!(commands.len() >= 10, "the README shows how to use raftianctl");
    let lab = Lab::new();
    for Shown { line, output } in commands {
        let arguments = line.split('#').next().unwrap_or(&line).trim_start_matches("raftianctl ");
        if arguments.starts_with("demo") {
            // Takes half a minute and has a test of its own.
            continue;
        }
        let ran = lab.run(arguments);
        assert_eq!(ran.code, 0, "{ran:#?}");
        if let [only] = output.as_slice() {
            assert_eq!(shape(ran.stdout.lines().next().unwrap_or("")), shape(only), "{ran:#?}");
        }
    }
}
