//! What converting frames of one format and size takes: tables and scratch.

use super::super::{FrameMeta, PixelFormat, Rows};
use super::layout::{self, layout};
use super::taps::Taps;
use crate::engine::bundle::{Fit, InputSpec};
use std::ops::Range;

/// A surface of the frame on its way to one output row.
#[derive(Clone, Debug)]
struct Surface {
    vertical: Taps,
    /// Bytes of a row that any component needs.
    bytes: Range<usize>,
    /// Those bytes, blended over the rows that make the output row.
    blended: Vec<f32>,
}

/// A component on its way to one output row.
#[derive(Clone, Debug)]
struct Component {
    layout: layout::Component,
    horizontal: Taps,
}

/// Tables and scratch for one frame format and size.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    geometry: (PixelFormat, u32, u32),
    surfaces: Vec<Surface>,
    components: Vec<Component>,
    /// One output row of each component; neutral chroma where there is none.
    rows: [Vec<f32>; 3],
}

impl Plan {
    pub(super) fn new(meta: &FrameMeta, input: &InputSpec) -> Self {
        let size = (meta.width as usize, meta.height as usize);
        let (surfaces, components) = layout(meta.format, size.0, size.1);
        let (columns, lines) = source(input, meta);
        let components: Vec<_> = components
            .into_iter()
            .map(|layout| Component {
                horizontal: taps(columns, layout.scale, layout.samples, input.width),
                layout,
            })
            .collect();
        let surfaces = surfaces.into_iter().enumerate().map(|(index, layout)| {
            let bytes = bytes_of(index, &components);
            Surface {
                vertical: taps(lines, layout.row_scale, layout.rows, input.height),
                blended: vec![0.0; bytes.len()],
                bytes,
            }
        });
        Self {
            geometry: (meta.format, meta.width, meta.height),
            surfaces: surfaces.collect(),
            components,
            rows: [128.0; 3].map(|neutral| vec![neutral; input.width]),
        }
    }

    /// Whether the plan is for frames like this one.
    pub(super) fn fits(&self, meta: &FrameMeta) -> bool {
        self.geometry == (meta.format, meta.width, meta.height)
    }

    /// The components of output row `y`, in 0..=255.
    pub(super) fn sample_row(&mut self, frame: &[Rows<'_>; 3], y: usize) -> [&[f32]; 3] {
        for (surface, rows) in self.surfaces.iter_mut().zip(frame) {
            surface.blend(*rows, y);
        }
        for (component, row) in self.components.iter().zip(&mut self.rows) {
            let layout = &component.layout;
            let surface = &self.surfaces[layout.surface];
            let range = component.horizontal.range();
            let offset = range.start * layout.step + layout.offset - surface.bytes.start;
            let place = (range.start, layout.step, offset);
            component.horizontal.filter(&surface.blended, place, row);
        }
        self.rows.each_ref().map(Vec::as_slice)
    }
}

impl Surface {
    fn blend(&mut self, rows: Rows<'_>, y: usize) {
        self.blended.fill(0.0);
        for (row, weight) in self.vertical.of(y) {
            let start = row * rows.stride;
            let bytes = &rows.bytes[start + self.bytes.start..start + self.bytes.end];
            for (sum, byte) in self.blended.iter_mut().zip(bytes) {
                *sum += weight * f32::from(*byte);
            }
        }
    }
}

/// Bytes of surface `index` that its components need, as part of a row.
fn bytes_of(index: usize, components: &[Component]) -> Range<usize> {
    let mine = components.iter().filter(|c| c.layout.surface == index);
    let ranges = mine.map(|c| {
        let (range, layout) = (c.horizontal.range(), &c.layout);
        let at = |sample: usize| sample * layout.step + layout.offset;
        (at(range.start), at(range.end - 1) + 1)
    });
    let joined = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    joined.map_or(0..0, |(start, end)| start..end)
}

/// Taps of a grid with `scale` samples per pixel over a span of pixels.
fn taps((start, length): (f64, f64), scale: f64, samples: usize, outputs: usize) -> Taps {
    Taps::new(start * scale, length * scale, samples, outputs)
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
