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
    /// What the last action's final pose had more than this one's first.
    rest: Option<Pose>,
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
        let chosen = pick(&mut rng, difficulty);
        let scene = Scene::draw(&mut rng, chosen);
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
            let difficulty = pick(&mut self.rng, self.difficulty);
            self.scene.redraw(&mut self.rng, difficulty);
            self.performance = Performance::draw(&mut self.rng, action, &self.scene);
            self.scene_start_s = now;
        } else {
            let at_s = now - self.scene_start_s;
            let (start_x, _) = self.performance.place(at_s);
            let last = self.performance.pose(at_s);
            let mut next = Performance::draw(&mut self.rng, action, &self.scene);
            next.start_s = at_s;
            next.start_x = start_x;
            next.rest = Some(last.minus(&next.pose(at_s)));
            self.performance = next;
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
            rest: None,
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
        match &self.rest {
            Some(rest) if share < 1.0 => pose.plus(rest, 1.0 - share * share * (3.0 - 2.0 * share)),
            _ => pose,
        }
    }
}

/// The difficulty of the next scene; takes as much from `rng` either way.
fn pick(rng: &mut Rng, fixed: Option<f32>) -> f32 {
    let drawn = rng.uniform();
    fixed.unwrap_or(drawn)
}

fn segment_s(rng: &mut Rng) -> f64 {
    f64::from(rng.range(1.5, 6.0))
}

#[expect(clippy::cast_possible_truncation, reason = "f64 to f32, small")]
fn seconds(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_draw_class_and_difficulty_uniformly() {
        let mut classes = [0; 8];
        let mut quarters = [0; 4];
        for index in 0..4000 {
            let script = Script::clip(1, index, None);
            classes[usize::from(script.performance().action.label())] += 1;
            let quarter = script.scene().difficulty * 4.0;
            let bounds = [1.0, 2.0, 3.0, 4.0];
            let at = bounds.iter().position(|&bound| quarter < bound);
            quarters[at.unwrap()] += 1;
        }
        assert!(
            classes.iter().all(|n| (400..600).contains(n)),
            "{classes:?}"
        );
        assert!(
            quarters.iter().all(|n| (880..1120).contains(n)),
            "{quarters:?}"
        );
    }

    #[test]
    fn a_fixed_difficulty_changes_nothing_else_that_is_drawn() {
        let (a, b) = (Script::clip(1, 5, Some(0.2)), Script::clip(1, 5, None));
        assert_eq!(a.performance().action, b.performance().action);
        assert_eq!(a.scene().background, b.scene().background);
        assert!((a.scene().difficulty - 0.2).abs() < 1e-6);
    }

    #[test]
    fn a_clip_stays_with_its_action_for_ever() {
        let mut script = Script::clip(1, 5, None);
        assert_eq!(script.advance(1e6), Moment::default());
    }

    #[test]
    fn streams_change_every_few_seconds_and_half_the_changes_are_cuts() {
        let mut script = Script::stream(4, 0, None);
        let (mut cuts, mut changes, mut since) = (0, 0, 0);
        let mut action = script.performance().action;
        for frame in 0..40_000_u32 {
            let moment = script.advance(f64::from(frame) / 10.0);
            let now = script.performance().action;
            assert_eq!(moment.change, now != action, "frame {frame}");
            assert!(moment.change || !moment.cut);
            if moment.change {
                assert!((14..=61).contains(&(frame - since)), "frame {frame}");
                (since, action) = (frame, now);
            }
            cuts += u32::from(moment.cut);
            changes += u32::from(moment.change);
        }
        assert!((950..1200).contains(&changes), "{changes}");
        assert!((420..620).contains(&cuts), "{cuts}");
    }

    #[test]
    fn figures_move_without_jumps_through_changes_and_turns() {
        let mut script = Script::stream(8, 0, None);
        let mut before = None;
        for frame in 0..60_000_u32 {
            let time_s = f64::from(frame) / 100.0;
            let moment = script.advance(time_s);
            let at_s = script.scene_s(time_s);
            let (x, _) = script.performance().place(at_s);
            let hand = script.performance().pose(at_s).body().limbs[3][1];
            if let (Some((last_x, last_hand)), false) = (before, moment.cut) {
                let step = |a: f32, b: f32| (a - b).abs();
                let [old_x, old_y]: [f32; 2] = last_hand;
                let hand_step = step(hand[0], old_x).max(step(hand[1], old_y));
                assert!(step(x, last_x) < 0.01 && hand_step < 0.5, "frame {frame}");
            }
            before = Some((x, hand));
        }
    }

    #[test]
    fn walkers_stay_in_the_picture() {
        for index in 0..400 {
            let script = Script::clip(6, index, None);
            for second in 0..200_u32 {
                let (x, facing) = script.performance().place(f64::from(second));
                assert!((0.15..=0.85).contains(&x), "clip {index}: {x}");
                assert!(facing.abs() == 1.0);
            }
        }
    }
}
