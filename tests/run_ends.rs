//! How runs end that do not go well, or that somebody on the other end of a pipe
//! holds up: always with a summary of every captured frame, and a word.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/process.rs"]
mod process;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use process::{BUNDLE, Clips, e4, end, interrupt, refused, run, summary, text, wait_for};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

fn fifo(clips: &Clips, name: &str) -> String {
    let path = clips.at(name);
    mkfifo(path.as_str(), Mode::S_IRWXU).unwrap();
    path
}

/// Waits until `child` is past its start: it catches signals.
fn catches_signals(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    wait_for(|| {
        let status = fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        caught & (1 << (nix::libc::SIGINT - 1)) != 0
    });
}

#[test]
fn a_stage_that_stalls_ends_the_run_with_a_summary_and_a_table() {
    for threads in ["capture+infer+gate+sink", "capture,infer,gate,sink"] {
        let clips = Clips::new();
        let (clip, file) = (fifo(&clips, "camera"), clips.at("summary.json"));
        let whole = fs::read(format!("{}/clip_000000.y4m", clips.folder())).unwrap();
        let child = run(&[
            "--clip",
            &clip,
            "--summary",
            &file,
            "--threads",
            threads,
            "--watchdog-ms",
            "30",
        ]);
        // Waiting for the rest takes a read longer than this watchdog allows.
        let mut writer = File::options().write(true).open(&clip).unwrap();
        writer.write_all(&whole[..whole.len() - 5]).unwrap();
        let done = end(child);
        drop(writer);
        let words = text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{words}");
        assert!(words.contains("has been busy with one frame"), "{words}");
        let summary = summary(&file);
        assert!(summary.frames.captured > 0);
        assert!(text(&done.stdout).contains("captured"));
    }
}

#[test]
fn an_interrupt_ends_a_run_whose_pipe_nobody_writes_to_or_stops_within_its_header() {
    for written in [None, Some(b"YUV4MPEG2 W32")] {
        let clips = Clips::new();
        let (clip, file) = (fifo(&clips, "camera"), clips.at("summary.json"));
        let child = run(&["--clip", &clip, "--summary", &file]);
        catches_signals(&child);
        let _writer = written.map(|words| {
            let mut writer = File::options().write(true).open(&clip).unwrap();
            writer.write_all(words).unwrap();
            writer
        });
        std::thread::sleep(Duration::from_millis(300));
        interrupt(&child);
        let done = end(child);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        assert_eq!(summary(&file).frames.captured, 0);
    }
}

#[test]
fn a_pipe_that_nobody_reads_holds_a_run_up_until_it_is_interrupted() {
    let clips = Clips::new();
    let (output, file) = (fifo(&clips, "lines"), clips.at("summary.json"));
    let folder = clips.folder();
    let mut child = run(&["--clip", &folder, "--output", &output, "--summary", &file]);
    catches_signals(&child);
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "it waits for a reader");
    interrupt(&child);
    let done = end(child);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    summary(&file);
}

#[test]
fn a_pipe_that_is_read_late_gets_every_line() {
    let clips = Clips::new();
    let (output, summaries) = (fifo(&clips, "lines"), fifo(&clips, "summaries"));
    let folder = clips.folder();
    let child = run(&[
        "--clip",
        &folder,
        "--output",
        &output,
        "--summary",
        &summaries,
    ]);
    std::thread::sleep(Duration::from_millis(300));
    let lines = fs::read_to_string(&output).unwrap();
    assert_eq!(lines.lines().count(), 40);
    assert_eq!(summary(&summaries).frames.results, 40);
    let done = end(child);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
}

#[test]
fn a_summary_that_nobody_reads_is_given_up_by_an_interrupt() {
    let clips = Clips::new();
    let (summaries, lines) = (fifo(&clips, "summaries"), clips.at("lines"));
    let folder = clips.folder();
    let child = run(&[
        "--clip",
        &folder,
        "--summary",
        &summaries,
        "--output",
        &lines,
    ]);
    wait_for(|| fs::read_to_string(&lines).is_ok_and(|all| all.lines().count() == 40));
    interrupt(&child);
    let done = end(child);
    let words = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{words}");
    assert!(
        words.contains("--summary") && words.contains("nobody reads"),
        "{words}"
    );
    assert!(
        text(&done.stdout).contains("40 captured"),
        "the table is shown all the same"
    );
}

#[test]
fn a_file_that_standard_output_goes_to_is_no_other_output() {
    let clips = Clips::new();
    let both = clips.at("both");
    for flag in ["--summary", "--output"] {
        for stream in ["standard output", "standard error"] {
            let file = File::create(&both).unwrap();
            let mut command = e4();
            command.args([
                "run",
                "--bundle",
                BUNDLE,
                "--clip",
                &clips.folder(),
                flag,
                &both,
            ]);
            if stream == "standard output" {
                command.stdout(file);
            } else {
                command.stderr(file);
            }
            let done = end(command.spawn().unwrap());
            assert_eq!(done.status.code(), Some(2));
            let words = fs::read_to_string(&both).unwrap() + text(&done.stderr);
            let wanted = format!("would overwrite the file of {stream}");
            assert!(words.contains(&wanted), "{words}");
        }
    }
}

#[test]
fn a_failing_summary_does_not_cost_the_table() {
    let clips = Clips::new();
    let folder = clips.at("results");
    fs::create_dir(&folder).unwrap();
    let file = format!("{folder}/summary.json");
    let lines = fifo(&clips, "lines");
    let child = run(&[
        "--clip",
        &clips.folder(),
        "--summary",
        &file,
        "--output",
        &lines,
    ]);
    let reader = File::open(&lines).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let read = std::io::read_to_string(reader).unwrap();
    assert_eq!(read.lines().count(), 40);
    let done = end(child);
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stdout).contains("40 captured"));
    assert!(text(&done.stderr).contains("--summary"));
}

#[test]
fn a_source_that_is_too_slow_is_said_before_the_first_result_and_once() {
    let clips = Clips::new();
    let lines = fifo(&clips, "lines");
    let slow = clips.at("slow.y4m");
    let fast = fs::read(format!("{}/clip_000000.y4m", clips.folder())).unwrap();
    let slower = String::from_utf8_lossy(&fast[..40]).replace("F10:1", "F02:1");
    fs::write(&slow, [slower.as_bytes(), &fast[40..]].concat()).unwrap();
    let log = clips.at("log");
    let mut command = e4();
    command.args([
        "run", "--bundle", BUNDLE, "--clip", &slow, "--output", &lines,
    ]);
    let mut child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
    // Nothing is read yet, so no frame is through.
    wait_for(|| {
        fs::read_to_string(&log)
            .unwrap()
            .contains("expect lower accuracy")
    });
    assert!(child.try_wait().unwrap().is_none());
    let read = fs::read_to_string(&lines).unwrap();
    assert_eq!(read.lines().count(), 10);
    assert!(end(child).status.success());
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 1);
}

#[test]
fn bad_input_leaves_no_summary() {
    let clips = Clips::new();
    let (clip, dies, file) = (
        clips.at("a.mp4"),
        clips.at("dies"),
        clips.at("summary.json"),
    );
    fs::write(&clip, "for ffmpeg to look into").unwrap();
    fs::write(&dies, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&dies, fs::Permissions::from_mode(0o755)).unwrap();
    refused(
        &["--clip", &clip, "--ffmpeg", &dies, "--summary", &file],
        "a.mp4",
    );
    assert!(!Path::new(&file).exists(), "bad input leaves no summary");
}
