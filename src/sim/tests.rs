//! What a simulation promises, on made-up traces.

use super::*;
use crate::board::{Of, SegmentLoad, SimBoard, boards, named};
use crate::gates::ExitPolicy;
use crate::plan::Axis;
use crate::plan::planner::Objective;
use crate::sim::trace::{ReadTrace, TraceExit, TraceFrame};
use crate::telemetry::MAX_EXITS;
use crate::telemetry::trace::{SCHEMA, TraceHead};

/// A fifth of MobileNetV2: about a segment of the shipped bundle.
const LOAD: SegmentLoad = SegmentLoad {
    macs: 11e6,
    head_macs: 3e5,
    bytes: 1e6,
    kernels: 10.0,
    separable: true,
};

fn of() -> Of {
    Of {
        bundle: "b".into(),
        sha256: "d".into(),
    }
}

/// Clips of 20 frames: three that run deep, then shallow ones.
fn trace(policy: ExitPolicy, clips: u32) -> ReadTrace {
    let frame = |n: u32| {
        let exit = match policy {
            ExitPolicy::Always(exit) => exit - 1,
            _ if n % 20 < 3 => 2,
            _ => usize::from(n.is_multiple_of(9)),
        };
        let gate = if n % 20 < 3 { 0.1 } else { 0.9 };
        TraceFrame {
            frame: n.into(),
            clip: n / 20,
            first: n.is_multiple_of(20),
            label: Some(u16::from(n % 40 == 39)),
            exit: u8::try_from(exit).unwrap(),
            exits: [TraceExit {
                gate,
                ..TraceExit::default()
            }; MAX_EXITS],
        }
    };
    ReadTrace {
        head: TraceHead {
            schema: SCHEMA.into(),
            bundle: "b".into(),
            bundle_sha256: "d".into(),
            exit_policy: policy.to_string(),
            exits: 3,
            endless: false,
            labels: vec!["walk".into(), "run".into()],
        },
        policy,
        frames: (0..20 * clips).map(frame).collect(),
    }
}

fn figures(board: &str, method: MethodName, fps: f64, seed: u64) -> Figures {
    let policy = match method.needs() {
        NeedsTrace::Full => ExitPolicy::Always(3),
        NeedsTrace::Softmax => ExitPolicy::Softmax(None),
        NeedsTrace::Gates => ExitPolicy::Gates,
    };
    let (board, loads) = (named(board).unwrap(), [LOAD; 3]);
    let run = Run {
        board,
        loads: &loads,
        of: &of(),
        trace: &trace(policy, 40),
        method,
        objective: Objective::Energy,
        pace: table::Rate::Fps(fps).pace(board, &loads, None),
        seed,
        frames: None,
    };
    simulate(&run).unwrap().figures
}

#[test]
fn the_same_seed_gives_the_same_figures_with_every_method() {
    for method in MethodName::ALL {
        let first = figures("xavier-nx", method, 30.0, 3);
        assert_eq!(first, figures("xavier-nx", method, 30.0, 3), "{method:?}");
        assert_ne!(first, figures("xavier-nx", method, 30.0, 4), "{method:?}");
    }
}

#[test]
fn no_frame_is_lost_and_no_exit_invented() {
    for method in MethodName::ALL {
        let found = figures("tx2", method, 30.0, 1);
        assert_eq!(found.frames, 600);
        let expected: &[u64] = match method.needs() {
            NeedsTrace::Full => &[0, 0, 600],
            _ => &[453, 57, 90],
        };
        assert_eq!(found.exits, expected, "{method:?}");
        assert_eq!(found.frame_accuracy, Some(585.0 / 600.0));
        assert_eq!(found.clip_accuracy, Some(0.5));
        assert!(found.work_mj <= found.energy_mj, "{method:?}: {found:?}");
        assert!(found.latency_p99_ms <= found.latency_max_ms);
    }
}

#[test]
fn ours_keeps_the_deadline_and_costs_less_than_the_highest_clocks_on_every_board() {
    for board in boards() {
        let ours = figures(&board.name, MethodName::Ours, 30.0, 2);
        let fast = figures(&board.name, MethodName::GatesMaxn, 30.0, 2);
        assert_eq!(ours.deadline_misses, 0, "{}", board.name);
        assert!(ours.energy_mj < 0.95 * fast.energy_mj, "{}", board.name);
        assert!(ours.search.probes > 0 && ours.search.joules > 0.0);
        let plain = figures(&board.name, MethodName::Static, 30.0, 2);
        // What is measured is noisy; beyond that it is never worse.
        assert!(ours.energy_mj < 1.02 * plain.energy_mj, "{}", board.name);
    }
}

#[test]
fn waiting_counts_from_arrival_and_a_board_that_is_too_slow_is_late() {
    let board = named("nano").unwrap();
    let busy_s: f64 = 3.0 * board.cost(&LOAD, board.highest())[0];
    let found = figures("nano", MethodName::Maxn, 0.5 / busy_s, 1);
    assert_eq!(found.deadline_misses, 0);
    assert!((found.latency_mean_ms / (1e3 * busy_s) - 1.0).abs() < 0.05);
    let slow = figures("nano", MethodName::Maxn, 1.1 / busy_s, 1);
    assert_eq!(slow.deadline_misses, slow.frames);
    assert!(slow.latency_max_ms > 20.0 * slow.latency_p50_ms / 11.0);
}

#[test]
fn governors_rest_at_the_lowest_clocks_and_rise_under_load() {
    let lazy = figures("orin-nano", MethodName::Governors, 2.0, 1);
    let busy = figures("orin-nano", MethodName::Governors, 900.0, 1);
    assert!(
        busy.watts > 1.5 * lazy.watts,
        "{} {}",
        busy.watts,
        lazy.watts
    );
    assert!(
        lazy.latency_mean_ms > 2.0 * figures("orin-nano", MethodName::Maxn, 2.0, 1).latency_mean_ms
    );
}

#[test]
fn learners_end_below_the_highest_clocks_and_say_what_learning_cost() {
    for method in [MethodName::Ztt, MethodName::Ring] {
        let learned = figures("xavier-nx", method, 30.0, 1);
        let highest = figures("xavier-nx", MethodName::Maxn, 30.0, 1);
        assert!(learned.energy_mj < highest.energy_mj, "{method:?}");
        assert_eq!(learned.search.probes, 60_000);
        assert!(
            learned.deadline_misses < 60,
            "{method:?} {}",
            learned.deadline_misses
        );
    }
}

#[test]
fn a_trace_of_another_policy_or_bundle_is_refused() {
    let board = named("nano").unwrap();
    let loads = [LOAD; 3];
    let gates = trace(ExitPolicy::Gates, 4);
    let run = Run {
        board,
        loads: &loads,
        of: &of(),
        trace: &gates,
        method: MethodName::Governors,
        objective: Objective::Energy,
        pace: table::Rate::Fps(30.0).pace(board, &loads, None),
        seed: 0,
        frames: None,
    };
    let error = simulate(&run).unwrap_err().to_string();
    assert!(
        error.contains("--exit-policy gates") && error.contains("always:K"),
        "{error}"
    );
    let other = Of {
        sha256: "e".into(),
        ..of()
    };
    let run = Run {
        of: &other,
        method: MethodName::Ours,
        ..run
    };
    assert!(
        simulate(&run)
            .unwrap_err()
            .to_string()
            .contains("other bytes")
    );
    let short = ReadTrace {
        frames: gates.frames[..20].to_vec(),
        ..gates.clone()
    };
    let run = Run {
        of: &of(),
        trace: &short,
        ..run
    };
    assert!(matches!(simulate(&run), Err(SimError::Short(20))));
}

#[test]
fn a_plan_for_the_shortest_latency_takes_the_fastest_clocks() {
    let board = named("tx2").unwrap();
    let loads = [LOAD; 3];
    let run = Run {
        board,
        loads: &loads,
        of: &of(),
        trace: &trace(ExitPolicy::Gates, 40),
        method: MethodName::Ours,
        objective: Objective::Latency,
        pace: table::Rate::Fps(30.0).pace(board, &loads, None),
        seed: 0,
        frames: Some(5_000),
    };
    let simulated = simulate(&run).unwrap();
    assert_eq!(simulated.figures.frames, 5_000);
    let fastest = figures("tx2", MethodName::GatesMaxn, 30.0, 0).latency_mean_ms;
    assert!(simulated.figures.latency_mean_ms < 1.1 * fastest);
    let (table, plan) = simulated.plan.unwrap();
    assert!(table.head.boundary.contains("simulated"));
    assert_eq!(table.rows().len() % 3, 0);
    assert_eq!(plan.objective, Objective::Latency);
}

/// Raises one clock while a segment runs.
#[derive(Debug)]
struct Once(u64);

impl Method for Once {
    fn event(&mut self, _: crate::dvfs::Event, _: &mut SimBoard) {}

    fn poll(&mut self, now_ns: u64, board: &mut SimBoard) -> u64 {
        if now_ns >= self.0 {
            board.set(Axis::Gpu, 0);
            return u64::MAX;
        }
        self.0
    }
}

#[test]
fn a_method_is_called_in_the_middle_of_a_segment_at_the_time_it_asked_for() {
    let board = SimBoard::new(named("nano").unwrap(), &[SegmentLoad::RESNET50], 1);
    let pace = Pace {
        interval_ns: 100_000_000,
        deadline_ns: 100_000_000,
    };
    let frames = [trace(ExitPolicy::Always(1), 1).frames[0]];
    let plain = {
        let mut stream = Stream::new(board.clone(), Box::new(Untouched), pace);
        let mut outcome = Outcome::new();
        stream.run(frames.iter(), &mut outcome);
        outcome.figures(1, Search::default(), None).latency_mean_ms
    };
    let mut stream = Stream::new(board, Box::new(Once(110_000_000)), pace);
    let mut outcome = Outcome::new();
    stream.run(frames.iter(), &mut outcome);
    let slowed = outcome.figures(1, Search::default(), None).latency_mean_ms;
    assert!(slowed > 1.5 * plain, "{slowed} {plain}");
}
