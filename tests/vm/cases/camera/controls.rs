//! Exposure and gain are given back, however e4 ends.

use super::watch::{Watch, options};
use crate::case::{Case, Outcome};
use crate::guest::camera::Vivid;
use crate::guest::process::e4;
use crate::guest::until;
use anyhow::{Context, Result, ensure};
use e4::engine::bundle::Bundle;
use e4::engine::cpu::CpuEngine;
use e4::gates::Gates;
use e4::monotonic::now_ns;
use e4::pipeline::{Pipeline, PipelineError, Stop};
use e4::source::v4l2::{Camera, CameraOptions, Choice};
use e4::source::{FrameSource, Next};
use e4::telemetry::FrameResult;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Stdio;
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case::new("camera_gives_controls_back", at_the_end),
    Case::new("camera_gives_controls_back_on_signals", on_signals),
    Case::new("camera_gives_controls_back_on_panic", on_panic),
    Case::new("camera_leaves_the_controls_of_others", of_others),
];

/// A camera at rest, its gain not automatic.
fn camera() -> Result<Vivid> {
    let vivid = Vivid::load(&[])?;
    vivid.set("gain_automatic", 1)?;
    Ok(vivid)
}

/// Whether the gain is automatic, and its value where it is not.
fn gain(vivid: &Vivid) -> Result<Option<i64>> {
    let number = |control: &str| -> Result<i64> {
        let text = vivid.ctl(&["-C", control])?;
        let value = text.split(':').nth(1).context("no value")?;
        Ok(value.trim().parse()?)
    };
    if number("gain_automatic")? == 1 {
        return Ok(None);
    }
    number("gain").map(Some)
}

fn with_gain(vivid: &Vivid) -> CameraOptions {
    let mut wanted = options(&vivid.node, "yuyv");
    wanted.controls.gain = Some(Choice::Value(77));
    wanted
}

fn frame(camera: &mut Camera) -> Outcome {
    let deadline_ns = now_ns() + 20_000_000_000;
    while now_ns() < deadline_ns {
        if let Next::Frame(slot) = camera.next(now_ns() + 50_000_000)? {
            camera.release(slot);
            return Ok(());
        }
    }
    anyhow::bail!("no frame")
}

fn ensure_back(vivid: &Vivid, after: &str) -> Outcome {
    let gain = gain(vivid)?;
    ensure!(gain.is_none(), "after {after} the gain is {gain:?}");
    Ok(())
}

fn at_the_end() -> Outcome {
    let vivid = camera()?;
    let mut camera = Camera::new(with_gain(&vivid));
    camera.start(2, &|| true)?;
    frame(&mut camera)?;
    ensure!(gain(&vivid)? == Some(77), "{:?}", gain(&vivid)?);
    drop(camera);
    ensure_back(&vivid, "the end")?;

    let mut wanted = with_gain(&vivid);
    wanted.controls.exposure_us = Some(Choice::Value(1000));
    wanted.strict = true;
    let refused = Camera::new(wanted).start(2, &|| true);
    let words = refused.err().context("vivid has no exposure")?.to_string();
    println!("{words}");
    ensure!(words.contains("exposure"), "{words}");
    ensure_back(&vivid, "a refused start")?;

    vivid.set("gain_automatic", 0)?;
    for (meanwhile, after) in [(None, 30), (Some(50), 50)] {
        vivid.set("gain", 30)?;
        let mut camera = Camera::new(with_gain(&vivid));
        camera.start(2, &|| true)?;
        frame(&mut camera)?;
        if let Some(value) = meanwhile {
            vivid.set("gain", value)?;
        }
        drop(camera);
        let left = gain(&vivid)?;
        ensure!(left == Some(after), "{meanwhile:?} set meanwhile: {left:?}");
    }
    Ok(())
}

fn on_signals() -> Outcome {
    let vivid = camera()?;
    let node = vivid.node.to_string_lossy();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let child = e4(&["run", "--source", "camera", "--device", &node])
            .args(["--gain", "77", "--bundle", "/engines/tiny-e2", "--json"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        until("the gain", Duration::from_secs(40), || {
            gain(&vivid).is_ok_and(|gain| gain == Some(77))
        })?;
        kill(Pid::from_raw(child.id().try_into()?), signal)?;
        let done = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "{signal}: {}, {said}", done.status);
        ensure_back(&vivid, signal.as_str())?;
    }
    Ok(())
}

fn on_panic() -> Outcome {
    let vivid = camera()?;
    let seen = vivid.clone();
    let sink = move |_: &FrameResult| -> bool {
        let gain = gain(&seen).expect("the device answers");
        assert_eq!(gain, Some(77), "while it streams");
        panic!("as the case wants it")
    };
    let bundle = Bundle::open("/engines/tiny-e2")?;
    let gates = Gates::open(&bundle, e4::gates::ExitPolicy::Gates)?;
    let source = Box::new(Camera::new(with_gain(&vivid)));
    let engine = Box::new(CpuEngine::new());
    let ended = Pipeline::new(source, engine, bundle, gates, sink).run(&Stop::new());
    let error = ended.err().context("the panic was swallowed")?;
    println!("{error}");
    ensure!(matches!(error, PipelineError::Panicked(_)), "{error}");
    ensure_back(&vivid, "a panic")
}

/// A camera that another program has keeps the gain that it was given there.
fn of_others() -> Outcome {
    let vivid = camera()?;
    let watch = Watch::start(options(&vivid.node, "yuyv"));
    watch.frames(2)?;
    let refused = Camera::new(with_gain(&vivid)).start(2, &|| true);
    let words = refused.err().context("two have the camera")?.to_string();
    ensure!(words.contains("in use"), "{words}");
    ensure_back(&vivid, "a start that was refused")?;
    watch.stop()
}
