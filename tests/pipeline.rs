//! What a user relies on when frames go through the pipeline, whatever the
//! placement: none is lost, none is counted twice, results come in order.

mod support;

use e4::engine::Engine;
use e4::engine::cpu::CpuEngine;
use e4::engine::offload::Offload;
use e4::gates::{ExitPolicy, Gates};
use e4::monotonic::now_ns;
use e4::pipeline::{Finished, Pipeline, PipelineError, Placement, Policy, Stage, Stop};
use e4::telemetry::{DropReason, FrameResult};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Action, Hook, Hooked, Scripted, Watched, placements, tiny};

/// Keeps every result.
#[derive(Debug, Default)]
struct Kept(Vec<FrameResult>);

impl e4::pipeline::ResultSink for Kept {
    fn accept(&mut self, result: &FrameResult) -> bool {
        self.0.push(*result);
        true
    }
}

fn pipeline(source: Scripted, engine: impl Engine + 'static) -> Pipeline<Kept> {
    let bundle = tiny();
    let gates = Gates::open(&bundle, ExitPolicy::Gates).expect("gates of tiny-e2");
    Pipeline::new(
        Box::new(source),
        Box::new(engine),
        bundle,
        gates,
        Kept::default(),
    )
}

fn assert_accounted(finished: &Finished<Kept>) {
    let results = u64::try_from(finished.sink.0.len()).expect("few");
    assert_eq!(finished.drops.captured(), results + finished.drops.total());
    assert!(
        finished.sink.0.windows(2).all(|w| w[0].frame < w[1].frame),
        "results out of order"
    );
}

fn decisions(finished: &Finished<Kept>) -> Vec<(u64, u8, u16)> {
    finished
        .sink
        .0
        .iter()
        .map(|r| (r.frame, r.exit, r.class))
        .collect()
}

#[test]
fn every_placement_delivers_every_frame_with_the_same_decisions() {
    let mut first = None;
    for placement in placements() {
        let finished = pipeline(Scripted::new(60).clips_of(20), CpuEngine::new())
            .placement(placement.clone())
            .run_watched(&Stop::new())
            .expect("a run");
        assert_accounted(&finished);
        assert_eq!(finished.sink.0.len(), 60);
        let decisions = decisions(&finished);
        assert_eq!(
            *first.get_or_insert(decisions.clone()),
            decisions,
            "{placement:?}"
        );
    }
}

#[test]
fn an_asynchronous_engine_decides_the_same_speculating_or_not() {
    let run = |engine: Box<dyn Fn() -> Pipeline<Kept>>, speculate| {
        let finished = engine()
            .speculate(speculate)
            .run_watched(&Stop::new())
            .expect("a run");
        assert_accounted(&finished);
        decisions(&finished)
    };
    let source = || Scripted::new(40).clips_of(20);
    let synchronous = run(
        Box::new(move || pipeline(source(), CpuEngine::new())),
        false,
    );
    for speculate in [false, true] {
        for placement in placements() {
            let offloaded = move || {
                pipeline(source(), Offload::new(CpuEngine::new())).placement(placement.clone())
            };
            assert_eq!(run(Box::new(offloaded), speculate), synchronous);
        }
    }
}

#[test]
fn a_slow_infer_takes_the_newest_frame_each_time() {
    use Stage::{Capture, Gate, Infer, Sink};
    // On one thread `newest` looks for newer frames itself.
    let groups: [&[&[Stage]]; 2] = [
        &[&[Capture], &[Infer, Gate, Sink]],
        &[&[Capture, Infer, Gate, Sink]],
    ];
    for groups in groups {
        takes_the_newest(groups);
    }
}

fn takes_the_newest(groups: &[&[Stage]]) {
    let enqueued: Arc<Mutex<Vec<u64>>> = Arc::default();
    let log = enqueued.clone();
    let hook: Hook = Arc::new(move |segment, _| {
        if segment == 0 {
            log.lock().expect("a log").push(now_ns());
            return Action::Sleep(Duration::from_millis(25));
        }
        Action::Run
    });
    let source = Scripted::new(200).live(5_000_000);
    let captured = source.log.clone();
    let finished = pipeline(
        source,
        Hooked {
            inner: CpuEngine::new(),
            hook,
        },
    )
    .placement(Placement::unpinned(groups).expect("a placement"))
    .policy(Policy::Newest)
    .slots(12)
    .sample(false)
    .run_watched(&Stop::new())
    .expect("a run");
    assert_accounted(&finished);
    assert!(
        finished.drops.dropped(DropReason::Superseded) > 100,
        "infer was not slower"
    );

    let captured = captured.lock().expect("a log");
    let enqueued = enqueued.lock().expect("a log");
    let newest_at = |time_ns| {
        captured
            .partition_point(|&c| c <= time_ns)
            .saturating_sub(1) as u64
    };
    let results = &finished.sink.0;
    assert_eq!(enqueued.len(), results.len());
    let mut newest = 0;
    for (index, pair) in results.windows(2).enumerate() {
        // Taken between the verdict before it and the start of its first segment.
        let taken = pair[1].frame;
        let there = newest_at(pair[0].decided_ns).max(pair[0].frame + 1);
        assert!(
            taken + 1 >= there,
            "frame {taken} was taken when {there} was there"
        );
        assert!(taken <= newest_at(enqueued[index + 1]));
        newest += usize::from(taken >= there);
    }
    // Capture logs a frame before it puts it, so now and then one is missed.
    let all = results.len() - 1;
    assert!(newest * 10 >= all * 9, "{newest} of {all} were the newest");
}

#[test]
fn a_stop_drains_what_is_under_way() {
    for placement in placements() {
        let stop = Stop::new();
        let raise = stop.clone();
        let raiser = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            raise.raise();
        });
        let finished = pipeline(Scripted::new(u64::MAX).clips_of(1_000), CpuEngine::new())
            .placement(placement)
            .run_watched(&stop)
            .expect("a run");
        raiser.join().expect("a thread");
        assert_accounted(&finished);
        assert!(!finished.sink.0.is_empty());
    }
}

#[test]
fn a_sink_that_has_enough_ends_the_run() {
    for placement in placements() {
        let bundle = tiny();
        let gates = Gates::open(&bundle, ExitPolicy::Gates).expect("gates");
        let sink = |result: &FrameResult| result.frame < 10;
        let finished = Pipeline::new(
            Box::new(Scripted::new(u64::MAX).clips_of(1_000)),
            Box::new(CpuEngine::new()),
            bundle,
            gates,
            sink,
        )
        .placement(placement)
        .run_watched(&Stop::new())
        .expect("a run");
        assert!(finished.drops.captured() >= 10);
    }
}

#[test]
fn a_frame_that_the_engine_fails_on_is_dropped_and_the_next_one_goes_through() {
    for action in [Action::FailEnqueue, Action::FailWait] {
        for placement in placements() {
            let hook: Hook = Arc::new(move |segment, run| {
                if segment == 0 && run % 5 == 3 {
                    action
                } else {
                    Action::Run
                }
            });
            let finished = pipeline(
                Scripted::new(50).clips_of(25),
                Hooked {
                    inner: CpuEngine::new(),
                    hook,
                },
            )
            .placement(placement)
            .run_watched(&Stop::new())
            .expect("a run");
            assert_accounted(&finished);
            assert_eq!(finished.drops.dropped(DropReason::EngineFailed), 10);
            assert_eq!(finished.engine_failures.1, 10);
        }
    }
}

#[test]
fn a_failure_while_speculating_loses_that_frame_only() {
    for action in [Action::FailEnqueue, Action::FailWait] {
        for placement in placements() {
            let hook: Hook = Arc::new(move |segment, run| {
                if segment == 1 && run % 4 == 1 {
                    action
                } else {
                    Action::Run
                }
            });
            let offload = Offload::new(CpuEngine::new());
            let source = Scripted::new(60).clips_of(20);
            let engine = Hooked {
                inner: offload,
                hook,
            };
            let finished = pipeline(source, engine)
                .placement(placement)
                .run_watched(&Stop::new())
                .expect("a run");
            assert_eq!(finished.drops.captured(), 60);
            assert_accounted(&finished);
        }
    }
}

#[test]
fn a_stalled_stage_ends_the_run_with_its_name() {
    let hook: Hook = Arc::new(|_, run| match run {
        4 => Action::Sleep(Duration::from_secs(3)),
        _ => Action::Run,
    });
    let error = pipeline(
        Scripted::new(50),
        Hooked {
            inner: CpuEngine::new(),
            hook,
        },
    )
    .watchdog_ns(200_000_000)
    .run_watched(&Stop::new())
    .expect_err("a stall");
    assert!(
        matches!(
            error,
            PipelineError::Stalled {
                stage: Stage::Infer,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_panic_in_a_stage_ends_the_run_with_its_name() {
    for placement in placements() {
        let hook: Hook = Arc::new(|_, run| if run == 4 { Action::Panic } else { Action::Run });
        let owner = placement.thread_of(Stage::Infer).stages[0];
        let error = pipeline(
            Scripted::new(50),
            Hooked {
                inner: CpuEngine::new(),
                hook,
            },
        )
        .placement(placement)
        .run_watched(&Stop::new())
        .expect_err("a panic");
        assert!(
            matches!(error, PipelineError::Panicked(stage) if stage == owner),
            "{error}"
        );
    }
}

#[test]
fn a_live_source_drops_what_a_stalled_sink_cannot_take() {
    #[derive(Debug)]
    struct Slow(u64);
    impl e4::pipeline::ResultSink for Slow {
        fn accept(&mut self, _: &FrameResult) -> bool {
            if self.0 == 0 {
                std::thread::sleep(Duration::from_millis(1500));
            }
            self.0 += 1;
            true
        }
    }
    let bundle = tiny();
    let gates = Gates::open(&bundle, ExitPolicy::Always(1)).expect("gates");
    let finished = Pipeline::new(
        Box::new(Scripted::new(3_000).live(300_000)),
        Box::new(CpuEngine::new()),
        bundle,
        gates,
        Slow(0),
    )
    .placement(
        Placement::unpinned(&[&[Stage::Capture, Stage::Infer, Stage::Gate], &[Stage::Sink]])
            .expect("a placement"),
    )
    .policy(Policy::Newest)
    .sample(false)
    .run_watched(&Stop::new())
    .expect("a run");
    assert_eq!(
        finished.drops.captured(),
        finished.sink.0 + finished.drops.total()
    );
}

#[test]
fn frames_off_the_bundles_grid_are_decimated() {
    let mut source = Scripted::new(90);
    source.period_ns = tiny().manifest().frame_interval_ns / 3;
    let finished = pipeline(source, CpuEngine::new())
        .run_watched(&Stop::new())
        .expect("a run");
    assert_accounted(&finished);
    assert_eq!(finished.sink.0.len(), 30);
    assert_eq!(finished.drops.dropped(DropReason::Decimated), 60);
}

#[test]
fn a_source_slower_than_the_bundle_is_reported() {
    #[derive(Debug)]
    struct Slow(Scripted, e4::source::SourceInfo);
    impl e4::source::FrameSource for Slow {
        fn info(&self) -> &e4::source::SourceInfo {
            &self.1
        }
        fn start(
            &mut self,
            slots: usize,
            wanted: &dyn Fn() -> bool,
        ) -> Result<(), e4::source::SourceError> {
            self.0.start(slots, wanted)
        }
        fn next(&mut self, deadline_ns: u64) -> Result<e4::source::Next, e4::source::SourceError> {
            self.0.next(deadline_ns)
        }
        fn release(&mut self, slot: e4::tensor::Slot) {
            self.0.release(slot);
        }
    }
    let mut scripted = Scripted::new(10);
    let interval_ns = tiny().manifest().frame_interval_ns;
    scripted.period_ns = interval_ns * 3;
    let info = e4::source::SourceInfo {
        name: "slow camera".into(),
        live: false,
        frame_interval_ns: Some(interval_ns * 3),
        labels: Vec::new(),
    };
    let bundle = tiny();
    let gates = Gates::open(&bundle, ExitPolicy::Gates).expect("gates");
    let finished = Pipeline::new(
        Box::new(Slow(scripted, info)),
        Box::new(CpuEngine::new()),
        bundle,
        gates,
        Kept::default(),
    )
    .run_watched(&Stop::new())
    .expect("a run");
    assert!(
        finished
            .notices
            .iter()
            .any(|n| n.starts_with("slow camera")),
        "{:?}",
        finished.notices
    );
    // Two frames are missing between each two of the ten.
    assert_eq!(finished.source_gaps.get("above_two_intervals"), Some(&18));
}
