//! Every instruction set against the portable kernels, one layer at a time:
//! random shapes, strides, padding, odd sizes, tails, and values that are not
//! numbers.

use super::make::{Feature, Geometry, Net, Numbers};
use super::{Isa, differ, plan, run};
use proptest::prelude::*;

/// Values with some that are special: NaN, infinite, denormal, zero, large.
fn special(numbers: &mut Numbers, n: usize, one_in: usize) -> Vec<f32> {
    let mut values = numbers.values(n, 4.0);
    for value in &mut values {
        if numbers.once_in(one_in) {
            *value = match numbers.below(8) {
                0 => f32::NAN,
                1 => f32::INFINITY,
                2 => f32::NEG_INFINITY,
                3 => 1e-41,
                4 => -0.0,
                5 => 3e3,
                6 => -200.0,
                _ => 0.0,
            };
        }
    }
    values
}

/// 1e-5 of the largest value; more where large inputs cancel out, for sums taken
/// in another order then differ by the rounding of what went into them.
fn bound(x: &[f32], expected: &[f32]) -> f32 {
    let largest = |values: &[f32]| {
        let finite = values.iter().filter(|v| v.is_finite());
        finite.fold(1e-20_f32, |m, v| m.max(v.abs()))
    };
    f32::max(1e-5, 1e-6 * largest(x) / largest(expected))
}

/// Runs `net` on every instruction set of this machine; all must agree.
fn agree(net: &Net, one_in: usize) -> Result<(), TestCaseError> {
    let len = net.input().1.iter().product();
    let mut numbers = net.numbers.clone();
    let x = special(&mut numbers, len, one_in);
    let reference = plan(net, Isa::Portable).expect("everywhere");
    let mut reference = reference.map_err(|e| TestCaseError::fail(e.to_string()))?;
    let expected = run(&mut reference, net, &x);
    prop_assert_eq!(
        differ(&run(&mut reference, net, &x)[0], &expected[0], 0.0),
        None
    );
    for isa in [Isa::Avx512, Isa::Avx2, Isa::Neon] {
        let Some(plan) = plan(net, isa) else { continue };
        let mut plan = plan.map_err(|e| TestCaseError::fail(e.to_string()))?;
        let found = run(&mut plan, net, &x);
        for (found, expected) in found.iter().zip(&expected) {
            let wrong = differ(found, expected, bound(&x, expected));
            prop_assert!(wrong.is_none(), "{:?}: {}", isa, wrong.unwrap_or_default());
        }
    }
    Ok(())
}

prop_compose! {
    fn geometry()(
        kernel in (1_usize..8, 1_usize..8),
        square in prop::option::of(prop::sample::select(vec![1_usize, 3, 5])),
        stride in (1_usize..4, 1_usize..4),
        pads in [0_usize..4, 0..4, 0..4, 0..4],
    ) -> Geometry {
        let kernel = square.map_or(kernel, |k| (k, k));
        Geometry { kernel, stride, pads }
    }
}

fn fits(g: &Geometry, h: usize, w: usize) -> bool {
    h + g.pads[0] + g.pads[2] >= g.kernel.0 && w + g.pads[1] + g.pads[3] >= g.kernel.1
}

fn finish(mut net: Net, x: &Feature) -> Net {
    net.output(x);
    net
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn pointwise_convolutions_agree(
        seed: u64, c in 1_usize..70, out in 1_usize..70, h in 1_usize..12, w in 1_usize..12,
        act in 0_usize..7, residual: bool, one_in in prop::sample::select(vec![7_usize, 1_000_000]),
    ) {
        let out = if residual { c } else { out };
        let (mut net, x) = Net::new(seed, &[1, c, h, w]);
        let y = net.conv(&x, Some(out), Geometry::POINT);
        let y = if residual { net.add(&y, &x) } else { y };
        let y = net.act(&y, act);
        agree(&finish(net, &y), one_in)?;
    }

    #[test]
    fn depthwise_convolutions_agree(
        seed: u64, c in 2_usize..40, h in 1_usize..20, w in 1_usize..20, g in geometry(),
        act in 0_usize..7, one_in in prop::sample::select(vec![7_usize, 1_000_000]),
    ) {
        prop_assume!(fits(&g, h, w));
        let (mut net, x) = Net::new(seed, &[1, c, h, w]);
        let y = net.conv(&x, None, g);
        let y = net.act(&y, act);
        agree(&finish(net, &y), one_in)?;
    }

    #[test]
    fn dense_convolutions_agree(
        seed: u64, c in 1_usize..24, out in 1_usize..40, h in 1_usize..14, w in 1_usize..14,
        g in geometry(), act in 0_usize..7, one_in in prop::sample::select(vec![20_usize, 1_000_000]),
    ) {
        prop_assume!(fits(&g, h, w));
        let (mut net, x) = Net::new(seed, &[1, c, h, w]);
        let y = net.conv(&x, Some(out), g);
        let y = net.act(&y, act);
        agree(&finish(net, &y), one_in)?;
    }

    /// Rows enough for strips and rings that wrap around.
    #[test]
    fn inverted_residuals_agree(
        seed: u64, c in 1_usize..20, wide in 2_usize..50, h in 1_usize..60, w in 1_usize..130,
        kernel in prop::sample::select(vec![3_usize, 5, 7]), stride in 1_usize..3, act in 1_usize..5,
        excite: bool, stem: bool,
    ) {
        let around = Geometry {
            kernel: (kernel, kernel),
            stride: (stride, stride),
            pads: [kernel / 2; 4],
        };
        let (mut net, x) = Net::new(seed, &[1, c, h, w]);
        let first = if stem {
            Geometry { kernel: (3, 3), stride: (2, 2), pads: [0, 0, 2, 2] }
        } else {
            Geometry::POINT
        };
        let y = net.conv(&x, Some(wide), first);
        let y = net.act(&y, act);
        let y = net.conv(&y, None, around);
        let y = net.act(&y, act);
        let y = if excite { net.excite(&y, 3) } else { y };
        let mut y = net.conv(&y, Some(c), Geometry::POINT);
        if y.dims == x.dims {
            y = net.add(&x, &y);
        }
        agree(&finish(net, &y), 1_000_000)?;
    }

    #[test]
    fn gates_sums_and_pools_agree(
        seed: u64, c in 1_usize..40, h in 1_usize..12, w in 1_usize..12, act in 0_usize..7,
        kernel in 1_usize..5, stride in 1_usize..3, count_padding: bool,
        one_in in prop::sample::select(vec![9_usize, 1_000_000]),
    ) {
        let (mut net, x) = Net::new(seed, &[1, c, h, w]);
        let gated = net.excite(&x, 5);
        let gated = net.act(&gated, act);
        let sum = net.add(&gated, &x);
        let y = net.act(&sum, act);
        net.output(&y);
        let pad = kernel / 2;
        let g = Geometry {
            kernel: (kernel, kernel),
            stride: (stride, stride),
            pads: [pad, 0, pad, 0],
        };
        let pooled = if fits(&g, h, w) {
            net.average_pool(&y, g, count_padding)
        } else {
            net.global_pool(&y)
        };
        net.output(&pooled);
        agree(&net, one_in)?;
    }
}
