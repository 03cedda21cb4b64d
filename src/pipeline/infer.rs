//! The infer stage: makes the input tensor, runs segment after segment, and
//! asks the gate after each.
//!
//! With an asynchronous engine and `speculate`, the next segment is enqueued
//! while the gate thinks; work done in vain is waited for before its buffers
//! are used again.

use super::dvfs::Teller;
use super::gate::{COUNTED, Feature, FrameHeader, GateStage, Outcome, Verdict};
use super::hop::{HopRx, HopTx, Received};
use super::notices::Notices;
use super::run::{PipelineError, ResultSink};
use super::stop::Heartbeat;
use super::threads::Part;
use super::wait::{Until, Waiter};
use crate::dvfs::EventKind;
use crate::engine::bundle::Bundle;
use crate::engine::bundle::elements;
use crate::engine::{Buffer, Engine, EngineError, RunError, Segment, SegmentIo};
use crate::monotonic::now_ns;
use crate::telemetry::{DropCounters, DropReason};
use crate::tensor::Frame;
use crate::tensor::convert::{Converter, Resize};
use std::sync::Arc;

/// The gate, on this thread or another.
#[derive(Debug)]
pub(super) enum Judge<S> {
    /// On this thread: the verdict is there at once.
    Local {
        gate: Box<GateStage<S>>,
        verdict: Option<Verdict>,
    },
    /// On another thread.
    Remote {
        features: HopTx<Feature>,
        verdicts: HopRx<Verdict>,
    },
}

impl<S: ResultSink> Judge<S> {
    fn submit(&mut self, feature: Feature) -> Result<(), PipelineError> {
        match self {
            Self::Local { gate, verdict } => {
                let outcome = gate.judge(&feature);
                *verdict = Some(Verdict {
                    outcome,
                    first_gate: gate.first_gate(),
                    pooled: feature.pooled,
                });
                Ok(())
            }
            Self::Remote { features, .. } => {
                // The ring holds more than the one feature that may be under way.
                features
                    .try_send(feature)
                    .map_err(|_| PipelineError::StageGone("gate"))
            }
        }
    }

    fn verdict(&mut self, waiter: &mut Waiter) -> Result<Verdict, PipelineError> {
        match self {
            Self::Local { verdict, .. } => verdict.take().ok_or(PipelineError::StageGone("gate")),
            Self::Remote { verdicts, .. } => {
                // A gate is quick: it is worth polling for from now on.
                let until = Until::FOREVER.expecting(Some(now_ns()));
                match verdicts.recv(waiter, until) {
                    Received::Item(verdict) => Ok(verdict),
                    Received::TimedOut | Received::Closed => Err(PipelineError::StageGone("gate")),
                }
            }
        }
    }

    /// The frame has left; a remote gate delivers its result by itself.
    fn deliver(&mut self, waiter: &mut Waiter) {
        if let Self::Local { gate, .. } = self {
            gate.deliver(waiter);
            gate.settle();
        }
    }
}

/// One exit point's segment with the buffers that are free to use.
#[derive(Debug)]
struct Stage {
    segment: Box<dyn Segment>,
    input_len: usize,
    pooled: Option<Buffer>,
    /// Where a device's pooled feature is read to; unused on the host.
    host: Vec<f32>,
    pooled_len: usize,
}

/// The stage and everything it owns.
#[derive(Debug)]
pub(super) struct Infer<S> {
    engine: Box<dyn Engine>,
    converter: Converter,
    image: Vec<f32>,
    stages: Vec<Stage>,
    /// `maps[k]` is the input of segment `k`.
    maps: Vec<Option<Buffer>>,
    pub judge: Judge<S>,
    speculate: bool,
    drops: Arc<DropCounters>,
    heartbeat: Heartbeat,
    /// The first engine failure, and how many frames were lost to such.
    pub failures: (Option<EngineError>, u64),
    notices: Notices,
    /// Who sets the clocks.
    pub teller: Option<Teller>,
}

impl<S: ResultSink> Infer<S> {
    /// Loads every segment of `bundle` and makes its buffers.
    pub fn new(
        engine: Box<dyn Engine>,
        bundle: &Bundle,
        (speculate, resize): (bool, Resize),
        judge: Judge<S>,
        drops: Arc<DropCounters>,
        heartbeat: Heartbeat,
        notices: Notices,
    ) -> Result<Self, PipelineError> {
        let manifest = bundle.manifest();
        let mut stages = Vec::with_capacity(manifest.segments.len());
        let mut maps = Vec::with_capacity(manifest.segments.len());
        for (index, spec) in manifest.segments.iter().enumerate() {
            let pooled_len = elements(&spec.pooled);
            stages.push(Stage {
                segment: engine.load(bundle, index)?,
                input_len: elements(&spec.input),
                pooled: Some(engine.buffer(pooled_len)?),
                host: vec![0.0; pooled_len],
                pooled_len,
            });
            maps.push(Some(engine.buffer(elements(&spec.input))?));
        }
        let image = vec![0.0; stages.first().map_or(0, |s| s.input_len)];
        let speculate = speculate && engine.is_asynchronous();
        let converter = Converter::new(&manifest.input).resize(resize);
        let failures = (None, 0);
        Ok(Self {
            engine,
            converter,
            image,
            stages,
            maps,
            judge,
            speculate,
            drops,
            heartbeat,
            failures,
            notices,
            teller: None,
        })
    }

    /// Makes the input tensor of `frame`. False when the frame cannot be used;
    /// it is then counted.
    pub fn load(&mut self, frame: &Frame, header: &mut FrameHeader) -> bool {
        self.heartbeat.busy();
        let started_ns = now_ns();
        let loaded = self.fill_input(frame);
        header.tensor_ns = now_ns() - started_ns;
        match loaded {
            Ok(true) => return true,
            Ok(false) => self.drops.drop_frame(DropReason::Undecodable),
            Err(error) => self.engine_failed(header.frame, error),
        }
        self.heartbeat.idle();
        false
    }

    /// Walks the way to the first segment with an empty frame, which is refused at
    /// its end: caches and translations are warm for the real one.
    pub fn rehearse(&mut self) {
        self.heartbeat.busy();
        // What a buffer made anew may fail on, the next frame reports.
        let _refused = self.fill_input(&Frame::default());
        self.heartbeat.idle();
    }

    #[inline(never)]
    fn fill_input(&mut self, frame: &Frame) -> Result<bool, EngineError> {
        let mut input = self.take_map(0)?;
        let filled = match input.as_host_mut() {
            Some(host) => self.converter.convert(frame, host).is_ok(),
            None => {
                let converted = self.converter.convert(frame, &mut self.image).is_ok();
                if converted {
                    input.write_from(&self.image)?;
                }
                converted
            }
        };
        self.maps[0] = Some(input);
        Ok(filled)
    }

    /// Runs the loaded frame until it leaves.
    ///
    /// # Errors
    /// When the gate's thread has gone; an engine failure is counted instead.
    pub fn run(&mut self, header: FrameHeader, waiter: &mut Waiter) -> Result<(), PipelineError> {
        let outcome = self.run_segments(header, waiter);
        self.heartbeat.idle();
        match outcome {
            Err(PipelineError::Engine(error)) => {
                self.engine_failed(header.frame, error);
                self.tell(&header, EventKind::Dropped);
                Ok(())
            }
            other => other,
        }
    }

    fn run_segments(
        &mut self,
        header: FrameHeader,
        waiter: &mut Waiter,
    ) -> Result<(), PipelineError> {
        let mut started_ns = now_ns();
        self.enqueue(0)?;
        self.tell_started(&header, 0, started_ns);
        for index in 0..self.stages.len() {
            let pooled = self.collect(index)?;
            let finished_ns = now_ns();
            let segment_ns = finished_ns - started_ns;
            let exit = u8::try_from(index).unwrap_or(u8::MAX);
            self.judge.submit(Feature {
                header,
                exit,
                started_ns,
                segment_ns,
                pooled,
            })?;
            let next = index + 1 < self.stages.len();
            let ahead = (self.speculate && next).then(|| {
                started_ns = now_ns();
                let enqueued = self.enqueue(index + 1);
                self.tell_started(&header, index + 1, started_ns);
                enqueued
            });
            let verdict = self.judge.verdict(waiter)?;
            self.give_back(index, verdict.pooled);
            match (verdict.outcome, ahead) {
                (Outcome::GoOn, Some(enqueued)) => {
                    enqueued?;
                    continue;
                }
                (Outcome::GoOn, None) if next => {
                    started_ns = now_ns();
                    self.enqueue(index + 1)?;
                    self.tell_started(&header, index + 1, started_ns);
                    continue;
                }
                (Outcome::Leave, ahead) => {
                    self.judge.deliver(waiter);
                    let first_gate = verdict.first_gate;
                    self.tell(&header, EventKind::Left { exit, first_gate });
                    self.abandon(index + 1, ahead);
                }
                // Nothing follows the last exit: a gate that asks for more has failed.
                (Outcome::Failed | Outcome::GoOn, ahead) => {
                    self.drops.drop_frame(DropReason::EngineFailed);
                    self.failures.1 += 1;
                    self.tell(&header, EventKind::Dropped);
                    self.abandon(index + 1, ahead);
                }
            }
            return Ok(());
        }
        Ok(())
    }

    /// Tells who sets the clocks, if anybody does.
    fn tell(&mut self, header: &FrameHeader, kind: EventKind) {
        if let Some(teller) = &mut self.teller {
            teller.tell(header.frame, now_ns(), kind);
        }
    }

    fn tell_started(&mut self, header: &FrameHeader, index: usize, at_ns: u64) {
        if let Some(teller) = &mut self.teller {
            let kind = EventKind::Started {
                segment: u8::try_from(index).unwrap_or(u8::MAX),
                sample: header.sample,
                captured_ns: header.captured_ns,
            };
            teller.tell(header.frame, at_ns, kind);
        }
    }

    /// Ends the run that was started ahead of a verdict which made it needless:
    /// what it computed, or that it failed, is of no consequence for any frame.
    fn abandon(&mut self, index: usize, ahead: Option<Result<(), EngineError>>) {
        let ended = match ahead {
            None => return,
            Some(Ok(())) => self.collect(index),
            Some(Err(error)) => Err(error),
        };
        if let Ok(unused) = ended {
            self.give_back(index, unused);
        }
    }

    fn enqueue(&mut self, index: usize) -> Result<(), EngineError> {
        let input = self.take_map(index)?;
        let output = if index + 1 < self.stages.len() {
            Some(self.take_map(index + 1)?)
        } else {
            None
        };
        let stage = &mut self.stages[index];
        let pooled = match stage.pooled.take() {
            Some(buffer) => buffer,
            None => self.engine.buffer(stage.pooled_len)?,
        };
        let started = stage.segment.enqueue(SegmentIo {
            input,
            output,
            pooled,
        });
        started.map_err(|failed| self.reclaim(index, failed))
    }

    /// Waits for a segment; its pooled feature in host memory.
    fn collect(&mut self, index: usize) -> Result<Vec<f32>, EngineError> {
        let ended = self.stages[index].segment.wait();
        let io = ended.map_err(|failed| self.reclaim(index, failed))?;
        let pooled = self.store(index, io);
        match pooled {
            Buffer::Host(pooled) => Ok(pooled),
            device @ Buffer::Device(_) => {
                let stage = &mut self.stages[index];
                let mut host = std::mem::take(&mut stage.host);
                let read = device.read_into(&mut host);
                stage.pooled = Some(device);
                match read {
                    Ok(()) => Ok(host),
                    Err(error) => {
                        stage.host = host;
                        Err(error)
                    }
                }
            }
        }
    }

    /// Puts the maps of a run back; the pooled feature is for the gate.
    fn store(&mut self, index: usize, io: SegmentIo) -> Buffer {
        self.maps[index] = Some(io.input);
        if let Some(output) = io.output {
            self.maps[index + 1] = Some(output);
        }
        io.pooled
    }

    /// Puts the buffers of a failed run back; those of a lost device are made
    /// anew when they are needed.
    fn reclaim(&mut self, index: usize, failed: RunError) -> EngineError {
        if let Some(io) = failed.io {
            let pooled = self.store(index, io);
            self.stages[index].pooled = Some(pooled);
        }
        failed.error
    }

    /// The gate is done with a pooled feature.
    fn give_back(&mut self, index: usize, pooled: Vec<f32>) {
        let stage = &mut self.stages[index];
        if stage.pooled.is_some() {
            stage.host = pooled;
        } else {
            stage.pooled = Some(Buffer::Host(pooled));
        }
    }

    /// The input buffer of a segment; a new one where a failed run lost it.
    fn take_map(&mut self, index: usize) -> Result<Buffer, EngineError> {
        match self.maps[index].take() {
            Some(buffer) => Ok(buffer),
            None => self.engine.buffer(self.stages[index].input_len),
        }
    }

    /// A frame will not be inferred on.
    pub fn drop_frame(&self, reason: DropReason) {
        self.drops.drop_frame(reason);
    }

    /// What the stage leaves behind, with what a gate on this thread does.
    pub fn finish(self) -> Part<S> {
        let gate = match self.judge {
            Judge::Local { gate, .. } => gate.finish(),
            Judge::Remote { .. } => Part::default(),
        };
        Part {
            engine_failures: Some(self.failures),
            ..gate
        }
    }

    fn engine_failed(&mut self, frame: u64, error: EngineError) {
        self.drops.drop_frame(DropReason::EngineFailed);
        self.failures.1 += 1;
        if self.failures.0.is_none() {
            let sentence = format!("frame {frame}: {error}; {COUNTED}");
            self.notices.say(sentence);
            self.failures.0 = Some(error);
        }
    }
}
