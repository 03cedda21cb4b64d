//! The steps that take one pass over a map.

use super::super::super::graph::{Op, Pool, Tensor};
use super::super::super::kernels::Offsets;
use super::super::super::map::Slot;
use super::super::kernels::{Bounds, Scale8, Sum8, Window8, zipped};
use super::super::map::Map8;
use super::super::reference::{Planes, Reads, compute};
use super::{Scene8, StepError, bytes};

/// Largest group of channels.
const GROUP: usize = 64;

fn scale(map: &Map8) -> Scale8 {
    Scale8 {
        zero: map.quant.zero,
        step: map.quant.step,
    }
}

/// Planar floats as a map.
#[derive(Debug)]
pub(in super::super) struct Import {
    /// `None`: the network's input.
    pub from: Option<Slot>,
    pub out: Map8,
    pub off: Offsets,
}

impl Import {
    pub fn run(&self, scene: &mut Scene8<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let ([from, out], input) = scene.take([self.from, Some(self.out.slot)])?;
        let planes = if self.from.is_some() { &*from } else { input };
        let out = bytes(out);
        self.out.fill_border(out, kernels.flip());
        let channels = self.out.size.c;
        Ok(kernels.import(planes, channels, out, &self.off, scale(&self.out))?)
    }
}

/// A map as planar floats.
#[derive(Debug)]
pub(in super::super) struct Export {
    pub x: Map8,
    pub off: Offsets,
    pub out: Slot,
}

impl Export {
    pub fn run(&self, scene: &mut Scene8<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let ([x, out], _) = scene.take([Some(self.x.slot), Some(self.out)])?;
        let channels = self.x.size.c;
        Ok(kernels.export(bytes(x), &self.off, scale(&self.x), channels, out)?)
    }
}

/// A sum of two maps.
#[derive(Debug)]
pub(in super::super) struct Sum {
    pub a: Map8,
    pub b: Map8,
    pub out: Map8,
    pub bounds: Bounds,
}

impl Sum {
    pub fn run(&self, scene: &mut Scene8<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let own = Some(self.b.slot).filter(|slot| *slot != self.a.slot);
        let ([a, own, out], _) = scene.take([Some(self.a.slot), own, Some(self.out.slot)])?;
        let (a, own, out) = (&*bytes(a), &*bytes(own), bytes(out));
        let b = if self.b.slot == self.a.slot { a } else { own };
        self.out.fill_border(out, kernels.flip());
        let step = self.out.quant.step;
        // Rows lie in slack of a group at least, so that the last group may overlap the one
        // before, or a short row be computed as a whole group.
        let (len, group) = (self.out.size.w * self.out.pixel, kernels.group());
        let mut sum = |y: usize, x: usize, len: usize| {
            let at = |map: &Map8| map.at(y, 0) + x;
            kernels.sum(&mut Sum8 {
                a: a.get(at(&self.a)..).unwrap_or_default(),
                b: b.get(at(&self.b)..).unwrap_or_default(),
                out: out
                    .get_mut(at(&self.out)..)
                    .and_then(|out| out.get_mut(..len))
                    .unwrap_or_default(),
                zero: (self.a.quant.zero, self.b.quant.zero),
                scale: (self.a.quant.step / step, self.b.quant.step / step),
                bounds: self.bounds,
            })
        };
        for y in 0..self.out.size.h {
            let whole = len / group * group;
            sum(y, 0, whole)?;
            if whole < len {
                sum(y, len.saturating_sub(group), group)?;
            }
        }
        // A short row has run into the border behind it.
        if len < group {
            self.out.fill_border(out, kernels.flip());
        }
        Ok(())
    }
}

/// Where means go.
#[derive(Debug)]
pub(in super::super) enum Pooled {
    Map(Map8, Bounds),
    /// Planar floats.
    Floats(Slot),
}

/// Averages over windows.
#[derive(Debug)]
pub(in super::super) struct PoolStep {
    pub x: Map8,
    pub out: Pooled,
    pub size: Tensor,
    pub pool: Pool,
}

impl PoolStep {
    pub fn run(&self, scene: &mut Scene8<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let (slot, step) = match &self.out {
            Pooled::Map(map, _) => (map.slot, map.quant.step),
            Pooled::Floats(slot) => (*slot, 1.0),
        };
        let ([x, out], _) = scene.take([Some(self.x.slot), Some(slot)])?;
        let x = bytes(x);
        if let Pooled::Map(map, _) = &self.out {
            map.fill_border(bytes(out), kernels.flip());
        }
        let channels = || (0..self.size.c).step_by(kernels.group());
        for p in 0..self.size.pixels() {
            let (first, size, count) = self.meeting(p / self.size.w, p % self.size.w);
            for channel in channels() {
                let window = Window8 {
                    src: x
                        .get(self.x.at(first.0, first.1) + channel..)
                        .unwrap_or_default(),
                    from: self.x.steps(),
                    size,
                    zero: self.x.quant.zero,
                    scale: self.x.quant.step / step / count,
                };
                match &self.out {
                    Pooled::Map(map, bounds) => {
                        let mut group = [0; GROUP];
                        kernels.pool(&window, &mut group, *bounds)?;
                        let at = map.at(p / self.size.w, p % self.size.w) + channel;
                        let real = kernels.group().min(map.pixel - channel);
                        bytes(out)[at..at + real].copy_from_slice(&group[..real]);
                    }
                    Pooled::Floats(_) => {
                        let mut group = [0.0; GROUP];
                        kernels.pool_floats(&window, &mut group)?;
                        self.spread(&group[..kernels.group()], channel, p, out);
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the zipped `group` of channels from `channel` on as planar values of pixel
    /// `p`.
    fn spread(&self, group: &[f32], channel: usize, p: usize, out: &mut [f32]) {
        let lanes = group.len() / 4;
        for (k, value) in group.iter().enumerate() {
            let c = channel + zipped(k / lanes, k % lanes);
            if c < self.size.c {
                out[c * self.size.pixels() + p] = *value;
            }
        }
    }

    /// First pixel, size and divisor of the window at output pixel `(oy, ox)`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "far fewer than 2^24 pixels matter"
    )]
    fn meeting(&self, oy: usize, ox: usize) -> ((usize, usize), (usize, usize), f32) {
        let window = self.pool.window;
        let along = |o: usize, stride: usize, kernel: usize, pad: usize, size: usize| {
            let from = (o * stride).saturating_sub(pad).min(size);
            let to = (o * stride + kernel).saturating_sub(pad).min(size);
            (from, to - from)
        };
        let (pads, of) = (window.pads, self.x.size);
        let (y, rows) = along(oy, window.stride.0, window.kernel.0, pads.top, of.h);
        let (x, columns) = along(ox, window.stride.1, window.kernel.1, pads.left, of.w);
        let count = if self.pool.count_padding {
            window.kernel.0 * window.kernel.1
        } else {
            rows * columns
        };
        ((y, x), (rows, columns), count as f32)
    }
}

/// Any function of one value, through a table of what is stored.
#[derive(Debug)]
pub(in super::super) struct Lookup {
    pub x: Map8,
    pub out: Map8,
    pub table: [u8; 256],
}

impl Lookup {
    pub fn run(&self, scene: &mut Scene8<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let ([x, out], _) = scene.take([Some(self.x.slot), Some(self.out.slot)])?;
        let (x, out) = (bytes(x), bytes(out));
        self.out.fill_border(out, kernels.flip());
        let channels = self.out.size.c;
        for y in 0..self.out.size.h {
            for column in 0..self.out.size.w {
                let (from, to) = (self.x.at(y, column), self.out.at(y, column));
                let values = &x[from..from + channels];
                for (to, from) in out[to..to + channels].iter_mut().zip(values) {
                    *to = self.table[usize::from(*from)];
                }
            }
        }
        Ok(())
    }
}

/// A node on floats that no kernel takes.
#[derive(Debug)]
pub(in super::super) struct Single {
    pub op: Op,
    /// Places that are read, each once, with what they hold.
    pub places: [Option<(Slot, Tensor)>; 4],
    /// Which of those the two inputs, the residual and the gate are.
    pub reads: [Option<usize>; 4],
    pub out: (Slot, Tensor),
}

impl Single {
    pub fn run(&self, scene: &mut Scene8<'_>) -> Result<(), StepError> {
        let [a, b, c, d] = self.places.map(|place| place.map(|(slot, _)| slot));
        let ([a, b, c, d, out], _) = scene.take([a, b, c, d, Some(self.out.0)])?;
        let values: [&[f32]; 4] = [a, b, c, d];
        let planes = self.reads.map(|read| {
            let i = read?;
            let (_, size) = self.places[i]?;
            let values = values[i].get(..size.c * size.pixels())?;
            Some(Planes { values, size })
        });
        let reads = Reads {
            inputs: [planes[0], planes[1]],
            residual: planes[2],
            gate: planes[3],
        };
        let (_, size) = self.out;
        compute(&self.op, &reads, &mut out[..size.c * size.pixels()], size);
        Ok(())
    }
}
