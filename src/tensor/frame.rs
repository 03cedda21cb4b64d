//! A frame: bytes in a pixel format, with what is known about them.

/// Byte layouts that a source may deliver. Planar formats store their planes
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
    /// Y, U, V planes, chroma at half width and height.
    I420,
    /// Y, U, V planes, chroma at half width.
    I422,
    /// Y, U, V planes, chroma at full size.
    I444,
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
}

/// How the YUV samples of a frame are to be read. RGB formats ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Colour {
    /// Sample range.
    pub range: Range,
    /// Conversion matrix.
    pub matrix: Matrix,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// What is known about the frame.
    pub meta: FrameMeta,
    /// The samples, exactly [`PixelFormat::frame_len`] bytes.
    pub data: Vec<u8>,
}

impl PixelFormat {
    /// All layouts.
    pub const ALL: [Self; 9] = [
        Self::Gray8,
        Self::Rgb24,
        Self::Bgr24,
        Self::Yuyv,
        Self::Uyvy,
        Self::Nv12,
        Self::I420,
        Self::I422,
        Self::I444,
    ];

    /// Bytes of a `width` x `height` frame; `None` where that overflows.
    #[must_use]
    pub fn frame_len(self, width: u32, height: u32) -> Option<usize> {
        let (w, h) = (width as usize, height as usize);
        let (half_w, half_h) = (w.div_ceil(2), h.div_ceil(2));
        let luma = w.checked_mul(h)?;
        match self {
            Self::Gray8 => Some(luma),
            Self::Rgb24 | Self::Bgr24 | Self::I444 => luma.checked_mul(3),
            Self::Yuyv | Self::Uyvy => half_w.checked_mul(4)?.checked_mul(h),
            Self::Nv12 | Self::I420 => {
                luma.checked_add(half_w.checked_mul(half_h)?.checked_mul(2)?)
            }
            Self::I422 => luma.checked_add(half_w.checked_mul(h)?.checked_mul(2)?),
        }
    }
}
