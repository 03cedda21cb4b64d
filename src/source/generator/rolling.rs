//! The running [`Generator`](super::Generator): pacing, slots and gaps, and the
//! film that it shows.

use super::camera::{CameraOptions, instant_ns};
use super::yuv::convert;
use super::{Painter, Script};
use crate::monotonic::{now_ns, sleep_until};
use crate::source::Next;
use crate::tensor::{Colour, Frame, FrameMeta, PixelFormat, Slot};
use std::collections::BTreeMap;

/// Draws a live frame this much earlier than it took lately, in nanoseconds.
const MARGIN_NS: u64 = 200_000;

/// What is shown, frame by frame, without regard to the clock.
#[derive(Debug)]
pub(super) struct Film {
    options: CameraOptions,
    script: Script,
    painter: Painter,
    stock: Vec<Frame>,
}

impl Film {
    pub(super) fn new(options: &CameraOptions) -> Self {
        Self {
            script: Script::stream(options.seed, 0, options.difficulty),
            painter: Painter::new(options.width, options.height),
            stock: Vec::new(),
            options: options.clone(),
        }
    }

    /// Bytes of a frame; 0 where the options were never checked.
    pub(super) fn frame_len(&self) -> usize {
        let CameraOptions {
            format,
            width,
            height,
            ..
        } = self.options;
        format.frame_len(width, height).unwrap_or(0)
    }

    /// Back to the start, with every buffer grown and the stock drawn.
    pub(super) fn prepare(&mut self) {
        let CameraOptions {
            seed,
            difficulty,
            prerender,
            ..
        } = self.options;
        self.stock.clear();
        let mut frame = Frame::default();
        self.script = Script::stream(seed, 0, difficulty);
        self.draw(0, &mut frame);
        for number in 0..u64::from(prerender) {
            self.draw(number, &mut frame);
            self.stock.push(frame.clone());
        }
        self.script = Script::stream(seed, 0, difficulty);
    }

    /// Frame `number`, not below the last one, with all but its times.
    fn show(&mut self, number: u64, frame: &mut Frame) {
        let turn = number.checked_rem(self.stock.len() as u64);
        match turn.and_then(|turn| self.stock.get(usize::try_from(turn).ok()?)) {
            Some(drawn) => {
                frame.data.clear();
                frame.data.extend_from_slice(&drawn.data);
                frame.meta = drawn.meta;
            }
            None => self.draw(number, frame),
        }
        frame.meta.sequence = number;
    }

    fn draw(&mut self, number: u64, frame: &mut Frame) {
        let CameraOptions {
            width,
            height,
            format,
            fps,
            ..
        } = self.options;
        let time_s = number as f64 / fps;
        self.script.advance(time_s);
        let rgb = self.painter.paint(&self.script, time_s, number);
        convert(
            rgb,
            width as usize,
            height as usize,
            format,
            &mut frame.data,
        );
        frame.meta = FrameMeta {
            sequence: number,
            width,
            height,
            format,
            colour: Colour::default(),
            clip: 0,
            label: Some(self.script.performance().action.label()),
            ..FrameMeta::default()
        };
    }
}

/// Bytes that a film takes beside the slots: pictures being drawn, and those in
/// stock.
pub(super) fn working_bytes(options: &CameraOptions) -> usize {
    // Three canvases of floats, and one of bytes.
    const PICTURES: usize = 3 * 4 + 1;
    let CameraOptions {
        width,
        height,
        format,
        prerender,
        ..
    } = *options;
    let len = |format: PixelFormat| format.frame_len(width, height).unwrap_or(usize::MAX);
    let stock = len(format).saturating_mul(prerender as usize);
    let drawn = len(PixelFormat::Rgb24).saturating_mul(PICTURES);
    drawn.saturating_add(stock)
}

/// A started camera.
#[derive(Debug)]
pub(super) struct Rolling {
    free: Vec<Slot>,
    /// Drawn, and not due yet.
    ready: Option<Slot>,
    live: bool,
    /// When frame 0 is due: at the first call, unless as fast as possible.
    start_ns: Option<u64>,
    number: u64,
    delivered: u64,
    /// How long before it is due a frame is drawn.
    lead_ns: u64,
    starving: bool,
    starved: u64,
    late: u64,
}

impl Rolling {
    pub(super) fn new(free: Vec<Slot>, live: bool) -> Self {
        Self {
            free,
            ready: None,
            live,
            start_ns: None,
            number: 0,
            delivered: 0,
            lead_ns: MARGIN_NS,
            starving: false,
            starved: 0,
            late: 0,
        }
    }

    /// Frames handed out.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn release(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    pub(super) fn gaps(&self) -> BTreeMap<&'static str, u64> {
        [("starved", self.starved), ("late", self.late)]
            .into_iter()
            .filter(|&(_, count)| count > 0)
            .collect()
    }

    pub(super) fn next(&mut self, film: &mut Film, deadline_ns: u64) -> Next {
        let fps = film.options.fps;
        if self.start_ns.is_none() {
            self.start_ns = Some(if self.live {
                now_ns() + self.lead_ns
            } else {
                0
            });
        }
        let slot = match self.ready.take() {
            Some(slot) => slot,
            None => {
                if self.live {
                    self.skip_missed(fps);
                    let draw_at = self.due_ns(fps).saturating_sub(self.lead_ns);
                    if draw_at > deadline_ns {
                        sleep_until(deadline_ns);
                        return Next::Idle;
                    }
                    sleep_until(draw_at);
                }
                let Some(mut slot) = self.free.pop() else {
                    self.starving = true;
                    return Next::Starved;
                };
                self.starving = false;
                self.draw(film, &mut slot);
                slot
            }
        };
        let due_ns = self.due_ns(fps);
        if self.live && due_ns > deadline_ns {
            self.ready = Some(slot);
            sleep_until(deadline_ns);
            return Next::Idle;
        }
        self.hand_out(slot, due_ns)
    }

    fn instant(&self, number: u64, fps: f64) -> u64 {
        let start_ns = self.start_ns.unwrap_or(0);
        start_ns.saturating_add(instant_ns(number, fps))
    }

    fn due_ns(&self, fps: f64) -> u64 {
        self.instant(self.number, fps)
    }

    /// Moves on to the last instant that has passed, if several have.
    fn skip_missed(&mut self, fps: f64) {
        let now = now_ns();
        let first = self.number;
        while self.instant(self.number + 1, fps) <= now {
            self.number += 1;
        }
        let missed = if self.starving {
            &mut self.starved
        } else {
            &mut self.late
        };
        *missed += self.number - first;
    }

    fn draw(&mut self, film: &mut Film, slot: &mut Slot) {
        let from = now_ns();
        film.show(self.number, slot);
        let took = now_ns().saturating_sub(from);
        let fading = self.lead_ns - self.lead_ns / 64;
        self.lead_ns = fading.max(took + took / 4 + MARGIN_NS);
    }

    fn hand_out(&mut self, mut slot: Slot, due_ns: u64) -> Next {
        if self.live {
            sleep_until(due_ns);
        }
        slot.meta.timestamp_ns = due_ns;
        slot.meta.captured_ns = now_ns();
        self.number += 1;
        self.delivered += 1;
        Next::Frame(slot)
    }
}
