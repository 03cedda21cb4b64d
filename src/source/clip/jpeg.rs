//! One JPEG picture into one frame.
//!
//! Guarantees: a picture that is cut off, or whose code breaks, is refused, and
//! so is a size that its bytes cannot hold, before anything is allocated for
//! it. Not guaranteed: that a flipped bit is noticed where the code stays
//! valid. Cost: `zune-jpeg` allocates some tables a picture.

use super::reader::{MAX_SIDE, checked_len};
use crate::tensor::{Colour, Frame, PixelFormat};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Fewest bytes that a picture of `pixels` can take: one bit a block of 8 x 8.
pub(super) fn least_bytes(pixels: usize) -> usize {
    pixels / 64 / 8
}

/// Decodes `picture` to RGB, or grey where it has no colour, and sets size,
/// format and colour of `frame`; false when it does not decode.
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
    (meta.format, meta.colour) = (format, Colour::default());
    Some(())
}
