//! The packets of a NUT stream and the headers ahead of its frames.

use crate::source::clip::reader::Rate;

pub(super) const MAIN: u64 = 0x4E4D_7A56_1F5F_04AD;
pub(super) const STREAM: u64 = 0x4E53_1140_5BF2_F9DB;
pub(super) const SYNCPOINT: u64 = 0x4E4B_E4AD_EECA_4569;
pub(super) const INFO: u64 = 0x4E49_AB68_B596_BA78;

pub(super) const FLAG_CODED_PTS: u64 = 8;
pub(super) const FLAG_STREAM_ID: u64 = 16;
pub(super) const FLAG_SIZE_MSB: u64 = 32;
pub(super) const FLAG_CHECKSUM: u64 = 64;
pub(super) const FLAG_RESERVED: u64 = 128;
pub(super) const FLAG_SIDE_DATA: u64 = 256;
pub(super) const FLAG_HEADER_IDX: u64 = 1024;
pub(super) const FLAG_MATCH_TIME: u64 = 2048;
pub(super) const FLAG_CODED: u64 = 4096;
pub(super) const FLAG_INVALID: u64 = 8192;

/// What the first byte of a frame stands for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Code {
    pub(super) flags: u64,
    pub(super) stream: u64,
    pub(super) size_mul: u64,
    pub(super) size_lsb: u64,
    pub(super) pts_delta: i64,
    pub(super) reserved: u64,
    pub(super) header: u64,
}

/// The headers ahead of the first frame.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) time_bases: Vec<(u64, u64)>,
    pub(super) codes: Vec<Code>,
    /// Starts that frames may leave out; the first is empty.
    pub(super) starts: Vec<Vec<u8>>,
    pub(super) time_base: usize,
    pub(super) msb_shift: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) rate: Option<Rate>,
    pub(super) len: usize,
}

/// Reads numbers off a slice; `None` at its end.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(taken)
    }

    pub(super) fn v(&mut self) -> Option<u64> {
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

    pub(super) fn s(&mut self) -> Option<i64> {
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
pub(super) struct Packet {
    pub(super) code: u64,
    /// Bytes before the body.
    pub(super) head: usize,
    /// Bytes of the body, checksum included.
    pub(super) body: usize,
}

/// Reads the head of the packet at the front of `bytes`.
pub(super) fn packet(bytes: &[u8]) -> Option<Packet> {
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
    pub(super) fn main(&mut self, body: &[u8]) -> Option<()> {
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

    pub(super) fn stream(&mut self, body: &[u8]) -> Option<()> {
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
    pub(super) fn info(&mut self, body: &[u8]) {
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
