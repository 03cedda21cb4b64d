//! Making the input tensor allocates nothing after the first frame of a format
//! and size, in every format, on every path of this processor.

#[path = "support/allocations.rs"]
mod allocations;

use e4::engine::bundle::{Fit, InputSpec};
use e4::tensor::convert::{Converter, Isa, Resize, Steps};
use e4::tensor::{Frame, FrameMeta, PixelFormat};

fn frame(format: PixelFormat) -> Frame {
    let meta = FrameMeta {
        width: 322,
        height: 241,
        format,
        ..FrameMeta::default()
    };
    let len = format.frame_len(meta.width, meta.height).expect("a size");
    Frame {
        meta,
        data: vec![77; len],
        lent: None,
    }
}

fn assert_allocates_nothing(mut converter: Converter, frame: &Frame) {
    let mut floats = vec![0.0; converter.tensor_len()];
    let mut bytes = vec![0; converter.tensor_len()];
    converter.convert(frame, &mut floats).expect("a frame");
    let before = allocations::of_this_thread();
    for _ in 0..3 {
        converter.convert(frame, &mut floats).expect("a frame");
        let converted = converter.convert_i8(frame, Steps::default(), &mut bytes);
        converted.expect("a frame");
    }
    let after = allocations::of_this_thread();
    assert_eq!(after, before, "{:?} {:?}", frame.meta, converter.isa());
}

#[test]
fn no_format_allocates_after_its_first_frame() {
    let input = InputSpec {
        width: 96,
        height: 96,
        mean: [123.7, 116.3, 103.5],
        std: [58.4, 57.1, 57.4],
        fit: Fit::Crop,
    };
    for format in PixelFormat::ALL {
        let frame = frame(format);
        for resize in [Resize::Triangle, Resize::Area, Resize::Bilinear] {
            let converter = Converter::new(&input).resize(resize);
            for isa in Isa::ALL {
                if let Some(converter) = converter.clone().with_isa(isa) {
                    assert_allocates_nothing(converter, &frame);
                }
            }
            assert_allocates_nothing(converter.exact(), &frame);
        }
    }
}
