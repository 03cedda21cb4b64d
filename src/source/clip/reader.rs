//! The seam between [`ClipSource`](super::ClipSource) and the file formats, and
//! the choice of a format by a file's first bytes.

use super::ClipOptions;
use super::avi::{self, Avi};
use super::ffmpeg::Ffmpeg;
use super::input::Input;
use super::raw::Raw;
use super::y4m::{self, Y4m};
use crate::tensor::{Frame, PixelFormat};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Largest width or height that is believed.
pub(super) const MAX_SIDE: u32 = 16_384;
/// Largest frame that is believed, in bytes: a 16384 x 8192 YUV 4:2:0 picture
/// and a quarter more.
pub(super) const MAX_FRAME_BYTES: usize = 256 << 20;

/// The reason of a fault when a pipe stayed silent for too long.
pub(super) const NO_DATA: &str = "no data came in time";

/// The reason of a fault when the data ended within a frame.
pub(super) const CUT: &str = "ends within a frame";

/// What [`ClipReader::next_frame`] came back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The frame is complete.
    Frame,
    /// There was a frame, but its data does not decode; media time went on.
    Undecodable,
    /// The deadline passed first; call again with the same frame.
    Pending,
    /// The clip ended in good order.
    End,
}

/// Why a reader cannot go on.
#[derive(Debug)]
pub(super) enum Fault {
    /// The system's word.
    Io(io::Error),
    /// Ours: half a sentence that fits behind the file's name.
    Broken(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut {
            return Self::Broken(NO_DATA.into());
        }
        Self::Io(error)
    }
}

/// One clip being read.
pub(super) trait ClipReader {
    /// Nominal spacing of its frames, where the clip tells.
    fn frame_interval_ns(&self) -> Option<u64>;

    /// Reads the next frame into `frame`: its data, size, format, colour, and
    /// its media time, which counts from the clip's start, as timestamp.
    fn next_frame(&mut self, frame: &mut Frame, deadline_ns: u64) -> Result<Step, Fault>;

    /// Back to the first frame, without a new allocation; false where only
    /// opening the file again does it.
    fn rewind(&mut self) -> Result<bool, Fault> {
        Ok(false)
    }

    /// Largest frame to be expected, in bytes.
    fn frame_bytes(&self) -> usize;
}

/// Frames per second as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    frames: u64,
    seconds: u64,
}

impl Rate {
    /// A rate from one frame in 1000 s to a million frames a second; `None`
    /// for what a damaged or silent header claims.
    pub(super) fn new(frames: u64, seconds: u64) -> Option<Self> {
        let plausible = frames > 0
            && seconds > 0
            && frames.checked_mul(1000)? >= seconds
            && frames <= seconds.checked_mul(1_000_000)?;
        plausible.then_some(Self { frames, seconds })
    }

    /// One frame each `interval_ns`.
    pub(super) fn from_interval(interval_ns: u64) -> Self {
        Self {
            frames: 1_000_000_000,
            seconds: interval_ns.max(1),
        }
    }

    /// Media time of frame `index`.
    pub(super) fn time_of(self, index: u64) -> u64 {
        let ns = u128::from(index) * u128::from(self.seconds) * 1_000_000_000;
        u64::try_from(ns / u128::from(self.frames)).unwrap_or(u64::MAX)
    }
}

/// Bytes of a frame whose size can be believed.
pub(super) fn checked_len(format: PixelFormat, width: u32, height: u32) -> Result<usize, Fault> {
    let sane = (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height);
    let len = format.frame_len(width, height).filter(|_| sane);
    len.filter(|&len| len <= MAX_FRAME_BYTES).ok_or_else(|| {
        let limit = match sane {
            true => format!("{} MiB a frame", MAX_FRAME_BYTES >> 20),
            false => format!("1x1 to {MAX_SIDE}x{MAX_SIDE}"),
        };
        Fault::Broken(format!(
            "its frame size of {width}x{height} is beyond the limit of {limit}"
        ))
    })
}

/// Opens `path` for reading, which does not wait for the writer of a named pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK.bits();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(file)
}

/// A reader of any kind. An enum, so that the next clip of a folder costs no
/// allocation where its format needs none.
#[derive(Debug)]
pub(super) enum Reader {
    Y4m(Y4m),
    Avi(Avi),
    Raw(Raw),
    Ffmpeg(Box<Ffmpeg>),
}

impl Reader {
    /// Opens `path` and reads its header. `spare` is a buffer to use again.
    pub(super) fn open(path: &Path, options: &ClipOptions, spare: Vec<u8>) -> Result<Self, Fault> {
        match Self::open_own(path, options, spare)? {
            Some(reader) => Ok(reader),
            None => Ffmpeg::open(path, options).map(|child| Self::Ffmpeg(Box::new(child))),
        }
    }

    /// Largest frame of `path` as far as its header tells at no great cost, in
    /// bytes; zero where it does not.
    pub(super) fn peek(path: &Path, options: &ClipOptions) -> usize {
        if !path.is_file() {
            return 0;
        }
        let reader = Self::open_own(path, options, Vec::new());
        reader.map_or(0, |r| r.map_or(0, |r| r.frame_bytes()))
    }

    /// Opens what we read ourselves; `None` is a file for `ffmpeg`.
    fn open_own(path: &Path, options: &ClipOptions, spare: Vec<u8>) -> Result<Option<Self>, Fault> {
        let kind = std::fs::metadata(path)?.file_type();
        if !kind.is_file() && !kind.is_fifo() {
            return Err(Fault::Broken("is neither a file nor a pipe".into()));
        }
        let file = open(path)?;
        let input = Input::new(file, options.patience_ns, spare)?.ended_by(&options.stop);
        let mut input = if kind.is_fifo() {
            input.unwritten()
        } else {
            input
        };
        let fallback = Rate::from_interval(options.fallback_interval_ns);
        input.want(12, u64::MAX)?;
        if input.bytes().is_empty() {
            return Err(Fault::Broken("is empty".into()));
        }
        if let Some(layout) = options.raw {
            return Raw::new(input, layout).map(|raw| Some(Self::Raw(raw)));
        }
        if input.bytes().starts_with(y4m::MAGIC) {
            if let Some(head) = y4m::read_head(&mut input)? {
                return Ok(Some(Self::Y4m(Y4m::new(input, head, fallback))));
            }
        } else if avi::is_avi(input.bytes())
            && let Some(head) = avi::read_head(&mut input)?
        {
            return Ok(Some(Self::Avi(Avi::new(input, head, fallback))));
        }
        if kind.is_fifo() {
            let reason = "only Y4M and Motion-JPEG AVI can be read from a pipe";
            return Err(Fault::Broken(reason.into()));
        }
        Ok(None)
    }

    fn inner(&self) -> &dyn ClipReader {
        match self {
            Self::Y4m(r) => r,
            Self::Avi(r) => r,
            Self::Raw(r) => r,
            Self::Ffmpeg(r) => r.as_ref(),
        }
    }

    fn inner_mut(&mut self) -> &mut dyn ClipReader {
        match self {
            Self::Y4m(r) => r,
            Self::Avi(r) => r,
            Self::Raw(r) => r,
            Self::Ffmpeg(r) => r.as_mut(),
        }
    }

    /// The buffer, to be used by the next reader.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        match self {
            Self::Y4m(r) => r.into_input().into_buffer(),
            Self::Avi(r) => r.into_input().into_buffer(),
            Self::Raw(r) => r.into_input().into_buffer(),
            Self::Ffmpeg(_) => Vec::new(),
        }
    }
}

impl ClipReader for Reader {
    fn frame_interval_ns(&self) -> Option<u64> {
        self.inner().frame_interval_ns()
    }

    fn next_frame(&mut self, frame: &mut Frame, deadline_ns: u64) -> Result<Step, Fault> {
        self.inner_mut().next_frame(frame, deadline_ns)
    }

    fn rewind(&mut self) -> Result<bool, Fault> {
        self.inner_mut().rewind()
    }

    fn frame_bytes(&self) -> usize {
        self.inner().frame_bytes()
    }
}
