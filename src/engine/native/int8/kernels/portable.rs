//! The byte vectors of machines without a path of their own, and the reference that the
//! others are compared with: four sums of plain arithmetic.

use super::bytes::{Bytes, Range8};

/// Four sums.
#[derive(Clone, Copy)]
pub(super) struct Portable;

/// `v + zero` within the range.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the range, which is one of bytes"
)]
fn stored(v: i32, range: &Range8) -> u8 {
    v.saturating_add(range.zero).clamp(range.lo, range.hi) as u8
}

#[inline(always)]
fn each<T: Copy, U>(v: [T; 4], f: impl Fn(T) -> U) -> [U; 4] {
    v.map(f)
}

// SAFETY: loads and stores touch as many elements as the contract says; plain arithmetic
// exists everywhere.
unsafe impl Bytes for Portable {
    const N: usize = 4;
    const TILE: usize = 1;
    const FLIP: u8 = 0;
    type B = [u8; 16];
    type I = [i32; 4];
    type F = [f32; 4];

    #[inline(always)]
    unsafe fn load(p: *const u8) -> [u8; 16] {
        // SAFETY: the caller's pointer is good for 16 bytes.
        unsafe { p.cast::<[u8; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn quad(p: *const u8) -> [u8; 16] {
        // SAFETY: the caller's pointer is good for 4 bytes.
        let quad = unsafe { p.cast::<[u8; 4]>().read_unaligned() };
        std::array::from_fn(|i| quad[i % 4])
    }

    #[inline(always)]
    unsafe fn zero() -> [u8; 16] {
        [0; 16]
    }

    #[inline(always)]
    unsafe fn load_sums(p: *const i32) -> [i32; 4] {
        // SAFETY: the caller's pointer is good for four elements.
        unsafe { p.cast::<[i32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_floats(p: *const f32) -> [f32; 4] {
        // SAFETY: the caller's pointer is good for four elements.
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store_floats(v: [f32; 4], p: *mut f32) {
        // SAFETY: the caller's pointer is good for four elements.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn splat_sum(value: i32) -> [i32; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn dot(mut acc: [i32; 4], a: [u8; 16], w: [u8; 16]) -> [i32; 4] {
        for (i, sum) in acc.iter_mut().enumerate() {
            for k in 4 * i..4 * i + 4 {
                *sum += i32::from(a[k]) * i32::from(w[k].cast_signed());
            }
        }
        acc
    }

    #[inline(always)]
    unsafe fn zip(rows: [[u8; 16]; 4]) -> [[u8; 16]; 4] {
        std::array::from_fn(|j| std::array::from_fn(|i| rows[i % 4][4 * j + i / 4]))
    }

    #[inline(always)]
    unsafe fn widen(p: *const u8) -> [[i32; 4]; 4] {
        // SAFETY: the caller's contract is handed on.
        let bytes = unsafe { Self::load(p) };
        std::array::from_fn(|j| std::array::from_fn(|i| i32::from(bytes[4 * j + i])))
    }

    #[inline(always)]
    unsafe fn split(p: *const u32) -> [[i32; 4]; 4] {
        // SAFETY: the caller's pointer is good for four elements.
        let quads = unsafe { p.cast::<[u32; 4]>().read_unaligned() };
        let quads = each(quads, u32::to_le_bytes);
        std::array::from_fn(|j| std::array::from_fn(|i| i32::from(quads[i][j])))
    }

    #[inline(always)]
    unsafe fn add_sums(a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "rounded to the nearest")]
    unsafe fn float(v: [i32; 4]) -> [f32; 4] {
        each(v, |v| v as f32)
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    unsafe fn div(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] / b[i])
    }

    #[inline(always)]
    unsafe fn clamp(v: [f32; 4], lo: f32, hi: f32) -> [f32; 4] {
        each(v, |v| {
            let v = if v < hi { v } else { hi };
            if v > lo { v } else { lo }
        })
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a whole number")]
    unsafe fn round(v: [f32; 4]) -> [i32; 4] {
        each(v, |v| v.round_ties_even() as i32)
    }

    #[inline(always)]
    unsafe fn store4(v: [[i32; 4]; 4], range: &Range8, p: *mut u8) {
        let bytes: [u8; 16] = std::array::from_fn(|i| stored(v[i / 4][i % 4], range));
        // SAFETY: the caller's pointer is good for 16 bytes.
        unsafe { p.cast::<[u8; 16]>().write_unaligned(bytes) }
    }

    #[inline(always)]
    unsafe fn store1(v: [i32; 4], range: &Range8, p: *mut u8) {
        let bytes = each(v, |v| stored(v, range));
        // SAFETY: the caller's pointer is good for 4 bytes.
        unsafe { p.cast::<[u8; 4]>().write_unaligned(bytes) }
    }

    #[inline(always)]
    unsafe fn store_quads(v: [[i32; 4]; 4], range: &Range8, p: *mut u32) {
        let quad = |i: usize| u32::from_le_bytes(std::array::from_fn(|j| stored(v[j][i], range)));
        // SAFETY: the caller's pointer is good for four elements.
        unsafe {
            p.cast::<[u32; 4]>()
                .write_unaligned(std::array::from_fn(quad))
        }
    }
}
