//! One file of each kind.

use crate::bytes::{avi, avi_header, chunk, jpeg, list, picture, y4m};
use crate::play::{Scratch, play, play_with};
use e4::monotonic::now_ns;
use e4::source::clip::{ClipOptions, ClipSource, RawLayout};
use e4::source::{FrameSource, Next};
use e4::tensor::{Colour, PixelFormat, Range};

const MS: u64 = 1_000_000;

#[test]
fn y4m_of_any_layout_and_size_gives_every_frame() {
    let dir = Scratch::new();
    for (header, format, size) in [
        ("W1 H1 F25:1", PixelFormat::I420, (1, 1)),
        ("W1 H1 F25:1 Cmono", PixelFormat::Gray8, (1, 1)),
        (
            "W7 H5 F25:1 It C420jpeg A1:1 Xfoo",
            PixelFormat::I420,
            (7, 5),
        ),
        ("W7 H5 F25:1 C422", PixelFormat::I422, (7, 5)),
        ("W640 H362 F25:1 C444", PixelFormat::I444, (640, 362)),
        (
            "W3840 H2160 F25:1 C420mpeg2",
            PixelFormat::I420,
            (3840, 2160),
        ),
    ] {
        let len = format.frame_len(size.0, size.1).unwrap();
        let played = play(&dir.file("clip", &y4m(header, len, 3))).unwrap();
        assert_eq!(played.first, [16, 17, 18], "{header}");
        for (i, meta) in (0..).zip(&played.frames) {
            assert_eq!(
                (meta.format, meta.width, meta.height),
                (format, size.0, size.1)
            );
            assert_eq!((meta.sequence, meta.timestamp_ns), (i, i * 40 * MS));
            assert_eq!((meta.clip, meta.label), (0, None));
        }
        assert!(
            played.damage.is_empty() && played.undecodable == 0,
            "{played:?}"
        );
    }
}

#[test]
fn y4m_frames_may_carry_parameters_of_their_own() {
    let dir = Scratch::new();
    let mut file = b"YUV4MPEG2 W2 H2 F30000:1001 Cmono XCOLORRANGE=FULL\n".to_vec();
    file.extend(b"FRAME Ipb Xsomething\n\x01\x01\x01\x01FRAME\n\x02\x02\x02\x02");
    let played = play(&dir.file("clip.mp4", &file)).unwrap();
    assert_eq!(played.first, [1, 2]);
    assert_eq!(played.frames[1].timestamp_ns, 33_366_666);
    assert_eq!(played.frames[1].colour.range, Range::Full);
}

#[test]
fn y4m_that_breaks_off_gives_its_whole_frames_and_one_sentence() {
    let dir = Scratch::new();
    let whole = y4m("W8 H8 F25:1", 96, 3);
    for cut in [1, 50, 95, 96, 100] {
        let path = dir.file("cut.y4m", &whole[..whole.len() - cut]);
        let played = play(&path).unwrap();
        assert_eq!(played.first, [16, 17], "{cut}");
        let [sentence] = &played.damage[..] else {
            panic!("{:?}", played.damage)
        };
        assert!(
            sentence.contains("cut.y4m") && sentence.contains("2 whole"),
            "{sentence}"
        );
    }
}

#[test]
fn avi_passes_over_what_is_not_its_video() {
    let dir = Scratch::new();
    let movi = [
        chunk(b"00wb", &[1, 2, 3]),
        picture(&jpeg(24, 16, 100, 1)),
        list(
            b"LIST",
            b"rec ",
            &[picture(&jpeg(24, 16, 110, 3)), chunk(b"00wb", b"x")],
        ),
        chunk(b"JUNK", &[0xFF; 7]),
        chunk(b"ix01", &[0; 24]),
        chunk(b"01db", &jpeg(24, 16, 120, 1)),
    ];
    let mut file = avi(&movi);
    file.extend(list(
        b"RIFF",
        b"AVIX",
        &[list(b"LIST", b"movi", &[picture(&jpeg(24, 16, 130, 1))])],
    ));
    file.extend(b"trailing\0\xFF\xFFgarbage");
    let played = play(&dir.file("no ending", &file)).unwrap();
    assert_eq!(played.first, [100, 110, 120, 130], "{:?}", played.damage);
    let formats: Vec<_> = played.frames.iter().map(|f| f.format).collect();
    let (grey, yuv) = (PixelFormat::Gray8, PixelFormat::Yuv24);
    assert_eq!(formats, [grey, yuv, grey, grey]);
    assert_eq!(played.frames[3].timestamp_ns, 120 * MS);
    assert!(played.damage.is_empty(), "{:?}", played.damage);
}

#[test]
fn avi_pictures_may_change_size_repeat_and_fail() {
    let dir = Scratch::new();
    let mut torn = jpeg(64, 64, 90, 3);
    torn.truncate(torn.len() - 30);
    let movi = [
        picture(&[]),
        picture(&jpeg(1, 1, 100, 1)),
        picture(&jpeg(641, 479, 110, 3)),
        picture(&[]),
        picture(b"not a picture"),
        picture(&torn),
        picture(&jpeg(8, 8, 120, 1)),
    ];
    let played = play(&dir.file("a.avi", &avi(&movi))).unwrap();
    assert_eq!(played.first, [100, 110, 110, 120]);
    let sizes: Vec<_> = played.frames.iter().map(|f| (f.width, f.height)).collect();
    assert_eq!(sizes, [(1, 1), (641, 479), (641, 479), (8, 8)]);
    assert_eq!(played.undecodable, 2);
    let [sentence] = &played.damage[..] else {
        panic!("{:?}", played.damage)
    };
    assert!(
        sentence.ends_with("a.avi: 2 of 6 frames do not decode"),
        "{sentence}"
    );
    let times: Vec<_> = played.frames.iter().map(|f| f.timestamp_ns / MS).collect();
    assert_eq!(
        times,
        [0, 40, 80, 200],
        "an undecodable frame takes its time"
    );
    assert_eq!(played.frames[3].sequence, 5);
}

#[test]
fn a_break_off_after_one_frame_counts_in_the_singular() {
    let dir = Scratch::new();
    let whole = y4m("W8 H8 F25:1", 96, 2);
    let played = play(&dir.file("cut.y4m", &whole[..whole.len() - 1])).unwrap();
    assert!(
        played.damage[0].ends_with("after 1 whole frame"),
        "{:?}",
        played.damage
    );
}

#[test]
fn avi_pictures_may_be_as_untidy_as_cameras_make_them() {
    let dir = Scratch::new();
    let plain = jpeg(40, 24, 100, 3);
    let padded = [&plain[..], &[0; 100]].concat();
    let open = plain[..plain.len() - 2].to_vec();
    let filled = [&plain[..2], &[0xFF; 3], &plain[2..]].concat();
    for untidy in [padded, open, filled] {
        let movi = [picture(&plain), picture(&untidy)];
        let played = play(&dir.file("a.avi", &avi(&movi))).unwrap();
        assert_eq!((played.first, played.undecodable), (vec![100, 100], 0));
    }
}

#[test]
fn avi_that_breaks_off_gives_its_whole_frames_and_one_sentence() {
    let dir = Scratch::new();
    let movi: Vec<_> = (0..3).map(|i| picture(&jpeg(24, 16, 100 + i, 1))).collect();
    let whole = avi(&movi);
    let index = 8 + 32;
    for (cut, first) in [
        (index + 1 + movi[2].len() / 2, &[100, 101][..]),
        (index + movi[2].len(), &[100, 101]),
        (index / 2, &[100, 101, 102]),
        (index, &[100, 101, 102]),
    ] {
        let played = play(&dir.file("cut.avi", &whole[..whole.len() - cut])).unwrap();
        assert_eq!(played.first, first, "{cut}");
        assert_eq!(played.damage.len(), 1, "{cut}: {:?}", played.damage);
        assert!(played.damage[0].contains("cut.avi"), "{:?}", played.damage);
    }
}

#[test]
fn avi_without_one_good_picture_cannot_start() {
    let dir = Scratch::new();
    let path = dir.file("bad.avi", &avi(&[picture(b"one"), picture(b"two")]));
    let error = play(&path).unwrap_err().to_string();
    assert!(error.contains("bad.avi: not a frame decodes"), "{error}");
    let streamed = [
        b"RIFF\0\0\0\0AVI ".to_vec(),
        avi_header(b"mjpg", 8, 8, 0, 0),
        b"LIST\xFF\xFF\xFF\xFFmovi".to_vec(),
        picture(&jpeg(8, 8, 50, 1)),
        picture(&jpeg(8, 8, 60, 1)),
    ];
    let played = play(&dir.file("streamed.avi", &streamed.concat())).unwrap();
    assert_eq!(
        played.first,
        [50, 60],
        "sizes that a writer never filled in"
    );
    assert_eq!(
        played.frames[1].timestamp_ns,
        40 * MS,
        "no rate is 25 a second"
    );
}

#[test]
fn raw_files_are_what_the_caller_says() {
    let dir = Scratch::new();
    let layout = RawLayout {
        format: PixelFormat::Yuyv,
        width: 3,
        height: 2,
        colour: Colour::default(),
        interval_ns: 10 * MS,
    };
    let options = || ClipOptions {
        raw: Some(layout),
        ..ClipOptions::default()
    };
    let samples: Vec<u8> = (0..4).flat_map(|i| [i; 16]).collect();
    let played = play_with(&dir.file("a.yuv", &samples), options()).unwrap();
    assert_eq!(played.first, [0, 1, 2, 3]);
    assert_eq!(played.frames[3].timestamp_ns, 30 * MS);
    let played = play_with(&dir.file("a.yuv", &samples[..40]), options()).unwrap();
    assert_eq!((played.first.len(), played.damage.len()), (2, 1));
    for bytes in [&samples[..15], &[]] {
        let error = play_with(&dir.file("short.yuv", bytes), options()).unwrap_err();
        assert!(error.to_string().contains("short.yuv"), "{error}");
    }
}

#[test]
fn a_clip_played_again_is_a_new_clip_on_the_same_timeline() {
    let dir = Scratch::new();
    let avi = avi(&[picture(&jpeg(8, 8, 16, 1)), picture(&jpeg(8, 8, 17, 1))]);
    for bytes in [y4m("W4 H4 F25:1 Cmono", 16, 2), avi] {
        let options = ClipOptions {
            passes: Some(3),
            ..ClipOptions::default()
        };
        let played = play_with(&dir.file("a", &bytes), options).unwrap();
        assert_eq!(played.first, [16, 17, 16, 17, 16, 17]);
        let clips: Vec<_> = played.frames.iter().map(|f| f.clip).collect();
        assert_eq!(clips, [0, 0, 1, 1, 2, 2]);
        for (i, meta) in (0..).zip(&played.frames) {
            assert_eq!((meta.sequence, meta.timestamp_ns), (i, i * 40 * MS));
        }
    }
}

#[test]
fn real_time_holds_each_frame_until_its_media_time() {
    let dir = Scratch::new();
    let path = dir.file("a.y4m", &y4m("W4 H4 F50:1 Cmono", 16, 4));
    let options = ClipOptions {
        realtime: true,
        ..ClipOptions::default()
    };
    let mut source = ClipSource::open(&path, options).unwrap();
    source.start(2, &|| true).unwrap();
    let begun = now_ns();
    let Ok(Next::Frame(first)) = source.next(u64::MAX) else {
        panic!()
    };
    assert!(
        matches!(source.next(now_ns() + MS), Ok(Next::Idle)),
        "not its time yet"
    );
    source.release(first);
    let mut times = vec![0];
    while let Next::Frame(slot) = source.next(u64::MAX).unwrap() {
        assert!(
            slot.meta.captured_ns - begun >= slot.meta.timestamp_ns,
            "too early"
        );
        times.push(slot.meta.timestamp_ns / MS);
        source.release(slot);
    }
    assert_eq!(times, [0, 20, 40, 60]);
}

#[test]
fn a_source_without_a_free_slot_says_so_and_goes_on() {
    let dir = Scratch::new();
    let path = dir.file("a.y4m", &y4m("W4 H4 F50:1 Cmono", 16, 3));
    let mut source = ClipSource::open(&path, ClipOptions::default()).unwrap();
    source.start(2, &|| true).unwrap();
    let mut take = || match source.next(u64::MAX).unwrap() {
        Next::Frame(slot) => Some(slot),
        Next::Starved => None,
        other => panic!("{other:?}"),
    };
    let (first, second) = (take().unwrap(), take().unwrap());
    assert!(take().is_none() && take().is_none());
    source.release(first);
    let Next::Frame(third) = source.next(u64::MAX).unwrap() else {
        panic!()
    };
    assert_eq!((second.data[0], third.data[0]), (17, 18));
    source.release(second);
    assert!(matches!(source.next(u64::MAX), Ok(Next::End)));
}

#[test]
fn y4m_comes_through_a_pipe_without_waiting_past_the_deadline() {
    let dir = Scratch::new();
    let path = dir.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let file = y4m("W64 H64 F25:1 Cmono", 4096, 2);
    let (hold, held) = std::sync::mpsc::channel();
    let to = path.clone();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        let mut pipe = std::fs::File::options().write(true).open(to).unwrap();
        pipe.write_all(&file[..6000]).unwrap();
        held.recv().unwrap();
        pipe.write_all(&file[6000..]).unwrap();
    });
    let mut source = ClipSource::open(&path, ClipOptions::default()).unwrap();
    source.start(2, &|| true).unwrap();
    let Ok(Next::Frame(first)) = source.next(u64::MAX) else {
        panic!()
    };
    for _ in 0..3 {
        assert!(matches!(source.next(now_ns() + MS), Ok(Next::Idle)));
    }
    hold.send(()).unwrap();
    let Ok(Next::Frame(second)) = source.next(u64::MAX) else {
        panic!()
    };
    assert_eq!((first.data[0], second.data[4095]), (16, 17));
    source.release(first);
    assert!(matches!(source.next(u64::MAX), Ok(Next::End)));
    writer.join().unwrap();
}
