//! Samples and nothing else: frame after frame, in a layout that the caller
//! names.
//!
//! Guarantees: no allocation and no second copy from frame to frame. A file
//! that does not end with a whole frame is reported as cut off.

use super::input::{Got, Input};
use super::reader::{ClipReader, Fault, Rate, Step, checked_len};
use crate::tensor::{Colour, Frame, PixelFormat};

/// What the bytes of a raw file mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawLayout {
    /// Byte layout of a frame.
    pub format: PixelFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// How to read YUV samples.
    pub colour: Colour,
    /// Spacing of the frames.
    pub interval_ns: u64,
}

/// A raw file being read.
#[derive(Debug)]
pub(super) struct Raw {
    input: Input,
    layout: RawLayout,
    rate: Rate,
    len: usize,
    frames: u64,
    filled: usize,
}

impl Raw {
    pub(super) fn new(input: Input, layout: RawLayout) -> Result<Self, Fault> {
        Ok(Self {
            input,
            layout,
            rate: Rate::from_interval(layout.interval_ns),
            len: checked_len(layout.format, layout.width, layout.height)?,
            frames: 0,
            filled: 0,
        })
    }

    pub(super) fn into_input(self) -> Input {
        self.input
    }
}

impl ClipReader for Raw {
    fn frame_interval_ns(&self) -> Option<u64> {
        Some(self.layout.interval_ns)
    }

    fn next_frame(&mut self, frame: &mut Frame, deadline_ns: u64) -> Result<Step, Fault> {
        if self.filled == 0 {
            match self.input.want(1, deadline_ns)? {
                Got::All => {}
                Got::Pending => return Ok(Step::Pending),
                Got::End => return Ok(Step::End),
            }
        }
        let cut = || {
            Fault::Broken(format!(
                "does not end with a whole frame of {} bytes",
                self.len
            ))
        };
        if self.filled == 0 && self.input.lacks(self.len as u64) {
            return Err(cut());
        }
        frame.data.resize(self.len, 0);
        let got = self
            .input
            .fill(&mut frame.data, &mut self.filled, deadline_ns);
        match got? {
            Got::All => {}
            Got::Pending => return Ok(Step::Pending),
            Got::End => return Err(cut()),
        }
        let meta = &mut frame.meta;
        (meta.width, meta.height) = (self.layout.width, self.layout.height);
        (meta.format, meta.colour) = (self.layout.format, self.layout.colour);
        meta.timestamp_ns = self.rate.time_of(self.frames);
        self.frames += 1;
        self.filled = 0;
        Ok(Step::Frame)
    }

    fn rewind(&mut self) -> Result<bool, Fault> {
        (self.frames, self.filled) = (0, 0);
        Ok(self.input.rewind_to(0)?)
    }

    fn frame_bytes(&self) -> usize {
        if self.input.lacks(self.len as u64) {
            return 0;
        }
        self.len
    }
}
