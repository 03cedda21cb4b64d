//! Activations without library calls, so that loops over them vectorise.
//!
//! `exp` is within 2e-7 relative of the exact value over the clamped range
//! [-87, 88]; `sigmoid` and `tanh` within 3e-7 absolute. NaN stays NaN.

use super::linear::multiply_add;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// 1.5 * 2^23: adding it rounds to an integer that sits in the low mantissa bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts, the first with trailing zeros so that n * LN2_HIGH is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// e^x.
#[inline(always)]
pub(super) fn exp<const FMA: bool>(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let rounded = multiply_add::<FMA>(x, LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = multiply_add::<FMA>(n, -LN2_HIGH, x);
    let r = multiply_add::<FMA>(n, -LN2_LOW, r);
    let mut p = 1.0 / 720.0;
    for c in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = multiply_add::<FMA>(p, r, c);
    }
    // 2^n: n in the exponent bits, plus the bias of 127.
    p * f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23))
}

#[inline(always)]
pub(super) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

#[inline(always)]
fn tanh<const FMA: bool>(x: f32) -> f32 {
    1.0 - 2.0 / (exp::<FMA>(x + x) + 1.0)
}

#[inline(always)]
pub(super) fn tanh_body<const FMA: bool>(values: &mut [f32]) {
    for value in values {
        *value = tanh::<FMA>(*value);
    }
}

#[inline(always)]
pub(super) fn cell_body<const FMA: bool>(
    gates: &[f32],
    cell: &[f32],
    cell_out: &mut [f32],
    hidden_out: &mut [f32],
) {
    let hidden = cell.len();
    let (input, gates) = gates.split_at(hidden);
    let (forget, gates) = gates.split_at(hidden);
    let (update, output) = gates.split_at(hidden);
    let output = &output[..hidden];
    let (cell_out, hidden_out) = (&mut cell_out[..hidden], &mut hidden_out[..hidden]);
    for k in 0..hidden {
        let kept = sigmoid::<FMA>(forget[k]) * cell[k];
        let new = multiply_add::<FMA>(sigmoid::<FMA>(input[k]), tanh::<FMA>(update[k]), kept);
        cell_out[k] = new;
        hidden_out[k] = sigmoid::<FMA>(output[k]) * tanh::<FMA>(new);
    }
}

/// Softmax of a few values, in place.
pub(super) fn softmax(values: &mut [f32]) {
    let top = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in values.iter_mut() {
        *value = exp::<false>(*value - top);
        sum += *value;
    }
    for value in values {
        *value /= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_sigmoid_and_tanh_follow_the_library_functions() {
        for step in -9000i16..=9000 {
            let x = f32::from(step) / 100.0;
            let exact = f64::from(x.clamp(-87.0, 88.0)).exp();
            for e in [exp::<true>(x), exp::<false>(x)] {
                assert!((f64::from(e) / exact - 1.0).abs() < 4e-7, "exp {x}");
            }
            let x64 = f64::from(x);
            let s = f64::from(sigmoid::<true>(x)) - 1.0 / (1.0 + (-x64).exp());
            assert!(s.abs() < 3e-7, "sigmoid {x}");
            let t = f64::from(tanh::<false>(x)) - x64.tanh();
            assert!(t.abs() < 4e-7, "tanh {x}");
        }
    }

    #[test]
    fn infinities_saturate_and_nan_stays_nan() {
        assert!(exp::<false>(f32::INFINITY).is_finite());
        assert!((sigmoid::<false>(f32::NEG_INFINITY)).abs() < 1e-30);
        assert!((tanh::<true>(f32::INFINITY) - 1.0).abs() < 1e-6);
        assert!(exp::<true>(f32::NAN).is_nan());
    }

    #[test]
    fn softmax_of_far_apart_values_sums_to_one() {
        let mut values = [-1e30, 0.0, 1000.0];
        softmax(&mut values);
        assert!((values.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((values[2] - 1.0).abs() < 1e-6);
    }
}
