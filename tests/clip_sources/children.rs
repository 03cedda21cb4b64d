//! What happens when the ffmpeg child fails, dies or hangs.

use crate::bytes::y4m;
use crate::ffmpeg_tool::{have_ffmpeg, make};
use crate::play::{Scratch, play_with};
use e4::monotonic::now_ns;
use e4::source::clip::{ClipOptions, ClipSource};
use e4::source::{FrameSource, Next};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longest that any of these tests waits for something to happen.
const LIMIT: Duration = Duration::from_secs(20);

/// A program that stands in for ffmpeg.
fn stand_in(dir: &Scratch, script: &str) -> ClipOptions {
    let path = dir.file("stand-in", format!("#!/bin/sh\n{script}\n").as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    ClipOptions {
        ffmpeg: path,
        patience_ns: 400_000_000,
        ..ClipOptions::default()
    }
}

fn process_is_gone(pid: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = state.rsplit_once(") ").map_or("X", |(_, rest)| rest);
    state.starts_with(['X', 'Z'])
}

/// Waits until `done` gives a value.
fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let end = now_ns() + u64::try_from(LIMIT.as_nanos()).unwrap();
    while now_ns() < end {
        if let Some(value) = done() {
            return value;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited {LIMIT:?} for {what}");
}

fn pid_in(path: &Path) -> i32 {
    wait_for("the child's number", || {
        fs::read_to_string(path)
            .ok()?
            .strip_suffix('\n')?
            .parse()
            .ok()
    })
}

#[test]
fn a_missing_or_failing_ffmpeg_is_one_sentence() {
    let dir = Scratch::new();
    let clip = dir.file("clip.mp4", b"something");
    for (script, part) in [
        (
            "echo 'first' >&2; echo 'last words' >&2; exit 3",
            "ffmpeg says: last words",
        ),
        ("exit 3", "without a word"),
        ("exit 0", "not as it should be"),
        ("echo nonsense; exit 0", "not as it should be"),
        (
            "echo nonsense-in-place-of-frames; exec sleep 1000",
            "not as it should be",
        ),
        ("kill -9 $$", "killed by signal 9"),
    ] {
        let error = play_with(&clip, stand_in(&dir, script))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("clip.mp4") && error.contains(part),
            "{script}: {error}"
        );
    }
    let options = ClipOptions {
        ffmpeg: "e4-no-such-program".into(),
        ..ClipOptions::default()
    };
    let error = play_with(&clip, options).unwrap_err().to_string();
    assert!(error.contains("no program e4-no-such-program"), "{error}");
}

/// A NUT stream of a few frames, and a script that passes it on.
fn stream(dir: &Scratch) -> Option<String> {
    if !have_ffmpeg() {
        return None;
    }
    let nut = dir.path().join("stream.nut");
    let source = "testsrc=size=64x64:rate=10:duration=1";
    make(
        &[
            "-f", "lavfi", "-i", source, "-c:v", "rawvideo", "-pix_fmt", "yuv420p",
        ],
        &nut,
    );
    let bytes = fs::read(&nut).unwrap();
    fs::write(&nut, &bytes[..bytes.len() / 2]).unwrap();
    Some(format!(
        "echo $$ > '{0}/pid'; cat '{0}/stream.nut'",
        dir.path().display()
    ))
}

#[test]
fn a_child_that_dies_midway_gives_its_whole_frames_and_one_sentence() {
    let dir = Scratch::new();
    let Some(script) = stream(&dir) else { return };
    let clip = dir.file("clip.mp4", b"something");
    for (end, part) in [
        ("kill -9 $$", "signal 9"),
        ("echo oops >&2; exit 1", "oops"),
        ("", "within a frame"),
    ] {
        let options = stand_in(&dir, &format!("{script}; {end}"));
        let played = play_with(&clip, options).unwrap();
        assert!(
            (3..=6).contains(&played.frames.len()),
            "{}",
            played.frames.len()
        );
        let [sentence] = &played.damage[..] else {
            panic!("{:?}", played.damage)
        };
        assert!(
            sentence.contains(part) && sentence.contains("clip.mp4"),
            "{sentence}"
        );
    }
}

#[test]
fn damage_ahead_of_the_first_frame_does_not_cost_the_rest() {
    let dir = Scratch::new();
    let Some(script) = stream(&dir) else { return };
    let clip = dir.file("clip.mp4", b"something");
    let strict = "case \"$*\" in *-xerror*) echo '[error] torn start' >&2; exit 1;; esac";
    let played = play_with(&clip, stand_in(&dir, &format!("{strict}; {script}"))).unwrap();
    assert!(played.frames.len() >= 3);
    let [sentence] = &played.damage[..] else {
        panic!("{:?}", played.damage)
    };
    assert!(sentence.contains("torn start"), "{sentence}");
    let always = "echo '[error] torn for good' >&2; exit 1";
    let error = play_with(&clip, stand_in(&dir, always)).unwrap_err();
    assert!(error.to_string().contains("torn for good"), "{error}");
}

#[test]
fn a_child_that_hangs_is_stopped_with_all_that_it_started() {
    let dir = Scratch::new();
    let clip = dir.file("clip.mp4", b"something");
    let hang = format!(
        "echo $$ > '{0}/pid'; sleep 1000 & echo $! > '{0}/second'; wait",
        dir.path().display()
    );
    let error = play_with(&clip, stand_in(&dir, &hang))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no data for 0.4 s"), "{error}");
    for name in ["pid", "second"] {
        let pid = pid_in(&dir.path().join(name));
        wait_for("its end", || process_is_gone(pid).then_some(()));
    }
    let Some(script) = stream(&dir) else { return };
    let played = play_with(&clip, stand_in(&dir, &format!("{script}; sleep 1000"))).unwrap();
    assert!(played.frames.len() >= 3);
    assert!(
        played.damage[0].contains("no data for 0.4 s"),
        "{:?}",
        played.damage
    );
    let pid = pid_in(&dir.path().join("pid"));
    wait_for("its end", || process_is_gone(pid).then_some(()));
}

#[test]
fn a_hanging_child_does_not_hold_up_the_caller() {
    let dir = Scratch::new();
    let Some(script) = stream(&dir) else { return };
    let clip = dir.file("clip.mp4", b"something");
    let options = ClipOptions {
        patience_ns: u64::MAX,
        ..stand_in(&dir, &format!("{script}; exec sleep 1000"))
    };
    let mut source = ClipSource::open(&clip, options).unwrap();
    source.start(2, &|| true).unwrap();
    let mut idle = 0;
    while idle < 3 {
        match source.next(now_ns() + 20_000_000).unwrap() {
            Next::Frame(slot) => source.release(slot),
            Next::Idle => idle += 1,
            other => panic!("{other:?}"),
        }
    }
    let pid = pid_in(&dir.path().join("pid"));
    assert!(!process_is_gone(pid));
    drop(source);
    wait_for("its end", || process_is_gone(pid).then_some(()));
}

/// Not a test by itself: the process that the next test kills.
#[test]
fn holder_of_a_child() {
    let Some(clip) = std::env::var_os("E4_TEST_HOLD") else {
        return;
    };
    let clip = PathBuf::from(clip);
    let options = ClipOptions {
        ffmpeg: clip.with_file_name("stand-in"),
        patience_ns: u64::MAX,
        ..ClipOptions::default()
    };
    let mut source = ClipSource::open(&clip, options).unwrap();
    // The thread that asks for the child ends at once; the child must not.
    let mut source = std::thread::spawn(move || source.start(2, &|| true).map(|()| source))
        .join()
        .unwrap()
        .unwrap();
    loop {
        if let Next::Frame(slot) = source.next(u64::MAX).unwrap() {
            source.release(slot);
        }
    }
}

#[test]
fn the_child_dies_with_a_process_that_is_killed() {
    let dir = Scratch::new();
    let Some(script) = stream(&dir) else { return };
    let clip = dir.file("clip.mp4", b"something");
    stand_in(&dir, &format!("{script}; exec sleep 1000"));
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "children::holder_of_a_child", "--nocapture"])
        .env("E4_TEST_HOLD", &clip)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = pid_in(&dir.path().join("pid"));
    // Past its output, into the sleep.
    std::thread::sleep(Duration::from_millis(200));
    assert!(
        !process_is_gone(pid),
        "it outlives the thread that asked for it"
    );
    kill(
        Pid::from_raw(i32::try_from(holder.id()).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    holder.wait().unwrap();
    wait_for("its end", || process_is_gone(pid).then_some(()));
}

#[test]
fn a_folder_goes_on_after_a_child_that_fails() {
    let dir = Scratch::new();
    let options = stand_in(&dir, "exit 3");
    let clips = Scratch::new();
    clips.file("1.mp4", b"something");
    clips.file("2.y4m", &y4m("W4 H4 F25:1 Cmono", 16, 2));
    let played = play_with(clips.path(), options).unwrap();
    assert_eq!((played.first.len(), played.damage.len()), (2, 1));
}

#[test]
fn an_error_that_ffmpeg_went_on_after_is_damage_and_a_warning_is_not() {
    let dir = Scratch::new();
    let Some(script) = whole_stream(&dir) else {
        return;
    };
    let clip = dir.file("clip.mp4", b"something");
    for (words, damaged) in [
        ("[h264 @ 0x5] [error] error while decoding MB 0 1", true),
        ("[mov @ 0x5] [warning] an edit list is odd", false),
    ] {
        let options = stand_in(&dir, &format!("{script}; echo '{words}' >&2; exit 0"));
        let played = play_with(&clip, options).unwrap();
        assert_eq!(played.frames.len(), 10, "{words}");
        assert_eq!(played.damage.len(), usize::from(damaged), "{words}");
        for sentence in played.damage {
            let expected = "clip.mp4: ffmpeg says: error while decoding MB 0 1 after 10 whole";
            assert!(sentence.contains(expected), "{sentence}");
        }
    }
}

/// A script that passes a stream of ten frames on.
fn whole_stream(dir: &Scratch) -> Option<String> {
    if !have_ffmpeg() {
        return None;
    }
    let nut = dir.path().join("whole.nut");
    let source = "testsrc=size=64x64:rate=10:duration=1";
    let codec = ["-c:v", "rawvideo", "-pix_fmt", "yuv420p"];
    make(&[&["-f", "lavfi", "-i", source], &codec[..]].concat(), &nut);
    Some(format!("cat '{}'", nut.display()))
}
