//! The byte vectors of AArch64, with the dot product where the processor has it. Bytes
//! are stored signed, as its products want them.

use super::bytes::{Bytes, Range8};
use std::arch::aarch64 as arch;
use std::arch::aarch64::{float32x4_t, int8x16_t, int32x4_t};
use std::marker::PhantomData;

/// The products of signed bytes.
///
/// # Safety
/// `dot` may be called only where the instructions of the implementation exist.
pub(super) unsafe trait Dot: Copy {
    /// `acc` plus four products in each lane, exactly.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn dot(acc: int32x4_t, a: int8x16_t, w: int8x16_t) -> int32x4_t;
}

/// The dot product of Armv8.2.
#[derive(Clone, Copy)]
pub(super) struct Sdot;

// SAFETY: arithmetic on registers.
unsafe impl Dot for Sdot {
    #[inline(always)]
    unsafe fn dot(mut acc: int32x4_t, a: int8x16_t, w: int8x16_t) -> int32x4_t {
        // SAFETY: the caller has the instruction; it reads and writes registers alone.
        // (Its intrinsic is not stable.)
        unsafe {
            std::arch::asm!(
                ".arch_extension dotprod",
                "sdot {acc:v}.4s, {a:v}.16b, {w:v}.16b",
                acc = inout(vreg) acc,
                a = in(vreg) a,
                w = in(vreg) w,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        acc
    }
}

/// Armv8.0: products of 16 bits, added in pairs.
#[derive(Clone, Copy)]
pub(super) struct Pairs;

// SAFETY: arithmetic on registers.
unsafe impl Dot for Pairs {
    #[inline(always)]
    unsafe fn dot(acc: int32x4_t, a: int8x16_t, w: int8x16_t) -> int32x4_t {
        // SAFETY: the caller has the instructions.
        unsafe {
            let low = arch::vmull_s8(arch::vget_low_s8(a), arch::vget_low_s8(w));
            let high = arch::vmull_high_s8(a, w);
            let (low, high) = (arch::vpaddlq_s16(low), arch::vpaddlq_s16(high));
            arch::vaddq_s32(acc, arch::vpaddq_s32(low, high))
        }
    }
}

/// Four sums; needs NEON and what `D` needs.
#[derive(Clone, Copy)]
pub(super) struct Neon<D>(PhantomData<D>);

// SAFETY: loads and stores are those of 16 bytes (4 for `store1` and `quad`); the rest is
// arithmetic on registers.
unsafe impl<D: Dot> Bytes for Neon<D> {
    const N: usize = 4;
    const TILE: usize = 4;
    const FLIP: u8 = 128;
    type B = int8x16_t;
    type I = int32x4_t;
    type F = float32x4_t;

    #[inline(always)]
    unsafe fn load(p: *const u8) -> int8x16_t {
        // SAFETY: the caller's pointer is good for 16 bytes.
        unsafe { arch::vld1q_s8(p.cast()) }
    }

    #[inline(always)]
    unsafe fn quad(p: *const u8) -> int8x16_t {
        // SAFETY: the caller's pointer is good for 4 bytes.
        unsafe { arch::vreinterpretq_s8_s32(arch::vdupq_n_s32(p.cast::<i32>().read_unaligned())) }
    }

    #[inline(always)]
    unsafe fn zero() -> int8x16_t {
        // SAFETY: the caller has the instructions.
        unsafe { arch::vdupq_n_s8(0) }
    }

    #[inline(always)]
    unsafe fn load_sums(p: *const i32) -> int32x4_t {
        // SAFETY: the caller's pointer is good for four elements.
        unsafe { arch::vld1q_s32(p) }
    }

    #[inline(always)]
    unsafe fn load_floats(p: *const f32) -> float32x4_t {
        // SAFETY: the caller's pointer is good for four elements.
        unsafe { arch::vld1q_f32(p) }
    }

    #[inline(always)]
    unsafe fn store_floats(v: float32x4_t, p: *mut f32) {
        // SAFETY: the caller's pointer is good for four elements.
        unsafe { arch::vst1q_f32(p, v) }
    }

    #[inline(always)]
    unsafe fn splat_sum(value: i32) -> int32x4_t {
        // SAFETY: the caller has the instructions.
        unsafe { arch::vdupq_n_s32(value) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> float32x4_t {
        // SAFETY: the caller has the instructions.
        unsafe { arch::vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn dot(acc: int32x4_t, a: int8x16_t, w: int8x16_t) -> int32x4_t {
        // SAFETY: the caller has the instructions.
        unsafe { D::dot(acc, a, w) }
    }

    #[inline(always)]
    unsafe fn zip(rows: [int8x16_t; 4]) -> [int8x16_t; 4] {
        use arch::{
            vreinterpretq_s8_s16, vreinterpretq_s16_s8, vzip1q_s8, vzip1q_s16, vzip2q_s8,
            vzip2q_s16,
        };
        let [a, b, c, d] = rows;
        // SAFETY: the caller has the instructions.
        unsafe {
            let ab = vreinterpretq_s16_s8(vzip1q_s8(a, b));
            let cd = vreinterpretq_s16_s8(vzip1q_s8(c, d));
            let ef = vreinterpretq_s16_s8(vzip2q_s8(a, b));
            let gh = vreinterpretq_s16_s8(vzip2q_s8(c, d));
            [
                vreinterpretq_s8_s16(vzip1q_s16(ab, cd)),
                vreinterpretq_s8_s16(vzip2q_s16(ab, cd)),
                vreinterpretq_s8_s16(vzip1q_s16(ef, gh)),
                vreinterpretq_s8_s16(vzip2q_s16(ef, gh)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn widen(p: *const u8) -> [int32x4_t; 4] {
        // SAFETY: the caller's pointer is good for 16 bytes.
        unsafe {
            let v = arch::vld1q_s8(p.cast());
            let (low, high) = (arch::vmovl_s8(arch::vget_low_s8(v)), arch::vmovl_high_s8(v));
            [
                arch::vmovl_s16(arch::vget_low_s16(low)),
                arch::vmovl_high_s16(low),
                arch::vmovl_s16(arch::vget_low_s16(high)),
                arch::vmovl_high_s16(high),
            ]
        }
    }

    #[inline(always)]
    unsafe fn split(p: *const u32) -> [int32x4_t; 4] {
        // SAFETY: the caller's pointer is good for four elements.
        unsafe {
            let v = arch::vld1q_s32(p.cast());
            [
                arch::vshrq_n_s32::<24>(arch::vshlq_n_s32::<24>(v)),
                arch::vshrq_n_s32::<24>(arch::vshlq_n_s32::<16>(v)),
                arch::vshrq_n_s32::<24>(arch::vshlq_n_s32::<8>(v)),
                arch::vshrq_n_s32::<24>(v),
            ]
        }
    }

    #[inline(always)]
    unsafe fn add_sums(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: the caller has the instructions.
        unsafe { arch::vaddq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn float(v: int32x4_t) -> float32x4_t {
        // SAFETY: the caller has the instructions.
        unsafe { arch::vcvtq_f32_s32(v) }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the caller has the instructions.
        unsafe { arch::vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the caller has the instructions.
        unsafe { arch::vmulq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the caller has the instructions.
        unsafe { arch::vdivq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn clamp(v: float32x4_t, lo: f32, hi: f32) -> float32x4_t {
        // The number comes out where one operand is NaN.
        // SAFETY: the caller has the instructions.
        unsafe {
            let v = arch::vminnmq_f32(v, arch::vdupq_n_f32(hi));
            arch::vmaxnmq_f32(v, arch::vdupq_n_f32(lo))
        }
    }

    #[inline(always)]
    unsafe fn round(v: float32x4_t) -> int32x4_t {
        // SAFETY: the caller has the instructions.
        unsafe { arch::vcvtnq_s32_f32(v) }
    }

    #[inline(always)]
    unsafe fn store4(v: [int32x4_t; 4], range: &Range8, p: *mut u8) {
        // SAFETY: the caller's pointer is good for 16 bytes.
        unsafe {
            let (a, b) = (clamp(v[0], range), clamp(v[1], range));
            let (c, d) = (clamp(v[2], range), clamp(v[3], range));
            let low = arch::vmovn_high_s32(arch::vmovn_s32(a), b);
            let high = arch::vmovn_high_s32(arch::vmovn_s32(c), d);
            let bytes = arch::vmovn_high_s16(arch::vmovn_s16(low), high);
            arch::vst1q_s8(p.cast(), bytes);
        }
    }

    #[inline(always)]
    unsafe fn store1(v: int32x4_t, range: &Range8, p: *mut u8) {
        // SAFETY: the caller's pointer is good for 4 bytes.
        unsafe {
            let words = arch::vmovn_s32(clamp(v, range));
            let bytes = arch::vmovn_s16(arch::vcombine_s16(words, words));
            let four = arch::vget_lane_s32::<0>(arch::vreinterpret_s32_s8(bytes));
            p.cast::<i32>().write_unaligned(four);
        }
    }

    #[inline(always)]
    unsafe fn store_quads(v: [int32x4_t; 4], range: &Range8, p: *mut u32) {
        // SAFETY: the caller's pointer is good for four elements.
        unsafe {
            let low = arch::vdupq_n_s32(255);
            let a = arch::vandq_s32(clamp(v[0], range), low);
            let b = arch::vandq_s32(clamp(v[1], range), low);
            let c = arch::vandq_s32(clamp(v[2], range), low);
            let d = arch::vandq_s32(clamp(v[3], range), low);
            let low = arch::vorrq_s32(a, arch::vshlq_n_s32::<8>(b));
            let high = arch::vorrq_s32(c, arch::vshlq_n_s32::<8>(d));
            arch::vst1q_s32(
                p.cast(),
                arch::vorrq_s32(low, arch::vshlq_n_s32::<16>(high)),
            );
        }
    }
}

/// `v + zero` within the range.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn clamp(v: int32x4_t, range: &Range8) -> int32x4_t {
    // SAFETY: the caller has the instructions.
    unsafe {
        let v = arch::vqaddq_s32(v, arch::vdupq_n_s32(range.zero));
        let v = arch::vmaxq_s32(v, arch::vdupq_n_s32(range.lo));
        arch::vminq_s32(v, arch::vdupq_n_s32(range.hi))
    }
}
