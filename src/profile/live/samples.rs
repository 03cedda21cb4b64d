//! A probe under way, and what it saw once it is over.

use super::Meter;
use super::attribute::{Powers, Slice, Told, powers};
use super::frames::{LiveFrame, seconds, times};
use crate::plan::ClockPoint;
use crate::plan::cost::{Cost, Idle, Row, Source};
use crate::profile::point::Measured;
use crate::profile::progress::Probe;

/// Frames of a probe, at least.
pub(super) const FRAMES: usize = 4;

/// A probe under way.
#[derive(Debug)]
pub(super) struct Running {
    pub point: ClockPoint,
    pub since_ns: u64,
    /// From when on frames run at the point.
    from_ns: Option<u64>,
    pub frames: Vec<LiveFrame>,
    pub ended_ns: Option<u64>,
    late: usize,
}

impl Running {
    /// Asked for at `now_ns`.
    pub fn new(point: ClockPoint, now_ns: u64) -> Self {
        Self {
            point,
            since_ns: now_ns,
            from_ns: None,
            frames: Vec::new(),
            ended_ns: None,
            late: 0,
        }
    }

    pub fn take(&mut self, frame: LiveFrame, is_late: bool, settle_ns: u64) {
        if self.ended_ns.is_some() {
            return;
        }
        if frame.asked != self.point {
            // Not there yet, or taken away.
            self.from_ns = None;
            self.frames.clear();
            return;
        }
        let from_ns = *self
            .from_ns
            .get_or_insert(frame.left_ns.saturating_add(settle_ns));
        if frame.captured_ns >= from_ns {
            self.late += usize::from(is_late);
            self.frames.push(frame);
        }
    }

    /// More than a quarter of the frames, and at least two, were late.
    pub fn is_late(&self) -> bool {
        self.late >= 2 && 4 * self.late > self.frames.len()
    }

    pub fn is_over(&self, least_ns: u64) -> bool {
        let long = self.span().is_some_and(|(from, to)| to - from >= least_ns);
        long && self.frames.len() > FRAMES
    }

    /// From the end of the first whole frame to that of the last.
    pub fn span(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.frames.first()?, self.frames.last()?);
        (last.left_ns > first.left_ns).then_some((first.left_ns, last.left_ns))
    }

    /// Runs of whole frames that are long enough for the sensor.
    pub fn slices(&self, segments: usize, meter: &mut dyn Meter) -> Vec<Slice> {
        let least_ns = 2 * meter.window_ns();
        let mut slices = Vec::new();
        let mut from = 0;
        for to in 1..self.frames.len() {
            let (first, last) = (self.frames[from].left_ns, self.frames[to].left_ns);
            if last.saturating_sub(first) < least_ns {
                continue;
            }
            if let Some(figure) = meter.energy(first, last) {
                let mut busy_s = vec![0.0; segments];
                for frame in &self.frames[from + 1..=to] {
                    for (sum, s) in busy_s.iter_mut().zip(frame.segment_s) {
                        *sum += s;
                    }
                }
                slices.push(Slice {
                    seconds: seconds(last - first),
                    joules: figure.joules,
                    busy_s,
                });
            }
            from = to;
        }
        slices
    }
}

/// What a probe saw.
#[derive(Debug)]
pub(super) struct Sample {
    pub point: ClockPoint,
    pub frames: Vec<LiveFrame>,
    pub slices: Vec<Slice>,
    pub mean_w: f64,
    /// By how much that can be off, as a share.
    pub bar: f64,
    pub seconds: f64,
}

/// All probes, in all of which as much is told apart.
pub(super) fn alike(
    samples: &[Sample],
    macs: &[f64],
    others: &[Probe],
) -> (Vec<Probe>, Option<Told>) {
    let mut told = Told::Segments;
    loop {
        let each = samples.iter().map(|s| s.probe(macs, others, told));
        let (probes, levels): (Vec<Probe>, Vec<Told>) = each.unzip();
        let Some(least) = levels.into_iter().min() else {
            return (Vec::new(), None);
        };
        if least == told {
            return (probes, Some(told));
        }
        told = least;
    }
}

impl Sample {
    /// What it says of segments of so much work, told apart so far at most; and how far
    /// they were. `others` help where no frame came to a segment.
    pub fn probe(&self, macs: &[f64], others: &[Probe], most: Told) -> (Probe, Told) {
        let found = powers(&self.slices, macs.len(), self.mean_w, most);
        let measured = self.measured(macs, others, &found);
        (Probe::new(self.point, measured, self.seconds), found.told)
    }

    fn measured(&self, macs: &[f64], others: &[Probe], found: &Powers) -> Measured {
        let own: Vec<_> = (0..macs.len()).map(|k| times(&self.frames, k)).collect();
        let bar = self.bar;
        let rows = (0..macs.len()).map(|k| {
            let (latency_s, samples) = own[k].unwrap_or_else(|| guess(&own, macs, others, k));
            let watts = found.segment_w[k];
            Row {
                segment: u32::try_from(k).unwrap_or(u32::MAX),
                point: self.point,
                latency_s,
                energy_j: Cost {
                    mean: (watts * latency_s.mean).max(f64::MIN_POSITIVE),
                    spread: watts * latency_s.mean * bar.max(found.off),
                },
                samples,
                source: Source::Measured,
            }
        });
        let idle_w = found.idle_w.max(0.0);
        Measured {
            rows: rows.collect(),
            idle: Idle::at(self.point, idle_w, bar * idle_w),
            spent_j: 0.0,
            notes: Vec::new(),
        }
    }
}

/// The time of a segment that no frame of a probe came to: as another probe has it,
/// scaled by what both have; else by the work in it.
fn guess(own: &[Option<(Cost, u32)>], macs: &[f64], others: &[Probe], k: usize) -> (Cost, u32) {
    let known: f64 = own.iter().flatten().map(|(cost, _)| cost.mean).sum();
    let with = |mean: f64, spread: f64| {
        let cost = Cost {
            mean,
            spread: spread * mean,
        };
        (cost, 1)
    };
    let other = others.iter().find_map(|probe| {
        let rows: Vec<Row> = probe.rows().collect();
        let real = rows.get(k).is_some_and(|row| row.samples > 1);
        let both = own.iter().zip(&rows).filter(|(own, _)| own.is_some());
        let theirs: f64 = both.map(|(_, row)| row.latency_s.mean).sum();
        (real && theirs > 0.0).then(|| rows[k].latency_s.mean * known / theirs)
    });
    if let Some(mean) = other {
        return with(mean, 0.1);
    }
    let both = own.iter().zip(macs).filter(|(own, _)| own.is_some());
    let work: f64 = both.map(|(_, macs)| macs).sum();
    with(known * macs[k] / work.max(1.0), 0.25)
}
