//! A synthetic camera that shows an endless stream of generated scenes.
//!
//! Guarantees: frame `n` is due `n` frame intervals after the first and shows
//! the stream at that instant, at any rate and whatever was missed before it.
//! Live, the timestamp is that instant on [`crate::monotonic`]'s clock; the
//! frame is drawn shortly *before* it and handed out at once when it comes, so
//! that drawing costs CPU time but no latency. As fast as possible, the
//! timestamp counts from 0 and no frame is missed.
//!
//! Not guaranteed: that every instant becomes a frame. Live, one that passes
//! while all slots are in use downstream is a gap of kind `starved`; one that
//! passes because nobody called, or drawing took too long, is a gap of kind
//! `late`. The sequence number counts gaps.
//!
//! Cost: that of [`Painter`](super::Painter) and of the pixel format, or of one copy when the
//! frames are drawn beforehand ([`CameraOptions::prerender`]). No allocation
//! after [`start`](FrameSource::start).

use super::rolling::{Film, Rolling, working_bytes};
use crate::source::{FrameSource, Next, SourceError, SourceInfo};
use crate::tensor::{PixelFormat, Slot, SlotPool, memory};
use std::collections::BTreeMap;

/// What the camera shows and how.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraOptions {
    /// Width in pixels, 1 to 16384.
    pub width: u32,
    /// Height in pixels, 1 to 16384.
    pub height: u32,
    /// Frames per second, 0.001 to 10,000.
    pub fps: f64,
    /// Seed of the stream.
    pub seed: u64,
    /// Difficulty of every scene, 0 to 1; `None` draws one for each.
    pub difficulty: Option<f32>,
    /// Byte layout; YUV is BT.601 in limited range.
    pub format: PixelFormat,
    /// Frames to hand out before the end; `None` goes on for ever.
    pub frames: Option<u64>,
    /// Frames come when they are due, and those that nobody takes are missed;
    /// otherwise as fast as they are asked for.
    pub live: bool,
    /// Draw so many frames at the start and show them over and over, to keep
    /// drawing out of a measurement; 0 draws for ever. They may take up 1 GiB.
    pub prerender: u32,
}

impl Default for CameraOptions {
    fn default() -> Self {
        Self {
            width: 320,
            height: 240,
            fps: 30.0,
            seed: 1,
            difficulty: None,
            format: PixelFormat::Yuyv,
            frames: None,
            live: true,
            prerender: 0,
        }
    }
}

/// A camera setting out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("generator: {setting} must be {range}")]
pub struct CameraError {
    /// The field of [`CameraOptions`].
    pub setting: &'static str,
    /// What it may be.
    pub range: &'static str,
}

/// The camera. See the module for what it guarantees.
#[derive(Debug)]
pub struct Generator {
    info: SourceInfo,
    options: CameraOptions,
    rolling: Option<Rolling>,
    film: Film,
}

/// Longest that frames drawn beforehand may be, in bytes together.
const MAX_PRERENDERED: usize = 1 << 30;

impl Generator {
    /// A camera that is not running yet.
    ///
    /// # Errors
    /// When an option is out of its range.
    pub fn new(options: CameraOptions) -> Result<Self, CameraError> {
        check(&options)?;
        let interval_ns = instant_ns(1, options.fps);
        Ok(Self {
            info: SourceInfo {
                name: "generator".to_owned(),
                live: options.live,
                frame_interval_ns: Some(interval_ns),
                labels: super::class_names(),
            },
            film: Film::new(&options),
            options,
            rolling: None,
        })
    }
}

impl FrameSource for Generator {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn start(&mut self, slots: usize, _wanted: &dyn Fn() -> bool) -> Result<(), SourceError> {
        memory::fits(slots, self.film.frame_len(), working_bytes(&self.options)).map_err(
            |error| SourceError::Memory {
                name: self.info.name.clone(),
                error,
            },
        )?;
        self.film.prepare();
        let (_, free) = SlotPool::new(slots, self.film.frame_len());
        self.rolling = Some(Rolling::new(free, self.options.live));
        Ok(())
    }

    fn next(&mut self, deadline_ns: u64) -> Result<Next, SourceError> {
        let Some(rolling) = &mut self.rolling else {
            return Ok(Next::End);
        };
        if self
            .options
            .frames
            .is_some_and(|n| rolling.delivered() >= n)
        {
            return Ok(Next::End);
        }
        Ok(rolling.next(&mut self.film, deadline_ns))
    }

    fn release(&mut self, slot: Slot) {
        if let Some(rolling) = &mut self.rolling {
            rolling.release(slot);
        }
    }

    fn gaps(&self) -> BTreeMap<&'static str, u64> {
        self.rolling.as_ref().map(Rolling::gaps).unwrap_or_default()
    }
}

fn check(options: &CameraOptions) -> Result<(), CameraError> {
    let sides = 1..=16_384;
    let len = options.format.frame_len(options.width, options.height);
    let stock = len.and_then(|len| len.checked_mul(usize::try_from(options.prerender).ok()?));
    let rules = [
        (sides.contains(&options.width), "width", "1 to 16384"),
        (sides.contains(&options.height), "height", "1 to 16384"),
        (
            (0.001..=10_000.0).contains(&options.fps),
            "fps",
            "0.001 to 10000",
        ),
        (
            options.difficulty.is_none_or(|d| (0.0..=1.0).contains(&d)),
            "difficulty",
            "0 to 1",
        ),
        (
            stock.is_some_and(|bytes| bytes <= MAX_PRERENDERED),
            "prerender",
            "so few frames that they fit 1 GiB",
        ),
    ];
    let no_memory = || CameraError {
        setting: "width",
        range: "so few pixels that the painter fits the free memory",
    };
    match rules.into_iter().find(|(good, ..)| !good) {
        Some((_, setting, range)) => Err(CameraError { setting, range }),
        None => memory::fits(0, 0, working_bytes(options)).map_err(|_| no_memory()),
    }
}

/// When frame `number` is due after the start, in nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive; saturates after 584 years"
)]
pub(super) fn instant_ns(number: u64, fps: f64) -> u64 {
    (number as f64 * 1e9 / fps).round() as u64
}

#[cfg(test)]
mod tests;
