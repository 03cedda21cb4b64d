//! Files that lie, break off or are noise.

use crate::bytes::{avi, jpeg, picture, y4m};
use crate::play::{Played, Scratch, play_with};
use e4::source::SourceError;
use e4::source::clip::ClipOptions;
use proptest::prelude::*;
use std::path::Path;

/// Plays without ffmpeg, so that only our own readers see the bytes.
fn play(path: &Path) -> Result<Played, SourceError> {
    let options = ClipOptions {
        ffmpeg: "/nonexistent/ffmpeg".into(),
        ..ClipOptions::default()
    };
    play_with(path, options)
}

#[test]
fn sizes_that_no_file_holds_are_refused() {
    let dir = Scratch::new();
    for header in [
        "W1000000000 H1000000000",
        "W16384 H16384 C444",
        "W16000 H9000",
        "W0 H0",
        "W4294967296 H4",
        "W-1 H1",
        "Wx H1",
        "H1",
    ] {
        let error = play(&dir.file("lie.y4m", &y4m(header, 100, 1))).unwrap_err();
        assert!(error.to_string().contains("lie.y4m"), "{error}");
    }
    let mut huge = jpeg(16, 16, 100, 1);
    let at = huge.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    huge[at + 5..at + 9].fill(0x3F);
    let movi = [picture(&huge), picture(&jpeg(16, 16, 100, 1))];
    let played = play(&dir.file("lie.avi", &avi(&movi))).unwrap();
    assert_eq!((played.first.len(), played.undecodable), (1, 1));
}

#[test]
fn what_no_reader_knows_asks_for_ffmpeg_by_name() {
    let dir = Scratch::new();
    for bytes in [&b"just some words\n"[..], b"x", b"RIFF....AVI ", b"RIFF"] {
        let error = play(&dir.file("renamed.mp4", bytes))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("renamed.mp4") && error.contains("install ffmpeg"),
            "{error}"
        );
    }
    let error = play(&dir.file("empty.mp4", b"")).unwrap_err().to_string();
    assert!(error.ends_with("empty.mp4: is empty"), "{error}");
    let error = play(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(error.contains("neither a file nor a pipe"), "{error}");
}

fn y4m_clip() -> Vec<u8> {
    y4m("W6 H3 F25:1", 18 + 2 * 6, 6)
}

fn avi_clip() -> Vec<u8> {
    let pictures: Vec<_> = (0..6).map(|i| picture(&jpeg(20, 12, 16 + i, 3))).collect();
    avi(&pictures)
}

/// Offsets at which the pictures of [`avi_clip`] end.
fn avi_ends() -> Vec<usize> {
    let clip = avi_clip();
    let mut ends: Vec<_> = (0..6)
        .map(|i| {
            let part = picture(&jpeg(20, 12, 16 + i, 3));
            clip.windows(part.len()).position(|w| w == part).unwrap() + part.len()
        })
        .collect();
    ends.sort_unstable();
    ends
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_truncated_clip_gives_all_whole_frames(cut in 0_usize..2000, in_avi: bool) {
        let dir = Scratch::new();
        let clip = if in_avi { avi_clip() } else { y4m_clip() };
        let cut = cut.min(clip.len());
        let whole = if in_avi {
            // The last byte of a picture may be the one that makes it even.
            avi_ends().iter().filter(|&&end| end <= cut + 1).count()
        } else {
            cut.saturating_sub("YUV4MPEG2 W6 H3 F25:1\n".len()) / (6 + 30)
        };
        match play(&dir.file("cut", &clip[..cut])) {
            Ok(played) => {
                prop_assert!(played.first.len() >= whole, "{} of {whole}", played.first.len());
                prop_assert!(played.first.len() <= whole + 1);
                let all = played.first.len() == 6;
                prop_assert!(all || played.damage.len() <= 1);
            }
            Err(_) => prop_assert_eq!(whole, 0),
        }
    }

    #[test]
    fn flipped_bytes_never_panic_and_spare_the_frames_before(
        flips in prop::collection::vec((0_usize..2000, any::<u8>()), 1..8),
        in_avi: bool,
    ) {
        let dir = Scratch::new();
        let mut clip = if in_avi { avi_clip() } else { y4m_clip() };
        let mut first = clip.len();
        for (at, value) in flips {
            let at = at % clip.len();
            clip[at] = value;
            first = first.min(at);
        }
        let (body, whole) = if in_avi {
            let ends = avi_ends();
            let start = ends[0] - picture(&jpeg(20, 12, 16, 3)).len();
            (start, ends.iter().filter(|&&end| end <= first).count())
        } else {
            (22, first.saturating_sub(22) / 36)
        };
        let played = play(&dir.file("flipped", &clip));
        if first >= body {
            let frames = played.map_or(0, |p| p.first.len() + p.undecodable);
            prop_assert!(frames >= whole, "{frames} of {whole}");
        }
    }

    #[test]
    fn noise_never_panics(
        magic in prop::sample::select(vec![
            &b"YUV4MPEG2 "[..], b"YUV4MPEG2 W4 H4\n", b"RIFF\xFF\0\0\0AVI ", b"",
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let dir = Scratch::new();
        // An error is as good as a frame; a panic is not.
        let _ = play(&dir.file("noise", &[magic, &noise].concat()));
    }

    #[test]
    fn a_damaged_picture_never_panics(
        flips in prop::collection::vec((0_usize..2000, any::<u8>()), 1..6),
        components in prop::sample::select(vec![1_u8, 3]),
    ) {
        let dir = Scratch::new();
        let mut torn = jpeg(33, 17, 90, components);
        for (at, value) in flips {
            let at = at % torn.len();
            torn[at] = value;
        }
        let movi = [picture(&jpeg(8, 8, 1, 1)), picture(&torn), picture(&jpeg(8, 8, 2, 1))];
        let played = play(&dir.file("a.avi", &avi(&movi))).unwrap();
        prop_assert_eq!(played.first.len() + played.undecodable, 3);
    }
}
