//! `e4 run` on this kernel.

use crate::case::{Case, Outcome};
use crate::guest::process::e4_run;
use anyhow::{Context, ensure};

pub const CASES: &[Case] = &[Case::new("pipeline_runs_on_the_generator", generator).limit_s(120)];

fn generator() -> Outcome {
    let (summary, lines) = e4_run(&[
        "--source",
        "generator",
        "--pace",
        "fast",
        // Small ones: an emulator takes a third of a second to draw a large one.
        "--width",
        "96",
        "--height",
        "96",
        "--frames",
        "200",
        "--bundle",
        "/engines/tiny-e2",
        "--sample=false",
    ])?;
    let frames = &summary["frames"];
    let count = |value: &serde_json::Value| value.as_u64().context("not a count");
    let dropped = frames["dropped"].as_object().context("no drops")?;
    let lost: anyhow::Result<u64> = dropped.values().map(count).sum();
    let (captured, results, lost) = (
        count(&frames["captured"])?,
        count(&frames["results"])?,
        lost?,
    );
    println!("{captured} captured, {results} results, {lost} dropped");
    ensure!(captured == 200, "{captured} captured");
    ensure!(
        results + lost == captured,
        "{results} + {lost} frames of {captured}"
    );
    ensure!(
        u64::try_from(lines.len())? == results,
        "{} lines",
        lines.len()
    );
    Ok(())
}
