//! What can be installed: a tarball and a Debian package that have the same files, and programs that find each other.

use std::fs;
use std::path::Path;
use std::process::Command;

use raftian_tests::{Lab, binaries};

/// What a command says; it must succeed.
#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The files of a package below its top folder, or below `usr`.
fn files(listing: &str) -> Vec<String> {
    let paths = listing.lines().map(|line| line.rsplit(' ').next().unwrap().trim_start_matches("./usr/"));
    let mut files: Vec<String> = paths.filter(|path| !path.ends_with('/')).map(str::to_owned).collect();
    files.sort();
    files
}

#[test]
fn a_tarball_and_a_debian_package_have_the_programs_their_pages_and_completions() {
    let lab = Lab::new();
    let out = lab.home().join("dist");
    // Without what only debuggers want, they are packed in seconds.
    let programs = lab.home().join("programs");
    fs::create_dir(&programs).unwrap();
    for program in ["raftianctl", "raftiand", "raftian-node"] {
        said(Command::new("strip").arg(binaries().join(program)).arg("-o").arg(programs.join(program)));
    }
    let xtask = binaries().join("xtask");
    let made = said(Command::new(xtask).args(["dist", "--programs"]).arg(&programs).arg("--out").arg(&out));
    let tarball = Path::new(made.lines().next().unwrap());
    assert!(tarball.starts_with(&out), "{made}");

    let unpacked = lab.home().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    said(Command::new("tar").arg("-xf").arg(tarball).arg("-C").arg(&unpacked).arg("--strip-components=1"));
    for file in
        ["share/man/man1/raftianctl-kill.1", "share/zsh/site-functions/_raftianctl", "share/doc/raftian/README.md"]
    {
        assert!(unpacked.join(file).is_file(), "{file}");
    }
    let completions = fs::read_to_string(unpacked.join("share/bash-completion/completions/raftianctl")).unwrap();
    assert!(completions.contains("\"raftianctl\" -- \"${words[@]}\""), "{completions}");

    let installed = |line: &str| {
        let mut command = Command::new(unpacked.join("bin/raftianctl"));
        said(command.args(line.split(' ')).env("RAFTIAN_HOME", lab.home()).env_remove("RAFTIAN_BIN_DIR"))
    };
    assert!(installed("start -n 1").contains("1 node up"));
    assert!(installed("stop --purge").contains("removed"));

    if let Some(deb) = made.lines().nth(1).filter(|line| line.ends_with(".deb")) {
        let top = format!("{}/", tarball.file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.gz"));
        let in_tarball = said(Command::new("tar").arg("-tf").arg(tarball)).replace(&top, "");
        assert_eq!(files(&said(Command::new("dpkg-deb").arg("-c").arg(deb))), files(&in_tarball));
        assert!(said(Command::new("dpkg-deb").args(["-f", deb, "Depends"])).starts_with("libc6 (>= "));
    }
}
