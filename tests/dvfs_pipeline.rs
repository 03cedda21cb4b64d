//! The dvfs thread in a pipeline: what it allocates, and that the clocks come back
//! whatever stage panics. The kernel's tree is one of plain files.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/allocations.rs"]
mod allocations;
mod support;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "support/tree.rs"]
mod tree;

use e4::clocks::{Guard, Place, Tree, discover};
use e4::dvfs::{Clocks, Counters, StagePlan, tables};
use e4::engine::cpu::CpuEngine;
use e4::gates::{ExitPolicy, Gates};
use e4::pipeline::{Dvfs, DvfsTask, Pipeline, PipelineError, Placement, Stop};
use e4::plan::file::PlanFile;
use e4::source::{FrameSource, Next, SourceError, SourceInfo};
use e4::telemetry::FrameResult;
use e4::tensor::Slot;
use std::sync::Arc;
use support::{Action, Hooked, Scripted, Watched, tiny};
use tree::FakeTree;

/// Up for the second segment, idle between frames.
fn plan_text(first: u32) -> String {
    format!(
        r#"
format = "e4.plan/1"
board = "orin-nano"
bundle = "tiny-e2"
bundle_sha256 = "{}"
source = "simulated"
objective = "energy"
deadline_ms = 33.3
[idle]
cpu_khz = 729600
gpu_khz = 306000
emc_khz = 204000
[[beliefs]]
exit_share = [0.5, 0.5]
next = [0.5, 0.5]
segments = [
    {{ cpu_khz = {first}, gpu_khz = 408000, emc_khz = 665600 }},
    {{ cpu_khz = 1984000, gpu_khz = 624750, emc_khz = 2133000 }},
]
[[beliefs]]
exit_share = [0.1, 0.9]
next = [0.5, 0.5]
segments = [
    {{ cpu_khz = {first}, gpu_khz = 408000, emc_khz = 665600, ahead = false }},
    {{ cpu_khz = 1510400, gpu_khz = 612000, emc_khz = 665600, ahead = false }},
]
"#,
        tiny().digest()
    )
}

fn stage_plan(clocks: &Clocks, first: u32) -> Box<StagePlan> {
    let file = PlanFile::parse(plan_text(first).as_bytes()).unwrap();
    let plan = StagePlan::new(&file, tiny().digest(), 2, &tables(clocks)).unwrap();
    Box::new(plan)
}

fn dvfs(board: &FakeTree) -> (Dvfs, Box<StagePlan>) {
    let place = Place {
        runtime_dir: board.runtime_dir(),
        tree: Tree::new(board.root()),
    };
    let mut clocks = Clocks::new(discover(&place.tree).domains);
    let guard = clocks
        .guarded(|domains| Guard::claim(&place, domains))
        .unwrap();
    let plan = stage_plan(&clocks, 1_113_600);
    let next = stage_plan(&clocks, 1_510_400);
    let task = DvfsTask::Plan(plan, Box::default());
    (Dvfs::new(Box::new(clocks), task, Some(guard)), next)
}

/// Allocations so far of the thread named `e4-dvfs`.
fn of_dvfs() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let named = |task: &std::fs::DirEntry| {
        let name = std::fs::read_to_string(task.path().join("comm"));
        name.is_ok_and(|name| name.trim() == "e4-dvfs")
    };
    let thread = tasks.filter(named).last().expect("it runs");
    let id = thread.file_name().to_string_lossy().parse().unwrap();
    allocations::of_thread(id)
}

#[test]
fn after_its_start_the_dvfs_thread_allocates_nothing() {
    let board = FakeTree::board();
    let before = board.files();
    let (mut dvfs, next) = dvfs(&board);
    let mut port = dvfs.port().unwrap();
    assert!(dvfs.port().is_none(), "there is one");
    let counters: Arc<Counters> = dvfs.counters();
    let mut next = Some(next);
    let (mut results, mut first) = (0, 0);
    let seen = Arc::new(std::sync::Mutex::new(0));
    let allocated = seen.clone();
    let sink = move |result: &FrameResult| {
        results += 1;
        assert!(result.clocks.is_some());
        match results {
            30 => first = of_dvfs(),
            60 => assert!(port.put(next.take().unwrap()).is_none()),
            300 => *allocated.lock().unwrap() = of_dvfs() - first,
            _ => {}
        }
        results < 300
    };
    let source = Scripted::new(u64::MAX).live(10_000_000);
    let bundle = tiny();
    let gates = Gates::open(&bundle, ExitPolicy::Gates).unwrap();
    let finished = Pipeline::new(
        Box::new(source),
        Box::new(CpuEngine::new()),
        bundle,
        gates,
        sink,
    )
    .placement(Placement::fused())
    .sample(false)
    .dvfs(Some(dvfs))
    .run_watched(&Stop::new())
    .unwrap();
    let summary = counters.summary("plan");
    println!("{summary:?}");
    assert!(finished.drops.captured() >= 300);
    assert_eq!(*seen.lock().unwrap(), 0, "{summary:?}");
    assert_eq!(summary.plans_taken, 1);
    assert!(summary.staged > 0, "{summary:?}");
    assert_eq!(board.files(), before);
}

/// A source that panics at its tenth frame.
#[derive(Debug)]
struct Panicking(Scripted, u32);

impl FrameSource for Panicking {
    fn info(&self) -> &SourceInfo {
        self.0.info()
    }
    fn start(&mut self, slots: usize, wanted: &dyn Fn() -> bool) -> Result<(), SourceError> {
        self.0.start(slots, wanted)
    }
    fn next(&mut self, deadline_ns: u64) -> Result<Next, SourceError> {
        self.1 += 1;
        assert!(self.1 < 10, "made to panic");
        self.0.next(deadline_ns)
    }
    fn release(&mut self, slot: Slot) {
        self.0.release(slot);
    }
}

#[test]
fn a_panic_in_a_stage_gives_the_clocks_back() {
    for stage in ["capture", "infer", "gate", "sink"] {
        for placement in support::placements().into_iter().step_by(7) {
            let board = FakeTree::board();
            let before = board.files();
            let (dvfs, _) = dvfs(&board);
            let scripted = || Scripted::new(40).live(5_000_000);
            let source: Box<dyn FrameSource> = match stage {
                "capture" => Box::new(Panicking(scripted(), 0)),
                _ => Box::new(scripted()),
            };
            let hook = move |_: usize, run: u64| match (stage, run) {
                ("infer", 10) => Action::Panic,
                ("gate", 10) => Action::Poison,
                _ => Action::Run,
            };
            let engine = Hooked {
                inner: CpuEngine::new(),
                hook: Arc::new(hook),
            };
            let mut results = 0;
            let sink = move |_: &FrameResult| {
                results += 1;
                assert!(stage != "sink" || results < 10, "made to panic");
                true
            };
            let bundle = tiny();
            let gates = Gates::open(&bundle, ExitPolicy::Gates).unwrap();
            let ended = Pipeline::new(source, Box::new(engine), bundle, gates, sink)
                .placement(placement)
                .sample(false)
                .dvfs(Some(dvfs))
                // The gate is what finds out, and says it on its own thread.
                .on_notice(|said| assert!(!said.contains("not a number"), "made to panic"))
                .run_watched(&Stop::new());
            assert!(
                matches!(ended, Err(PipelineError::Panicked(_))),
                "{stage}: {:?}",
                ended.err()
            );
            assert_eq!(board.files(), before, "{stage}");
        }
    }
}
