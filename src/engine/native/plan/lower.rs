//! Steps from nodes.

use super::super::graph::{Conv, Node, Op, Reach, Tensor, TensorId};
use super::super::kernels::{Kernels, Offsets, Pixel, Run, Runs};
use super::super::map::{Map, plane};
use super::super::pack::{Panels, Taps};
use super::super::step::{
    Block, Dense, DenseStep, Gate, Gating, Pointwise, PoolStep, Product, Project, Ring, Scaled,
    Source, Step, Sum,
};
use super::super::{Refusal, broken};
use super::{MAX_PLANAR, Planner, Role, too_large};

/// Largest ring of one panel, in bytes, that holds a whole image: it should stay
/// in the first-level cache.
const WHOLE_RING: usize = 64 << 10;
/// Largest depthwise output, in bytes, that is kept whole between two products:
/// it should stay in the second-level cache.
const WHOLE_STRIP: usize = 640 << 10;
/// Bytes of one panel's ring for a strip.
const STRIP_RING: usize = 48 << 10;
/// Bytes of a strip of the depthwise output.
const STRIP: usize = 256 << 10;

/// A place as kernels take it.
fn place(at: usize) -> Result<u32, Refusal> {
    u32::try_from(at).map_err(|_| too_large(at))
}

/// A pixel of a blocked map: its blocks, the last one as far as it is real.
fn blocked_runs(channels: usize, plane: usize, lanes: usize) -> Result<Runs, Refusal> {
    let blocks = 0..channels.div_ceil(lanes);
    let runs = blocks.map(|block| {
        Ok(Run {
            offset: place(block * plane)?,
            count: place(lanes.min(channels - block * lanes))?,
        })
    });
    Ok(Runs::new(runs.collect::<Result<_, Refusal>>()?))
}

fn natural(inner: usize) -> Vec<usize> {
    (0..inner).collect()
}

/// How the strips of a depthwise convolution are cut.
struct Cut {
    /// Output rows of a strip.
    rows: usize,
    /// Input rows in the ring.
    capacity: usize,
    /// Pixels of a padded row.
    columns: usize,
    /// The ring holds all rows, of one panel at a time.
    whole: bool,
}

impl Planner<'_> {
    pub(super) fn lower_all(&mut self) -> Result<(), Refusal> {
        let graph = self.graph;
        for (i, node) in graph.nodes.iter().enumerate() {
            match self.roles[i] {
                Role::Own => self.lower(node)?,
                Role::Projects(depthwise) => {
                    self.block(&graph.nodes[depthwise], Some(node))?;
                }
                Role::Feeds | Role::FedInto | Role::Mean => {}
            }
        }
        Ok(())
    }

    fn lower(&mut self, node: &Node) -> Result<(), Refusal> {
        match &node.op {
            Op::Conv(conv) if conv.reach == Reach::Depthwise => self.block(node, None),
            Op::Conv(conv) if conv.window.is_pointwise() => self.product(node, conv),
            Op::Conv(conv) => self.dense_step(node, conv),
            Op::Act(act) | Op::Add(act) => {
                let a = self.read(node.inputs[0])?;
                let b = node.inputs.get(1).map(|&b| self.read(b)).transpose()?;
                let out = self.make(node.output)?;
                let act = *act;
                self.push(Step::Sum(Sum { a, b, out, act }))
            }
            Op::Gate(act) => {
                let x = self.read(node.inputs[0])?;
                let by = self.read(node.inputs[1])?;
                let out = self.make(node.output)?;
                let act = *act;
                self.push(Step::Gate(Gate { x, by, out, act }))
            }
            Op::Pool(pool) => {
                let x = self.read(node.inputs[0])?;
                let out = self.make(node.output)?;
                let pool = *pool;
                self.push(Step::Pool(PoolStep { x, out, pool }))
            }
            Op::Affine { .. } | Op::Quantise(_) | Op::Dequantise(_) => {
                Err(broken(format!("{} was left over", node.name)))
            }
        }
    }

    fn push(&mut self, step: Step) -> Result<(), Refusal> {
        self.steps.push(step);
        Ok(())
    }

    fn panels(&self, conv: &Conv, order: &[usize]) -> Panels {
        Panels::pack(&conv.weights, &conv.bias, order, self.kernels.lanes())
    }

    fn product(&mut self, node: &Node, conv: &Conv) -> Result<(), Refusal> {
        let x = self.read(node.inputs[0])?;
        let residual = conv.residual.map(|t| self.read(t)).transpose()?;
        let by = conv.gate.map(|t| self.read(t)).transpose()?;
        let out = self.make(node.output)?;
        let panels = self.panels(conv, &natural(x.c));
        let gate = match by {
            None => None,
            Some(by) => {
                let (scaled, len) = if x.len() < panels.weights.len() {
                    (Scaled::Input, x.len())
                } else {
                    (Scaled::Weights, panels.weights.len())
                };
                Some(Gating {
                    by,
                    scratch: self.need(len)?,
                    scaled,
                })
            }
        };
        self.push(Step::Product(Box::new(Product {
            x,
            out,
            runs: blocked_runs(x.c, x.plane, x.lanes)?,
            off: out.offsets(),
            panels,
            act: conv.act,
            residual,
            gate,
        })))
    }

    fn dense_step(&mut self, node: &Node, conv: &Conv) -> Result<(), Refusal> {
        let residual = conv.residual.map(|t| self.read(t)).transpose()?;
        let size = self.graph.tensors[node.output];
        let mut dense = self.dense(node.inputs[0], conv, size.w)?;
        let out = self.make(node.output)?;
        dense.off = out.offsets();
        self.push(Step::Dense(Box::new(DenseStep {
            dense,
            out,
            residual,
        })))
    }

    /// A dense convolution into rows of `width`; where they go is still open.
    fn dense(&mut self, input: TensorId, conv: &Conv, width: usize) -> Result<Dense, Refusal> {
        let of = self.graph.tensors[input];
        let planar = input == self.graph.input && of.c <= MAX_PLANAR;
        let x = match planar {
            true => None,
            false => Some(self.read(input)?),
        };
        let lanes = self.kernels.lanes();
        let lane = if planar { 1 } else { lanes };
        let units = of.c.div_ceil(lane);
        let (kh, kw) = conv.window.kernel;
        let (order, counts) = dense_order(of.c, (kh, kw), lane);
        let runs = counts.iter().map(|&count| {
            let count = place(count)?;
            Ok(Run { offset: 0, count })
        });
        let step = conv.window.stride.1 * lane;
        let pads = conv.window.pads;
        let columns = (of.w + pads.left).max((width - 1) * conv.window.stride.1 + kw);
        let mut dense = Dense {
            x,
            size: (of.h, of.w),
            width,
            window: conv.window,
            ring: 0,
            units,
            lane,
            pitch: columns * lane,
            runs: Runs::new(runs.collect::<Result<_, Refusal>>()?),
            pixel: match step {
                2 if planar => Pixel::Two,
                step if step == lanes => Pixel::Blocked,
                step => Pixel::Strided(step),
            },
            panels: self.panels(conv, &order),
            off: Offsets::default(),
            act: conv.act,
        };
        place(dense.ring_len())?;
        dense.ring = self.need(dense.ring_len())?;
        Ok(dense)
    }

    /// A depthwise convolution with what feeds it and what projects it.
    fn block(&mut self, node: &Node, project: Option<&Node>) -> Result<(), Refusal> {
        let Op::Conv(conv) = &node.op else {
            return Err(broken(format!("{} is no convolution", node.name)));
        };
        let graph = self.graph;
        let (input, lanes) = (node.inputs[0], self.kernels.lanes());
        let (shape, size) = (graph.tensors[input], graph.tensors[node.output]);
        let feeder = match self.maker[input] {
            Some(i) if self.roles[i] == Role::Feeds => Some(&graph.nodes[i]),
            _ => None,
        };
        let cut = cut(conv, shape, size, lanes, project.is_some());
        let ring = self.ring(conv, shape, &cut, feeder)?;
        let rows = (0..shape.h).map(|iy| place(ring.row(iy)));
        let rows = Offsets::new(rows.collect::<Result<_, _>>()?);
        let source = match feeder {
            None => Source::Copy(self.read(input)?),
            Some(feeder) => self.source(feeder, &ring, shape)?,
        };
        let residual = match project.map(|p| &p.op) {
            Some(Op::Conv(conv)) => conv.residual.map(|t| self.read(t)).transpose()?,
            _ => None,
        };
        let mean = self.mean_of(node.output)?;
        let out = self.make(project.unwrap_or(node).output)?;
        let project = match project.map(|p| &p.op) {
            Some(Op::Conv(project)) => {
                Some(self.project(project, (size.c, cut.rows * size.w), residual, out)?)
            }
            _ => None,
        };
        self.push(Step::Block(Box::new(Block {
            source,
            shape: (shape.c, shape.h, shape.w),
            ring,
            rows,
            window: conv.window,
            taps: Taps::pack(&conv.weights, &conv.bias, lanes),
            act: conv.act,
            size: (size.h, size.w),
            strip_rows: cut.rows,
            mean,
            out,
            project,
        })))
    }

    /// The ring of padded rows between a depthwise convolution and its input.
    fn ring(
        &mut self,
        conv: &Conv,
        shape: Tensor,
        cut: &Cut,
        feeder: Option<&Node>,
    ) -> Result<Ring, Refusal> {
        let lanes = self.kernels.lanes();
        let feeds_panels =
            feeder.is_some_and(|f| matches!(&f.op, Op::Conv(c) if c.window.is_pointwise()));
        let all = shape.c.div_ceil(lanes);
        let blocks = if cut.whole && feeds_panels {
            all.min(Kernels::MAX_NV)
        } else {
            all
        };
        let plane = plane(cut.capacity * cut.columns, lanes);
        let len = blocks.saturating_mul(plane);
        place(len)?;
        Ok(Ring {
            slot: self.need(len)?,
            capacity: cut.capacity,
            pitch: cut.columns * lanes,
            left: conv.window.pads.left * lanes,
            plane,
            blocks,
            lanes,
        })
    }

    /// What fills `ring` with a feature map of `shape`.
    fn source(&mut self, feeder: &Node, ring: &Ring, shape: Tensor) -> Result<Source, Refusal> {
        let Op::Conv(conv) = &feeder.op else {
            return Err(broken(format!("{} is no convolution", feeder.name)));
        };
        let pixel = |p: usize| ring.row(p / shape.w) + ring.left + p % shape.w * ring.lanes;
        let off = (0..shape.pixels()).map(|p| place(pixel(p)));
        let off = Offsets::new(off.collect::<Result<_, _>>()?);
        if conv.window.is_pointwise() {
            let x = self.read(feeder.inputs[0])?;
            return Ok(Source::Pointwise(Box::new(Pointwise {
                x,
                runs: blocked_runs(x.c, x.plane, x.lanes)?,
                panels: self.panels(conv, &natural(x.c)),
                act: conv.act,
                off,
            })));
        }
        let mut dense = self.dense(feeder.inputs[0], conv, shape.w)?;
        dense.off = off;
        Ok(Source::Dense(Box::new(dense)))
    }

    /// The map of the mean of `tensor` that is made along with it.
    fn mean_of(&mut self, tensor: TensorId) -> Result<Option<Map>, Refusal> {
        let graph = self.graph;
        let means = graph.nodes.iter().zip(&self.roles);
        let mean = means
            .filter(|(node, role)| **role == Role::Mean && node.inputs == [tensor])
            .map(|(node, _)| node.output)
            .next();
        mean.map(|t| self.make(t)).transpose()
    }

    fn project(
        &mut self,
        conv: &Conv,
        (channels, pixels): (usize, usize),
        residual: Option<Map>,
        out: Map,
    ) -> Result<Project, Refusal> {
        let lanes = self.kernels.lanes();
        let plane = plane(pixels, lanes);
        let len = channels.div_ceil(lanes) * plane;
        Ok(Project {
            strip: self.need(len)?,
            plane,
            runs: blocked_runs(channels, plane, lanes)?,
            panels: self.panels(conv, &natural(channels)),
            act: conv.act,
            residual,
            off: out.offsets(),
        })
    }
}

/// The order in which a dense kernel reads a row of `[c][kh][kw]` weights, and
/// the lengths of its runs.
fn dense_order(channels: usize, (kh, kw): (usize, usize), lane: usize) -> (Vec<usize>, Vec<usize>) {
    if lane == 1 {
        return (natural(channels * kh * kw), vec![kw; channels * kh]);
    }
    let at = |c: usize, tap: usize| c * kh * kw + tap;
    let order = (0..kh * kw).flat_map(|tap| (0..channels).map(move |c| at(c, tap)));
    let blocks = (0..channels).step_by(lane).map(|c| lane.min(channels - c));
    let counts = (0..kh * kw).flat_map(|_| blocks.clone());
    (order.collect(), counts.collect())
}

fn cut(conv: &Conv, shape: Tensor, size: Tensor, lanes: usize, projected: bool) -> Cut {
    const F32: usize = size_of::<f32>();
    let (window, kernel, stride) = (conv.window, conv.window.kernel, conv.window.stride);
    let columns = (shape.w + window.pads.left).max((size.w - 1) * stride.1 + kernel.1);
    // Two blocks of channels are in the first-level cache at a time.
    let ring_row = 2 * columns * lanes * F32;
    let strip_row = size.w * shape.c.next_multiple_of(lanes) * F32;
    if shape.h.saturating_mul(ring_row) <= WHOLE_RING
        && (!projected || size.h.saturating_mul(strip_row) <= WHOLE_STRIP)
    {
        return Cut {
            rows: size.h,
            capacity: shape.h,
            columns,
            whole: true,
        };
    }
    let by_ring = (STRIP_RING / ring_row).saturating_sub(kernel.0) / stride.0 + 1;
    let by_strip = if projected { STRIP / strip_row } else { size.h };
    let rows = by_ring.min(by_strip).clamp(1, size.h);
    Cut {
        rows,
        capacity: ((rows - 1) * stride.0 + kernel.0).min(shape.h),
        columns,
        whole: false,
    }
}
