//! `cargo xtask dist`: what can be installed with one command, a tarball and a Debian package, with the three programs, their
//! manual pages, and completions for bash, zsh and fish.
//!
//! Invariant: both packages have the same files, and everything in them comes from the programs and the tree; what was made
//! before is replaced only when the new one is whole.
//!
//! Deliberately absent: signing and uploading, packages of other systems, and installing, which `tar` and `apt` do.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::{cargo_build, run, tree};

/// The programs, which look for each other in their own folder.
const PROGRAMS: [&str; 3] = ["raftianctl", "raftiand", "raftian-node"];

/// Where a shell looks for the completions of a program, below `share`, and under which name.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "bash-completion/completions/raftianctl"),
    ("zsh", "zsh/site-functions/_raftianctl"),
    ("fish", "fish/vendor_completions.d/raftianctl.fish"),
];

/// What is in both packages besides, from the top of the tree.
const PAGES: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// Build the programs for release, and make a tarball and a Debian package of them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask dist
  tar -xf target/dist/raftian-*.tar.gz -C ~/.local --strip-components=1
  sudo apt install ./target/dist/raftian_*.deb")]
pub(crate) struct Args {
    /// The folder for the packages
    #[arg(long, value_name = "FOLDER", default_value = "target/dist")]
    out: PathBuf,
    /// Take the programs from this folder instead of building them
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

/// Makes both packages.
pub(crate) fn make(args: Args) -> anyhow::Result<()> {
    let Args { out, programs } = args;
    let programs = match programs {
        Some(folder) => folder,
        None => build()?,
    };
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("raftian-{version}-{}-linux", env::consts::ARCH);
    let stage = out.join("stage");
    let root = stage.join(&name);
    discard(&stage)?;
    lay_out(&programs, &root)?;
    let tarball = out.join(format!("{name}.tar.gz"));
    replace(&tarball, |new| {
        run(Command::new("tar").args(["--owner=0", "--group=0", "-czf"]).arg(new).arg("-C").arg(&stage).arg(&name))
    })?;
    println!("{}", tarball.display());
    eprintln!("  install it with: tar -xf {} -C ~/.local --strip-components=1", tarball.display());
    if has("dpkg-deb") {
        let package = deb(&out, &stage, &root, version)?;
        println!("{}", package.display());
        let folder = if package.is_absolute() { "" } else { "./" };
        eprintln!("  install it with: sudo apt install {folder}{}", package.display());
    } else {
        eprintln!("no Debian package: there is no dpkg-deb on this machine");
    }
    discard(&stage)
}

/// Builds the programs, and gives their folder.
fn build() -> anyhow::Result<PathBuf> {
    run(cargo_build().args(PROGRAMS.iter().flat_map(|program| ["--package", program])))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| tree().join("target"), PathBuf::from);
    Ok(target.join("release"))
}

/// Puts everything in its place below `root`: `bin` and `share`.
fn lay_out(programs: &Path, root: &Path) -> anyhow::Result<()> {
    for program in PROGRAMS {
        install(&programs.join(program), &root.join("bin").join(program), 0o755)?;
    }
    let pages = root.join("share/man/man1");
    fs::create_dir_all(&pages)?;
    run(raftianctl(programs).arg("--quiet").arg("man").arg("--to").arg(&pages).stdout(Stdio::null()))?;
    for (shell, place) in COMPLETIONS {
        let made = raftianctl(programs).args(["completions", shell]).output()?;
        anyhow::ensure!(made.status.success(), "no completions for {shell}: {}", String::from_utf8_lossy(&made.stderr));
        let place = root.join("share").join(place);
        fs::create_dir_all(place.parent().context("a place in a folder")?)?;
        fs::write(&place, made.stdout).with_context(|| format!("cannot write {}", place.display()))?;
    }
    for page in PAGES {
        install(&tree().join(page), &root.join("share/doc/raftian").join(page), 0o644)?;
    }
    Ok(())
}

/// The program that has just been built, called by its name alone, as it will be when it is installed.
fn raftianctl(programs: &Path) -> Command {
    let mut command = Command::new(programs.join("raftianctl"));
    command.arg0("raftianctl");
    command
}

/// Makes the Debian package of what is laid out in `root`.
fn deb(out: &Path, stage: &Path, root: &Path, version: &str) -> anyhow::Result<PathBuf> {
    let architecture = said(Command::new("dpkg").arg("--print-architecture"))?;
    // What it was linked with, or later.
    let libc = said(Command::new("getconf").arg("GNU_LIBC_VERSION"))?.replace("glibc ", "");
    let package = stage.join("deb");
    fs::create_dir_all(package.join("DEBIAN"))?;
    fs::rename(root, package.join("usr"))?;
    let control = format!(
        "Package: raftian\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: The raftian authors <raftian@localhost>\n\
         Section: education\n\
         Priority: optional\n\
         Depends: libc6 (>= {libc}), libgcc-s1\n\
         Recommends: bash-completion\n\
         Description: Raft laboratory for one machine\n \
         Starts a cluster of real processes, breaks it on purpose, shows why it is as it\n \
         is, and judges whether it agrees again.\n"
    );
    fs::write(package.join("DEBIAN/control"), control)?;
    let file = out.join(format!("raftian_{version}_{architecture}.deb"));
    replace(&file, |new| {
        let mut make = Command::new("dpkg-deb");
        run(make.args(["--root-owner-group", "-Zgzip", "--build"]).arg(&package).arg(new).stdout(Stdio::null()))
    })?;
    Ok(file)
}

/// Copies a file, with these permissions.
fn install(from: &Path, to: &Path, mode: u32) -> anyhow::Result<()> {
    fs::create_dir_all(to.parent().context("a file in a folder")?)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

/// Has a file made under another name, and gives it its own when it is whole.
fn replace(file: &Path, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let new = file.with_added_extension("new");
    make(&new)?;
    fs::rename(&new, file).with_context(|| format!("cannot make {}", file.display()))
}

/// Removes a folder, if it is there.
fn discard(folder: &Path) -> anyhow::Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display())),
        false => Ok(()),
    }
}

/// Whether a program is there.
fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// What a program says, in a line.
fn said(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{:?} cannot be run", command.get_program()))?;
    anyhow::ensure!(output.status.success(), "{:?} failed: {}", command.get_program(), output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
