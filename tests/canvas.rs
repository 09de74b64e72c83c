//! The canvas: its commands, pictures both ways, and a load on it.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use raftian_tests::{Lab, assert_valid, ended, eventually};

fn canvas(size: &str) -> Lab {
    let lab = Lab::new();
    lab.ok(&format!("start -n 3 --app canvas --size {size}"));
    lab
}

/// A picture in which no two neighbours have the same colour.
fn colours(width: u32, height: u32) -> Vec<u8> {
    (0..width * height).flat_map(|place| [(place % 251) as u8, (place / 7 % 256) as u8, 99]).collect()
}

fn write(path: &Path, width: u32, height: u32, rgb: &[u8]) {
    let mut encoder = png::Encoder::new(File::create(path).unwrap(), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(rgb).unwrap();
}

fn read(path: &Path) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut rgb).unwrap();
    (frame.width, frame.height, rgb)
}

fn digests(lab: &Lab) -> Vec<String> {
    lab.nodes().iter().map(|node| node["server"]["digest"].to_string()).collect()
}

#[test]
fn what_was_drawn_outlives_the_leader_and_a_restart_of_all() {
    let lab = canvas("100x80");
    let (picture, shot) = (lab.home().join("picture.png"), lab.home().join("shot.png"));
    let drawn = colours(100, 80);
    write(&picture, 100, 80, &drawn);
    let report = lab.json("canvas draw picture.png");
    assert_eq!((&report["pixels"], &report["commands"]), (&8_000.into(), &2.into()), "{report}");

    lab.ok("kill @leader");
    lab.leader();
    // Column 3 of row 4 is place 403.
    assert_eq!(lab.ok("canvas get 3 4"), format!("#{:02x}{:02x}63\n", 403 % 251, 403 / 7));
    lab.ok("canvas screenshot shot.png");
    assert!(read(&shot) == (100, 80, drawn.clone()));

    lab.ok("restart @all");
    lab.ok("wait converged");
    lab.ok("stop");
    lab.ok("start");
    lab.ok("wait converged");
    let digests = digests(&lab);
    assert!(digests.len() == 3 && digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    for node in ["n1", "n2", "n3"] {
        lab.ok(&format!("canvas screenshot shot.png --stale --as {node}"));
        assert!(read(&shot) == (100, 80, drawn.clone()), "{node}");
    }
    assert!(lab.ok("status").contains("100x80, 8000 of 8000 pixels painted"), "{}", lab.ok("status"));
}

#[test]
fn a_node_without_its_log_has_the_canvas_from_a_snapshot() {
    let lab = canvas("40x40");
    write(&lab.home().join("picture.png"), 40, 40, &colours(40, 40));
    lab.ok("canvas draw picture.png");
    lab.ok("snapshot @all");
    lab.ok("member add n4");
    lab.ok("wait converged");
    eventually("n4 has the digest of the others", || {
        let digests = digests(&lab);
        digests.len() == 4 && digests.iter().all(|digest| *digest == digests[0])
    });
}

#[test]
fn every_command_does_what_it_says_and_what_is_not_on_the_canvas_is_refused() {
    let lab = canvas("64x32");
    assert!(lab.ok("canvas set 3 4 red --as n2").starts_with("pixel 3,4 is #ff0000 (index "));
    assert_eq!(lab.ok("canvas get 3 4 --as n3"), "#ff0000\n");
    let pixel = lab.json("canvas get 3 4");
    assert_eq!(pixel["response"]["colour"], 0xff_0000, "{pixel}");
    let index = pixel["response"]["index"].as_u64().unwrap();
    assert!(lab.ok("log n1 -n 3").contains("paint 3,4 #ff0000"), "index {index}");
    let unpainted = lab.run("canvas get 0 0");
    assert_eq!((unpainted.code, unpainted.stdout.as_str()), (1, ""), "{unpainted:#?}");
    assert_eq!(unpainted.stderr, "pixel 0,0 was never painted\n");

    lab.fails("canvas set 64 0 red", 2, &["pixel 64,0 is not on the canvas", "columns 0 to 63 and rows 0 to 31"]);
    lab.fails("canvas get 0 32", 2, &["pixel 0,32 is not on the canvas"]);
    lab.fails("canvas set 1000 0 red", 2, &["not a column or a row"]);
    lab.fails("canvas set 0 0 reddish", 2, &["`reddish` is not a colour", "six hexadecimal digits", "navy"]);
    lab.fails("kv get k", 2, &["replicates a canvas, not the key-value store"]);
    lab.fails("start --size 64x33", 1, &["a canvas of 64x32, not 64x33"]);
    lab.fails("--lab other start -n 1 --size 64x33", 2, &["has no size"]);
    lab.fails("--lab other start -n 1 --app canvas --size 1001x1", 2, &["1 to 1000 pixels, such as 64x64"]);

    write(&lab.home().join("wide.png"), 65, 1, &colours(65, 1));
    lab.fails("canvas draw wide.png", 2, &["a picture of 65x1 at 0,0 is not all on the canvas", "--at"]);
    write(&lab.home().join("huge.png"), 1001, 1, &colours(1001, 1));
    lab.fails("canvas draw huge.png", 2, &["1001×1 pixels", "no canvas is larger than 1000×1000"]);
    fs::write(lab.home().join("text.png"), "no picture").unwrap();
    lab.fails("canvas draw text.png", 2, &["no whole PNG file"]);
    lab.fails("canvas draw none.png", 2, &["none.png cannot be read"]);
    lab.fails("canvas screenshot shot.jpg", 2, &["name it .png"]);
}

#[test]
fn a_load_on_the_canvas_through_a_crash_is_linearizable() {
    let lab = canvas("16x16");
    let load = lab.begin("-o json load --rate 300 --clients 8 --pixels 8 --for 5s");
    lab.ok("wait commit>=100");
    lab.ok("kill @leader");
    lab.ok("restart @all");
    let load = ended(load);
    assert_valid(&load);
    let report: serde_json::Value = serde_json::from_str(&load.stdout).unwrap();
    assert!(report["report"]["counts"]["reads"].as_u64().unwrap() > 50, "{report}");
    let found = &report["report"]["linearizability"];
    assert!(found["violated"] == 0 && found["objects"].as_u64().unwrap() > 50, "{report}");
}
