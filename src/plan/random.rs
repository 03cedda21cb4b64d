//! Random numbers that are the same on every machine.
//!
//! PCG64 gives the bits; everything else is IEEE 754 arithmetic and `libm`. Not
//! for cryptography.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use std::f64::consts::TAU;

/// A generator that its seed and stream alone determine.
#[derive(Clone, Debug)]
pub struct Random {
    bits: Pcg64,
}

impl Random {
    /// Stream `stream` of seed `seed`; streams of one seed are independent.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut bytes = [0; 32];
        let mut mixer = Pcg64::seed_from_u64(seed);
        mixer.fill_bytes(&mut bytes);
        for (byte, mask) in bytes[16..].iter_mut().zip(stream.to_le_bytes()) {
            *byte ^= mask;
        }
        let mut bits = Pcg64::from_seed(bytes);
        // Streams that differ in few bits need a few steps to part.
        for _ in 0..8 {
            bits.next_u64();
        }
        Self { bits }
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64")]
        let mantissa = (self.bits.next_u64() >> 11) as f64;
        mantissa / 9_007_199_254_740_992.0
    }

    /// Uniform in `0..n`; 0 for `n` = 0. The bias is below `n` / 2^64.
    pub fn below(&mut self, n: usize) -> usize {
        let wide = u128::from(self.bits.next_u64()) * (n as u128);
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        radius * libm::cos(TAU * self.uniform())
    }

    /// A permutation of `0..n` (Fisher and Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = Random::new(3, 0);
        let normals: Vec<f64> = (0..50_000).map(|_| random.normal()).collect();
        let mean = normals.iter().sum::<f64>() / 5e4;
        let variance = normals.iter().map(|v| v * v).sum::<f64>() / 5e4;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03);
        let uniform = (0..50_000).map(|_| random.uniform()).sum::<f64>() / 5e4;
        assert!((uniform - 0.5).abs() < 0.01);
    }

    #[test]
    fn numbers_never_change() {
        let mut random = Random::new(7, 1);
        let first: Vec<usize> = (0..4).map(|_| random.below(1000)).collect();
        assert_eq!(first, KNOWN);
        assert_ne!(
            Random::new(7, 2).below(1 << 40),
            Random::new(7, 1).below(1 << 40)
        );
    }

    const KNOWN: [usize; 4] = [622, 177, 34, 984];

    #[test]
    fn a_permutation_holds_every_number_once() {
        let mut order = Random::new(1, 1).permutation(100);
        assert_ne!(order[..10], (0..10).collect::<Vec<_>>()[..]);
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
        assert!(Random::new(1, 1).permutation(0).is_empty());
    }
}
