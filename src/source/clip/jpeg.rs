//! One JPEG picture into one frame.
//!
//! Guarantees: a picture that is cut off, or whose code breaks, is refused, and
//! so is a size that its bytes cannot hold, before anything is allocated for
//! it. Not guaranteed: that a flipped bit is noticed where the code stays
//! valid. Cost: `zune-jpeg` allocates some tables a picture.

use super::reader::{MAX_SIDE, checked_len};
use crate::tensor::{Colour, Frame, Matrix, PixelFormat, Range, Transfer};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Fewest bytes that a picture of `pixels` can take: one bit a block of 8 x 8.
pub(super) fn least_bytes(pixels: usize) -> usize {
    pixels / 64 / 8
}

/// How the samples of a JPEG picture are to be read: JFIF says BT.601, full range.
const JFIF: Colour = Colour {
    range: Range::Full,
    matrix: Matrix::Bt601,
    transfer: Transfer::Srgb,
};

/// Decodes `picture` and sets size, format and colour of `frame`: its own Y, U and
/// V, chroma at full size, or grey where it has no colour, or RGB where it is of
/// another kind. False when it does not decode.
pub(in crate::source) fn decode(picture: &[u8], frame: &mut Frame) -> bool {
    try_decode(picture, frame).is_some()
}

fn try_decode(picture: &[u8], frame: &mut Frame) -> Option<()> {
    let options = DecoderOptions::default()
        .set_max_width(MAX_SIDE as usize)
        .set_max_height(MAX_SIDE as usize)
        .set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(picture), options);
    decoder.decode_headers().ok()?;
    let info = decoder.info()?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let (format, space) = match decoder.input_colorspace()? {
        ColorSpace::Luma => (PixelFormat::Gray8, ColorSpace::Luma),
        ColorSpace::YCbCr => (PixelFormat::Yuv24, ColorSpace::YCbCr),
        _ => (PixelFormat::Rgb24, ColorSpace::RGB),
    };
    let len = checked_len(format, width, height).ok()?;
    if picture.len() < least_bytes(usize::from(info.width) * usize::from(info.height)) {
        return None;
    }
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    frame.data.resize(len, 0);
    decoder.decode_into(&mut frame.data).ok()?;
    let meta = &mut frame.meta;
    (meta.width, meta.height) = (width, height);
    (meta.format, meta.colour) = (format, JFIF);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::bundle::{Fit, InputSpec};
    use crate::tensor::convert::Converter;

    /// 32 x 32 pixels, 4:2:0, a colour in each quarter.
    const COLOURS: &[u8] = include_bytes!("jpeg/colours.jpg");
    const QUARTERS: [[f32; 3]; 4] = [
        [200.0, 40.0, 30.0],
        [30.0, 160.0, 60.0],
        [40.0, 50.0, 190.0],
        [128.0, 128.0, 128.0],
    ];

    fn tensor(frame: &Frame) -> Vec<f32> {
        let input = InputSpec {
            width: 32,
            height: 32,
            mean: [0.0; 3],
            std: [1.0; 3],
            fit: Fit::Crop,
        };
        let mut tensor = vec![0.0; 3 * 32 * 32];
        let mut converter = Converter::new(&input);
        converter.convert(frame, &mut tensor).unwrap();
        tensor
    }

    #[test]
    fn colours_reach_the_tensor_as_they_were() {
        let mut frame = Frame::default();
        assert!(decode(COLOURS, &mut frame));
        let tensor = tensor(&frame);
        for (quarter, colour) in QUARTERS.iter().enumerate() {
            let (x, y) = (8 + quarter % 2 * 16, 8 + quarter / 2 * 16);
            for (plane, want) in tensor.chunks_exact(32 * 32).zip(colour) {
                let found = plane[y * 32 + x];
                assert!((found - want).abs() < 3.0, "{quarter}: {found} {want}");
            }
        }
    }

    #[test]
    fn it_is_the_decoders_own_rgb_but_for_rounding() {
        let mut frame = Frame::default();
        assert!(decode(COLOURS, &mut frame));
        let rgb = JpegDecoder::new(ZCursor::new(COLOURS)).decode().unwrap();
        for (pixel, want) in rgb.chunks_exact(3).enumerate() {
            for (plane, want) in tensor(&frame).chunks_exact(32 * 32).zip(want) {
                // Half of it for its whole numbers, as much for its coefficients.
                assert!((plane[pixel] - f32::from(*want)).abs() <= 1.0 + 1e-3);
            }
        }
    }

    #[test]
    fn a_picture_that_is_cut_off_is_refused() {
        for end in [0, 2, 100, COLOURS.len() / 2, COLOURS.len() - 20] {
            assert!(!decode(&COLOURS[..end], &mut Frame::default()), "{end}");
        }
    }
}
