//! Where the world lies on a canvas.

use super::raster::Point;

/// A canvas's mapping from world to pixels: the unit square is as large as fits
/// the frame and centred in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Pixels of one side of the unit square.
    pub scale: f32,
    /// Pixel of the world's `(0, 0)`.
    pub origin: Point,
    /// Width and height in pixels.
    size: Point,
}

impl View {
    /// The view of a `width` x `height` frame with `margin` more pixels on every
    /// side.
    #[must_use]
    pub fn new(width: usize, height: usize, margin: usize) -> Self {
        let (w, h, margin) = (width as f32, height as f32, margin as f32);
        let scale = w.min(h);
        Self {
            scale,
            origin: [(w - scale) / 2.0 + margin, (h - scale) / 2.0 + margin],
            size: [w + 2.0 * margin, h + 2.0 * margin],
        }
    }

    /// The same view, its picture moved by `offset` pixels.
    #[must_use]
    pub fn moved(mut self, offset: Point) -> Self {
        self.origin = [self.origin[0] + offset[0], self.origin[1] + offset[1]];
        self
    }

    /// The pixel of a place in the world.
    #[must_use]
    pub fn pixel(&self, at: [f32; 2]) -> Point {
        [0, 1].map(|i| self.origin[i] + at[i] * self.scale)
    }

    /// Corners of what is seen of the world.
    #[must_use]
    pub fn seen(&self) -> [[f32; 2]; 2] {
        [
            [0, 1].map(|i| -self.origin[i] / self.scale),
            [0, 1].map(|i| (self.size[i] - self.origin[i]) / self.scale),
        ]
    }

    /// Unit squares `(x, y)` whose things, up to `reach` long, may be seen.
    pub fn tiles(&self, reach: f32) -> impl Iterator<Item = [i32; 2]> + use<> {
        let [min, max] = self.seen();
        let [x, y] = [0, 1].map(|i| floor(min[i] - reach)..=floor(max[i] + reach));
        y.flat_map(move |y| x.clone().map(move |x| [x, y]))
    }

    /// Copies of `at`, which repeats at `period`, that reach into view along
    /// `axis` with an extent of `reach` either way.
    pub fn copies(
        &self,
        axis: usize,
        at: f32,
        period: f32,
        reach: f32,
    ) -> impl Iterator<Item = f32> + Clone + use<> {
        let [min, max] = self.seen();
        let first = floor((min[axis] - reach - at) / period);
        let last = floor((max[axis] + reach - at) / period);
        (first..=last).map(move |k| at + k as f32 * period)
    }
}

/// Largest whole number not above `value`.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "saturates; never that far")]
pub fn floor(value: f32) -> i32 {
    value.floor() as i32
}
