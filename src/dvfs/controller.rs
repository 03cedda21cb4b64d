//! The state machine: follows events, decides when to ask for what.

use super::axis::{Axis, Pending, UNKNOWN};
use super::board::{Board, State};
use super::counters::{Counters, Trouble};
use super::leads::{Leads, Way};
use super::plan::StagePlan;
use super::window::Window;
use super::{AXES, Spread};
use crate::handoff::ArrivalPredictor;
use crate::plan::belief::Seen;
use std::sync::Arc;

/// Waking up and writing take this long.
pub(super) const SLACK_NS: u64 = 30_000;
/// How often caps are looked at.
const CAPS_EVERY_NS: u64 = 100_000_000;
/// How long a refused wish, or a cap that nothing explains, is let be.
const QUIET_NS: u64 = 1_000_000_000;
/// A change that is not in effect by then will not come.
const PATIENCE_NS: u64 = 200_000_000;
/// A change that is looked at closely is looked at in steps of so small a part.
pub(super) const CLOSELY: u64 = 32;
/// A lowering, which must not come early, where it was timed as often.
pub(super) const MANY: usize = 16;

/// Something that happened to a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at_ns: u64,
    /// Which frame.
    pub frame: u64,
    /// What.
    pub kind: EventKind,
}

/// What happened to a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EventKind {
    /// A segment started.
    Started {
        /// Which, from 0.
        segment: u8,
        /// Number of the frame among those sampled.
        sample: u64,
        /// When the frame was complete in memory.
        captured_ns: u64,
    },
    /// It left.
    Left {
        /// Exit point, from 0.
        exit: u8,
        /// What the first gate gave.
        first_gate: f32,
    },
    /// It was given up.
    Dropped,
}

/// Where the frame is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// A segment runs.
    Running { segment: usize, started_ns: u64 },
    /// The next frame is expected at that time, where a rhythm is known.
    Waiting { next_ns: Option<u64> },
}

/// What an axis is to be asked for, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wish {
    pub to: u16,
    pub at_ns: u64,
    pub for_segment: Option<usize>,
    pub late_from_ns: Option<u64>,
}

/// The controller.
#[derive(Debug)]
pub struct Controller {
    pub(super) plan: Box<StagePlan>,
    pub(super) axes: [Axis; AXES],
    pub(super) present: [bool; AXES],
    pub(super) phase: Phase,
    pub(super) leads: Box<Leads>,
    pub(super) belief: usize,
    pub(super) counters: Arc<Counters>,
    frame: u64,
    /// All axes ran the segment under way as planned, so far.
    as_planned: bool,
    arrivals: ArrivalPredictor,
    captured_ns: u64,
    /// From capture to the first segment.
    lag: Window,
    caps_ns: u64,
    trouble: Option<Trouble>,
}

impl Controller {
    /// A controller for a board with these tables; it begins by going home.
    #[must_use]
    pub fn new(
        plan: Box<StagePlan>,
        tables: &[Vec<u32>; AXES],
        leads: Box<Leads>,
        counters: Arc<Counters>,
    ) -> Self {
        let present = plan.axes();
        counters.has(present);
        Self {
            belief: plan.tracker.likeliest(),
            axes: std::array::from_fn(|axis| Axis::new(tables[axis].len())),
            present,
            phase: Phase::Waiting { next_ns: None },
            leads,
            counters,
            frame: 0,
            as_planned: false,
            arrivals: ArrivalPredictor::new(None),
            captured_ns: 0,
            lag: Window::default(),
            caps_ns: 0,
            trouble: None,
            plan,
        }
    }

    /// Takes another plan for the same bundle and board; hands the old one back.
    pub fn swap(&mut self, mut plan: Box<StagePlan>) -> Box<StagePlan> {
        if plan.segments() != self.plan.segments() {
            return plan;
        }
        plan.inherit(&self.plan);
        let old = std::mem::replace(&mut self.plan, plan);
        self.belief = self.plan.tracker.likeliest();
        self.present = std::array::from_fn(|axis| self.present[axis] && self.plan.axes()[axis]);
        self.as_planned = false;
        self.counters.plans.add();
        old
    }

    /// What the user should hear of, since the last call.
    pub fn trouble(&mut self) -> Option<Trouble> {
        self.trouble.take()
    }

    /// Takes an event in. [`poll`](Self::poll) then acts on it.
    pub fn event(&mut self, event: Event, board: &mut dyn Board) {
        match event.kind {
            EventKind::Started {
                segment,
                sample,
                captured_ns,
            } => {
                let segment = usize::from(segment);
                if segment >= self.plan.segments() {
                    return;
                }
                if let Some(last) = segment.checked_sub(1) {
                    self.ended(event, last);
                } else {
                    self.arrivals.observe(sample, captured_ns);
                    self.captured_ns = captured_ns;
                    self.lag.add(event.at_ns.saturating_sub(captured_ns));
                }
                self.frame = event.frame;
                self.start(segment, event.at_ns, board);
            }
            EventKind::Left { exit, first_gate } => {
                self.ended(event, exit.into());
                self.plan.tracker.observe(Seen {
                    exit: exit.into(),
                    first_gate,
                });
                self.leave(event.at_ns);
            }
            EventKind::Dropped => self.leave(event.at_ns),
        }
    }

    /// Segment `last` has ended; on speculation another one may be under way.
    fn ended(&mut self, event: Event, last: usize) {
        let Phase::Running {
            segment,
            started_ns,
        } = self.phase
        else {
            return;
        };
        if event.frame == self.frame && segment == last {
            let ns = event.at_ns.saturating_sub(started_ns);
            self.plan.learn(self.belief, segment, ns, self.as_planned);
        }
    }

    /// A segment has started: counts what became of the change to it.
    fn start(&mut self, segment: usize, at_ns: u64, board: &mut dyn Board) {
        self.phase = Phase::Running {
            segment,
            started_ns: at_ns,
        };
        self.as_planned = true;
        let ahead = self.plan.turn(self.belief, segment).ahead;
        for axis in 0..AXES {
            if !self.present[axis] {
                continue;
            }
            self.look(axis, at_ns, board);
            let wanted = self.wanted(axis, segment);
            let state = &mut self.axes[axis];
            // What was issued ahead of a later segment is not taken back for this one.
            state.settled = state.ahead_of().is_some_and(|later| later > segment);
            if state.arrived == Some(segment) && state.level == wanted {
                self.counters.staged.add();
            }
            state.arrived = state.arrived.filter(|&later| later > segment);
            match &mut state.pending {
                Some(pending) if pending.to == wanted => {
                    pending.late_from_ns.get_or_insert(at_ns);
                }
                _ => {}
            }
            // One that is issued at its start runs mixed every time.
            self.as_planned &= state.bound_for() == wanted || !ahead;
        }
    }

    /// The frame is over.
    fn leave(&mut self, at_ns: u64) {
        let reached = match self.phase {
            Phase::Running { segment, .. } => segment,
            Phase::Waiting { .. } => 0,
        };
        self.phase = Phase::Waiting {
            next_ns: self.next_frame(at_ns),
        };
        self.belief = self.plan.tracker.likeliest();
        for state in &mut self.axes {
            state.idled = false;
            state.settled = false;
            if state.ahead_of().is_some_and(|segment| segment > reached) {
                self.counters.in_vain.add();
            }
            state.arrived = None;
            if let Some(pending) = &mut state.pending {
                pending.for_segment = None;
                pending.late_from_ns = None;
            }
        }
    }

    /// When the next frame's first segment is expected to start.
    fn next_frame(&self, now_ns: u64) -> Option<u64> {
        let period_ns = self.arrivals.period_ns()?;
        if self.captured_ns.saturating_add(period_ns) <= now_ns {
            // It is there already.
            return None;
        }
        let lag_ns = self.lag.spread(1).map_or(0, |lag| lag.low);
        Some(self.arrivals.next_after(now_ns)?.saturating_add(lag_ns))
    }

    /// The level that the plan and the caps allow.
    pub(super) fn wanted(&self, axis: usize, segment: usize) -> u16 {
        let level = self.plan.turn(self.belief, segment).levels[axis];
        level.min(self.axes[axis].cap)
    }

    /// Acts on what is due at `now_ns`; returns when to be called next, if no event
    /// comes before.
    pub fn poll(&mut self, now_ns: u64, board: &mut dyn Board) -> u64 {
        if now_ns >= self.caps_ns {
            self.caps_ns = now_ns.saturating_add(CAPS_EVERY_NS);
            (0..AXES).for_each(|axis| self.look_at_cap(axis, now_ns, board));
        }
        let mut wake_ns = self.caps_ns;
        for axis in 0..AXES {
            if self.present[axis] {
                wake_ns = wake_ns.min(self.serve(axis, now_ns, board));
            }
        }
        wake_ns
    }

    /// Issues what is due on an axis; returns when it is to be served again.
    fn serve(&mut self, axis: usize, now_ns: u64, board: &mut dyn Board) -> u64 {
        // Idle and home again at most; a bound, so that no state can spin here.
        for _ in 0..3 {
            if self.axes[axis].pending.is_some_and(|p| now_ns >= p.look_ns) {
                self.look(axis, now_ns, board);
            }
            if let Some(pending) = self.axes[axis].pending {
                return pending.look_ns;
            }
            if now_ns < self.axes[axis].quiet_until_ns {
                return self.axes[axis].quiet_until_ns;
            }
            match self.desire(axis, now_ns) {
                None => return u64::MAX,
                Some(wish) if wish.at_ns > now_ns => return wish.at_ns,
                Some(wish) => self.issue(axis, wish, now_ns, board),
            }
        }
        now_ns.saturating_add(SLACK_NS)
    }

    fn issue(&mut self, axis: usize, wish: Wish, now_ns: u64, board: &mut dyn Board) {
        let from = self.axes[axis].level;
        let way = match from {
            UNKNOWN => Way::Up,
            from => Way::between(from, wish.to),
        };
        let close = from != UNKNOWN && self.leads.wants(axis, way);
        if wish.for_segment.is_none() {
            self.counters.idle.add();
        }
        self.axes[axis].asked = wish.to;
        self.axes[axis].settled |= wish.for_segment.is_some_and(|later| later > 0);
        let answer = board.set(axis, usize::from(wish.to), now_ns);
        let time = self.leads.time(axis, way);
        let first = if close { time.low / 2 } else { time.early };
        let pending = Pending {
            to: wish.to,
            way,
            issued_ns: now_ns,
            seen_ns: now_ns,
            look_ns: now_ns.saturating_add(first.max(1)),
            close,
            assumed_ns: None,
            late_from_ns: wish.late_from_ns,
            for_segment: wish.for_segment,
        };
        match answer.state {
            State::Unverified => {
                let assumed = now_ns.saturating_add(time.mid);
                self.axes[axis].pending = Some(Pending {
                    assumed_ns: Some(assumed),
                    look_ns: assumed.max(now_ns + 1),
                    ..pending
                });
            }
            state => {
                self.axes[axis].pending = Some(pending);
                self.judge(axis, state, answer.at_ns, board);
            }
        }
        self.show(axis, board);
    }

    /// Looks what became of the change under way.
    fn look(&mut self, axis: usize, now_ns: u64, board: &mut dyn Board) {
        let Some(pending) = self.axes[axis].pending else {
            return;
        };
        match pending.assumed_ns {
            Some(at_ns) if now_ns < at_ns => {}
            Some(at_ns) => self.arrive(axis, pending, at_ns, false),
            None => {
                let answer = board.check(axis, now_ns);
                self.judge(axis, answer.state, answer.at_ns, board);
            }
        }
        self.show(axis, board);
    }

    fn judge(&mut self, axis: usize, state: State, at_ns: u64, board: &mut dyn Board) {
        let Some(pending) = self.axes[axis].pending else {
            return;
        };
        match state {
            State::InEffect => {
                // Between the last look and this one.
                let seen_ns = pending.seen_ns + at_ns.saturating_sub(pending.seen_ns) / 2;
                if pending.close {
                    let ns = seen_ns.saturating_sub(pending.issued_ns);
                    self.leads.learn(axis, pending.way, ns);
                }
                self.arrive(axis, pending, at_ns, true);
            }
            State::Unverified => self.arrive(axis, pending, at_ns, false),
            State::Pending if at_ns.saturating_sub(pending.issued_ns) < PATIENCE_NS => {
                let time = self.leads.time(axis, pending.way);
                let step = time.mid / if pending.close { CLOSELY } else { CLOSELY / 2 };
                let step = step.clamp(10_000, PATIENCE_NS);
                self.axes[axis].pending = Some(Pending {
                    seen_ns: at_ns,
                    look_ns: at_ns.saturating_add(step),
                    ..pending
                });
            }
            State::Pending => {
                let level = shown(axis, board).unwrap_or(UNKNOWN);
                let by = crate::clocks::Limiter::Hardware;
                self.clamp(axis, level, by, at_ns, board);
            }
            State::Clamped { level, by } => {
                let level = u16::try_from(level).unwrap_or(UNKNOWN);
                self.clamp(axis, level, by, at_ns, board);
            }
            State::Refused(why) => {
                self.axes[axis].pending = None;
                self.counters.refused.add();
                self.say(Trouble::Refused {
                    axis,
                    khz: khz(axis, pending.to, board),
                    why,
                });
                self.fall_back(axis, at_ns, board);
            }
        }
    }

    /// A change is in effect.
    fn arrive(&mut self, axis: usize, pending: Pending, at_ns: u64, verified: bool) {
        let state = &mut self.axes[axis];
        state.pending = None;
        state.level = pending.to;
        state.good = pending.to;
        state.verified = verified;
        match pending.late_from_ns {
            Some(from_ns) if at_ns > from_ns => self.counters.late_by(at_ns - from_ns),
            Some(_) => self.counters.staged.add(),
            None => state.arrived = pending.for_segment,
        }
    }

    /// Back to the last point that was taken, once; then nothing for a while.
    fn fall_back(&mut self, axis: usize, at_ns: u64, board: &mut dyn Board) {
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
    fn clamp(
        &mut self,
        axis: usize,
        level: u16,
        by: crate::clocks::Limiter,
        at_ns: u64,
        board: &mut dyn Board,
    ) {
        self.counters.clamped.add();
        let measured = board.read(axis).is_some_and(|(_, measured)| measured);
        let state = &mut self.axes[axis];
        state.pending = None;
        (state.level, state.verified) = (level, measured);
        state.cap_until_ns = at_ns.saturating_add(QUIET_NS);
        if level < state.asked {
            state.cap = level.min(state.cap);
        } else {
            // Held up, or not to be read: asking again at once would not help.
            state.quiet_until_ns = at_ns.saturating_add(QUIET_NS);
        }
        self.plan.forget_points();
        let khz = khz(axis, level, board);
        self.say(Trouble::Clamped { axis, khz, by });
    }

    /// Looks what others allow, and whether they hold down what is in effect.
    fn look_at_cap(&mut self, axis: usize, now_ns: u64, board: &mut dyn Board) {
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
        self.show(axis, board);
    }

    fn say(&mut self, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
    }

    fn show(&self, axis: usize, board: &dyn Board) {
        let state = &self.axes[axis];
        let clock = |level: u16| board.levels(axis).get(usize::from(level)).copied();
        let in_effect = state.verified.then(|| clock(state.level)).flatten();
        self.counters.shows(axis, clock(state.asked), in_effect);
    }

    /// How long the rest of the frame takes at most, from the start of `segment` on;
    /// none where that is not known.
    pub(super) fn rest_ns(&self, segment: usize) -> Option<u64> {
        (segment..self.plan.segments())
            .map(|k| self.plan.rough_time(self.belief, k).map(|t: Spread| t.mid))
            .try_fold(0_u64, |sum, ns| Some(sum.saturating_add(ns?)))
    }
}

fn khz(axis: usize, level: u16, board: &dyn Board) -> u32 {
    let levels = board.levels(axis);
    levels.get(usize::from(level)).copied().unwrap_or(0)
}

/// The level that is read.
fn shown(axis: usize, board: &mut dyn Board) -> Option<u16> {
    let (khz, _) = board.read(axis)?;
    let level = board.levels(axis).partition_point(|&l| l <= khz);
    u16::try_from(level.saturating_sub(1)).ok()
}
