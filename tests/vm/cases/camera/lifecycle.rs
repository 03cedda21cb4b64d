//! Starts, stops, long runs, and what is left behind.

use super::allocations::of_this_thread as allocations;
use super::watch::options;
use crate::case::{Case, Outcome};
use crate::guest::camera::Vivid;
use crate::guest::read;
use anyhow::{Context, Result, ensure};
use e4::monotonic::now_ns;
use e4::source::v4l2::{Camera, CameraFormat};
use e4::source::{FrameSource, Next};
use std::time::{Duration, Instant};

#[path = "../../../source_contract/contract.rs"]
mod contract;

pub const CASES: &[Case] = &[
    Case::new("camera_keeps_the_contract", keeps_the_contract).limit_s(90),
    Case::new("camera_starts_and_stops_20_times", twenty_times),
    Case::new("camera_changes_size_between_starts", sizes),
    Case::new("camera_keeps_two_buffers_with_the_driver", buffers),
    Case::new("camera_is_found_by_name_and_bus", names),
    Case::new("camera_refuses_what_is_not_offered", not_offered),
    Case::new("camera_allocates_nothing", allocates_nothing),
];

fn keeps_the_contract() -> Outcome {
    let vivid = Vivid::load(&[])?;
    for (name, check) in contract::CHECKS {
        let began = Instant::now();
        check(&|| Box::new(Camera::new(options(&vivid.node, "yuyv"))));
        println!("{name} ({:.1?})", began.elapsed());
    }
    Ok(())
}

/// Takes so many frames from a started camera.
fn take(camera: &mut Camera, count: usize) -> Result<()> {
    let (mut taken, began) = (0, Instant::now());
    while taken < count {
        ensure!(began.elapsed() < Duration::from_secs(30), "no frame");
        if let Next::Frame(slot) = camera.next(now_ns() + 50_000_000)? {
            ensure!(slot.surfaces().is_some(), "not a picture");
            camera.release(slot);
            taken += 1;
        }
    }
    Ok(())
}

fn open_files() -> Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

fn mappings() -> Result<usize> {
    Ok(read("/proc/self/maps")?
        .lines()
        .filter(|line| line.contains("/dev/video"))
        .count())
}

/// Every stop has buffers queued, and every other one a frame downstream.
fn twenty_times() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let before = open_files()?;
    for round in 0..20 {
        let mut camera = Camera::new(options(&vivid.node, "yuyv"));
        camera.start(4, &|| true)?;
        take(&mut camera, 2)?;
        let held = loop {
            if round % 2 == 0 {
                break None;
            }
            if let Next::Frame(slot) = camera.next(now_ns() + 50_000_000)? {
                break Some(slot);
            }
        };
        drop(camera);
        if let Some(slot) = held {
            ensure!(slot.surfaces().is_some(), "a frame ended with its camera");
        }
    }
    ensure!(open_files()? == before, "descriptors are left open");
    ensure!(mappings()? == 0, "buffers are left mapped");
    Ok(())
}

fn sizes() -> Outcome {
    let vivid = Vivid::load(&[])?;
    for (format, width, height) in [
        ("yuyv", 640, 480),
        ("nv12", 1280, 720),
        ("grey", 320, 180),
        ("yuyv", 640, 360),
    ] {
        let mut wanted = options(&vivid.node, format);
        (wanted.wish.width, wanted.wish.height) = (width, height);
        let mut camera = Camera::new(wanted);
        camera.start(3, &|| true)?;
        let slot = loop {
            if let Next::Frame(slot) = camera.next(now_ns() + 50_000_000)? {
                break slot;
            }
        };
        let got = (slot.meta.width, slot.meta.height);
        ensure!(
            got == (width, height),
            "asked for {width}x{height}, got {got:?}"
        );
    }
    Ok(())
}

/// However long downstream keeps its frames, the driver can go on.
fn buffers() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let mut camera = Camera::new(options(&vivid.node, "yuyv"));
    camera.start(3, &|| true)?;
    let mut held = Vec::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        match camera.next(now_ns() + 20_000_000)? {
            Next::Frame(slot) => held.push(slot),
            Next::Starved => std::thread::sleep(Duration::from_millis(5)),
            _ => {}
        }
    }
    ensure!(held.len() == 3, "{} frames for 3 slots", held.len());
    let queued = vivid.ctl(&["--all"]).is_ok();
    ensure!(queued, "the device does not answer");
    held.into_iter().for_each(|slot| camera.release(slot));
    take(&mut camera, 10)?;
    ensure!(
        !camera.gaps().contains_key("interruption"),
        "the stream broke"
    );
    Ok(())
}

fn names() -> Outcome {
    let vivid = Vivid::load(&[])?;
    for name in ["vivid", "platform:vivid-000"] {
        let mut wanted = options(&vivid.node, "yuyv");
        wanted.device = e4::source::v4l2::Selector::new(Some(name));
        let mut camera = Camera::new(wanted);
        camera.start(2, &|| true)?;
        take(&mut camera, 2)?;
        println!("{name}: {}", camera.info().name);
    }
    Ok(())
}

/// The driver answers a wish for MJPG with YUYV, and keeps a rate of its own
/// where none is set.
fn not_offered() -> Outcome {
    let vivid = Vivid::load(&[])?;
    let mut wanted = options(&vivid.node, "mjpg");
    wanted.wish.formats.extend(CameraFormat::named("yuyv"));
    wanted.wish.fps = 25.0;
    let mut camera = Camera::new(wanted);
    camera.start(2, &|| true)?;
    take(&mut camera, 1)?;
    ensure!(
        camera.info().frame_interval_ns == Some(40_000_000),
        "{:?}",
        camera.info()
    );
    let told = vivid.ctl(&["--get-parm", "--get-fmt-video"])?;
    ensure!(
        told.contains("25.000") && told.contains("'YUYV'"),
        "the driver is set to {told}"
    );
    drop(camera);
    let refused = Camera::new(options(&vivid.node, "mjpg")).start(2, &|| true);
    let words = refused.err().context("vivid has no MJPG")?.to_string();
    ensure!(words.contains("YUYV"), "{words}");
    Ok(())
}

/// After a few frames, taking and giving back allocates nothing, corrupt frames
/// and gaps included.
fn allocates_nothing() -> Outcome {
    for (format, parameters) in [("yuyv", &[][..]), ("nv12m", &["multiplanar=2"])] {
        let vivid = Vivid::load(parameters)?;
        vivid.set("percentage_of_dropped_buffers", 20)?;
        let mut camera = Camera::new(options(&vivid.node, format));
        camera.start(4, &|| true)?;
        take(&mut camera, 10)?;
        vivid.set("inject_v4l2_buf_flag_error", 1)?;
        let before = allocations();
        take(&mut camera, 100)?;
        let made = allocations() - before;
        println!(
            "{format}: {made} allocations in 100 frames; {:?}",
            camera.gaps()
        );
        ensure!(made == 0, "{format}: {made} allocations");
        ensure!(camera.gaps().contains_key("error"), "no corrupt frame came");
        drop(camera);
        crate::guest::unload("vivid")?;
    }
    Ok(())
}
