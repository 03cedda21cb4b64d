//! [`ClipSource`]: clips one after the other, as one stream of frames.

use super::ClipOptions;
use super::folder::{self, Clip};
use super::reader::{CUT, ClipReader, Fault, Reader, Step};
use crate::monotonic::{now_ns, sleep_until};
use crate::source::{FrameSource, Next, SourceError, SourceInfo};
use crate::telemetry::DropReason;
use crate::tensor::memory::{self, TooLarge};
use crate::tensor::{Slot, SlotPool};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Most bytes that a slot is given ahead of its first frame: twice a 4K picture
/// in RGB. Larger frames let their slots grow, so a size that a tiny file
/// claims does not take the memory of all slots at once.
const MAX_AHEAD: usize = 64 << 20;

/// Longest wait for the first frame before the caller is asked whether it still
/// wants one.
const START_STEP_NS: u64 = 50_000_000;

/// A clip file, or the clips of a folder by name.
///
/// `sequence` and `timestamp_ns` rise over all clips and passes; `clip` counts
/// the files played, broken ones included. A frame's `timestamp_ns` is its
/// media time behind the end of the clips before.
#[derive(Debug)]
pub struct ClipSource {
    info: SourceInfo,
    path: PathBuf,
    options: ClipOptions,
    warnings: Vec<String>,
    clips: Vec<Clip>,
    /// Clips whose damage has been reported, by index.
    reported: Vec<bool>,
    reader: Option<Reader>,
    /// The reader of the clip before, for its buffer or to be rewound.
    idle: Option<Reader>,
    pool: Option<SlotPool>,
    free: Vec<Slot>,
    /// The slot being filled.
    filling: Option<Slot>,
    /// Bytes of the largest frame that all slots are known to have room for.
    largest: usize,
    /// A filled slot that waits for its time.
    ready: Option<Slot>,
    /// What came before the first frame.
    early: VecDeque<Event>,
    place: Place,
}

/// How far the stream is.
#[derive(Debug, Default)]
struct Place {
    /// Clip to be opened next, by index.
    upcoming: usize,
    /// Passes over all clips that are done.
    passes: u32,
    /// Whole frames of this pass, and of this clip.
    pass_frames: u64,
    clip_frames: u64,
    /// Frames of this clip that do not decode.
    clip_undecodable: u64,
    /// Files begun so far.
    files: u32,
    sequence: u64,
    /// Media time at which the current clip began.
    offset_ns: u64,
    last_ns: Option<u64>,
    /// Monotonic time of media time zero, in real time.
    origin_ns: Option<u64>,
}

/// What the next step over the clips brought.
#[derive(Debug)]
enum Event {
    Ready(Slot),
    Undecodable,
    Damaged(SourceError),
    Pending,
    Starved,
    End,
}

impl ClipSource {
    /// Lists the clips of `path` and reads their labels; decodes nothing yet.
    ///
    /// # Errors
    /// When `path` is missing, is a folder without clips, or has a `labels.csv`
    /// that cannot be read.
    pub fn open(path: &Path, options: ClipOptions) -> Result<Self, SourceError> {
        let path = &folder::standard_input(path);
        let listing = folder::list(path, &options.labels)?;
        Ok(Self {
            info: SourceInfo {
                name: path.display().to_string(),
                live: false,
                frame_interval_ns: None,
                labels: listing.labels,
            },
            path: path.to_path_buf(),
            options,
            warnings: listing.warnings,
            reported: vec![false; listing.clips.len()],
            clips: listing.clips,
            reader: None,
            idle: None,
            pool: None,
            free: Vec::new(),
            filling: None,
            largest: 0,
            ready: None,
            early: VecDeque::new(),
            place: Place::default(),
        })
    }

    /// What the user should know about the labels, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Moves on to the next frame or event.
    fn step(&mut self, deadline_ns: u64) -> Event {
        loop {
            if self.options.stop.is_raised() {
                return Event::Pending;
            }
            if self.reader.is_none() {
                match self.open_next() {
                    Some(Ok(())) => {}
                    Some(Err(_)) if self.options.stop.is_raised() => return Event::Pending,
                    Some(Err(Some(error))) => return Event::Damaged(error),
                    Some(Err(None)) => continue,
                    None => return Event::End,
                }
            }
            let (Some(reader), Some(mut slot)) = (
                &mut self.reader,
                self.filling.take().or_else(|| self.free.pop()),
            ) else {
                return Event::Starved;
            };
            let step = reader.next_frame(&mut slot, deadline_ns);
            let step = match (step, self.fits(slot.data.len())) {
                (Ok(Step::Frame), Ok(())) => {
                    self.stamp(&mut slot);
                    return Event::Ready(slot);
                }
                (Ok(Step::Frame), Err(error)) => {
                    slot.data = Vec::new();
                    Err(Fault::Broken(error.to_string()))
                }
                (step, _) => step,
            };
            self.filling = Some(slot);
            let fault = match step {
                Ok(Step::Pending) => return Event::Pending,
                Ok(Step::Undecodable) => {
                    self.place.sequence += 1;
                    self.place.clip_undecodable += 1;
                    return Event::Undecodable;
                }
                Ok(Step::Frame | Step::End) => None,
                // A wait that was broken off says nothing about the clip.
                Err(_) if self.options.stop.is_raised() => return Event::Pending,
                Err(fault) => Some(fault),
            };
            if let Some(error) = self.close(fault) {
                return Event::Damaged(error);
            }
        }
    }

    /// Whether every slot could hold a frame of `len` bytes; asked once for each
    /// size larger than all before.
    fn fits(&mut self, len: usize) -> Result<(), TooLarge> {
        if len > self.largest {
            let slots = self.pool.as_ref().map_or(1, SlotPool::capacity);
            // What the smaller ones hold is free for the larger.
            memory::fits(slots, len - self.largest, 0).map_err(|refused| TooLarge {
                bytes_each: len,
                ..refused
            })?;
            self.largest = len;
        }
        Ok(())
    }

    /// Opens the next clip; `None` after the last, `Err(None)` for damage that
    /// has been reported in an earlier pass.
    fn open_next(&mut self) -> Option<Result<(), Option<SourceError>>> {
        if self.place.upcoming == self.clips.len() {
            let passes = self.place.passes.saturating_add(1);
            let last = self.options.passes.is_some_and(|all| passes >= all);
            if last || self.place.pass_frames == 0 {
                return None;
            }
            self.place.passes = passes;
            (self.place.upcoming, self.place.pass_frames) = (0, 0);
        }
        let clip = self.place.upcoming;
        self.place.upcoming += 1;
        self.place.files = self.place.files.wrapping_add(1);
        (self.place.clip_frames, self.place.clip_undecodable) = (0, 0);
        if let Some(mut reader) = self.idle.take() {
            if self.clips.len() == 1 && matches!(reader.rewind(), Ok(true)) {
                self.reader = Some(reader);
                return Some(Ok(()));
            }
            self.idle = Some(reader);
        }
        let spare = self.idle.take().map(Reader::into_buffer);
        let opened = Reader::open(
            &self.clips[clip].path,
            &self.options,
            spare.unwrap_or_default(),
        );
        Some(match opened {
            Ok(reader) => {
                self.reader = Some(reader);
                Ok(())
            }
            Err(fault) => Err(self.damage(clip, fault)),
        })
    }

    /// Ends the current clip, in good order unless there is a `fault`.
    fn close(&mut self, fault: Option<Fault>) -> Option<SourceError> {
        let clip = self.place.upcoming - 1;
        let reader = self.reader.take();
        if self.place.clip_frames > 0 {
            let interval = reader.as_ref().and_then(ClipReader::frame_interval_ns);
            let interval = interval.unwrap_or(self.options.fallback_interval_ns);
            let last = self.place.last_ns.unwrap_or(0);
            self.place.offset_ns = last.saturating_add(interval);
        }
        self.idle = reader;
        let empty = self.place.clip_frames == 0;
        let fault = fault.or_else(|| empty.then(|| Fault::Broken("not a frame decodes".into())));
        match fault {
            Some(fault) => self.damage(clip, fault),
            None if self.place.clip_undecodable > 0 => self.spoiled(clip),
            None => None,
        }
    }

    /// Says how many frames of a clip that came to its end do not decode; `None`
    /// when an earlier pass did.
    fn spoiled(&mut self, clip: usize) -> Option<SourceError> {
        let said = std::mem::replace(&mut self.reported[clip], true);
        let Place {
            clip_frames,
            clip_undecodable: undecodable,
            ..
        } = self.place;
        (!said).then(|| SourceError::Spoiled {
            path: self.clips[clip].path.clone(),
            undecodable,
            frames: clip_frames + undecodable,
        })
    }

    /// Names the clip in a fault; `None` when an earlier pass did.
    fn damage(&mut self, clip: usize, fault: Fault) -> Option<SourceError> {
        if std::mem::replace(&mut self.reported[clip], true) {
            return None;
        }
        let path = self.clips[clip].path.clone();
        let frames = self.place.clip_frames;
        Some(match fault {
            Fault::Io(source) if frames == 0 => SourceError::Io { path, source },
            Fault::Broken(reason) if frames == 0 => SourceError::Undecodable {
                path,
                reason: match reason.as_str() {
                    CUT => "ends within its first frame".into(),
                    _ => reason,
                },
            },
            Fault::Io(source) => SourceError::Truncated {
                path,
                reason: source.to_string(),
                frames,
            },
            Fault::Broken(reason) => SourceError::Truncated {
                path,
                reason,
                frames,
            },
        })
    }

    /// Completes what is known about a whole frame.
    fn stamp(&mut self, slot: &mut Slot) {
        let place = &mut self.place;
        let meta = &mut slot.meta;
        let own = place.offset_ns.saturating_add(meta.timestamp_ns);
        let least = place.last_ns.map_or(0, |last| last.saturating_add(1));
        meta.timestamp_ns = own.max(least);
        place.last_ns = Some(meta.timestamp_ns);
        meta.sequence = place.sequence;
        place.sequence += 1;
        meta.clip = place.files.wrapping_sub(1);
        let number = place.clip_frames + place.clip_undecodable;
        meta.label = self.clips[place.upcoming - 1].label_of(number);
        if place.clip_frames == 0 {
            let reader = self.reader.as_ref();
            self.info.frame_interval_ns = reader.and_then(ClipReader::frame_interval_ns);
        }
        place.clip_frames += 1;
        place.pass_frames += 1;
    }

    /// Waits until the media time of a frame has come; false at the deadline.
    fn in_time(&mut self, media_ns: u64, deadline_ns: u64) -> bool {
        if !self.options.realtime {
            return true;
        }
        let now = now_ns();
        let origin = *self
            .place
            .origin_ns
            .get_or_insert(now.saturating_sub(media_ns));
        let due = origin.saturating_add(media_ns);
        sleep_until(due.min(deadline_ns));
        due <= deadline_ns || now_ns() >= due
    }

    /// The error of a source that does not have one frame.
    fn nothing(&mut self) -> SourceError {
        let mut errors = self.early.drain(..).filter_map(|event| match event {
            Event::Damaged(error) => Some(error),
            _ => None,
        });
        let first = errors.next();
        match first {
            Some(error) if self.clips.len() == 1 => error,
            first => SourceError::Undecodable {
                path: self.path.clone(),
                reason: format!(
                    "none of its {} clips can be decoded; {}",
                    self.clips.len(),
                    first.map_or_else(String::new, |e| e.to_string())
                ),
            },
        }
    }
}

impl FrameSource for ClipSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    /// Reads up to the first whole frame, so that a source without one fails
    /// here.
    fn start(&mut self, slots: usize, wanted: &dyn Fn() -> bool) -> Result<(), SourceError> {
        (self.reader, self.idle, self.filling, self.ready) = (None, None, None, None);
        self.early.clear();
        self.reported.fill(false);
        self.place = Place::default();
        let mut largest = 0;
        for clip in &self.clips {
            if !wanted() {
                return Ok(());
            }
            largest = largest.max(Reader::peek(&clip.path, &self.options));
        }
        let ahead = largest.min(MAX_AHEAD);
        memory::fits(slots, largest, 0).map_err(|error| SourceError::Memory {
            name: self.info.name.clone(),
            error,
        })?;
        self.largest = ahead;
        let (pool, free) = SlotPool::new(slots.max(1), ahead);
        (self.pool, self.free) = (Some(pool), free);
        let first = loop {
            if !wanted() {
                return Ok(());
            }
            match self.step(now_ns().saturating_add(START_STEP_NS)) {
                Event::Ready(slot) => break slot,
                Event::End => return Err(self.nothing()),
                Event::Pending | Event::Starved => {}
                event => self.early.push_back(event),
            }
        };
        for slot in &mut self.free {
            // Grown here, it does not grow on the way of a frame.
            let len = slot.data.len().max(first.data.len().min(MAX_AHEAD));
            slot.data.resize(len, 0);
        }
        self.ready = Some(first);
        Ok(())
    }

    fn next(&mut self, deadline_ns: u64) -> Result<Next, SourceError> {
        let event = match self.early.pop_front() {
            Some(event) => event,
            None => match self.ready.take() {
                Some(slot) => Event::Ready(slot),
                None => self.step(deadline_ns),
            },
        };
        Ok(match event {
            Event::Ready(mut slot) => {
                if !self.in_time(slot.meta.timestamp_ns, deadline_ns) {
                    self.ready = Some(slot);
                    return Ok(Next::Idle);
                }
                slot.meta.captured_ns = now_ns();
                Next::Frame(slot)
            }
            Event::Undecodable => Next::Dropped(DropReason::Undecodable.name()),
            Event::Damaged(error) => Next::Damaged(error),
            Event::Pending => Next::Idle,
            Event::Starved => Next::Starved,
            Event::End => Next::End,
        })
    }

    fn release(&mut self, slot: Slot) {
        if self.pool.as_ref().is_some_and(|pool| slot.is_of(pool)) {
            self.free.push(slot);
        }
    }
}
