//! How the figure holds itself: joint angles as a function of the phase of its
//! action, and the limbs that follow from them.

use super::rng::{cos, sin};
use std::f32::consts::{PI, TAU};

/// What the figure does; the class of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Walk,
    Run,
    JumpJack,
    Wave,
    Squat,
    Kick,
    Bend,
    Windmill,
}

impl Action {
    /// Every action, in the order of the class numbers.
    pub const ALL: [Self; 8] = [
        Self::Walk,
        Self::Run,
        Self::JumpJack,
        Self::Wave,
        Self::Squat,
        Self::Kick,
        Self::Bend,
        Self::Windmill,
    ];

    /// Name in label files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Walk => "walk",
            Self::Run => "run",
            Self::JumpJack => "jumpjack",
            Self::Wave => "wave",
            Self::Squat => "squat",
            Self::Kick => "kick",
            Self::Bend => "bend",
            Self::Windmill => "windmill",
        }
    }

    /// Class number, the index into [`ALL`](Self::ALL).
    #[must_use]
    pub fn label(self) -> u16 {
        self as u16
    }
}

/// What tells two performers of one action apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Direction the figure faces: 1 right, -1 left.
    pub facing: f32,
    /// Bend of the elbows while walking or running, in radians.
    pub elbow: f32,
    /// Forward lean while walking or running, in radians.
    pub lean: f32,
}

/// Joint angles in radians, 0 hanging straight down; `[left, right]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Torso from upright, positive to the right.
    pub lean: f32,
    /// Upper legs.
    pub hip: [f32; 2],
    /// Bend of the knees.
    pub knee: [f32; 2],
    /// Upper arms.
    pub shoulder: [f32; 2],
    /// Bend of the elbows.
    pub elbow: [f32; 2],
    /// Height of the hips above standing, in body heights.
    pub lift: f32,
}

/// Standing at ease.
const REST: Pose = Pose {
    lean: 0.0,
    hip: [0.06, -0.06],
    knee: [0.0, 0.0],
    shoulder: [0.25, -0.25],
    elbow: [0.15, -0.15],
    lift: 0.0,
};

impl Pose {
    /// Pose of `action` at `phase` radians (one cycle is a full turn).
    #[must_use]
    pub fn of(action: Action, phase: f32, style: Style) -> Self {
        match action {
            Action::Walk => stride(phase, 0.45, 0.35, 0.4, style),
            Action::Run => stride(phase, 0.85, 1.0, 0.9, style),
            Action::JumpJack => jumpjack(phase),
            Action::Wave => wave(phase),
            Action::Squat => squat(phase, style.facing),
            Action::Kick => kick(phase, style.facing),
            Action::Bend => bend(phase, style.facing),
            Action::Windmill => Self {
                shoulder: [phase, phase + PI],
                elbow: [0.0, 0.0],
                ..REST
            },
        }
    }

    /// What turns `other` into this pose: each joint the short way.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.joined(other, |a, b| {
            let turns = (a - b) / TAU;
            (turns - (turns + 0.5).floor()) * TAU
        })
    }

    /// This pose and `share` of a difference.
    #[must_use]
    pub fn plus(&self, difference: &Self, share: f32) -> Self {
        self.joined(difference, |a, b| a + share * b)
    }

    fn joined(&self, other: &Self, join: impl Fn(f32, f32) -> f32) -> Self {
        let pair = |a: [f32; 2], b: [f32; 2]| [join(a[0], b[0]), join(a[1], b[1])];
        Self {
            lean: join(self.lean, other.lean),
            hip: pair(self.hip, other.hip),
            knee: pair(self.knee, other.knee),
            shoulder: pair(self.shoulder, other.shoulder),
            elbow: pair(self.elbow, other.elbow),
            lift: join(self.lift, other.lift),
        }
    }

    /// The body in body heights: x to the right of the hips' vertical, y up
    /// from the ground.
    #[must_use]
    pub fn body(&self) -> Body {
        let hip = [0.0, 0.5 + self.lift];
        let along = |at: f32| [hip[0] + at * sin(self.lean), hip[1] + at * cos(self.lean)];
        let neck = along(0.3);
        let mut limbs = [[[0.0; 2]; 2]; 8];
        for side in 0..2 {
            let knee = hang(hip, self.hip[side], 0.25);
            let foot = hang(knee, self.hip[side] - self.knee[side], 0.25);
            let elbow = hang(neck, self.shoulder[side], 0.17);
            let hand = hang(elbow, self.shoulder[side] + self.elbow[side], 0.16);
            limbs[4 * side..4 * side + 4].copy_from_slice(&[
                [hip, knee],
                [knee, foot],
                [neck, elbow],
                [elbow, hand],
            ]);
        }
        Body {
            torso: [hip, neck],
            limbs,
            head: along(0.41),
        }
    }
}

/// Line segments and the head's centre, see [`Pose::body`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Body {
    /// Hips to neck.
    pub torso: [[f32; 2]; 2],
    /// Legs and arms.
    pub limbs: [[[f32; 2]; 2]; 8],
    /// Centre of the head.
    pub head: [f32; 2],
}

fn hang(from: [f32; 2], angle: f32, length: f32) -> [f32; 2] {
    [from[0] + length * sin(angle), from[1] - length * cos(angle)]
}

/// 0 at phase 0, 1 half a turn later; lingers at 0.
fn swell(phase: f32) -> f32 {
    (1.0 - cos(phase - 0.5 * sin(phase))) / 2.0
}

fn stride(phase: f32, leg: f32, knee: f32, arm: f32, style: Style) -> Pose {
    let (s, c) = (sin(phase), cos(phase));
    let running = leg > 0.6;
    let bounce = if running {
        0.05 * c.abs()
    } else {
        0.015 * s.abs()
    };
    let bent = if running { 0.2 } else { 0.0 };
    Pose {
        lean: style.lean * style.facing,
        hip: [leg * s, -leg * s],
        knee: [
            (knee * (-c).max(0.0) + bent) * style.facing,
            (knee * c.max(0.0) + bent) * style.facing,
        ],
        shoulder: [-arm * s, arm * s],
        elbow: [style.elbow * style.facing; 2],
        lift: bounce,
    }
}

fn jumpjack(phase: f32) -> Pose {
    let u = swell(phase);
    Pose {
        hip: [0.08 + 0.5 * u, -0.08 - 0.5 * u],
        shoulder: [0.2 + 2.5 * u, -0.2 - 2.5 * u],
        lift: 0.05 * sin(phase).abs() * u,
        ..REST
    }
}

/// The arm goes up, the hand waves, the arm rests, once in two cycles.
fn wave(phase: f32) -> Pose {
    let u = ((cos(phase / 2.0) + 0.55) / 0.6).clamp(0.0, 1.0);
    let raised = u * u * (3.0 - 2.0 * u);
    let s = sin(2.0 * phase);
    Pose {
        shoulder: [0.25 + raised * (2.05 + 0.15 * s), -0.25],
        elbow: [0.15 + raised * (0.35 + 0.6 * s), -0.15],
        ..REST
    }
}

fn squat(phase: f32, facing: f32) -> Pose {
    let u = swell(phase);
    Pose {
        lean: 0.35 * u * facing,
        hip: [0.06 + 1.04 * u, -0.06 - 1.04 * u],
        knee: [1.6 * u, -1.6 * u],
        shoulder: [0.25 + 1.1 * u, -0.25 - 1.1 * u],
        lift: -0.17 * u,
        ..REST
    }
}

fn kick(phase: f32, facing: f32) -> Pose {
    let (s, c) = (sin(phase), cos(phase));
    let u = s.max(0.0);
    let chamber = if s > 0.0 {
        0.9 * c.max(0.0) * s.min(0.3) / 0.3
    } else {
        0.0
    };
    Pose {
        lean: -0.25 * u * facing,
        hip: [0.06, -0.06 + 1.45 * u * facing],
        knee: [0.0, chamber * facing],
        shoulder: [0.25 + 0.6 * u, -0.25 - 0.6 * u],
        ..REST
    }
}

fn bend(phase: f32, facing: f32) -> Pose {
    let u = swell(phase);
    Pose {
        lean: 1.45 * u * facing,
        shoulder: [0.25 + 1.1 * u * facing, -0.25 + 1.1 * u * facing],
        elbow: [0.15 * (1.0 - u), -0.15 * (1.0 - u)],
        ..REST
    }
}
