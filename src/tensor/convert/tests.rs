//! Conversion against a naive per-pixel f64 reference, and what must hold for
//! every format and size.

use super::*;
use crate::engine::bundle::Fit;
use crate::tensor::{Colour, Matrix, Range};
use proptest::prelude::*;

mod paths;

fn input(width: usize, height: usize, fit: Fit) -> InputSpec {
    InputSpec {
        width,
        height,
        mean: [0.0; 3],
        std: [1.0; 3],
        fit,
    }
}

fn frame(format: PixelFormat, width: u32, height: u32, colour: Colour, data: Vec<u8>) -> Frame {
    let meta = FrameMeta {
        width,
        height,
        format,
        colour,
        ..FrameMeta::default()
    };
    Frame {
        meta,
        data,
        lent: None,
    }
}

fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u8::try_from(state >> 24).unwrap()
    };
    (0..len).map(next).collect()
}

fn noisy(format: PixelFormat, width: u32, height: u32, colour: Colour, seed: u32) -> Frame {
    let len = format.frame_len(width, height).unwrap();
    frame(format, width, height, colour, noise(len, seed))
}

fn convert(frame: &Frame, input: &InputSpec) -> Vec<f32> {
    let mut converter = Converter::new(input);
    let mut tensor = vec![f32::NAN; converter.tensor_len()];
    converter.convert(frame, &mut tensor).unwrap();
    tensor
}

fn float(size: usize) -> f64 {
    f64::from(u32::try_from(size).unwrap())
}

/// Sample (x, y) of a component, and (columns, rows) of its grid.
type Plane<'a> = (Box<dyn Fn(usize, usize) -> f64 + 'a>, usize, usize);

/// The three components of a frame, as the format's documentation has them.
fn planes(frame: &Frame) -> [Plane<'_>; 3] {
    let (w, h) = (frame.meta.width as usize, frame.meta.height as usize);
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    fn plane<'a>(
        data: &'a [u8],
        (columns, rows): (usize, usize),
        at: impl Fn(usize, usize) -> usize + 'a,
    ) -> Plane<'a> {
        (
            Box::new(move |x, y| f64::from(data[at(x, y)])),
            columns,
            rows,
        )
    }
    let data = &frame.data;
    let (full, quarter) = ((w, h), (cw, ch));
    let luma = || plane(data, full, move |x, y| y * w + x);
    let packed = |o: usize| plane(data, full, move |x, y| (y * w + x) * 3 + o);
    let pair = |size: (usize, usize), step: usize, o: usize| {
        plane(data, size, move |x, y| y * cw * 4 + x * step + o)
    };
    let neutral = || -> Plane<'_> { (Box::new(|_, _| 128.0), 1, 1) };
    match frame.meta.format {
        PixelFormat::Gray8 => [luma(), neutral(), neutral()],
        PixelFormat::Rgb24 | PixelFormat::Yuv24 => [packed(0), packed(1), packed(2)],
        PixelFormat::Bgr24 => [packed(2), packed(1), packed(0)],
        PixelFormat::Yuyv => [pair(full, 2, 0), pair((cw, h), 4, 1), pair((cw, h), 4, 3)],
        PixelFormat::Uyvy => [pair(full, 2, 1), pair((cw, h), 4, 0), pair((cw, h), 4, 2)],
        PixelFormat::Nv12 => [
            luma(),
            plane(data, quarter, move |x, y| w * h + (y * cw + x) * 2),
            plane(data, quarter, move |x, y| w * h + (y * cw + x) * 2 + 1),
        ],
        PixelFormat::Nv16 => [
            luma(),
            plane(data, (cw, h), move |x, y| w * h + (y * cw + x) * 2),
            plane(data, (cw, h), move |x, y| w * h + (y * cw + x) * 2 + 1),
        ],
        PixelFormat::I420 => [
            luma(),
            plane(data, quarter, move |x, y| w * h + y * cw + x),
            plane(data, quarter, move |x, y| w * h + cw * ch + y * cw + x),
        ],
        PixelFormat::I422 => [
            luma(),
            plane(data, (cw, h), move |x, y| w * h + y * cw + x),
            plane(data, (cw, h), move |x, y| w * h + cw * h + y * cw + x),
        ],
        PixelFormat::I444 => [
            luma(),
            plane(data, full, move |x, y| w * h + y * w + x),
            plane(data, full, move |x, y| 2 * w * h + y * w + x),
        ],
    }
}

/// Weights of every sample of an axis for one output.
fn weights(start: f64, length: f64, samples: usize, outputs: usize, output: usize) -> Vec<f64> {
    let scale = length / float(outputs);
    let centre = start + (float(output) + 0.5) * scale;
    let weight = |i: usize| {
        let inside = float(i) + 1.0 > start + 1e-6 && float(i) < start + length - 1e-6;
        let away = (float(i) + 0.5 - centre).abs() / scale.max(1.0);
        if inside { (1.0 - away).max(0.0) } else { 0.0 }
    };
    let all: Vec<f64> = (0..samples).map(weight).collect();
    let sum: f64 = all.iter().sum();
    all.iter().map(|w| w / sum).collect()
}

fn reference(frame: &Frame, input: &InputSpec) -> Vec<f64> {
    let meta = &frame.meta;
    let (width, height) = (f64::from(meta.width), f64::from(meta.height));
    let (out_w, out_h) = (float(input.width), float(input.height));
    let shrink = if input.fit == Fit::Crop {
        (width / out_w).min(height / out_h)
    } else {
        0.0
    };
    let (crop_w, crop_h) = match input.fit {
        Fit::Crop => (shrink * out_w, shrink * out_h),
        Fit::Stretch => (width, height),
    };
    let (left, top) = ((width - crop_w) / 2.0, (height - crop_h) / 2.0);
    let area = input.width * input.height;
    let mut rows = [vec![0.0; area], vec![0.0; area], vec![0.0; area]];
    for ((sample, columns, lines), out) in planes(frame).into_iter().zip(&mut rows) {
        let (sx, sy) = (grid(columns, meta.width), grid(lines, meta.height));
        for y in 0..input.height {
            let wy = weights(top * sy, crop_h * sy, lines, input.height, y);
            for x in 0..input.width {
                let wx = weights(left * sx, crop_w * sx, columns, input.width, x);
                let mut sum = 0.0;
                for (j, wy) in wy.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                    for (i, wx) in wx.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                        sum += wy * wx * sample(i, j);
                    }
                }
                out[y * input.width + x] = sum;
            }
        }
    }
    if meta.format == PixelFormat::Gray8 {
        rows[1].fill(128.0);
        rows[2].fill(128.0);
    }
    let rgb = layout::is_rgb(meta.format);
    let mut tensor = vec![0.0; 3 * area];
    for i in 0..area {
        let triple = [rows[0][i], rows[1][i], rows[2][i]];
        let triple = if rgb {
            triple
        } else {
            to_rgb(triple, meta.colour)
        };
        for (c, value) in triple.into_iter().enumerate() {
            let (mean, std) = (f64::from(input.mean[c]), f64::from(input.std[c]));
            tensor[c * area + i] = (value.clamp(0.0, 255.0) - mean) / std;
        }
    }
    tensor
}

fn grid(samples: usize, pixels: u32) -> f64 {
    if samples == pixels as usize { 1.0 } else { 0.5 }
}

fn to_rgb([y, u, v]: [f64; 3], colour: Colour) -> [f64; 3] {
    let (u, v) = (u - 128.0, v - 128.0);
    let y = if colour.range == Range::Limited {
        1.164_383 * (y - 16.0)
    } else {
        y
    };
    let [rv, gu, gv, bu] = match (colour.matrix, colour.range) {
        (Matrix::Bt601, Range::Limited) => [1.596_027, 0.391_762, 0.812_968, 2.017_232],
        (Matrix::Bt709, Range::Limited) => [1.792_741, 0.213_249, 0.532_909, 2.112_402],
        (Matrix::Bt601, Range::Full) => [1.402, 0.344_136, 0.714_136, 1.772],
        (Matrix::Bt709, Range::Full) => [1.5748, 0.187_324, 0.468_124, 1.8556],
        (other, _) => unreachable!("{other:?} is not drawn"),
    };
    [y + rv * v, y - gu * u - gv * v, y + bu * u]
}

fn assert_matches(frame: &Frame, input: &InputSpec) {
    let mut got = vec![f32::NAN; 3 * input.width * input.height];
    let mut exact = Converter::new(input).exact();
    exact.convert(frame, &mut got).unwrap();
    for (i, (got, want)) in got.iter().zip(reference(frame, input)).enumerate() {
        let error = (f64::from(*got) - want).abs();
        assert!(
            error < 0.01,
            "{:?} {input:?} element {i}: {got} {want}",
            frame.meta
        );
    }
}

fn any_format() -> impl Strategy<Value = PixelFormat> {
    prop::sample::select(&PixelFormat::ALL[..])
}

fn any_colour() -> impl Strategy<Value = Colour> {
    let ranges = prop::sample::select(&[Range::Limited, Range::Full][..]);
    let matrices = prop::sample::select(&[Matrix::Bt601, Matrix::Bt709][..]);
    (ranges, matrices).prop_map(|(range, matrix)| Colour {
        range,
        matrix,
        ..Colour::default()
    })
}

fn any_fit() -> impl Strategy<Value = Fit> {
    prop::sample::select(&[Fit::Crop, Fit::Stretch][..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_frame_converts_as_the_naive_reference_does(
        (format, colour, fit) in (any_format(), any_colour(), any_fit()),
        (width, height, seed) in (1u32..40, 1u32..40, any::<u32>()),
        (out_width, out_height) in (1usize..24, 1usize..24),
    ) {
        let frame = noisy(format, width, height, colour, seed);
        assert_matches(&frame, &input(out_width, out_height, fit));
    }

    #[test]
    fn a_constant_frame_stays_constant(
        (format, colour, fit, value) in (any_format(), any_colour(), any_fit(), any::<u8>()),
        (width, height) in (1u32..300, 1u32..300),
    ) {
        let len = format.frame_len(width, height).unwrap();
        let frame = frame(format, width, height, colour, vec![value; len]);
        let tensor = convert(&frame, &input(9, 7, fit));
        for channel in tensor.chunks_exact(63) {
            for value in channel {
                prop_assert!((value - channel[0]).abs() < 0.5, "{channel:?}");
            }
        }
    }

    #[test]
    fn a_wrong_length_is_refused_and_nothing_written(
        format in any_format(), width in 0u32..9, height in 0u32..9, len in 0usize..300,
    ) {
        prop_assume!(format.frame_len(width, height) != Some(len) || len == 0);
        let frame = frame(format, width, height, Colour::default(), vec![7; len]);
        let mut converter = Converter::new(&input(4, 4, Fit::Crop));
        let mut tensor = vec![5.0; 48];
        let error = converter.convert(&frame, &mut tensor).unwrap_err();
        let size = format!("{width} x {height}");
        prop_assert!(error.to_string().contains(&size));
        prop_assert!(tensor.iter().all(|v| (v - 5.0).abs() < 1e-9));
    }
}

#[test]
fn odd_and_extreme_sizes_convert_in_every_format() {
    for format in PixelFormat::ALL {
        for (width, height) in [(1, 1), (1, 97), (301, 1), (2, 3), (95, 97)] {
            for fit in [Fit::Crop, Fit::Stretch] {
                let frame = noisy(format, width, height, Colour::default(), 3);
                assert_matches(&frame, &input(12, 8, fit));
            }
        }
        let large = noisy(format, 3840, 2160, Colour::default(), 1);
        let tensor = convert(&large, &input(96, 96, Fit::Crop));
        assert!(tensor.iter().all(|v| (0.0..=255.0).contains(v)));
    }
}

#[test]
fn rgb_of_the_inputs_own_size_passes_through_exactly() {
    let input = InputSpec {
        mean: [127.5, 120.0, 100.0],
        std: [127.5, 60.0, 50.0],
        ..input(17, 13, Fit::Crop)
    };
    let frame = noisy(PixelFormat::Rgb24, 17, 13, Colour::default(), 5);
    let tensor = convert(&frame, &input);
    for (i, pixel) in frame.data.chunks_exact(3).enumerate() {
        for c in 0..3 {
            let want = (f32::from(pixel[c]) - input.mean[c]) / input.std[c];
            assert_eq!(tensor[c * 221 + i].to_bits(), want.to_bits());
        }
    }
}

#[test]
fn what_lies_outside_the_crop_does_not_matter() {
    let mut frame = noisy(PixelFormat::I420, 64, 48, Colour::default(), 8);
    let before = convert(&frame, &input(12, 12, Fit::Crop));
    for y in 0..48 {
        for x in (0..8).chain(56..64) {
            frame.data[y * 64 + x] ^= 0xff;
        }
    }
    assert_eq!(convert(&frame, &input(12, 12, Fit::Crop)), before);
    assert_ne!(convert(&frame, &input(12, 12, Fit::Stretch)), before);
}

#[test]
fn the_same_picture_is_the_same_in_every_yuv_format() {
    let (w, h) = (32, 24);
    let ramp = |i: usize, by: usize| u8::try_from(60 + i * by).unwrap();
    let luma: Vec<u8> = (0..w * h).map(|i| ramp(i % w, 3)).collect();
    let chroma = |cw: usize, ch: usize, from: usize| -> Vec<u8> {
        let step = w / cw;
        (0..cw * ch)
            .map(|i| ramp(i % cw * step + step / 2, 1) + u8::try_from(from).unwrap())
            .collect()
    };
    let planar = |format, cw, ch| {
        let data = [luma.clone(), chroma(cw, ch, 0), chroma(cw, ch, 40)].concat();
        frame(format, 32, 24, Colour::default(), data)
    };
    let full = planar(PixelFormat::I444, w, h);
    let half = planar(PixelFormat::I420, w / 2, h / 2);
    let rows = planar(PixelFormat::I422, w / 2, h);
    let mut nv12 = Frame {
        meta: FrameMeta {
            format: PixelFormat::Nv12,
            ..half.meta
        },
        data: luma.clone(),
        lent: None,
    };
    let quarter = w * h / 4;
    for i in 0..quarter {
        nv12.data
            .extend([half.data[w * h + i], half.data[w * h + quarter + i]]);
    }
    let packed = |format, order: [usize; 4]| {
        let mut data = Vec::new();
        for pair in 0..w * h / 2 {
            let (u, v) = (rows.data[w * h + pair], rows.data[w * h + w * h / 2 + pair]);
            let four = [luma[2 * pair], luma[2 * pair + 1], u, v];
            data.extend(order.map(|o| four[o]));
        }
        frame(format, 32, 24, Colour::default(), data)
    };
    let yuyv = packed(PixelFormat::Yuyv, [0, 2, 1, 3]);
    let uyvy = packed(PixelFormat::Uyvy, [2, 0, 3, 1]);
    let input = input(12, 12, Fit::Crop);
    let want = convert(&full, &input);
    for other in [half, rows, nv12, yuyv, uyvy] {
        for (got, want) in convert(&other, &input).iter().zip(&want) {
            assert!(
                (got - want).abs() < 3.0,
                "{:?}: {got} {want}",
                other.meta.format
            );
        }
    }
}

#[test]
fn frames_that_change_size_and_format_convert_as_if_alone() {
    let input = input(10, 6, Fit::Crop);
    let mut converter = Converter::new(&input);
    let mut tensor = vec![0.0; converter.tensor_len()];
    for round in 0..2 {
        for format in PixelFormat::ALL {
            for (width, height) in [(33, 20), (8, 50)] {
                let frame = noisy(format, width, height, Colour::default(), round);
                converter.convert(&frame, &mut tensor).unwrap();
                assert_eq!(tensor, convert(&frame, &input), "{format:?}");
            }
        }
    }
    let frame = noisy(PixelFormat::Gray8, 4, 4, Colour::default(), 1);
    let error = converter.convert(&frame, &mut tensor[1..]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the input tensor has 180 elements, not 179"
    );
}

#[derive(Debug)]
struct Padded(Vec<u8>);

impl crate::tensor::Memory for Padded {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The same picture as a driver might lend it: each surface in memory of its
/// own, behind `before` bytes, with `padding` bytes behind each row.
fn lent(frame: &Frame, before: usize, padding: usize) -> Frame {
    let meta = frame.meta;
    let sizes = meta.format.surfaces(meta.width, meta.height).unwrap();
    let mut rest = &frame.data[..];
    let mut surfaces = Vec::new();
    for size in sizes.iter().filter(|size| size.rows > 0) {
        let mut bytes = vec![0xA5; before];
        for _ in 0..size.rows {
            let (row, more) = rest.split_at(size.row_bytes);
            rest = more;
            bytes.extend_from_slice(row);
            bytes.extend(vec![0x5A; padding]);
        }
        surfaces.push(crate::tensor::LentSurface {
            bytes: before..bytes.len(),
            memory: std::sync::Arc::new(Padded(bytes)),
            stride: size.row_bytes + padding,
        });
    }
    Frame {
        meta,
        data: Vec::new(),
        lent: Some(crate::tensor::Lent::new(surfaces)),
    }
}

#[test]
fn a_driver_s_strides_and_planes_make_no_difference() {
    for format in PixelFormat::ALL {
        let packed = noisy(format, 33, 17, Colour::default(), 5);
        let input = input(12, 10, Fit::Crop);
        let want = convert(&packed, &input);
        for (before, padding) in [(0, 0), (64, 31)] {
            let lent = lent(&packed, before, padding);
            assert_eq!(convert(&lent, &input), want, "{format:?} {padding}");
            assert_eq!(lent.clone().data, packed.data, "{format:?}");
        }
    }
}
