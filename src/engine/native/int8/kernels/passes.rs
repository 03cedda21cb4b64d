//! Passes over maps: sum of two, mean of a window, and the way from and to planar
//! floats.

#![expect(
    clippy::needless_range_loop,
    reason = "the four vectors are written by their indices"
)]

use super::bytes::{Bytes, Range8, requantise};

/// Largest magnitude of a scaled input: beyond every range of 8 bits, within those of
/// 32 with room for the zero.
const FAR: f32 = 4096.0;

/// Two operands in a row; its pointers are good for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawSum {
    /// First operand.
    pub a: *const u8,
    /// Second operand.
    pub b: *const u8,
    /// Result.
    pub out: *mut u8,
    /// Groups of `4 N` bytes.
    pub n: usize,
    /// What 0.0 is stored as in `a` and `b`.
    pub zero: (i32, i32),
    /// What one step of `a` and `b` is in steps of the result.
    pub scale: (f32, f32),
    /// Results.
    pub range: Range8,
}

/// `out = a + b` of dequantised values.
///
/// # Safety
/// The processor has the instructions of `S`; `a` and `b` are good for reads, `out` for
/// writes of `4 N n` bytes; nobody else touches `out` meanwhile.
#[inline(always)]
pub(super) unsafe fn sum<S: Bytes>(s: &RawSum) {
    // SAFETY: the caller's pointers are good for `n` groups.
    unsafe {
        let (less_a, less_b) = (S::splat_sum(-s.zero.0), S::splat_sum(-s.zero.1));
        let (by_a, by_b) = (S::splat(s.scale.0), S::splat(s.scale.1));
        for i in 0..s.n {
            let at = i * 4 * S::N;
            let (mut v, b) = (S::widen(s.a.add(at)), S::widen(s.b.add(at)));
            for j in 0..4 {
                let a = S::mul(S::float(S::add_sums(v[j], less_a)), by_a);
                let b = S::mul(S::float(S::add_sums(b[j], less_b)), by_b);
                v[j] = S::round(S::add(a, b));
            }
            S::store4(v, &s.range, s.out.add(at));
        }
    }
}

/// A window of `4 N` channels; its pointers are good for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawPool {
    /// The window's first pixel.
    pub src: *const u8,
    /// Bytes between rows and between pixels.
    pub step: (usize, usize),
    /// Rows and columns.
    pub window: (usize, usize),
    /// Added to the sum: minus the zero, once a pixel.
    pub bias: i32,
    /// The sum is multiplied by this.
    pub scale: f32,
    /// `4 N` bytes.
    pub out: *mut u8,
    /// Results.
    pub range: Range8,
}

/// The biased sum of a window, zipped.
///
/// # Safety
/// The processor has the instructions of `S`; `p.src` is good for reads of `4 N` bytes
/// at every pixel of the window.
#[inline(always)]
unsafe fn total<S: Bytes>(p: &RawPool) -> [S::I; 4] {
    // SAFETY: the caller vouches for the window.
    unsafe {
        let mut acc = [S::splat_sum(p.bias); 4];
        for y in 0..p.window.0 {
            for x in 0..p.window.1 {
                let v = S::widen(p.src.add(y * p.step.0 + x * p.step.1));
                for j in 0..4 {
                    acc[j] = S::add_sums(acc[j], v[j]);
                }
            }
        }
        acc
    }
}

/// The mean of a window.
///
/// # Safety
/// As for [`total`]; `p.out` is good for writes of `4 N` bytes.
#[inline(always)]
pub(super) unsafe fn pool<S: Bytes>(p: &RawPool) {
    // SAFETY: the caller's contract is handed on.
    unsafe {
        let mut acc = total::<S>(p);
        let scale = S::splat(p.scale);
        for v in &mut acc {
            *v = requantise::<S>(*v, scale);
        }
        S::store4(acc, &p.range, p.out);
    }
}

/// The mean of a window as floats, zipped.
///
/// # Safety
/// As for [`total`]; `out` is good for writes of `4 N` floats.
#[inline(always)]
pub(super) unsafe fn pool_floats<S: Bytes>(p: &RawPool, out: *mut f32) {
    // SAFETY: the caller's contract is handed on.
    unsafe {
        let acc = total::<S>(p);
        let scale = S::splat(p.scale);
        for j in 0..4 {
            S::store_floats(S::mul(S::float(acc[j]), scale), out.add(j * S::N));
        }
    }
}

/// Four planar channels and a map; its pointers are good for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawPlanes {
    /// Four channels of floats; read by [`import`], written by [`export`].
    pub planes: [*mut f32; 4],
    /// The map at the first of the four channels.
    pub map: *mut u8,
    /// Where each pixel begins, in bytes: each behind the one before, by 4 or more.
    pub off: *const u32,
    /// Pixels, at least `N`.
    pub pixels: usize,
    /// What a step of the stored values is.
    pub scale: f32,
    /// Stored values.
    pub range: Range8,
}

/// First pixels of groups of `n` that cover `pixels`; the last one ends with them.
fn groups(pixels: usize, n: usize) -> impl Iterator<Item = usize> {
    (0..pixels).step_by(n).map(move |p| p.min(pixels - n))
}

/// Quantises four channels.
///
/// # Safety
/// The processor has the instructions of `S`; the planes are good for reads of
/// `pixels` floats, at least `N`, `off` of as many offsets and the map for writes of 4
/// bytes at each of them; nobody else touches the map meanwhile.
#[inline(always)]
pub(super) unsafe fn import<S: Bytes>(r: &RawPlanes) {
    let mut quads = [0_u32; 16];
    // SAFETY: groups of `N` are within the pixels; `N` is at most 16.
    unsafe {
        let scale = S::splat(r.scale);
        for p in groups(r.pixels, S::N) {
            let mut v = [S::splat_sum(0); 4];
            for j in 0..4 {
                let x = S::div(S::load_floats(r.planes[j].add(p)), scale);
                v[j] = S::round(S::clamp(x, -FAR, FAR));
            }
            let first = *r.off.add(p) as usize;
            if *r.off.add(p + S::N - 1) as usize == first + 4 * (S::N - 1) {
                S::store_quads(v, &r.range, r.map.add(first).cast());
                continue;
            }
            S::store_quads(v, &r.range, quads.as_mut_ptr());
            for i in 0..S::N {
                let at = r.map.add(*r.off.add(p + i) as usize);
                at.cast::<u32>().write_unaligned(quads[i]);
            }
        }
    }
}

/// Dequantises the first `channels` of four.
///
/// # Safety
/// The processor has the instructions of `S`; the first `channels` planes are good for
/// writes of `pixels` floats, at least `N`, `off` of as many offsets and the map for
/// reads of 4 bytes at each of them; nobody else touches the planes meanwhile.
#[inline(always)]
pub(super) unsafe fn export<S: Bytes>(r: &RawPlanes, channels: usize) {
    let mut quads = [0_u32; 16];
    // SAFETY: groups of `N` are within the pixels; `N` is at most 16.
    unsafe {
        let (scale, less) = (S::splat(r.scale), S::splat_sum(-r.range.zero));
        for p in groups(r.pixels, S::N) {
            for i in 0..S::N {
                let at = r.map.add(*r.off.add(p + i) as usize);
                quads[i] = at.cast::<u32>().read_unaligned();
            }
            let v = S::split(quads.as_ptr());
            for j in 0..channels {
                let x = S::mul(S::float(S::add_sums(v[j], less)), scale);
                S::store_floats(x, r.planes[j].add(p));
            }
        }
    }
}
