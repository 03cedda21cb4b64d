//! The explorer on a simulated board in virtual time.

use super::*;
use crate::board::{SegmentLoad, SimBoard, named};
use crate::plan::{Axis, ClockPoint};
use crate::telemetry::result::MAX_EXITS;

const PERIOD_NS: u64 = 33_333_333;
const SEGMENTS: usize = 2;

/// Energy as it was used, times `factor`.
#[derive(Default)]
struct Marks {
    marks: Vec<(u64, f64)>,
    factor: f64,
}

impl Marks {
    fn push(&mut self, at_ns: u64, used_j: f64) {
        let sum = self.marks.last().map_or(0.0, |m| m.1);
        self.marks.push((at_ns, sum + used_j * self.factor));
    }

    fn at(&self, ns: u64) -> Option<f64> {
        let right = self.marks.partition_point(|m| m.0 < ns);
        let (a, b) = (
            self.marks.get(right.max(1) - 1)?,
            self.marks.get(right.max(1))?,
        );
        let share = (ns.saturating_sub(a.0)) as f64 / (b.0 - a.0).max(1) as f64;
        Some(a.1 + share * (b.1 - a.1))
    }
}

impl Meter for Marks {
    fn energy(&mut self, from_ns: u64, to_ns: u64) -> Option<Figure> {
        let joules = self.at(to_ns)? - self.at(from_ns)?;
        Some(Figure {
            joules,
            error_joules: 0.01 * joules,
            seconds: (to_ns - from_ns) as f64 / 1e9,
            missed_seconds: 0.0,
        })
    }

    fn window_ns(&self) -> u64 {
        5_000_000
    }
}

/// A stream of frames on a simulated board that follows what the explorer orders.
struct Stream {
    board: SimBoard,
    explorer: Explorer,
    plan: crate::plan::file::PlanFile,
    marks: Marks,
    frame: u64,
    allowed: ClockPoint,
    /// Every so-manieth frame goes all the way.
    deep_every: u64,
    late: usize,
    said: Vec<String>,
}

const DEADLINE_S: f64 = 0.025;

impl Stream {
    fn new(budget: usize) -> Self {
        let board = named("orin-nano").unwrap();
        let setup = Setup {
            space: Space::new(board.points()).unwrap(),
            macs: vec![1.0; SEGMENTS],
            objective: Objective::Energy,
            deadline_s: Some(DEADLINE_S),
            power_cap_w: None,
            spreads: 2.0,
            budget,
            changes: Changes::default(),
            head: Head {
                bundle_sha256: "d".to_owned(),
                ..Head::default()
            },
        };
        let explorer = Explorer::new(setup);
        Self {
            board: SimBoard::new(board, &[SegmentLoad::MOBILENETV2; SEGMENTS], 7),
            plan: explorer.first(),
            explorer,
            marks: Marks {
                factor: 1.0,
                marks: vec![(0, 0.0)],
            },
            frame: 0,
            allowed: board.highest(),
            deep_every: 3,
            late: 0,
            said: Vec::new(),
        }
    }

    fn ask(&mut self, point: ClockPoint) -> ClockPoint {
        let board = self.board.description();
        let mut asked = [0; 3];
        for axis in Axis::ALL {
            let khz = point.khz()[axis.index()].min(self.allowed.khz()[axis.index()]);
            let level = board.levels(axis).partition_point(|l| *l < khz);
            self.board.set(axis, level);
            asked[axis.index()] = board.levels(axis)[level];
        }
        ClockPoint::new(asked)
    }

    fn marked(&mut self, from_j: f64) {
        let used = self.board.energy_j() - from_j;
        self.marks.push(self.board.now_ns(), used);
    }

    fn one_frame(&mut self) {
        let captured_ns = self.board.now_ns();
        let exit = usize::from(self.frame.is_multiple_of(self.deep_every));
        let mut segment_s = [0.0; MAX_EXITS];
        let mut asked = ClockPoint::default();
        for (k, time_s) in segment_s.iter_mut().enumerate().take(exit + 1) {
            asked = self.ask(self.plan.beliefs[0].segments[k].point());
            let before_j = self.board.energy_j();
            let ran = self.board.run(k).unwrap();
            *time_s = ran.latency_ns as f64 / 1e9;
            self.marked(before_j);
        }
        let left_ns = self.board.now_ns();
        let frame = LiveFrame {
            captured_ns,
            left_ns,
            exit,
            first_gate: 0.5,
            segment_s,
            asked,
        };
        self.late += usize::from((left_ns - captured_ns) as f64 / 1e9 > DEADLINE_S);
        self.explorer.frame(frame);
        self.ask(self.plan.beliefs[0].segments[0].point());
        let before_j = self.board.energy_j();
        self.board.wait((captured_ns + PERIOD_NS).max(left_ns + 1));
        self.marked(before_j);
        self.frame += 1;
        let now_ns = self.board.now_ns();
        if let Some(order) = self.explorer.poll(now_ns, self.allowed, &mut self.marks) {
            self.said.extend(order.say);
            self.plan = order.plan.unwrap_or_else(|| self.plan.clone());
        }
    }

    fn run_until(&mut self, frames: u64, done: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..frames {
            if done(self) {
                return true;
            }
            self.one_frame();
        }
        done(self)
    }

    fn follows(&mut self) {
        let is = |s: &Self| s.explorer.summary().state == "following";
        assert!(
            self.run_until(4_000, is),
            "{:?} {:?}",
            self.explorer.summary(),
            self.said
        );
    }

    /// Energy of a second at a point, by the board's own law.
    fn truth(&self, point: ClockPoint) -> f64 {
        let board = self.board.description();
        let [latency, energy] = board.cost(&SegmentLoad::MOBILENETV2, point);
        let runs = 1.0 + 1.0 / self.deep_every as f64;
        let period_s = PERIOD_NS as f64 / 1e9;
        (runs * energy + (period_s - runs * latency) * board.idle_w(point)) / period_s
    }
}

#[test]
fn a_plan_is_found_within_the_budget_and_no_frame_is_late() {
    let mut stream = Stream::new(20);
    stream.follows();
    let summary = stream.explorer.summary();
    assert!(summary.probes <= 20 && summary.plans == 1, "{summary:?}");
    assert!(summary.explored_s > 0.5 && summary.explored_j > 0.0);
    assert_eq!(stream.late, 0, "late frames");
    let board = stream.board.description();
    let in_time = |p: &ClockPoint| {
        let [latency, _] = board.cost(&SegmentLoad::MOBILENETV2, *p);
        2.0 * latency <= 0.9 * DEADLINE_S
    };
    let points = board.points();
    let all = points
        .iter()
        .filter(|p| in_time(p))
        .map(|p| stream.truth(*p));
    let best = all.fold(f64::INFINITY, f64::min);
    let found = stream.truth(summary.choice.unwrap());
    let top = stream.truth(board.highest());
    println!(
        "{found:.3} W, best {best:.3} W, top {top:.3} W; {:?}",
        stream.said
    );
    assert!(found < best + 0.2 * (top - best), "{found} {best} {top}");
}

#[test]
fn a_cap_is_planned_within_at_once() {
    let mut stream = Stream::new(16);
    stream.follows();
    let planned = stream.plan.beliefs[0].segments[0].point();
    let board = stream.board.description();
    let levels = board.levels(Axis::Gpu);
    let below = levels.partition_point(|khz| *khz < planned.gpu_khz).max(1) - 1;
    stream.allowed.gpu_khz = levels[below];
    let frame = stream.frame;
    let within = |s: &Stream| {
        let points = s.plan.beliefs.iter().flat_map(|b| &b.segments);
        points.into_iter().all(|p| p.point().is_within(s.allowed))
    };
    assert!(stream.run_until(60, within), "{:?}", stream.said);
    println!("{} frames later: {:?}", stream.frame - frame, stream.said);
}

#[test]
fn what_is_no_longer_true_is_measured_again() {
    let mut stream = Stream::new(12);
    stream.follows();
    // Something else on the board draws as much again.
    stream.marks.factor = 2.0;
    let again = |s: &Stream| s.explorer.summary().reopened == 1;
    assert!(
        stream.run_until(1_000, again),
        "{:?}",
        stream.explorer.summary()
    );
    assert!(stream.said.last().unwrap().contains("measuring again"));
    stream.follows();
    assert_eq!(stream.explorer.summary().plans, 2);
}

#[test]
fn other_exits_are_planned_for_without_measuring_again() {
    let mut stream = Stream::new(12);
    stream.follows();
    let probes = stream.explorer.summary().probes;
    stream.deep_every = 1;
    let replanned = |s: &Stream| s.explorer.summary().replanned >= 1;
    assert!(
        stream.run_until(1_000, replanned),
        "{:?} {:?}",
        stream.explorer.summary(),
        stream.said
    );
    assert_eq!(stream.explorer.summary().probes, probes);
}
