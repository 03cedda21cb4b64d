//! Motion-JPEG in AVI: a walk over the chunks in file order, no index needed.
//!
//! Guarantees: OpenDML files (`AVIX` lists), `rec ` lists, `JUNK`, sound and
//! index chunks are passed through; the picture size may change from frame to
//! frame; an empty chunk repeats the frame before; a picture that does not
//! decode counts as a frame of its own kind; a file that ends before its header
//! says so is reported. Not read here: other codecs, which go to `ffmpeg`.
//! Cost: a copy of the compressed picture besides decoding it.

use super::input::{Got, Input};
use super::jpeg;
use super::reader::{CUT, ClipReader, Fault, Rate, Step, checked_len};
use crate::tensor::{Frame, PixelFormat};

/// Codec names under which AVI files carry JPEG pictures.
const CODECS: [&[u8; 4]; 4] = [b"MJPG", b"JPEG", b"AVRN", b"DMB1"];
/// Largest compressed picture that is believed.
const MAX_CHUNK: u32 = 64 << 20;
/// Most chunks to look through for the header's end.
const MAX_HEAD_CHUNKS: usize = 1024;

/// What the header tells of the first video stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    rate: Option<Rate>,
    width: u32,
    height: u32,
    /// First two letters of the stream's chunks.
    stream: [u8; 2],
    /// Where the header says that the file, or its current part, ends.
    riff_end: Option<u64>,
}

/// An AVI file being read.
#[derive(Debug)]
pub(super) struct Avi {
    input: Input,
    head: Head,
    /// As in the header; the one in `head` moves with the parts of the file.
    first_riff_end: Option<u64>,
    clock: Rate,
    body: u64,
    frames: u64,
    /// The last compressed picture, for chunks that repeat it.
    picture: Vec<u8>,
}

/// Where the walk got to.
enum Found {
    Picture(u32),
    Pending,
    End,
}

/// True for the first 12 bytes of an AVI file.
pub(super) fn is_avi(head: &[u8]) -> bool {
    head.starts_with(b"RIFF") && head.get(8..12) == Some(b"AVI ")
}

/// Reads up to the first picture; `None` when the video is not JPEG, or the
/// header is beyond us.
pub(super) fn read_head(input: &mut Input) -> Result<Option<Head>, Fault> {
    let mut head = Head {
        rate: None,
        width: 0,
        height: 0,
        stream: [0; 2],
        riff_end: riff_end(0, le32(input.bytes(), 4)),
    };
    let (mut streams, mut video, mut jpeg) = (0_u8, false, false);
    input.consume(12);
    for _ in 0..MAX_HEAD_CHUNKS {
        if input.want(8, u64::MAX)? != Got::All {
            return Ok(None);
        }
        let size = le32(input.bytes(), 4);
        let body = (size as usize).min(64);
        input.want(8 + body.max(4), u64::MAX)?;
        let Some(fields) = input.bytes().get(8..8 + body) else {
            return Ok(None);
        };
        match (&input.bytes()[..4], fields.get(..4)) {
            (b"LIST", Some(b"movi")) => {
                input.consume(12);
                return Ok(jpeg.then_some(head));
            }
            (b"LIST", Some(b"hdrl" | b"strl")) => {
                input.consume(12);
                continue;
            }
            (b"strh", kind) => {
                video = !jpeg && kind == Some(b"vids");
                if video {
                    let (scale, rate) = (le32(fields, 20), le32(fields, 24));
                    head.rate = Rate::new(rate.into(), scale.into());
                    head.stream = [b'0' + streams / 10 % 10, b'0' + streams % 10];
                }
                streams = streams.saturating_add(1);
            }
            (b"strf", _) if video => {
                (head.width, head.height) = (le32(fields, 4), le32(fields, 8));
                let codec = fields.get(16..20).unwrap_or_default().to_ascii_uppercase();
                jpeg = CODECS.iter().any(|known| codec == *known);
                if !jpeg {
                    return Ok(None);
                }
            }
            _ => {}
        }
        input.skip(padded(size))?;
    }
    Ok(None)
}

/// Length of a chunk with its header and the byte that makes it even.
fn padded(size: u32) -> u64 {
    8 + u64::from(size) + u64::from(size & 1)
}

/// End of the RIFF part at `start`; `None` when a writer could not tell.
fn riff_end(start: u64, size: u32) -> Option<u64> {
    (size != 0 && size != u32::MAX).then(|| start + 8 + u64::from(size))
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..at + 4).and_then(|f| f.try_into().ok());
    field.map_or(0, u32::from_le_bytes)
}

impl Avi {
    /// Reads the pictures behind `head`; `fallback` is the rate of a file
    /// without.
    pub(super) fn new(input: Input, head: Head, fallback: Rate) -> Self {
        Self {
            body: input.position(),
            input,
            head,
            first_riff_end: head.riff_end,
            clock: head.rate.unwrap_or(fallback),
            frames: 0,
            picture: Vec::new(),
        }
    }

    pub(super) fn into_input(self) -> Input {
        self.input
    }

    /// Walks to the next chunk of our stream and stays in front of it.
    fn find(&mut self, deadline_ns: u64) -> Result<Found, Fault> {
        loop {
            let at = self.input.position();
            match self.input.want(12, deadline_ns)? {
                Got::Pending => return Ok(Found::Pending),
                Got::End if self.input.bytes().len() < 8 => return self.end(),
                Got::All | Got::End => {}
            }
            let bytes = self.input.bytes();
            let size = le32(bytes, 4);
            let kind = bytes.get(8..12).unwrap_or_default();
            match &bytes[..4] {
                b"LIST" if matches!(kind, b"movi" | b"rec ") => self.input.consume(12),
                b"RIFF" if kind == b"AVIX" => {
                    self.head.riff_end = riff_end(at, size);
                    self.input.consume(12);
                }
                [a, b, b'd', b'c' | b'b'] if self.head.stream == [*a, *b] => {
                    return Ok(Found::Picture(size));
                }
                id if id.iter().all(|b| b.is_ascii_graphic() || *b == b' ')
                    && !self.input.lacks(8 + u64::from(size)) =>
                {
                    self.input.skip(padded(size))?;
                }
                // What follows the end is none of our business.
                _ if self.head.riff_end.is_some_and(|end| at >= end) => return Ok(Found::End),
                _ => return Err(Fault::Broken(format!("its chunks break off at byte {at}"))),
            }
        }
    }

    /// The data has ended: where the header said so?
    fn end(&self) -> Result<Found, Fault> {
        // The byte that makes the last chunk even may be missing.
        let early = |end: u64| end.saturating_sub(self.input.end_position());
        match self.head.riff_end.map_or(0, early) {
            0 | 1 => Ok(Found::End),
            missing => Err(Fault::Broken(format!("ends {missing} bytes early"))),
        }
    }
}

impl ClipReader for Avi {
    fn frame_interval_ns(&self) -> Option<u64> {
        self.head.rate.map(|rate| rate.time_of(1))
    }

    fn next_frame(&mut self, frame: &mut Frame, deadline_ns: u64) -> Result<Step, Fault> {
        loop {
            let size = match self.find(deadline_ns)? {
                Found::Picture(size) => size,
                Found::Pending => return Ok(Step::Pending),
                Found::End => return Ok(Step::End),
            };
            let chunk = 8 + size as usize;
            if size > MAX_CHUNK || self.input.lacks(chunk as u64) {
                return Err(Fault::Broken(CUT.into()));
            }
            match self.input.want(chunk, deadline_ns)? {
                Got::All => {}
                Got::Pending => return Ok(Step::Pending),
                Got::End => return Err(Fault::Broken(CUT.into())),
            }
            if size > 0 {
                self.picture.clear();
                let picture = &self.input.bytes()[8..chunk];
                self.picture.extend_from_slice(picture);
            }
            self.input.skip(padded(size))?;
            if self.picture.is_empty() {
                continue;
            }
            let decoded = jpeg::decode(&self.picture, frame);
            frame.meta.timestamp_ns = self.clock.time_of(self.frames);
            self.frames += 1;
            return Ok(if decoded {
                Step::Frame
            } else {
                Step::Undecodable
            });
        }
    }

    fn rewind(&mut self) -> Result<bool, Fault> {
        self.frames = 0;
        self.picture.clear();
        self.head.riff_end = self.first_riff_end;
        Ok(self.input.rewind_to(self.body)?)
    }

    fn frame_bytes(&self) -> usize {
        let (width, height) = (self.head.width, self.head.height);
        let plausible = |len: &usize| !self.input.lacks(jpeg::least_bytes(*len / 3) as u64);
        let len = checked_len(PixelFormat::Rgb24, width, height).ok();
        len.filter(plausible).unwrap_or(0)
    }
}
