//! Lanes that any processor has; the compiler makes of them what it can.

use super::lanes::{Lanes, RawTaps};

/// Eight lanes.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 8]);

// SAFETY: reads and writes are of eight floats, sixteen words and as many bytes
// as documented; plain arithmetic exists everywhere.
unsafe impl Lanes for Portable {
    const N: usize = 8;
    const WINDOWS: &'static [usize] = &[];
    type Words = [u16; 16];

    #[inline(always)]
    unsafe fn words(word: u16) -> [u16; 16] {
        [word; 16]
    }

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> [u16; 16] {
        // SAFETY: the caller's pointer is good for sixteen bytes.
        let bytes = unsafe { p.cast::<[u8; 16]>().read_unaligned() };
        bytes.map(|byte| u16::from(byte) << 8)
    }

    #[inline(always)]
    unsafe fn halves(p: *const u8) -> ([u16; 16], [u16; 16]) {
        // SAFETY: the caller's pointer is good for 32 bytes.
        let pairs = unsafe { p.cast::<[[u8; 2]; 16]>().read_unaligned() };
        let words = pairs.map(u16::from_le_bytes);
        (words.map(|w| w << 8), words.map(|w| w & 0xff00))
    }

    #[inline(always)]
    unsafe fn weigh(mut sum: [u16; 16], words: [u16; 16], weight: [u16; 16]) -> [u16; 16] {
        for ((sum, word), weight) in sum.iter_mut().zip(words).zip(weight) {
            let product = u32::from(word) * u32::from(weight);
            let high = (product >> 16) as u16;
            *sum = sum.wrapping_add(high);
        }
        sum
    }

    #[inline(always)]
    unsafe fn put(words: [u16; 16], p: *mut u16) {
        // SAFETY: the caller's pointer is good for sixteen words.
        unsafe { p.cast::<[u16; 16]>().write_unaligned(words) }
    }

    #[inline(always)]
    unsafe fn thirds(p: *const u16) -> [[u16; 16]; 3] {
        // SAFETY: the caller's pointer is good for 48 words.
        let pixels = unsafe { p.cast::<[[u16; 3]; 16]>().read_unaligned() };
        let mut thirds = [[0; 16]; 3];
        for (at, pixel) in pixels.iter().enumerate() {
            for (third, word) in thirds.iter_mut().zip(pixel) {
                third[at] = *word;
            }
        }
        thirds
    }

    #[inline(always)]
    unsafe fn filter(row: *const u16, taps: &RawTaps, group: usize) -> Self {
        let mut sums = [0i32; 8];
        for (lane, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the tables have an entry for every lane of every group,
            // and `row` holds every word that they name.
            unsafe {
                let from = row.add(*taps.starts.add(group * 8 + lane) as usize);
                let weights = taps.weights.add(group * taps.pairs * 8 + lane);
                for pair in 0..taps.pairs {
                    let [a, b] = *weights.add(pair * 8);
                    *sum += i32::from(*from.add(2 * pair)) * i32::from(a)
                        + i32::from(*from.add(2 * pair + 1)) * i32::from(b);
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "2^-23 of a sum is no loss")]
        Self(sums.map(|sum| sum as f32))
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    unsafe fn mul_add(mut self, b: Self, c: Self) -> Self {
        for ((a, b), c) in self.0.iter_mut().zip(b.0).zip(c.0) {
            *a = *a * b + c;
        }
        self
    }

    #[inline(always)]
    unsafe fn sub_div(mut self, b: Self, c: Self) -> Self {
        for ((a, b), c) in self.0.iter_mut().zip(b.0).zip(c.0) {
            *a = (*a - b) / c;
        }
        self
    }

    #[inline(always)]
    unsafe fn clamp(self) -> Self {
        let floored = self.0.map(|x| if x < 0.0 { 0.0 } else { x });
        Self(floored.map(|x| if x > 255.0 { 255.0 } else { x }))
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller's pointer is good for eight floats.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn store_i8(self, p: *mut i8) {
        #[expect(clippy::cast_possible_truncation, reason = "saturates, as it should")]
        let bytes = self.0.map(|value| value.round_ties_even() as i8);
        // SAFETY: the caller's pointer is good for eight bytes.
        unsafe { p.cast::<[i8; 8]>().write_unaligned(bytes) }
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
}
