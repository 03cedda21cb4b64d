//! The byte vectors of 256 bits: with AVX-512 VNNI, with AVX-VNNI, or with AVX2 alone.

use super::bytes::{Bytes, Range8};
use std::arch::x86_64 as arch;
use std::arch::x86_64::{__m256, __m256i};
use std::marker::PhantomData;

/// A bound or a zero as a byte; both are in 0..=255.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "the bits of a byte"
)]
pub(super) fn byte(value: i32) -> i8 {
    value as u8 as i8
}

/// A zero as a 16-bit lane.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "in 0..=255")]
pub(super) fn word(value: i32) -> i16 {
    value as i16
}

/// The products of bytes on 256 bits.
///
/// # Safety
/// `dot` may be called only where the instructions of the implementation exist.
pub(super) unsafe trait Dot: Copy {
    /// Output pixels of a depthwise tile.
    const TILE: usize;
    /// `acc` plus four products in each lane, exactly.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn dot(acc: __m256i, a: __m256i, w: __m256i) -> __m256i;
}

/// AVX-512 VNNI and VL.
#[derive(Clone, Copy)]
pub(super) struct Evex;

// SAFETY: arithmetic on registers.
unsafe impl Dot for Evex {
    const TILE: usize = 4;
    #[inline(always)]
    unsafe fn dot(acc: __m256i, a: __m256i, w: __m256i) -> __m256i {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm256_dpbusd_epi32(acc, a, w) }
    }
}

/// AVX-VNNI.
#[derive(Clone, Copy)]
pub(super) struct Vex;

// SAFETY: arithmetic on registers.
unsafe impl Dot for Vex {
    const TILE: usize = 2;
    #[inline(always)]
    unsafe fn dot(acc: __m256i, a: __m256i, w: __m256i) -> __m256i {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm256_dpbusd_avx_epi32(acc, a, w) }
    }
}

/// AVX2: through 16-bit lanes, for the byte products of `maddubs` saturate.
#[derive(Clone, Copy)]
pub(super) struct Wide;

// SAFETY: arithmetic on registers.
unsafe impl Dot for Wide {
    const TILE: usize = 1;
    #[inline(always)]
    unsafe fn dot(acc: __m256i, a: __m256i, w: __m256i) -> __m256i {
        // SAFETY: the caller has the instructions.
        unsafe {
            let even = arch::_mm256_and_si256(a, arch::_mm256_set1_epi16(255));
            let odd = arch::_mm256_srli_epi16::<8>(a);
            let even_w = arch::_mm256_srai_epi16::<8>(arch::_mm256_slli_epi16::<8>(w));
            let odd_w = arch::_mm256_srai_epi16::<8>(w);
            let acc = arch::_mm256_add_epi32(acc, arch::_mm256_madd_epi16(even, even_w));
            arch::_mm256_add_epi32(acc, arch::_mm256_madd_epi16(odd, odd_w))
        }
    }
}

/// Eight sums; needs AVX2 and what `D` needs.
#[derive(Clone, Copy)]
pub(super) struct Avx256<D>(PhantomData<D>);

// SAFETY: loads and stores are the unaligned ones of 32 bytes (8 for `store1`, 4 for
// `quad`); the rest is arithmetic on registers.
unsafe impl<D: Dot> Bytes for Avx256<D> {
    const N: usize = 8;
    const TILE: usize = D::TILE;
    const FLIP: u8 = 0;
    type B = __m256i;
    type I = __m256i;
    type F = __m256;

    #[inline(always)]
    unsafe fn load(p: *const u8) -> __m256i {
        // SAFETY: the caller's pointer is good for 32 bytes.
        unsafe { arch::_mm256_loadu_si256(p.cast()) }
    }

    #[inline(always)]
    unsafe fn quad(p: *const u8) -> __m256i {
        // SAFETY: the caller's pointer is good for 4 bytes.
        unsafe { arch::_mm256_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn load_sums(p: *const i32) -> __m256i {
        // SAFETY: the caller's pointer is good for eight elements.
        unsafe { arch::_mm256_loadu_si256(p.cast()) }
    }

    #[inline(always)]
    unsafe fn load_floats(p: *const f32) -> __m256 {
        // SAFETY: the caller's pointer is good for eight elements.
        unsafe { arch::_mm256_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store_floats(v: __m256, p: *mut f32) {
        // SAFETY: the caller's pointer is good for eight elements.
        unsafe { arch::_mm256_storeu_ps(p, v) }
    }

    #[inline(always)]
    unsafe fn splat_sum(value: i32) -> __m256i {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm256_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn dot(acc: __m256i, a: __m256i, w: __m256i) -> __m256i {
        // SAFETY: the caller has the instructions.
        unsafe { D::dot(acc, a, w) }
    }

    #[inline(always)]
    unsafe fn zip(rows: [__m256i; 4]) -> [__m256i; 4] {
        use arch::{
            _mm256_unpackhi_epi8, _mm256_unpackhi_epi16, _mm256_unpacklo_epi8,
            _mm256_unpacklo_epi16,
        };
        let [a, b, c, d] = rows;
        // SAFETY: the caller has the instructions.
        unsafe {
            let (ab, cd) = (_mm256_unpacklo_epi8(a, b), _mm256_unpacklo_epi8(c, d));
            let (ef, gh) = (_mm256_unpackhi_epi8(a, b), _mm256_unpackhi_epi8(c, d));
            [
                _mm256_unpacklo_epi16(ab, cd),
                _mm256_unpackhi_epi16(ab, cd),
                _mm256_unpacklo_epi16(ef, gh),
                _mm256_unpackhi_epi16(ef, gh),
            ]
        }
    }

    #[inline(always)]
    unsafe fn widen(p: *const u8) -> [__m256i; 4] {
        // SAFETY: the caller's contract is handed on.
        unsafe {
            let zero = Self::zero();
            Self::zip([Self::load(p), zero, zero, zero])
        }
    }

    #[inline(always)]
    unsafe fn split(p: *const u32) -> [__m256i; 4] {
        // SAFETY: the caller's pointer is good for eight elements.
        unsafe {
            let (v, low) = (
                arch::_mm256_loadu_si256(p.cast()),
                arch::_mm256_set1_epi32(255),
            );
            [
                arch::_mm256_and_si256(v, low),
                arch::_mm256_and_si256(arch::_mm256_srli_epi32::<8>(v), low),
                arch::_mm256_and_si256(arch::_mm256_srli_epi32::<16>(v), low),
                arch::_mm256_srli_epi32::<24>(v),
            ]
        }
    }

    #[inline(always)]
    unsafe fn add_sums(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn float(v: __m256i) -> __m256 {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm256_cvtepi32_ps(v) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm256_div_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn clamp(v: __m256, lo: f32, hi: f32) -> __m256 {
        // The second operand comes out where one is NaN.
        // SAFETY: the caller has the instructions.
        unsafe {
            let v = arch::_mm256_min_ps(v, arch::_mm256_set1_ps(hi));
            arch::_mm256_max_ps(v, arch::_mm256_set1_ps(lo))
        }
    }

    #[inline(always)]
    unsafe fn round(v: __m256) -> __m256i {
        // Rust code may rely on the default mode, to the nearest.
        // SAFETY: the caller has the instructions.
        unsafe { arch::_mm256_cvtps_epi32(v) }
    }

    #[inline(always)]
    unsafe fn store4(v: [__m256i; 4], range: &Range8, p: *mut u8) {
        // SAFETY: the caller's pointer is good for 32 bytes.
        unsafe {
            let zero = arch::_mm256_set1_epi16(word(range.zero));
            let low = arch::_mm256_adds_epi16(arch::_mm256_packs_epi32(v[0], v[1]), zero);
            let high = arch::_mm256_adds_epi16(arch::_mm256_packs_epi32(v[2], v[3]), zero);
            let bytes = arch::_mm256_packus_epi16(low, high);
            let bytes = arch::_mm256_max_epu8(bytes, arch::_mm256_set1_epi8(byte(range.lo)));
            let bytes = arch::_mm256_min_epu8(bytes, arch::_mm256_set1_epi8(byte(range.hi)));
            arch::_mm256_storeu_si256(p.cast(), bytes);
        }
    }

    #[inline(always)]
    unsafe fn store1(v: __m256i, range: &Range8, p: *mut u8) {
        // SAFETY: the caller's pointer is good for 8 bytes.
        unsafe {
            let v = clamp256(v, range);
            let (low, high) = (
                arch::_mm256_castsi256_si128(v),
                arch::_mm256_extracti128_si256::<1>(v),
            );
            let words = arch::_mm_packs_epi32(low, high);
            arch::_mm_storel_epi64(p.cast(), arch::_mm_packus_epi16(words, words));
        }
    }

    #[inline(always)]
    unsafe fn store_quads(v: [__m256i; 4], range: &Range8, p: *mut u32) {
        // SAFETY: the caller's pointer is good for eight elements.
        unsafe {
            let (a, b) = (clamp256(v[0], range), clamp256(v[1], range));
            let (c, d) = (clamp256(v[2], range), clamp256(v[3], range));
            let low = arch::_mm256_or_si256(a, arch::_mm256_slli_epi32::<8>(b));
            let high = arch::_mm256_or_si256(c, arch::_mm256_slli_epi32::<8>(d));
            let quads = arch::_mm256_or_si256(low, arch::_mm256_slli_epi32::<16>(high));
            arch::_mm256_storeu_si256(p.cast(), quads);
        }
    }
}

/// `v + zero` within the range, in 32-bit lanes.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn clamp256(v: __m256i, range: &Range8) -> __m256i {
    // SAFETY: the caller has the instructions.
    unsafe {
        let lo = arch::_mm256_set1_epi32(range.lo - range.zero);
        let hi = arch::_mm256_set1_epi32(range.hi - range.zero);
        let v = arch::_mm256_min_epi32(arch::_mm256_max_epi32(v, lo), hi);
        arch::_mm256_add_epi32(v, arch::_mm256_set1_epi32(range.zero))
    }
}
