//! The virtual camera, by the kernel's own tools: what our source is tested against.

use crate::case::{Case, Outcome};
use crate::guest::camera::{DEVICE, DRIVER, Vivid};
use crate::guest::trace::{Trace, field};
use crate::guest::{bind, unbind};
use anyhow::ensure;

pub const CASES: &[Case] = &[
    Case::new("vivid_streams", streams),
    Case::new("vivid_unplugs", unplugs),
];

fn streams() -> Outcome {
    let camera = Vivid::load(&[])?;
    camera.ctl(&["--set-fmt-video=width=640,height=360,pixelformat=YUYV"])?;
    let trace = Trace::start("v4l2/v4l2_dqbuf", 512)?;
    camera.ctl(&[
        "--stream-mmap",
        "--stream-count=20",
        "--stream-to=/dev/null",
    ])?;
    let events = trace.events()?;
    ensure!(events.len() >= 20, "{} frames were dequeued", events.len());
    ensure!(
        events
            .iter()
            .all(|event| field(event, "sequence").is_some()),
        "no sequence in {:?}",
        events[0]
    );
    Ok(())
}

fn unplugs() -> Outcome {
    let camera = Vivid::load(&[])?;
    unbind(DRIVER, DEVICE)?;
    ensure!(!camera.node.exists(), "the node outlives its driver");
    bind(DRIVER, DEVICE)?;
    Vivid::wait()?;
    Ok(())
}
