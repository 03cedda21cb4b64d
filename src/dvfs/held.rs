//! What holds a clock away from what was asked for: caps and refusals.

use super::axis::UNKNOWN;
use super::board::{Board, State};
use super::controller::{Controller, QUIET_NS};
use super::counters::Trouble;
use crate::clocks::Limiter;

impl Controller {
    /// Back to the last point that was taken, once; then nothing for a while.
    pub(super) fn fall_back(&mut self, axis: usize, at_ns: u64, board: &mut dyn Board) {
        let good = self.axes[axis].good;
        if good != UNKNOWN {
            // What becomes of it shows in the clock that is read.
            let _ = board.set(axis, usize::from(good), at_ns);
        }
        let state = &mut self.axes[axis];
        state.asked = good;
        state.level = shown(axis, board).unwrap_or(good);
        state.verified = false;
        state.quiet_until_ns = at_ns.saturating_add(QUIET_NS);
    }

    /// The clock is held at `level`.
    pub(super) fn clamp(
        &mut self,
        axis: usize,
        level: u16,
        by: Limiter,
        at_ns: u64,
        board: &mut dyn Board,
    ) {
        self.counters.clamped.add();
        let at = khz(axis, level, board);
        let measured = board.read(axis) == Some((at, true));
        let state = &mut self.axes[axis];
        state.pending = None;
        (state.level, state.verified) = (level, measured);
        state.cap_until_ns = at_ns.saturating_add(QUIET_NS);
        if level < state.asked {
            state.cap = level.min(state.cap);
            state.told = level.min(state.told);
        } else {
            // Held up, or not to be read: asking again at once would not help.
            state.quiet_until_ns = at_ns.saturating_add(QUIET_NS);
        }
        self.plan.forget_points();
        self.say(Trouble::Clamped { axis, khz: at, by });
    }

    /// Counts and says a cap that has come or sunk and holds the plan down; one that
    /// goes may come again.
    fn tell(&mut self, axis: usize, allowed: u16, board: &mut dyn Board) {
        let told = self.axes[axis].told;
        if allowed < told && allowed < self.plan.highest(axis) {
            self.counters.clamped.add();
            let khz = khz(axis, allowed, board);
            let by = board.limiter(axis).unwrap_or(Limiter::Other);
            self.say(Trouble::Clamped { axis, khz, by });
        }
        self.axes[axis].told = allowed;
    }

    /// Looks what others allow, and whether they hold down what is in effect.
    pub(super) fn look_at_cap(&mut self, axis: usize, now_ns: u64, board: &mut dyn Board) {
        if !self.present[axis] {
            return;
        }
        let allowed = u16::try_from(board.allowed(axis)).unwrap_or(UNKNOWN);
        let idle = self.axes[axis].pending.is_none() && self.axes[axis].level != UNKNOWN;
        if idle && now_ns >= self.axes[axis].quiet_until_ns {
            match board.check(axis, now_ns).state {
                State::Clamped { level, by } => {
                    let level = u16::try_from(level).unwrap_or(UNKNOWN);
                    if level != self.axes[axis].level {
                        self.clamp(axis, level, by, now_ns, board);
                    } else {
                        self.axes[axis].cap_until_ns = now_ns.saturating_add(QUIET_NS);
                    }
                }
                State::Refused(why) => {
                    self.counters.refused.add();
                    let khz = khz(axis, self.axes[axis].asked, board);
                    self.say(Trouble::Refused { axis, khz, why });
                    self.axes[axis].quiet_until_ns = now_ns.saturating_add(QUIET_NS);
                }
                State::InEffect | State::Pending | State::Unverified => {}
            }
        }
        self.tell(axis, allowed, board);
        let state = &mut self.axes[axis];
        let cap = match now_ns < state.cap_until_ns {
            true => allowed.min(state.cap),
            false => allowed,
        };
        if cap != state.cap {
            state.cap = cap;
            state.settled = false;
            self.plan.forget_points();
        }
        let cap = usize::from(self.axes[axis].cap);
        let levels = board.levels(axis);
        let khz = levels.get(cap).or(levels.last()).copied().unwrap_or(0);
        self.counters.allows(axis, khz);
        self.show(axis, board);
    }
}

pub(super) fn khz(axis: usize, level: u16, board: &dyn Board) -> u32 {
    let levels = board.levels(axis);
    levels.get(usize::from(level)).copied().unwrap_or(0)
}

/// The level that is read.
pub(super) fn shown(axis: usize, board: &mut dyn Board) -> Option<u16> {
    let (khz, _) = board.read(axis)?;
    let level = board.levels(axis).partition_point(|&l| l <= khz);
    u16::try_from(level.saturating_sub(1)).ok()
}
