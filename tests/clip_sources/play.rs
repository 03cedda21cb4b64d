//! Plays a source to its end and keeps what came.

use crate::watchdog::finished;
use e4::source::clip::{ClipOptions, ClipSource};
use e4::source::{FrameSource, Next, SourceError};
use e4::tensor::FrameMeta;
use std::path::{Path, PathBuf};

/// What a source delivered.
#[derive(Debug, Default)]
pub struct Played {
    pub frames: Vec<FrameMeta>,
    /// First byte of each frame.
    pub first: Vec<u8>,
    pub undecodable: usize,
    pub damage: Vec<String>,
}

/// Plays `path` once.
pub fn play(path: &Path) -> Result<Played, SourceError> {
    play_with(path, ClipOptions::default())
}

/// Plays `path` as `options` say, and fails where that never ends.
pub fn play_with(path: &Path, options: ClipOptions) -> Result<Played, SourceError> {
    let path = path.to_owned();
    finished(move || to_the_end(&path, options))
}

fn to_the_end(path: &Path, options: ClipOptions) -> Result<Played, SourceError> {
    let mut source = ClipSource::open(path, options)?;
    source.start(2, &|| true)?;
    let mut played = Played::default();
    loop {
        match source.next(u64::MAX)? {
            Next::Frame(slot) => {
                let meta = slot.meta;
                let len = meta.format.frame_len(meta.width, meta.height);
                assert_eq!(Some(slot.data.len()), len, "{meta:?}");
                played.frames.push(meta);
                played.first.push(slot.data[0]);
                source.release(slot);
            }
            Next::Dropped(reason) => {
                assert_eq!(reason, "undecodable");
                played.undecodable += 1;
            }
            Next::Damaged(error) => played.damage.push(error.to_string()),
            Next::Idle | Next::Starved => panic!("neither a deadline nor a slot is missing"),
            Next::End => break,
        }
    }
    assert!(
        matches!(source.next(0)?, Next::End),
        "the end stays the end"
    );
    Ok(played)
}

/// A folder that vanishes.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}
