//! The profiler on a simulated board in virtual time.

use super::*;
use crate::board::{SegmentLoad, SimBoard, named};
use crate::plan::Axis;
use crate::plan::cost::{Head, Source};
use crate::plan::random::Random;
use crate::power::Figure;
use crate::profile::rig::{Brought, Stretch, Work};

/// A simulated board whose sensor is 2 % off each time.
struct Simulated {
    board: SimBoard,
    segments: usize,
    wish: ClockPoint,
    energy: Vec<(u64, f64)>,
    random: Random,
    /// Points after which the clocks are capped: (probes begun, axis, level).
    cap: Option<(usize, Axis, usize)>,
    begun: usize,
    stops_after: usize,
}

impl Simulated {
    fn new(seed: u64) -> Self {
        let board = named("orin-nano").unwrap();
        let loads = [SegmentLoad::MOBILENETV2; 2];
        Self {
            board: SimBoard::new(board, &loads, seed),
            segments: 2,
            wish: ClockPoint::default(),
            energy: Vec::new(),
            random: Random::new(seed, 9),
            cap: None,
            begun: 0,
            stops_after: usize::MAX,
        }
    }

    fn level(&self, axis: Axis) -> usize {
        let levels = self.board.description().levels(axis);
        levels.partition_point(|khz| *khz < self.wish.khz()[axis.index()])
    }
}

impl Rig for Simulated {
    fn segments(&self) -> usize {
        self.segments
    }

    fn now_ns(&mut self) -> u64 {
        self.board.now_ns()
    }

    fn bring(&mut self, point: ClockPoint) -> Brought {
        self.wish = point;
        self.begun += 1;
        if let Some((after, axis, level)) = self.cap
            && self.begun == after
        {
            self.board.cap(axis, level);
        }
        for axis in Axis::ALL {
            self.board.set(axis, self.level(axis));
        }
        self.board.wait(self.board.now_ns() + 100_000_000);
        self.holds()
    }

    fn holds(&mut self) -> Brought {
        let mut allowed = [0; 3];
        let mut held = false;
        for axis in Axis::ALL {
            let level = self.board.allowed(axis);
            if level < self.level(axis) {
                held = true;
                allowed[axis.index()] = self.board.description().levels(axis)[level];
            }
        }
        match held {
            true => Brought::Held {
                allowed: ClockPoint::new(allowed),
                by: "heat".to_owned(),
            },
            false => Brought::There,
        }
    }

    fn run(&mut self, work: Work, ns: u64) -> Result<Stretch, String> {
        let (from_ns, from_j) = (self.board.now_ns(), self.board.energy_j());
        let mut stretch = Stretch {
            from_ns,
            ..Stretch::default()
        };
        match work {
            Work::Idle => self.board.wait(from_ns + ns),
            Work::Segment(segment) => {
                while self.board.now_ns() < from_ns + ns {
                    let ran = self.board.run(segment).ok_or("no such segment")?;
                    let s = ran.latency_ns as f64 / 1e9;
                    stretch.runs += 1;
                    stretch.sum_s += s;
                    stretch.squares_s2 += s * s;
                }
            }
        }
        stretch.to_ns = self.board.now_ns();
        self.energy
            .push((stretch.to_ns, self.board.energy_j() - from_j));
        Ok(stretch)
    }

    fn energy(&mut self, stretch: &Stretch) -> Option<Figure> {
        let (_, joules) = self.energy.iter().find(|e| e.0 == stretch.to_ns)?;
        Some(Figure {
            joules: joules * (1.0 + 0.02 * self.random.normal()),
            error_joules: 0.02 * joules,
            seconds: (stretch.to_ns - stretch.from_ns) as f64 / 1e9,
            missed_seconds: 0.0,
        })
    }

    fn window_ns(&self) -> u64 {
        5_000_000
    }

    fn complaint(&self) -> Option<String> {
        None
    }

    fn goes_on(&self) -> bool {
        self.begun < self.stops_after
    }
}

fn task(budget: usize) -> Task {
    let board = named("orin-nano").unwrap();
    Task {
        space: Space::new(board.points()).unwrap(),
        method: Method::Model,
        goal: Goal {
            cap_s: None,
            budget,
        },
        seed: 1,
        how: Settings {
            source: Source::Simulated,
            ..Settings::default()
        },
        weights: Weights::new(&[0.6, 0.4], 0.033, 2.0),
    }
}

/// What a frame costs at a point in truth.
fn truth(point: ClockPoint, weights: &Weights) -> f64 {
    let board = named("orin-nano").unwrap();
    let [latency, energy] = board.cost(&SegmentLoad::MOBILENETV2, point);
    let runs: f64 = weights.reach.iter().sum();
    runs * energy + (weights.interval_s - runs * latency).max(0.0) * board.idle_w(point)
}

#[test]
fn the_point_that_is_found_is_close_to_the_best_of_all() {
    let task = task(24);
    let mut within = 0;
    for seed in 0..5 {
        let mut rig = Simulated::new(seed);
        let found = run(
            &mut rig,
            &task,
            Vec::new(),
            &mut Progress::default(),
            &mut |_| (),
        )
        .unwrap();
        assert!(found.probes.len() <= 24);
        let (point, _) = found.choice.unwrap();
        let all = task.space.points().iter();
        let best = all
            .map(|p| truth(*p, &task.weights))
            .fold(f64::INFINITY, f64::min);
        let gap = truth(point, &task.weights) / best - 1.0;
        println!("seed {seed}: {point}, {:.2} % above the best", gap * 1e2);
        within += usize::from(gap < 0.05);
        let table = found.table(Head::default()).unwrap();
        assert_eq!(table.segments(), [0, 1]);
        assert_eq!(table.head.idle.len() * 2, table.rows().len());
    }
    assert!(within >= 4, "{within} of 5");
}

#[test]
fn a_profile_that_was_stopped_goes_on_as_if_it_had_not_been() {
    let task = task(12);
    let folder = tempfile::tempdir().unwrap();
    let settings = serde_json::Map::new();
    let open = || Progress::open(folder.path().join("p"), &settings, 2).unwrap();
    let mut rig = Simulated::new(3);
    rig.stops_after = 6;
    let (mut progress, none) = open();
    let error = run(&mut rig, &task, none, &mut progress, &mut |_| ()).unwrap_err();
    assert!(
        matches!(error, ProfileError::Stopped { done: 5, .. }),
        "{error}"
    );
    drop(progress);
    rig.stops_after = usize::MAX;
    let (mut progress, before) = open();
    assert_eq!(before.len(), 5);
    let found = run(&mut rig, &task, before, &mut progress, &mut |_| ()).unwrap();
    // The very points that a profile without a stop would have gone on with.
    let mut replay = task.method.start(&task.space, task.goal, task.seed);
    let history = observations(&task.space, &found.probes, &task.weights);
    for at in 0..history.len() {
        assert_eq!(replay.next(&history[..at]), Step::Probe(history[at].point));
    }
}

#[test]
fn what_is_throttled_is_left_out_and_said() {
    let task = task(16);
    let mut rig = Simulated::new(4);
    let cap = 2;
    rig.cap = Some((4, Axis::Gpu, cap));
    let found = run(
        &mut rig,
        &task,
        Vec::new(),
        &mut Progress::default(),
        &mut |_| (),
    )
    .unwrap();
    let khz = named("orin-nano").unwrap().levels(Axis::Gpu)[cap];
    assert!(found.probes[3..].iter().all(|p| p.point.gpu_khz <= khz));
    assert!(
        found.notes.iter().any(|n| n.contains("held down by heat")),
        "{:?}",
        found.notes
    );
    assert!(found.choice.unwrap().0.gpu_khz <= khz);
}

#[test]
fn a_sensor_without_figures_ends_it_with_a_sentence() {
    struct Blind(Simulated);
    impl Rig for Blind {
        fn segments(&self) -> usize {
            self.0.segments()
        }
        fn now_ns(&mut self) -> u64 {
            self.0.now_ns()
        }
        fn bring(&mut self, point: ClockPoint) -> Brought {
            self.0.bring(point)
        }
        fn holds(&mut self) -> Brought {
            self.0.holds()
        }
        fn run(&mut self, work: Work, ns: u64) -> Result<Stretch, String> {
            self.0.run(work, ns)
        }
        fn energy(&mut self, _: &Stretch) -> Option<Figure> {
            None
        }
        fn window_ns(&self) -> u64 {
            self.0.window_ns()
        }
        fn complaint(&self) -> Option<String> {
            Some("it is gone".to_owned())
        }
        fn goes_on(&self) -> bool {
            true
        }
    }
    let mut rig = Blind(Simulated::new(5));
    let none = &mut Progress::default();
    let error = run(&mut rig, &task(4), Vec::new(), none, &mut |_| ()).unwrap_err();
    assert_eq!(error.to_string(), "no energy was measured: it is gone");
}
