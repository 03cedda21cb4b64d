//! The kernels compiled once per instruction set and chosen at run time.
//!
//! Guarantees: every variant computes the same sums up to rounding; a machine
//! without the wide instructions runs the portable one. Costs: a cached
//! feature test a call.

use super::cells::accumulate_cells_body;
use super::linear::{accumulate_body, accumulate_columns_body};
use super::math::{cell_body, tanh_body};

/// Multiply-add is one instruction on every machine of these architectures,
/// and a slow library call elsewhere.
const BASELINE_FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

macro_rules! dispatched {
    ($(#[$meta:meta])* $name:ident = $body:ident($($arg:ident: $kind:ty),*)) => {
        $(#[$meta])*
        pub(super) fn $name($($arg: $kind),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx2,fma")]
                fn avx512($($arg: $kind),*) {
                    $body::<true>($($arg),*);
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $kind),*) {
                    $body::<true>($($arg),*);
                }
                if is_x86_feature_detected!("fma") && is_x86_feature_detected!("avx2") {
                    if is_x86_feature_detected!("avx512f") {
                        // SAFETY: the processor has avx512f, avx2 and fma, tested just above.
                        return unsafe { avx512($($arg),*) };
                    }
                    // SAFETY: the processor has avx2 and fma, tested just above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            $body::<BASELINE_FMA>($($arg),*);
        }
    };
}

dispatched! {
    /// `out[r] += weight[r, ..] . input`, with `weight` `[out, input]`.
    accumulate = accumulate_body(weight: &[f32], input: &[f32], out: &mut [f32])
}

dispatched! {
    /// `sums[cell, output] += panels[output, ..] . pooled[.., cell]`.
    accumulate_cells = accumulate_cells_body(
        panels: &[f32],
        pooled: &[f32],
        cells: usize,
        sums: &mut [f32]
    )
}

dispatched! {
    /// `out += sum of input[k] * column k`, columns of `out.len()` elements; a zero
    /// of the input costs nothing.
    accumulate_columns = accumulate_columns_body(weight: &[f32], input: &[f32], out: &mut [f32])
}

dispatched! {
    /// One LSTM cell: `gates` `[4H]` (i, f, g, o before their activations) and
    /// the old `cell` `[H]` to the new `cell_out` and `hidden_out` `[H]`.
    cell = cell_body(gates: &[f32], cell: &[f32], cell_out: &mut [f32], hidden_out: &mut [f32])
}

dispatched! {
    /// `tanh` in place.
    tanh = tanh_body(values: &mut [f32])
}

/// Asks for the cache lines of `values`, which will be read soon.
#[inline(always)]
pub(super) fn prefetch(values: &[f32]) {
    prefetch_beyond(values, 0);
}

/// Asks for as many cache lines as `values` has, `elements` further on; they may
/// lie beyond what there is.
#[inline(always)]
pub(super) fn prefetch_beyond(values: &[f32], elements: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let address = line.as_ptr().wrapping_add(elements);
        // SAFETY: a prefetch reads nothing and cannot fault; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, elements);
}

/// `out = bias + weight . input`, with `weight` `[out, input]`.
pub(super) fn affine(weight: &[f32], bias: &[f32], input: &[f32], out: &mut [f32]) {
    out.copy_from_slice(bias);
    accumulate(weight, input, out);
}
