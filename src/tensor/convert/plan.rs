//! How frames of one format and size are sampled, and the way they are
//! converted.

use super::super::{FrameMeta, PixelFormat, Rows};
use super::Resize;
use super::exact::Exact;
use super::fused::Fused;
use super::kernels::{Element, Kernels, Mix};
use super::layout::{Component, layout};
use super::taps::Taps;
use crate::engine::bundle::{Fit, InputSpec};
use std::ops::Range;

/// Which samples make which outputs.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    /// Of the tensor.
    pub width: usize,
    /// Of the tensor.
    pub height: usize,
    /// Rows of each surface.
    pub vertical: Vec<Taps>,
    /// Bytes of a row of each surface that any component needs.
    pub bytes: Vec<Range<usize>>,
    /// Each component, and its samples.
    pub components: Vec<(Component, Taps)>,
}

impl Geometry {
    pub(super) fn new(meta: &FrameMeta, input: &InputSpec, resize: Resize) -> Self {
        let (columns, lines) = source(input, meta);
        let size = (meta.width as usize, meta.height as usize);
        let (surfaces, components) = layout(meta.format, size.0, size.1);
        let taps = |(start, length): (f64, f64), scale: f64, samples, outputs| {
            Taps::new((start * scale, length * scale), samples, outputs, resize)
        };
        let component = |c: Component| (c, taps(columns, c.scale, c.samples, input.width));
        let components: Vec<_> = components.into_iter().map(component).collect();
        let surface = surfaces.iter();
        let vertical = surface.map(|s| taps(lines, s.row_scale, s.rows, input.height));
        let surface = 0..surfaces.len();
        Self {
            width: input.width,
            height: input.height,
            vertical: vertical.collect(),
            bytes: surface.map(|index| bytes_of(index, &components)).collect(),
            components,
        }
    }
}

/// In whole numbers and one pass, or in floats.
#[derive(Clone, Debug)]
enum Way {
    Fused(Fused),
    Exact(Exact),
}

/// Tables and scratch for one frame format and size.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    frame: (PixelFormat, u32, u32),
    way: Way,
}

impl Plan {
    /// With `kernels`, unless there are none or the shrink is too strong for
    /// them.
    pub(super) fn new(
        meta: &FrameMeta,
        input: &InputSpec,
        resize: Resize,
        kernels: Option<Kernels>,
    ) -> Self {
        let geometry = Geometry::new(meta, input, resize);
        let fused = kernels.and_then(|kernels| Fused::new(meta, &geometry, kernels));
        Self {
            frame: (meta.format, meta.width, meta.height),
            way: match fused {
                Some(fused) => Way::Fused(fused),
                None => Way::Exact(Exact::new(geometry)),
            },
        }
    }

    /// Whether the plan is for frames like this one.
    pub(super) fn fits(&self, meta: &FrameMeta) -> bool {
        self.frame == (meta.format, meta.width, meta.height)
    }

    /// Writes row `y` of the tensor.
    pub(super) fn row<T: Element>(
        &mut self,
        frame: &[Rows<'_>; 3],
        y: usize,
        mix: Mix,
        out: [&mut [T]; 3],
    ) {
        match &mut self.way {
            Way::Fused(fused) => fused.row(frame, y, mix, out),
            Way::Exact(exact) => exact.row(self.frame.0, frame, y, &mix, out),
        }
    }
}

/// Bytes of surface `index` that its components need, as part of a row.
fn bytes_of(index: usize, components: &[(Component, Taps)]) -> Range<usize> {
    let mine = components.iter().filter(|c| c.0.surface == index);
    let ranges = mine.map(|c| {
        let (range, layout) = (c.1.range(), &c.0);
        let at = |sample: usize| sample * layout.step + layout.offset;
        (at(range.start), at(range.end - 1) + 1)
    });
    let joined = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    joined.map_or(0..0, |(start, end)| start..end)
}

/// The source rectangle: (start, length) in columns and in lines.
fn source(input: &InputSpec, meta: &FrameMeta) -> ((f64, f64), (f64, f64)) {
    let (width, height) = (f64::from(meta.width), f64::from(meta.height));
    let whole = ((0.0, width), (0.0, height));
    if input.fit == Fit::Stretch {
        return whole;
    }
    let aspect = ratio(input.width, input.height);
    let (wanted_width, wanted_height) = (height * aspect, width / aspect);
    if wanted_width < width {
        (((width - wanted_width) / 2.0, wanted_width), whole.1)
    } else if wanted_height < height {
        (whole.0, ((height - wanted_height) / 2.0, wanted_height))
    } else {
        whole
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn ratio(width: usize, height: usize) -> f64 {
    width as f64 / height as f64
}
