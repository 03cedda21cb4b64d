//! Colour bars through every format: the tensor holds the colours.

use super::watch::options;
use crate::case::{Case, Outcome};
use crate::guest::camera::Vivid;
use anyhow::{Context, Result, ensure};
use e4::engine::bundle::{Fit, InputSpec};
use e4::monotonic::now_ns;
use e4::source::v4l2::Camera;
use e4::source::{FrameSource, Next};
use e4::tensor::Slot;
use e4::tensor::convert::Converter;

pub const CASES: &[Case] = &[
    Case::new("camera_pixels_single_planar", single),
    Case::new("camera_pixels_multiplanar", multi),
];

/// 75 % colour bars: white, yellow, cyan, green, magenta, red, blue, black.
const BARS: [[f32; 3]; 8] = [
    [191.0, 191.0, 191.0],
    [191.0, 191.0, 0.0],
    [0.0, 191.0, 191.0],
    [0.0, 191.0, 0.0],
    [191.0, 0.0, 191.0],
    [191.0, 0.0, 0.0],
    [0.0, 0.0, 191.0],
    [0.0, 0.0, 0.0],
];

const SIDE: usize = 32;

fn single() -> Outcome {
    let formats = [
        "yuyv", "uyvy", "nv12", "nv16", "i420", "i422", "rgb24", "bgr24", "gray8",
    ];
    let vivid = Vivid::load(&[])?;
    formats.iter().try_for_each(|format| bars(&vivid, format))
}

fn multi() -> Outcome {
    let vivid = Vivid::load(&["multiplanar=2"])?;
    let formats = ["nv12m", "i420m", "nv16m", "i422m", "nv12", "yuyv"];
    formats.iter().try_for_each(|format| bars(&vivid, format))
}

fn first(camera: &mut Camera) -> Result<Slot> {
    for _ in 0..400 {
        if let Next::Frame(slot) = camera.next(now_ns() + 50_000_000)? {
            return Ok(slot);
        }
    }
    anyhow::bail!("no frame")
}

fn bars(vivid: &Vivid, format: &str) -> Result<()> {
    vivid.set("test_pattern", 0)?;
    vivid.set("osd_text_mode", 2)?;
    let mut camera = Camera::new(options(&vivid.node, format));
    camera.start(2, &|| true)?;
    let slot = first(&mut camera)?;
    ensure!(slot.lent.is_some(), "the frame is no buffer of the driver");
    let mut converter = Converter::new(&InputSpec {
        width: SIDE,
        height: SIDE,
        mean: [0.0; 3],
        std: [1.0; 3],
        fit: Fit::Stretch,
    });
    let mut tensor = vec![0.0; converter.tensor_len()];
    converter.convert(&slot, &mut tensor)?;
    camera.release(slot);
    let worst = compare(&tensor, format == "gray8").with_context(|| format.to_owned())?;
    println!("{format}: at most {worst:.2} / 255 off");
    Ok(())
}

/// The largest difference, in the middle of each bar.
fn compare(tensor: &[f32], grey: bool) -> Result<f32> {
    let mut worst = 0.0_f32;
    for (bar, colour) in BARS.iter().enumerate() {
        let luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2];
        for (channel, &value) in colour.iter().enumerate() {
            let want = if grey { luma } else { value };
            for (x, y) in [(1, 3), (2, 16), (1, 28)] {
                let got = tensor[(channel * SIDE + y) * SIDE + bar * SIDE / 8 + x];
                let off = (got - want).abs();
                ensure!(
                    off <= 2.0,
                    "bar {bar}, channel {channel}: {got}, not {want}"
                );
                worst = worst.max(off);
            }
        }
    }
    Ok(worst)
}
