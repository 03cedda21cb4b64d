//! What each axis is to be asked for next, and when.

use super::controller::{CLOSELY, Controller, MANY, Phase, SLACK_NS, Wish};
use super::leads::Way;

impl Controller {
    /// The next wish of an axis that has no change under way.
    pub(super) fn desire(&mut self, axis: usize, now_ns: u64) -> Option<Wish> {
        match self.phase {
            Phase::Running {
                segment,
                started_ns,
            } => self
                .for_segment(axis, segment, started_ns, now_ns)
                .or_else(|| self.ahead(axis, segment, started_ns)),
            Phase::Waiting { next_ns } => self.while_waiting(axis, next_ns, now_ns),
        }
    }

    /// The segment under way needs another level than the one in effect: now, or,
    /// where it would not be in effect before the frame ends, not at all.
    fn for_segment(
        &mut self,
        axis: usize,
        segment: usize,
        started_ns: u64,
        now_ns: u64,
    ) -> Option<Wish> {
        let to = self.wanted(axis, segment);
        let state = &self.axes[axis];
        if state.settled || state.level == to {
            return None;
        }
        let time = self.leads.time(axis, Way::between(state.level, to));
        let end_ns = self.rest_ns(segment).map(|rest| started_ns + rest);
        let in_time = end_ns.is_none_or(|end| now_ns.saturating_add(time.mid) < end);
        self.axes[axis].settled = true;
        if !in_time {
            self.counters.folded.add();
            return None;
        }
        let ahead = segment == 0 || self.plan.turn(self.belief, segment).ahead;
        if !ahead {
            self.counters.at_start.add();
        }
        Some(Wish {
            to,
            at_ns: now_ns,
            for_segment: Some(segment),
            late_from_ns: ahead.then_some(started_ns),
        })
    }

    /// The change to the next segment that needs another level, as long before that
    /// starts as it takes. `segment` starts at `start_ns`, or is expected to.
    fn ahead(&self, axis: usize, segment: usize, start_ns: u64) -> Option<Wish> {
        let level = self.axes[axis].level;
        let next = (segment + 1..self.plan.segments()).find(|&m| {
            self.wanted(axis, m) != level && self.wanted(axis, m) != self.wanted(axis, m - 1)
        })?;
        if !self.plan.turn(self.belief, next).ahead {
            return None;
        }
        let to = self.wanted(axis, next);
        let way = Way::between(level, to);
        let lead = self.leads.lead(axis, way);
        let (mut from_ns, mut least_end_ns) = (start_ns, start_ns);
        let mut last_ns = 0;
        for k in segment..next {
            let time = match way {
                Way::Up => self.plan.rough_time(self.belief, k)?,
                Way::Down => self.plan.time(self.belief, k, MANY)?,
            };
            from_ns += match way {
                Way::Up => time.low,
                Way::Down => time.late,
            };
            least_end_ns += time.mid;
            last_ns = time.mid;
        }
        let before_ns = match way {
            Way::Up => lead.high + SLACK_NS + lead.mid / CLOSELY,
            // Never by more than a small part of the segment that it would slow.
            Way::Down => lead.low + (SLACK_NS + lead.mid / CLOSELY).min(last_ns / 50),
        };
        let at_ns = from_ns.saturating_sub(before_ns);
        let end_ns = self.rest_ns(next).map(|rest| least_end_ns + rest);
        let time = self.leads.time(axis, way);
        if end_ns.is_some_and(|end| at_ns.saturating_add(time.mid) >= end) {
            return None;
        }
        Some(Wish {
            to,
            at_ns,
            for_segment: Some(next),
            late_from_ns: None,
        })
    }

    /// To the idle point and home again; or home; or, where a raise takes longer
    /// than the segments before it, ahead of the next frame.
    fn while_waiting(&mut self, axis: usize, next_ns: Option<u64>, now_ns: u64) -> Option<Wish> {
        let home = self.wanted(axis, 0);
        if let Some(next_ns) = next_ns
            && let Some(to) = self.idle_trip(axis, home, next_ns, now_ns)
        {
            self.axes[axis].idled = true;
            return Some(Wish {
                to,
                at_ns: now_ns,
                for_segment: None,
                late_from_ns: None,
            });
        }
        let level = self.axes[axis].level;
        let idling = self.axes[axis].idled;
        if self.axes[axis].settled {
            return None;
        }
        if level == home {
            let wish = self.ahead(axis, 0, next_ns?)?;
            return (wish.to > level && wish.at_ns < next_ns?).then_some(wish);
        }
        let way = Way::between(level, home);
        let lead = self.leads.lead(axis, way);
        let at_ns = match next_ns {
            // Lower at once, higher no earlier than needed.
            Some(next_ns) if idling || way == Way::Up => {
                next_ns.saturating_sub(lead.high + SLACK_NS + lead.mid / CLOSELY)
            }
            _ => now_ns,
        };
        Some(Wish {
            to: home,
            at_ns,
            for_segment: Some(0),
            late_from_ns: None,
        })
    }

    /// The idle level, where there is time to go there and to be home again.
    fn idle_trip(&self, axis: usize, home: u16, next_ns: u64, now_ns: u64) -> Option<u16> {
        let state = &self.axes[axis];
        let idle = self.plan.idle()?[axis].min(state.cap);
        if state.idled || idle == state.level || idle == home {
            return None;
        }
        let down = self.leads.time(axis, Way::between(state.level, idle)).high;
        let up = self.leads.time(axis, Way::between(idle, home)).high;
        let back_ns = now_ns.saturating_add(down + up + 2 * SLACK_NS);
        (back_ns <= next_ns).then_some(idle)
    }
}
