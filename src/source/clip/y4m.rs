//! YUV4MPEG2: one header line, then a line and the planes of each frame.
//!
//! Guarantees: every 8-bit layout without alpha, any size up to the common
//! limit; parameters that are not known are passed over; nothing is allocated
//! after the header and no sample is copied twice, the first 16 KiB of a frame
//! excepted. Not read here: samples of more than 8 bits, 4:1:1 and alpha, which
//! go to `ffmpeg`. Interlaced frames are taken as they lie.

use super::input::{Got, Input};
use super::reader::{CUT, ClipReader, Fault, Rate, Step, checked_len};
use crate::tensor::{Colour, Frame, PixelFormat, Range};
use std::str::FromStr;

/// First bytes of such a file.
pub(super) const MAGIC: &[u8] = b"YUV4MPEG2 ";
const FRAME: &[u8] = b"FRAME";
/// Longest line that is taken for a header.
const MAX_LINE: usize = 4096;

/// The header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    width: u32,
    height: u32,
    format: PixelFormat,
    colour: Colour,
    rate: Option<Rate>,
    /// Bytes of a frame.
    len: usize,
}

/// A Y4M file being read.
#[derive(Debug)]
pub(super) struct Y4m {
    input: Input,
    head: Head,
    clock: Rate,
    /// Offset of the first frame.
    body: u64,
    frames: u64,
    /// Bytes of the current frame that are there; `None` between frames.
    filled: Option<usize>,
}

/// Reads the header line; `None` for a layout that is not for us.
pub(super) fn read_head(input: &mut Input) -> Result<Option<Head>, Fault> {
    let end = match line_end(input, u64::MAX)? {
        Line::Ends(end) => end,
        _ => return Err(Fault::Broken("its Y4M header line does not end".into())),
    };
    let line = String::from_utf8_lossy(&input.bytes()[MAGIC.len()..end]);
    let head = parse_head(&line)?;
    input.consume(end + 1);
    Ok(head)
}

fn parse_head(line: &str) -> Result<Option<Head>, Fault> {
    let (mut width, mut height, mut rate) = (None, None, None);
    let mut layout = "420";
    let mut colour = Colour::default();
    for field in line.split_ascii_whitespace() {
        let value = field.get(1..).unwrap_or_default();
        match field.as_bytes()[0] {
            b'W' => width = Some(number(value, field)?),
            b'H' => height = Some(number(value, field)?),
            b'F' => {
                let ratio = value.split_once(':');
                rate = ratio.and_then(|(n, d)| Rate::new(n.parse().ok()?, d.parse().ok()?));
            }
            b'C' => layout = value,
            b'X' if value.eq_ignore_ascii_case("COLORRANGE=FULL") => colour.range = Range::Full,
            _ => {}
        }
    }
    let missing = |what| Fault::Broken(format!("its Y4M header tells no {what}"));
    let width = width.ok_or_else(|| missing("width"))?;
    let height = height.ok_or_else(|| missing("height"))?;
    let format = match layout {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => PixelFormat::I420,
        "422" => PixelFormat::I422,
        "444" => PixelFormat::I444,
        "mono" => PixelFormat::Gray8,
        _ => return Ok(None),
    };
    Ok(Some(Head {
        width,
        height,
        format,
        colour,
        rate,
        len: checked_len(format, width, height)?,
    }))
}

fn number(value: &str, field: &str) -> Result<u32, Fault> {
    u32::from_str(value)
        .map_err(|_| Fault::Broken(format!("its Y4M header has {field:?} where a size belongs")))
}

enum Line {
    /// Index of the newline in the bytes read ahead.
    Ends(usize),
    Pending,
    /// The data or our patience ended first.
    Open,
}

/// Looks for the end of the line that starts here.
fn line_end(input: &mut Input, deadline_ns: u64) -> Result<Line, Fault> {
    let mut seen = 0;
    loop {
        if let Some(at) = input.bytes()[seen..].iter().position(|&b| b == b'\n') {
            return Ok(Line::Ends(seen + at));
        }
        seen = input.bytes().len();
        if seen >= MAX_LINE {
            return Ok(Line::Open);
        }
        match input.want(seen + 1, deadline_ns)? {
            Got::All => {}
            Got::Pending => return Ok(Line::Pending),
            Got::End => return Ok(Line::Open),
        }
    }
}

impl Y4m {
    /// Reads the frames behind `head`; `fallback` is the rate of a file without.
    pub(super) fn new(input: Input, head: Head, fallback: Rate) -> Self {
        Self {
            body: input.position(),
            input,
            clock: head.rate.unwrap_or(fallback),
            head,
            frames: 0,
            filled: None,
        }
    }

    pub(super) fn into_input(self) -> Input {
        self.input
    }

    /// Takes the line before a frame.
    fn mark(&mut self, deadline_ns: u64) -> Result<Step, Fault> {
        let at = self.input.position();
        match self.input.want(FRAME.len(), deadline_ns)? {
            Got::All => {}
            Got::Pending => return Ok(Step::Pending),
            Got::End if self.input.bytes().is_empty() => return Ok(Step::End),
            Got::End => return Err(Fault::Broken(CUT.into())),
        }
        if !self.input.bytes().starts_with(FRAME) {
            return Err(Fault::Broken(format!(
                "there is no frame mark at byte {at}"
            )));
        }
        match line_end(&mut self.input, deadline_ns)? {
            Line::Ends(end) => self.input.consume(end + 1),
            Line::Pending => return Ok(Step::Pending),
            Line::Open => {
                return Err(Fault::Broken(format!(
                    "the frame mark at byte {at} does not end"
                )));
            }
        }
        Ok(Step::Frame)
    }
}

impl ClipReader for Y4m {
    fn frame_interval_ns(&self) -> Option<u64> {
        self.head.rate.map(|rate| rate.time_of(1))
    }

    fn next_frame(&mut self, frame: &mut Frame, deadline_ns: u64) -> Result<Step, Fault> {
        let mut filled = match self.filled {
            Some(filled) => filled,
            None => match self.mark(deadline_ns)? {
                Step::Frame => 0,
                other => return Ok(other),
            },
        };
        if filled == 0 && self.input.lacks(self.head.len as u64) {
            return Err(Fault::Broken(CUT.into()));
        }
        frame.data.resize(self.head.len, 0);
        let got = self.input.fill(&mut frame.data, &mut filled, deadline_ns)?;
        self.filled = Some(filled);
        match got {
            Got::All => {}
            Got::Pending => return Ok(Step::Pending),
            Got::End => return Err(Fault::Broken(CUT.into())),
        }
        let meta = &mut frame.meta;
        (meta.width, meta.height) = (self.head.width, self.head.height);
        (meta.format, meta.colour) = (self.head.format, self.head.colour);
        meta.timestamp_ns = self.clock.time_of(self.frames);
        self.frames += 1;
        self.filled = None;
        Ok(Step::Frame)
    }

    fn rewind(&mut self) -> Result<bool, Fault> {
        (self.frames, self.filled) = (0, None);
        Ok(self.input.rewind_to(self.body)?)
    }

    fn frame_bytes(&self) -> usize {
        if self.input.lacks(self.head.len as u64) {
            return 0;
        }
        self.head.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(line: &str) -> Head {
        parse_head(line).unwrap().unwrap()
    }

    #[test]
    fn every_8_bit_layout_is_known() {
        for (layout, format, len) in [
            ("", PixelFormat::I420, 15 + 2 * 6),
            ("C420", PixelFormat::I420, 27),
            ("C420jpeg", PixelFormat::I420, 27),
            ("C420mpeg2", PixelFormat::I420, 27),
            ("C420paldv", PixelFormat::I420, 27),
            ("C422", PixelFormat::I422, 15 + 2 * 9),
            ("C444", PixelFormat::I444, 45),
            ("Cmono", PixelFormat::Gray8, 15),
        ] {
            let head = head(&format!("W5 H3 F25:1 {layout} Xodd=1"));
            assert_eq!((head.format, head.len), (format, len), "{layout}");
        }
        assert_eq!(parse_head("W5 H3 C420p10").unwrap(), None);
        assert_eq!(parse_head("W5 H3 C444alpha").unwrap(), None);
    }

    #[test]
    fn rate_and_range_are_taken_from_the_header() {
        let full = head("W2 H2 F30000:1001 Ip A1:1 XCOLORRANGE=FULL");
        assert_eq!(full.rate.unwrap().time_of(30), 1_001_000_000);
        assert_eq!(full.colour.range, Range::Full);
        let plain = head("W2 H2 F0:0");
        assert_eq!((plain.rate, plain.colour.range), (None, Range::Limited));
    }

    #[test]
    fn absurd_headers_are_refused() {
        for line in [
            "",
            "W4",
            "W0 H4",
            "W-1 H4",
            "W1000000000 H1000000000",
            "W99999999999 H1",
            "W16384 H16384 C444",
        ] {
            assert!(parse_head(line).is_err(), "{line}");
        }
    }
}
