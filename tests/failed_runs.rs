//! What is left of a run that fails in its course: totals, drops and notices,
//! with every captured frame accounted for.

mod support;

use e4::engine::cpu::CpuEngine;
use e4::gates::{ExitPolicy, Gates};
use e4::pipeline::{Ended, Pipeline, PipelineError, Sink, SinkSetup, Stage, Stop};
use e4::source::{FrameSource, Next, SourceError, SourceInfo};
use e4::telemetry::{DropCounters, DropReason, FrameResult, Output, Summary};
use e4::tensor::Slot;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::watchdog::with_watchdog;
use support::{Action, Hook, Hooked, Scripted, placements, tiny};

/// An output that takes `lines` lines and then panics or sleeps.
#[derive(Debug)]
struct Troubled {
    lines: u64,
    then: Action,
}

impl Output for Troubled {
    fn name(&self) -> String {
        "troubled".into()
    }
    fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
        match (self.lines, self.then) {
            (0, Action::Panic) => panic!("made to panic"),
            (0, Action::Sleep(time)) => std::thread::sleep(time),
            _ => {}
        }
        self.lines = self.lines.saturating_sub(1);
        Ok(())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn pipeline(source: Box<dyn FrameSource>, hook: Hook, output: Option<Troubled>) -> Pipeline<Sink> {
    let bundle = tiny();
    let gates = Gates::open(&bundle, ExitPolicy::Gates).expect("gates of tiny-e2");
    let drops: Arc<DropCounters> = Arc::default();
    let manifest = bundle.manifest();
    let sink = Sink::new(SinkSetup {
        labels: manifest.labels.clone(),
        segment_macs: manifest.segments.iter().map(|s| s.macs).collect(),
        drops: drops.clone(),
        outputs: output
            .into_iter()
            .map(|o| Box::new(o) as Box<dyn Output>)
            .collect(),
        status: None,
        endless: false,
        energy: None,
        tap: None,
        trace: None,
    });
    let engine = Hooked {
        inner: CpuEngine::new(),
        hook,
    };
    Pipeline::new(source, Box::new(engine), bundle, gates, sink).drop_counters(drops)
}

fn scripted() -> Box<dyn FrameSource> {
    Box::new(Scripted::new(50))
}

fn calm() -> Hook {
    Arc::new(|_, _| Action::Run)
}

/// Runs, and makes the summary as `e4 run` does.
fn summary(pipeline: Pipeline<Sink>) -> (Summary, Ended<Sink>) {
    let watch = pipeline.sink_watch();
    let mut ended = pipeline.run_to_end(&Stop::new());
    let mut report = match ended.sink.take() {
        Some(sink) => sink.finish(),
        None => watch.report(),
    };
    if ended.failure.is_some() {
        report.settle();
    }
    let summary = report.summary();
    assert_eq!(
        summary.frames.captured,
        summary.frames.results + summary.dropped(),
        "{:?}",
        summary.frames
    );
    (summary, ended)
}

fn abandoned(summary: &Summary) -> u64 {
    summary.frames.dropped[DropReason::Abandoned.name()]
}

#[test]
fn a_stage_that_panics_leaves_the_results_before_it_and_a_count_of_the_rest() {
    with_watchdog(|| {
        for placement in placements() {
            let panics: Hook = Arc::new(|segment, run| match (segment, run) {
                (0, 8) => Action::Panic,
                _ => Action::Run,
            });
            let failing = [
                pipeline(scripted(), panics, None),
                pipeline(
                    scripted(),
                    calm(),
                    Some(Troubled {
                        lines: 8,
                        then: Action::Panic,
                    }),
                ),
            ];
            for pipeline in failing {
                let (summary, ended) = summary(pipeline.placement(placement.clone()));
                assert!(
                    matches!(ended.failure, Some(PipelineError::Panicked(_))),
                    "{:?}",
                    ended.failure
                );
                assert_eq!(summary.frames.results, 8, "{placement:?}");
                assert!(abandoned(&summary) >= 1);
            }
        }
    });
}

#[test]
fn a_stage_that_stalls_leaves_the_results_before_it_and_a_count_of_the_rest() {
    with_watchdog(|| {
        let nap = Action::Sleep(Duration::from_secs(20));
        for placement in placements() {
            let stalls: Hook = Arc::new(move |segment, run| match (segment, run) {
                (0, 8) => nap,
                _ => Action::Run,
            });
            let failing = [
                (pipeline(scripted(), stalls, None), Stage::Infer),
                (
                    pipeline(
                        scripted(),
                        calm(),
                        Some(Troubled {
                            lines: 8,
                            then: nap,
                        }),
                    ),
                    Stage::Sink,
                ),
            ];
            for (pipeline, stage) in failing {
                let pipeline = pipeline.watchdog_ns(500_000_000);
                let (summary, ended) = summary(pipeline.placement(placement.clone()));
                let Some(PipelineError::Stalled { stage: found, .. }) = ended.failure else {
                    panic!("{:?}", ended.failure);
                };
                if stage == Stage::Infer {
                    assert_eq!(found, stage, "{placement:?}");
                }
                assert_eq!(summary.frames.results, 8, "{placement:?}");
                assert!(abandoned(&summary) >= 1);
            }
        }
    });
}

/// Delivers as another one, until it panics or breaks.
#[derive(Debug)]
struct Breaking {
    inner: Scripted,
    left: u64,
    panics: bool,
}

impl FrameSource for Breaking {
    fn info(&self) -> &SourceInfo {
        self.inner.info()
    }
    fn start(&mut self, slots: usize, wanted: &dyn Fn() -> bool) -> Result<(), SourceError> {
        self.inner.start(slots, wanted)
    }
    fn next(&mut self, deadline_ns: u64) -> Result<Next, SourceError> {
        if self.left == 0 {
            assert!(!self.panics, "made to panic");
            return Err(SourceError::Undecodable {
                path: "/dev/video0".into(),
                reason: "is gone".into(),
            });
        }
        let next = self.inner.next(deadline_ns);
        if matches!(next, Ok(Next::Frame(_))) {
            self.left -= 1;
        }
        next
    }
    fn release(&mut self, slot: Slot) {
        self.inner.release(slot);
    }
}

#[test]
fn a_source_that_breaks_or_panics_leaves_all_frames_accounted_for() {
    with_watchdog(|| {
        for placement in placements() {
            for panics in [false, true] {
                let source = Breaking {
                    inner: Scripted::new(50),
                    left: 8,
                    panics,
                };
                let pipeline = pipeline(Box::new(source), calm(), None);
                let (summary, ended) = summary(pipeline.placement(placement.clone()));
                assert_eq!(summary.frames.captured, 8);
                assert_eq!(ended.failure.is_some(), panics);
                assert_eq!(ended.damage.count, u64::from(!panics));
                assert_eq!(summary.frames.results, 8, "what was captured is worked on");
            }
        }
    });
}

#[test]
fn notices_are_said_once_and_before_the_first_result() {
    with_watchdog(|| {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let bundle = tiny();
        let mut source = Scripted::new(10);
        source.nominal(bundle.manifest().frame_interval_ns * 3);
        let gates = Gates::open(&bundle, ExitPolicy::Gates).expect("gates");
        let ear = heard.clone();
        let at_result = heard.clone();
        let sink = move |_: &FrameResult| {
            assert_eq!(at_result.lock().expect("no panic").len(), 1);
            true
        };
        let finished = Pipeline::new(
            Box::new(source),
            Box::new(CpuEngine::new()),
            bundle,
            gates,
            sink,
        )
        .on_notice(move |sentence| ear.lock().expect("no panic").push(sentence.to_owned()))
        .run(&Stop::new())
        .expect("a run");
        let heard = heard.lock().expect("no panic");
        assert_eq!(*heard, finished.notices);
        assert!(heard[0].contains("expect lower accuracy"), "{heard:?}");
    });
}

#[test]
fn a_frame_whose_features_are_no_numbers_is_dropped_and_not_answered() {
    with_watchdog(|| {
        for placement in placements() {
            let poisons: Hook = Arc::new(|segment, run| match (segment, run % 5) {
                (0, 3) => Action::Poison,
                _ => Action::Run,
            });
            let pipeline = pipeline(scripted(), poisons, None).placement(placement);
            let (summary, ended) = summary(pipeline);
            let lost = summary.frames.dropped[DropReason::EngineFailed.name()];
            assert_eq!((summary.frames.results, lost), (40, 10));
            assert!(ended.notices[0].contains("not a number"));
        }
    });
}

#[test]
fn the_first_engine_failure_is_said_when_it_happens() {
    with_watchdog(|| {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let ear = heard.clone();
        let fails: Hook = Arc::new(|segment, run| match (segment, run % 5) {
            (0, 3) => Action::FailEnqueue,
            _ => Action::Run,
        });
        let pipeline = pipeline(scripted(), fails, None)
            .on_notice(move |sentence| ear.lock().expect("no panic").push(sentence.to_owned()));
        let (summary, _) = summary(pipeline);
        assert_eq!(summary.frames.dropped[DropReason::EngineFailed.name()], 10);
        let heard = heard.lock().expect("no panic");
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert!(heard[0].contains("made to fail"), "{heard:?}");
    });
}
