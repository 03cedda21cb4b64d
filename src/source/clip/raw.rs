//! Samples and nothing else: frame after frame, in a layout that the caller
//! names.
//!
//! Guarantees: no allocation and no second copy from frame to frame. A file
//! that does not end with a whole frame is reported as cut off.

use super::input::{Got, Input};
use super::reader::{ClipReader, Fault, Rate, Step, checked_len};
use crate::tensor::{Colour, Frame, PixelFormat};
use std::time::Duration;

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

/// What is wrong with the description of a raw file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RawLayoutError {
    /// No layout of that name.
    #[error("--raw-format {0:?} is not one of {names}", names = NAMES.map(|(name, _)| name).join(", "))]
    Format(String),
    /// Not `WIDTHxHEIGHT`, or beyond the limits.
    #[error("--raw-size {0:?} is no size such as 640x480 of a frame that can be")]
    Size(String),
    /// Not a rate.
    #[error("--raw-fps {0:?} is not a rate between 0.001 and 1000000 frames a second")]
    Rate(String),
}

/// Names under which the layouts go on the command line.
const NAMES: [(&str, PixelFormat); 9] = [
    ("gray8", PixelFormat::Gray8),
    ("rgb24", PixelFormat::Rgb24),
    ("bgr24", PixelFormat::Bgr24),
    ("yuyv", PixelFormat::Yuyv),
    ("uyvy", PixelFormat::Uyvy),
    ("nv12", PixelFormat::Nv12),
    ("i420", PixelFormat::I420),
    ("i422", PixelFormat::I422),
    ("i444", PixelFormat::I444),
];

impl RawLayout {
    /// A layout by its settings: a format name such as `yuyv`, a size such as
    /// `640x480` and frames per second. Samples count as limited-range BT.601.
    ///
    /// # Errors
    /// Names the flag that does not make sense.
    pub fn parse(format: &str, size: &str, fps: f64) -> Result<Self, RawLayoutError> {
        let known = NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(format));
        let &(_, pixels) = known.ok_or_else(|| RawLayoutError::Format(format.into()))?;
        let sides = size.split_once(['x', 'X']);
        let sides = sides.and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let sides = sides.filter(|&(w, h)| checked_len(pixels, w, h).is_ok());
        let (width, height) = sides.ok_or_else(|| RawLayoutError::Size(size.into()))?;
        if !(0.001..=1e6).contains(&fps) {
            return Err(RawLayoutError::Rate(fps.to_string()));
        }
        let interval = Duration::from_secs_f64(1.0 / fps);
        Ok(Self {
            format: pixels,
            width,
            height,
            colour: Colour::default(),
            interval_ns: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_read_from_its_settings() {
        let layout = RawLayout::parse("YUYV", "640x480", 30.0).unwrap();
        assert_eq!((layout.format, layout.width), (PixelFormat::Yuyv, 640));
        assert_eq!((layout.height, layout.interval_ns), (480, 33_333_333));
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        for (format, size, fps, flag) in [
            ("yuv9", "640x480", 30.0, "--raw-format"),
            ("yuyv", "640", 30.0, "--raw-size"),
            ("yuyv", "0x480", 30.0, "--raw-size"),
            ("yuyv", "99999x99999", 30.0, "--raw-size"),
            ("yuyv", "640x480", 0.0, "--raw-fps"),
            ("yuyv", "640x480", f64::NAN, "--raw-fps"),
        ] {
            let error = RawLayout::parse(format, size, fps).unwrap_err().to_string();
            assert!(error.contains(flag), "{error}");
        }
    }
}
