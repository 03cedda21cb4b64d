//! A simulated board as the clocks that a [`dvfs::Board`](crate::dvfs::Board) has.
//!
//! The board's time is the time: whoever calls keeps `now_ns` equal to
//! [`SimBoard::now_ns`]. The hardware's clock is always shown.

use crate::board::SimBoard;
use crate::clocks::Limiter;
use crate::dvfs::{Answer, Board, State};
use crate::plan::Axis;

fn axis(index: usize) -> Axis {
    Axis::ALL[index.min(Axis::ALL.len() - 1)]
}

impl Board for SimBoard {
    fn levels(&self, index: usize) -> &[u32] {
        self.description().levels(axis(index))
    }

    fn set(&mut self, index: usize, level: usize, now_ns: u64) -> Answer {
        SimBoard::set(self, axis(index), level);
        self.check(index, now_ns)
    }

    fn check(&mut self, index: usize, _now_ns: u64) -> Answer {
        let axis = axis(index);
        let (level, wish) = (self.level(axis), self.wish(axis));
        let allowed = SimBoard::allowed(self, axis);
        let state = match self.under_way(axis) {
            _ if wish > allowed => State::Clamped {
                level: allowed,
                by: Limiter::Thermal,
            },
            Some(_) => State::Pending,
            None if level == wish => State::InEffect,
            None => State::Clamped {
                level,
                by: Limiter::Hardware,
            },
        };
        Answer {
            state,
            at_ns: self.now_ns(),
        }
    }

    fn allowed(&mut self, index: usize) -> usize {
        SimBoard::allowed(self, axis(index))
    }

    fn read(&mut self, index: usize) -> Option<(u32, bool)> {
        let axis = axis(index);
        let khz = self.description().levels(axis).get(self.level(axis));
        khz.map(|&khz| (khz, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{SegmentLoad, named};

    #[test]
    fn a_change_is_pending_then_in_effect_and_a_cap_shows_as_a_clamp() {
        let mut board = SimBoard::new(named("nano").unwrap(), &[SegmentLoad::MOBILENETV2], 1);
        let gpu = Axis::Gpu.index();
        let clocks: &mut dyn Board = &mut board;
        assert_eq!(clocks.set(gpu, 4, 0).state, State::Pending);
        board.wait(100_000_000);
        let clocks: &mut dyn Board = &mut board;
        assert_eq!(clocks.check(gpu, 0).state, State::InEffect);
        assert_eq!(clocks.read(gpu), Some((384_000, true)));
        board.cap(Axis::Gpu, 2);
        let clocks: &mut dyn Board = &mut board;
        let by = Limiter::Thermal;
        assert_eq!(clocks.check(gpu, 0).state, State::Clamped { level: 2, by });
        assert_eq!(clocks.allowed(gpu), 2);
    }
}
