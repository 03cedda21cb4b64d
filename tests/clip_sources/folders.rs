//! Folders of clips and their labels.

use crate::bytes::{avi, jpeg, picture, y4m};
use crate::play::{Scratch, play, play_with};
use e4::source::FrameSource;
use e4::source::clip::{ClipOptions, ClipSource};

#[test]
fn a_folder_plays_in_the_order_of_names_with_labels() {
    let dir = Scratch::new();
    dir.file("b.y4m", &y4m("W4 H4 F10:1 Cmono", 16, 2));
    dir.file("a.avi", &avi(&[picture(&jpeg(8, 8, 77, 1))]));
    dir.file("c.y4m", &y4m("W6 H4 F20:1 Cmono", 24, 1));
    dir.file("README", b"about these clips");
    dir.file(
        "labels.csv",
        b"file,class,difficulty\r\nb.y4m,wave,0.25\r\n\"a.avi\",sit,1\r\n",
    );
    let options = || ClipOptions {
        labels: ["sit", "stand", "wave"].map(String::from).to_vec(),
        ..ClipOptions::default()
    };
    let played = play_with(dir.path(), options()).unwrap();
    assert_eq!(played.first, [77, 16, 17, 16]);
    let clips: Vec<_> = played.frames.iter().map(|f| (f.clip, f.label)).collect();
    assert_eq!(clips, [(0, Some(0)), (1, Some(2)), (1, Some(2)), (2, None)]);
    let times: Vec<_> = played
        .frames
        .iter()
        .map(|f| f.timestamp_ns / 1_000_000)
        .collect();
    assert_eq!(
        times,
        [0, 40, 140, 240],
        "each clip begins where the one before ended"
    );
    assert!(played.damage.is_empty(), "{:?}", played.damage);
    let source = ClipSource::open(dir.path(), options()).unwrap();
    assert_eq!(source.info().labels.len(), 3);
    assert_eq!(source.warnings().len(), 1, "c.y4m has no row");
}

#[test]
fn labels_whose_rows_name_no_clip_are_reported() {
    let dir = Scratch::new();
    dir.file("1.y4m", &y4m("W4 H4 F25:1 Cmono", 16, 1));
    dir.file("2.y4m", &y4m("W4 H4 F25:1 Cmono", 16, 1));
    let warnings = |table: &[u8]| {
        dir.file("labels.csv", table);
        let source = ClipSource::open(dir.path(), ClipOptions::default()).unwrap();
        source.warnings().join("; ")
    };
    let none = warnings(b"file,class\nnope.y4m,walk\nf/1.y4m,walk\n");
    assert!(
        none.contains("labels.csv: 2 of 2 rows name no clip"),
        "{none}"
    );
    let some = warnings(b"file,class\n1.y4m,walk\n2.y4m,sit\nnope.y4m,walk\n");
    assert!(
        some.contains("1 of 3 rows") && some.contains("nope.y4m"),
        "{some}"
    );
    assert_eq!(warnings(b"file,class\n1.y4m,walk\n2.y4m,sit\n"), "");
}

#[test]
fn a_broken_file_of_a_folder_is_named_once_and_passed_over() {
    let dir = Scratch::new();
    let good = y4m("W4 H4 F25:1 Cmono", 16, 2);
    dir.file("1.y4m", b"");
    dir.file("2.y4m", &good);
    dir.file("3.y4m", b"YUV4MPEG2 W4\n");
    dir.file("4.y4m", &good[..good.len() - 1]);
    dir.file("5.y4m", &good);
    let options = ClipOptions {
        passes: Some(2),
        ..ClipOptions::default()
    };
    let played = play_with(dir.path(), options).unwrap();
    assert_eq!(played.first, [[16, 17, 16, 16, 17]; 2].concat());
    let clips: Vec<_> = played.frames.iter().map(|f| f.clip).collect();
    assert_eq!(clips, [1, 1, 3, 4, 4, 6, 6, 8, 9, 9]);
    assert_eq!(played.damage.len(), 3, "{:?}", played.damage);
    for (sentence, name) in played.damage.iter().zip(["1.y4m", "3.y4m", "4.y4m"]) {
        assert!(sentence.contains(name), "{sentence}");
    }
    assert!(
        played
            .frames
            .windows(2)
            .all(|f| f[0].timestamp_ns < f[1].timestamp_ns)
    );
}

#[test]
fn a_folder_without_anything_to_play_cannot_start() {
    let dir = Scratch::new();
    let error = play(dir.path()).unwrap_err().to_string();
    assert!(error.contains("no clip"), "{error}");
    dir.file("1.y4m", b"");
    dir.file("2.y4m", b"YUV4MPEG2 W4 H4\n");
    let options = ClipOptions {
        passes: None,
        ..ClipOptions::default()
    };
    let error = play_with(dir.path(), options).unwrap_err().to_string();
    assert!(
        error.contains("none of its 2 clips") && error.contains("1.y4m"),
        "{error}"
    );
    let error = play(&dir.path().join("missing")).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn a_table_that_cannot_be_read_stops_the_folder_but_not_a_single_clip() {
    let dir = Scratch::new();
    let clip = dir.file("1.y4m", &y4m("W4 H4 F25:1 Cmono", 16, 1));
    dir.file("labels.csv", b"file,class\n1.y4m\n");
    let error = play(dir.path()).unwrap_err().to_string();
    assert!(error.contains("labels.csv: line 2"), "{error}");
    assert_eq!(play(&clip).unwrap().first, [16]);
}

#[test]
fn a_source_tells_the_interval_of_the_clip_under_way() {
    let dir = Scratch::new();
    for (name, rate) in [("1.y4m", "F25:1"), ("2.y4m", "F2:1")] {
        dir.file(name, &y4m(&format!("W4 H4 {rate} Cmono"), 16, 1));
    }
    let mut source = ClipSource::open(dir.path(), ClipOptions::default()).unwrap();
    source.start(2, &|| true).unwrap();
    for interval_ns in [40_000_000, 500_000_000] {
        let e4::source::Next::Frame(slot) = source.next(u64::MAX).unwrap() else {
            panic!()
        };
        assert_eq!(source.info().frame_interval_ns, Some(interval_ns));
        source.release(slot);
    }
}

#[test]
fn a_source_can_be_started_again() {
    let dir = Scratch::new();
    let clip = dir.file("1.y4m", &y4m("W4 H4 F25:1 Cmono", 16, 2));
    let mut source = ClipSource::open(&clip, ClipOptions::default()).unwrap();
    for _ in 0..3 {
        source.start(2, &|| true).unwrap();
        let e4::source::Next::Frame(slot) = source.next(u64::MAX).unwrap() else {
            panic!()
        };
        assert_eq!((slot.data[0], slot.meta.sequence), (16, 0));
        // A slot of an earlier start is not taken for one of this.
        source.start(2, &|| true).unwrap();
        source.release(slot);
    }
}
