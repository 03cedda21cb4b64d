//! The still part of a scene: a sloping background with smooth blotches and
//! rectangles. Painted once a scene; costs about 20 ns a pixel.

use super::raster::{Canvas, Rgb};
use super::rng::mix;
use super::scene::{CLUTTERED, Scene, tile_rng};
use super::view::{View, floor};

/// Blotches for each side.
const NODES: f32 = 12.0;

/// Longest side of a rectangle.
const MAX_BOX: f32 = 1.0 / 3.0;

/// Paints the backdrop and keeps the memory it needs for that.
#[derive(Debug, Default)]
pub struct Backdrop {
    nodes: Vec<Rgb>,
    line: Vec<Rgb>,
}

impl Backdrop {
    /// Covers `canvas` with the backdrop of `scene` as seen through `view`.
    pub fn paint(&mut self, scene: &Scene, canvas: &mut Canvas, view: &View) {
        self.blotches(scene, canvas, view);
        for tile in view.tiles(MAX_BOX) {
            boxes(scene, tile, canvas, view);
        }
    }

    fn blotches(&mut self, scene: &Scene, canvas: &mut Canvas, view: &View) {
        let strength = if scene.difficulty > CLUTTERED {
            50.0 * scene.difficulty
        } else {
            0.0
        };
        let [min, max] = view.seen();
        let [left, top] = min.map(|v| floor(v * NODES));
        let columns = usize::try_from(floor(max[0] * NODES) - left + 2).unwrap_or(0);
        let rows = floor(max[1] * NODES) - top + 2;
        self.nodes.clear();
        for y in 0..rows {
            for x in 0..columns {
                let x = left + i32::try_from(x).unwrap_or(0);
                self.nodes.push(node(scene.seed, [x, top + y], strength));
            }
        }
        for y in 0..canvas.height {
            let at = (y as f32 + 0.5 - view.origin[1]) / view.scale;
            let (upper, share) = cell(at, top);
            let down = slope(at);
            self.line.clear();
            self.line.extend((0..columns).map(|x| {
                let base = [0, 1, 2].map(|c| scene.background[c] + down * scene.slope_y[c]);
                let above = self.nodes[upper * columns + x];
                let below = self.nodes[(upper + 1) * columns + x];
                [0, 1, 2].map(|c| base[c] + above[c] + share * (below[c] - above[c]))
            }));
            let row = canvas.row_mut(y).as_chunks_mut::<3>().0;
            for (x, pixel) in row.iter_mut().enumerate() {
                let at = (x as f32 + 0.5 - view.origin[0]) / view.scale;
                let (before, share) = cell(at, left);
                let (a, b) = (self.line[before], self.line[before + 1]);
                let right = slope(at);
                *pixel = [0, 1, 2].map(|c| a[c] + share * (b[c] - a[c]) + right * scene.slope_x[c]);
            }
        }
    }
}

/// Number of the node before `at`, counted from node `first`, and the smoothed
/// share of the one after it.
fn cell(at: f32, first: i32) -> (usize, f32) {
    let at = at * NODES;
    let node = floor(at);
    let share = at - node as f32;
    let index = usize::try_from(node - first).unwrap_or(0);
    (index, share * share * (3.0 - 2.0 * share))
}

fn slope(at: f32) -> f32 {
    (2.0 * at - 1.0).clamp(-1.5, 1.5)
}

fn node(seed: u64, at: [i32; 2], strength: f32) -> Rgb {
    if strength > 0.0 {
        tile_rng(mix(seed, BLOTCH), at).normal3(strength)
    } else {
        [0.0; 3]
    }
}

fn boxes(scene: &Scene, tile: [i32; 2], canvas: &mut Canvas, view: &View) {
    let mut rng = tile_rng(mix(scene.seed, BOXES), tile);
    let spread = 60.0 * scene.difficulty + 10.0;
    for _ in 0..scene.boxes {
        let min = tile.map(|t| t as f32 + rng.uniform());
        let max = min.map(|v| v + rng.range(8.0 / 192.0, MAX_BOX));
        let stray = rng.normal3(spread);
        let colour = [0, 1, 2].map(|c| (scene.background[c] + stray[c]).clamp(0.0, 255.0));
        let (min, max) = (view.pixel(min), view.pixel(max));
        if rng.chance(0.6) {
            canvas.rect(min, max, colour);
        } else {
            canvas.outline(min, max, view.scale * 2.0 / 192.0, colour);
        }
    }
}

const BLOTCH: u64 = 4;
const BOXES: u64 = 5;
