//! Any bytes as a clip file: whole frames, then an error in words.
#![no_main]

use e4::source::clip::{ClipOptions, ClipSource};
use e4::source::{FrameSource, Next};
use libfuzzer_sys::fuzz_target;
use std::io::Write;

/// Frames of one file that are looked at.
const FRAMES: usize = 200;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a file in memory");
    file.write_all(bytes).expect("room for it");
    let options = ClipOptions {
        ffmpeg: "/nonexistent/ffmpeg".into(),
        ..ClipOptions::default()
    };
    let Ok(mut source) = ClipSource::open(file.path(), options) else {
        return;
    };
    if source.start(2, &|| true).is_err() {
        return;
    }
    for _ in 0..FRAMES {
        match source.next(u64::MAX) {
            Ok(Next::Frame(slot)) => {
                let meta = slot.meta;
                assert_eq!(meta.format.frame_len(meta.width, meta.height), Some(slot.data.len()));
                source.release(slot);
            }
            Ok(Next::Dropped(_) | Next::Damaged(_)) => {}
            Ok(Next::Idle | Next::Starved) => panic!("neither a deadline nor a slot is missing"),
            Ok(Next::End) | Err(_) => break,
        }
    }
});
