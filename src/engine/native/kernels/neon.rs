//! The vector of AArch64.

use super::lanes::{EXP2_CENTRED, Lanes};
use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vaddq_s32, vcvtq_s32_f32, vdivq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32,
    vmaxq_f32, vminq_f32, vmulq_f32, vreinterpretq_f32_s32, vreinterpretq_s32_f32, vrndnq_f32,
    vshlq_n_s32, vst1q_f32, vsubq_f32,
};

/// Four lanes; needs NEON.
#[derive(Clone, Copy)]
pub(super) struct Neon(float32x4_t);

// SAFETY: `load` and `store` touch four elements; the rest is arithmetic on
// registers.
unsafe impl Lanes for Neon {
    const N: usize = 4;

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller's pointer is good for four elements.
        Self(unsafe { vld1q_f32(p) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller's pointer is good for four elements.
        unsafe { vst1q_f32(p, self.0) }
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
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { vaddq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { vmulq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn clamp(self, lo: Self, hi: Self) -> Self {
        // Both give NaN where an operand is NaN.
        // SAFETY: the caller has the instructions.
        Self(unsafe { vminq_f32(vmaxq_f32(self.0, lo.0), hi.0) })
    }

    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { vdivq_f32(vdupq_n_f32(1.0), self.0) })
    }

    #[inline(always)]
    unsafe fn exp2(self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            let whole = vrndnq_f32(self.0);
            let f = vsubq_f32(self.0, whole);
            let mut p = vdupq_n_f32(EXP2_CENTRED[0]);
            for c in &EXP2_CENTRED[1..] {
                p = vfmaq_f32(vdupq_n_f32(*c), p, f);
            }
            let p = vfmaq_f32(vdupq_n_f32(1.0), p, f);
            // Adds the whole part to the exponent.
            let shift = vshlq_n_s32::<23>(vcvtq_s32_f32(whole));
            let bits = vaddq_s32(vreinterpretq_s32_f32(p), shift);
            Self(vreinterpretq_f32_s32(bits))
        }
    }
}
