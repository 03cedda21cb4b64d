//! Another engine's segments behind worker threads: an asynchronous engine
//! without a device.
//!
//! Each segment gets a thread of its own that runs while the caller does
//! something else. Buffers are [`Buffer::Device`]: their memory belongs to the
//! inner engine and is reached from the host by copies only, as on a GPU without
//! shared memory. That makes it the engine on which everything written against
//! the asynchronous half of the seam is tried where there is no GPU; on a
//! machine with idle cores it is also a real one.
//!
//! Cost: two channel hand-offs a run, each with a futex wake-up (tens of
//! microseconds when the other side sleeps). A run allocates nothing here. It
//! makes no promise about which core the threads are on.

use super::{
    Buffer, DeviceBuffer, Engine, EngineError, IoLengths, RunError, Segment, SegmentIo,
    bundle::Bundle, segment_spec,
};
use std::any::Any;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Runs the segments of engine `E` on worker threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offload<E> {
    inner: E,
    delay: Duration,
}

impl<E: Engine> Offload<E> {
    /// Puts `inner` behind worker threads.
    #[must_use]
    pub fn new(inner: E) -> Self {
        Self::delayed(inner, Duration::ZERO)
    }

    /// The same, each run taking `delay` longer: a slow device.
    #[must_use]
    pub fn delayed(inner: E, delay: Duration) -> Self {
        Self { inner, delay }
    }
}

impl<E: Engine> Engine for Offload<E> {
    fn name(&self) -> &'static str {
        "offload"
    }

    fn is_asynchronous(&self) -> bool {
        true
    }

    fn buffer(&self, len: usize) -> Result<Buffer, EngineError> {
        let memory = self.inner.buffer(len)?;
        Ok(Buffer::Device(Box::new(RemoteBuffer { memory })))
    }

    fn load(&self, bundle: &Bundle, index: usize) -> Result<Box<dyn Segment>, EngineError> {
        let lengths = IoLengths::of(segment_spec(bundle, index)?);
        let inner = self.inner.load(bundle, index)?;
        let (jobs, from_host) = sync_channel(1);
        let (to_host, results) = sync_channel(1);
        let delay = self.delay;
        let worker = std::thread::Builder::new()
            .name(format!("e4-offload-{index}"))
            .spawn(move || serve(inner, delay, &from_host, &to_host))
            .map_err(|error| EngineError::Run {
                segment: index,
                reason: format!("its thread does not start: {error}"),
            })?;
        Ok(Box::new(OffloadSegment {
            index,
            lengths,
            jobs: Some(jobs),
            results,
            shells: None,
            worker: Some(worker),
        }))
    }
}

type RunResult = Result<SegmentIo, RunError>;

/// The worker: runs jobs until the caller's side hangs up.
fn serve(
    mut segment: Box<dyn Segment>,
    delay: Duration,
    jobs: &Receiver<SegmentIo>,
    results: &SyncSender<RunResult>,
) {
    while let Ok(io) = jobs.recv() {
        let result = segment.enqueue(io).and_then(|()| segment.wait());
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        if results.send(result).is_err() {
            return;
        }
    }
}

/// Memory on the far side.
#[derive(Debug)]
struct RemoteBuffer {
    memory: Buffer,
}

impl DeviceBuffer for RemoteBuffer {
    fn len(&self) -> usize {
        self.memory.len()
    }

    fn read(&self, host: &mut [f32]) -> Result<(), EngineError> {
        self.memory.read_into(host)
    }

    fn write(&mut self, host: &[f32]) -> Result<(), EngineError> {
        self.memory.write_from(host)
    }
}

/// The memory behind `buffer`, if it is one of this engine's.
fn memory(buffer: &mut Buffer) -> Option<&mut Buffer> {
    let Buffer::Device(device) = buffer else {
        return None;
    };
    let any: &mut dyn Any = device.as_mut();
    any.downcast_mut()
        .map(|remote: &mut RemoteBuffer| &mut remote.memory)
}

/// Exchanges the memory behind `shells` with the buffers in `io`, boxes staying
/// where they are. False, and nothing exchanged, when a shell is not ours.
fn exchange(shells: &mut SegmentIo, io: &mut SegmentIo) -> bool {
    let output = match (&mut shells.output, &mut io.output) {
        (Some(shell), Some(buffer)) => match memory(shell) {
            Some(memory) => Some((memory, buffer)),
            None => return false,
        },
        _ => None,
    };
    let (Some(input), Some(pooled)) = (memory(&mut shells.input), memory(&mut shells.pooled))
    else {
        return false;
    };
    std::mem::swap(input, &mut io.input);
    std::mem::swap(pooled, &mut io.pooled);
    if let Some((memory, buffer)) = output {
        std::mem::swap(memory, buffer);
    }
    true
}

/// The caller's end of a worker.
#[derive(Debug)]
struct OffloadSegment {
    index: usize,
    lengths: IoLengths,
    /// `None` once dropped, which ends the worker.
    jobs: Option<SyncSender<SegmentIo>>,
    results: Receiver<RunResult>,
    /// The caller's buffers, emptied, while their memory is with the worker.
    shells: Option<SegmentIo>,
    worker: Option<JoinHandle<()>>,
}

impl Segment for OffloadSegment {
    fn enqueue(&mut self, mut io: SegmentIo) -> Result<(), RunError> {
        if self.shells.is_some() {
            return Err(RunError::new(
                self.index,
                "a run is under way already",
                Some(io),
            ));
        }
        if let Some(reason) = self.lengths.misfit(&io) {
            return Err(RunError::new(self.index, reason, Some(io)));
        }
        let empty = || Buffer::Host(Vec::new());
        let mut job = SegmentIo {
            input: empty(),
            output: io.output.as_ref().map(|_| empty()),
            pooled: empty(),
        };
        if !exchange(&mut io, &mut job) {
            let reason = "the buffers are not this engine's";
            return Err(RunError::new(self.index, reason, Some(io)));
        }
        let sent = match &self.jobs {
            Some(jobs) => jobs.send(job).map_err(|refused| refused.0),
            None => Err(job),
        };
        if let Err(mut job) = sent {
            exchange(&mut io, &mut job);
            return Err(RunError::new(self.index, "its worker has ended", Some(io)));
        }
        self.shells = Some(io);
        Ok(())
    }

    fn wait(&mut self) -> Result<SegmentIo, RunError> {
        let Some(mut shells) = self.shells.take() else {
            return Err(RunError::new(self.index, "no run is under way", None));
        };
        match self.results.recv() {
            Ok(Ok(mut io)) => {
                exchange(&mut shells, &mut io);
                Ok(shells)
            }
            Ok(Err(RunError { error, io })) => Err(RunError {
                error,
                io: io.map(|mut io| {
                    exchange(&mut shells, &mut io);
                    shells
                }),
            }),
            Err(_) => Err(RunError::new(self.index, "its worker has ended", None)),
        }
    }
}

impl Drop for OffloadSegment {
    /// Ends the worker; a run under way is waited for.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has nothing left to report to.
            let _ = worker.join();
        }
    }
}
