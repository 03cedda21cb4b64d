//! The limits of a manifest's values, checked field by field. They are far
//! above any network that runs in real time and low enough that sizes computed
//! from them neither overflow nor ask for absurd amounts of memory.

use super::checksums::is_plain_name;
use super::manifest::{
    ExitSpec, HeadsSpec, InputSpec, Manifest, ManifestError, SCHEMA, SegmentSpec, Shape,
    StatePolicy, StateSpec,
};
use crate::telemetry::MAX_EXITS;
use std::collections::HashSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

type Result = std::result::Result<(), ManifestError>;

/// Largest number of classes.
const MAX_CLASSES: usize = 4096;
/// Longest attention window, in frames.
const MAX_WINDOW: usize = 1024;
/// Longest frame interval: a minute.
const MAX_INTERVAL_NS: u64 = 60_000_000_000;
/// Largest input side, in pixels.
const MAX_SIDE: usize = 4096;
/// Largest pooling grid.
const MAX_GRID: usize = 16;
/// Largest size of a head's layer, and largest channel count.
const MAX_LAYER: usize = 4096;
/// Most elements of one feature map: 64 Mi, 256 MiB as f32.
const MAX_ELEMENTS: usize = 64 << 20;
/// Most multiply-accumulates of one segment or head.
const MAX_MACS: u64 = 1_000_000_000_000;
/// How far the exit rates may add up to something else than 1.
const RATE_TOLERANCE: f32 = 0.02;

fn err(field: impl Into<String>, reason: impl Into<String>) -> Result {
    Err(ManifestError::new(field, reason))
}

fn within<T: PartialOrd + Display>(field: &str, value: T, range: RangeInclusive<T>) -> Result {
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = range.into_inner();
    err(field, format!("{value} is not within {low}..={high}"))
}

/// Validates everything that can be told from the manifest alone.
pub(super) fn manifest(m: &Manifest) -> Result {
    if m.schema != SCHEMA {
        return err("schema", format!("{:?} is not {SCHEMA:?}", m.schema));
    }
    if !is_plain_name(&m.name) {
        return err(
            "name",
            "it is not made of ASCII letters, digits, '.', '_', '-'",
        );
    }
    labels(&m.labels)?;
    within("window", m.window, 1..=MAX_WINDOW)?;
    within(
        "frame_interval_ns",
        m.frame_interval_ns,
        1..=MAX_INTERVAL_NS,
    )?;
    input(&m.input)?;
    state(&m.state, m.window)?;
    heads(&m.heads)?;
    within("number of [[segment]]", m.segments.len(), 1..=MAX_EXITS)?;
    if m.exits.len() != m.segments.len() {
        let reason = format!("{} for {} segments", m.exits.len(), m.segments.len());
        return err("number of [[exit]]", reason);
    }
    segments(m)?;
    exits(&m.exits)
}

fn labels(labels: &[String]) -> Result {
    within("number of labels", labels.len(), 2..=MAX_CLASSES)?;
    let mut seen = HashSet::new();
    for (k, label) in labels.iter().enumerate() {
        let field = format!("labels[{k}]");
        if label.trim().is_empty() || label.len() > 256 || label.chars().any(char::is_control) {
            return err(field, "a label is 1 to 256 bytes of printable text");
        }
        if !seen.insert(label) {
            return err(field, format!("{label:?} is there twice"));
        }
    }
    Ok(())
}

fn input(input: &InputSpec) -> Result {
    within("input.width", input.width, 1..=MAX_SIDE)?;
    within("input.height", input.height, 1..=MAX_SIDE)?;
    for (mean, std) in input.mean.iter().zip(&input.std) {
        within("input.mean", *mean, -1e6..=1e6)?;
        within("input.std", *std, 1e-6..=1e6)?;
    }
    Ok(())
}

fn state(state: &StateSpec, window: usize) -> Result {
    if state.policy == StatePolicy::Staggered && window < 2 {
        return err(
            "state.policy",
            "staggered states need a window of 2 or more",
        );
    }
    within("state.cut_distance", state.cut_distance, 0.0..=2.0)
}

fn heads(h: &HeadsSpec) -> Result {
    within("heads.grid", h.grid, 1..=MAX_GRID)?;
    within("heads.adapter_channels", h.adapter_channels, 1..=MAX_LAYER)?;
    within("heads.feature", h.feature, 1..=MAX_LAYER)?;
    within("heads.hidden", h.hidden, 1..=MAX_LAYER)?;
    within("heads.attention", h.attention, 1..=MAX_LAYER)?;
    within("heads.gate_projection", h.gate_projection, 1..=MAX_LAYER)
}

fn shape(field: &str, shape: &Shape) -> Result {
    let [n, c, h, w] = *shape;
    if n != 1 {
        return err(field, format!("the batch is {n}, not 1"));
    }
    within(field, c, 1..=MAX_LAYER)?;
    within(field, h, 1..=MAX_SIDE)?;
    within(field, w, 1..=MAX_SIDE)?;
    let elements = c.checked_mul(h).and_then(|plane| plane.checked_mul(w));
    let elements = elements.unwrap_or(usize::MAX);
    within(&format!("{field}: elements"), elements, 1..=MAX_ELEMENTS)
}

fn segments(m: &Manifest) -> Result {
    let mut files = HashSet::new();
    let mut expected = [1, 3, m.input.height, m.input.width];
    for (k, segment) in m.segments.iter().enumerate() {
        let last = k + 1 == m.segments.len();
        let file = &segment.file;
        let field = format!("segment[{k}].file");
        if !is_plain_name(file) || !file.ends_with(".onnx") {
            return err(
                field,
                format!("{file:?} is not the plain name of an .onnx file"),
            );
        }
        if !files.insert(file) {
            return err(field, format!("{file:?} is there twice"));
        }
        shapes(segment, k, last, expected, m.heads.grid)?;
        within(&format!("segment[{k}].macs"), segment.macs, 1..=MAX_MACS)?;
        expected = segment.output.unwrap_or(expected);
    }
    Ok(())
}

/// Segment `k` takes `expected` and pools its output to `grid` x `grid` cells.
fn shapes(segment: &SegmentSpec, k: usize, last: bool, expected: Shape, grid: usize) -> Result {
    let field = |name: &str| format!("segment[{k}].{name}");
    shape(&field("input"), &segment.input)?;
    if segment.input != expected {
        let giver = match k.checked_sub(1) {
            None => "the input tensor".to_owned(),
            Some(before) => format!("the output of segment {before}"),
        };
        let reason = format!("{:?} is not {giver}, {expected:?}", segment.input);
        return err(field("input"), reason);
    }
    shape(&field("pooled"), &segment.pooled)?;
    let [_, channels, height, width] = segment.pooled;
    if [height, width] != [grid; 2] {
        let reason = format!("{height} x {width} is not the grid, {grid} x {grid}");
        return err(field("pooled"), reason);
    }
    match &segment.output {
        None if last => Ok(()),
        None => err(field("output"), "missing; only the last segment has none"),
        Some(_) if last => err(field("output"), "the last segment has none"),
        Some(output) => {
            shape(&field("output"), output)?;
            if output[1] != channels {
                let reason = format!("{channels} channels, but the output has {}", output[1]);
                return err(field("pooled"), reason);
            }
            if output[2].min(output[3]) < grid {
                return err(
                    field("output"),
                    format!("smaller than the {grid} x {grid} grid"),
                );
            }
            Ok(())
        }
    }
}

fn exits(exits: &[ExitSpec]) -> Result {
    for (e, exit) in exits.iter().enumerate() {
        let last = e + 1 == exits.len();
        threshold(&format!("exit[{e}].threshold"), exit.threshold, last)?;
        let field = format!("exit[{e}].softmax_threshold");
        threshold(&field, exit.softmax_threshold, last)?;
        within(&format!("exit[{e}].rate"), exit.rate, 0.0..=1.0)?;
        within(
            &format!("exit[{e}].head_macs"),
            exit.head_macs,
            0..=MAX_MACS,
        )?;
    }
    let sum: f32 = exits.iter().map(|e| e.rate).sum();
    if (sum - 1.0).abs() > RATE_TOLERANCE {
        return err(
            "rate of every [[exit]]",
            format!("they add up to {sum}, not 1"),
        );
    }
    Ok(())
}

fn threshold(field: &str, value: Option<f32>, last: bool) -> Result {
    match value {
        None if last => Ok(()),
        None => err(field, "missing; only the last exit has none"),
        Some(_) if last => err(field, "the last exit is always taken and has none"),
        Some(p) if p > 0.0 && p < 1.0 => Ok(()),
        Some(p) => err(field, format!("{p} is not between 0 and 1, both excluded")),
    }
}
