//! What converting frames of one format and size in one pass takes: weights in
//! whole numbers and scratch rows.
//!
//! For each row of the tensor the rows of each surface that it needs are
//! blended into one, its components are parted, and filtered, converted and
//! normalised together, while all of it is in the nearest cache.

use super::super::{FrameMeta, PixelFormat, Rows};
use super::kernels::{Blend, Element, Filter, Kernels, Kind, Lines, Mix};
use super::layout;
use super::plan::Geometry;
use std::ops::Range;

/// Samples of an axis that an output may take; whole numbers are too coarse for
/// the weights of more.
const MOST_TAPS: usize = 64;

/// Rows of the tensor by which reading is ahead of it.
const AHEAD: usize = 2;

/// A surface of the frame on its way to one output row.
#[derive(Clone, Debug)]
struct Surface {
    vertical: Lines,
    bytes: Range<usize>,
    /// Even bytes, or all.
    even: Vec<u16>,
    /// Odd bytes where they are apart.
    odd: Option<Vec<u16>>,
    /// Components of the row that are yet to be parted: of the odd bytes or the
    /// even (or all), and how many.
    mixed: Option<(bool, usize)>,
}

/// Where a component's words are.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In a surface, among the odd bytes or the others.
    Row(usize, bool),
    /// In a plane of their own.
    Plane(usize),
}

/// Tables and scratch for one frame format and size.
#[derive(Clone, Debug)]
pub(super) struct Fused {
    kernels: Kernels,
    kind: Kind,
    surfaces: Vec<Surface>,
    components: Vec<(Place, Filter)>,
    planes: [Vec<u16>; 3],
}

impl Fused {
    /// `None` where a shrink is too strong for it.
    pub(super) fn new(meta: &FrameMeta, geometry: &Geometry, kernels: Kernels) -> Option<Self> {
        let axes = geometry.vertical.iter();
        let mut axes = axes.chain(geometry.components.iter().map(|c| &c.1));
        if !axes.all(|taps| taps.most() <= MOST_TAPS) {
            return None;
        }
        let parted = matches!(meta.format, PixelFormat::Yuyv | PixelFormat::Uyvy);
        let mut fused = Self {
            kernels,
            kind: kind(meta.format),
            surfaces: Vec::new(),
            components: Vec::new(),
            planes: [const { Vec::new() }; 3],
        };
        for (index, taps) in geometry.vertical.iter().enumerate() {
            let mine = geometry.components.iter().filter(|c| c.0.surface == index);
            let step = mine.map(|c| c.0.step).max().unwrap_or(1);
            let bytes = &geometry.bytes[index];
            let bytes = bytes.start / step * step..bytes.end.next_multiple_of(step);
            fused.surfaces.push(Surface {
                vertical: Lines::new(taps, geometry.height),
                even: Vec::new(),
                odd: parted.then(Vec::new),
                mixed: None,
                bytes,
            });
        }
        for (layout, taps) in &geometry.components {
            fused.add(layout, taps, geometry.width, parted);
        }
        fused.size();
        Some(fused)
    }

    /// Adds a component.
    fn add(
        &mut self,
        of: &layout::Component,
        taps: &super::taps::Taps,
        width: usize,
        parted: bool,
    ) {
        let surface = &mut self.surfaces[of.surface];
        let first = surface.bytes.start / of.step;
        let filter = Filter::new(taps, first, width, self.kernels);
        let (share, odd) = (1 + usize::from(parted), parted && of.offset % 2 == 1);
        let place = match of.step / share {
            1 => Place::Row(of.surface, odd),
            mixed => {
                surface.mixed = Some((odd, mixed));
                Place::Plane(of.offset / share + 3 - mixed)
            }
        };
        self.components.push((place, filter));
    }

    /// Makes the scratch rows: as long as their words, and as filters read.
    fn size(&mut self) {
        let ends = self.components.iter().map(|(_, filter)| filter.end());
        let end = ends.max().unwrap_or(0);
        for surface in &mut self.surfaces {
            let len = surface.bytes.len().max(end);
            surface.even.resize(len, 0);
            if let Some(odd) = &mut surface.odd {
                odd.resize(len, 0);
            }
            for plane in &mut self.planes {
                plane.resize(plane.len().max(len), 0);
            }
        }
    }

    /// Writes row `y` of the tensor.
    pub(super) fn row<T: Element>(
        &mut self,
        frame: &[Rows<'_>; 3],
        y: usize,
        mix: Mix,
        out: [&mut [T]; 3],
    ) {
        for (surface, rows) in self.surfaces.iter_mut().zip(frame) {
            surface.blend(self.kernels, *rows, y);
            surface.part(self.kernels, &mut self.planes);
        }
        let component = |index: usize| {
            let (place, filter) = self.components.get(index).unwrap_or(&self.components[0]);
            let words = match *place {
                Place::Plane(plane) => &self.planes[plane],
                Place::Row(surface, odd) => self.surfaces[surface].words(odd),
            };
            (&words[..], filter)
        };
        let components = [component(0), component(1), component(2)];
        self.kernels.row(self.kind, components, out, mix);
    }
}

impl Surface {
    fn blend(&mut self, kernels: Kernels, rows: Rows<'_>, y: usize) {
        let (first, weights) = self.vertical.of(y);
        let blend = Blend {
            rows,
            first,
            weights,
            bytes: self.bytes.clone(),
            ahead: self.vertical.end(y + AHEAD - 1)..self.vertical.end(y + AHEAD),
        };
        kernels.blend(&blend, &mut self.even, self.odd.as_deref_mut());
    }

    fn words(&self, odd: bool) -> &Vec<u16> {
        match &self.odd {
            Some(words) if odd => words,
            _ => &self.even,
        }
    }

    fn part(&self, kernels: Kernels, planes: &mut [Vec<u16>; 3]) {
        let Some((odd, mixed)) = self.mixed else {
            return;
        };
        let words = self.bytes.len() / if self.odd.is_some() { 2 } else { 1 };
        let words = &self.words(odd)[..words];
        let [first, second, third] = planes.each_mut().map(Vec::as_mut_slice);
        if mixed == 2 {
            kernels.halve(words, [second, third]);
        } else {
            kernels.third(words, [first, second, third]);
        }
    }
}

fn kind(format: PixelFormat) -> Kind {
    match format {
        PixelFormat::Gray8 => Kind::Grey,
        _ if layout::is_rgb(format) => Kind::Rgb,
        _ => Kind::Yuv,
    }
}
