//! RGB to the pixel formats a camera might deliver: BT.601 limited range,
//! chroma averaged over the pixels that share it, samples centred between them.

use crate::tensor::PixelFormat;

/// Writes the RGB frame `rgb` of `width` x `height` in `format` to `out`, whose
/// length becomes the frame's. Allocates only to enlarge `out`.
pub fn convert(rgb: &[u8], width: usize, height: usize, format: PixelFormat, out: &mut Vec<u8>) {
    out.clear();
    let pixels = rgb.as_chunks::<3>().0;
    let picture = Picture {
        pixels,
        width,
        height,
    };
    match format {
        PixelFormat::Rgb24 => out.extend_from_slice(rgb),
        PixelFormat::Bgr24 => out.extend(pixels.iter().flat_map(|&[r, g, b]| [b, g, r])),
        PixelFormat::Gray8 => picture.luma(out),
        PixelFormat::Yuyv => picture.packed(out, |[y0, u, y1, v]| [y0, u, y1, v]),
        PixelFormat::Uyvy => picture.packed(out, |[y0, u, y1, v]| [u, y0, v, y1]),
        PixelFormat::Nv12 => {
            picture.luma(out);
            picture.chroma(2, 2, |u, v| out.extend([u, v]));
        }
        PixelFormat::Nv16 => {
            picture.luma(out);
            picture.chroma(2, 1, |u, v| out.extend([u, v]));
        }
        PixelFormat::I420 => picture.planes(out, 2, 2),
        PixelFormat::I422 => picture.planes(out, 2, 1),
        PixelFormat::I444 => picture.planes(out, 1, 1),
        PixelFormat::Yuv24 => out.extend(pixels.iter().flat_map(|&p| yuv24(p))),
    }
}

struct Picture<'a> {
    pixels: &'a [[u8; 3]],
    width: usize,
    height: usize,
}

impl Picture<'_> {
    fn luma(&self, out: &mut Vec<u8>) {
        out.extend(self.pixels.iter().map(|&p| luma(p)));
    }

    fn planes(&self, out: &mut Vec<u8>, across: usize, down: usize) {
        self.luma(out);
        self.chroma(across, down, |u, _| out.push(u));
        self.chroma(across, down, |_, v| out.push(v));
    }

    fn packed(&self, out: &mut Vec<u8>, order: impl Fn([u8; 4]) -> [u8; 4]) {
        for row in self.pixels.chunks_exact(self.width) {
            for pair in row.chunks(2) {
                let (first, last) = (pair[0], pair[pair.len() - 1]);
                let (u, v) = chroma_of(
                    [0, 1, 2].map(|c| u32::from(first[c]) + u32::from(last[c])),
                    2,
                );
                out.extend(order([luma(first), u, luma(last), v]));
            }
        }
    }

    /// Calls `put` with U and V of each block of `across` x `down` pixels.
    /// Blocks that stick out repeat the last column and row.
    fn chroma(&self, across: usize, down: usize, mut put: impl FnMut(u8, u8)) {
        let count = u32::try_from(across * down).unwrap_or(1);
        for y in (0..self.height).step_by(down) {
            for x in (0..self.width).step_by(across) {
                let mut sum = [0; 3];
                for dy in 0..down {
                    let row = (y + dy).min(self.height - 1) * self.width;
                    for dx in 0..across {
                        let pixel = self.pixels[row + (x + dx).min(self.width - 1)];
                        (0..3).for_each(|c| sum[c] += u32::from(pixel[c]));
                    }
                }
                let (u, v) = chroma_of(sum, count);
                put(u, v);
            }
        }
    }
}

/// Y, U and V of a pixel.
fn yuv24(pixel: [u8; 3]) -> [u8; 3] {
    let (u, v) = chroma_of(pixel.map(u32::from), 1);
    [luma(pixel), u, v]
}

/// Y of a pixel: weights in 1/65536.
fn luma(pixel: [u8; 3]) -> u8 {
    let [r, g, b] = pixel.map(u32::from);
    let y = (16_829 * r + 33_039 * g + 6_416 * b + (16 << 16) + 0x8000) >> 16;
    u8::try_from(y).unwrap_or(u8::MAX)
}

/// U and V of the sum of `count` (1, 2 or 4) pixels.
fn chroma_of(sum: [u32; 3], count: u32) -> (u8, u8) {
    let bits = 16 + count.trailing_zeros();
    let [r, g, b] = sum.map(|s| i32::try_from(s).unwrap_or(0));
    let level = |weighted: i32| {
        let value = (weighted + (128 << bits) + (1 << (bits - 1))) >> bits;
        u8::try_from(value).unwrap_or(0)
    };
    (
        level(28_784 * b - 9_714 * r - 19_070 * g),
        level(28_784 * r - 24_103 * g - 4_681 * b),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(format: PixelFormat, rgb: &[u8], width: usize, height: usize) -> Vec<u8> {
        let mut out = Vec::new();
        convert(rgb, width, height, format, &mut out);
        out
    }

    #[test]
    fn colours_are_those_of_bt_601_in_limited_range() {
        let bars = [
            ([255, 255, 255], [235, 128, 128]),
            ([0, 0, 0], [16, 128, 128]),
            ([255, 0, 0], [81, 90, 240]),
            ([0, 255, 0], [145, 54, 34]),
            ([0, 0, 255], [41, 240, 110]),
        ];
        for (rgb, yuv) in bars {
            assert_eq!(to(PixelFormat::I444, &rgb, 1, 1), yuv);
            assert_eq!(to(PixelFormat::Yuv24, &rgb, 1, 1), yuv);
        }
    }

    #[test]
    fn layouts_place_the_same_samples() {
        let rgb: Vec<u8> = (0..3 * 3 * 3).map(|i| i * 9).collect();
        let i420 = to(PixelFormat::I420, &rgb, 3, 3);
        let nv12 = to(PixelFormat::Nv12, &rgb, 3, 3);
        assert_eq!(i420[..9], nv12[..9]);
        let pairs: Vec<u8> = (0..4).flat_map(|i| [i420[9 + i], i420[13 + i]]).collect();
        assert_eq!(nv12[9..], pairs);
        let yuyv = to(PixelFormat::Yuyv, &rgb, 3, 3);
        let uyvy = to(PixelFormat::Uyvy, &rgb, 3, 3);
        let swapped: Vec<u8> = yuyv.chunks(2).flat_map(|p| [p[1], p[0]]).collect();
        assert_eq!(uyvy, swapped);
        assert_eq!(yuyv[0], i420[0]);
        let i422 = to(PixelFormat::I422, &rgb, 3, 3);
        assert_eq!((yuyv[1], yuyv[3]), (i422[9], i422[15]));
    }

    #[test]
    fn chroma_is_the_mean_of_its_block() {
        let red_and_black = [255, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0];
        let i420 = to(PixelFormat::I420, &red_and_black, 2, 2);
        assert_eq!(i420[4..], [109, 184]);
    }
}
