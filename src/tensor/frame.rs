//! A frame: bytes in a pixel format, with what is known about them.
//!
//! The bytes are the frame's own, packed, or [`Lent`] by a driver, each surface
//! where the driver put it. [`Frame::surfaces`] reads both alike.

use super::lent::{Lent, Rows};

/// Byte layouts that a source may deliver. A frame's own bytes hold the surfaces
/// one after the other, rows packed without padding; chroma dimensions round up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// 8-bit luma only.
    Gray8,
    /// R, G, B interleaved.
    Rgb24,
    /// B, G, R interleaved.
    Bgr24,
    /// Y0 U Y1 V; the width rounds up to even.
    Yuyv,
    /// U Y0 V Y1; the width rounds up to even.
    Uyvy,
    /// Y plane, then interleaved UV at half width and height.
    Nv12,
    /// Y plane, then interleaved UV at half width.
    Nv16,
    /// Y, U, V planes, chroma at half width and height.
    I420,
    /// Y, U, V planes, chroma at half width.
    I422,
    /// Y, U, V planes, chroma at full size.
    I444,
    /// Y, U, V interleaved: what a JPEG decoder gives before it makes RGB.
    Yuv24,
}

/// Range of the samples of a YUV frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Range {
    /// Y 16..=235, U and V 16..=240.
    #[default]
    Limited,
    /// 0..=255.
    Full,
}

/// Matrix between YUV and RGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Matrix {
    /// ITU-R BT.601.
    #[default]
    Bt601,
    /// ITU-R BT.709.
    Bt709,
    /// ITU-R BT.2020.
    Bt2020,
    /// SMPTE 240M.
    Smpte240m,
}

/// From light to sample values. Networks take samples as they are, so nothing is
/// converted by it; it is carried for whoever looks at pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Transfer {
    /// ITU-R BT.709.
    #[default]
    Bt709,
    /// IEC 61966-2-1.
    Srgb,
    /// opRGB.
    OpRgb,
    /// SMPTE 240M.
    Smpte240m,
    /// None: proportional to light.
    Linear,
    /// DCI-P3.
    DciP3,
    /// SMPTE 2084, perceptual quantiser.
    Smpte2084,
}

/// How the samples of a frame are to be read. RGB formats ignore range and
/// matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Colour {
    /// Sample range.
    pub range: Range,
    /// Conversion matrix.
    pub matrix: Matrix,
    /// Transfer function.
    pub transfer: Transfer,
}

/// What is known about a frame besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMeta {
    /// Number among the frames captured in this run, from 0; the capture stage
    /// sets it.
    pub frame: u64,
    /// Number among the frames that the sampler kept, from 0; the capture stage
    /// sets it.
    pub sample: u64,
    /// Number the source gave the frame; rises by one a frame, gaps included.
    pub sequence: u64,
    /// When the frame was taken, on the source's own timeline: the camera's
    /// kernel timestamp, or the media time of a file.
    pub timestamp_ns: u64,
    /// When the frame was complete in memory, on [`crate::monotonic`]'s clock.
    pub captured_ns: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Byte layout.
    pub format: PixelFormat,
    /// How to read YUV samples.
    pub colour: Colour,
    /// Which clip of the source the frame belongs to, from 0; temporal state
    /// starts afresh when it changes. An endless stream is one clip.
    pub clip: u32,
    /// Class of the frame, where the source knows it.
    pub label: Option<u16>,
}

impl Default for FrameMeta {
    fn default() -> Self {
        Self {
            frame: 0,
            sample: 0,
            sequence: 0,
            timestamp_ns: 0,
            captured_ns: 0,
            width: 0,
            height: 0,
            format: PixelFormat::Gray8,
            colour: Colour::default(),
            clip: 0,
            label: None,
        }
    }
}

/// One frame in its slot. `data` keeps its capacity from frame to frame.
#[derive(Debug, Default)]
pub struct Frame {
    /// What is known about the frame.
    pub meta: FrameMeta,
    /// The samples, exactly [`PixelFormat::frame_len`] bytes, unless they are
    /// lent.
    pub data: Vec<u8>,
    /// The driver's memory that holds the samples instead of `data`.
    pub lent: Option<Lent>,
}

impl Clone for Frame {
    /// A frame with bytes of its own: those of the driver are copied, packed.
    fn clone(&self) -> Self {
        let data = match &self.lent {
            None => self.data.clone(),
            Some(_) => self.packed().unwrap_or_default(),
        };
        Self {
            meta: self.meta,
            data,
            lent: None,
        }
    }
}

impl Frame {
    /// The surfaces of the frame, as many as its format has, the others empty;
    /// `None` where its bytes do not make a picture of its size.
    #[must_use]
    pub fn surfaces(&self) -> Option<[Rows<'_>; 3]> {
        let FrameMeta {
            format,
            width,
            height,
            ..
        } = self.meta;
        let sizes = format.surfaces(width, height)?;
        match &self.lent {
            Some(lent) => lent.surfaces(&sizes),
            None => {
                let whole = format.frame_len(width, height) == Some(self.data.len());
                whole.then(|| packed(&self.data, &sizes))
            }
        }
    }

    /// A packed copy of the samples.
    fn packed(&self) -> Option<Vec<u8>> {
        let sizes = self
            .meta
            .format
            .surfaces(self.meta.width, self.meta.height)?;
        let mut data = Vec::new();
        for (surface, size) in self.surfaces()?.iter().zip(&sizes) {
            for row in 0..size.rows {
                data.extend_from_slice(&surface.bytes[row * surface.stride..][..size.row_bytes]);
            }
        }
        Some(data)
    }
}

fn packed<'a>(mut data: &'a [u8], sizes: &[SurfaceSize; 3]) -> [Rows<'a>; 3] {
    sizes.map(|size| {
        let (bytes, rest) = data.split_at(size.row_bytes * size.rows);
        data = rest;
        Rows {
            bytes,
            stride: size.row_bytes,
        }
    })
}

/// Size of one surface of a format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SurfaceSize {
    /// Bytes of samples in a row.
    pub row_bytes: usize,
    /// Rows.
    pub rows: usize,
}

impl PixelFormat {
    /// All layouts.
    pub const ALL: [Self; 11] = [
        Self::Gray8,
        Self::Rgb24,
        Self::Bgr24,
        Self::Yuyv,
        Self::Uyvy,
        Self::Nv12,
        Self::Nv16,
        Self::I420,
        Self::I422,
        Self::I444,
        Self::Yuv24,
    ];

    /// Sizes of the surfaces of a `width` x `height` frame, those that the format
    /// does not have empty; `None` where that overflows.
    #[must_use]
    pub fn surfaces(self, width: u32, height: u32) -> Option<[SurfaceSize; 3]> {
        let (w, h) = (width as usize, height as usize);
        let (half_w, half_h) = (w.div_ceil(2), h.div_ceil(2));
        let size = |row_bytes: usize, rows| SurfaceSize { row_bytes, rows };
        let none = SurfaceSize::default();
        let three = |chroma| [size(w, h), chroma, chroma];
        Some(match self {
            Self::Gray8 => [size(w, h), none, none],
            Self::Rgb24 | Self::Bgr24 | Self::Yuv24 => [size(w.checked_mul(3)?, h), none, none],
            Self::Yuyv | Self::Uyvy => [size(half_w.checked_mul(4)?, h), none, none],
            Self::Nv12 => [size(w, h), size(half_w.checked_mul(2)?, half_h), none],
            Self::Nv16 => [size(w, h), size(half_w.checked_mul(2)?, h), none],
            Self::I420 => three(size(half_w, half_h)),
            Self::I422 => three(size(half_w, h)),
            Self::I444 => three(size(w, h)),
        })
    }

    /// Bytes of a packed `width` x `height` frame; `None` where that overflows.
    #[must_use]
    pub fn frame_len(self, width: u32, height: u32) -> Option<usize> {
        let sizes = self.surfaces(width, height)?;
        sizes.iter().try_fold(0, |sum: usize, size| {
            sum.checked_add(size.row_bytes.checked_mul(size.rows)?)
        })
    }
}
