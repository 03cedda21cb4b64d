//! A scene: everything about a clip but what the figure does.
//!
//! Lengths are in sides of the square view, whose corners are `(0, 0)`, top
//! left, and `(1, 1)`; y points down. Times are in seconds from the scene's
//! start. What changes from moment to moment (shake, flicker, bursts) is a
//! function of time, hashed from the scene's seed.

use super::raster::Rgb;
use super::rng::{Rng, mix};

/// The world repeats at this period: moving things that leave come back.
pub const PERIOD: [f32; 2] = [3.0, 1.25];

/// Occluding bars repeat at this period.
pub const BAR_PERIOD: f32 = 1.2;

/// Largest camera shake either way.
pub const MAX_SHAKE: f32 = 0.0625;

/// Moments at which shake, flicker and blur are drawn, per second.
const KNOTS_HZ: f64 = 10.0;

/// A burst of extra difficulty may happen in each stretch of so many seconds.
const BURST_WINDOW_S: f64 = 2.0;

/// Least difficulty with anything in the background.
pub const CLUTTERED: f32 = 0.15;

/// Distractors of the hardest scene.
const MAX_DISTRACTORS: usize = 34;

/// Shape of a [`Distractor`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Radius `size`.
    Disc,
    /// `size` wide, twice as high.
    Box,
    /// From the position up and to the right by twice `size`.
    Stick,
}

/// Something that moves and has nothing to do with the action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distractor {
    /// Position at the start.
    pub at: [f32; 2],
    /// Sides per second.
    pub velocity: [f32; 2],
    /// Extent, by kind.
    pub size: f32,
    /// Colour.
    pub colour: Rgb,
    /// Shape.
    pub kind: Kind,
}

/// An upright bar in front of the figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Left edge at the start.
    pub left: f32,
    /// Sides per second.
    pub velocity: f32,
    /// Width.
    pub width: f32,
    /// Colour.
    pub colour: Rgb,
}

/// Parameters of a scene.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// Where everything that is hashed comes from.
    pub seed: u64,
    /// From 0, easy, to 1.
    pub difficulty: f32,
    /// Mean background.
    pub background: Rgb,
    /// Background's change per half side to the right.
    pub slope_x: Rgb,
    /// Background's change per half side downwards.
    pub slope_y: Rgb,
    /// Colour of head and limbs.
    pub skin: Rgb,
    /// Colour of the torso.
    pub shirt: Rgb,
    /// Height of the figure.
    pub height: f32,
    /// Where the figure stands, or is half-way of its path in a clip.
    pub centre: f32,
    /// The ground under its feet.
    pub ground: f32,
    /// Still rectangles for each unit square of the background.
    pub boxes: u32,
    /// Moving things behind the figure.
    pub distractors: Vec<Distractor>,
    /// Bars in front of it.
    pub bars: Vec<Bar>,
}

/// What the camera does at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disturbance {
    /// Difficulty at this moment, bursts included.
    pub difficulty: f32,
    /// True within a burst.
    pub burst: bool,
    /// Shift of the picture.
    pub shake: [f32; 2],
    /// Factor on the brightness.
    pub gain: f32,
    /// Deviation of the blur; 0 for none.
    pub blur: f32,
    /// Deviation of the sensor's noise in 8-bit steps.
    pub noise: f32,
}

impl Scene {
    /// Draws a scene of this difficulty.
    #[must_use]
    pub fn draw(rng: &mut Rng, difficulty: f32) -> Self {
        let mut scene = Self {
            distractors: Vec::with_capacity(MAX_DISTRACTORS),
            bars: Vec::with_capacity(2),
            ..Self::default()
        };
        scene.redraw(rng, difficulty);
        scene
    }

    /// Makes another scene of this one; allocates nothing.
    pub fn redraw(&mut self, rng: &mut Rng, difficulty: f32) {
        let d = difficulty.clamp(0.0, 1.0);
        self.difficulty = d;
        self.background = rng.colour();
        let contrast = 160.0 * (1.0 - d) + 45.0 * d;
        let dark = self.background.iter().sum::<f32>() / 3.0 < 128.0;
        let step = if dark { contrast } else { -contrast };
        self.skin = self
            .background
            .map(|b| (b + step + 12.0 * rng.normal()).clamp(0.0, 255.0));
        let tint = [20.0, -20.0, 10.0];
        self.shirt = [0, 1, 2].map(|c| (self.skin[c] + tint[c]).clamp(0.0, 255.0));
        self.height = 0.86 - 0.42 * d * rng.range(0.5, 1.0);
        self.seed = rng.bits();
        self.slope_x = rng.normal3(18.0);
        self.slope_y = rng.normal3(18.0);
        self.centre = 0.5 + 0.05 * rng.normal();
        self.ground = 0.5 + 0.5 * self.height + 0.02 * rng.normal();
        self.boxes = if d > CLUTTERED {
            round(14.0 * d * rng.uniform() + 6.0 * d)
        } else {
            0
        };
        self.draw_distractors(rng);
        self.draw_bars(rng);
    }

    fn draw_distractors(&mut self, rng: &mut Rng) {
        let d = self.difficulty;
        let per_square = 9.0 * d * rng.range(0.4, 1.0);
        let count = round(per_square * PERIOD[0] * PERIOD[1]);
        self.distractors.clear();
        self.distractors.extend((0..count).map(|_| Distractor {
            at: PERIOD.map(|side| rng.uniform() * side),
            velocity: [0; 2].map(|_| 0.156 * rng.normal()),
            size: rng.range(6.0, 10.0 + 26.0 * d) / 192.0,
            colour: rng.colour(),
            kind: [Kind::Disc, Kind::Box, Kind::Stick][rng.below(3) as usize],
        }));
    }

    fn draw_bars(&mut self, rng: &mut Rng) {
        let d = self.difficulty;
        let count = u32::from(rng.chance(d)) + u32::from(rng.chance(d - 0.4));
        self.bars.clear();
        self.bars.extend((0..count).map(|_| Bar {
            left: rng.uniform() * BAR_PERIOD,
            velocity: (0.094 + 0.094 * d) * rng.normal(),
            width: rng.range(0.05, 0.14),
            colour: rng.colour(),
        }));
    }

    /// Shake, blur and the rest at time `at_s`.
    #[must_use]
    pub fn disturbance(&self, at_s: f64) -> Disturbance {
        let burst = self.burst(at_s);
        let d = if burst {
            (self.difficulty + 0.5).min(1.0)
        } else {
            self.difficulty
        };
        let [x, y, gain, blur] = self.knots(at_s);
        let shake = if d > 0.1 { 4.0 / 192.0 * d } else { 0.0 };
        Disturbance {
            difficulty: d,
            burst,
            shake: [x, y].map(|v| (v * shake).clamp(-MAX_SHAKE, MAX_SHAKE)),
            gain: 1.0 + 0.08 * d * gain,
            blur: if d > 0.5 {
                (0.4 + 0.6 * d * blur) / 96.0
            } else {
                0.0
            },
            noise: 2.0 + 20.0 * d,
        }
    }

    /// Generator of what flashes up during a burst in unit square `tile`; it
    /// changes ten times a second.
    #[must_use]
    pub fn flashes(&self, at_s: f64, tile: [i32; 2]) -> Rng {
        let seed = mix(self.seed ^ FLASH, whole(at_s * KNOTS_HZ + 1e-6));
        tile_rng(seed, tile)
    }

    fn burst(&self, at_s: f64) -> bool {
        let window = (at_s / BURST_WINDOW_S).floor();
        [window - 1.0, window]
            .into_iter()
            .filter(|&w| w >= 0.0)
            .any(|w| {
                let mut rng = Rng::new(mix(self.seed ^ BURST, whole(w)));
                let happens = rng.chance(0.35);
                let from = (w + f64::from(rng.uniform())) * BURST_WINDOW_S;
                let lasts = f64::from(rng.range(2.0 / 12.0, 0.5)) * BURST_WINDOW_S;
                happens && (from..from + lasts).contains(&at_s)
            })
    }

    /// Three normals and a uniform, straight between the knots.
    fn knots(&self, at_s: f64) -> [f32; 4] {
        let at = (at_s * KNOTS_HZ).max(0.0);
        let draw = |knot: u64| {
            let mut rng = Rng::new(mix(self.seed ^ KNOT, knot));
            [rng.normal(), rng.normal(), rng.normal(), rng.uniform()]
        };
        let knot = whole(at);
        #[expect(clippy::cast_possible_truncation, reason = "f64 to f32 in 0..1")]
        let share = at.fract() as f32;
        let (from, to) = (draw(knot), draw(knot + 1));
        [0, 1, 2, 3].map(|i| from[i] + (to[i] - from[i]) * share)
    }
}

const FLASH: u64 = 1;
const BURST: u64 = 2;
const KNOT: u64 = 3;

/// Generator of unit square `tile` of the world.
#[must_use]
pub fn tile_rng(seed: u64, tile: [i32; 2]) -> Rng {
    let column = mix(seed, u64::from(tile[0].cast_unsigned()));
    Rng::new(mix(column, u64::from(tile[1].cast_unsigned())))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small counts, not negative"
)]
fn round(value: f32) -> u32 {
    (value + 0.5) as u32
}

/// The whole part; negative numbers become 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, which is what is wanted"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
