//! The capture stage: owns the source, numbers the frames, samples them to the
//! bundle's interval, and counts what it passes over.

use super::notices::Notices;
use super::sampler::Sampler;
use super::stop::{Heartbeat, Stop};
use super::threads::SourcePart;
use crate::source::{FrameSource, Next, SourceError};
use crate::telemetry::{DropCounters, DropReason};
use crate::tensor::Slot;
use std::sync::Arc;

/// Most damage reports kept; more are only counted.
const DAMAGE_KEPT: usize = 16;

/// The stage and everything it owns.
#[derive(Debug)]
pub(super) struct Capture {
    pub source: Box<dyn FrameSource>,
    pub sampler: Sampler,
    pub drops: Arc<DropCounters>,
    pub stop: Stop,
    pub heartbeat: Heartbeat,
    /// Frames to capture at most.
    pub limit: Option<u64>,
    /// Class names of the bundle.
    pub labels: Vec<String>,
    /// Source class -> bundle class, where the two differ.
    pub label_map: Option<Vec<Option<u16>>>,
    pub frames: u64,
    pub samples: u64,
    pub damage: Damage,
    /// The source said that it has ended.
    pub ended: bool,
    pub notices: Notices,
    /// Clip of the latest frame.
    pub clip: u32,
    /// Interval that was called too slow last.
    pub slow_said_ns: Option<u64>,
}

/// What parts of the source could not be read.
#[derive(Debug, Default)]
pub struct Damage {
    /// The first reports, in order.
    pub reports: Vec<SourceError>,
    /// All reports, kept or not.
    pub count: u64,
}

impl Damage {
    fn add(&mut self, error: SourceError) {
        self.count += 1;
        if self.reports.len() < DAMAGE_KEPT {
            self.reports.push(error);
        }
    }
}

/// What one step of the stage came to.
#[derive(Debug)]
pub(super) enum Step {
    /// A frame to infer on.
    Frame(Slot),
    /// Something came that is no frame to infer on.
    Nothing,
    /// Nothing came before the deadline.
    Idle,
    /// No free slot: give one back first.
    Starved,
    /// No further frame will come.
    End,
}

impl Capture {
    /// Starts the source, or gives up once the run is to end.
    pub fn start(&mut self, slots: usize) -> Result<(), SourceError> {
        self.source.start(slots, &|| !self.stop.is_raised())?;
        let info = self.source.info();
        if !info.labels.is_empty() && info.labels != self.labels {
            let class = |name| self.labels.iter().position(|l| l == name);
            let map = |name| class(name).and_then(|c| u16::try_from(c).ok());
            self.label_map = Some(info.labels.iter().map(map).collect());
        }
        self.look_at_interval();
        Ok(())
    }

    /// Says that the source is too slow, once for each interval that is.
    fn look_at_interval(&mut self) {
        let info = self.source.info();
        let slow = info
            .frame_interval_ns
            .filter(|&interval| self.sampler.too_slow(interval));
        if let Some(interval) = slow
            && self.slow_said_ns != slow
        {
            let sentence = self.sampler.too_slow_notice(&info.name, interval);
            self.notices.say(sentence);
            self.slow_said_ns = slow;
        }
    }

    /// Waits for the next frame, until `deadline_ns` at most.
    pub fn step(&mut self, deadline_ns: u64) -> Result<Step, SourceError> {
        if self.stop.is_raised() || self.limit.is_some_and(|l| self.frames >= l) {
            return Ok(Step::End);
        }
        self.heartbeat.busy();
        let next = self.source.next(deadline_ns);
        self.heartbeat.idle();
        match next? {
            Next::Frame(slot) => Ok(self.admit(slot)),
            Next::Dropped(_) => {
                self.count_captured();
                self.drops.drop_frame(DropReason::Undecodable);
                self.sampler.excuse();
                Ok(Step::Nothing)
            }
            Next::Damaged(error) => {
                self.damage.add(error);
                Ok(Step::Nothing)
            }
            Next::Idle => Ok(Step::Idle),
            Next::Starved => Ok(Step::Starved),
            Next::End => {
                self.ended = true;
                Ok(Step::End)
            }
        }
    }

    /// Numbers a captured frame and decides whether it belongs to the grid.
    fn admit(&mut self, mut slot: Slot) -> Step {
        slot.meta.frame = self.frames;
        self.count_captured();
        if self.clip != slot.meta.clip {
            self.clip = slot.meta.clip;
            self.look_at_interval();
        }
        if !self.sampler.keep(slot.meta.clip, slot.meta.timestamp_ns) {
            self.drops.drop_frame(DropReason::Decimated);
            self.source.release(slot);
            return Step::Nothing;
        }
        slot.meta.sample = self.samples;
        self.samples += 1;
        if let Some(map) = &self.label_map {
            slot.meta.label = slot
                .meta
                .label
                .and_then(|l| map.get(usize::from(l)).copied().flatten());
        }
        Step::Frame(slot)
    }

    fn count_captured(&mut self) {
        self.frames += 1;
        self.drops.capture();
    }

    /// A newer frame has taken the place of this one.
    pub fn superseded(&mut self, slot: Slot) {
        self.drops.drop_frame(DropReason::Superseded);
        self.source.release(slot);
    }

    /// Infer has gone; the run is ending with its error.
    pub fn unwanted(&mut self, slot: Slot) {
        self.drops.drop_frame(DropReason::Shutdown);
        self.source.release(slot);
    }

    /// The source broke for good: what it delivered counts, the rest is damage.
    pub fn broken(&mut self, error: SourceError) {
        self.damage.add(error);
    }

    /// What the stage leaves behind.
    pub fn finish(self) -> SourcePart {
        let mut gaps = self.source.gaps();
        if self.sampler.gaps() > 0 {
            gaps.insert("above_two_intervals", self.sampler.gaps());
        }
        SourcePart {
            gaps,
            damage: self.damage,
            ended: self.ended,
        }
    }
}
