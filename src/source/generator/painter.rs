//! Paints a moment of a [`Script`] as 8-bit RGB.
//!
//! Allocates in [`Painter::new`] and in the first frame. Cost for 96x96: about
//! 0.1 ms, and as much again for the first frame of a scene.

use super::backdrop::Backdrop;
use super::blur::blur;
use super::pose::Body;
use super::raster::Canvas;
use super::rng::{Rng, mix};
use super::scene::{BAR_PERIOD, Disturbance, Kind, MAX_SHAKE, PERIOD, Scene};
use super::script::Script;
use super::view::View;

/// Number of precomputed normals that the sensor's noise is picked from.
const NOISE_TABLE: usize = 4096;

/// Paints frames of one size.
#[derive(Debug)]
pub struct Painter {
    view: View,
    margin: usize,
    wide_view: View,
    wide: Canvas,
    canvas: Canvas,
    scratch: Canvas,
    sums: Vec<f32>,
    backdrop: Backdrop,
    painted: Option<u64>,
    noise: Vec<f32>,
    rgb: Vec<u8>,
}

impl Painter {
    /// A painter of `width` x `height` frames, each 1 to 16384.
    #[must_use]
    pub fn new(width: u32, height: u32) -> Self {
        let [width, height] = [width, height].map(|n| n.clamp(1, 16_384) as usize);
        let view = View::new(width, height, 0);
        let margin = usize::from(shift(MAX_SHAKE * view.scale).unsigned_abs()) + 1;
        let mut rng = Rng::new(0);
        Self {
            view,
            margin,
            wide_view: View::new(width, height, margin),
            wide: Canvas::new(width + 2 * margin, height + 2 * margin),
            canvas: Canvas::new(width, height),
            scratch: Canvas::new(width, height),
            sums: vec![0.0; width * 3],
            backdrop: Backdrop::default(),
            painted: None,
            noise: (0..NOISE_TABLE).map(|_| rng.normal()).collect(),
            rgb: vec![0; width * height * 3],
        }
    }

    /// The frame at `time_s` of `script`, which has been advanced there; frames
    /// with another number `frame` differ in their noise. Interleaved RGB.
    pub fn paint(&mut self, script: &Script, time_s: f64, frame: u64) -> &[u8] {
        let scene = script.scene();
        let at_s = script.scene_s(time_s);
        let camera = scene.disturbance(at_s);
        let shake = camera.shake.map(|v| shift(v * self.view.scale));
        self.show_backdrop(scene, shake);
        let view = self.view.moved(shake.map(f32::from));
        distractors(&mut self.canvas, &view, scene, at_s);
        let performance = script.performance();
        let body = performance.pose(at_s).body();
        figure(
            &mut self.canvas,
            &view,
            scene,
            performance.place(at_s).0,
            &body,
        );
        bars(&mut self.canvas, &view, scene, at_s);
        if camera.burst {
            flashes(&mut self.canvas, &view, scene, at_s);
        }
        if camera.blur > 0.0 {
            let sigma = camera.blur * view.scale;
            blur(&mut self.canvas, &mut self.scratch, &mut self.sums, sigma);
        }
        self.expose(&camera, mix(scene.seed, frame));
        &self.rgb
    }

    /// Copies the scene's backdrop, moved by `shake`, to the canvas.
    fn show_backdrop(&mut self, scene: &Scene, shake: [i16; 2]) {
        if self.painted != Some(scene.seed) {
            self.backdrop.paint(scene, &mut self.wide, &self.wide_view);
            self.painted = Some(scene.seed);
        }
        let [left, top] = shake.map(|s| self.margin.saturating_add_signed(-isize::from(s)));
        let width = self.canvas.width * 3;
        for y in 0..self.canvas.height {
            let row = &self.wide.row_mut(top + y)[left * 3..left * 3 + width];
            self.canvas.row_mut(y).copy_from_slice(row);
        }
    }

    /// The sensor: flicker, noise and 8 bits.
    fn expose(&mut self, camera: &Disturbance, seed: u64) {
        let mut rng = Rng::new(seed);
        let noise = self.noise.as_slice();
        for (out, light) in self.rgb.chunks_mut(5).zip(self.canvas.data.chunks(5)) {
            let mut bits = rng.bits();
            for (byte, light) in out.iter_mut().zip(light) {
                let [low, high, ..] = bits.to_le_bytes();
                let grain = noise[usize::from(u16::from_le_bytes([low, high])) % NOISE_TABLE];
                bits >>= 12;
                *byte = eight_bits(light * camera.gain + camera.noise * grain);
            }
        }
    }
}

fn distractors(canvas: &mut Canvas, view: &View, scene: &Scene, at_s: f64) {
    for thing in &scene.distractors {
        let reach = 2.0 * thing.size + 0.1;
        let [x, y] = [0, 1].map(|i| {
            let at = drift(thing.at[i], thing.velocity[i], at_s, PERIOD[i]);
            view.copies(i, at, PERIOD[i], reach)
        });
        for (y, x) in y.flat_map(|y| x.clone().map(move |x| (y, x))) {
            let at = view.pixel([x, y]);
            let size = thing.size * view.scale;
            match thing.kind {
                Kind::Disc => canvas.capsule(at, at, size, thing.colour),
                Kind::Box => {
                    canvas.rect(at, [at[0] + size, at[1] + 2.0 * size], thing.colour);
                }
                Kind::Stick => {
                    let to = [at[0] + 2.0 * size, at[1] - 2.0 * size];
                    let radius = (size / 10.0).max(view.scale / 192.0);
                    canvas.capsule(at, to, radius, thing.colour);
                }
            }
        }
    }
}

fn figure(canvas: &mut Canvas, view: &View, scene: &Scene, x: f32, body: &Body) {
    let place =
        |p: [f32; 2]| view.pixel([x + p[0] * scene.height, scene.ground - p[1] * scene.height]);
    let radius = view.scale * (0.025 * scene.height + 0.5 / 192.0);
    let [hip, neck] = body.torso.map(place);
    canvas.capsule(hip, neck, 2.0 * radius, scene.shirt);
    for limb in &body.limbs {
        let [from, to] = limb.map(place);
        canvas.capsule(from, to, radius, scene.skin);
    }
    let head = place(body.head);
    canvas.capsule(head, head, 0.075 * scene.height * view.scale, scene.skin);
}

fn bars(canvas: &mut Canvas, view: &View, scene: &Scene, at_s: f64) {
    let bottom = canvas.height as f32;
    for bar in &scene.bars {
        let at = drift(bar.left, bar.velocity, at_s, BAR_PERIOD);
        for left in view.copies(0, at, BAR_PERIOD, bar.width) {
            let [left, right] = [left, left + bar.width].map(|x| view.pixel([x, 0.0])[0]);
            canvas.rect([left, 0.0], [right, bottom], bar.colour);
        }
    }
}

fn flashes(canvas: &mut Canvas, view: &View, scene: &Scene, at_s: f64) {
    for tile in view.tiles(30.0 / 192.0) {
        let mut rng = scene.flashes(at_s, tile);
        for _ in 0..3 {
            let at = view.pixel(tile.map(|t| t as f32 + rng.uniform()));
            let radius = rng.range(10.0, 30.0) / 192.0 * view.scale;
            canvas.capsule(at, at, radius, rng.colour());
        }
    }
}

/// Position after `at_s` seconds, kept within one period.
#[expect(
    clippy::cast_possible_truncation,
    reason = "f64 to f32, less than a period"
)]
fn drift(start: f32, velocity: f32, at_s: f64, period: f32) -> f32 {
    (f64::from(start) + f64::from(velocity) * at_s).rem_euclid(f64::from(period)) as f32
}

/// Whole pixels of a shake.
#[expect(clippy::cast_possible_truncation, reason = "at most 1024 pixels")]
fn shift(pixels: f32) -> i16 {
    (pixels + 0.5).floor() as i16
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer saturates: the sensor's black and white"
)]
fn eight_bits(light: f32) -> u8 {
    (light + 0.5) as u8
}

#[cfg(test)]
mod tests;
