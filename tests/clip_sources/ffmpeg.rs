//! Clips that go through an ffmpeg child: real ones, and those that it makes.

use crate::ffmpeg_tool::{have_ffmpeg, make};
use crate::play::{Scratch, play};
use e4::source::clip::{ClipOptions, ClipSource};
use e4::source::{FrameSource, Next};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
            // That colour in full range after BT.601, as JPEG has it: Y, Cb, Cr.
            for (byte, expected) in slot.data.iter().zip([117, 80, 181_u8].iter().cycle()) {
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
