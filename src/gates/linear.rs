//! Matrix kernels, written so that the autovectoriser turns them into wide
//! multiply-adds; [`super::simd`] compiles them once per instruction set.
//!
//! Weights are read once, row by row, straight from the mapped file: at these
//! sizes the cost is the read, not the arithmetic.

use std::array::from_fn;

/// Lanes of one accumulator: one AVX-512 register, two of AVX2, four of NEON.
pub(super) const LANES: usize = 16;
/// Rows that share one read of the input.
const ROWS: usize = 4;

#[inline(always)]
pub(super) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `out[r] += weight[r, ..] . input`: `weight` is `[out, input]`.
#[inline(always)]
pub(super) fn accumulate_body<const FMA: bool>(weight: &[f32], input: &[f32], out: &mut [f32]) {
    let width = input.len();
    let mut weights = weight.chunks_exact(ROWS * width);
    let mut outs = out.chunks_exact_mut(ROWS);
    for (weight, out) in weights.by_ref().zip(outs.by_ref()) {
        rows::<FMA, ROWS>(weight, input, out);
    }
    let weights = weights.remainder().chunks_exact(width);
    let outs = outs.into_remainder().chunks_exact_mut(1);
    for (weight, out) in weights.zip(outs) {
        rows::<FMA, 1>(weight, input, out);
    }
}

/// `R` rows against the input, all sums in registers; every weight is used once and
/// multiplied straight from memory.
#[inline(always)]
fn rows<const FMA: bool, const R: usize>(weight: &[f32], input: &[f32], out: &mut [f32]) {
    let width = input.len();
    let rows: [_; R] = from_fn(|r| weight[r * width..][..width].as_chunks::<LANES>());
    let column = input.as_chunks::<LANES>();
    let row_chunks: [_; R] = from_fn(|r| &rows[r].0[..column.0.len()]);
    let mut sums = [[0.0f32; LANES]; R];
    for (k, values) in column.0.iter().enumerate() {
        for r in 0..R {
            sums[r] = lanes::<FMA>(&row_chunks[r][k], values, sums[r]);
        }
    }
    for r in 0..R {
        let mut tail = 0.0;
        for (a, b) in rows[r].1.iter().zip(column.1) {
            tail = multiply_add::<FMA>(*a, *b, tail);
        }
        out[r] += horizontal(sums[r]) + tail;
    }
}

#[inline(always)]
pub(super) fn lanes<const FMA: bool>(
    a: &[f32; LANES],
    b: &[f32; LANES],
    sum: [f32; LANES],
) -> [f32; LANES] {
    from_fn(|lane| multiply_add::<FMA>(a[lane], b[lane], sum[lane]))
}

#[inline(always)]
fn horizontal(lanes: [f32; LANES]) -> f32 {
    let eight: [f32; 8] = from_fn(|i| lanes[i] + lanes[i + 8]);
    let four: [f32; 4] = from_fn(|i| eight[i] + eight[i + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// `[rows, columns]` to `[columns, rows]`.
pub(super) fn transpose(from: &[f32], columns: usize, to: &mut [f32]) {
    let rows = from.len() / columns;
    for (row, values) in from.chunks_exact(columns).enumerate() {
        for (column, value) in values.iter().enumerate() {
            to[column * rows + row] = *value;
        }
    }
}

/// Columns that share one pass over the output.
const GROUP: usize = 4;

/// `out += sum of input[k] * column k` with columns of `out.len()` elements:
/// `weight` is `[input, out]`. A zero of the input, of which a ReLU leaves many,
/// costs nothing, not even the read of its column.
#[inline(always)]
pub(super) fn accumulate_columns_body<const FMA: bool>(
    weight: &[f32],
    input: &[f32],
    out: &mut [f32],
) {
    let empty: [(f32, &[f32]); GROUP] = [(0.0, &weight[..out.len()]); GROUP];
    let (mut current, mut next, mut filled) = (empty, empty, 0);
    for (value, column) in input.iter().zip(weight.chunks_exact(out.len())) {
        if *value == 0.0 {
            continue;
        }
        super::simd::prefetch(column);
        next[filled] = (*value, column);
        filled += 1;
        if filled == GROUP {
            // The group before this one has had the time to arrive.
            add_columns::<FMA>(&current, out);
            (current, next, filled) = (next, empty, 0);
        }
    }
    add_columns::<FMA>(&current, out);
    add_columns::<FMA>(&next, out);
}

#[inline(always)]
fn add_columns<const FMA: bool>(group: &[(f32, &[f32]); GROUP], out: &mut [f32]) {
    let columns: [_; GROUP] = from_fn(|g| group[g].1[..out.len()].as_chunks::<LANES>());
    let values: [[f32; LANES]; GROUP] = from_fn(|g| [group[g].0; LANES]);
    let (chunks, tail) = out.as_chunks_mut::<LANES>();
    for (k, sum) in chunks.iter_mut().enumerate() {
        for g in 0..GROUP {
            *sum = lanes::<FMA>(&values[g], &columns[g].0[k], *sum);
        }
    }
    for (k, sum) in tail.iter_mut().enumerate() {
        for g in 0..GROUP {
            *sum = multiply_add::<FMA>(group[g].0, columns[g].1[k], *sum);
        }
    }
}

/// True when no element is NaN or infinite.
pub(super) fn all_finite(values: &[f32]) -> bool {
    // x * 0 is 0 for every finite x and NaN for every other.
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value * 0.0;
        }
    }
    let rest: f32 = rest.iter().map(|value| value * 0.0).sum();
    horizontal(sums) + rest == 0.0
}

/// `max(x, 0)` in place.
pub(super) fn relu(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}

/// LayerNorm in place, eps 1e-5, biased variance, as PyTorch's.
pub(super) fn layer_norm(values: &mut [f32], weight: &[f32], bias: &[f32]) {
    let count = f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|v| (f64::from(*v) - mean).powi(2))
        .sum::<f64>()
        / count;
    let scale = 1.0 / (variance + 1e-5).sqrt();
    for ((value, weight), bias) in values.iter_mut().zip(weight).zip(bias) {
        let normal = (f64::from(*value) - mean) * scale;
        *value = to_f32(normal) * weight + bias;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "f32 is the precision kept")]
fn to_f32(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::super::simd;
    use super::*;
    use proptest::prelude::*;

    fn naive(weight: &[f32], input: &[f32], width: usize, bias: f32) -> Vec<f64> {
        weight
            .chunks_exact(width)
            .flat_map(|row| {
                input.chunks_exact(width).map(move |column| {
                    let dot = row.iter().zip(column).map(|(a, b)| f64::from(a * b));
                    f64::from(bias) + dot.sum::<f64>()
                })
            })
            .collect()
    }

    proptest! {
        #[test]
        fn every_shape_multiplies_as_the_plain_loop_does(
            rows in 1usize..14, width in 1usize..70, seed in 0u32..1000,
        ) {
            let value = |i: usize| {
                let bits = (u32::try_from(i).unwrap() + seed).wrapping_mul(2_654_435_761) >> 16;
                f32::from(u16::try_from(bits & 0xff).unwrap()) / 128.0 - 1.0
            };
            let weight: Vec<f32> = (0..rows * width).map(value).collect();
            let input: Vec<f32> = (0..width).map(|i| value(i + 7919)).collect();
            let want = naive(&weight, &input, width, 0.5);
            for multiply in [simd::accumulate, accumulate_body::<false>, accumulate_body::<true>] {
                let mut out = vec![0.5; rows];
                multiply(&weight, &input, &mut out);
                for (got, want) in out.iter().zip(&want) {
                    prop_assert!((f64::from(*got) - want).abs() < 1e-4, "{got} {want}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn columns_multiply_as_rows_do_and_zeros_count_for_nothing(
            rows in 1usize..40, width in 1usize..70, seed in 0u32..1000,
        ) {
            let value = |i: usize| {
                let bits = (u32::try_from(i).unwrap() + seed).wrapping_mul(2_654_435_761) >> 16;
                f32::from(u16::try_from(bits & 0xff).unwrap()) / 128.0 - 1.0
            };
            let weight: Vec<f32> = (0..rows * width).map(value).collect();
            let mut input: Vec<f32> = (0..width).map(|i| value(i + 7919)).collect();
            relu(&mut input);
            let mut columns = vec![0.0; weight.len()];
            transpose(&weight, width, &mut columns);
            let want = naive(&weight, &input, width, 0.5);
            for multiply in [
                simd::accumulate_columns,
                accumulate_columns_body::<false>,
                accumulate_columns_body::<true>,
            ] {
                let mut out = vec![0.5; rows];
                multiply(&columns, &input, &mut out);
                for (got, want) in out.iter().zip(&want) {
                    prop_assert!((f64::from(*got) - want).abs() < 1e-4, "{got} {want}");
                }
            }
        }
    }

    #[test]
    fn a_single_bad_value_is_seen_wherever_it_is() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for position in [0, 15, 16, 40] {
                let mut values = vec![f32::MAX; 41];
                assert!(all_finite(&values));
                values[position] = bad;
                assert!(!all_finite(&values));
            }
        }
    }
}
