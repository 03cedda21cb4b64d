//! The rig of this machine: clocks, an engine with a bundle's segments and heads, and
//! a power sensor.
//!
//! Guarantees: segments run on what the segments before them computed. Not guaranteed:
//! that nothing else runs on the machine meanwhile; that shows as spread.

use super::rig::{Brought, Rig, Stretch, Work};
use crate::clocks::Limiter;
use crate::dvfs::{AXES, Board, Clocks, Leads, State, Way};
use crate::engine::bundle::Bundle;
use crate::engine::{Engine, EngineError, Segment, SegmentIo};
use crate::gates::Gates;
use crate::monotonic::now_ns;
use crate::plan::random::Random;
use crate::plan::{Axis, ClockPoint};
use crate::power::{Figure, Sampler};
use crate::stop::Stop;
use std::time::Duration;

/// A clock that has not come by then will not.
const PATIENCE_NS: u64 = 3_000_000_000;
const LOOK: Duration = Duration::from_micros(200);

/// A segment with its buffers.
#[derive(Debug)]
struct Loaded {
    segment: Box<dyn Segment>,
    io: Option<SegmentIo>,
    pooled: Vec<f32>,
}

/// This machine.
#[derive(Debug)]
pub struct RealRig {
    clocks: Clocks,
    leads: Leads,
    segments: Vec<Loaded>,
    gates: Gates,
    sampler: Sampler,
    stop: Stop,
    wish: [Option<usize>; AXES],
}

impl RealRig {
    /// Loads the segments and runs each once.
    ///
    /// # Errors
    /// The engine's.
    pub fn new(
        clocks: Clocks,
        leads: Leads,
        (engine, bundle, gates): (&dyn Engine, &Bundle, Gates),
        sampler: Sampler,
        stop: Stop,
    ) -> Result<Self, EngineError> {
        let mut segments = Vec::new();
        for (index, spec) in bundle.manifest().segments.iter().enumerate() {
            let io = SegmentIo::new(engine, spec)?;
            segments.push(Loaded {
                segment: engine.load(bundle, index)?,
                pooled: vec![0.0; io.pooled.len()],
                io: Some(io),
            });
        }
        let mut rig = Self {
            clocks,
            leads,
            segments,
            gates,
            sampler,
            stop,
            wish: [None; AXES],
        };
        rig.fill()?;
        Ok(rig)
    }

    /// Gives every segment an input as it occurs: an image of noise, and what the
    /// segments make of it.
    fn fill(&mut self) -> Result<(), EngineError> {
        let mut random = Random::new(1, 0x5046);
        let first = self.segments.first().and_then(|s| s.io.as_ref());
        let len = first.map_or(0, |io| io.input.len());
        #[expect(clippy::cast_possible_truncation, reason = "from -1 to 1")]
        let mut map: Vec<f32> = (0..len)
            .map(|_| (2.0 * random.uniform() - 1.0) as f32)
            .collect();
        for loaded in &mut self.segments {
            if let Some(io) = &mut loaded.io {
                io.input.write_from(&map)?;
            }
            loaded.run()?;
            let Some(io) = &loaded.io else { continue };
            io.pooled.read_into(&mut loaded.pooled)?;
            if let Some(output) = &io.output {
                map.resize(output.len(), 0.0);
                output.read_into(&mut map)?;
            }
        }
        Ok(())
    }

    /// The clocks that can be set, as levels of each axis.
    #[must_use]
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// Readies the head of segment `k`'s exit.
    fn ready(&mut self, k: usize) -> Result<(), String> {
        self.gates.begin_frame();
        for (exit, loaded) in self.segments.iter().enumerate().take(k) {
            let done = self.gates.evaluate(exit, &loaded.pooled);
            done.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn once(&mut self, k: usize) -> Result<(), String> {
        let loaded = &mut self.segments[k];
        loaded.run().map_err(|error| error.to_string())?;
        if let Some(io) = &loaded.io {
            let read = io.pooled.read_into(&mut loaded.pooled);
            read.map_err(|error| error.to_string())?;
        }
        let judged = self.gates.evaluate(k, &loaded.pooled);
        judged.map_err(|error| error.to_string())?;
        self.gates.repeat_exit(k);
        Ok(())
    }

    fn state(&mut self, axis: usize, state: State) -> Option<Brought> {
        match state {
            State::InEffect | State::Pending | State::Unverified => None,
            State::Clamped { level, by } => {
                let mut khz = [0; AXES];
                khz[axis] = self.clocks.levels(axis).get(level).copied().unwrap_or(0);
                Some(Brought::Held {
                    allowed: ClockPoint::new(khz),
                    by: by.to_string(),
                })
            }
            State::Refused(why) => Some(Brought::Refused(format!(
                "the {} clock is not taken ({why}); e4 doctor says what is missing",
                Axis::ALL[axis].column().trim_end_matches("_khz")
            ))),
        }
    }

    /// Waits until an axis is at what was asked for.
    fn settle(&mut self, axis: usize, from: Option<usize>, to: usize) -> Option<Brought> {
        let asked_ns = now_ns();
        let mut state = self.clocks.set(axis, to, asked_ns).state;
        while state == State::Pending && now_ns() < asked_ns + PATIENCE_NS {
            std::thread::sleep(LOOK);
            state = self.clocks.check(axis, now_ns()).state;
        }
        if state == State::Pending {
            let level = self.clocks.allowed(axis);
            let by = Limiter::Hardware;
            state = State::Clamped { level, by };
        }
        if state == State::Unverified {
            let way = match from {
                Some(from) if from > to => Way::Down,
                _ => Way::Up,
            };
            std::thread::sleep(Duration::from_nanos(self.leads.time(axis, way).high));
        }
        self.state(axis, state)
    }
}

impl Loaded {
    fn run(&mut self) -> Result<(), EngineError> {
        let Some(io) = self.io.take() else {
            return Ok(());
        };
        let started = self.segment.enqueue(io);
        let ended = started.and_then(|()| self.segment.wait());
        match ended {
            Ok(io) => {
                self.io = Some(io);
                Ok(())
            }
            Err(failed) => {
                self.io = failed.io;
                Err(failed.error)
            }
        }
    }
}

impl Rig for RealRig {
    fn segments(&self) -> usize {
        self.segments.len()
    }

    fn now_ns(&mut self) -> u64 {
        now_ns()
    }

    fn bring(&mut self, point: ClockPoint) -> Brought {
        for axis in 0..AXES {
            let khz = point.khz()[axis];
            let Ok(level) = self.clocks.levels(axis).binary_search(&khz) else {
                continue;
            };
            let from = self.wish[axis].replace(level);
            if from == Some(level) {
                continue;
            }
            if let Some(odd) = self.settle(axis, from, level) {
                // It is asked for anew next time.
                self.wish[axis] = None;
                return odd;
            }
        }
        // No reading may blur over the change.
        std::thread::sleep(Duration::from_nanos(self.window_ns()));
        self.holds()
    }

    fn holds(&mut self) -> Brought {
        for axis in 0..AXES {
            let Some(level) = self.wish[axis] else {
                continue;
            };
            let now = now_ns();
            let allowed = self.clocks.allowed(axis);
            let state = match self.clocks.check(axis, now).state {
                State::Unverified | State::InEffect if allowed < level => State::Clamped {
                    level: allowed,
                    by: Limiter::Other,
                },
                state => state,
            };
            if let Some(odd) = self.state(axis, state) {
                self.wish[axis] = None;
                return odd;
            }
        }
        Brought::There
    }

    fn run(&mut self, work: Work, ns: u64) -> Result<Stretch, String> {
        let Work::Segment(segment) = work else {
            let from_ns = now_ns();
            std::thread::sleep(Duration::from_nanos(ns));
            return Ok(Stretch {
                from_ns,
                to_ns: now_ns(),
                ..Stretch::default()
            });
        };
        self.ready(segment)?;
        self.once(segment)?;
        let from_ns = now_ns();
        let mut stretch = Stretch {
            from_ns,
            to_ns: from_ns,
            ..Stretch::default()
        };
        while stretch.to_ns < from_ns.saturating_add(ns) && !self.stop.is_raised() {
            let began_ns = stretch.to_ns;
            self.once(segment)?;
            stretch.to_ns = now_ns();
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
            let seconds = (stretch.to_ns - began_ns) as f64 / 1e9;
            stretch.runs += 1;
            stretch.sum_s += seconds;
            stretch.squares_s2 += seconds * seconds;
        }
        Ok(stretch)
    }

    fn energy(&mut self, stretch: &Stretch) -> Option<Figure> {
        self.sampler.settled(stretch.from_ns, stretch.to_ns)
    }

    fn window_ns(&self) -> u64 {
        self.sampler.facts().window.span_ns()
    }

    fn complaint(&self) -> Option<String> {
        self.sampler.complaint()
    }

    fn goes_on(&self) -> bool {
        !self.stop.is_raised()
    }
}
