//! Each kernel against plain loops, on every instruction set of this machine;
//! and calls that do not fit, which must be refused. Small enough for Miri,
//! which runs the portable ones (`tests/miri/run`).

use super::{Act, Curve, Depthwise, Gemm, Isa, Kernels, Misfit, Offsets, Pixel, Run, Runs};

fn every() -> impl Iterator<Item = Kernels> {
    Isa::ALL.into_iter().filter_map(Kernels::of)
}

/// Numbers of either sign that differ.
fn values(n: usize, seed: usize) -> Vec<f32> {
    let value = |i: usize| u8::try_from((i * 37 + seed * 11) % 101).map_or(0.0, f32::from);
    (0..n).map(|i| value(i) / 25.0 - 2.0).collect()
}

fn places(values: impl Iterator<Item = usize>) -> Offsets {
    Offsets::new(values.map(|v| u32::try_from(v).unwrap()).collect())
}

fn assert_close(found: f32, expected: f32, what: &str) {
    assert!(
        (found - expected).abs() <= 1e-4,
        "{what}: {found}, not {expected}"
    );
}

/// A product of 5 pixels of two runs with a residual, in blocks set apart.
struct Product {
    a: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
    residual: Vec<f32>,
    out: Vec<f32>,
    runs: Runs,
    off: Offsets,
    plane: usize,
    nv: usize,
}

const PIXELS: usize = 5;

impl Product {
    fn new(lanes: usize, nv: usize) -> Self {
        let plane = PIXELS * lanes + 3;
        let run = |offset: usize, count| Run {
            offset: u32::try_from(offset).unwrap(),
            count,
        };
        let count = u32::try_from(lanes).unwrap();
        let runs = Runs::new(vec![run(0, count), run(PIXELS * lanes, 3)]);
        let inner = lanes + 3;
        Self {
            a: values((2 * PIXELS - 1) * lanes + 3, 1),
            weights: values(inner * nv * lanes, 2),
            bias: values(nv * lanes, 3),
            residual: values(nv * plane, 4),
            out: vec![f32::NAN; nv * plane],
            runs,
            // Pixels from the last to the first.
            off: places((0..PIXELS).map(|p| (PIXELS - 1 - p) * lanes)),
            plane,
            nv,
        }
    }

    fn run(&mut self, kernels: Kernels) -> Result<(), Misfit> {
        kernels.gemm(&mut Gemm {
            a: &self.a,
            pixel: Pixel::Blocked,
            runs: &self.runs,
            weights: &self.weights,
            bias: &self.bias,
            nv: self.nv,
            out: &mut self.out,
            plane: self.plane,
            off: &self.off,
            pixels: 0..PIXELS,
            residual: Some((&self.residual, self.plane)),
            act: Act {
                clamp: (-3.0, 20.0),
                curve: None,
            },
        })
    }

    fn expected(&self, lanes: usize, pixel: usize, channel: usize) -> (usize, f32) {
        let at = channel / lanes * self.plane + (PIXELS - 1 - pixel) * lanes + channel % lanes;
        let mut sum = self.bias[channel] + self.residual[at];
        for k in 0..lanes + 3 {
            let run = if k < lanes {
                k
            } else {
                PIXELS * lanes + k - lanes
            };
            sum += self.a[pixel * lanes + run] * self.weights[k * self.nv * lanes + channel];
        }
        (at, sum.clamp(-3.0, 20.0))
    }
}

#[test]
fn products_equal_plain_loops() {
    for kernels in every() {
        let lanes = kernels.lanes();
        for nv in 1..=Kernels::MAX_NV {
            let mut product = Product::new(lanes, nv);
            product.run(kernels).unwrap();
            for pixel in 0..PIXELS {
                for channel in 0..nv * lanes {
                    let (at, expected) = product.expected(lanes, pixel, channel);
                    assert_close(product.out[at], expected, "product");
                }
            }
            let untouched = product.out.iter().filter(|v| v.is_nan()).count();
            assert_eq!(untouched, nv * 3, "nothing between the blocks is written");
        }
    }
}

#[test]
fn products_that_do_not_fit_are_refused() {
    for kernels in every() {
        let spoil: [fn(&mut Product); 7] = [
            |p| p.a.truncate(p.a.len() - 1),
            |p| p.weights.truncate(p.weights.len() - 1),
            |p| p.bias.truncate(p.bias.len() - 1),
            |p| p.residual.truncate(p.residual.len() - 4),
            |p| p.out.truncate(p.out.len() - 4),
            |p| p.off = places(0..PIXELS - 1),
            |p| p.nv = 4,
        ];
        for spoil in spoil {
            let mut product = Product::new(kernels.lanes(), 2);
            spoil(&mut product);
            assert!(product.run(kernels).is_err());
        }
        let mut product = Product::new(kernels.lanes(), 2);
        product.plane += 4;
        assert!(product.run(kernels).is_err());
    }
}

/// A 3x3 convolution of a 4x5 image with a row and a column of padding.
fn depthwise(
    kernels: Kernels,
    src: &[f32],
    out: &mut [f32],
    stride: usize,
    width: usize,
    ys: std::ops::Range<usize>,
    sum: Option<&mut [f32]>,
) -> Result<(), Misfit> {
    let lanes = kernels.lanes();
    kernels.depthwise(&mut Depthwise {
        src,
        rows: &places((0..4).map(|y| y * 7 * lanes)),
        pad_top: 1,
        kernel: (3, 3),
        stride: (stride, stride),
        weights: &values(9 * lanes, 5),
        bias: &values(lanes, 6),
        out,
        width,
        ys,
        act: Act {
            curve: Some(Curve::HardSwish),
            ..Act::NONE
        },
        sum,
    })
}

/// The 5 columns of a padded row of 7 are real.
fn image(lanes: usize) -> Vec<f32> {
    let mut src = values(4 * 7 * lanes, 7);
    for (i, value) in src.iter_mut().enumerate() {
        if matches!(i / lanes % 7, 0 | 6) {
            *value = 0.0;
        }
    }
    src
}

#[test]
fn depthwise_convolutions_equal_plain_loops() {
    for kernels in every() {
        let lanes = kernels.lanes();
        let (src, w, bias) = (image(lanes), values(9 * lanes, 5), values(lanes, 6));
        for (stride, height, width) in [(1, 4, 5), (2, 2, 3)] {
            let mut out = vec![f32::NAN; height * width * lanes];
            let mut sum = vec![0.0; lanes];
            depthwise(
                kernels,
                &src,
                &mut out,
                stride,
                width,
                0..height,
                Some(&mut sum),
            )
            .unwrap();
            for c in 0..lanes {
                let mut total = 0.0;
                for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                    let mut v = bias[c];
                    for (ky, kx) in (0..3).flat_map(|ky| (0..3).map(move |kx| (ky, kx))) {
                        let Some(iy) = (y * stride + ky).checked_sub(1).filter(|iy| *iy < 4) else {
                            continue;
                        };
                        let at = (iy * 7 + x * stride + kx) * lanes + c;
                        v += src[at] * w[(ky * 3 + kx) * lanes + c];
                    }
                    let v = v * (v / 6.0 + 0.5).clamp(0.0, 1.0);
                    assert_close(out[(y * width + x) * lanes + c], v, "depthwise");
                    total += v;
                }
                assert!((sum[c] - total).abs() < 1e-3, "{} {total}", sum[c]);
            }
        }
    }
}

#[test]
fn depthwise_convolutions_that_do_not_fit_are_refused() {
    for kernels in every() {
        let lanes = kernels.lanes();
        let src = image(lanes);
        let mut out = vec![0.0; 4 * 5 * lanes];
        let short = src.len() - 1;
        assert!(depthwise(kernels, &src[..short], &mut out, 1, 5, 0..4, None).is_err());
        assert!(depthwise(kernels, &src, &mut out, 1, 6, 0..3, None).is_err());
        assert!(depthwise(kernels, &src, &mut out, 1, 5, 0..5, None).is_err());
        let mut sum = vec![0.0; lanes - 1];
        assert!(depthwise(kernels, &src, &mut out, 1, 5, 0..4, Some(&mut sum)).is_err());
        assert!(depthwise(kernels, &src, &mut out, 1, 5, 4..9, None).is_err());
    }
}

#[test]
fn passes_equal_plain_loops_and_refuse_what_does_not_fit() {
    for kernels in every() {
        let lanes = kernels.lanes();
        let n = 3 * lanes;
        let (a, b) = (values(n, 1), values(n, 2));
        let mut out = vec![0.0; n];
        let act = Act {
            clamp: (-1.0, 2.0),
            curve: None,
        };
        kernels.add(&a, Some(&b), &mut out, act).unwrap();
        (0..n).for_each(|i| assert_close(out[i], (a[i] + b[i]).clamp(-1.0, 2.0), "sum"));
        kernels.scale(&a, &b, &mut out, act).unwrap();
        (0..n).for_each(|i| assert_close(out[i], (a[i] * b[i % lanes]).clamp(-1.0, 2.0), "scale"));
        kernels.scale_rows(&a, &b[..3], 1, &mut out).unwrap();
        (0..n).for_each(|i| assert_close(out[i], a[i] * b[i / lanes], "rows"));
        kernels.pool(&a, lanes, (1, 3), 0.5, &mut out).unwrap();
        (0..lanes).for_each(|c| {
            assert_close(
                out[c],
                0.5 * (a[c] + a[c + lanes] + a[c + 2 * lanes]),
                "pool",
            );
        });
        assert!(kernels.add(&a[1..], None, &mut out, act).is_err());
        assert!(kernels.add(&a, Some(&b[1..]), &mut out, act).is_err());
        assert!(kernels.scale(&a, &b[..lanes - 1], &mut out, act).is_err());
        assert!(kernels.scale_rows(&a, &b[..4], 1, &mut out).is_err());
        assert!(kernels.pool(&a, lanes, (3, 2), 1.0, &mut out).is_err());
    }
}

#[test]
fn curves_are_those_of_the_standard_library() {
    for kernels in every() {
        let lanes = kernels.lanes();
        let steps = if cfg!(miri) { 8 } else { 400 };
        for i in -steps..=steps {
            let x = f32::from(i16::try_from(i).unwrap()) * (120.0 / 400.0);
            for curve in [Curve::Silu, Curve::Sigmoid] {
                let act = Act {
                    curve: Some(curve),
                    ..Act::NONE
                };
                let mut out = vec![0.0; lanes];
                kernels.add(&vec![x; lanes], None, &mut out, act).unwrap();
                let sigmoid = 1.0 / (1.0 + (-f64::from(x)).exp());
                let expected = match curve {
                    Curve::Silu => f64::from(x) * sigmoid,
                    _ => sigmoid,
                };
                let error = (f64::from(out[0]) - expected).abs();
                // The exponent is rounded to 24 bits before it is raised.
                let bound = 4e-7 * (1.0 + f64::from(x.abs()));
                assert!(
                    error <= bound * expected.abs() + 1e-34,
                    "{:?} {curve:?}({x})",
                    kernels.isa()
                );
            }
        }
    }
}
