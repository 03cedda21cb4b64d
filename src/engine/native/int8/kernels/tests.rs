//! Calls that do not fit their slices are refused.

use super::super::super::kernels::{Isa, Offsets, Run, Runs};
use super::{Bounds, Depthwise8, Kernels8, Product8, Scale8, Steps, Sum8, Window8};

const BOUNDS: Bounds = Bounds {
    zero: 3,
    lo: 0,
    hi: 255,
};

fn kernels() -> impl Iterator<Item = Kernels8> {
    [Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Portable]
        .into_iter()
        .map(Kernels8::within)
}

#[test]
fn products_that_reach_beyond_their_slices_are_refused() {
    for kernels in kernels() {
        let lanes = kernels.lanes();
        let at = Offsets::new(vec![0, 32]);
        let runs = Runs::new(vec![Run {
            offset: 0,
            count: 2,
        }]);
        let lengths = [40, 8 * lanes, lanes, lanes, 32 + lanes];
        for short in 0..=lengths.len() {
            let mut len = lengths;
            if let Some(len) = len.get_mut(short) {
                *len -= 1;
            }
            let mut out = vec![0; len[4]];
            let done = kernels.product(&mut Product8 {
                a: &vec![1; len[0]],
                at: &at,
                runs: &runs,
                reach: 8,
                weights: &vec![1; len[1]],
                bias: &vec![0; len[2]],
                scale: &vec![1.0; len[3]],
                nv: 1,
                out: &mut out,
                off: &at,
                pixels: 0..2,
                bounds: BOUNDS,
            });
            assert_eq!(done.is_ok(), short == lengths.len(), "{kernels:?} {short}");
        }
    }
}

#[test]
fn depthwise_convolutions_that_reach_beyond_their_slices_are_refused() {
    for kernels in kernels() {
        let widths: Vec<usize> = kernels.blocks().collect();
        for (strip, block) in widths.into_iter().enumerate() {
            let steps = Steps {
                row: 4 * block,
                pixel: block,
            };
            let lengths = [4 * 4 * block, 3 * 4 * block, block, block, 6 * block];
            for short in 0..=lengths.len() {
                let mut len = lengths;
                if let Some(len) = len.get_mut(short) {
                    *len -= 1;
                }
                let mut out = vec![0; len[4]];
                let done = kernels.depthwise(&mut Depthwise8 {
                    strip,
                    src: &vec![1; len[0]],
                    from: steps,
                    kernel: (3, 3),
                    stride: (1, 1),
                    weights: &vec![1; len[1]],
                    bias: &vec![0; len[2]],
                    scale: &vec![1.0; len[3]],
                    out: &mut out,
                    to: steps,
                    size: (2, 2),
                    bounds: BOUNDS,
                });
                assert_eq!(done.is_ok(), short == lengths.len(), "{kernels:?} {short}");
            }
        }
    }
}

#[test]
fn passes_that_reach_beyond_their_slices_are_refused() {
    for kernels in kernels() {
        let group = kernels.group();
        let sum = |a: usize, b: usize| {
            kernels.sum(&mut Sum8 {
                a: &vec![0; a],
                b: &vec![0; b],
                out: &mut vec![0; group],
                zero: (0, 0),
                scale: (1.0, 1.0),
                bounds: BOUNDS,
            })
        };
        assert!(sum(group, group).is_ok());
        assert!(sum(group - 1, group).is_err() && sum(group, group - 1).is_err());
        let pool = |len: usize, out: usize| {
            let src = vec![0; len];
            let window = Window8 {
                src: &src,
                from: Steps {
                    row: 2 * group,
                    pixel: group,
                },
                size: (2, 2),
                zero: 0,
                scale: 0.25,
            };
            kernels.pool(&window, &mut vec![0; out], BOUNDS)
        };
        assert!(pool(4 * group, group).is_ok());
        assert!(pool(4 * group - 1, group).is_err() && pool(4 * group, group - 1).is_err());
        let off = Offsets::new((0..40).map(|p| p * 4).collect());
        let scale = Scale8 { zero: 0, step: 1.0 };
        let moved = |planes: usize, map: usize| {
            let mut bytes = vec![0; map];
            let import = kernels.import(&vec![0.0; planes], 3, &mut bytes, &off, scale);
            let export = kernels.export(&bytes, &off, scale, 3, &mut vec![0.0; planes]);
            (import.is_ok(), export.is_ok())
        };
        assert_eq!(moved(120, 160), (true, true));
        assert_eq!(moved(119, 160), (false, false));
        assert_eq!(moved(120, 159), (false, false));
    }
}

#[test]
fn what_is_not_a_number_becomes_a_value_all_the_same() {
    for kernels in kernels() {
        for pixels in [1, 40] {
            let off = Offsets::new((0..pixels).map(|p| p * 4).collect());
            let scale = Scale8 {
                zero: 10,
                step: 1.0,
            };
            let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.5];
            let count = usize::try_from(pixels).unwrap();
            let planes: Vec<f32> = x.iter().flat_map(|v| vec![*v; count]).collect();
            let mut map = vec![0; 4 * count];
            kernels.import(&planes, 4, &mut map, &off, scale).unwrap();
            for pixel in map.chunks(4) {
                let values: Vec<u8> = pixel.iter().map(|b| b ^ kernels.flip()).collect();
                assert_eq!(values, [255, 255, 0, 12]);
            }
        }
    }
}
