//! Y4M and raw clips allocate nothing from frame to frame, nor from clip to
//! clip.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/allocations.rs"]
mod allocations;

use e4::source::clip::{ClipOptions, ClipSource, RawLayout};
use e4::source::{FrameSource, Next};
use e4::tensor::{Colour, PixelFormat};
use std::path::Path;

/// Plays a few passes and returns the allocations after the first frame.
fn allocations(path: &Path, options: ClipOptions) -> (usize, u64) {
    let options = ClipOptions {
        passes: Some(4),
        ..options
    };
    let mut source = ClipSource::open(path, options).unwrap();
    source.start(3, &|| true).unwrap();
    let (mut frames, mut before) = (0, 0);
    loop {
        match source.next(u64::MAX).unwrap() {
            Next::Frame(slot) => source.release(slot),
            Next::End => break,
            other => panic!("{other:?}"),
        }
        frames += 1;
        if frames == 1 {
            before = allocations::of_this_thread();
        }
    }
    (frames, allocations::of_this_thread() - before)
}

#[test]
fn y4m_and_raw_clips_allocate_nothing_in_steady_state() {
    let dir = tempfile::tempdir().unwrap();
    let frame = [&b"FRAME\n"[..], &[7; 320 * 240 * 3 / 2]].concat();
    let clip = [b"YUV4MPEG2 W320 H240 F25:1\n".to_vec(), frame.repeat(10)].concat();
    for name in ["a.y4m", "b.y4m"] {
        std::fs::write(dir.path().join(name), &clip).unwrap();
    }
    let one = dir.path().join("a.y4m");
    assert_eq!(allocations(&one, ClipOptions::default()), (40, 0));
    assert_eq!(allocations(dir.path(), ClipOptions::default()), (80, 0));
    let raw = tempfile::tempdir().unwrap();
    std::fs::write(raw.path().join("a"), vec![9; 320 * 240 * 2 * 10]).unwrap();
    std::fs::write(raw.path().join("b"), vec![9; 320 * 240 * 2 * 10]).unwrap();
    let options = ClipOptions {
        raw: Some(RawLayout {
            format: PixelFormat::Yuyv,
            width: 320,
            height: 240,
            colour: Colour::default(),
            interval_ns: 40_000_000,
        }),
        ..ClipOptions::default()
    };
    assert_eq!(allocations(&raw.path().join("a"), options.clone()), (40, 0));
    assert_eq!(allocations(raw.path(), options), (80, 0));
}
