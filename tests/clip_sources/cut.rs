//! Files that ffmpeg takes without a word and that are not what they seem: cut
//! where no decoder notices, words, several recordings in one.

use crate::ffmpeg_tool::{have_ffmpeg, make};
use crate::play::{Scratch, play};
use std::fs;
use std::path::Path;
use std::process::Command;

const SOURCE: [&str; 4] = ["-f", "lavfi", "-i", "color=size=64x48:rate=10:duration=6"];

/// End of each packet of the video, as ffprobe tells.
fn packet_ends(path: &Path) -> Vec<usize> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries"])
        .args(["packet=pos,size", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut ends: Vec<usize> = text
        .lines()
        .map(|line| {
            let numbers = line.split(',').map(|n| n.parse::<usize>());
            numbers.filter_map(Result::ok).sum()
        })
        .collect();
    ends.sort_unstable();
    ends
}

/// Cuts `path` at `len` bytes and expects all its frames and one sentence.
fn expect_cut(dir: &Scratch, path: &Path, len: usize, frames: usize) {
    let bytes = fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let cut = dir.file(&format!("cut-{name}"), &bytes[..len]);
    let played = play(&cut).unwrap();
    let [sentence] = &played.damage[..] else {
        panic!("{name} at {len}: {:?}", played.damage);
    };
    assert!(sentence.contains("bytes early"), "{name}: {sentence}");
    let got = played.frames.len();
    assert!(
        (frames..=frames + 1).contains(&got),
        "{name} at {len}: {got} of {frames}"
    );
}

#[test]
fn a_cut_that_no_decoder_notices_is_told_by_the_length_that_the_file_states() {
    if !have_ffmpeg() {
        return;
    }
    let dir = Scratch::new();
    for (name, codec) in [
        ("still.avi", &["-c:v", "mpeg4"][..]),
        ("first.avi", &["-c:v", "libx264", "-bf", "0"]),
        (
            "start.mp4",
            &["-c:v", "libx264", "-bf", "0", "-movflags", "+faststart"],
        ),
        ("start.mov", &["-c:v", "mjpeg", "-movflags", "+faststart"]),
    ] {
        let path = dir.path().join(name);
        make(&[&SOURCE[..], codec].concat(), &path);
        let ends = packet_ends(&path);
        for packets in [20, 41] {
            // Behind a whole packet, and within one.
            expect_cut(&dir, &path, ends[packets - 1], packets);
            expect_cut(&dir, &path, ends[packets] - 3, packets);
        }
    }
}

#[test]
fn words_are_no_clip_whatever_the_name() {
    if !have_ffmpeg() {
        return;
    }
    let dir = Scratch::new();
    let words = "Movie: a test\nplot: something\n".repeat(40);
    for name in ["x.txt", "movie.nfo", "x.ans", "x.asc", "x.vt", "x.diz"] {
        let error = play(&dir.file(name, words.as_bytes())).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(&format!("{name}: ")), "{error}");
        assert!(!error.contains("Invalid argument"), "{error}");
    }
    let list = "ffconcat version 1.0\nfile 'a.mp4'\n";
    assert!(play(&dir.file("list.ffconcat", list.as_bytes())).is_err());
}

#[test]
fn recordings_in_a_row_play_through_also_in_several_sizes() {
    if !have_ffmpeg() {
        return;
    }
    let dir = Scratch::new();
    let parts = ["320x240", "640x480"].map(|size| {
        let part = dir.path().join(format!("{size}.ts"));
        let input = format!("testsrc=size={size}:rate=20:duration=1");
        make(&["-f", "lavfi", "-i", &input, "-c:v", "libx264"], &part);
        fs::read(part).unwrap()
    });
    let both = parts.concat();
    let played = play(&dir.file("both.ts", &both)).unwrap();
    assert_eq!((played.frames.len(), &played.damage[..]), (40, &[][..]));
    let times = played.frames.windows(2);
    assert!(
        times
            .into_iter()
            .all(|w| w[0].timestamp_ns < w[1].timestamp_ns)
    );
    let cut = dir.file("cut.ts", &both[..both.len() - 1000]);
    let played = play(&cut).unwrap();
    assert_eq!(played.damage.len(), 1, "{:?}", played.damage);
}

#[test]
fn half_a_picture_is_no_picture() {
    if !have_ffmpeg() {
        return;
    }
    let dir = Scratch::new();
    let picture = dir.path().join("whole.jpg");
    let noise = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=1"];
    make(&[&noise[..], &["-frames:v", "1"]].concat(), &picture);
    let played = play(&picture).unwrap();
    assert_eq!((played.frames.len(), played.damage.len()), (1, 0));
    let bytes = fs::read(&picture).unwrap();
    // A decoder may fill up what is missing, or have nothing to show.
    match play(&dir.file("half.jpg", &bytes[..bytes.len() / 2])) {
        Ok(played) => assert_eq!(played.damage.len(), 1, "{:?}", played.damage),
        Err(error) => assert!(error.to_string().contains("half.jpg"), "{error}"),
    }
}
