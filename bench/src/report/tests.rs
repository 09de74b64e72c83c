//! Reports of a made-up run on disk: the same twice, first things first, and no bad folder without a word.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::analysis::synthetic::{Synthetic, manifest};
use crate::chart::figure_tests::check;
use crate::experiments::{BASELINE, CONTROL, HOSTING};
use crate::suite::manifest::{MANIFEST_FILE, SCHEMA, Seal, digest};
use crate::suite::run::TRIALS_FILE;
use crate::suite::trial::Arm;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    /// A run of the paper's question, on disk.
    fn with_run(test: &str) -> Folder {
        let arms: Vec<Arm> = ["100", "1000"]
            .into_iter()
            .flat_map(|dots| {
                let hostings = [BASELINE, CONTROL, "thread", "process", "async"];
                hostings.map(|hosting| Arm::of([("cap", "none"), ("dots", dots), (HOSTING, hosting)]))
            })
            .collect();
        let mut made = Synthetic::new(7);
        made.blocks(1, 6, &arms, |arm| {
            vec![("fps", if arm.level(HOSTING) == Some("async") { 2_400.0 } else { 3_000.0 })]
        });
        let folder = Folder::empty(test);
        let trials: String =
            made.run().all().iter().map(|trial| serde_json::to_string(trial).unwrap() + "\n").collect();
        fs::write(folder.0.join(TRIALS_FILE), &trials).unwrap();
        let mut manifest = manifest(7, &[(1, &arms), (4, &arms)]);
        let seal = Seal { bytes: trials.len() as u64, sha256: digest(trials.as_bytes()) };
        manifest.files.insert(TRIALS_FILE.to_owned(), seal);
        manifest.write(&folder.0).unwrap();
        folder
    }

    fn empty(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("raftian-report-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(DERIVED_FOLDER).join(file)).unwrap()
    }

    /// Why no report can be written.
    fn refusal(&self) -> String {
        format!("{:#}", write(&self.0).unwrap_err())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn files(report: &Report, change: Change) -> Vec<&str> {
    report.files.iter().filter(|file| file.change == change).map(|file| file.file.as_str()).collect()
}

#[test]
fn a_report_is_the_same_twice_and_says_what_changed() {
    let folder = Folder::with_run("twice");
    let first = write(&folder.0).unwrap();
    let new = files(&first, Change::New);
    assert_eq!(new.len(), first.files.len());
    for file in ["findings.json", "report.md", "report.html", "figures/e1-fps.svg", "figures/e1-fps.png"] {
        assert!(new.contains(&file), "{file} in {new:?}");
    }
    let second = write(&folder.0).unwrap();
    assert_eq!(files(&second, Change::Unchanged), new);

    fs::write(folder.0.join("derived/figures/e1-fps.png"), "scribble").unwrap();
    fs::write(folder.0.join("derived/figures/old.svg"), "<svg/>").unwrap();
    fs::write(folder.0.join("derived/notes.txt"), "mine").unwrap();
    fs::remove_file(folder.0.join("derived/report.md")).unwrap();
    let third = write(&folder.0).unwrap();
    assert_eq!(files(&third, Change::Changed), ["figures/e1-fps.png"]);
    assert_eq!(files(&third, Change::Removed), ["figures/old.svg"]);
    assert_eq!(files(&third, Change::New), ["report.md"]);
    assert_eq!(folder.text("notes.txt"), "mine");
    assert_eq!(files(&write(&folder.0).unwrap(), Change::Unchanged).len(), first.files.len());
}

#[test]
fn the_first_line_answers_the_papers_question() {
    let folder = Folder::with_run("first");
    let report = write(&folder.0).unwrap();
    assert!(report.answer.contains("a server in a thread"), "{}", report.answer);
    let markdown = folder.text("report.md");
    assert_eq!(markdown.lines().next().unwrap().replace('\\', ""), format!("# {}", report.answer));
    let html = folder.text("report.html");
    let heading = html.split("<h1>").nth(1).unwrap().split("</h1>").next().unwrap();
    assert_eq!(heading, report.answer);
    assert!(html.find("<h1>") < html.find("<svg"));
}

#[test]
fn the_page_needs_nothing_else_and_its_markup_is_closed() {
    let folder = Folder::with_run("page");
    write(&folder.0).unwrap();
    let html = folder.text("report.html");
    assert!(!html.contains("src=") && !html.contains("<script") && !html.contains("<link"));
    for tag in ["figure", "table", "ul", "nav", "svg", "h2", "text", "div"] {
        let opened = html.matches(&format!("<{tag} ")).count() + html.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
        assert!(opened > 0, "{tag}");
    }
}

#[test]
fn what_a_partial_run_lacks_stands_in_the_report() {
    let folder = Folder::with_run("partial");
    let report = write(&folder.0).unwrap();
    assert!(report.remarks.iter().any(|remark| remark.contains("E4 has 0 of 6 blocks")), "{:?}", report.remarks);
    let markdown = folder.text("report.md");
    assert!(markdown.contains("E4 has 0 of 6 blocks"));
    assert!(markdown.contains("without an answer: E0, E2, E3, E4"), "{markdown}");
}

#[test]
fn a_bad_folder_is_refused_in_words() {
    let missing = Folder::empty("missing");
    assert!(missing.refusal().contains("holds no run"), "{}", missing.refusal());
    fs::remove_dir(&missing.0).unwrap();
    assert!(missing.refusal().contains("there is no folder"), "{}", missing.refusal());

    let edited = Folder::with_run("edited");
    let path = edited.0.join(TRIALS_FILE);
    let text = fs::read_to_string(&path).unwrap().replacen("\"block\":0", "\"block\":1", 1);
    fs::write(path, text).unwrap();
    assert!(edited.refusal().contains("trials.jsonl was changed"), "{}", edited.refusal());

    let newer = Folder::with_run("newer");
    let path = newer.0.join(MANIFEST_FILE);
    let schema = |number: u32| format!("\"schema\": {number}");
    let text = fs::read_to_string(&path).unwrap().replacen(&schema(SCHEMA), &schema(SCHEMA + 1), 1);
    fs::write(path, text).unwrap();
    assert!(newer.refusal().contains("newer raftian"), "{}", newer.refusal());
    assert!(!newer.0.join(DERIVED_FOLDER).exists(), "a refused run is left as it is");
}

#[test]
fn every_chart_says_where_it_comes_from_and_has_room_for_its_texts() {
    let folder = Folder::with_run("provenance");
    let source = Source::open(&folder.0).unwrap();
    assert!(source.provenance().ends_with("unknown revision · seed 7"), "{}", source.provenance());
    assert!(source.figures().count() >= 2);
    for figure in source.figures() {
        let page = source.draw(figure, Width::Page);
        assert!(page.contains("unknown revision · seed 7"), "{}", figure.name);
        check(&figure.name, &page, 860.0);
        check(&figure.name, &source.draw(figure, Width::Column), 380.0);
    }
}
