//! `e4 cameras` against `v4l2-ctl`.

use crate::case::{Case, Outcome};
use crate::guest::camera::Vivid;
use crate::guest::load;
use crate::guest::process::{e4, output};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::Command;

pub const CASES: &[Case] = &[
    Case::new("cameras_equal_v4l2_ctl_formats", formats),
    Case::new(
        "cameras_equal_v4l2_ctl_formats_multiplanar",
        formats_multiplanar,
    ),
    Case::new("cameras_equal_v4l2_ctl_devices", devices),
];

fn cameras() -> Result<Vec<Value>> {
    let listed: Value = serde_json::from_str(&output(&mut e4(&["cameras", "--json"]))?)?;
    Ok(listed["devices"].as_array().context("no devices")?.clone())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn formats() -> Outcome {
    same_formats(&[])
}

fn formats_multiplanar() -> Outcome {
    same_formats(&["multiplanar=2"])
}

fn same_formats(parameters: &[&str]) -> Outcome {
    let vivid = Vivid::load(parameters)?;
    let theirs = vivid.ctl(&["--list-formats-ext"])?;
    let theirs: Vec<String> = theirs.lines().filter_map(line).collect();
    let listed = cameras()?;
    ensure!(listed.len() == 1, "{} cameras", listed.len());
    let ours = ours(&listed[0])?;
    for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        ensure!(
            ours == theirs,
            "line {number}: {ours:?}, v4l2-ctl has {theirs:?}"
        );
    }
    ensure!(
        ours.len() == theirs.len(),
        "{} and {} lines",
        ours.len(),
        theirs.len()
    );
    println!("{} lines of formats, sizes and rates agree", ours.len());
    Ok(())
}

/// What counts in a line of `v4l2-ctl`: the code, the size or the rate.
fn line(line: &str) -> Option<String> {
    let line = line.trim();
    if line.starts_with('[') {
        let code = line.split('\'').nth(1)?;
        return Some(code.to_owned());
    }
    if let Some(size) = line.strip_prefix("Size: Discrete ") {
        return Some(size.to_owned());
    }
    let rate = line.strip_prefix("Interval: Discrete ")?;
    Some(rate.split('(').nth(1)?.trim_end_matches(')').to_owned())
}

fn ours(camera: &Value) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for format in camera["formats"].as_array().context("no formats")? {
        lines.push(text(format, "fourcc").to_owned());
        for size in format["sizes"].as_array().context("no sizes")? {
            ensure!(
                text(size, "type") == "discrete",
                "vivid's sizes are discrete"
            );
            lines.push(format!("{}x{}", size["width"], size["height"]));
            for rate in size["rates"].as_array().context("no rates")? {
                let fps = rate["fps"].as_f64().context("no rate")?;
                lines.push(format!("{fps:.3} fps"));
            }
        }
    }
    Ok(lines)
}

/// Two devices with every kind of node: the capture nodes are the cameras.
fn devices() -> Outcome {
    load("vivid", &["n_devs=2"])?;
    Vivid::settled()?;
    let theirs = output(Command::new("v4l2-ctl").arg("--list-devices"))?;
    let mut expected = Vec::new();
    let mut name = "";
    for line in theirs.lines().filter(|line| !line.is_empty()) {
        match line.trim().strip_prefix("/dev/video") {
            Some(_) if captures(line.trim())? => {
                expected.push(format!("{name} {}", line.trim()));
            }
            Some(_) => {}
            None if line.starts_with(char::is_whitespace) => {}
            None => name = line.trim_end_matches(':'),
        }
    }
    let listed = cameras()?;
    let ours: Vec<_> = listed
        .iter()
        .map(|c| {
            format!(
                "{} ({}) {}",
                text(c, "card"),
                text(c, "bus"),
                text(c, "path")
            )
        })
        .collect();
    println!("{ours:#?}");
    ensure!(ours == expected, "v4l2-ctl has {expected:?}");
    ensure!(ours.len() == 2, "{} cameras", ours.len());
    Ok(())
}

/// Whether `v4l2-ctl` calls the node one that captures video.
fn captures(node: &str) -> Result<bool> {
    let info = output(Command::new("v4l2-ctl").args(["-d", node, "-D"]))?;
    let own = info.split("Device Caps").nth(1).unwrap_or_default();
    Ok(own
        .lines()
        .any(|line| line.trim().starts_with("Video Capture")))
}
