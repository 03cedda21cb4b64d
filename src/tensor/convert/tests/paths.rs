//! Every path of this processor against the conversion in floats.

use super::*;

fn paths(input: &InputSpec, resize: Resize) -> impl Iterator<Item = Converter> {
    let converter = Converter::new(input).resize(resize);
    let of = move |isa| converter.clone().with_isa(isa);
    Isa::ALL.into_iter().filter_map(of)
}

/// A 255th of full scale, in the tensor's unit: what a path may be off.
fn allowed(input: &InputSpec, element: usize) -> f32 {
    1.0 / input.std[element / (input.width * input.height)]
}

fn assert_paths_agree(frame: &Frame, input: &InputSpec, resize: Resize) {
    let len = 3 * input.width * input.height;
    let mut want = vec![f32::NAN; len];
    let mut exact = Converter::new(input).resize(resize).exact();
    exact.convert(frame, &mut want).unwrap();
    let steps = Steps {
        step: 1.3 / input.std[0],
        zero: -9.0,
    };
    for mut path in paths(input, resize) {
        let isa = path.isa();
        let (mut got, mut bytes) = (vec![f32::NAN; len], vec![0; len]);
        path.convert(frame, &mut got).unwrap();
        path.convert_i8(frame, steps, &mut bytes).unwrap();
        for (i, ((got, byte), want)) in got.iter().zip(bytes).zip(&want).enumerate() {
            let allowed = allowed(input, i);
            let near = (got - want).abs() <= allowed;
            assert!(near, "{isa:?} {:?} {input:?} {i}: {got} {want}", frame.meta);
            let step = (want / steps.step + steps.zero).clamp(-128.0, 127.0);
            let near = (f32::from(byte) - step).abs() <= 0.5 + allowed / steps.step;
            assert!(
                near,
                "{isa:?} {:?} {input:?} {i}: {byte} {step}",
                frame.meta
            );
        }
    }
}

fn every_colour() -> impl Strategy<Value = Colour> {
    let matrices = [
        Matrix::Bt601,
        Matrix::Bt709,
        Matrix::Bt2020,
        Matrix::Smpte240m,
    ];
    let ranges = prop::sample::select(vec![Range::Limited, Range::Full]);
    (ranges, prop::sample::select(matrices.to_vec())).prop_map(|(range, matrix)| Colour {
        range,
        matrix,
        ..Colour::default()
    })
}

fn any_resize() -> impl Strategy<Value = Resize> {
    prop::sample::select(vec![Resize::Triangle, Resize::Area, Resize::Bilinear])
}

/// Mostly small, some large.
fn side(large: u32) -> impl Strategy<Value = u32> {
    prop_oneof![1u32..12, 1u32..100, 1..large]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_path_is_within_a_255th_of_the_exact_one(
        (format, colour, fit) in (any_format(), every_colour(), any_fit()),
        (width, height, seed, resize) in (side(700), side(500), any::<u32>(), any_resize()),
        (out_width, out_height) in (1usize..70, 1usize..40),
        (mean, std) in ([0.0f32..255.0, 0.0..255.0, 0.0..255.0], [1.0f32..128.0, 1.0..128.0, 1.0..128.0]),
        (before, padding) in (0usize..70, 0usize..70),
    ) {
        let packed = noisy(format, width, height, colour, seed);
        let frame = if padding % 2 == 0 { packed } else { lent(&packed, before, padding) };
        let input = InputSpec { mean, std, ..input(out_width, out_height, fit) };
        assert_paths_agree(&frame, &input, resize);
    }

    #[test]
    fn paths_agree_at_the_extremes_of_black_and_white(
        (format, colour, resize) in (any_format(), every_colour(), any_resize()),
        (width, height, seed) in (side(300), side(300), any::<u32>()),
        (out_width, out_height) in (1usize..40, 1usize..20),
    ) {
        let mut frame = noisy(format, width, height, colour, seed);
        for byte in &mut frame.data {
            *byte = if *byte < 128 { 0 } else { 255 };
        }
        assert_paths_agree(&frame, &input(out_width, out_height, Fit::Stretch), resize);
    }
}

#[test]
fn usual_cameras_and_inputs_agree_in_every_format() {
    for format in PixelFormat::ALL {
        for ((width, height), side) in [((640, 480), 224), ((640, 480), 96), ((1280, 720), 224)] {
            let frame = noisy(format, width, height, Colour::default(), 11);
            let input = InputSpec {
                mean: [123.675, 116.28, 103.53],
                std: [58.395, 57.12, 57.375],
                ..input(side, side, Fit::Crop)
            };
            for resize in [Resize::Triangle, Resize::Area, Resize::Bilinear] {
                assert_paths_agree(&frame, &input, resize);
            }
        }
    }
}

#[test]
fn a_shrink_too_strong_for_whole_numbers_is_done_in_floats() {
    for format in PixelFormat::ALL {
        let frame = noisy(format, 700, 500, Colour::default(), 4);
        let input = input(2, 3, Fit::Stretch);
        assert_paths_agree(&frame, &input, Resize::Triangle);
    }
}
