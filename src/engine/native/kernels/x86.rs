//! The vectors of x86-64: AVX-512 and AVX2 with FMA.

use super::lanes::{EXP2_CENTRED, Lanes};
use std::arch::x86_64::{
    __m256, __m512, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _MM_HINT_T0, _mm_prefetch,
    _mm256_add_epi32, _mm256_add_ps, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cvtps_epi32,
    _mm256_div_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps,
    _mm256_round_ps, _mm256_set1_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps,
    _mm512_add_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_max_ps,
    _mm512_min_ps, _mm512_mul_ps, _mm512_rcp14_ps, _mm512_reduce_ps, _mm512_scalef_ps,
    _mm512_set1_ps, _mm512_storeu_ps,
};

/// Sixteen lanes; needs AVX-512 F, VL, DQ and BW.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

/// Coefficients of a minimax polynomial of `2^f` for f in 0..1, 8e-8, highest
/// power first.
const EXP2_FRACTION: [f32; 6] = [
    0.001_877_576_7,
    0.008_989_34,
    0.055_826_318,
    0.240_153_61,
    0.693_153_1,
    0.999_999_94,
];

// SAFETY: `load` and `store` are the unaligned ones of sixteen elements; the
// rest is arithmetic on registers.
unsafe impl Lanes for Avx512 {
    const N: usize = 16;

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller's pointer is good for sixteen elements.
        Self(unsafe { _mm512_loadu_ps(p) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller's pointer is good for sixteen elements.
        unsafe { _mm512_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn clamp(self, lo: Self, hi: Self) -> Self {
        // The second operand comes out where one is NaN.
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_min_ps(hi.0, _mm512_max_ps(lo.0, self.0)) })
    }

    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            // One Newton step on 14 bits.
            let r = _mm512_rcp14_ps(self.0);
            let error = _mm512_fnmadd_ps(self.0, r, _mm512_set1_ps(1.0));
            Self(_mm512_fmadd_ps(error, r, r))
        }
    }

    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }

    #[inline(always)]
    unsafe fn exp2(self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            // x - floor(x); scalef multiplies by 2^floor.
            let f = _mm512_reduce_ps::<1>(self.0);
            let mut p = _mm512_set1_ps(EXP2_FRACTION[0]);
            for c in &EXP2_FRACTION[1..] {
                p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(*c));
            }
            Self(_mm512_scalef_ps(p, self.0))
        }
    }
}

/// Eight lanes; needs AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

// SAFETY: `load` and `store` are the unaligned ones of eight elements; the rest
// is arithmetic on registers.
unsafe impl Lanes for Avx2 {
    const N: usize = 8;

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller's pointer is good for eight elements.
        Self(unsafe { _mm256_loadu_ps(p) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller's pointer is good for eight elements.
        unsafe { _mm256_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn clamp(self, lo: Self, hi: Self) -> Self {
        // The second operand comes out where one is NaN.
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_min_ps(hi.0, _mm256_max_ps(lo.0, self.0)) })
    }

    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_div_ps(_mm256_set1_ps(1.0), self.0) })
    }

    #[inline(always)]
    unsafe fn exp2(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: the caller has the instructions.
        unsafe {
            let whole = _mm256_round_ps::<NEAREST>(self.0);
            let f = _mm256_sub_ps(self.0, whole);
            let mut p = _mm256_set1_ps(EXP2_CENTRED[0]);
            for c in &EXP2_CENTRED[1..] {
                p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(*c));
            }
            let p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0));
            // Adds the whole part to the exponent.
            let shift = _mm256_slli_epi32::<23>(_mm256_cvtps_epi32(whole));
            let bits = _mm256_add_epi32(_mm256_castps_si256(p), shift);
            Self(_mm256_castsi256_ps(bits))
        }
    }
}
