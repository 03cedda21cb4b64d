//! The kernels themselves, over any [`Lanes`].

use super::lanes::{Lanes, RawTaps};

/// What blending some rows of a surface into one takes.
#[derive(Debug)]
pub(in super::super) struct RawBlend {
    /// The first byte of the first row.
    pub src: *const u8,
    /// Bytes from row to row.
    pub stride: usize,
    /// A weight of 1/32768 for each row; their sum is 1.
    pub weights: *const u16,
    /// Rows.
    pub rows: usize,
    /// Bytes of a row.
    pub bytes: usize,
    /// Where words go, or those of even bytes where they are parted.
    pub even: *mut u16,
    /// Where those of odd bytes go where they are parted.
    pub odd: *mut u16,
    /// Rows to be asked for, counted from `src`; they may be anywhere.
    pub ahead: (usize, usize),
}

/// Blends rows into words of 1/128. `PARTED`: even and odd bytes apart.
///
/// # Safety
/// The processor has `S`; all that `b` names can be read or written.
#[inline(always)]
pub(super) unsafe fn blend<S: Lanes, const PARTED: bool>(b: &RawBlend) {
    let block = 4 * S::N;
    let half = u16::try_from(b.rows / 2).unwrap_or(0);
    if b.bytes < block {
        // SAFETY: handed on.
        unsafe { blend_short::<PARTED>(b, half) };
        return;
    }
    let mut at = 0;
    loop {
        // SAFETY: `at + block <= b.bytes`, so that each row has the block, and
        // the words of as many bytes lie before its end; a prefetch may be of
        // anything.
        unsafe {
            for row in b.ahead.0..b.ahead.1 {
                S::prefetch(b.src.wrapping_add(row * b.stride + at));
            }
            let (mut first, mut second) = (S::words(half), S::words(half));
            let mut src = b.src.add(at);
            for row in 0..b.rows {
                let (low, high) = if PARTED {
                    S::halves(src)
                } else {
                    (S::bytes(src), S::bytes(src.add(block / 2)))
                };
                let weight = S::words(*b.weights.add(row));
                first = S::weigh(first, low, weight);
                second = S::weigh(second, high, weight);
                src = src.wrapping_add(b.stride);
            }
            if PARTED {
                S::put(first, b.even.add(at / 2));
                S::put(second, b.odd.add(at / 2));
            } else {
                S::put(first, b.even.add(at));
                S::put(second, b.even.add(at + block / 2));
            }
        }
        if at + block == b.bytes {
            return;
        }
        at = (at + block).min(b.bytes - block);
    }
}

/// The same for rows shorter than a block.
#[inline(always)]
unsafe fn blend_short<const PARTED: bool>(b: &RawBlend, half: u16) {
    for at in 0..b.bytes {
        // SAFETY: `at` is a byte of each row, and its word exists.
        unsafe {
            let mut sum = half;
            for row in 0..b.rows {
                let byte = u32::from(*b.src.add(row * b.stride + at)) << 8;
                let product = byte * u32::from(*b.weights.add(row));
                sum += u16::try_from(product >> 16).unwrap_or(0);
            }
            match (PARTED, at % 2) {
                (false, _) => *b.even.add(at) = sum,
                (true, 0) => *b.even.add(at / 2) = sum,
                (true, _) => *b.odd.add(at / 2) = sum,
            }
        }
    }
}

/// Every second word into a plane of its own.
#[inline(always)]
pub(super) fn halve(words: &[u16], planes: [&mut [u16]; 2]) {
    let pairs = words.as_chunks::<2>().0;
    let [first, second] = planes.map(|plane| &mut plane[..pairs.len()]);
    for ((pair, first), second) in pairs.iter().zip(first).zip(second) {
        [*first, *second] = *pair;
    }
}

/// Every third word into a plane of its own.
///
/// # Safety
/// The processor has `S`.
#[inline(always)]
pub(super) unsafe fn third<S: Lanes>(words: &[u16], planes: [&mut [u16]; 3]) {
    let pixels = words.len() / 3;
    let planes = planes.map(|plane| &mut plane[..pixels]);
    let block = 2 * S::N;
    let whole = pixels / block * block;
    for at in (0..whole).step_by(block) {
        // SAFETY: a block's pixels are among `pixels`, of which `words` has
        // three words each and every plane one.
        unsafe {
            let thirds = S::thirds(words.as_ptr().add(3 * at));
            S::put(thirds[0], planes[0].as_mut_ptr().add(at));
            S::put(thirds[1], planes[1].as_mut_ptr().add(at));
            S::put(thirds[2], planes[2].as_mut_ptr().add(at));
        }
    }
    for at in whole..pixels {
        planes[0][at] = words[3 * at];
        planes[1][at] = words[3 * at + 1];
        planes[2][at] = words[3 * at + 2];
    }
}

/// What the components of a pixel are.
pub(super) const RGB: u8 = 0;
pub(super) const YUV: u8 = 1;
pub(super) const GREY: u8 = 2;

/// From sums to the tensor.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Mix {
    /// Luma times `luma.0` plus `luma.1`.
    pub luma: (f32, f32),
    /// Red of V, green of U and V, blue of U, each chroma less 128.
    pub red_v: f32,
    /// See `red_v`.
    pub green_u: f32,
    /// See `red_v`.
    pub green_v: f32,
    /// See `red_v`.
    pub blue_u: f32,
    /// Of R, G, B.
    pub mean: [f32; 3],
    /// Of R, G, B.
    pub std: [f32; 3],
    /// 1 / std.
    pub scale: [f32; 3],
    /// -mean / std.
    pub shift: [f32; 3],
    /// Steps of an 8-bit tensor in 1, and what stands for 0.
    pub steps: (f32, f32),
}

/// What one row of the tensor takes.
#[derive(Debug)]
pub(in super::super) struct RawRow<T> {
    /// Each component's words.
    pub words: [*const u16; 3],
    /// Each component's weights.
    pub taps: [RawTaps; 3],
    /// Elements of a row.
    pub width: usize,
    /// Where R, G and B go.
    pub out: [*mut T; 3],
    /// Colour and normalisation.
    pub mix: Mix,
}

/// An element of the tensor.
///
/// # Safety
/// `store` writes `N` elements.
pub(in super::super) unsafe trait Element: Copy + Default {
    /// Writes `N` elements.
    unsafe fn store<S: Lanes>(values: S, mix: &Mix, to: *mut Self);
    /// One element.
    fn of(value: f32, mix: &Mix) -> Self;
}

// SAFETY: `Lanes::store` writes `N` floats.
unsafe impl Element for f32 {
    #[inline(always)]
    unsafe fn store<S: Lanes>(values: S, _: &Mix, to: *mut Self) {
        // SAFETY: handed on.
        unsafe { values.store(to) }
    }

    fn of(value: f32, _: &Mix) -> Self {
        value
    }
}

// SAFETY: `Lanes::store_i8` writes `N` bytes.
unsafe impl Element for i8 {
    #[inline(always)]
    unsafe fn store<S: Lanes>(values: S, mix: &Mix, to: *mut Self) {
        // SAFETY: handed on.
        unsafe {
            let steps = values.mul_add(S::splat(mix.steps.0), S::splat(mix.steps.1));
            steps.store_i8(to);
        }
    }

    fn of(value: f32, mix: &Mix) -> Self {
        let steps = value * mix.steps.0 + mix.steps.1;
        #[expect(clippy::cast_possible_truncation, reason = "saturates, as it should")]
        let byte = steps.round_ties_even() as Self;
        byte
    }
}

/// Words of a component are 1/128, its weights 1/16384.
const UNIT: f32 = 1.0 / (128.0 * 16384.0);

/// Filters, converts and normalises one row.
///
/// # Safety
/// The processor has `S`; all that `r` names can be read or written.
#[inline(always)]
pub(super) unsafe fn row<S: Lanes, T: Element, const KIND: u8>(r: &RawRow<T>) {
    let mut at = 0;
    let mix = r.mix;
    for group in 0..r.width.div_ceil(S::N) {
        // SAFETY: the tables have every group; a whole group of outputs is
        // written where it fits, else only what does.
        unsafe {
            let rgb = group_rgb::<S, T, KIND>(r, &mix, group);
            for (values, out) in rgb.into_iter().zip(r.out) {
                if at + S::N <= r.width {
                    T::store(values, &mix, out.add(at));
                } else {
                    let mut rest = [T::default(); 16];
                    T::store(values, &mix, rest.as_mut_ptr());
                    out.add(at)
                        .copy_from_nonoverlapping(rest.as_ptr(), r.width - at);
                }
            }
        }
        at += S::N;
    }
}

/// Normalised R, G and B of one group.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "closures would be compiled without the instructions"
)]
unsafe fn group_rgb<S: Lanes, T, const KIND: u8>(r: &RawRow<T>, m: &Mix, group: usize) -> [S; 3] {
    // SAFETY: handed on.
    unsafe {
        let mut sums = [S::splat(0.0); 3];
        for c in 0..if KIND == GREY { 1 } else { 3 } {
            sums[c] = S::filter(r.words[c], &r.taps[c], group);
        }
        let (unit, neutral) = (S::splat(UNIT), S::splat(-128.0));
        if KIND == RGB {
            for c in 0..3 {
                let value = sums[c].mul_add(unit, S::splat(0.0));
                sums[c] = value.sub_div(S::splat(m.mean[c]), S::splat(m.std[c]));
            }
            return sums;
        }
        let luma = sums[0].mul_add(S::splat(m.luma.0 * UNIT), S::splat(m.luma.1));
        let mut rgb = [luma; 3];
        if KIND == YUV {
            let u = sums[1].mul_add(unit, neutral);
            let v = sums[2].mul_add(unit, neutral);
            rgb[0] = v.mul_add(S::splat(m.red_v), luma);
            rgb[1] = v.mul_add(S::splat(-m.green_v), luma);
            rgb[1] = u.mul_add(S::splat(-m.green_u), rgb[1]);
            rgb[2] = u.mul_add(S::splat(m.blue_u), luma);
        }
        for c in 0..3 {
            let (scale, shift) = (S::splat(m.scale[c]), S::splat(m.shift[c]));
            rgb[c] = rgb[c].clamp().mul_add(scale, shift);
        }
        rgb
    }
}
