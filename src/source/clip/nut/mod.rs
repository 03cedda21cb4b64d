//! NUT, as far as `ffmpeg -f nut -c:v rawvideo` writes it: one video stream of
//! I420 pictures, each with the time that it had in the original file.
//!
//! Guarantees: any bytes whatever end in a frame, an end or an error, never a
//! panic; a picture goes straight from the pipe into the slot. Checksums are
//! not looked at: the bytes come from a process of ours. Not read here: other
//! pixel layouts and side data, which such a command line does not produce.
//!
//! `v` below is NUT's variable-length number, `s` the signed one.

mod head;

use super::input::{Got, Input};
use super::reader::{CUT, ClipReader, Fault, Step, checked_len};
use crate::tensor::{Colour, Frame, PixelFormat};
use head::{
    Cursor, FLAG_CHECKSUM, FLAG_CODED, FLAG_CODED_PTS, FLAG_HEADER_IDX, FLAG_INVALID,
    FLAG_MATCH_TIME, FLAG_RESERVED, FLAG_SIDE_DATA, FLAG_SIZE_MSB, FLAG_STREAM_ID, Head, INFO,
    MAIN, STREAM, SYNCPOINT, packet,
};

const FILE_ID: &[u8] = b"nut/multimedia container\0";
/// Longest header packet that is looked into.
const MAX_HEADER: usize = 1 << 20;
/// More than any packet or frame header takes ahead of its payload.
const LOOK_AHEAD: usize = 128;

/// What is to be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Identity,
    Headers,
    Frames,
}

/// A NUT stream being read.
#[derive(Debug)]
pub(super) struct Nut {
    input: Input,
    stage: Stage,
    head: Head,
    last_pts: i64,
    first_pts: Option<i64>,
    /// Bytes of the current picture that are there; `None` between pictures.
    filled: Option<usize>,
}

fn broken() -> Fault {
    Fault::Broken("the stream from ffmpeg is not as it should be".into())
}

impl Nut {
    /// Reads nothing yet.
    pub(super) fn new(input: Input) -> Self {
        Self {
            input,
            stage: Stage::Identity,
            head: Head::default(),
            last_pts: 0,
            first_pts: None,
            filled: None,
        }
    }

    /// Reads up to the first frame; false at the deadline.
    fn headers(&mut self, deadline_ns: u64) -> Result<bool, Fault> {
        if self.stage == Stage::Identity {
            if self.input.want(FILE_ID.len(), deadline_ns)? == Got::Pending {
                return Ok(false);
            }
            if !self.input.bytes().starts_with(FILE_ID) {
                return Err(broken());
            }
            self.input.consume(FILE_ID.len());
            self.stage = Stage::Headers;
        }
        while self.stage == Stage::Headers {
            if !self.header(deadline_ns)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes one packet ahead of the frames, or finds that there are no more;
    /// false at the deadline.
    fn header(&mut self, deadline_ns: u64) -> Result<bool, Fault> {
        if self.input.want(LOOK_AHEAD, deadline_ns)? == Got::Pending {
            return Ok(false);
        }
        let packet = match self.input.bytes().first() {
            Some(b'N') => Some(packet(self.input.bytes()).ok_or_else(broken)?),
            _ => None,
        };
        let Some(packet) = packet.filter(|packet| packet.code != SYNCPOINT) else {
            let base = self.head.time_bases.get(self.head.time_base);
            if self.head.codes.is_empty() || base.is_none_or(|&(num, den)| num == 0 || den == 0) {
                return Err(broken());
            }
            let (width, height) = (self.head.width, self.head.height);
            self.head.len = checked_len(PixelFormat::I420, width, height)?;
            self.stage = Stage::Frames;
            return Ok(true);
        };
        if packet.body > MAX_HEADER {
            self.input.skip(packet.head as u64 + packet.body as u64)?;
            return Ok(true);
        }
        let end = packet.head + packet.body;
        match self.input.want(end, deadline_ns)? {
            Got::All => {}
            Got::Pending => return Ok(false),
            Got::End => return Err(broken()),
        }
        let body = &self.input.bytes()[packet.head..end];
        match packet.code {
            MAIN => self.head.main(body).ok_or_else(broken)?,
            STREAM => self.head.stream(body).ok_or_else(broken)?,
            INFO => self.head.info(body),
            _ => {}
        }
        self.input.consume(end);
        Ok(true)
    }

    /// Takes packets up to the head of the next picture, and puts what the
    /// stream left out of its start into `data`.
    fn mark(&mut self, data: &mut Vec<u8>, deadline_ns: u64) -> Result<Step, Fault> {
        loop {
            match self.input.want(LOOK_AHEAD, deadline_ns)? {
                Got::Pending => return Ok(Step::Pending),
                Got::End if self.input.bytes().is_empty() => return Ok(Step::End),
                Got::All | Got::End => {}
            }
            if self.input.bytes()[0] == b'N' {
                let packet = packet(self.input.bytes()).ok_or_else(broken)?;
                if packet.code == SYNCPOINT {
                    self.syncpoint(packet.head).ok_or_else(broken)?;
                }
                self.input.skip(packet.head as u64 + packet.body as u64)?;
                continue;
            }
            let (size, start) = self.frame_head().ok_or_else(broken)?;
            let start = self.head.starts.get(start).ok_or_else(broken)?;
            if size == 0 {
                continue;
            }
            if size != self.head.len || start.len() > size {
                return Err(broken());
            }
            data.resize(size, 0);
            data[..start.len()].copy_from_slice(start);
            self.filled = Some(start.len());
            return Ok(Step::Frame);
        }
    }

    /// A syncpoint sets the time that the following frames count from.
    fn syncpoint(&mut self, at: usize) -> Option<()> {
        let bytes = self.input.bytes();
        let coded = Cursor { bytes, at }.v()?;
        let bases = &self.head.time_bases;
        let count = bases.len() as u64;
        let (num, den) = bases[usize::try_from(coded % count).ok()?];
        let (own_num, own_den) = bases[self.head.time_base];
        let pts = u128::from(coded / count)
            .checked_mul(u128::from(num))?
            .checked_mul(u128::from(own_den))?
            / u128::from(den).checked_mul(u128::from(own_num))?.max(1);
        self.last_pts = i64::try_from(pts).ok()?;
        Some(())
    }

    /// Takes the head of a frame: its whole size, and which start it left out.
    fn frame_head(&mut self) -> Option<(usize, usize)> {
        let bytes = self.input.bytes();
        let mut cursor = Cursor { bytes, at: 1 };
        let code = self.head.codes.get(usize::from(bytes[0]))?;
        let mut flags = code.flags;
        if flags & FLAG_CODED != 0 {
            flags ^= cursor.v()?;
        }
        let set = |flag: u64| flags & flag != 0;
        let stream = if set(FLAG_STREAM_ID) {
            cursor.v()?
        } else {
            code.stream
        };
        let pts = if set(FLAG_CODED_PTS) {
            self.full_pts(cursor.v()?)?
        } else {
            self.last_pts.checked_add(code.pts_delta)?
        };
        let mut size = code.size_lsb;
        if set(FLAG_SIZE_MSB) {
            size = size.checked_add(code.size_mul.checked_mul(cursor.v()?)?)?;
        }
        if set(FLAG_MATCH_TIME) {
            cursor.s()?;
        }
        let mut start = if set(FLAG_HEADER_IDX) {
            cursor.v()?
        } else {
            code.header
        };
        let reserved = if set(FLAG_RESERVED) {
            cursor.v()?
        } else {
            code.reserved
        };
        for _ in 0..reserved {
            cursor.v()?;
        }
        if set(FLAG_CHECKSUM) {
            cursor.take(4)?;
        }
        if set(FLAG_INVALID) || set(FLAG_SIDE_DATA) || stream != 0 {
            return None;
        }
        if size > 4096 {
            start = 0;
        }
        let head_len = cursor.at;
        self.input.consume(head_len);
        self.last_pts = pts;
        Some((usize::try_from(size).ok()?, usize::try_from(start).ok()?))
    }

    /// The time meant by its coded form: whole, or the low bits of one near the
    /// last.
    fn full_pts(&self, coded: u64) -> Option<i64> {
        let coded = i64::try_from(coded).ok()?;
        let whole = 1_i64 << self.head.msb_shift;
        if coded >= whole {
            return Some(coded - whole);
        }
        let base = self.last_pts.checked_sub((whole - 1) / 2)?;
        (coded.checked_sub(base)? & (whole - 1)).checked_add(base)
    }

    /// Media time since the first frame.
    fn time_ns(&mut self) -> u64 {
        let first = *self.first_pts.get_or_insert(self.last_pts);
        let (num, den) = self.head.time_bases[self.head.time_base];
        let ticks = u64::try_from(self.last_pts.saturating_sub(first)).unwrap_or(0);
        let ns = u128::from(ticks) * u128::from(num);
        let ns = ns.saturating_mul(1_000_000_000) / u128::from(den);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}

impl ClipReader for Nut {
    fn frame_interval_ns(&self) -> Option<u64> {
        self.head.rate.map(|rate| rate.time_of(1))
    }

    fn next_frame(&mut self, frame: &mut Frame, deadline_ns: u64) -> Result<Step, Fault> {
        if !self.headers(deadline_ns)? {
            return Ok(Step::Pending);
        }
        if self.filled.is_none() {
            match self.mark(&mut frame.data, deadline_ns)? {
                Step::Frame => {}
                other => return Ok(other),
            }
        }
        let mut filled = self.filled.unwrap_or(0);
        frame.data.resize(self.head.len, 0);
        let got = self.input.fill(&mut frame.data, &mut filled, deadline_ns)?;
        self.filled = Some(filled);
        match got {
            Got::All => {}
            Got::Pending => return Ok(Step::Pending),
            Got::End => return Err(Fault::Broken(CUT.into())),
        }
        self.filled = None;
        let meta = &mut frame.meta;
        (meta.width, meta.height) = (self.head.width, self.head.height);
        (meta.format, meta.colour) = (PixelFormat::I420, Colour::default());
        frame.meta.timestamp_ns = self.time_ns();
        Ok(Step::Frame)
    }

    fn frame_bytes(&self) -> usize {
        self.head.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Seek, Write};

    fn v(value: u64) -> Vec<u8> {
        let mut bytes = vec![u8::try_from(value & 0x7F).unwrap()];
        let mut rest = value >> 7;
        while rest > 0 {
            bytes.insert(0, u8::try_from(rest & 0x7F).unwrap() | 0x80);
            rest >>= 7;
        }
        bytes
    }

    fn all(values: &[u64]) -> Vec<u8> {
        values.iter().flat_map(|&value| v(value)).collect()
    }

    fn start(code: u64, body: &[u8]) -> Vec<u8> {
        let body = [body, &[0; 4]].concat();
        [&code.to_be_bytes()[..], &v(body.len() as u64), &body].concat()
    }

    /// A stream of 4 x 2 pictures in ticks of 1/1000 s. The first is whole, the
    /// second leaves out a start of two bytes and codes its time in low bits.
    fn stream() -> Vec<u8> {
        let flags = FLAG_CODED_PTS | FLAG_SIZE_MSB | FLAG_HEADER_IDX | FLAG_CHECKSUM;
        // Version, streams, distance, one time base; then codes: the first 255
        // (less 'N') without meaning, the last for every frame.
        let mut main = all(&[3, 1, 32768, 1, 1, 1000]);
        main.extend(all(&[FLAG_INVALID, 6, 0, 1, 0, 0, 0, 254]));
        main.extend(all(&[flags, 6, 0, 1, 0, 0, 0, 1]));
        main.extend(all(&[1, 2]));
        main.extend([9, 8]);
        let mut video = all(&[0, 0, 4]);
        video.extend(b"I420");
        video.extend(all(&[0, 7, 1000, 0, 0, 0, 4, 2, 1, 1, 0]));
        let info = [&b"\x01\0\0\0\x01\x0Cr_frame_rate\x02\x04"[..], b"25/2"].concat();
        let frame = |pts: u64, start: u64, data: &[u8]| {
            let head = [vec![255], all(&[pts, 12, start]), vec![0; 4]].concat();
            [&head, data].concat()
        };
        [
            FILE_ID.to_vec(),
            start(MAIN, &main),
            start(STREAM, &video),
            start(INFO, &info),
            start(SYNCPOINT, &all(&[500, 0])),
            frame(128 + 500, 0, &[1; 12]),
            start(SYNCPOINT, &all(&[500, 0])),
            frame((500 + 40) & 127, 1, &[7; 10]),
        ]
        .concat()
    }

    fn play(bytes: &[u8]) -> Result<Vec<Frame>, Fault> {
        let mut file = tempfile::tempfile()?;
        file.write_all(bytes)?;
        file.rewind()?;
        let mut nut = Nut::new(Input::new(file, 0, Vec::new())?);
        let mut frames = Vec::new();
        loop {
            let mut frame = Frame::default();
            match nut.next_frame(&mut frame, u64::MAX)? {
                Step::Frame => frames.push(frame),
                Step::End => return Ok(frames),
                step => panic!("{step:?} from a file"),
            }
        }
    }

    #[test]
    fn frames_come_with_their_times_and_starts() {
        let frames = play(&stream()).unwrap();
        let [first, second] = &frames[..] else {
            panic!("{frames:?}")
        };
        assert_eq!(first.data, [1; 12]);
        assert_eq!(second.data, [9, 8, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
        assert_eq!(
            (first.meta.timestamp_ns, second.meta.timestamp_ns),
            (0, 40_000_000)
        );
        assert_eq!((first.meta.width, first.meta.height), (4, 2));
    }

    proptest! {
        #[test]
        fn any_damage_ends_without_a_panic(
            flips in prop::collection::vec((0_usize..400, any::<u8>()), 0..6),
            cut in 0_usize..400,
        ) {
            let mut bytes = stream();
            for (at, value) in flips {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            bytes.truncate(cut.max(1));
            // An error is as good as a frame; a panic is not.
            let _ = play(&bytes);
        }
    }
}
