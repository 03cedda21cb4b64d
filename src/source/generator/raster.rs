//! Anti-aliased shapes on a float RGB canvas.
//!
//! Coverage is analytic (distance to the outline for round shapes, exact area
//! for upright rectangles). Nothing is allocated after [`Canvas::new`]. Costs
//! about 2 ns for each pixel of a shape's bounding box.

use std::ops::Range;

/// A colour in `0..=255`, not clamped.
pub type Rgb = [f32; 3];

/// Float RGB pixels, rows packed.
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Interleaved R, G, B.
    pub data: Vec<f32>,
}

/// A point in pixels; pixel `(0, 0)` covers `[0, 1) x [0, 1)`.
pub type Point = [f32; 2];

impl Canvas {
    /// A black canvas.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            data: vec![0.0; width * height * 3],
        }
    }

    /// One row's samples.
    pub fn row_mut(&mut self, y: usize) -> &mut [f32] {
        let stride = self.width * 3;
        &mut self.data[y * stride..(y + 1) * stride]
    }

    /// The thick line from `a` to `b` with round ends; a disc where they meet.
    pub fn capsule(&mut self, a: Point, b: Point, radius: f32, colour: Rgb) {
        let reach = radius + 0.5;
        let xs = span(a[0].min(b[0]) - reach, a[0].max(b[0]) + reach, self.width);
        let ys = span(a[1].min(b[1]) - reach, a[1].max(b[1]) + reach, self.height);
        let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
        let length2 = dx * dx + dy * dy;
        let per_length2 = if length2 > 0.0 { 1.0 / length2 } else { 0.0 };
        let inner2 = (radius - 0.5).max(0.0).powi(2);
        for y in ys {
            let py = y as f32 + 0.5 - a[1];
            let row = &mut self.row_mut(y)[xs.start * 3..xs.end * 3];
            for (i, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let px = (xs.start + i) as f32 + 0.5 - a[0];
                let t = ((px * dx + py * dy) * per_length2).clamp(0.0, 1.0);
                let (ex, ey) = (px - t * dx, py - t * dy);
                let distance2 = ex * ex + ey * ey;
                if distance2 >= reach * reach {
                    continue;
                }
                let coverage = if distance2 <= inner2 {
                    1.0
                } else {
                    (reach - distance2.sqrt()).clamp(0.0, 1.0)
                };
                blend(pixel, colour, coverage);
            }
        }
    }

    /// The upright rectangle between the corners `min` and `max`.
    pub fn rect(&mut self, min: Point, max: Point, colour: Rgb) {
        let xs = span(min[0], max[0], self.width);
        for y in span(min[1], max[1], self.height) {
            let rows = overlap(y, min[1], max[1]);
            let row = &mut self.row_mut(y)[xs.start * 3..xs.end * 3];
            for (i, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                blend(pixel, colour, rows * overlap(xs.start + i, min[0], max[0]));
            }
        }
    }

    /// The outline of a rectangle, `width` wide, inside `min` and `max`.
    pub fn outline(&mut self, min: Point, max: Point, width: f32, colour: Rgb) {
        let (left, right) = (min[0] + width, max[0] - width);
        let (top, bottom) = (min[1] + width, max[1] - width);
        self.rect(min, [max[0], top], colour);
        self.rect([min[0], bottom], max, colour);
        self.rect([min[0], top], [left, bottom], colour);
        self.rect([right, top], [max[0], bottom], colour);
    }
}

fn blend(pixel: &mut [f32; 3], colour: Rgb, coverage: f32) {
    for (old, new) in pixel.iter_mut().zip(colour) {
        *old += coverage * (new - *old);
    }
}

/// Share of the pixel `[at, at + 1)` inside `[low, high)`.
fn overlap(at: usize, low: f32, high: f32) -> f32 {
    let at = at as f32;
    ((at + 1.0).min(high) - at.max(low)).clamp(0.0, 1.0)
}

/// Pixels that touch `[low, high)`, clipped to `0..limit`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer saturates: below 0 becomes 0, above is clipped"
)]
fn span(low: f32, high: f32, limit: usize) -> Range<usize> {
    let end = (high.ceil() as usize).min(limit);
    (low.floor() as usize).min(end)..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::PI;

    const WHITE: Rgb = [1.0; 3];

    fn area(canvas: &Canvas) -> f32 {
        canvas.data.iter().step_by(3).sum()
    }

    #[test]
    fn shapes_cover_their_area_wherever_they_lie() {
        for shift in [0.0, 0.3, 0.77] {
            let mut canvas = Canvas::new(64, 64);
            canvas.capsule([20.0 + shift, 30.0], [40.0 + shift, 33.0], 5.0, WHITE);
            let length = (20.0_f32 * 20.0 + 9.0).sqrt();
            let wanted = 10.0 * length + PI * 25.0;
            assert!((area(&canvas) - wanted).abs() < 0.02 * wanted);
            let mut canvas = Canvas::new(64, 64);
            canvas.rect([3.0 + shift, 4.5], [20.25, 21.0 + shift], WHITE);
            let wanted = (17.25 - shift) * (16.5 + shift);
            assert!((area(&canvas) - wanted).abs() < 1e-2);
        }
    }

    #[test]
    fn shapes_outside_leave_the_canvas_as_it_is() {
        let mut canvas = Canvas::new(8, 8);
        canvas.capsule([-20.0, -20.0], [-9.0, 30.0], 3.0, WHITE);
        canvas.capsule([900.0, 4.0], [900.0, 4.0], 3.0, WHITE);
        canvas.rect([8.0, 0.0], [50.0, 50.0], WHITE);
        canvas.outline([-9.0, -9.0], [-1.0, -1.0], 2.0, WHITE);
        assert_eq!(canvas, Canvas::new(8, 8));
    }
}
