//! `e4 clips` as a user sees it: files, labels, exit codes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn clips(out: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_e4"))
        .arg("clips")
        .arg("--out")
        .arg(out)
        .args(flags)
        .output()
        .unwrap()
}

fn ok(out: &Path, flags: &[&str]) {
    let output = clips(out, flags);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

/// Exit code and the one line of words.
fn refusal(out: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let output = clips(out, flags);
    let words = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), words)
}

#[test]
fn clips_are_whole_y4m_files_and_labelled() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &["--seed", "3", "--count", "4"]);
    let labels = fs::read_to_string(dir.path().join("labels.csv")).unwrap();
    let mut lines = labels.lines();
    assert_eq!(lines.next(), Some("file,class,difficulty"));
    for (index, line) in lines.clone().enumerate() {
        let fields: Vec<_> = line.split(',').collect();
        assert_eq!(fields[0], format!("clip_{index:06}.y4m"));
        assert!(fields[1].chars().all(char::is_alphabetic));
        assert!((0.0..=1.0).contains(&fields[2].parse::<f64>().unwrap()));
        let bytes = fs::read(dir.path().join(fields[0])).unwrap();
        let header = b"YUV4MPEG2 W96 H96 F10:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n";
        assert!(bytes.starts_with(header));
        let frames = &bytes[header.len()..];
        let each = 6 + 96 * 96 * 3 / 2;
        assert_eq!(frames.len(), 20 * each);
        assert!(
            frames
                .chunks(each)
                .all(|frame| frame.starts_with(b"FRAME\n"))
        );
    }
    assert_eq!(lines.count(), 4);
}

#[test]
fn sizes_may_be_odd_and_oblong_and_difficulty_fixed() {
    let dir = tempfile::tempdir().unwrap();
    let size = [
        "--width", "33", "--height", "17", "--fps", "30", "--frames", "2",
    ];
    let rest = ["--seed", "3", "--count", "1", "--difficulty", "0.25"];
    ok(dir.path(), &[size.as_slice(), rest.as_slice()].concat());
    let bytes = fs::read(dir.path().join("clip_000000.y4m")).unwrap();
    let header = b"YUV4MPEG2 W33 H17 F30:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n";
    assert!(bytes.starts_with(header));
    assert_eq!(bytes.len(), header.len() + 2 * (6 + 33 * 17 + 2 * 17 * 9));
    let labels = fs::read_to_string(dir.path().join("labels.csv")).unwrap();
    assert!(labels.ends_with(",0.2500\n"), "{labels}");
}

#[test]
fn a_clip_depends_on_seed_and_number_alone() {
    let (a, b, c) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    ok(a.path(), &["--seed", "3", "--count", "3"]);
    ok(b.path(), &["--seed", "3", "--count", "1", "--first", "2"]);
    ok(c.path(), &["--seed", "4", "--count", "3"]);
    let clip = |dir: &Path| fs::read(dir.join("clip_000002.y4m")).unwrap();
    assert_eq!(clip(a.path()), clip(b.path()));
    assert_ne!(clip(a.path()), clip(c.path()));
}

#[test]
fn streams_say_the_class_of_every_frame() {
    let dir = tempfile::tempdir().unwrap();
    ok(
        dir.path(),
        &[
            "--seed",
            "3",
            "--count",
            "2",
            "--stream-frames",
            "300",
            "--size",
            "32",
        ],
    );
    for name in ["clip_000000", "clip_000001"] {
        let log = fs::read_to_string(dir.path().join(format!("{name}.frames.csv"))).unwrap();
        let mut lines = log.lines();
        assert_eq!(lines.next(), Some("frame,class,cut,change"));
        let rows: Vec<Vec<_>> = lines.map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), 300);
        assert_eq!(rows[0][2..], ["0", "0"]);
        for (number, pair) in rows.windows(2).enumerate() {
            assert_eq!(pair[0][0], number.to_string());
            assert_eq!(pair[1][3] == "1", pair[0][1] != pair[1][1]);
        }
        assert!(rows.iter().any(|row| row[3] == "1"));
        let bytes = fs::read(dir.path().join(format!("{name}.y4m"))).unwrap();
        let header = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
        assert_eq!(bytes.len() - header, 300 * (6 + 32 * 32 * 3 / 2));
    }
}

#[test]
fn a_folder_that_holds_something_is_left_alone_unless_forced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine.txt"), "x").unwrap();
    let flags = ["--seed", "3", "--count", "1", "--frames", "1"];
    let (code, words) = refusal(dir.path(), &flags);
    assert_eq!(code, Some(2));
    assert!(
        words.contains("--out") && words.contains("--force"),
        "{words}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    ok(dir.path(), &[flags.as_slice(), &["--force"]].concat());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn bad_flags_and_places_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for (flag, value) in [
        ("--difficulty", "1.5"),
        ("--difficulty", "nan"),
        ("--fps", "0"),
        ("--frames", "0"),
        ("--size", "0"),
        ("--width", "99999"),
        ("--seed", "-1"),
    ] {
        let mut flags = vec!["--count", "1", flag, value];
        if flag != "--seed" {
            flags.extend(["--seed", "1"]);
        }
        let (code, words) = refusal(dir.path(), &flags);
        assert_eq!(code, Some(2), "{flag} {value}");
        assert!(words.contains(flag), "{words}");
    }
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let (code, words) = refusal(&file, &["--seed", "1", "--count", "1"]);
    assert_eq!(code, Some(2));
    assert!(
        words.contains("--out") && words.lines().count() == 1,
        "{words}"
    );
}

#[test]
fn numbers_that_are_none_are_told_what_would_do() {
    let dir = tempfile::tempdir().unwrap();
    for (flags, wanted) in [
        (
            &["--seed", "-1", "--count", "1"][..],
            "not a whole number from 0 to",
        ),
        (
            &["--seed", "1", "--count", "0"],
            "not a whole number from 1 to",
        ),
    ] {
        let (code, words) = refusal(&dir.path().join("out"), flags);
        assert_eq!(code, Some(2), "{words}");
        assert!(words.contains(wanted), "{words}");
        assert_eq!(words.lines().count(), 1, "{words}");
    }
    assert!(!dir.path().join("out").exists());
}

#[test]
fn a_rate_may_be_a_fraction() {
    for (rate, header) in [("29.97", "F2997:100 "), ("30000/1001", "F30000:1001 ")] {
        let dir = tempfile::tempdir().unwrap();
        let few = ["--seed", "3", "--count", "1", "--frames", "2"];
        ok(dir.path(), &[&few[..], &["--fps", rate]].concat());
        let bytes = fs::read(dir.path().join("clip_000000.y4m")).unwrap();
        let line = String::from_utf8_lossy(&bytes[..60]).into_owned();
        assert!(line.contains(header), "{line}");
    }
    let dir = tempfile::tempdir().unwrap();
    let (code, words) = refusal(dir.path(), &["--seed", "3", "--count", "1", "--fps", "0"]);
    assert_eq!(code, Some(2));
    assert!(words.contains("--fps"), "{words}");
}

#[test]
fn the_frames_of_a_stream_keep_the_classes_that_were_written_beside_it() {
    use e4::source::clip::{ClipOptions, ClipSource};
    use e4::source::{FrameSource, Next};
    let dir = tempfile::tempdir().unwrap();
    ok(
        dir.path(),
        &["--seed", "5", "--count", "1", "--stream-frames", "200"],
    );
    let table = fs::read_to_string(dir.path().join("clip_000000.frames.csv")).unwrap();
    let rows = table.lines().skip(1);
    let written: Vec<_> = rows.map(|row| row.split(',').nth(1).unwrap()).collect();
    assert!(written.windows(2).any(|pair| pair[0] != pair[1]));
    let mut clip = ClipSource::open(dir.path(), ClipOptions::default()).unwrap();
    clip.start(3, &|| true).unwrap();
    let names = clip.info().labels.clone();
    let mut read = Vec::new();
    while let Next::Frame(slot) = clip.next(u64::MAX).unwrap() {
        read.push(names[usize::from(slot.meta.label.unwrap())].clone());
        clip.release(slot);
    }
    assert_eq!(read, written);
}
