//! Clips that go through an ffmpeg child: real ones, and what happens when the
//! child fails, dies or hangs.

use crate::bytes::y4m;
use crate::play::{Scratch, play, play_with};
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

/// True when there is an ffmpeg; says so when there is none.
fn have_ffmpeg() -> bool {
    let quiet = |c: &mut Command| c.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = quiet(Command::new("ffmpeg").arg("-version")).is_ok_and(|s| s.success());
    if !found {
        println!("SKIP: there is no ffmpeg");
    }
    found
}

/// Runs the real ffmpeg to make a clip.
fn make(arguments: &[&str], to: &Path) {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .arg(to);
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// The real clips, where they are.
fn real_clips() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/clips");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("SKIP: there are no real clips in ../shared/data/clips");
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "mp4" || e == "avi"));
    paths.sort();
    paths
}

/// Whole frames of a clip, as ffprobe counts them.
fn count(path: &Path) -> usize {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-count_frames"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().trim_end_matches(',').parse().unwrap()
}

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
fn every_real_clip_plays_to_its_end() {
    if !have_ffmpeg() {
        return;
    }
    for path in real_clips() {
        let played = play(&path).unwrap();
        assert!(played.damage.is_empty(), "{:?}", played.damage);
        assert_eq!(played.frames.len(), count(&path), "{path:?}");
        let rising = |w: &[e4::tensor::FrameMeta]| w[0].timestamp_ns < w[1].timestamp_ns;
        assert!(played.frames.windows(2).all(rising));
    }
}

#[test]
fn truncated_real_clips_give_all_whole_frames_and_one_sentence() {
    if !have_ffmpeg() {
        return;
    }
    let dir = Scratch::new();
    for path in real_clips() {
        let whole = dir.path().join(path.file_name().unwrap());
        let path = path.to_str().unwrap();
        make(
            &[
                "-i",
                path,
                "-an",
                "-c",
                "copy",
                "-t",
                "8",
                "-movflags",
                "+faststart",
            ],
            &whole,
        );
        let bytes = fs::read(&whole).unwrap();
        let name = whole.file_name().unwrap().to_str().unwrap();
        for percent in [40, 77] {
            let cut = dir.file(
                &format!("cut-{name}"),
                &bytes[..bytes.len() * percent / 100],
            );
            // Packets that are whole, less the two of the AVI that show nothing.
            let played = play(&cut).unwrap();
            let [sentence] = &played.damage[..] else {
                panic!("{cut:?}: {:?}", played.damage);
            };
            assert!(sentence.contains("whole frames"), "{sentence}");
            // ffprobe counts a last torn picture, too, where the decoder
            // conceals it.
            let expected = count(&cut);
            let got = played.frames.len();
            assert!(
                got == expected || got + 1 == expected,
                "{cut:?}: {got} of {expected}"
            );
        }
    }
}

#[test]
fn any_container_size_and_rate_comes_through() {
    if !have_ffmpeg() {
        return;
    }
    let dir = Scratch::new();
    let cases: [(&str, &str, &[&str]); 6] = [
        ("odd.mkv", "65x47", &["-c:v", "ffv1", "-pix_fmt", "yuv444p"]),
        ("one.mkv", "1x1", &["-c:v", "ffv1", "-pix_fmt", "yuv444p"]),
        ("4k.mkv", "3840x2160", &["-c:v", "ffv1"]),
        ("grey.mkv", "32x32", &["-c:v", "ffv1", "-pix_fmt", "gray"]),
        ("moving.gif", "32x32", &[]),
        (
            "deep.y4m",
            "34x18",
            &["-pix_fmt", "yuv420p10", "-strict", "-1"],
        ),
    ];
    for (name, size, arguments) in cases {
        let clip = dir.path().join(name);
        let input = format!("testsrc=size={size}:rate=10:duration=0.5");
        make(&[&["-f", "lavfi", "-i", &input], arguments].concat(), &clip);
        let played = play(&clip).unwrap();
        assert_eq!(
            (played.frames.len(), &played.damage[..]),
            (5, &[][..]),
            "{name}"
        );
        let meta = played.frames[4];
        assert_eq!(format!("{}x{}", meta.width, meta.height), size, "{name}");
        assert_eq!(meta.timestamp_ns, 400_000_000, "{name}");
    }
}

#[test]
fn motion_jpeg_as_ffmpeg_writes_it_is_read_here() {
    if !have_ffmpeg() {
        return;
    }
    let dir = Scratch::new();
    for (pixels, size) in [
        ("yuvj420p", "65x47"),
        ("yuvj422p", "64x50"),
        ("yuvj444p", "33x17"),
    ] {
        let clip = dir.path().join(format!("{pixels}.avi"));
        let colour = format!("color=c=0xC06020:size={size}:rate=10:duration=0.5");
        let codec = ["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", pixels];
        make(
            &[&["-f", "lavfi", "-i", &colour], &codec[..]].concat(),
            &clip,
        );
        let options = ClipOptions {
            ffmpeg: "/nonexistent/ffmpeg".into(),
            ..ClipOptions::default()
        };
        let mut source = ClipSource::open(&clip, options).unwrap();
        source.start(2, &|| true).unwrap();
        let mut frames = 0;
        while let Next::Frame(slot) = source.next(u64::MAX).unwrap() {
            for (byte, expected) in slot.data.iter().zip([0xC0, 0x60, 0x20].iter().cycle()) {
                assert!(
                    byte.abs_diff(*expected) <= 4,
                    "{pixels}: {byte} for {expected}"
                );
            }
            frames += 1;
            source.release(slot);
        }
        assert_eq!(frames, 5, "{pixels}");
    }
}

#[test]
fn sound_without_a_picture_is_refused_with_the_reason() {
    if !have_ffmpeg() {
        return;
    }
    let dir = Scratch::new();
    let clip = dir.path().join("sound.wav");
    make(&["-f", "lavfi", "-i", "sine=duration=0.2"], &clip);
    let error = play(&clip).unwrap_err().to_string();
    assert!(error.contains("no video in it"), "{error}");
}

#[test]
fn frames_keep_the_times_of_a_variable_rate() {
    if !have_ffmpeg() {
        return;
    }
    let dir = Scratch::new();
    let clip = dir.path().join("variable.mkv");
    let times = "settb=1/1000,setpts='10*N*N'";
    let source = "testsrc=size=32x32:rate=10:duration=0.6";
    let encoder = ["-c:v", "ffv1", "-enc_time_base", "1/1000"];
    make(
        &[&["-f", "lavfi", "-i", source, "-vf", times], &encoder[..]].concat(),
        &clip,
    );
    let played = play(&clip).unwrap();
    let times: Vec<_> = played
        .frames
        .iter()
        .map(|f| f.timestamp_ns / 1_000_000)
        .collect();
    assert_eq!(times, [0, 10, 40, 90, 160, 250]);
}

#[test]
fn a_clip_whose_size_changes_midway_plays_on() {
    if !have_ffmpeg() {
        return;
    }
    let dir = Scratch::new();
    let parts: Vec<_> = ["64x48", "96x80"]
        .map(|size| {
            let part = dir.path().join(format!("{size}.m2v"));
            let input = format!("testsrc=size={size}:rate=10:duration=0.5");
            make(&["-f", "lavfi", "-i", &input, "-c:v", "mpeg2video"], &part);
            fs::read(part).unwrap()
        })
        .concat();
    let played = play(&dir.file("both.m2v", &parts)).unwrap();
    assert!(played.frames.len() >= 9, "{}", played.frames.len());
}

#[test]
fn words_renamed_to_a_clip_are_refused_with_the_reason() {
    if !have_ffmpeg() {
        return;
    }
    let dir = Scratch::new();
    let error = play(&dir.file("text.mp4", b"these are words\n"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("text.mp4: ffmpeg says"), "{error}");
    assert!(error.contains("Invalid data"), "{error}");
    assert_eq!(error.matches("text.mp4").count(), 1, "{error}");
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
        .args(["--exact", "ffmpeg::holder_of_a_child", "--nocapture"])
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
