//! Removing a lab's folder.
//!
//! Invariant: nothing is removed that a lab did not put there, so a mistaken `--folder` costs nobody their files.

use std::fs;
use std::io;
use std::path::PathBuf;

use raftian_rpc::error::LabError;
use raftian_rpc::files::scratch_of;
use raftian_rpc::folder::LabFolder;

/// Removes what a lab keeps in its folder, and then the folder.
///
/// # Errors
/// Failed when something cannot be removed, or when the folder holds what is not the lab's, which stays.
pub(crate) fn purge(folder: &LabFolder) -> Result<PathBuf, LabError> {
    let path = folder.path();
    let files = [
        folder.lab_json(),
        folder.faults(),
        folder.daemon_json(),
        folder.daemon_log(),
        folder.secret(),
        folder.events(),
        // Last of the files: as long as it is there, another daemon sees that this one is not done.
        folder.daemon_lock(),
    ];
    let failed = |what: PathBuf, error: io::Error| {
        LabError::failed(format!("the lab is stopped, but {} could not be removed: {error}", what.display()))
    };
    for inner in ["nodes", "runs"].map(|name| path.join(name)) {
        absent_is_fine(fs::remove_dir_all(&inner)).map_err(|error| failed(inner, error))?;
    }
    // What a process that was killed half-way through writing one of them has left, first.
    let scratch = files.each_ref().map(|file| scratch_of(file));
    for file in scratch.into_iter().chain(files) {
        absent_is_fine(fs::remove_file(&file)).map_err(|error| failed(file, error))?;
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Err(LabError::failed(format!(
            "the lab is stopped and its files are gone, but {} holds others that are not the lab's, and was left",
            path.display()
        ))),
        removed => absent_is_fine(removed).map(|()| path.to_owned()).map_err(|error| failed(path.to_owned(), error)),
    }
}

fn absent_is_fine(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_labs_stays() {
        let path = std::env::temp_dir().join(format!("raftiand-purge-{}", std::process::id()));
        fs::create_dir_all(path.join("nodes/n1")).unwrap();
        fs::write(path.join("secret"), "x").unwrap();
        fs::write(scratch_of(&path.join("lab.json")), "{").unwrap();
        fs::write(path.join("thesis.tex"), "years of work").unwrap();
        let folder = LabFolder::at(&path);
        assert!(purge(&folder).unwrap_err().to_string().contains("not the lab's"));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        fs::remove_file(path.join("thesis.tex")).unwrap();
        assert_eq!(purge(&folder).unwrap(), path);
        assert!(!path.exists());
        assert_eq!(purge(&folder).unwrap(), path, "what is gone already is gone");
    }
}
