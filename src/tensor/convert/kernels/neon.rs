//! The vectors of aarch64.

use super::lanes::{Lanes, RawTaps};
use std::arch::aarch64::*;

/// Four lanes; needs NEON.
#[derive(Clone, Copy)]
pub(super) struct Neon(float32x4_t);

// SAFETY: loads and stores are of four floats, eight words and as many bytes as
// documented; the rest is arithmetic on registers.
unsafe impl Lanes for Neon {
    const N: usize = 4;
    const WINDOWS: &'static [usize] = &[];
    type Words = uint16x8_t;

    #[inline(always)]
    unsafe fn words(word: u16) -> uint16x8_t {
        // SAFETY: the caller has the instructions.
        unsafe { vdupq_n_u16(word) }
    }

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> uint16x8_t {
        // SAFETY: the caller's pointer is good for eight bytes.
        unsafe { vshll_n_u8::<8>(vld1_u8(p)) }
    }

    #[inline(always)]
    unsafe fn halves(p: *const u8) -> (uint16x8_t, uint16x8_t) {
        // SAFETY: the caller's pointer is good for sixteen bytes.
        unsafe {
            let halves = vld2_u8(p);
            (vshll_n_u8::<8>(halves.0), vshll_n_u8::<8>(halves.1))
        }
    }

    #[inline(always)]
    unsafe fn weigh(sum: uint16x8_t, words: uint16x8_t, weight: uint16x8_t) -> uint16x8_t {
        // SAFETY: the caller has the instructions.
        unsafe {
            let low = vmull_u16(vget_low_u16(words), vget_low_u16(weight));
            let high = vmull_high_u16(words, weight);
            let halves = vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high));
            vaddq_u16(sum, halves)
        }
    }

    #[inline(always)]
    unsafe fn put(words: uint16x8_t, p: *mut u16) {
        // SAFETY: the caller's pointer is good for eight words.
        unsafe { vst1q_u16(p, words) }
    }

    #[inline(always)]
    unsafe fn thirds(p: *const u16) -> [uint16x8_t; 3] {
        // SAFETY: the caller's pointer is good for 24 words.
        let thirds = unsafe { vld3q_u16(p) };
        [thirds.0, thirds.1, thirds.2]
    }

    #[inline(always)]
    unsafe fn filter(row: *const u16, taps: &RawTaps, group: usize) -> Self {
        // SAFETY: the tables have an entry for every lane of every group, and
        // `row` holds every word that they name.
        unsafe {
            let mut sum = vdupq_n_s32(0);
            let starts = taps
                .starts
                .add(group * 4)
                .cast::<[u32; 4]>()
                .read_unaligned();
            let from = starts.map(|start| row.add(start as usize));
            let weights = taps.weights.add(group * taps.pairs * 4);
            for pair in 0..taps.pairs {
                let words = from.map(|from| from.add(2 * pair).cast::<u32>().read_unaligned());
                let words = vreinterpretq_s16_u32(vld1q_u32(words.as_ptr()));
                let weight = vld1q_s16(weights.add(pair * 4).cast());
                let low = vmull_s16(vget_low_s16(words), vget_low_s16(weight));
                let high = vmull_high_s16(words, weight);
                sum = vaddq_s32(sum, vpaddq_s32(low, high));
            }
            Self(vcvtq_f32_s32(sum))
        }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { vdupq_n_f32(value) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { vfmaq_f32(c.0, self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn sub_div(self, b: Self, c: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { vdivq_f32(vsubq_f32(self.0, b.0), c.0) })
    }

    #[inline(always)]
    unsafe fn clamp(self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            let floored = vmaxq_f32(self.0, vdupq_n_f32(0.0));
            Self(vminq_f32(floored, vdupq_n_f32(255.0)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller's pointer is good for four floats.
        unsafe { vst1q_f32(p, self.0) }
    }

    #[inline(always)]
    unsafe fn store_i8(self, p: *mut i8) {
        // SAFETY: the caller's pointer is good for four bytes.
        unsafe {
            let words = vqmovn_s32(vcvtnq_s32_f32(self.0));
            let bytes = vqmovn_s16(vcombine_s16(words, words));
            p.cast::<i32>()
                .write_unaligned(vget_lane_s32::<0>(vreinterpret_s32_s8(bytes)));
        }
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
}
