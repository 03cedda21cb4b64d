//! Parts of a pipeline that tests build by hand.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails by unwrapping, and its numbers are small"
)]

pub mod watchdog;

use e4::engine::bundle::Bundle;
use e4::engine::{Buffer, Engine, EngineError, RunError, Segment, SegmentIo};
use e4::monotonic::now_ns;
use e4::pipeline::{Finished, Pipeline, PipelineError, Placement, ResultSink, Stage, Stop};
use e4::source::{FrameSource, Next, SourceError, SourceInfo};
use e4::tensor::{PixelFormat, Slot, SlotPool};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A folder or file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The bundle that fast tests use.
pub fn tiny() -> Bundle {
    Bundle::open(repository("engines/tiny-e2")).expect("engines/tiny-e2 is part of the repository")
}

/// Every way to cut the chain of stages into threads.
pub fn placements() -> Vec<Placement> {
    use Stage::{Capture, Gate, Infer, Sink};
    let cuts: [&[&[Stage]]; 8] = [
        &[&[Capture, Infer, Gate, Sink]],
        &[&[Capture], &[Infer, Gate, Sink]],
        &[&[Capture, Infer], &[Gate, Sink]],
        &[&[Capture, Infer, Gate], &[Sink]],
        &[&[Capture], &[Infer], &[Gate, Sink]],
        &[&[Capture], &[Infer, Gate], &[Sink]],
        &[&[Capture, Infer], &[Gate], &[Sink]],
        &[&[Capture], &[Infer], &[Gate], &[Sink]],
    ];
    cuts.iter()
        .map(|groups| Placement::unpinned(groups).expect("a placement"))
        .collect()
}

/// Runs under a watchdog.
pub trait Watched<S> {
    fn run_watched(self, stop: &Stop) -> Result<Finished<S>, PipelineError>;
}

impl<S: ResultSink + 'static> Watched<S> for Pipeline<S> {
    fn run_watched(self, stop: &Stop) -> Result<Finished<S>, PipelineError> {
        let stop = stop.clone();
        watchdog::finished(move || self.run(&stop))
    }
}

/// A source of moving grey gradients: `frames` of them, `period_ns` apart in
/// time when `paced`.
#[derive(Debug)]
pub struct Scripted {
    info: SourceInfo,
    pub frames: u64,
    pub clip_frames: u64,
    pub period_ns: u64,
    pub paced: bool,
    next: u64,
    started_ns: u64,
    free: Vec<Slot>,
    /// When each frame was captured.
    pub log: Arc<Mutex<Vec<u64>>>,
}

impl Scripted {
    pub fn new(frames: u64) -> Self {
        Self {
            info: SourceInfo {
                name: "scripted".into(),
                live: false,
                frame_interval_ns: None,
                labels: Vec::new(),
            },
            frames,
            clip_frames: u64::MAX,
            period_ns: 100_000_000,
            paced: false,
            next: 0,
            started_ns: 0,
            free: Vec::new(),
            log: Arc::default(),
        }
    }

    pub fn live(mut self, period_ns: u64) -> Self {
        self.info.live = true;
        self.paced = true;
        self.period_ns = period_ns;
        self
    }

    /// Says that its frames are so far apart, and has them so.
    pub fn nominal(&mut self, period_ns: u64) {
        self.info.frame_interval_ns = Some(period_ns);
        self.period_ns = period_ns;
    }

    pub fn clips_of(mut self, frames: u64) -> Self {
        self.clip_frames = frames;
        self
    }

    fn fill(&mut self, slot: &mut Slot, number: u64) {
        const SIDE: u32 = 40;
        slot.data.clear();
        slot.data.extend((0..SIDE * SIDE).map(|i| {
            let shade = u64::from(i % SIDE) * 5 + u64::from(i / SIDE) * 3 + number * 7;
            (shade % 256) as u8
        }));
        slot.meta.sequence = number;
        slot.meta.timestamp_ns = number * self.period_ns;
        slot.meta.captured_ns = now_ns();
        (slot.meta.width, slot.meta.height) = (SIDE, SIDE);
        slot.meta.format = PixelFormat::Gray8;
        slot.meta.clip = u32::try_from(number / self.clip_frames).expect("few clips");
    }
}

impl FrameSource for Scripted {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn start(&mut self, slots: usize, _wanted: &dyn Fn() -> bool) -> Result<(), SourceError> {
        self.free = SlotPool::new(slots, 40 * 40).1;
        self.started_ns = now_ns();
        self.log
            .lock()
            .unwrap()
            .reserve(usize::try_from(self.frames).unwrap_or(0).min(100_000));
        Ok(())
    }

    fn next(&mut self, deadline_ns: u64) -> Result<Next, SourceError> {
        if self.next == self.frames {
            return Ok(Next::End);
        }
        if self.paced {
            let due_ns = self.started_ns + self.next * self.period_ns;
            let until_ns = due_ns.min(deadline_ns);
            std::thread::sleep(Duration::from_nanos(until_ns.saturating_sub(now_ns())));
            if until_ns < due_ns {
                return Ok(Next::Idle);
            }
        }
        let Some(mut slot) = self.free.pop() else {
            return Ok(Next::Starved);
        };
        let number = self.next;
        self.next += 1;
        self.fill(&mut slot, number);
        self.log.lock().unwrap().push(slot.meta.captured_ns);
        Ok(Next::Frame(slot))
    }

    fn release(&mut self, slot: Slot) {
        self.free.push(slot);
    }
}

/// Called at the start of each run: segment index, run count of that segment.
pub type Hook = Arc<dyn Fn(usize, u64) -> Action + Send + Sync>;

/// What a hooked engine does with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Run,
    Sleep(Duration),
    FailEnqueue,
    FailWait,
    Panic,
    /// What comes out is not a number.
    Poison,
}

/// An engine around another one, with a say in each run.
pub struct Hooked<E> {
    pub inner: E,
    pub hook: Hook,
}

impl<E> std::fmt::Debug for Hooked<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooked")
    }
}

impl<E: Engine> Engine for Hooked<E> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn is_asynchronous(&self) -> bool {
        self.inner.is_asynchronous()
    }

    fn buffer(&self, len: usize) -> Result<Buffer, EngineError> {
        self.inner.buffer(len)
    }

    fn load(&self, bundle: &Bundle, index: usize) -> Result<Box<dyn Segment>, EngineError> {
        let inner = self.inner.load(bundle, index)?;
        let hook = self.hook.clone();
        Ok(Box::new(HookedSegment {
            inner,
            hook,
            index,
            runs: 0,
            fail_wait: false,
            poison: false,
        }))
    }
}

struct HookedSegment {
    inner: Box<dyn Segment>,
    hook: Hook,
    index: usize,
    runs: u64,
    fail_wait: bool,
    poison: bool,
}

impl std::fmt::Debug for HookedSegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookedSegment")
    }
}

impl HookedSegment {
    fn failure(&self, io: Option<SegmentIo>) -> RunError {
        let error = EngineError::Run {
            segment: self.index,
            reason: "made to fail".into(),
        };
        RunError { error, io }
    }
}

impl Segment for HookedSegment {
    fn enqueue(&mut self, io: SegmentIo) -> Result<(), RunError> {
        let action = (self.hook)(self.index, self.runs);
        self.runs += 1;
        self.fail_wait = action == Action::FailWait;
        self.poison = action == Action::Poison;
        match action {
            Action::Sleep(time) => std::thread::sleep(time),
            Action::FailEnqueue => return Err(self.failure(Some(io))),
            Action::Panic => panic!("made to panic"),
            Action::Run | Action::FailWait | Action::Poison => {}
        }
        self.inner.enqueue(io)
    }

    fn wait(&mut self) -> Result<SegmentIo, RunError> {
        let mut io = self.inner.wait()?;
        if self.poison
            && let Some(pooled) = io.pooled.as_host_mut()
        {
            pooled.fill(f32::NAN);
        }
        if std::mem::take(&mut self.fail_wait) {
            // A lost device takes the buffers along.
            return Err(self.failure(None));
        }
        Ok(io)
    }
}

/// Rights that a test takes from the program it runs, where it has them itself.
pub mod rights {
    /// A capability's number and the limit that stands in for it.
    #[derive(Clone, Copy, Debug)]
    pub struct Right {
        pub capability: libc::c_ulong,
        pub limit: nix::sys::resource::Resource,
    }

    /// `CAP_SYS_NICE`, or an rtprio limit.
    pub const SYS_NICE: Right = Right {
        capability: 23,
        limit: nix::sys::resource::Resource::RLIMIT_RTPRIO,
    };
    /// `CAP_IPC_LOCK`, or a memlock limit.
    pub const IPC_LOCK: Right = Right {
        capability: 14,
        limit: nix::sys::resource::Resource::RLIMIT_MEMLOCK,
    };
}

/// `program`, which is to run without `lost`.
pub fn without(lost: &[rights::Right], program: &str) -> std::process::Command {
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new(program);
    command.stdin(std::process::Stdio::null());
    let lost = lost.to_vec();
    let give_up = move || {
        for right in &lost {
            nix::sys::resource::setrlimit(right.limit, 0, 0)?;
            // SAFETY: this prctl takes integers. It is refused to whoever cannot
            // have the capability anyway.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, right.capability) };
        }
        Ok(())
    };
    // SAFETY: between fork and exec, `give_up` makes system calls and nothing else.
    unsafe { command.pre_exec(give_up) };
    command
}
