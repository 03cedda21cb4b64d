//! The state machine: which point next, when a probe is over, when there is a plan and
//! when it is no longer true.

use super::attribute::Told;
use super::frames::{LiveFrame, interval_s, seconds};
use super::plans::{fixed, slow_down, words};
use super::samples::{self, FRAMES, Running, Sample};
use super::watch::{Verdict, Watch};
use super::{Meter, Order, Setup};
use crate::plan::belief::{Seen, learn};
use crate::plan::file::PlanFile;
use crate::plan::make::{Ask, make};
use crate::plan::planner::Objective;
use crate::plan::search::{Goal, Method, Observation, Search, Step};
use crate::plan::{ClockPoint, Space};
use crate::profile::progress::Probe;
use crate::profile::session::{Found, Weights};
use crate::telemetry::AutoSummary;
use std::collections::VecDeque;

/// A probe lasts at least this long, and a window of the sensor.
const LEAST_NS: u64 = 500_000_000;
/// What is given to a change that does not come, or to a sensor.
const PATIENCE_NS: u64 = 10_000_000_000;
/// Probes that may fail in turn.
const FAILURES: u32 = 3;
/// Frames that are remembered.
const RECENT: usize = 2_000;
/// Frames that tell how often they come.
const LATEST: usize = 120;
/// From so many on, two classes of frames are looked for.
const CLASSES: usize = 100;
/// A plan that is no longer true is given up after so long at the earliest, and after
/// twice as long as the last time.
const HOLD_NS: u64 = 5_000_000_000;

#[derive(Debug)]
enum Phase {
    /// The next point is to be chosen.
    Next,
    Probing(Running),
    /// There is a plan, or none is possible.
    Closed(Option<Box<Watch>>),
}

/// The explorer.
#[derive(Debug)]
pub struct Explorer {
    setup: Setup,
    phase: Phase,
    /// Of this opening.
    samples: Vec<Sample>,
    /// The same with all time of a frame counted alike: what the search goes by.
    probes: Vec<Probe>,
    spent: usize,
    barred: Vec<ClockPoint>,
    failures: u32,
    told: Option<Told>,
    recent: VecDeque<LiveFrame>,
    allowed: ClockPoint,
    closed_ns: u64,
    summary: AutoSummary,
}

impl Explorer {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let top = setup.space.points()[setup.space.top()];
        Self {
            summary: AutoSummary {
                budget: setup.budget as u64,
                ..AutoSummary::default()
            },
            setup,
            phase: Phase::Next,
            samples: Vec::new(),
            probes: Vec::new(),
            spent: 0,
            barred: Vec::new(),
            failures: 0,
            told: None,
            recent: VecDeque::with_capacity(RECENT),
            allowed: top,
            closed_ns: 0,
        }
    }

    /// The plan to begin with: all clocks at their highest.
    #[must_use]
    pub fn first(&self) -> PlanFile {
        fixed(
            &self.setup,
            self.setup.space.points()[self.setup.space.top()],
        )
    }

    /// What it has spent and found.
    #[must_use]
    pub fn summary(&self) -> AutoSummary {
        let mut summary = self.summary.clone();
        summary.state = match &self.phase {
            Phase::Next | Phase::Probing(_) => "exploring",
            Phase::Closed(Some(_)) => "following",
            Phase::Closed(None) => "no plan",
        }
        .to_owned();
        summary
    }

    /// Takes in a frame that has left.
    pub fn frame(&mut self, frame: LiveFrame) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(frame);
        let deadline_s = self.deadline_s();
        let settle_ns = self.settle_ns();
        let takes_s = match self.setup.deadline_s {
            Some(_) => frame.latency_s(),
            None => frame.busy_s(),
        };
        match &mut self.phase {
            Phase::Probing(running) => running.take(frame, takes_s > deadline_s, settle_ns),
            Phase::Closed(Some(watch)) => watch.take(&frame),
            Phase::Next | Phase::Closed(None) => {}
        }
    }

    /// Decides what is to be done at `now_ns`, where others allow no more than
    /// `allowed`.
    pub fn poll(
        &mut self,
        now_ns: u64,
        allowed: ClockPoint,
        meter: &mut dyn Meter,
    ) -> Option<Order> {
        if allowed != self.allowed
            && let Some(order) = self.capped(now_ns, allowed)
        {
            return Some(order);
        }
        let held_ns = self.closed_ns.saturating_add(self.hold_ns());
        match &mut self.phase {
            Phase::Next => (self.recent.len() >= FRAMES).then(|| self.choose(now_ns)),
            Phase::Probing(_) => self.probing(now_ns, meter),
            Phase::Closed(None) if now_ns < held_ns => None,
            Phase::Closed(None) => Some(self.reopen("measuring again".to_owned())),
            Phase::Closed(Some(watch)) => {
                let holds = now_ns < held_ns;
                let verdict = watch.judge(now_ns, meter);
                match verdict {
                    Verdict::Holds => None,
                    Verdict::Mix(why) if !holds => {
                        self.summary.replanned += 1;
                        Some(self.close(now_ns, Some(why), true))
                    }
                    Verdict::Cost(why) if !holds => Some(self.reopen(why)),
                    Verdict::Mix(_) | Verdict::Cost(_) => None,
                }
            }
        }
    }

    /// Others allow something else than before.
    fn capped(&mut self, now_ns: u64, allowed: ClockPoint) -> Option<Order> {
        let lower = !self.allowed.is_within(allowed);
        self.allowed = allowed;
        match &self.phase {
            Phase::Probing(running) if !running.point.is_within(allowed) => {
                self.phase = Phase::Next;
                None
            }
            Phase::Closed(_) if self.probes.iter().any(|p| p.point.is_within(allowed)) => {
                self.summary.replanned += 1;
                let word = if lower {
                    "hold the clocks down to"
                } else {
                    "allow up to"
                };
                let why = format!("others {word} {allowed}: replanned");
                Some(self.close(now_ns, Some(why), false))
            }
            Phase::Closed(_) => Some(self.reopen(format!(
                "nothing was measured within {allowed}, which is what others allow: measuring there"
            ))),
            _ => None,
        }
    }

    fn reopen(&mut self, why: String) -> Order {
        self.phase = Phase::Next;
        self.probes.clear();
        self.samples.clear();
        self.barred.clear();
        self.spent = 0;
        self.failures = 0;
        self.told = None;
        self.summary.reopened += 1;
        // A plan at the highest clocks keeps the deadline best meanwhile.
        Order {
            plan: None,
            say: vec![why],
        }
    }

    /// The deadline, or the time to the next frame.
    fn deadline_s(&self) -> f64 {
        let gap = || self.interval_s().unwrap_or(f64::INFINITY);
        self.setup.deadline_s.unwrap_or_else(gap)
    }

    fn interval_s(&self) -> Option<f64> {
        let latest = self.recent.iter().rev().take(LATEST).rev();
        interval_s(&latest.copied().collect::<Vec<_>>())
    }

    /// For how long a plan is held at least: longer, the more often it was given up.
    fn hold_ns(&self) -> u64 {
        HOLD_NS << self.summary.reopened.min(8)
    }

    /// Until a change is in effect for certain.
    fn settle_ns(&self) -> u64 {
        let points = self.setup.space.points();
        let (low, high) = (points[0], points[self.setup.space.top()]);
        let longest_s = self.setup.changes.between(low, high);
        let longest_s = longest_s.max(self.setup.changes.between(high, low));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a duration; the cast saturates"
        )]
        let ns = (2e9 * longest_s.max(0.0)) as u64;
        ns
    }

    /// What a frame takes besides its segments, s: with a deadline of its own nine of
    /// ten frames take less; else one of ten does, for a frame that waits for the one
    /// before it is in time as long as they do not pile up.
    fn lag_s(&self) -> f64 {
        let lags = self.recent.iter().map(|f| f.latency_s() - f.busy_s());
        let mut lags: Vec<f64> = lags.collect();
        lags.sort_by(f64::total_cmp);
        let tenths = match self.setup.deadline_s {
            Some(_) => 9,
            None => 1,
        };
        lags.get(lags.len() * tenths / 10)
            .copied()
            .unwrap_or(0.0)
            .max(0.0)
    }

    /// The points that may be tried: allowed, not barred, and in time for certain.
    fn slack(&self) -> Option<Space> {
        let deadline_s = self.deadline_s() - self.lag_s();
        let weights = self.weights();
        let known: Vec<(ClockPoint, f64)> = self
            .probes
            .iter()
            .map(|p| (p.point, weights.frame(p)[0]))
            .collect();
        let within = |p: &ClockPoint| p.is_within(self.allowed) && !self.barred.contains(p);
        let (_, allowed) = self.setup.space.only(|p| within(&p)).ok()?;
        let top = allowed.points()[allowed.top()];
        let in_time = |p: ClockPoint| {
            let worst = known.iter().map(|(q, s)| s * slow_down(*q, p));
            p == top || worst.fold(f64::INFINITY, f64::min) <= deadline_s
        };
        allowed.only(in_time).ok().map(|(_, space)| space)
    }

    fn weights(&self) -> Weights {
        let mut share = vec![0.0; self.setup.macs.len()];
        for frame in &self.recent {
            if let Some(share) = share.get_mut(frame.exit) {
                *share += 1.0;
            }
        }
        let gap_s = self.interval_s().unwrap_or(0.0);
        let interval_s = gap_s.max(self.setup.deadline_s.unwrap_or(0.0));
        Weights::new(&share, interval_s, self.setup.spreads)
    }

    fn choose(&mut self, now_ns: u64) -> Order {
        let left = self.setup.budget.saturating_sub(self.spent);
        let next = match (left, self.slack()) {
            (0, _) | (_, None) => None,
            (_, Some(space)) => {
                let (history, mut search) = self.search(&space, left);
                match search.next(&history) {
                    Step::Probe(at) => Some(space.points()[at]),
                    Step::Done => None,
                }
            }
        };
        let Some(point) = next.filter(|_| self.failures < FAILURES) else {
            return self.close(now_ns, None, false);
        };
        self.spent += 1;
        self.summary.probes += 1;
        self.phase = Phase::Probing(Running::new(point, now_ns));
        Order {
            plan: Some(fixed(&self.setup, point)),
            say: Vec::new(),
        }
    }

    fn search<'a>(
        &self,
        space: &'a Space,
        left: usize,
    ) -> (Vec<Observation>, Box<dyn Search + 'a>) {
        let weights = self.weights();
        let seen = self.probes.iter().filter_map(|probe| {
            let [latency_s, energy_j] = weights.frame(probe);
            Some(Observation {
                point: space.find(probe.point)?,
                latency_s,
                energy_j: match self.setup.objective {
                    Objective::Energy | Objective::Latency => energy_j,
                    Objective::Edp => energy_j * latency_s,
                },
            })
        });
        let history: Vec<Observation> = seen.collect();
        let deadline_s = self.deadline_s() - self.lag_s();
        let goal = Goal {
            cap_s: Some(deadline_s).filter(|s| s.is_finite() && *s > 0.0),
            budget: history.len() + left,
        };
        let search = Method::Model.start(space, goal, self.summary.reopened);
        (history, search)
    }

    fn probing(&mut self, now_ns: u64, meter: &mut dyn Meter) -> Option<Order> {
        let Phase::Probing(running) = &mut self.phase else {
            return None;
        };
        let least_ns = LEAST_NS.max(meter.window_ns());
        let late = running.is_late();
        if running.ended_ns.is_none() && !late {
            let waits_ns = now_ns.saturating_sub(running.since_ns);
            let given_up = waits_ns > 2 * least_ns + PATIENCE_NS;
            if !running.is_over(least_ns) {
                if given_up {
                    self.fail();
                }
                return None;
            }
            running.ended_ns = running.frames.last().map(|f| f.left_ns);
        }
        if late {
            let point = running.point;
            let since_s = seconds(now_ns.saturating_sub(running.since_ns));
            self.summary.explored_s += since_s;
            self.barred.push(point);
            self.phase = Phase::Next;
            return None;
        }
        let (from_ns, to_ns) = running.span()?;
        let Some(figure) = meter.energy(from_ns, to_ns) else {
            if now_ns > to_ns.saturating_add(PATIENCE_NS / 2 + 8 * meter.window_ns()) {
                self.fail();
            }
            return None;
        };
        let spent = meter.energy(running.since_ns, to_ns);
        let taken_s = seconds(to_ns.saturating_sub(running.since_ns));
        let slices = running.slices(self.setup.macs.len(), meter);
        let mean_w = figure.joules / figure.seconds;
        let bar = (figure.error_joules / figure.joules.max(f64::MIN_POSITIVE)).abs();
        let Phase::Probing(running) = std::mem::replace(&mut self.phase, Phase::Next) else {
            return None;
        };
        self.summary.explored_s += taken_s;
        self.summary.explored_j += spent.map_or(mean_w * taken_s, |f| f.joules);
        self.failures = 0;
        if mean_w > 0.0 {
            let sample = Sample {
                point: running.point,
                frames: running.frames,
                slices,
                mean_w,
                bar,
                seconds: taken_s,
            };
            let whole = sample.probe(&self.setup.macs, &self.probes, Told::Whole);
            self.probes.push(whole.0);
            self.samples.push(sample);
        } else {
            self.failures += 1;
        }
        None
    }

    /// A probe that came to nothing.
    fn fail(&mut self) {
        self.failures += 1;
        self.phase = Phase::Next;
    }

    /// Makes a plan of what was measured, within what is allowed. Where none can be made,
    /// the present one is kept if it still may be (`keeps`).
    fn close(&mut self, now_ns: u64, why: Option<String>, keeps: bool) -> Order {
        self.closed_ns = now_ns;
        let before = std::mem::replace(&mut self.phase, Phase::Next);
        let choice = self.slack().and_then(|space| {
            let (history, mut search) = self.search(&space, 0);
            let choice = search.choose(&history)?;
            Some((space.points()[choice.point], choice))
        });
        let (probes, told) = samples::alike(&self.samples, &self.setup.macs, &self.probes);
        self.told = told;
        let found = Found::new(probes, choice, Vec::new());
        let ask = self.ask();
        let made =
            found
                .table(self.setup.head.clone())
                .and_then(|table| match make(&table, &ask) {
                    Ok(made) => Ok((table, made)),
                    Err(error) => Err(error.to_string()),
                });
        let anew = why.is_some();
        let mut say: Vec<String> = why.into_iter().collect();
        match made {
            Ok((table, made)) => {
                self.summary.plans += 1;
                if !anew {
                    self.summary.choice = choice.map(|(point, _)| point);
                }
                self.summary.told = self.told.map(|told| told.name().to_owned());
                say.push(words(&self.summary, self.told, &made));
                let watch = Watch::new(table, made.file.clone(), now_ns + self.settle_ns(), &ask);
                self.phase = Phase::Closed(Some(Box::new(watch)));
                Order {
                    plan: Some(made.file),
                    say,
                }
            }
            Err(reason) if keeps => {
                self.phase = before;
                say.push(format!("no other plan can be made ({reason}); it stays"));
                Order { plan: None, say }
            }
            Err(reason) => {
                say.push(format!(
                    "no plan can be made ({reason}); the clocks stay as high as is allowed"
                ));
                self.phase = Phase::Closed(None);
                Order {
                    plan: Some(self.first()),
                    say,
                }
            }
        }
    }

    fn ask(&self) -> Ask {
        let weights = self.weights();
        let seen: Vec<Seen> = self
            .recent
            .iter()
            .map(|f| Seen {
                exit: f.exit,
                first_gate: f.first_gate,
            })
            .collect();
        let classes = if seen.len() < CLASSES { 1 } else { 2 };
        let deadline_s = (self.deadline_s() - self.lag_s()).max(1e-6);
        Ask {
            objective: self.setup.objective,
            interval_s: weights.interval_s.max(deadline_s),
            spreads: self.setup.spreads,
            power_cap_w: self.setup.power_cap_w,
            beliefs: learn(&seen, self.setup.macs.len(), classes),
            changes: self.setup.changes,
            limit: self.allowed,
            ..Ask::new(deadline_s, Vec::new())
        }
    }
}
