//! What comes out of an archive, and what does not come in.

use super::*;
use crate::run::tests::{Scratch, small};
use crate::run::{How, NotARun};

/// A run that was ended, as one file.
fn packed(scratch: &Scratch) -> (Vec<u8>, RunId) {
    let folder = scratch.path().join("run");
    let mut run = small(&folder);
    let id = run.id().clone();
    run.end(How::Completed).unwrap();
    drop(run);
    let mut bytes = Vec::new();
    Run::open(&folder).unwrap().pack(&mut bytes).unwrap();
    (bytes, id)
}

fn import(scratch: &Scratch, bytes: &[u8]) -> (Store, anyhow::Result<PathBuf>) {
    let file = scratch.path().join("file.run");
    fs::write(&file, bytes).unwrap();
    let store = Store::at(scratch.path().join("runs"));
    let imported = store.import(&file);
    (store, imported)
}

#[test]
fn a_run_comes_back_as_it_was_and_once() {
    let scratch = Scratch::new("archive");
    let (bytes, id) = packed(&scratch);
    let (store, imported) = import(&scratch, &bytes);
    let run = Run::open(&imported.unwrap()).unwrap();
    assert_eq!(run.check().unwrap(), Run::open(&scratch.path().join("run")).unwrap().check().unwrap());
    assert_eq!(store.list()[0].id, id);
    let mut again = Vec::new();
    run.pack(&mut again).unwrap();
    assert!(again == bytes, "the same run, the same bytes");
    let (store, imported) = import(&scratch, &bytes);
    assert!(imported.unwrap_err().to_string().contains("is here already"));
    assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 1, "nothing else is left there");

    // The lab of a command lies there too.
    let lab = std::env::temp_dir().join(format!("raftian-run-{:08x}", std::process::id()));
    fs::create_dir(&lab).unwrap();
    let unpacked = Unpacked::of(&scratch.path().join("file.run")).unwrap();
    fs::remove_dir(&lab).expect("it is there still");
    let folder = unpacked.run().folder().to_owned();
    assert!(folder.is_dir() && unpacked.run().check().is_ok());
    drop(unpacked);
    assert!(!folder.exists());
}

#[test]
fn a_file_that_was_damaged_anywhere_is_refused_and_leaves_nothing() {
    let scratch = Scratch::new("archive-damage");
    let (bytes, _) = packed(&scratch);
    for place in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x10;
        // A bit that means nothing, as in the padding of a member, changes nothing.
        let (store, imported) = import(&scratch, &damaged);
        match imported {
            Ok(folder) => {
                assert_eq!(Run::open(&folder).unwrap().check().unwrap().limits, Vec::<String>::new(), "at {place}");
                fs::remove_dir_all(folder).unwrap();
            }
            Err(error) => assert!(error.is::<NotARun>(), "at {place}: {error:#}"),
        }
        assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 0, "at {place}");
    }
    for length in [0, 1, 100, bytes.len() / 2] {
        assert!(import(&scratch, &bytes[..length]).1.unwrap_err().is::<NotARun>());
    }
}

/// An archive with the right hashes of these members.
fn archive(members: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut sums = String::new();
    for (name, _, text) in members {
        let name = name.strip_prefix("aa000000/").unwrap_or(name);
        sums.push_str(&format!("{}  {name}\n", hex(&Sha256::digest(text.as_bytes()))));
    }
    let mut archive = Builder::new(FrameEncoder::new(Vec::new()));
    let sums = [("aa000000/SHA256SUMS", EntryType::Regular, sums.as_str())];
    for (name, kind, text) in sums.iter().chain(members) {
        let mut header = header(text.len() as u64);
        header.set_entry_type(*kind);
        if *kind == EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        // The library itself refuses to write what leads elsewhere.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn what_leads_elsewhere_or_is_no_file_is_refused() {
    let scratch = Scratch::new("archive-hostile");
    let regular = EntryType::Regular;
    for (member, says) in [
        (("aa000000/../../evil", regular, ""), "is no file of a run"),
        (("/etc/evil", regular, ""), "is not the name of a run"),
        (("../evil", regular, ""), "is not the name of a run"),
        (("aa000000/.hidden", regular, ""), "is no file of a run"),
        (("aa000000/logs/deeper/x", regular, ""), "is no file of a run"),
        (("aa000000/logs/", regular, ""), "is no file of a run"),
        (("bb000000/history.jsonl", regular, ""), "holds two runs"),
        (("aa000000/manifest.json", EntryType::Symlink, ""), "is no regular file"),
        (("aa000000/manifest.json", EntryType::Link, ""), "is no regular file"),
        (("aa000000/manifest.json", EntryType::Fifo, ""), "is no regular file"),
        (("aa000000/x", EntryType::GNULongName, "name"), "is no regular file"),
        (("aa000000/manifest.json", regular, "{\"format\":1}"), "is not the manifest of a run"),
        (("aa000000/history.jsonl", regular, ""), "holds no run"),
    ] {
        let (store, imported) = import(&scratch, &archive(&[member]));
        let error = imported.unwrap_err();
        assert!(error.is::<NotARun>() && format!("{error:#}").contains(says), "{member:?}: {error:#}");
        assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 0, "{member:?}");
        assert!(!scratch.path().join("evil").exists() && !scratch.path().join("runs/evil").exists());
    }
}

#[test]
fn sizes_and_names_that_are_only_claimed_are_refused() {
    let scratch = Scratch::new("archive-sizes");
    let twice = ("aa000000/history.jsonl", EntryType::Regular, "");
    let error = import(&scratch, &archive(&[twice, twice])).1.unwrap_err();
    assert!(error.to_string().contains("there twice"), "{error}");

    let mut archive = Builder::new(FrameEncoder::new(Vec::new()));
    let sums = format!("{}  history.jsonl\n", "0".repeat(64));
    archive.append_data(&mut header(sums.len() as u64), "aa000000/SHA256SUMS", sums.as_bytes()).unwrap();
    let mut huge = header(MOST_BYTES + 1);
    huge.set_path("aa000000/history.jsonl").unwrap();
    huge.set_cksum();
    archive.append(&huge, &b"short"[..]).unwrap();
    let error = import(&scratch, &archive.into_inner().unwrap().finish().unwrap()).1.unwrap_err();
    assert!(error.to_string().contains("larger than a run may be"), "{error}");
}

#[test]
fn a_folder_with_a_link_in_it_is_not_packed() {
    let scratch = Scratch::new("archive-link");
    let (_, _) = packed(&scratch);
    std::os::unix::fs::symlink("/etc/passwd", scratch.path().join("run/link")).unwrap();
    let error = Run::open(&scratch.path().join("run")).unwrap().pack(Vec::new()).unwrap_err();
    assert!(error.to_string().contains("is no file of a run"), "{error}");
}
