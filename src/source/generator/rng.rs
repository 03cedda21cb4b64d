//! Random numbers and trigonometry that are the same on every machine.
//!
//! Only IEEE 754 additions, multiplications, divisions and integer operations
//! are used. Not for cryptography.

use std::f64::consts::TAU;

/// Joins a seed and an index into one well-mixed 64-bit number: SplitMix64's
/// finaliser over the seed, then over its sum with the index times the golden
/// ratio. For one seed it is a bijection of the index.
#[must_use]
pub fn mix(seed: u64, index: u64) -> u64 {
    let seed = finalise(seed.wrapping_add(GOLDEN));
    finalise(seed.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN)))
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn finalise(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The generator xoshiro256++ (Blackman and Vigna), seeded through SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// A generator that `seed` alone determines.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: [0, 1, 2, 3].map(|i| mix(seed, i)),
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-24.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in `[low, high)`.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.uniform() < p
    }

    /// Uniform in `0..n`; 0 for `n` = 0. The bias is below `n` / 2^32.
    pub fn below(&mut self, n: u32) -> u32 {
        let wide = (self.bits() >> 32) * u64::from(n);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// Close to normal with mean 0 and deviation 1, within +-6: the sum of
    /// twelve uniforms.
    pub fn normal(&mut self) -> f32 {
        let mut sum = 0;
        for _ in 0..3 {
            let bits = self.bits();
            sum += (0..4).map(|i| (bits >> (16 * i)) & 0xFFFF).sum::<u64>();
        }
        sum as f32 * (1.0 / 65_536.0) - 6.0
    }

    /// Three [`normal`](Self::normal)s times `deviation`.
    pub fn normal3(&mut self, deviation: f32) -> [f32; 3] {
        [0; 3].map(|_| self.normal() * deviation)
    }

    /// A colour, uniform over the cube of 8-bit RGB.
    pub fn colour(&mut self) -> [f32; 3] {
        [0; 3].map(|_| self.uniform() * 255.0)
    }
}

/// Sine of `x` radians, off by less than 1e-7.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "f64 to f32, |value| <= 1")]
pub fn sin(x: f32) -> f32 {
    let turns = f64::from(x) / TAU;
    let x = (turns - (turns + 0.5).floor()) * TAU;
    let square = x * x;
    let (mut term, mut sum, mut k) = (x, x, 2.0);
    for _ in 0..12 {
        term *= -square / (k * (k + 1.0));
        sum += term;
        k += 2.0;
    }
    sum as f32
}

/// Cosine of `x` radians, off by less than 1e-6 for `|x|` < 100.
#[must_use]
pub fn cos(x: f32) -> f32 {
    sin(x + std::f32::consts::FRAC_PI_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn close_seeds_and_indices_never_meet() {
        let numbers: HashSet<u64> = (0..200)
            .flat_map(|seed| (0..200).map(move |index| mix(seed, index)))
            .collect();
        assert_eq!(numbers.len(), 40_000);
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut rng = Rng::new(5);
        let n = 100_000;
        let uniform = (0..n).map(|_| rng.uniform()).sum::<f32>() / n as f32;
        let normals: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
        let mean = normals.iter().sum::<f32>() / n as f32;
        let variance = normals.iter().map(|v| v * v).sum::<f32>() / n as f32;
        assert!((uniform - 0.5).abs() < 0.01, "{uniform}");
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03);
    }

    #[test]
    fn sine_and_cosine_agree_with_the_standard_librarys() {
        for i in -2000..2000 {
            let x = i as f32 * 0.01;
            assert!((sin(x) - x.sin()).abs() < 1e-6, "{x}");
            assert!((cos(x) - x.cos()).abs() < 2e-6, "{x}");
        }
    }
}
