//! The kernel's pixel formats and colour spaces in our terms.
//!
//! Sources: `linux/videodev2.h`, its `V4L2_MAP_*_DEFAULT` macros among them.

use super::answers::DriverFormat;
use crate::tensor::{Colour, Matrix, PixelFormat, Range, Transfer};
use std::fmt;

/// A four-character code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourCc(pub u32);

impl FourCc {
    const fn new(code: &[u8; 4]) -> Self {
        Self(u32::from_le_bytes(*code))
    }
}

impl fmt::Display for FourCc {
    /// As `v4l2-ctl` writes it: blanks at the end stay, `-BE` marks the big-endian
    /// variant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in (self.0 & 0x7fff_ffff).to_le_bytes() {
            write!(f, "{}", char::from(byte))?;
        }
        f.write_str(if self.0 >> 31 == 1 { "-BE" } else { "" })
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A format that a camera may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraFormat {
    /// Samples as they are.
    Raw(PixelFormat),
    /// The same, every plane in a buffer of its own (multi-planar devices).
    Split(PixelFormat),
    /// Motion JPEG, decoded on the capture thread.
    Mjpeg,
}

/// Every format that can be used, with its code and its name in the
/// configuration, in the order of the default preference: what is read in one
/// pass first, what has to be decoded late, what has no colour last.
pub const KNOWN: [(CameraFormat, FourCc, &str); 16] = {
    use CameraFormat::{Mjpeg, Raw, Split};
    use PixelFormat::{Bgr24, Gray8, I420, I422, I444, Nv12, Nv16, Rgb24, Uyvy, Yuyv};
    [
        (Raw(Yuyv), FourCc::new(b"YUYV"), "yuyv"),
        (Raw(Nv12), FourCc::new(b"NV12"), "nv12"),
        (Split(Nv12), FourCc::new(b"NM12"), "nv12m"),
        (Raw(Uyvy), FourCc::new(b"UYVY"), "uyvy"),
        (Raw(I420), FourCc::new(b"YU12"), "i420"),
        (Split(I420), FourCc::new(b"YM12"), "i420m"),
        (Raw(Nv16), FourCc::new(b"NV16"), "nv16"),
        (Split(Nv16), FourCc::new(b"NM16"), "nv16m"),
        (Raw(I422), FourCc::new(b"422P"), "i422"),
        (Split(I422), FourCc::new(b"YM16"), "i422m"),
        (Split(I444), FourCc::new(b"YM24"), "i444m"),
        (Mjpeg, FourCc::new(b"MJPG"), "mjpg"),
        (Mjpeg, FourCc::new(b"JPEG"), "jpeg"),
        (Raw(Rgb24), FourCc::new(b"RGB3"), "rgb24"),
        (Raw(Bgr24), FourCc::new(b"BGR3"), "bgr24"),
        (Raw(Gray8), FourCc::new(b"GREY"), "gray8"),
    ]
};

impl CameraFormat {
    /// The format that a code stands for.
    #[must_use]
    pub fn of(code: FourCc) -> Option<Self> {
        KNOWN.iter().find(|known| known.1 == code).map(|k| k.0)
    }

    /// The format that a name or a code stands for, in whatever case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let known = KNOWN.iter().find(|(_, code, own)| {
            own.eq_ignore_ascii_case(name) || code.to_string().eq_ignore_ascii_case(name)
        });
        known.map(|known| known.0)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = KNOWN.iter().find(|known| known.0 == self);
        known.map_or("", |known| known.2)
    }

    /// Every format, in the order of the default preference.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all: Vec<_> = KNOWN.iter().map(|known| known.0).collect();
        all.dedup();
        all
    }

    /// Its codes, the usual one first.
    pub fn codes(self) -> impl Iterator<Item = FourCc> {
        KNOWN
            .iter()
            .filter(move |known| known.0 == self)
            .map(|k| k.1)
    }

    /// The layout of its samples; `None` for a compressed one.
    #[must_use]
    pub fn pixels(self) -> Option<PixelFormat> {
        match self {
            Self::Raw(pixels) | Self::Split(pixels) => Some(pixels),
            Self::Mjpeg => None,
        }
    }
}

const JPEG: u32 = 7;
const SRGB: u32 = 8;

/// How the driver says that its samples are to be read; 0 stands for the default
/// of the colour space.
#[must_use]
pub fn colour(format: &DriverFormat) -> Colour {
    let [space, encoding, quantisation, transfer] = format.colour;
    let pixels = CameraFormat::of(FourCc(format.fourcc)).and_then(CameraFormat::pixels);
    // Sensors without colour deliver what they measure, from 0 to 255: there the
    // kernel's default macro does not describe what drivers do.
    let full = matches!(
        pixels,
        Some(PixelFormat::Rgb24 | PixelFormat::Bgr24 | PixelFormat::Gray8)
    );
    Colour {
        range: match quantisation {
            1 => Range::Full,
            2 => Range::Limited,
            _ if full || space == JPEG => Range::Full,
            _ => Range::Limited,
        },
        matrix: matrix(space, encoding),
        transfer: transfer_of(space, transfer),
    }
}

/// `V4L2_YCBCR_ENC_*`, or `V4L2_MAP_YCBCR_ENC_DEFAULT` of the colour space.
fn matrix(space: u32, encoding: u32) -> Matrix {
    match encoding {
        2 | 4 => Matrix::Bt709,
        6 | 7 => Matrix::Bt2020,
        8 => Matrix::Smpte240m,
        0 => match space {
            3 | 12 => Matrix::Bt709,
            10 => Matrix::Bt2020,
            2 => Matrix::Smpte240m,
            _ => Matrix::Bt601,
        },
        _ => Matrix::Bt601,
    }
}

/// `V4L2_XFER_FUNC_*`, or `V4L2_MAP_XFER_FUNC_DEFAULT` of the colour space.
fn transfer_of(space: u32, transfer: u32) -> Transfer {
    match transfer {
        2 => Transfer::Srgb,
        3 => Transfer::OpRgb,
        4 => Transfer::Smpte240m,
        5 => Transfer::Linear,
        6 => Transfer::DciP3,
        7 => Transfer::Smpte2084,
        0 => match space {
            JPEG | SRGB => Transfer::Srgb,
            9 => Transfer::OpRgb,
            2 => Transfer::Smpte240m,
            11 => Transfer::Linear,
            12 => Transfer::DciP3,
            _ => Transfer::Bt709,
        },
        _ => Transfer::Bt709,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: &[u8; 4], colour: [u32; 4]) -> Colour {
        super::colour(&DriverFormat {
            fourcc: FourCc::new(code).0,
            colour,
            ..DriverFormat::default()
        })
    }

    fn wanted(range: Range, matrix: Matrix, transfer: Transfer) -> Colour {
        Colour {
            range,
            matrix,
            transfer,
        }
    }

    #[test]
    fn what_the_driver_leaves_open_follows_from_the_colour_space() {
        use Transfer::{Bt709, DciP3, Smpte240m, Srgb};
        let spaces = [
            (b"YUYV", 1, Range::Limited, Matrix::Bt601, Bt709),
            (b"YUYV", 2, Range::Limited, Matrix::Smpte240m, Smpte240m),
            (b"NV12", 3, Range::Limited, Matrix::Bt709, Bt709),
            (b"YUYV", 7, Range::Full, Matrix::Bt601, Srgb),
            (b"YUYV", 8, Range::Limited, Matrix::Bt601, Srgb),
            (b"RGB3", 8, Range::Full, Matrix::Bt601, Srgb),
            (b"GREY", 8, Range::Full, Matrix::Bt601, Srgb),
            (b"NV12", 10, Range::Limited, Matrix::Bt2020, Bt709),
            (b"NV12", 12, Range::Limited, Matrix::Bt709, DciP3),
        ];
        for (code, space, range, matrix, transfer) in spaces {
            let want = wanted(range, matrix, transfer);
            assert_eq!(told(code, [space, 0, 0, 0]), want, "space {space}");
        }
    }

    #[test]
    fn what_the_driver_says_wins_over_the_colour_space() {
        let want = wanted(Range::Full, Matrix::Bt709, Transfer::Linear);
        assert_eq!(told(b"YUYV", [8, 2, 1, 5]), want);
        let want = wanted(Range::Limited, Matrix::Bt601, Transfer::Bt709);
        assert_eq!(told(b"YUYV", [7, 1, 2, 1]), want);
    }

    #[test]
    fn codes_read_as_v4l2_ctl_writes_them() {
        assert_eq!(FourCc::new(b"Y16 ").to_string(), "Y16 ");
        assert_eq!(
            FourCc(FourCc::new(b"Y16 ").0 | 1 << 31).to_string(),
            "Y16 -BE"
        );
        for (format, code, name) in KNOWN {
            assert_eq!(CameraFormat::of(code), Some(format));
            assert_eq!(CameraFormat::named(name), Some(format));
            assert_eq!(CameraFormat::named(&code.to_string()), Some(format));
            assert!(format.codes().any(|own| own == code));
        }
    }
}
