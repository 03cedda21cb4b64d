//! Any frame to any tensor: every set of kernels within a 255th of full scale of
//! the conversion in floats.
#![no_main]

use e4::engine::bundle::{Fit, InputSpec};
use e4::tensor::convert::{Converter, Isa, Resize, Steps};
use e4::tensor::{Colour, Frame, FrameMeta, Matrix, PixelFormat, Range, Transfer};
use libfuzzer_sys::fuzz_target;

/// Takes numbers off the front of the input.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.next() % all.len()]
    }

    /// From 1 on; large sizes are rare.
    fn side(&mut self) -> usize {
        let (size, scale) = (self.next(), self.next());
        1 + if scale > 250 { size * 9 } else { size % 80 }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Bytes(bytes);
    let format = bytes.pick(&PixelFormat::ALL);
    let (width, height) = (bytes.side(), bytes.side());
    let mean = bytes.next() as f32;
    let input = InputSpec {
        width: bytes.next() % 64 + 1,
        height: bytes.next() % 24 + 1,
        mean: [mean, 127.5, 0.0],
        std: [bytes.next() as f32 + 0.5, 1.0, 255.0],
        fit: bytes.pick(&[Fit::Crop, Fit::Stretch]),
    };
    let resize = bytes.pick(&[Resize::Triangle, Resize::Area, Resize::Bilinear]);
    let colour = Colour {
        range: bytes.pick(&[Range::Limited, Range::Full]),
        matrix: bytes.pick(&[Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020, Matrix::Smpte240m]),
        transfer: Transfer::default(),
    };
    let meta = FrameMeta {
        width: width as u32,
        height: height as u32,
        format,
        colour,
        ..FrameMeta::default()
    };
    let Some(len) = format.frame_len(meta.width, meta.height) else {
        return;
    };
    let mut state = 1_u32;
    let mut noise = |at: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.0.get(at).copied().unwrap_or((state >> 24) as u8)
    };
    let frame = Frame {
        meta,
        data: (0..len).map(&mut noise).collect(),
        lent: None,
    };
    let converter = Converter::new(&input).resize(resize);
    let mut want = vec![0.0; converter.tensor_len()];
    converter.clone().exact().convert(&frame, &mut want).expect("a frame of its size");
    let steps = Steps {
        step: 1.3 / input.std[0],
        zero: -9.0,
    };
    for mut path in Isa::ALL.into_iter().filter_map(|isa| converter.clone().with_isa(isa)) {
        let (mut got, mut eight) = (vec![f32::NAN; want.len()], vec![0; want.len()]);
        path.convert(&frame, &mut got).expect("a frame of its size");
        path.convert_i8(&frame, steps, &mut eight).expect("a frame of its size");
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let std = input.std[i / (input.width * input.height)];
            let allowed = 1.0 / std + 1e-5 * want.abs();
            assert!((got - want).abs() <= allowed, "{:?} {meta:?} {input:?}: {got} {want}", path.isa());
            let step = (want / steps.step + steps.zero).clamp(-128.0, 127.0);
            let near = (f32::from(eight[i]) - step).abs() <= 0.501 + allowed / steps.step;
            assert!(near, "{:?} {meta:?} {input:?}: {} {step}", path.isa(), eight[i]);
        }
    }
});
