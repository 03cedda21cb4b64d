//! Measuring segments on a simulated board at a clock point, as a profiler does on
//! a real one: the sensor is read, never the truth.
//!
//! The clocks are set and waited for; then each segment runs over and over for
//! [`WINDOWS`] windows of the sensor, after two that are let go by; then the board
//! idles as long. What that costs passes on the board's own clock and meter.

use super::outcome::float;
use crate::board::SimBoard;
use crate::plan::cost::Cost;
use crate::plan::{Axis, ClockPoint};

/// Windows of the sensor that a segment is measured for.
pub const WINDOWS: u32 = 20;
/// Windows in which the sensor may still show what was before.
const SETTLING: u32 = 2;
/// A clock that has not changed by then is left as it is.
const PATIENCE_NS: u64 = 200_000_000;

/// What a segment costs, by sensor and clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Latency, s.
    pub latency_s: Cost,
    /// Energy, J.
    pub energy_j: Cost,
    /// Runs that were timed.
    pub samples: u32,
}

/// Mean and deviation of what was added.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    n: f64,
    mean: f64,
    m2: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.n += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.n;
        self.m2 += delta * (value - self.mean);
    }

    fn spread(&self) -> f64 {
        libm::sqrt(self.m2 / (self.n - 1.0).max(1.0))
    }
}

/// Sets the clocks and waits until they are in effect.
pub fn go_to(board: &mut SimBoard, point: ClockPoint) {
    for axis in Axis::ALL {
        let levels = board.description().levels(axis);
        let level = levels.partition_point(|&khz| khz < point.khz()[axis.index()]);
        board.set(axis, level);
    }
    let until_ns = board.now_ns() + PATIENCE_NS;
    while let Some(at_ns) = changes(board).filter(|_| board.now_ns() < until_ns) {
        board.wait(at_ns.max(board.now_ns() + 1));
    }
}

/// When the last change under way will be in effect.
fn changes(board: &SimBoard) -> Option<u64> {
    let under_way = Axis::ALL.iter().filter_map(|&axis| board.under_way(axis));
    under_way.map(|asked| asked.at_ns).max()
}

fn window_ns(board: &SimBoard) -> u64 {
    let ms = board.description().sensor.window_ms;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few milliseconds; the cast saturates"
    )]
    let ns = (ms * 1e6) as u64;
    ns.max(1)
}

/// Runs segment `segment` over and over and measures it, calling `between` after each
/// run; `None` where there is no such segment.
pub fn measure(
    board: &mut SimBoard,
    segment: usize,
    mut between: impl FnMut(&mut SimBoard),
) -> Option<Reading> {
    let window_ns = window_ns(board);
    let (mut latency, mut watts) = (Moments::default(), Moments::default());
    let mut window = 0;
    let mut next_ns = board.now_ns() + window_ns;
    while window < SETTLING + WINDOWS {
        let ran = board.run(segment)?;
        between(board);
        if window >= SETTLING {
            latency.add(float(ran.latency_ns) / 1e9);
        }
        while board.now_ns() >= next_ns && window < SETTLING + WINDOWS {
            if window >= SETTLING {
                watts.add(board.watts());
            }
            window += 1;
            next_ns += window_ns;
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of runs; the cast saturates"
    )]
    let samples = (latency.n as u32).max(1);
    Some(Reading {
        latency_s: Cost {
            mean: latency.mean,
            spread: latency.spread(),
        },
        energy_j: Cost {
            mean: watts.mean * latency.mean,
            spread: watts.spread() * latency.mean,
        },
        samples,
    })
}

/// Mean power of the board without work, W.
pub fn idle_w(board: &mut SimBoard) -> f64 {
    let window_ns = window_ns(board);
    let mut watts = Moments::default();
    for window in 0..SETTLING + WINDOWS {
        board.wait(board.now_ns() + window_ns);
        if window >= SETTLING {
            watts.add(board.watts());
        }
    }
    watts.mean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{SegmentLoad, boards};

    #[test]
    fn the_sensor_comes_close_to_the_truth() {
        let loads = [SegmentLoad::MOBILENETV2, SegmentLoad::RESNET50];
        for description in boards() {
            let mut board = SimBoard::new(description, &loads, 3);
            let point = description.points()[description.points().len() / 2];
            go_to(&mut board, point);
            assert_eq!(board.point(), point);
            let truth = description.cost(&loads[0], point);
            let seen = measure(&mut board, 0, |_| ()).unwrap();
            let off = |a: f64, b: f64| (a / b - 1.0).abs();
            assert!(
                off(seen.latency_s.mean, truth[0]) < 0.02,
                "{seen:?} {truth:?}"
            );
            // The board is cooler than where its leakage is known.
            assert!(
                off(seen.energy_j.mean, truth[1]) < 0.08,
                "{seen:?} {truth:?}"
            );
            assert!(off(idle_w(&mut board), description.idle_w(point)) < 0.1);
            assert!(measure(&mut board, 2, |_| ()).is_none());
        }
    }
}
