//! `bundle.toml` as types. Every value of a [`Manifest`] that
//! [`Manifest::parse`] returned lies within the limits stated here, and the
//! shapes of its segments fit one another; nothing that is computed from them
//! can overflow. Whether a segment's file has those shapes is for the engine to
//! check.

use super::validate;
use serde::{Deserialize, Serialize};

/// The schema that this version reads.
pub const SCHEMA: &str = "e4.bundle/1";

/// NCHW shape of a feature map; the batch is 1.
pub type Shape = [usize; 4];

/// Number of elements of `shape`.
#[must_use]
pub fn elements(shape: &Shape) -> usize {
    shape.iter().product()
}

/// What a bundle says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// Name: ASCII letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Names of the K classes, 2 or more, all different.
    pub labels: Vec<String>,
    /// T: the attention looks back over this many committed frames, the current
    /// one included.
    pub window: usize,
    /// Spacing of the frames that the model was trained on.
    pub frame_interval_ns: u64,
    /// What the segments compute in.
    #[serde(default)]
    pub precision: Precision,
    /// The input tensor.
    pub input: InputSpec,
    /// The life of the temporal state.
    pub state: StateSpec,
    /// Sizes of the temporal heads.
    pub heads: HeadsSpec,
    /// The segments, in order; one per exit, at most
    /// [`MAX_EXITS`](crate::telemetry::MAX_EXITS).
    #[serde(rename = "segment")]
    pub segments: Vec<SegmentSpec>,
    /// The exits, in order.
    #[serde(rename = "exit")]
    pub exits: Vec<ExitSpec>,
}

/// What segments compute in. Inputs and outputs are of 32-bit floats in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// Bytes between QuantizeLinear and DequantizeLinear.
    Int8,
}

/// How a frame becomes the input tensor `[1, 3, height, width]`, planar R, G, B.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Subtracted from R, G, B in 0..=255.
    pub mean: [f32; 3],
    /// What the difference is divided by; above 0.
    pub std: [f32; 3],
    /// How a frame of another aspect ratio is fitted.
    pub fit: Fit,
}

/// How a frame of another aspect ratio than the input's is fitted to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The largest centred rectangle of the input's aspect ratio is resized.
    Crop,
    /// The whole frame is resized.
    Stretch,
}

/// What becomes of the temporal state on an endless stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSpec {
    /// Beyond T frames.
    pub policy: StatePolicy,
    /// At a scene cut.
    pub cut: CutPolicy,
    /// Distance above which two frames are a cut: 1 - cosine of the first exit's
    /// adapter outputs of this frame and the last, in 0..=2.
    pub cut_distance: f32,
}

/// What happens to the state beyond T frames of an endless stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatePolicy {
    /// It is carried on.
    Carry,
    /// It starts from zeros at every T-th frame.
    Reset,
    /// Two states, T/2 frames apart; the older one answers.
    Staggered,
}

/// What happens to the state at a scene cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CutPolicy {
    /// Nothing.
    Ignore,
    /// It starts from zeros.
    Reset,
}

/// Sizes of the temporal heads, each in 1..=4096; the letters are those of
/// `engines/FORMAT.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadsSpec {
    /// g: pooled features are `[C, g, g]`; at most 16.
    pub grid: usize,
    /// M: channels after the adapter's 1x1 convolution.
    pub adapter_channels: usize,
    /// D: elements of an adapter's output.
    pub feature: usize,
    /// H: hidden elements of each LSTM layer.
    pub hidden: usize,
    /// A: elements of the attention's hidden layer.
    pub attention: usize,
    /// G: elements of each state projection in the gate's input.
    pub gate_projection: usize,
}

/// One segment of the backbone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentSpec {
    /// Its ONNX file in the bundle.
    pub file: String,
    /// Shape of its input.
    pub input: Shape,
    /// Shape of the feature map for the next segment; absent in the last.
    pub output: Option<Shape>,
    /// Shape of the pooled feature for the exit's head, `[1, C, g, g]`.
    pub pooled: Shape,
    /// Multiply-accumulates of one run.
    pub macs: u64,
}

/// One exit point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitSpec {
    /// The exit is taken when the gate's p is at least this; between 0 and 1,
    /// both excluded. Absent for the last exit, which is always taken.
    pub threshold: Option<f32>,
    /// The same accuracy by the largest softmax; same range, absent likewise.
    pub softmax_threshold: Option<f32>,
    /// Share of frames that left here on the validation split, in 0..=1.
    pub rate: f32,
    /// Multiply-accumulates of this exit's head and gate.
    pub head_macs: u64,
}

impl Manifest {
    /// Reads and validates the text of a `bundle.toml`.
    ///
    /// # Errors
    /// Names the field, or the line where it is not TOML of this schema.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self =
            toml::from_str(text).map_err(|error| ManifestError::from_toml(text, &error))?;
        validate::manifest(&manifest)?;
        Ok(manifest)
    }

    /// Number of exits, which is the number of segments.
    #[must_use]
    pub fn exit_count(&self) -> usize {
        self.exits.len()
    }

    /// Multiply-accumulates of a frame that leaves at `exit`: its segments and
    /// heads up to there.
    #[must_use]
    pub fn macs_to(&self, exit: usize) -> u64 {
        let segments = self.segments.iter().map(|s| s.macs);
        let heads = self.exits.iter().map(|e| e.head_macs);
        segments.zip(heads).take(exit + 1).map(|(s, h)| s + h).sum()
    }
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ManifestError {
    /// The field, as `segment[1].pooled`, or the line.
    pub field: String,
    /// Why its value cannot be.
    pub reason: String,
}

impl ManifestError {
    /// For `field`.
    pub(super) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// One sentence instead of the parser's excerpt with carets.
    fn from_toml(text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |s| s.start).min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let number = before.matches('\n').count() + 1;
        let line = text.lines().nth(number - 1).unwrap_or_default();
        let excerpt: String = line.trim().chars().take(60).collect();
        let reason = error.message().lines().collect::<Vec<_>>().join(" ");
        Self::new(
            format!("line {number} ({})", excerpt.escape_debug()),
            reason,
        )
    }
}
