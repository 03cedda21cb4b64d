//! What a user of `e4 run` relies on: where output goes, what it says, and the
//! exit codes 0 (done), 1 (failed) and 2 (bad input).
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[allow(dead_code, reason = "each test binary uses its own share")]
#[path = "clip_sources/bytes.rs"]
mod bytes;
#[path = "support/process.rs"]
mod process;

use e4::config::Config;
use e4::telemetry::Summary;
use process::{BUNDLE, Clips, e4, end, interrupt, refused, run, summary, text, wait_for};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

#[test]
fn labelled_clips_end_in_a_table_and_a_summary_of_every_frame() {
    let clips = Clips::new();
    let file = clips.at("summary.json");
    let done = end(run(&["--clip", &clips.folder(), "--summary", &file]));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let table = text(&done.stdout);
    for word in [
        "40 captured",
        "exit",
        "latency ms",
        "p99",
        "accuracy",
        "4 clips",
        "MACs",
    ] {
        assert!(table.contains(word), "{word}: {table}");
    }
    assert!(!table.contains(['{', '\x1b']));
    let summary = summary(file);
    assert_eq!((summary.frames.captured, summary.frames.results), (40, 40));
    assert!(summary.accuracy.is_some());
    assert!(
        summary
            .macs_share
            .is_some_and(|share| share > 0.0 && share <= 1.0)
    );
}

#[test]
fn json_has_standard_output_to_itself() {
    let clips = Clips::new();
    let done = end(run(&[
        "--clip",
        &clips.folder(),
        "--json",
        "--exit-policy",
        "always:1",
    ]));
    assert_eq!(done.status.code(), Some(0));
    let lines: Vec<serde_json::Value> = text(&done.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 40);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["frame"], number);
        assert_eq!(line["exit"], 1);
        assert!(line["class"].is_string() && line["label"].is_string());
        assert_eq!(line["segments_us"].as_array().unwrap().len(), 1);
    }
    assert!(text(&done.stderr).contains("latency ms"));
}

#[test]
fn a_summary_on_standard_output_is_alone_there() {
    let clips = Clips::new();
    let done = end(run(&[
        "--clip",
        &clips.folder(),
        "--frames",
        "7",
        "--summary",
        "-",
    ]));
    assert_eq!(done.status.code(), Some(0));
    let summary: Summary = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(summary.frames.captured, 7);
}

#[test]
fn a_reader_that_leaves_ends_an_endless_run_as_a_success() {
    let clips = Clips::new();
    let file = clips.at("summary.json");
    let folder = clips.folder();
    let mut child = run(&["--clip", &folder, "--loop", "--json", "--summary", &file]);
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    drop(reader);
    let done = end(child);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    summary(file);
}

#[test]
fn an_interrupt_ends_an_endless_run_with_a_true_summary() {
    let clips = Clips::new();
    let file = clips.at("summary.json");
    let mut child = run(&[
        "--clip",
        &clips.folder(),
        "--loop",
        "--json",
        "--summary",
        &file,
    ]);
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let reading = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    // `timeout -s INT` sends it twice: to the process and to its group.
    for _ in 0..2 {
        interrupt(&child);
    }
    let done = end(child);
    reading.join().unwrap().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(summary(file).frames.results > 0);
}

#[test]
fn an_interrupt_while_a_clip_opens_ends_the_run_with_an_empty_summary() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (clip, hangs, begun, file) = (at("a.mp4"), at("hangs"), at("begun"), at("summary.json"));
    fs::write(&clip, "for ffmpeg to look into").unwrap();
    fs::write(&hangs, format!("#!/bin/sh\n: >{begun}\nexec sleep 1000\n")).unwrap();
    fs::set_permissions(&hangs, fs::Permissions::from_mode(0o755)).unwrap();
    let child = run(&[
        "--clip",
        &clip,
        "--ffmpeg",
        &hangs,
        "--ffmpeg-timeout",
        "1000",
        "--summary",
        &file,
    ]);
    wait_for(|| Path::new(&begun).exists());
    interrupt(&child);
    let done = end(child);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(summary(file).frames.captured, 0);
}

#[test]
fn a_reader_that_pauses_neither_stalls_the_run_nor_holds_up_its_end() {
    let clips = Clips::new();
    let file = clips.at("summary.json");
    let folder = clips.folder();
    for threads in ["capture+infer+gate+sink", "capture,infer,gate,sink"] {
        let mut child = run(&[
            "--clip",
            &folder,
            "--loop",
            "--json",
            "--summary",
            &file,
            "--threads",
            threads,
            "--watchdog-ms",
            "1500",
        ]);
        let _unread = child.stdout.take().unwrap();
        std::thread::sleep(Duration::from_secs(4));
        assert!(child.try_wait().unwrap().is_none(), "a pause is no stall");
        interrupt(&child);
        let done = end(child);
        let words = text(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{words}");
        assert!(words.contains("lines found no receiver"), "{words}");
        assert!(summary(&file).frames.results > 0);
    }
}

#[test]
fn lines_go_to_a_file_and_past_a_socket_that_nobody_reads() {
    let clips = Clips::new();
    let file = clips.at("lines.jsonl");
    let done = end(run(&["--clip", &clips.folder(), "--output", &file]));
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(fs::read_to_string(file).unwrap().lines().count(), 40);
    let socket = format!("unixgram:{}", clips.at("nobody.sock"));
    let done = end(run(&["--clip", &clips.folder(), "--output", &socket]));
    assert_eq!(done.status.code(), Some(0));
    assert!(
        text(&done.stdout).contains("40 lines found no receiver"),
        "{}",
        text(&done.stdout)
    );
}

#[test]
fn a_full_disk_is_a_failure_that_names_the_output() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: no /dev/full here");
        return;
    }
    let clips = Clips::new();
    let done = end(run(&[
        "--clip",
        &clips.folder(),
        "--loop",
        "--output",
        "/dev/full",
    ]));
    assert_eq!(done.status.code(), Some(1));
    assert!(
        text(&done.stderr).contains("--output /dev/full"),
        "{}",
        text(&done.stderr)
    );
}

#[test]
fn bad_input_is_one_sentence_and_exit_code_2() {
    let clips = Clips::new();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, content: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let config = at("e4.toml", "[exit]\npolcy = \"gates\"\n");
    let config = config.to_str().unwrap();
    let empty = at("empty.y4m", "");
    refused(
        &["--config", config],
        "e4.toml:2: unknown key exit.polcy; the nearest known one is exit.policy",
    );
    refused(&["--config", "/nowhere.toml"], "/nowhere.toml");
    refused(
        &["--config", "/dev/zero"],
        "/dev/zero: is longer than 1 MiB",
    );
    refused(&["--clip", "/nowhere.y4m"], "/nowhere.y4m");
    refused(&["--clip", empty.to_str().unwrap()], "empty.y4m");
    refused(&["--exit-policy", "always:9"], "always:9");
    refused(
        &["--exit-policy", "never"],
        "--exit-policy: \"never\" is not gates",
    );
    refused(
        &["--infer-core", "4000"],
        "--infer-core: core 4000 is not among",
    );
    refused(
        &["--summary", "/nowhere/summary.json"],
        "--summary /nowhere/summary.json",
    );
    refused(
        &["--clip", &clips.folder(), "--output", "/nowhere/lines"],
        "--output /nowhere/lines",
    );
    let nothing = at("samples.yuv", "neither Y4M nor AVI");
    for ffmpeg in ["/nowhere/ffmpeg", "ffmpeg"] {
        refused(
            &["--clip", nothing.to_str().unwrap(), "--ffmpeg", ffmpeg],
            "; a raw clip needs --raw-format, --raw-width and --raw-height",
        );
    }
    refused(
        &["--raw-height", "8"],
        "--raw-height: a raw clip needs source.raw_format (--raw-format) and source.raw_width (--raw-width) as well",
    );
    refused(
        &["--frames", "-1"],
        "--frames: \"-1\" is not a whole number from 1",
    );
    let far = format!("unixgram:/{}", "x".repeat(199));
    refused(&["--output", &far], "at most 107 bytes, not 200");
    refused(&["--seed", "4"], "--seed: only the generator knows it");
}

#[test]
fn frames_beyond_the_memory_of_the_machine_are_refused_before_they_are_there() {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kib = memory.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
    let kib: u64 = kib
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let gib = kib >> 20;
    if gib < 32 {
        let sides = ["--width", "16384", "--height", "16384", "--slots", "64"];
        refused(&[&["--source", "generator"], &sides[..]].concat(), "memory");
    }
    if gib >= 16 {
        println!("SKIP: this machine has memory for 64 frames of the largest size");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("large.y4m");
    // A hole: the file takes no room on the disk.
    let file = std::fs::File::create(&clip).unwrap();
    use std::io::Write;
    (&file)
        .write_all(b"YUV4MPEG2 W16384 H16384 F25:1 Cmono\nFRAME\n")
        .unwrap();
    file.set_len(300 << 20).unwrap();
    let clip = clip.to_str().unwrap();
    refused(&["--clip", clip, "--slots", "64"], "lower --slots");
}

#[test]
fn a_missing_command_is_one_sentence_that_lists_them() {
    for (words, wanted) in [
        (&[][..], "one of run, clips, cameras, doctor, bundle, "),
        (&["bundle"], "one of check, or --help"),
    ] {
        let done = end(e4().args(words).spawn().unwrap());
        assert_eq!(done.status.code(), Some(2));
        let said = text(&done.stderr);
        assert!(
            said.contains("e4: a command is missing; ") && said.contains(wanted),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn standard_input_is_a_clip_redirected_or_piped() {
    let clips = Clips::new();
    let clip = format!("{}/clip_000000.y4m", clips.folder());
    let whole = fs::read(&clip).unwrap();
    let start = |name: &str, words: &[&str], stdin: Stdio| {
        let mut command = e4();
        command.args(["run", "--bundle", BUNDLE, "--clip", name]);
        command.args(words).stdin(stdin).spawn().unwrap()
    };
    for name in ["-", "/dev/stdin"] {
        let file = || fs::File::open(&clip).unwrap().into();
        let done = end(start(name, &[], file()));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        assert!(text(&done.stdout).contains("10 captured"));
        assert!(text(&done.stdout).contains("1 clip,"), "labelled beside it");
        let done = end(start(name, &["--output", &clip], file()));
        assert_eq!(done.status.code(), Some(2));
        assert_eq!(fs::read(&clip).unwrap(), whole);
        let mut child = start(name, &[], Stdio::piped());
        child.stdin.take().unwrap().write_all(&whole).unwrap();
        let done = end(child);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        assert!(text(&done.stdout).contains("10 captured"));
    }
    let other = clips.at("words.mkv");
    fs::write(&other, "no clip at all").unwrap();
    let done = end(start("-", &[], fs::File::open(&other).unwrap().into()));
    assert_eq!(done.status.code(), Some(2));
    assert!(
        text(&done.stderr).contains("words.mkv: "),
        "{}",
        text(&done.stderr)
    );
}

#[test]
fn an_output_that_is_the_clip_or_the_summary_is_refused_and_left_whole() {
    let clips = Clips::new();
    let folder = clips.folder();
    let clip = format!("{folder}/clip_000000.y4m");
    let whole = fs::read(&clip).unwrap();
    let (link, new) = (clips.at("link.jsonl"), clips.at("new"));
    std::os::unix::fs::symlink(&clip, &link).unwrap();
    for (source, flag) in [
        (&clip, "--output"),
        (&clip, "--summary"),
        (&folder, "--output"),
    ] {
        let words = format!("{flag} {link} would overwrite the file of --clip");
        refused(&["--clip", source, flag, &link], &words);
        assert_eq!(fs::read(&clip).unwrap(), whole);
    }
    refused(
        &["--clip", &clip, "--output", &new, "--summary", &new],
        "would overwrite the file of --summary",
    );
    assert!(!Path::new(&new).exists());
}

#[test]
fn a_bundle_that_is_not_there_is_named() {
    let child = e4().args(["run", "--bundle", "/nowhere"]).spawn().unwrap();
    let done = end(child);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("/nowhere"));
}

#[test]
fn a_truncated_clip_gives_its_whole_frames_and_exit_code_1() {
    let clips = Clips::new();
    let whole = fs::read(Path::new(&clips.folder()).join("clip_000000.y4m")).unwrap();
    let file = clips.at("cut.y4m");
    fs::write(&file, &whole[..whole.len() - 5]).unwrap();
    let summary_file = clips.at("summary.json");
    let done = end(run(&["--clip", &file, "--summary", &summary_file]));
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stderr).contains("cut.y4m"));
    assert_eq!(summary(summary_file).frames.results, 9);
}

/// A Motion-JPEG AVI of six frames, some of them no pictures.
fn mjpeg(damaged: &[usize]) -> Vec<u8> {
    let frame = |index| match damaged.contains(&index) {
        true => bytes::picture(b"no picture"),
        false => bytes::picture(&bytes::jpeg(24, 16, 100, 1)),
    };
    bytes::avi(&(0..6).map(frame).collect::<Vec<_>>())
}

#[test]
fn frames_of_a_clip_that_do_not_decode_are_one_sentence_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.avi");
    let file = file.to_str().unwrap();
    for (damaged, code, words) in [
        (&[][..], 0, ""),
        (&[2, 4], 1, "a.avi: 2 of 6 frames do not decode\n"),
        (&[0, 1, 2, 3, 4, 5], 2, "a.avi: not a frame decodes\n"),
    ] {
        fs::write(file, mjpeg(damaged)).unwrap();
        let done = end(run(&["--clip", file]));
        assert_eq!(done.status.code(), Some(code), "{}", text(&done.stderr));
        let said = text(&done.stderr);
        assert!(said.ends_with(words), "{said}");
        assert_eq!(said.lines().count(), usize::from(code > 0), "{said}");
    }
    fs::write(file, mjpeg(&[2])).unwrap();
    let done = end(run(&["--clip", file, "--frames", "4"]));
    assert_eq!(done.status.code(), Some(1));
    assert!(
        text(&done.stderr).contains("1 of 4 frames captured do not decode"),
        "{}",
        text(&done.stderr)
    );
}

#[test]
fn a_clip_counts_only_once_its_end_was_seen() {
    let clips = Clips::new();
    let file = clips.at("summary.json");
    for (frames, words) in [("25", "2 clips"), ("10", "% of 10 frames")] {
        let flags = ["--frames", frames, "--summary", &file];
        let done = end(run(&[&["--clip", &clips.folder()], &flags[..]].concat()));
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        assert!(text(&done.stdout).contains(words), "{}", text(&done.stdout));
        let clip = summary(&file).accuracy.unwrap().clip;
        assert_eq!(clip.is_some(), frames == "25");
    }
}

#[test]
fn the_printed_config_reads_back() {
    let done = end(run(&["--print-config"]));
    assert_eq!(done.status.code(), Some(0));
    let config = Config::from_toml(text(&done.stdout), "printed").unwrap();
    assert_eq!(config.bundle.path, Some(BUNDLE.into()));
}

#[test]
fn a_folder_of_class_folders_is_labelled_by_their_names() {
    let clips = Clips::new();
    let (footage, file) = (clips.at("footage"), clips.at("summary.json"));
    let table = fs::read_to_string(format!("{}/labels.csv", clips.folder())).unwrap();
    for row in table.lines().skip(1) {
        let fields: Vec<_> = row.split(',').collect();
        let class = format!("{footage}/{}", fields[1]);
        fs::create_dir_all(&class).unwrap();
        let clip = format!("{}/{}", clips.folder(), fields[0]);
        fs::copy(clip, format!("{class}/{}", fields[0])).unwrap();
    }
    fs::write(format!("{footage}/groups.csv"), "file,group\n").unwrap();
    let flat = end(run(&["--clip", &clips.folder(), "--summary", &file]));
    assert_eq!(flat.status.code(), Some(0), "{}", text(&flat.stderr));
    let wanted = summary(&file).accuracy.unwrap();
    let done = end(run(&["--clip", &footage, "--summary", &file]));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(done.stderr.is_empty(), "{}", text(&done.stderr));
    assert_eq!(summary(&file).accuracy, Some(wanted));
}
