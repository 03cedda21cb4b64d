//! Frame to input tensor: crop, resize, colour and normalisation in one pass.
//!
//! Guarantees: every [`PixelFormat`] at any size from 1x1 becomes planar R, G, B
//! at the input's size, in floats or in 8 bits. The planes of a frame are resized
//! as they are, each from its own grid (chroma centre-sited), and only then
//! turned into RGB, clamped to 0..=255 without rounding. The filter is
//! [`Resize`]'s, centre aligned; an RGB frame of the input's own size passes
//! through unchanged. Nothing of a frame outside its source rectangle reaches the
//! tensor. `Gray8` is luma without chroma, so its range counts.
//!
//! The kernels filter in whole numbers, with the fastest instructions that the
//! processor has ([`Isa`]); they are within a 255th of full scale of
//! [`Converter::exact`], which a shrink by more than about 30 takes by itself.
//!
//! Not guaranteed: the same last bits on every processor.
//!
//! Costs: the filter's tables are made anew when a frame's format or size
//! differs from the last one's; otherwise nothing is allocated. Each source row
//! that the filter needs is read about twice, the second time from a near cache.

mod colour;
mod exact;
mod fused;
mod kernels;
mod layout;
mod plan;
mod taps;

pub use kernels::Isa;

use super::{Frame, FrameMeta, PixelFormat, Rows};
use crate::engine::bundle::InputSpec;
use kernels::{Element, Kernels, Mix};
use plan::Plan;

/// How samples make an output of the tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resize {
    /// All within twice an output's width, the nearer the more: bilinear when
    /// enlarging, without aliasing when shrinking.
    #[default]
    Triangle,
    /// The mean of all that an output covers; bilinear when enlarging.
    Area,
    /// The nearest two by two, whatever the scale: fine detail aliases where the
    /// frame is more than twice as large as the input.
    Bilinear,
}

/// An 8-bit tensor: its value `q` stands for `(q - zero) * step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steps {
    /// Above 0.
    pub step: f32,
    /// What stands for 0, within -128..=127.
    pub zero: f32,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            step: 1.0,
            zero: 0.0,
        }
    }
}

/// Turns frames into input tensors.
#[derive(Clone, Debug)]
pub struct Converter {
    input: InputSpec,
    resize: Resize,
    kernels: Option<Kernels>,
    plan: Option<Plan>,
}

/// Why a frame cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// The frame has no pixels, or more than memory can hold.
    #[error("a frame of {width} x {height} pixels cannot be")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The frame's bytes are too few or too many.
    #[error("a {width} x {height} frame of {format:?} has {expected} bytes, not {found}")]
    Length {
        /// Byte layout.
        format: PixelFormat,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes that such a frame has.
        expected: usize,
        /// Bytes that were there.
        found: usize,
    },
    /// The driver's memory does not hold such a frame.
    #[error("a {width} x {height} frame of {format:?} does not fit into the driver's buffer")]
    Lent {
        /// Byte layout.
        format: PixelFormat,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The tensor is not `[3, height, width]`; the caller's mistake.
    #[error("the input tensor has {expected} elements, not {found}")]
    Tensor {
        /// Elements of the input.
        expected: usize,
        /// Elements given.
        found: usize,
    },
}

impl Converter {
    /// A converter to the input that a bundle asks for.
    #[must_use]
    pub fn new(input: &InputSpec) -> Self {
        Self {
            input: input.clone(),
            resize: Resize::default(),
            kernels: Some(Kernels::best()),
            plan: None,
        }
    }

    /// The same with another filter.
    #[must_use]
    pub fn resize(self, resize: Resize) -> Self {
        Self {
            resize,
            plan: None,
            ..self
        }
    }

    /// The same with the kernels of `isa`; `None` where this processor has no
    /// such instructions.
    #[must_use]
    pub fn with_isa(self, isa: Isa) -> Option<Self> {
        Some(Self {
            kernels: Some(Kernels::of(isa)?),
            plan: None,
            ..self
        })
    }

    /// The same in floats, slowly: what the kernels are compared with.
    #[must_use]
    pub fn exact(self) -> Self {
        Self {
            kernels: None,
            plan: None,
            ..self
        }
    }

    /// The instructions it uses; `None` in floats.
    #[must_use]
    pub fn isa(&self) -> Option<Isa> {
        self.kernels.map(Kernels::isa)
    }

    /// Elements of the tensor, `3 * height * width`.
    #[must_use]
    pub fn tensor_len(&self) -> usize {
        3 * self.input.height * self.input.width
    }

    /// Writes `frame` into `tensor`, `[3, height, width]`: planar R, G, B,
    /// `(rgb - mean) / std` with rgb in 0..=255.
    ///
    /// # Errors
    /// When the frame is empty, its bytes do not match its size, or the tensor
    /// has the wrong length. The tensor is then as it was.
    pub fn convert(&mut self, frame: &Frame, tensor: &mut [f32]) -> Result<(), ConvertError> {
        self.fill(frame, tensor, Steps::default())
    }

    /// The same in 8 bits: `(rgb - mean) / std / step + zero`, rounded to the
    /// nearest, even on a tie, and held within -128..=127.
    ///
    /// # Errors
    /// As for [`Self::convert`].
    pub fn convert_i8(
        &mut self,
        frame: &Frame,
        steps: Steps,
        tensor: &mut [i8],
    ) -> Result<(), ConvertError> {
        self.fill(frame, tensor, steps)
    }

    fn fill<T: Element>(
        &mut self,
        frame: &Frame,
        tensor: &mut [T],
        steps: Steps,
    ) -> Result<(), ConvertError> {
        let surfaces = surfaces(frame)?;
        let expected = self.tensor_len();
        if tensor.len() != expected {
            return Err(ConvertError::Tensor {
                expected,
                found: tensor.len(),
            });
        }
        let (meta, input) = (&frame.meta, &self.input);
        let plan = match self.plan.take() {
            Some(plan) if plan.fits(meta) => self.plan.insert(plan),
            _ => {
                let plan = Plan::new(meta, input, self.resize, self.kernels);
                self.plan.insert(plan)
            }
        };
        let mix = Mix::new(input, meta.colour, steps);
        let (red, rest) = tensor.split_at_mut(expected / 3);
        let (green, blue) = rest.split_at_mut(expected / 3);
        for y in 0..input.height {
            let span = y * input.width..(y + 1) * input.width;
            let out = [
                &mut red[span.clone()],
                &mut green[span.clone()],
                &mut blue[span],
            ];
            plan.row(&surfaces, y, mix, out);
        }
        Ok(())
    }
}

fn surfaces(frame: &Frame) -> Result<[Rows<'_>; 3], ConvertError> {
    let FrameMeta {
        format,
        width,
        height,
        ..
    } = frame.meta;
    let expected = match format.frame_len(width, height) {
        None | Some(0) => return Err(ConvertError::Size { width, height }),
        Some(expected) => expected,
    };
    frame.surfaces().ok_or(match frame.lent {
        Some(_) => ConvertError::Lent {
            format,
            width,
            height,
        },
        None => ConvertError::Length {
            format,
            width,
            height,
            expected,
            found: frame.data.len(),
        },
    })
}

#[cfg(test)]
mod tests;
