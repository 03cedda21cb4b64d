//! The byte vectors of AVX-512 with VNNI.

use super::avx2::{byte, word};
use super::bytes::{Bytes, Range8};
use std::arch::x86_64 as arch;
use std::arch::x86_64::{__m512, __m512i};

/// Sixteen sums; needs AVX-512 F, VL, DQ, BW and VNNI.
#[derive(Clone, Copy)]
pub(super) struct Avx512Vnni;

// SAFETY: loads and stores are the unaligned ones of 64 bytes (16 for `store1`, 4 for
// `quad`); the rest is arithmetic on registers.
unsafe impl Bytes for Avx512Vnni {
    const N: usize = 16;
    const TILE: usize = 4;
    const FLIP: u8 = 0;
    type B = __m512i;
    type I = __m512i;
    type F = __m512;

    #[inline(always)]
    unsafe fn load(p: *const u8) -> __m512i {
        // SAFETY: the caller's pointer is good for 64 bytes.
        unsafe { arch::_mm512_loadu_si512(p.cast()) }
    }

    #[inline(always)]
    unsafe fn quad(p: *const u8) -> __m512i {
        // SAFETY: the caller's pointer is good for 4 bytes.
        unsafe { arch::_mm512_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn load_sums(p: *const i32) -> __m512i {
        // SAFETY: the caller's pointer is good for sixteen elements.
        unsafe { arch::_mm512_loadu_si512(p.cast()) }
    }

    #[inline(always)]
    unsafe fn load_floats(p: *const f32) -> __m512 {
        // SAFETY: the caller's pointer is good for sixteen elements.
        unsafe { arch::_mm512_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store_floats(v: __m512, p: *mut f32) {
        // SAFETY: the caller's pointer is good for sixteen elements.
        unsafe { arch::_mm512_storeu_ps(p, v) }
    }

    #[inline(always)]
    unsafe fn splat_sum(value: i32) -> __m512i {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm512_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn dot(acc: __m512i, a: __m512i, w: __m512i) -> __m512i {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm512_dpbusd_epi32(acc, a, w) }
    }

    #[inline(always)]
    unsafe fn zip(rows: [__m512i; 4]) -> [__m512i; 4] {
        use arch::{
            _mm512_unpackhi_epi8, _mm512_unpackhi_epi16, _mm512_unpacklo_epi8,
            _mm512_unpacklo_epi16,
        };
        let [a, b, c, d] = rows;
        // SAFETY: the caller has the instructions.
        unsafe {
            let (ab, cd) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
            let (ef, gh) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
            [
                _mm512_unpacklo_epi16(ab, cd),
                _mm512_unpackhi_epi16(ab, cd),
                _mm512_unpacklo_epi16(ef, gh),
                _mm512_unpackhi_epi16(ef, gh),
            ]
        }
    }

    #[inline(always)]
    unsafe fn widen(p: *const u8) -> [__m512i; 4] {
        // SAFETY: the caller's contract is handed on.
        unsafe {
            let zero = Self::zero();
            Self::zip([Self::load(p), zero, zero, zero])
        }
    }

    #[inline(always)]
    unsafe fn split(p: *const u32) -> [__m512i; 4] {
        // SAFETY: the caller's pointer is good for sixteen elements.
        unsafe {
            let (v, low) = (
                arch::_mm512_loadu_si512(p.cast()),
                arch::_mm512_set1_epi32(255),
            );
            [
                arch::_mm512_and_si512(v, low),
                arch::_mm512_and_si512(arch::_mm512_srli_epi32::<8>(v), low),
                arch::_mm512_and_si512(arch::_mm512_srli_epi32::<16>(v), low),
                arch::_mm512_srli_epi32::<24>(v),
            ]
        }
    }

    #[inline(always)]
    unsafe fn add_sums(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn float(v: __m512i) -> __m512 {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm512_cvtepi32_ps(v) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm512_div_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn clamp(v: __m512, lo: f32, hi: f32) -> __m512 {
        // The second operand comes out where one is NaN.
        // SAFETY: the caller has the instructions.
        unsafe {
            let v = arch::_mm512_min_ps(v, arch::_mm512_set1_ps(hi));
            arch::_mm512_max_ps(v, arch::_mm512_set1_ps(lo))
        }
    }

    #[inline(always)]
    unsafe fn round(v: __m512) -> __m512i {
        // Rust code may rely on the default mode, to the nearest.
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm512_cvtps_epi32(v) }
    }

    #[inline(always)]
    unsafe fn store4(v: [__m512i; 4], range: &Range8, p: *mut u8) {
        // SAFETY: the caller's pointer is good for 64 bytes.
        unsafe {
            let zero = arch::_mm512_set1_epi16(word(range.zero));
            let low = arch::_mm512_adds_epi16(arch::_mm512_packs_epi32(v[0], v[1]), zero);
            let high = arch::_mm512_adds_epi16(arch::_mm512_packs_epi32(v[2], v[3]), zero);
            let bytes = arch::_mm512_packus_epi16(low, high);
            let bytes = arch::_mm512_max_epu8(bytes, arch::_mm512_set1_epi8(byte(range.lo)));
            let bytes = arch::_mm512_min_epu8(bytes, arch::_mm512_set1_epi8(byte(range.hi)));
            arch::_mm512_storeu_si512(p.cast(), bytes);
        }
    }

    #[inline(always)]
    unsafe fn store1(v: __m512i, range: &Range8, p: *mut u8) {
        // SAFETY: the caller's pointer is good for 16 bytes.
        unsafe {
            let v = clamp512(v, range);
            arch::_mm_storeu_si128(p.cast(), arch::_mm512_cvtepi32_epi8(v));
        }
    }

    #[inline(always)]
    unsafe fn store_quads(v: [__m512i; 4], range: &Range8, p: *mut u32) {
        // SAFETY: the caller's pointer is good for sixteen elements.
        unsafe {
            let (a, b) = (clamp512(v[0], range), clamp512(v[1], range));
            let (c, d) = (clamp512(v[2], range), clamp512(v[3], range));
            let low = arch::_mm512_or_si512(a, arch::_mm512_slli_epi32::<8>(b));
            let high = arch::_mm512_or_si512(c, arch::_mm512_slli_epi32::<8>(d));
            let quads = arch::_mm512_or_si512(low, arch::_mm512_slli_epi32::<16>(high));
            arch::_mm512_storeu_si512(p.cast(), quads);
        }
    }
}

/// `v + zero` within the range, in 32-bit lanes.
///
/// # Safety
/// The processor has AVX-512 F.
#[inline(always)]
unsafe fn clamp512(v: __m512i, range: &Range8) -> __m512i {
    // SAFETY: the caller has the instructions.
    unsafe {
        let lo = arch::_mm512_set1_epi32(range.lo - range.zero);
        let hi = arch::_mm512_set1_epi32(range.hi - range.zero);
        let v = arch::_mm512_min_epi32(arch::_mm512_max_epi32(v, lo), hi);
        arch::_mm512_add_epi32(v, arch::_mm512_set1_epi32(range.zero))
    }
}
