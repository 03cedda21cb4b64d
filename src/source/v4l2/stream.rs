//! One generation of buffers: from an open node to frames, until the device is
//! lost or closed.
//!
//! Guarantees: a frame is the driver's own buffer, handed on by the slot of its
//! index, without a copy; a buffer is with the driver or with the holder of its
//! slot, never with both; at least [`ALWAYS_QUEUED`] stay with the driver. A
//! slot of another generation is never queued here. Taking and giving back
//! allocates nothing, except in decoding Motion JPEG.
//!
//! Not guaranteed: to survive any failure of the device; then it is dropped, and
//! the slots that are still under way keep their memory.

use super::abi::{self, BufType};
use super::answers::Dequeued;
use super::buffers::{self, Mapping, Place, least_bytes, lend, places};
use super::discover::Found;
use super::formats::CameraFormat;
use super::gaps::{Follower, Gaps, Stamp};
use super::negotiate::{Agreed, NegotiateError, Wish, negotiate};
use super::node::Node;
use crate::monotonic::now_ns;
use crate::source::clip::jpeg;
use crate::tensor::{Frame, FrameMeta, Memory, Slot, SlotPool};
use nix::errno::Errno;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Buffers that stay with the driver whatever happens downstream.
pub const ALWAYS_QUEUED: usize = 2;
/// A stream without a frame for this long, or for [`SILENT_INTERVALS`], hangs.
const SILENCE_NS: u64 = 3_000_000_000;
const SILENT_INTERVALS: u64 = 5;
/// Interval that is assumed where the driver does not tell one.
const UNKNOWN_INTERVAL_NS: u64 = 1_000_000_000;

/// Why a stream cannot go on, or could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// A call failed.
    #[error("{call}: {source}")]
    Call {
        /// The call.
        call: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// No agreement with the driver.
    #[error(transparent)]
    Negotiate(#[from] NegotiateError),
    /// The driver has too little memory.
    #[error("the driver gives {got} buffers, {needed} are needed")]
    Buffers {
        /// Those it gave.
        got: usize,
        /// Those needed.
        needed: usize,
    },
    /// The driver's buffers do not hold what it promised.
    #[error("the driver's buffers are smaller than its frames")]
    TooSmall,
    /// The queue has failed.
    #[error("the device reports an error")]
    Poll,
    /// The device delivers nothing, and no error.
    #[error("no frame for {0} ms")]
    Silent(u64),
    /// What the device captures has changed.
    #[error("the picture's size has changed")]
    Changed,
    /// The device has ended the stream.
    #[error("the device has ended the stream")]
    Ended,
}

impl StreamError {
    /// The system's code, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Call { source, .. } => source.raw_os_error().map(Errno::from_raw),
            Self::Negotiate(NegotiateError::Driver { errno, .. }) => Some(*errno),
            _ => None,
        }
    }
}

fn call<E: Into<io::Error>>(call: &'static str) -> impl Fn(E) -> StreamError {
    move |source| StreamError::Call {
        call,
        source: source.into(),
    }
}

/// What a step over the stream came to.
#[derive(Debug)]
pub enum Taken {
    /// A whole frame.
    Frame(Slot),
    /// A frame that does not decode.
    Undecodable,
    /// Nothing before the deadline, or nothing that counts as captured.
    Nothing,
    /// Too few buffers are left to take one from the driver.
    Starved,
}

/// A streaming device.
#[derive(Debug)]
pub struct Stream {
    node: Node,
    found: Found,
    agreed: Agreed,
    pool: SlotPool,
    store: Store,
    /// Bytes that a whole frame takes in each plane.
    least: [usize; abi::MAX_PLANES],
    /// Buffers that there are.
    count: u32,
    queued: usize,
    /// The device has said that no frame follows those that wait.
    ended: bool,
    follower: Follower,
    /// What our numbers have risen by, lost frames included.
    steps: u64,
    heard_ns: u64,
}

/// Where the slots are while nobody downstream has them.
#[derive(Debug)]
enum Store {
    /// Slot `i` is lent buffer `i`; `None` while it is downstream. Each surface
    /// has its place in the buffer.
    Lent {
        slots: Vec<Option<Slot>>,
        places: Vec<Place>,
    },
    /// Buffers are decoded into slots of their own.
    Decoded {
        buffers: Vec<Arc<Mapping>>,
        free: Vec<Slot>,
    },
}

impl Stream {
    /// Negotiates and takes the device's buffers: it is ours then. `slots` frames
    /// may be downstream at once.
    ///
    /// # Errors
    /// At the first call that fails; nothing stays behind then.
    pub fn reserve(
        node: Node,
        found: Found,
        wish: &Wish,
        slots: usize,
    ) -> Result<Self, StreamError> {
        node.subscribe(abi::EVENT_SOURCE_CHANGE);
        node.subscribe(abi::EVENT_EOS);
        let buf_type = found.buf_type;
        let agreed = negotiate(&node, buf_type, wish)?;
        let compressed = agreed.camera == CameraFormat::Mjpeg;
        let wanted = if compressed {
            4
        } else {
            slots.max(2) + ALWAYS_QUEUED
        };
        let asked = u32::try_from(wanted).unwrap_or(32).min(32);
        let request = node.request_buffers(buf_type, asked);
        let count = request.map_err(call("VIDIOC_REQBUFS"))?;
        let needed = ALWAYS_QUEUED + 1;
        if (count as usize) < needed {
            return Err(StreamError::Buffers {
                got: count as usize,
                needed,
            });
        }
        Self::map(node, found, agreed, count, slots)
    }

    /// Gives the driver every buffer and starts the flow of frames.
    ///
    /// # Errors
    /// At the first call that fails; the stream is of no use then.
    pub fn start(&mut self) -> Result<(), StreamError> {
        for index in 0..self.count {
            self.queue(index)?;
        }
        let started = self.node.stream_on(self.buf_type());
        started.map_err(call("VIDIOC_STREAMON"))?;
        self.heard_ns = now_ns();
        Ok(())
    }

    fn map(
        node: Node,
        found: Found,
        agreed: Agreed,
        count: u32,
        slots: usize,
    ) -> Result<Self, StreamError> {
        let mapped = (0..count).map(|index| buffers::map(&node, found.buf_type, index));
        let mapped: Vec<_> = mapped.collect::<io::Result<_>>().map_err(call("mmap"))?;
        let mut least = [0; abi::MAX_PLANES];
        let (pool, store) = if agreed.camera == CameraFormat::Mjpeg {
            let first = |planes: Vec<Arc<Mapping>>| planes.into_iter().next();
            let buffers: Option<_> = mapped.into_iter().map(first).collect();
            let bytes = 3 * agreed.driver.width as usize * agreed.driver.height as usize;
            let (pool, free) = SlotPool::new(slots, bytes);
            let buffers = buffers.ok_or(StreamError::TooSmall)?;
            (pool, Store::Decoded { buffers, free })
        } else {
            let places = places(agreed.camera, &agreed.driver).ok_or(StreamError::TooSmall)?;
            least = least_bytes(agreed.camera, &agreed.driver, &places);
            let (pool, mut slots) = SlotPool::new(mapped.len(), 0);
            for (slot, planes) in slots.iter_mut().zip(&mapped) {
                slot.lent = Some(lend(planes, &places).ok_or(StreamError::TooSmall)?);
                slot.meta = meta(&agreed);
                slot.surfaces().ok_or(StreamError::TooSmall)?;
            }
            let slots = slots.into_iter().map(Some).collect();
            (pool, Store::Lent { slots, places })
        };
        Ok(Self {
            node,
            found,
            agreed,
            pool,
            store,
            least,
            count,
            queued: 0,
            ended: false,
            follower: Follower::default(),
            steps: 0,
            heard_ns: 0,
        })
    }

    /// What was agreed with the driver.
    #[must_use]
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// The device.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The slots of its buffers.
    #[must_use]
    pub fn pool(&self) -> &SlotPool {
        &self.pool
    }

    /// Its node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    fn buf_type(&self) -> BufType {
        self.found.buf_type
    }

    fn queue(&mut self, index: u32) -> Result<(), StreamError> {
        let queued = self.node.queue(self.buf_type(), index);
        queued.map_err(call("VIDIOC_QBUF"))?;
        self.queued += 1;
        Ok(())
    }

    /// Waits for the next frame until `deadline_ns`. The slot's times are set;
    /// its number counts from the start of this stream.
    ///
    /// # Errors
    /// When the stream cannot go on.
    pub fn take(&mut self, deadline_ns: u64, gaps: &mut Gaps) -> Result<Taken, StreamError> {
        if self.is_starved() {
            return Ok(Taken::Starved);
        }
        let wait = Duration::from_nanos(deadline_ns.saturating_sub(now_ns()));
        let ready = self.node.wait(wait).map_err(call("poll"))?;
        if ready.event {
            self.events()?;
        }
        if !ready.buffer && !ready.failed {
            return self.listen();
        }
        let dequeued = self.node.dequeue(self.buf_type());
        match dequeued {
            Ok(Some(buffer)) => {
                self.queued = self.queued.saturating_sub(1);
                self.heard_ns = now_ns();
                self.judge(&buffer, gaps)
            }
            Ok(None) if ready.failed => Err(StreamError::Poll),
            Ok(None) => self.listen(),
            Err(Errno::EPIPE) => Err(StreamError::Ended),
            Err(errno) => Err(call("VIDIOC_DQBUF")(errno)),
        }
    }

    fn is_starved(&self) -> bool {
        self.queued <= ALWAYS_QUEUED
            || matches!(&self.store, Store::Decoded { free, .. } if free.is_empty())
    }

    fn events(&mut self) -> Result<(), StreamError> {
        /// `V4L2_EVENT_SRC_CH_RESOLUTION`
        const RESOLUTION: u32 = 1;
        while let Some(event) = self.node.event().map_err(call("VIDIOC_DQEVENT"))? {
            match event {
                (abi::EVENT_SOURCE_CHANGE, changes) if changes & RESOLUTION != 0 => {
                    return Err(StreamError::Changed);
                }
                (abi::EVENT_EOS, _) => self.ended = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// Nothing came; for too long?
    fn listen(&self) -> Result<Taken, StreamError> {
        if self.ended {
            return Err(StreamError::Ended);
        }
        let interval = self.agreed.interval_ns.unwrap_or(0);
        let limit = SILENCE_NS.max(interval.saturating_mul(SILENT_INTERVALS));
        let silent_ns = now_ns().saturating_sub(self.heard_ns);
        if silent_ns > limit {
            return Err(StreamError::Silent(silent_ns / 1_000_000));
        }
        Ok(Taken::Nothing)
    }

    /// What has become of a buffer: a frame, or a gap and the buffer goes back.
    fn judge(&mut self, buffer: &Dequeued, gaps: &mut Gaps) -> Result<Taken, StreamError> {
        let stamp = Stamp {
            sequence: buffer.sequence,
            flags: buffer.flags,
            stamp_ns: buffer.timestamp_ns,
            now_ns: self.heard_ns,
        };
        let interval_ns = self.agreed.interval_ns.unwrap_or(UNKNOWN_INTERVAL_NS);
        let is_last = buffer.flags & abi::BUF_FLAG_LAST != 0;
        if is_last && buffer.bytesused[0] == 0 {
            return Err(StreamError::Ended);
        }
        let (step, taken_ns) = self.follower.follow(stamp, interval_ns, gaps);
        self.steps += step;
        let bad = if buffer.flags & abi::BUF_FLAG_ERROR != 0 {
            Some(&mut gaps.error)
        } else if self.is_short(buffer) {
            Some(&mut gaps.short)
        } else {
            None
        };
        if let Some(count) = bad {
            *count += 1;
            self.queue(buffer.index)?;
            return Ok(Taken::Nothing);
        }
        self.hand_out(buffer, taken_ns, gaps)
    }

    fn is_short(&self, buffer: &Dequeued) -> bool {
        let used = buffer.bytesused.iter().map(|&used| used as usize);
        used.zip(self.least).any(|(used, least)| used < least) || buffer.bytesused[0] == 0
    }

    fn hand_out(
        &mut self,
        buffer: &Dequeued,
        taken_ns: u64,
        gaps: &mut Gaps,
    ) -> Result<Taken, StreamError> {
        let sequence = self.steps - 1;
        let stamp = |frame: &mut Frame| {
            frame.meta.sequence = sequence;
            frame.meta.timestamp_ns = taken_ns;
            frame.meta.label = None;
        };
        match &mut self.store {
            Store::Lent { slots, places } => {
                let slot = slots.get_mut(buffer.index as usize).and_then(Option::take);
                let mut slot = slot.ok_or(StreamError::Poll)?;
                if !lies_within(&mut slot, places, &buffer.data_offset) {
                    slots[buffer.index as usize] = Some(slot);
                    gaps.short += 1;
                    self.queue(buffer.index)?;
                    return Ok(Taken::Nothing);
                }
                stamp(&mut slot);
                slot.meta.captured_ns = self.heard_ns;
                Ok(Taken::Frame(slot))
            }
            Store::Decoded { buffers, free } => {
                let (from, length) = (buffer.data_offset[0] as usize, buffer.bytesused[0] as usize);
                let picture = buffers
                    .get(buffer.index as usize)
                    .and_then(|memory| memory.bytes().get(from..from.checked_add(length)?));
                let mut decoded = None;
                if let (Some(picture), Some(mut slot)) = (picture, free.pop()) {
                    if jpeg::decode(picture, &mut slot) {
                        stamp(&mut slot);
                        slot.meta.captured_ns = now_ns();
                        decoded = Some(slot);
                    } else {
                        free.push(slot);
                    }
                }
                self.queue(buffer.index)?;
                Ok(decoded.map_or(Taken::Undecodable, Taken::Frame))
            }
        }
    }

    /// Takes a slot back, if it is one of this stream.
    ///
    /// # Errors
    /// When its buffer cannot be queued; the stream cannot go on then.
    pub fn give_back(&mut self, slot: Slot) -> Result<(), StreamError> {
        if !slot.is_of(&self.pool) {
            return Ok(());
        }
        match &mut self.store {
            Store::Decoded { free, .. } => {
                free.push(slot);
                Ok(())
            }
            Store::Lent { slots, .. } => {
                let index = slot.index();
                slots[index] = Some(slot);
                self.queue(u32::try_from(index).unwrap_or(u32::MAX))
            }
        }
    }

    /// The number of the next frame, from the start of this stream.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

impl Drop for Stream {
    /// Frees the queue at once: a mapping that is under way downstream would keep
    /// the file open, and with it the device busy.
    fn drop(&mut self) {
        // A device that has gone has nothing to stop or free.
        let _ = self.node.stream_off(self.buf_type());
        let _ = self.node.request_buffers(self.buf_type(), 0);
    }
}

/// Points a slot at the samples, which the driver may have put behind a header;
/// false where that does not leave room for a picture.
fn lies_within(slot: &mut Slot, places: &[Place], headers: &[u32; abi::MAX_PLANES]) -> bool {
    let Some(lent) = &mut slot.lent else {
        return false;
    };
    let mut surfaces = places.iter().enumerate();
    let moved = surfaces.all(|(index, &(plane, offset, _))| {
        let header = headers.get(plane).map_or(0, |&header| header as usize);
        lent.begin_at(index, header.saturating_add(offset))
    });
    moved && slot.surfaces().is_some()
}

/// What all frames of a stream have in common.
fn meta(agreed: &Agreed) -> FrameMeta {
    FrameMeta {
        width: agreed.driver.width,
        height: agreed.driver.height,
        format: agreed
            .camera
            .pixels()
            .unwrap_or(crate::tensor::PixelFormat::Rgb24),
        colour: agreed.colour,
        ..FrameMeta::default()
    }
}
