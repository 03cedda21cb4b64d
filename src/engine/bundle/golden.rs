//! `golden.safetensors`: a few clips and what the trainer made of them, so that
//! an engine can prove that it computes the same. Read in place, nothing is
//! copied; every tensor has been checked against the manifest.

use super::manifest::{InputSpec, Manifest};
use bytemuck::AnyBitPattern;
use safetensors::{Dtype, SafeTensors};

/// Most golden clips, and most frames of one.
const MAX_COUNT: usize = 4096;

/// Tensor and reason.
type Misfit = (String, String);

/// Golden clips: `N` clips of `T` frames, the first `P` of each with pooled
/// features. Accessors give `None` beyond those counts.
#[derive(Clone, Debug)]
pub struct Golden<'a> {
    clips: usize,
    frames: usize,
    pooled_frames: usize,
    exits: usize,
    classes: usize,
    input: InputSpec,
    rgb: &'a [u8],
    label: &'a [i32],
    pooled: Vec<&'a [f32]>,
    logits: &'a [f32],
    gate: &'a [f32],
    beta: &'a [f32],
    exit: &'a [i32],
}

/// Tensors of the file by name, with the shape that each must have.
struct Reader<'a>(SafeTensors<'a>);

impl<'a> Reader<'a> {
    fn shape(&self, name: &str) -> Result<Vec<usize>, Misfit> {
        let view = self.0.tensor(name).map_err(|e| misfit(name, e))?;
        Ok(view.shape().to_vec())
    }

    /// Elements of tensor `name`, of exactly `shape` and `dtype`.
    fn take<T: AnyBitPattern>(
        &self,
        name: &str,
        dtype: Dtype,
        shape: &[usize],
    ) -> Result<&'a [T], Misfit> {
        let view = self.0.tensor(name).map_err(|e| misfit(name, e))?;
        if view.dtype() != dtype || view.shape() != shape {
            let (found, has) = (view.dtype(), view.shape());
            return Err(misfit(
                name,
                format!("{found} {has:?} is not {dtype} {shape:?}"),
            ));
        }
        if view.data().is_empty() {
            return Ok(&[]);
        }
        bytemuck::try_cast_slice(view.data()).map_err(|e| misfit(name, e))
    }
}

fn misfit(name: &str, reason: impl ToString) -> Misfit {
    (name.to_owned(), reason.to_string())
}

/// Row `index` of `data` cut into rows of `len`.
fn row<T>(data: &[T], index: usize, len: usize) -> Option<&[T]> {
    let start = index.checked_mul(len)?;
    data.get(start..start.checked_add(len)?)
}

impl<'a> Golden<'a> {
    /// Reads the file's `bytes`.
    pub(super) fn parse(bytes: &'a [u8], m: &Manifest) -> Result<Self, Misfit> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| misfit("header", e))?;
        let reader = Reader(file);
        let frames_shape = reader.shape("frames")?;
        let (height, width) = (m.input.height, m.input.width);
        let &[n, t, h, w, 3] = frames_shape.as_slice() else {
            let reason = format!("{frames_shape:?} is not [N, T, {height}, {width}, 3]");
            return Err(misfit("frames", reason));
        };
        if !(1..=MAX_COUNT).contains(&n) || !(1..=MAX_COUNT).contains(&t) {
            let reason = format!("{n} clips of {t} frames are not within 1..={MAX_COUNT} each");
            return Err(misfit("frames", reason));
        }
        if [h, w] != [height, width] {
            let reason = format!("{h} x {w} is not the input size, {height} x {width}");
            return Err(misfit("frames", reason));
        }
        let p = reader.shape("pooled.0")?.get(1).copied().unwrap_or(0);
        if !(1..=t).contains(&p) {
            return Err(misfit(
                "pooled.0",
                format!("{p} frames are not within 1..={t}"),
            ));
        }
        let (e, k, g) = (m.exit_count(), m.labels.len(), m.heads.grid);
        let pooled = m.segments.iter().enumerate().map(|(i, segment)| {
            let shape = [n, p, segment.pooled[1], g, g];
            reader.take(&format!("pooled.{i}"), Dtype::F32, &shape)
        });
        let golden = Self {
            clips: n,
            frames: t,
            pooled_frames: p,
            exits: e,
            classes: k,
            input: m.input.clone(),
            pooled: pooled.collect::<Result<_, _>>()?,
            rgb: reader.take("frames", Dtype::U8, &frames_shape)?,
            label: reader.take("label", Dtype::I32, &[n])?,
            logits: reader.take("logits", Dtype::F32, &[n, t, e, k])?,
            gate: reader.take("gate", Dtype::F32, &[n, t, e - 1])?,
            beta: reader.take("beta", Dtype::F32, &[n, t, e])?,
            exit: reader.take("exit", Dtype::I32, &[n, t])?,
        };
        golden.check_values()?;
        Ok(golden)
    }

    fn check_values(&self) -> Result<(), Misfit> {
        let out_of = |value: i32, count: usize| usize::try_from(value).is_ok_and(|v| v >= count);
        if self
            .label
            .iter()
            .any(|&l| l < -1 || out_of(l, self.classes))
        {
            return Err(misfit("label", "a class is not one of the labels"));
        }
        if self.exit.iter().any(|&e| e < 0 || out_of(e, self.exits)) {
            return Err(misfit("exit", "an exit is not one of the manifest's"));
        }
        Ok(())
    }

    /// N, the number of clips.
    #[must_use]
    pub fn clips(&self) -> usize {
        self.clips
    }

    /// T, the frames of each clip.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// P, the leading frames of each clip that have pooled features.
    #[must_use]
    pub fn pooled_frames(&self) -> usize {
        self.pooled_frames
    }

    fn index(&self, clip: usize, t: usize, frames: usize) -> Option<usize> {
        (clip < self.clips && t < frames).then_some(clip * frames + t)
    }

    /// Frame `t` of `clip`: RGB, `[height, width, 3]`.
    #[must_use]
    pub fn rgb(&self, clip: usize, t: usize) -> Option<&'a [u8]> {
        let len = self.input.height * self.input.width * 3;
        row(self.rgb, self.index(clip, t, self.frames)?, len)
    }

    /// Writes frame `t` of `clip` into `tensor` as the input tensor
    /// `[3, height, width]`: planar, `(rgb - mean) / std`. False, and nothing
    /// written, when there is no such frame or the length is another.
    #[must_use]
    pub fn write_input(&self, clip: usize, t: usize, tensor: &mut [f32]) -> bool {
        let Some(rgb) = self.rgb(clip, t).filter(|rgb| rgb.len() == tensor.len()) else {
            return false;
        };
        let plane = self.input.height * self.input.width;
        for (c, values) in tensor.chunks_exact_mut(plane).enumerate() {
            let (mean, std) = (self.input.mean[c], self.input.std[c]);
            for (value, pixel) in values.iter_mut().zip(rgb.chunks_exact(3)) {
                *value = (f32::from(pixel[c]) - mean) / std;
            }
        }
        true
    }

    /// Class of `clip`; `None` when unknown.
    #[must_use]
    pub fn label(&self, clip: usize) -> Option<usize> {
        usize::try_from(*self.label.get(clip)?).ok()
    }

    /// Pooled feature of `exit` for frame `t` of `clip`: `[C_e, g, g]`.
    #[must_use]
    pub fn pooled(&self, exit: usize, clip: usize, t: usize) -> Option<&'a [f32]> {
        let data = self.pooled.get(exit)?;
        let len = data.len() / (self.clips * self.pooled_frames);
        row(data, self.index(clip, t, self.pooled_frames)?, len)
    }

    /// Logits of every exit for frame `t` of `clip`: `[E, K]`.
    #[must_use]
    pub fn logits(&self, clip: usize, t: usize) -> Option<&'a [f32]> {
        let len = self.exits * self.classes;
        row(self.logits, self.index(clip, t, self.frames)?, len)
    }

    /// p of every gate for frame `t` of `clip`: `[E-1]`.
    #[must_use]
    pub fn gate(&self, clip: usize, t: usize) -> Option<&'a [f32]> {
        row(self.gate, self.index(clip, t, self.frames)?, self.exits - 1)
    }

    /// The current frame's share of attention at every exit, for frame `t` of
    /// `clip`: `[E]`.
    #[must_use]
    pub fn beta(&self, clip: usize, t: usize) -> Option<&'a [f32]> {
        row(self.beta, self.index(clip, t, self.frames)?, self.exits)
    }

    /// Exit taken by frame `t` of `clip`, from 0.
    #[must_use]
    pub fn exit(&self, clip: usize, t: usize) -> Option<usize> {
        let index = self.index(clip, t, self.frames)?;
        usize::try_from(*self.exit.get(index)?).ok()
    }
}
