//! Energy between two moments, and how far it can be off.
//!
//! A power reading made at `t` is the mean over up to `A` (average), refreshed up to
//! `R` (refresh) before `t`. So its effective moment lies within `t - h +- h` with
//! `h = R/2 + A/4`: the middle of an average that began at `t - R - A` at the
//! earliest and was wholly fresh at the latest ([`super::Window::half_age_ns`]); half
//! of the time that the read itself took comes to it. Between the effective moments
//! power is taken to go in a straight line (trapezoids). A step of `dP` that came at
//! any time between two readings `dt` apart is then misplaced by at most
//! `u = dt/2 + h`, which is an energy of `|dP| u`. Over a stretch:
//!
//! - steps: the sum of `|dP| u` over its intervals, and over those within `2h` of its
//!   ends, is a bound whatever the steps conspire to do. Steps that do not follow
//!   the sensor's rhythm are misplaced by independent amounts, uniform within
//!   `+-u`: three standard deviations of their sum are `sqrt(3 sum (dP u)^2)`. The
//!   bar takes the lesser of the two; for one to three equal steps that is the bound.
//! - resolution: half a step of the reading, times the length.
//! - calibration: the sensor's own accuracy times the energy, where it states one.
//!
//! A counter loses nothing between readings; it is only read late: an end of the
//! stretch is uncertain by the highest power of the three intervals around it times
//! `R/2`, by one count, and by where within its interval the energy was used.
//!
//! What the bar does not cover: power that goes up and back down between two
//! refreshes of a sensor that does not average over all of the time between them.

/// Energy since the start at one moment, with all that a bar needs. Joules, watts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mark {
    /// The moment ([`crate::monotonic`]).
    pub at_ns: u64,
    /// Energy since the first mark.
    pub energy_j: f64,
    /// Sum of `|dP| u`.
    pub steps_j: f64,
    /// Sum of `(dP u)^2`.
    pub squares_j2: f64,
    /// Sum of half the reading's resolution times its duration.
    pub resolution_j: f64,
    /// Time without a usable reading, in seconds; its energy is in no sum.
    pub missed_s: f64,
    /// How far power may be from the straight line in the interval before this mark.
    pub spread_w: f64,
    /// By how much an end in the interval before this mark is uncertain.
    pub blur_j: f64,
}

/// Energy of a stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Energy in joules, of the time that was measured.
    pub joules: f64,
    /// The true value lies within `joules` +- this.
    pub error_joules: f64,
    /// Time that was measured, in seconds.
    pub seconds: f64,
    /// Time of the stretch that was not, in seconds.
    pub missed_seconds: f64,
}

impl Figure {
    /// Mean power in watts.
    #[must_use]
    pub fn watts(&self) -> f64 {
        self.joules / self.seconds
    }
}

/// One end of a stretch among the marks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct End {
    pub at_ns: u64,
    /// The sums at the end itself.
    pub here: Mark,
    /// The sums at the mark before the end by `2h` or more, and after it.
    pub before: Mark,
    pub after: Mark,
    /// Uncertainty of the end.
    pub edge_j: f64,
}

impl End {
    /// The end at `at_ns` between the first and the second of neighbouring marks.
    pub fn between(around: [&Mark; 3], at_ns: u64, before: Mark, after: Mark) -> Self {
        let [left, right, next] = around;
        let length_ns = right.at_ns.saturating_sub(left.at_ns).max(1);
        let share = at_ns.saturating_sub(left.at_ns) as f64 / length_ns as f64;
        let share = share.clamp(0.0, 1.0);
        let mix = |part: fn(&Mark) -> f64| part(left) + share * (part(right) - part(left));
        let here = Mark {
            at_ns,
            energy_j: mix(|m| m.energy_j),
            resolution_j: mix(|m| m.resolution_j),
            missed_s: mix(|m| m.missed_s),
            ..Mark::default()
        };
        let inside_j = right.spread_w * share * (1.0 - share) * length_ns as f64 / 1e9;
        Self {
            at_ns,
            here,
            before,
            after,
            // A counter that is read just before it moves shows no power at all.
            edge_j: left.blur_j.max(right.blur_j).max(next.blur_j) + inside_j,
        }
    }

    /// The stretch from `self` to `to`; `accuracy` is a share of its energy.
    pub fn to(&self, to: &Self, accuracy: f64) -> Figure {
        let joules = to.here.energy_j - self.here.energy_j;
        let steps = (to.after.steps_j - self.before.steps_j).max(0.0);
        let squares = (to.after.squares_j2 - self.before.squares_j2).max(0.0);
        let resolution = to.here.resolution_j - self.here.resolution_j;
        let length_s = to.at_ns.saturating_sub(self.at_ns) as f64 / 1e9;
        let missed_seconds = (to.here.missed_s - self.here.missed_s).max(0.0);
        Figure {
            joules,
            error_joules: steps.min((3.0 * squares).sqrt())
                + resolution
                + self.edge_j
                + to.edge_j
                + accuracy * joules.abs(),
            seconds: (length_s - missed_seconds).max(0.0),
            missed_seconds,
        }
    }
}
