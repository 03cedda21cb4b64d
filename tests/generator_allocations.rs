//! The synthetic camera allocates nothing once it is started, through cuts and
//! bursts, in any format and with frames drawn beforehand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/allocations.rs"]
mod allocations;

use e4::monotonic::now_ns;
use e4::source::generator::{CameraOptions, Generator};
use e4::source::{FrameSource, Next};
use e4::tensor::PixelFormat;

fn allocations(options: CameraOptions) -> u64 {
    let mut camera = Generator::new(options).unwrap();
    camera.start(2, &|| true).unwrap();
    let before = allocations::of_this_thread();
    for _ in 0..600 {
        match camera.next(now_ns() + 10_000_000_000) {
            Ok(Next::Frame(slot)) => camera.release(slot),
            other => panic!("{other:?}"),
        }
    }
    allocations::of_this_thread() - before
}

#[test]
fn a_started_camera_allocates_nothing() {
    let formats = [
        PixelFormat::Gray8,
        PixelFormat::Rgb24,
        PixelFormat::Bgr24,
        PixelFormat::Yuyv,
        PixelFormat::Nv12,
        PixelFormat::I420,
    ];
    for format in formats {
        for (live, fps, prerender) in [(false, 10.0, 0), (false, 10.0, 8), (true, 2000.0, 0)] {
            let options = CameraOptions {
                width: 64,
                height: 48,
                fps,
                format,
                live,
                prerender,
                ..CameraOptions::default()
            };
            assert_eq!(allocations(options.clone()), 0, "{options:?}");
        }
    }
}
