//! The conversion in floats, a component at a time: for shrinks that weights in
//! whole numbers are too coarse for, and what the kernels are compared with.

use super::super::{PixelFormat, Rows};
use super::kernels::{Element, Mix};
use super::layout::is_rgb;
use super::plan::Geometry;

/// Tables and scratch for one frame format and size.
#[derive(Clone, Debug)]
pub(super) struct Exact {
    geometry: Geometry,
    /// A row of each surface, blended over those that make the output row.
    blended: Vec<Vec<f32>>,
    /// One output row of each component; neutral chroma where there is none.
    rows: [Vec<f32>; 3],
}

impl Exact {
    pub(super) fn new(geometry: Geometry) -> Self {
        let bytes = geometry.bytes.iter();
        Self {
            blended: bytes.map(|bytes| vec![0.0; bytes.len()]).collect(),
            rows: [128.0; 3].map(|neutral| vec![neutral; geometry.width]),
            geometry,
        }
    }

    /// Writes row `y` of the tensor.
    pub(super) fn row<T: Element>(
        &mut self,
        format: PixelFormat,
        frame: &[Rows<'_>; 3],
        y: usize,
        mix: &Mix,
        out: [&mut [T]; 3],
    ) {
        self.sample(frame, y);
        let [first, second, third] = &self.rows;
        let [red, green, blue] = out;
        for x in 0..self.geometry.width {
            let samples = [first[x], second[x], third[x]];
            let rgb = mix.apply(samples, is_rgb(format));
            red[x] = T::of(rgb[0], mix);
            green[x] = T::of(rgb[1], mix);
            blue[x] = T::of(rgb[2], mix);
        }
    }

    /// The components of output row `y`, in 0..=255.
    fn sample(&mut self, frame: &[Rows<'_>; 3], y: usize) {
        for (surface, rows) in frame.iter().enumerate().take(self.blended.len()) {
            self.blend(surface, *rows, y);
        }
        for ((layout, taps), row) in self.geometry.components.iter().zip(&mut self.rows) {
            let bytes = &self.geometry.bytes[layout.surface];
            let range = taps.range();
            let offset = range.start * layout.step + layout.offset - bytes.start;
            let place = (range.start, layout.step, offset);
            taps.filter(&self.blended[layout.surface], place, row);
        }
    }

    fn blend(&mut self, surface: usize, rows: Rows<'_>, y: usize) {
        let (blended, bytes) = (&mut self.blended[surface], &self.geometry.bytes[surface]);
        blended.fill(0.0);
        for (row, weight) in self.geometry.vertical[surface].of(y) {
            let start = row * rows.stride;
            let bytes = &rows.bytes[start + bytes.start..start + bytes.end];
            for (sum, byte) in blended.iter_mut().zip(bytes) {
                *sum += weight * f32::from(*byte);
            }
        }
    }
}
