//! The log is the canvas's history: how it was, who painted what, and how that is put back.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use raftian_tests::Lab;

fn canvas(size: &str) -> Lab {
    let lab = Lab::new();
    lab.ok(&format!("start -n 3 --app canvas --size {size}"));
    lab
}

/// Paints a pixel on somebody's behalf, and gives the index of the entry.
fn paint(lab: &Lab, by: &str, x: u16, y: u16, colour: &str) -> u64 {
    lab.json(&format!("canvas set {x} {y} {colour} --by {by}"))["index"].as_u64().expect("an index")
}

/// The pixels of a PNG file, each as rrggbbaa, and how many frames it has.
fn pixels(path: &Path) -> (Vec<u32>, u32) {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let frames = reader.info().animation_control().map_or(1, |control| control.num_frames);
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut bytes).unwrap();
    let pixels = bytes[..frame.buffer_size()].as_chunks::<4>().0;
    (pixels.iter().map(|pixel| u32::from_be_bytes(*pixel)).collect(), frames)
}

const BLACK: u32 = 0x0000_00ff;
const RED: u32 = 0xff00_00ff;
const UNKNOWN: u32 = 0;

#[test]
fn the_canvas_is_shown_as_it_was_and_painters_are_named() {
    let lab = canvas("4x2");
    let first = paint(&lab, "alice", 0, 0, "red");
    let second = paint(&lab, "bob", 0, 0, "lime");
    lab.ok("kill @leader");
    lab.ok("restart @all");
    lab.ok("wait converged");

    let before = lab.json(&format!("canvas at {first} --to then.png"));
    assert_eq!((&before["first_index"], &before["unknown"], &before["strokes"]), (&1.into(), &0.into(), &1.into()));
    assert_eq!(pixels(&lab.home().join("then.png")).0[..2], [RED, BLACK]);
    assert!(lab.ok("canvas at 0").starts_with("the canvas of 4x2 at index 0 of "));
    lab.fails("canvas at 99999", 2, &["there is no index 99999 yet: the log ends at"]);

    let blame = lab.ok("canvas blame 0 0");
    assert!(blame.starts_with(&format!("pixel 0,0: #00ff00 by bob (index {second}, term ")), "{blame}");
    let all = lab.json("canvas blame 0 0 --all --as n2");
    assert_eq!(
        (&all["strokes"][0]["painter"], &all["strokes"][1]["painter"]),
        (&"bob".into(), &"alice".into()),
        "{all}"
    );
    let unpainted = lab.run("canvas blame 1 0");
    assert_eq!((unpainted.code, unpainted.stderr.as_str()), (1, "pixel 1,0 was never painted\n"), "{unpainted:#?}");
    lab.fails("canvas blame 4 0", 2, &["pixel 4,0 is not on the canvas"]);
    lab.ok("canvas set 1 0 red");
    assert!(lab.ok("canvas blame 1 0").contains(" by cli-"));
    lab.fails("canvas set 0 0 red --by a:b", 2, &["is not a painter"]);
}

#[test]
fn what_a_painter_painted_is_put_back_and_that_is_put_back_in_turn() {
    let lab = canvas("8x1");
    paint(&lab, "alice", 0, 0, "red");
    let vandal = paint(&lab, "mallory", 0, 0, "black");
    paint(&lab, "mallory", 1, 0, "white");
    paint(&lab, "mallory", 2, 0, "white");
    paint(&lab, "alice", 2, 0, "red");

    let dry = lab.json("canvas rollback --by mallory --dry-run");
    assert_eq!((&dry["pixels"], &dry["painted_over"], &dry["index"]), (&2.into(), &1.into(), &().into()), "{dry}");
    assert_eq!(lab.ok("canvas get 0 0"), "#000000\n");
    let some = lab.json(&format!("canvas rollback --by mallory --box 0,0,1,1 --since {vandal}"));
    assert_eq!((&some["pixels"], &some["commands"]), (&1.into(), &1.into()), "{some}");
    assert_eq!((lab.ok("canvas get 0 0"), lab.ok("canvas get 1 0")), ("#ff0000\n".into(), "#ffffff\n".into()));

    let said = lab.ok("canvas rollback --by mallory");
    assert!(said.starts_with("1 pixel of mallory put back by 1 command (index "), "{said}");
    assert!(said.contains("2 pixels were painted over by others, and stay"), "{said}");
    assert_eq!((lab.ok("canvas get 1 0"), lab.ok("canvas get 2 0")), ("#000000\n".into(), "#ff0000\n".into()));

    let painter = some["painter"].as_str().expect("who put it back");
    lab.ok(&format!("canvas rollback --by {painter}"));
    assert_eq!(lab.ok("canvas get 0 0"), "#000000\n");
    lab.fails("canvas rollback --by eve", 1, &["no pixel was painted by `eve`", "canvas blame X Y"]);
    lab.fails("canvas rollback --by mallory --since 2m", 2, &["entries carry no time"]);
}

#[test]
fn what_a_snapshot_has_discarded_is_said_to_be_unknown_and_the_log_that_reaches_furthest_back_is_read() {
    let lab = canvas("3x1");
    let first = paint(&lab, "alice", 0, 0, "red");
    paint(&lab, "alice", 1, 0, "red");
    lab.ok("wait converged");
    lab.ok("snapshot n1,n2");
    assert_eq!(lab.json(&format!("canvas at {first}"))["first_index"], 1, "n3 has it all");
    let second = paint(&lab, "bob", 0, 0, "lime");
    lab.ok("wait converged");

    lab.fails(&format!("canvas at {} --as n1", first - 1), 2, &["stands in no log any more"]);
    lab.json(&format!("canvas at {} --as n1 --to then.png", second - 1));
    assert_eq!(pixels(&lab.home().join("then.png")).0, [UNKNOWN, RED, BLACK]);
    let blame = lab.ok("canvas blame 1 0 --as n1");
    assert!(blame.contains("which stands in no log any more: a snapshot stands for all before index"), "{blame}");
    assert!(lab.ok("canvas blame 1 0").contains("#ff0000 by alice"));
    assert_eq!(lab.json("canvas rollback --by bob --dry-run --as n1")["unknown"], 1);
    assert_eq!(lab.json("canvas rollback --by bob --dry-run")["pixels"], 1);
}

#[test]
fn a_time_lapse_is_an_animated_picture_or_a_page() {
    let lab = canvas("8x8");
    for x in 0..4 {
        paint(&lab, "alice", x, x, "red");
    }
    let report = lab.json("canvas timelapse --to lapse.png --frames 3");
    assert_eq!((&report["strokes"], &report["frames"]), (&4.into(), &3.into()), "{report}");
    let (board, frames) = pixels(&lab.home().join("lapse.png"));
    assert_eq!((frames, board.len()), (3, 512 * 512));
    assert!(board.iter().all(|pixel| *pixel == BLACK));
    lab.ok("canvas timelapse --to lapse.html");
    let page = std::fs::read_to_string(lab.home().join("lapse.html")).unwrap();
    assert!(page.contains(r#""painters":["alice"]"#) && !page.contains("/*data*/null"));
    lab.fails("canvas timelapse --to lapse.gif", 2, &["a GIF, which is not written here"]);
    lab.fails("canvas timelapse --to lapse.png --from 9999", 2, &["nothing lies between"]);
}
