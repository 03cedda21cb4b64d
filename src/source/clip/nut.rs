//! NUT, as far as `ffmpeg -f nut -c:v rawvideo` writes it: one video stream of
//! I420 pictures, each with the time that it had in the original file.
//!
//! Guarantees: any bytes whatever end in a frame, an end or an error, never a
//! panic; a picture goes straight from the pipe into the slot. Checksums are
//! not looked at: the bytes come from a process of ours. Not read here: other
//! pixel layouts and side data, which such a command line does not produce.
//!
//! `v` below is NUT's variable-length number, `s` the signed one.

use super::input::{Got, Input};
use super::reader::{ClipReader, Fault, Rate, Step, checked_len};
use crate::tensor::{Colour, Frame, PixelFormat};

const FILE_ID: &[u8] = b"nut/multimedia container\0";
const MAIN: u64 = 0x4E4D_7A56_1F5F_04AD;
const STREAM: u64 = 0x4E53_1140_5BF2_F9DB;
const SYNCPOINT: u64 = 0x4E4B_E4AD_EECA_4569;
const INFO: u64 = 0x4E49_AB68_B596_BA78;
/// Longest header packet that is looked into.
const MAX_HEADER: usize = 1 << 20;
/// More than any packet or frame header takes ahead of its payload.
const LOOK_AHEAD: usize = 128;

const FLAG_CODED_PTS: u64 = 8;
const FLAG_STREAM_ID: u64 = 16;
const FLAG_SIZE_MSB: u64 = 32;
const FLAG_CHECKSUM: u64 = 64;
const FLAG_RESERVED: u64 = 128;
const FLAG_SIDE_DATA: u64 = 256;
const FLAG_HEADER_IDX: u64 = 1024;
const FLAG_MATCH_TIME: u64 = 2048;
const FLAG_CODED: u64 = 4096;
const FLAG_INVALID: u64 = 8192;

/// What the first byte of a frame stands for.
#[derive(Clone, Copy, Debug, Default)]
struct Code {
    flags: u64,
    stream: u64,
    size_mul: u64,
    size_lsb: u64,
    pts_delta: i64,
    reserved: u64,
    header: u64,
}

/// The headers ahead of the first frame.
#[derive(Debug, Default)]
struct Head {
    time_bases: Vec<(u64, u64)>,
    codes: Vec<Code>,
    /// Starts that frames may leave out; the first is empty.
    starts: Vec<Vec<u8>>,
    time_base: usize,
    msb_shift: u32,
    width: u32,
    height: u32,
    rate: Option<Rate>,
    len: usize,
}

/// A NUT stream being read.
#[derive(Debug)]
pub(super) struct Nut {
    input: Input,
    head: Head,
    last_pts: i64,
    first_pts: Option<i64>,
    /// Bytes of the current picture that are there; `None` between pictures.
    filled: Option<usize>,
}

fn broken() -> Fault {
    Fault::Broken("the stream from ffmpeg is not as it should be".into())
}

/// Reads numbers off a slice; `None` at its end.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(taken)
    }

    fn v(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        loop {
            let byte = self.take(1)?[0];
            if value >> 57 != 0 {
                return None;
            }
            value = value << 7 | u64::from(byte & 0x7F);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
    }

    fn s(&mut self) -> Option<i64> {
        let coded = self.v()?.checked_add(1)?;
        let half = i64::try_from(coded >> 1).ok()?;
        Some(if coded & 1 == 1 { -half } else { half })
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.v()?).ok()?;
        self.take(len)
    }
}

/// Where a packet that begins with a start code has its body.
struct Packet {
    code: u64,
    /// Bytes before the body.
    head: usize,
    /// Bytes of the body, checksum included.
    body: usize,
}

fn packet(bytes: &[u8]) -> Option<Packet> {
    let mut cursor = Cursor { bytes, at: 0 };
    let code = u64::from_be_bytes(cursor.take(8)?.try_into().ok()?);
    let body = usize::try_from(cursor.v()?).ok()?;
    if body > 4096 {
        cursor.take(4)?;
    }
    Some(Packet {
        code,
        head: cursor.at,
        body,
    })
}

impl Head {
    fn main(&mut self, body: &[u8]) -> Option<()> {
        let mut cursor = Cursor { bytes: body, at: 0 };
        if cursor.v()? > 3 {
            cursor.v()?;
        }
        let (_streams, _max_distance) = (cursor.v()?, cursor.v()?);
        for _ in 0..cursor.v()? {
            let base = (cursor.v()?, cursor.v()?);
            self.time_bases.push(base);
        }
        self.codes(&mut cursor)?;
        self.starts = vec![Vec::new()];
        for _ in 0..cursor.v()? {
            self.starts.push(cursor.string()?.to_vec());
        }
        Some(())
    }

    /// The run-length coded table of all 256 first bytes.
    fn codes(&mut self, cursor: &mut Cursor) -> Option<()> {
        let mut code = Code {
            size_mul: 1,
            ..Code::default()
        };
        while self.codes.len() < 256 {
            code.flags = cursor.v()?;
            let fields = cursor.v()?;
            if fields > 0 {
                code.pts_delta = cursor.s()?;
            }
            if fields > 1 {
                code.size_mul = cursor.v()?;
            }
            if fields > 2 {
                code.stream = cursor.v()?;
            }
            let first = if fields > 3 { cursor.v()? } else { 0 };
            code.reserved = if fields > 4 { cursor.v()? } else { 0 };
            let count = match fields {
                0..=5 => code.size_mul.checked_sub(first)?,
                _ => cursor.v()?,
            };
            if fields > 6 {
                cursor.s()?;
            }
            if fields > 7 {
                code.header = cursor.v()?;
            }
            for _ in 8..fields {
                cursor.v()?;
            }
            self.run(code, first, count)?;
        }
        Some(())
    }

    /// Adds `count` codes that differ in the low part of the size alone; the
    /// letter that start codes begin with stands for none.
    fn run(&mut self, code: Code, first: u64, count: u64) -> Option<()> {
        let mut size_lsb = first;
        for _ in 0..count.min(256) {
            if self.codes.len() == usize::from(b'N') {
                self.codes.push(Code {
                    flags: FLAG_INVALID,
                    ..Code::default()
                });
            }
            if self.codes.len() == 256 {
                break;
            }
            self.codes.push(Code { size_lsb, ..code });
            size_lsb = size_lsb.checked_add(1)?;
        }
        Some(())
    }

    fn stream(&mut self, body: &[u8]) -> Option<()> {
        let mut cursor = Cursor { bytes: body, at: 0 };
        let (id, class) = (cursor.v()?, cursor.v()?);
        let fourcc = cursor.string()?;
        self.time_base = usize::try_from(cursor.v()?).ok()?;
        self.msb_shift = u32::try_from(cursor.v()?).ok().filter(|&s| s < 32)?;
        for _ in 0..3 {
            cursor.v()?;
        }
        cursor.string()?;
        self.width = u32::try_from(cursor.v()?).ok()?;
        self.height = u32::try_from(cursor.v()?).ok()?;
        (id == 0 && class == 0 && fourcc == b"I420").then_some(())
    }

    /// Finds the rate among the text that goes with the stream.
    fn info(&mut self, body: &[u8]) {
        const NAME: &[u8] = b"r_frame_rate\x02";
        let Some(at) = body.windows(NAME.len()).position(|w| w == NAME) else {
            return;
        };
        let at = at + NAME.len();
        let mut cursor = Cursor { bytes: body, at };
        let text = cursor.string().and_then(|t| str::from_utf8(t).ok());
        let ratio = text.and_then(|t| t.split_once('/'));
        self.rate = ratio.and_then(|(n, d)| Rate::new(n.parse().ok()?, d.parse().ok()?));
    }
}

impl Nut {
    /// Reads up to the first frame, waiting for as long as `input` is patient.
    pub(super) fn open(mut input: Input) -> Result<Self, Fault> {
        input.want(FILE_ID.len(), u64::MAX)?;
        if !input.bytes().starts_with(FILE_ID) {
            return Err(broken());
        }
        input.consume(FILE_ID.len());
        let mut head = Head::default();
        loop {
            input.want(LOOK_AHEAD, u64::MAX)?;
            if input.bytes().first() != Some(&b'N') {
                break;
            }
            let packet = packet(input.bytes()).ok_or_else(broken)?;
            if packet.code == SYNCPOINT {
                break;
            }
            if packet.body > MAX_HEADER {
                input.skip((packet.head + packet.body) as u64)?;
                continue;
            }
            let end = packet.head + packet.body;
            if input.want(end, u64::MAX)? != Got::All {
                return Err(broken());
            }
            let body = &input.bytes()[packet.head..end];
            match packet.code {
                MAIN => head.main(body).ok_or_else(broken)?,
                STREAM => head.stream(body).ok_or_else(broken)?,
                INFO => head.info(body),
                _ => {}
            }
            input.consume(end);
        }
        let base = head.time_bases.get(head.time_base);
        if head.codes.is_empty() || base.is_none_or(|&(num, den)| num == 0 || den == 0) {
            return Err(broken());
        }
        head.len = checked_len(PixelFormat::I420, head.width, head.height)?;
        Ok(Self {
            input,
            head,
            last_pts: 0,
            first_pts: None,
            filled: None,
        })
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
            Got::End => return Err(Fault::Broken("ends within a frame".into())),
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
