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
const BARS: [[f64; 3]; 8] = [
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

/// What a format can hold of a colour.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Holds {
    Rgb,
    Yuv,
    Luma,
}

fn single() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let yuv = ["yuyv", "uyvy", "nv12", "nv16", "i420", "i422"];
    for format in yuv {
        bars(&vivid, format, Holds::Yuv)?;
    }
    bars(&vivid, "rgb24", Holds::Rgb)?;
    bars(&vivid, "bgr24", Holds::Rgb)?;
    bars(&vivid, "gray8", Holds::Luma)
}

/// Some of these begin behind a header in their planes (`data_offset`).
fn multi() -> Outcome {
    let vivid = Vivid::load(&["multiplanar=2"])?;
    let formats = ["nv12m", "i420m", "nv16m", "i422m", "nv12", "yuyv"];
    let each = |format: &&str| bars(&vivid, format, Holds::Yuv);
    formats.iter().try_for_each(each)
}

fn first(camera: &mut Camera) -> Result<Slot> {
    for _ in 0..400 {
        if let Next::Frame(slot) = camera.next(now_ns() + 50_000_000)? {
            return Ok(slot);
        }
    }
    anyhow::bail!("no frame; gaps: {:?}", camera.gaps())
}

fn bars(vivid: &Vivid, format: &str, holds: Holds) -> Result<()> {
    vivid.set("test_pattern", 0)?;
    vivid.set("osd_text_mode", 2)?;
    let mut camera = Camera::new(options(&vivid.node, format));
    camera.start(2, &|| true)?;
    let slot = first(&mut camera).with_context(|| format.to_owned())?;
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
    let (drawn, ideal) = compare(&tensor, holds).with_context(|| format.to_owned())?;
    println!("{format}: {drawn:.2} / 255 from what vivid draws, {ideal:.2} from the colours");
    Ok(())
}

/// The largest differences in the middle of each bar, from the colour as vivid
/// puts it into the format and from the colour itself.
fn compare(tensor: &[f32], holds: Holds) -> Result<(f64, f64)> {
    let mut worst = (0.0_f64, 0.0_f64);
    for (bar, colour) in BARS.iter().enumerate() {
        let drawn = drawn(*colour, holds);
        for channel in 0..3 {
            for (x, y) in [(1, 3), (2, 16), (1, 28)] {
                let got = tensor[(channel * SIDE + y) * SIDE + bar * SIDE / 8 + x];
                let off = (f64::from(got) - drawn[channel]).abs();
                ensure!(
                    off <= 2.0,
                    "bar {bar}, channel {channel}: {got}, not {drawn:?}"
                );
                worst.0 = worst.0.max(off);
                if holds != Holds::Luma {
                    worst.1 = worst.1.max((f64::from(got) - colour[channel]).abs());
                }
            }
        }
    }
    Ok(worst)
}

/// A colour as it comes out of a format: YUV holds whole numbers, and vivid
/// (`v4l2-tpg-core.c`) scales by 255/256 and rounds down when it makes them; its
/// luma alone is that of BT.709, in full range.
fn drawn([red, green, blue]: [f64; 3], holds: Holds) -> [f64; 3] {
    match holds {
        Holds::Rgb => [red, green, blue],
        Holds::Luma => {
            let luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
            [(luma * 255.0 / 256.0).floor(); 3]
        }
        Holds::Yuv => {
            let luma = 0.299 * red + 0.587 * green + 0.114 * blue;
            let y = (16.0 + 219.0 / 256.0 * luma).floor();
            let u = (128.0 + 112.0 / 256.0 * (blue - luma) / 0.886).floor();
            let v = (128.0 + 112.0 / 256.0 * (red - luma) / 0.701).floor();
            let (y, u, v) = (
                255.0 / 219.0 * (y - 16.0),
                255.0 / 112.0 * (u - 128.0),
                255.0 / 112.0 * (v - 128.0),
            );
            let (red, blue) = (y + 0.701 * v, y + 0.886 * u);
            let green = y - (0.114 * 0.886 * u + 0.299 * 0.701 * v) / 0.587;
            [red, green, blue].map(|channel| channel.clamp(0.0, 255.0))
        }
    }
}
