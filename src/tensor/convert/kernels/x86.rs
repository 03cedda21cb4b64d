//! The vectors of x86-64: AVX-512 and AVX2 with FMA.

use super::lanes::{Lanes, RawTaps};
use std::arch::x86_64::*;

/// Sixteen lanes; needs AVX-512 F, VL, DQ and BW.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

/// Eight lanes; needs AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

// SAFETY: loads and stores are the unaligned ones of sixteen floats, 32 words
// and as many bytes as documented; the rest is arithmetic on registers.
unsafe impl Lanes for Avx512 {
    const N: usize = 16;
    const WINDOWS: &'static [usize] = &[64, 128];
    type Words = __m512i;

    #[inline(always)]
    unsafe fn words(word: u16) -> __m512i {
        // SAFETY: the caller has the instructions.
        unsafe { _mm512_set1_epi16(word.cast_signed()) }
    }

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> __m512i {
        // SAFETY: the caller's pointer is good for 32 bytes.
        unsafe { _mm512_slli_epi16::<8>(_mm512_cvtepu8_epi16(_mm256_loadu_si256(p.cast()))) }
    }

    #[inline(always)]
    unsafe fn halves(p: *const u8) -> (__m512i, __m512i) {
        // SAFETY: the caller's pointer is good for 64 bytes.
        unsafe {
            let words = _mm512_loadu_si512(p.cast());
            let high = _mm512_set1_epi16(0xff00_u16.cast_signed());
            (_mm512_slli_epi16::<8>(words), _mm512_and_si512(words, high))
        }
    }

    #[inline(always)]
    unsafe fn weigh(sum: __m512i, words: __m512i, weight: __m512i) -> __m512i {
        // SAFETY: the caller has the instructions.
        unsafe { _mm512_add_epi16(sum, _mm512_mulhi_epu16(words, weight)) }
    }

    #[inline(always)]
    unsafe fn put(words: __m512i, p: *mut u16) {
        // SAFETY: the caller's pointer is good for 32 words.
        unsafe { _mm512_storeu_si512(p.cast(), words) }
    }

    #[inline(always)]
    unsafe fn thirds(p: *const u16) -> [__m512i; 3] {
        // SAFETY: the caller's pointer is good for 96 words.
        unsafe {
            let a = _mm512_loadu_si512(p.cast());
            let b = _mm512_loadu_si512(p.add(32).cast());
            let c = _mm512_loadu_si512(p.add(64).cast());
            let mut thirds = [a; 3];
            for (third, from) in thirds.iter_mut().zip(&THIRDS_OF_96) {
                let from = _mm512_loadu_si512(from.as_ptr().cast());
                let beyond = _mm512_test_epi16_mask(from, _mm512_set1_epi16(64));
                let first = _mm512_permutex2var_epi16(a, from, b);
                *third = _mm512_mask_permutexvar_epi16(first, beyond, from, c);
            }
            thirds
        }
    }

    #[inline(always)]
    unsafe fn filter(row: *const u16, taps: &RawTaps, group: usize) -> Self {
        // SAFETY: the tables have an entry for every lane of every group, and
        // `row` holds every word that they name and every window.
        unsafe {
            let sum = match taps.window {
                64 => in_window(row, taps, group),
                128 => in_two_windows(row, taps, group),
                _ => anywhere(row, taps, group),
            };
            Self(_mm512_cvtepi32_ps(sum))
        }
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
    unsafe fn sub_div(self, b: Self, c: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm512_div_ps(_mm512_sub_ps(self.0, b.0), c.0) })
    }

    #[inline(always)]
    unsafe fn clamp(self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            let floored = _mm512_max_ps(self.0, _mm512_setzero_ps());
            Self(_mm512_min_ps(floored, _mm512_set1_ps(255.0)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller's pointer is good for sixteen floats.
        unsafe { _mm512_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    unsafe fn store_i8(self, p: *mut i8) {
        // SAFETY: the caller's pointer is good for sixteen bytes.
        unsafe {
            let bytes = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(self.0));
            _mm_storeu_si128(p.cast(), bytes);
        }
    }

    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        // SAFETY: a hint; it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
}

/// Which of 96 words the thirds take.
static THIRDS_OF_96: [[u16; 32]; 3] = {
    let mut thirds = [[0; 32]; 3];
    let mut word = 0;
    while word < 96 {
        thirds[word as usize % 3][word as usize / 3] = word;
        word += 1;
    }
    thirds
};

/// Which bytes of each of three vectors the thirds of their 24 words take, by
/// third and vector; bit 7: none.
static THIRDS_OF_24: [[[u8; 16]; 3]; 3] = {
    let mut thirds = [[[0x80; 16]; 3]; 3];
    let mut byte = 0u8;
    while byte < 48 {
        let (word, vector) = (byte / 2, byte / 16);
        let to = word / 3 * 2 + byte % 2;
        thirds[word as usize % 3][vector as usize][to as usize] = byte % 16;
        byte += 1;
    }
    thirds
};

/// Every third of 24 words.
#[inline(always)]
unsafe fn thirds_of_24(p: *const u16) -> [__m128i; 3] {
    // SAFETY: the caller has the instructions, and the pointer is good for 24
    // words.
    unsafe {
        let mut thirds = [_mm_setzero_si128(); 3];
        for part in 0..3 {
            let words = _mm_loadu_si128(p.add(8 * part).cast());
            for (third, of) in thirds.iter_mut().zip(&THIRDS_OF_24) {
                let from = _mm_loadu_si128(of[part].as_ptr().cast());
                *third = _mm_or_si128(*third, _mm_shuffle_epi8(words, from));
            }
        }
        thirds
    }
}

/// The sums of a group whose words are anywhere.
#[inline(always)]
unsafe fn anywhere(row: *const u16, taps: &RawTaps, group: usize) -> __m512i {
    // SAFETY: the caller has the instructions, the tables have an entry for
    // every lane of every group, and `row` holds every word that they name.
    unsafe {
        let mut sum = _mm512_setzero_si512();
        let mut from = _mm512_loadu_si512(taps.starts.add(group * 16).cast());
        let weights = taps.weights.add(group * taps.pairs * 16);
        for pair in 0..taps.pairs {
            let words = _mm512_i32gather_epi32::<2>(from, row.cast());
            let weight = _mm512_loadu_si512(weights.add(pair * 16).cast());
            sum = _mm512_add_epi32(sum, _mm512_madd_epi16(words, weight));
            from = _mm512_add_epi32(from, _mm512_set1_epi32(2));
        }
        sum
    }
}

/// The sums of a group whose words are within 64.
#[inline(always)]
unsafe fn in_window(row: *const u16, taps: &RawTaps, group: usize) -> __m512i {
    // SAFETY: as above, and `row` holds every window.
    unsafe {
        let window = row.add(*taps.windows.add(group) as usize);
        let low = _mm512_loadu_si512(window.cast());
        let high = _mm512_loadu_si512(window.add(32).cast());
        let mut sum = _mm512_setzero_si512();
        let mut from = _mm512_loadu_si512(taps.places.add(group * 16).cast());
        let weights = taps.weights.add(group * taps.pairs * 16);
        for pair in 0..taps.pairs {
            let words = _mm512_permutex2var_epi16(low, from, high);
            let weight = _mm512_loadu_si512(weights.add(pair * 16).cast());
            sum = _mm512_add_epi32(sum, _mm512_madd_epi16(words, weight));
            from = _mm512_add_epi16(from, _mm512_set1_epi16(2));
        }
        sum
    }
}

/// The sums of a group whose words are within 128.
#[inline(always)]
unsafe fn in_two_windows(row: *const u16, taps: &RawTaps, group: usize) -> __m512i {
    // SAFETY: as above.
    unsafe {
        let window = row.add(*taps.windows.add(group) as usize);
        let a = _mm512_loadu_si512(window.cast());
        let b = _mm512_loadu_si512(window.add(32).cast());
        let c = _mm512_loadu_si512(window.add(64).cast());
        let d = _mm512_loadu_si512(window.add(96).cast());
        let mut sum = _mm512_setzero_si512();
        let mut from = _mm512_loadu_si512(taps.places.add(group * 16).cast());
        let weights = taps.weights.add(group * taps.pairs * 16);
        for pair in 0..taps.pairs {
            let beyond = _mm512_test_epi16_mask(from, _mm512_set1_epi16(64));
            let low = _mm512_permutex2var_epi16(a, from, b);
            let high = _mm512_permutex2var_epi16(c, from, d);
            let words = _mm512_mask_blend_epi16(beyond, low, high);
            let weight = _mm512_loadu_si512(weights.add(pair * 16).cast());
            sum = _mm512_add_epi32(sum, _mm512_madd_epi16(words, weight));
            from = _mm512_add_epi16(from, _mm512_set1_epi16(2));
        }
        sum
    }
}

// SAFETY: loads and stores are the unaligned ones of eight floats, sixteen words
// and as many bytes as documented; the rest is arithmetic on registers.
unsafe impl Lanes for Avx2 {
    const N: usize = 8;
    const WINDOWS: &'static [usize] = &[];
    type Words = __m256i;

    #[inline(always)]
    unsafe fn words(word: u16) -> __m256i {
        // SAFETY: the caller has the instructions.
        unsafe { _mm256_set1_epi16(word.cast_signed()) }
    }

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> __m256i {
        // SAFETY: the caller's pointer is good for sixteen bytes.
        unsafe { _mm256_slli_epi16::<8>(_mm256_cvtepu8_epi16(_mm_loadu_si128(p.cast()))) }
    }

    #[inline(always)]
    unsafe fn halves(p: *const u8) -> (__m256i, __m256i) {
        // SAFETY: the caller's pointer is good for 32 bytes.
        unsafe {
            let words = _mm256_loadu_si256(p.cast());
            let high = _mm256_set1_epi16(0xff00_u16.cast_signed());
            (_mm256_slli_epi16::<8>(words), _mm256_and_si256(words, high))
        }
    }

    #[inline(always)]
    unsafe fn weigh(sum: __m256i, words: __m256i, weight: __m256i) -> __m256i {
        // SAFETY: the caller has the instructions.
        unsafe { _mm256_add_epi16(sum, _mm256_mulhi_epu16(words, weight)) }
    }

    #[inline(always)]
    unsafe fn put(words: __m256i, p: *mut u16) {
        // SAFETY: the caller's pointer is good for sixteen words.
        unsafe { _mm256_storeu_si256(p.cast(), words) }
    }

    #[inline(always)]
    unsafe fn thirds(p: *const u16) -> [__m256i; 3] {
        // SAFETY: the caller's pointer is good for 48 words.
        unsafe {
            let (low, high) = (thirds_of_24(p), thirds_of_24(p.add(24)));
            [
                _mm256_set_m128i(high[0], low[0]),
                _mm256_set_m128i(high[1], low[1]),
                _mm256_set_m128i(high[2], low[2]),
            ]
        }
    }

    #[inline(always)]
    unsafe fn filter(row: *const u16, taps: &RawTaps, group: usize) -> Self {
        // SAFETY: the tables have an entry for every lane of every group, and
        // `row` holds every word that they name.
        unsafe {
            let mut sum = _mm256_setzero_si256();
            let mut weights = taps.weights.add(group * taps.pairs * 8);
            let mut from = _mm256_loadu_si256(taps.starts.add(group * 8).cast());
            for _ in 0..taps.pairs {
                let words = _mm256_i32gather_epi32::<2>(row.cast(), from);
                let weight = _mm256_loadu_si256(weights.cast());
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(words, weight));
                from = _mm256_add_epi32(from, _mm256_set1_epi32(2));
                weights = weights.add(8);
            }
            Self(_mm256_cvtepi32_ps(sum))
        }
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
    unsafe fn sub_div(self, b: Self, c: Self) -> Self {
        // SAFETY: the caller has the instructions.
        Self(unsafe { _mm256_div_ps(_mm256_sub_ps(self.0, b.0), c.0) })
    }

    #[inline(always)]
    unsafe fn clamp(self) -> Self {
        // SAFETY: the caller has the instructions.
        unsafe {
            let floored = _mm256_max_ps(self.0, _mm256_setzero_ps());
            Self(_mm256_min_ps(floored, _mm256_set1_ps(255.0)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller's pointer is good for eight floats.
        unsafe { _mm256_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    unsafe fn store_i8(self, p: *mut i8) {
        // SAFETY: the caller's pointer is good for eight bytes.
        unsafe {
            let ints = _mm256_cvtps_epi32(self.0);
            let low = _mm256_castsi256_si128(ints);
            let words = _mm_packs_epi32(low, _mm256_extracti128_si256::<1>(ints));
            _mm_storel_epi64(p.cast(), _mm_packs_epi16(words, words));
        }
    }

    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        // SAFETY: a hint; it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
}
