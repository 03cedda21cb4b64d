//! A stream of frames on a simulated board, in virtual time.
//!
//! Frames arrive at a fixed rate and wait for the board, which runs the segments up
//! to the exit that the trace says; whatever sets the clocks is told of each event
//! and asked when to be called next, as in a run.
//!
//! Guarantees: no frame is skipped and no exit invented; the energy is that of the
//! whole span, idle stretches included; nothing is allocated for a frame. Cost:
//! about two microseconds a frame with the clocks left alone.

use super::outcome::Outcome;
use crate::board::SimBoard;
use crate::dvfs::{Event, EventKind};
use crate::sim::trace::TraceFrame;
use std::fmt::Debug;

/// Whatever sets the clocks.
pub trait Method: Debug {
    /// Takes an event in. [`poll`](Self::poll) then acts on it.
    fn event(&mut self, event: Event, board: &mut SimBoard);

    /// Acts on what is due now; returns when to be called next, if no event comes
    /// before.
    fn poll(&mut self, now_ns: u64, board: &mut SimBoard) -> u64;
}

/// The clocks stay as they are.
#[derive(Clone, Copy, Debug)]
pub struct Untouched;

impl Method for Untouched {
    fn event(&mut self, _: Event, _: &mut SimBoard) {}

    fn poll(&mut self, _: u64, _: &mut SimBoard) -> u64 {
        u64::MAX
    }
}

/// When frames come and have to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one frame to the next, ns.
    pub interval_ns: u64,
    /// From arrival to answer, ns.
    pub deadline_ns: u64,
}

/// A stream under way.
#[derive(Debug)]
pub struct Stream<'a> {
    /// The board.
    pub board: SimBoard,
    method: Box<dyn Method + 'a>,
    pace: Pace,
    wake_ns: u64,
    /// When the next frame arrives.
    arrives_ns: u64,
    frame: u64,
}

impl<'a> Stream<'a> {
    /// A stream whose first frame comes one interval from now.
    #[must_use]
    pub fn new(board: SimBoard, method: Box<dyn Method + 'a>, pace: Pace) -> Self {
        Self {
            arrives_ns: board.now_ns() + pace.interval_ns,
            wake_ns: board.now_ns(),
            board,
            method,
            pace,
            frame: 0,
        }
    }

    /// Frames that still wait are forgotten; the next one comes one interval from now.
    pub fn restart(&mut self) {
        self.arrives_ns = self.board.now_ns() + self.pace.interval_ns;
    }

    /// Runs `frames`, up to when the one after the last arrives.
    pub fn run<'f>(&mut self, frames: impl Iterator<Item = &'f TraceFrame>, outcome: &mut Outcome) {
        let (start_ns, start_j) = (self.board.now_ns(), self.board.energy_j());
        for frame in frames {
            self.frame(frame, outcome);
        }
        self.idle_until(self.arrives_ns);
        let span_ns = self.board.now_ns() - start_ns;
        outcome.span(span_ns, self.board.energy_j() - start_j);
    }

    fn frame(&mut self, frame: &TraceFrame, outcome: &mut Outcome) {
        let captured_ns = self.arrives_ns;
        self.arrives_ns += self.pace.interval_ns;
        self.idle_until(captured_ns);
        let mut work_j = 0.0;
        for segment in 0..=frame.exit {
            self.tell(EventKind::Started {
                segment,
                sample: self.frame,
                captured_ns,
            });
            work_j += self.segment(segment.into());
        }
        self.tell(EventKind::Left {
            exit: frame.exit,
            first_gate: frame.exits[0].gate,
        });
        let latency_ns = self.board.now_ns() - captured_ns;
        outcome.frame(frame, latency_ns, self.pace.deadline_ns, work_j);
        self.frame += 1;
    }

    /// Runs a segment; its energy, J.
    fn segment(&mut self, segment: usize) -> f64 {
        if !self.board.begin(segment) {
            return 0.0;
        }
        loop {
            if let Some(ran) = self.board.advance(self.wake_ns) {
                return ran.energy_j;
            }
            self.poll();
        }
    }

    fn tell(&mut self, kind: EventKind) {
        let at_ns = self.board.now_ns();
        let event = Event {
            at_ns,
            frame: self.frame,
            kind,
        };
        self.method.event(event, &mut self.board);
        self.poll();
    }

    fn poll(&mut self) {
        let now_ns = self.board.now_ns();
        // A later time at least, so that time passes.
        self.wake_ns = self.method.poll(now_ns, &mut self.board).max(now_ns + 1);
    }

    fn idle_until(&mut self, until_ns: u64) {
        while self.wake_ns < until_ns {
            self.board.wait(self.wake_ns);
            self.poll();
        }
        self.board.wait(until_ns);
    }
}
