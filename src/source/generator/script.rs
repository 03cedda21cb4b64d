//! Who does what when: the timeline of a clip or of an endless stream.
//!
//! A clip is one scene with one action. A stream is made of segments of
//! 1.5 to 6 s; at each border the figure either takes up another action in the
//! same scene or a hard cut shows another scene with another action, with equal
//! probability.

use super::pose::{Action, Pose, Style};
use super::rng::{Rng, mix};
use super::scene::Scene;
use std::f32::consts::TAU;

/// How long the figure takes from one action into the next, in seconds.
const BLEND_S: f32 = 0.3;

/// Farthest that the figure strays from the middle.
const STRAY: f32 = 0.28;

/// Length of the clip whose middle finds a walker at the scene's centre.
const CLIP_S: f32 = 2.0;

/// Streams are drawn apart from clips of the same seed.
const STREAM: u64 = 0x5354_5245_414D;

/// One action as performed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Performance {
    /// What is done.
    pub action: Action,
    style: Style,
    phase: f32,
    cycles_hz: f32,
    start_s: f64,
    start_x: f32,
    speed: f32,
    from: Option<Pose>,
}

/// What begins with a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Another scene.
    pub cut: bool,
    /// Another action, in the same scene or after a cut.
    pub change: bool,
}

/// The timeline, played forwards.
#[derive(Clone, Debug)]
pub struct Script {
    rng: Rng,
    difficulty: Option<f32>,
    scene: Scene,
    performance: Performance,
    scene_start_s: f64,
    segment_end_s: f64,
}

impl Script {
    /// Clip `index` of `seed`; a difficulty of `None` is drawn from `[0, 1)`.
    #[must_use]
    pub fn clip(seed: u64, index: u64, difficulty: Option<f32>) -> Self {
        let mut script = Self::open(Rng::new(mix(seed, index)), difficulty);
        script.segment_end_s = f64::INFINITY;
        script
    }

    /// Endless stream `index` of `seed`; a difficulty of `None` is drawn for
    /// each scene.
    #[must_use]
    pub fn stream(seed: u64, index: u64, difficulty: Option<f32>) -> Self {
        let rng = Rng::new(mix(mix(seed, STREAM), index));
        Self::open(rng, difficulty)
    }

    fn open(mut rng: Rng, difficulty: Option<f32>) -> Self {
        let action = Action::ALL[rng.below(8) as usize];
        let scene = draw_scene(&mut rng, difficulty);
        let performance = Performance::draw(&mut rng, action, &scene);
        let segment_end_s = segment_s(&mut rng);
        Self {
            rng,
            difficulty,
            scene,
            performance,
            scene_start_s: 0.0,
            segment_end_s,
        }
    }

    /// Plays on to `time_s`, which must not go back, and says what has begun
    /// since the last call.
    pub fn advance(&mut self, time_s: f64) -> Moment {
        let mut moment = Moment::default();
        while time_s >= self.segment_end_s {
            moment.cut |= self.next_segment();
            moment.change = true;
        }
        moment
    }

    /// Starts the next segment; true when it is another scene.
    fn next_segment(&mut self) -> bool {
        let now = self.segment_end_s;
        self.segment_end_s = now + segment_s(&mut self.rng);
        let step = 1 + self.rng.below(7) as usize;
        let action = Action::ALL[(self.performance.action as usize + step) % 8];
        let cut = self.rng.chance(0.5);
        if cut {
            self.scene = draw_scene(&mut self.rng, self.difficulty);
            self.performance = Performance::draw(&mut self.rng, action, &self.scene);
            self.scene_start_s = now;
        } else {
            let at_s = now - self.scene_start_s;
            let (x, _) = self.performance.place(at_s);
            let from = self.performance.pose(at_s);
            let next = Performance::draw(&mut self.rng, action, &self.scene);
            self.performance = Performance {
                start_s: at_s,
                start_x: x,
                from: Some(from),
                ..next
            };
        }
        cut
    }

    /// The scene on show.
    #[must_use]
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// The action on show.
    #[must_use]
    pub fn performance(&self) -> &Performance {
        &self.performance
    }

    /// Seconds of the scene at `time_s` of the timeline.
    #[must_use]
    pub fn scene_s(&self, time_s: f64) -> f64 {
        time_s - self.scene_start_s
    }
}

impl Performance {
    /// Draws style, tempo and path of `action`.
    fn draw(rng: &mut Rng, action: Action, scene: &Scene) -> Self {
        let running = action == Action::Run;
        let facing = if rng.chance(0.5) { 1.0 } else { -1.0 };
        let speed = match action {
            Action::Walk => 0.0625 * scene.height,
            Action::Run => 0.14 * scene.height,
            _ => 0.0,
        };
        let [elbow, lean] = if running {
            [[0.6, 1.3], [0.08, 0.25]]
        } else {
            [[0.15, 0.9], [0.0, 0.12]]
        };
        Self {
            action,
            style: Style {
                facing,
                elbow: rng.range(elbow[0], elbow[1]),
                lean: rng.range(lean[0], lean[1]),
            },
            phase: TAU * rng.uniform(),
            cycles_hz: 0.65 * rng.range(1.0, 1.6) * if running { 1.8 } else { 1.0 },
            start_s: 0.0,
            start_x: scene.centre - facing * speed * CLIP_S / 2.0,
            speed,
            from: None,
        }
    }

    /// Where the figure stands and which way it faces at `at_s` of its scene.
    /// It turns round at the ends of its path.
    #[must_use]
    pub fn place(&self, at_s: f64) -> (f32, f32) {
        let walked = self.style.facing * self.speed * seconds(at_s - self.start_s);
        let low = 0.5 - STRAY;
        let lap = (self.start_x + walked - low).rem_euclid(4.0 * STRAY);
        if self.speed == 0.0 {
            (self.start_x, self.style.facing)
        } else if lap <= 2.0 * STRAY {
            (low + lap, self.style.facing)
        } else {
            (low + 4.0 * STRAY - lap, -self.style.facing)
        }
    }

    /// How the figure holds itself at `at_s` of its scene.
    #[must_use]
    pub fn pose(&self, at_s: f64) -> Pose {
        let elapsed = at_s - self.start_s;
        let turns = (f64::from(self.cycles_hz) * elapsed / 2.0).fract();
        let phase = self.phase + 2.0 * TAU * seconds(turns);
        let style = Style {
            facing: self.place(at_s).1,
            ..self.style
        };
        let pose = Pose::of(self.action, phase, style);
        let share = seconds(elapsed) / BLEND_S;
        match self.from {
            Some(from) if share < 1.0 => from.towards(&pose, share * share * (3.0 - 2.0 * share)),
            _ => pose,
        }
    }
}

fn draw_scene(rng: &mut Rng, difficulty: Option<f32>) -> Scene {
    let drawn = rng.uniform();
    Scene::draw(rng, difficulty.unwrap_or(drawn))
}

fn segment_s(rng: &mut Rng) -> f64 {
    f64::from(rng.range(1.5, 6.0))
}

#[expect(clippy::cast_possible_truncation, reason = "f64 to f32, small")]
fn seconds(value: f64) -> f32 {
    value as f32
}
