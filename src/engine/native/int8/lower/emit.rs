//! One step each.

use super::super::super::graph::{Conv, Node, Op, Quant, Reach, TensorId};
use super::super::super::kernels::{Act, Offsets, Run, Runs};
use super::super::super::map::Slot;
use super::super::super::{Refusal, broken, plan::too_large};
use super::super::map::Map8;
use super::super::pack::{Integers, Panels8, Taps8, bounds};
use super::super::reference::{act, dequantise, quantise};
use super::super::step::{
    Depthwise, Export, Import, Lookup, PoolStep, Pooled, Product, Single, Step8, Sum,
};
use super::{Lowering, MAX_WINDOW, Role};

/// Bytes of input that pass through all panels of a product at a time: a part of the
/// first-level cache.
const CHUNK: usize = 16 << 10;

fn place(at: usize) -> Result<u32, Refusal> {
    u32::try_from(at).map_err(|_| too_large(at))
}

impl Lowering<'_> {
    /// What makes the map of a QuantizeLinear: the node before it, on bytes, or the floats
    /// before it.
    pub(super) fn quantise(&mut self, node: &Node, quant: Quant) -> Result<(), Refusal> {
        if self.root[node.output] != node.output {
            return Ok(());
        }
        let input = node.inputs[0];
        if self.origin(input).is_some() {
            return self.lookup(input, Act::NONE, (node.output, quant));
        }
        let maker = self.maker[input].filter(|i| matches!(self.roles[*i], Role::Bytes(_)));
        if let Some(maker) = maker {
            return self.bytes(maker, node.output, quant);
        }
        let from = if input == self.graph.input {
            None
        } else {
            Some(self.float(input)?)
        };
        let out = self.make(node.output, quant)?;
        from.into_iter().for_each(|slot| self.touch(slot));
        self.steps.push(Step8::Import(Box::new(Import {
            from,
            off: offsets(&out)?,
            out,
        })));
        Ok(())
    }

    /// Node `i` on bytes, its result quantised.
    fn bytes(&mut self, i: usize, output: TensorId, quant: Quant) -> Result<(), Refusal> {
        let graph = self.graph;
        let node = &graph.nodes[i];
        let role = std::mem::replace(&mut self.roles[i], Role::Bytes(None));
        match (&node.op, role) {
            (Op::Conv(conv), Role::Bytes(Some(integers))) => match conv.reach {
                Reach::Dense => self.product(node, conv, &integers, (output, quant)),
                Reach::Depthwise => self.depthwise(node, conv, &integers, (output, quant)),
            },
            (Op::Add(act), _) => {
                let (a, b) = (self.read(node.inputs[0])?, self.read(node.inputs[1])?);
                let out = self.make(output, quant)?;
                let bounds = bounds(*act, quant);
                self.steps
                    .push(Step8::Sum(Box::new(Sum { a, b, out, bounds })));
                Ok(())
            }
            (Op::Pool(pool), _) => {
                let x = self.read(node.inputs[0])?;
                let out = self.make(output, quant)?;
                let size = out.size;
                self.steps.push(Step8::Pool(Box::new(PoolStep {
                    x,
                    out: Pooled::Map(out, bounds(Act::NONE, quant)),
                    size,
                    pool: *pool,
                })));
                Ok(())
            }
            (Op::Act(act), _) => self.lookup(node.inputs[0], *act, (output, quant)),
            _ => Err(broken(format!("{} was left over", node.name))),
        }
    }

    fn lookup(
        &mut self,
        input: TensorId,
        by: Act,
        (output, quant): (TensorId, Quant),
    ) -> Result<(), Refusal> {
        let x = self.read(input)?;
        let out = self.make(output, quant)?;
        let flip = self.kernels.flip();
        let mut table = [0; 256];
        for value in 0..=255_u8 {
            let real = act(by, dequantise(f32::from(value), x.quant));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 255"
            )]
            let result = quantise(real, quant) as u8;
            table[usize::from(value ^ flip)] = result ^ flip;
        }
        self.steps
            .push(Step8::Lookup(Box::new(Lookup { x, out, table })));
        Ok(())
    }

    fn product(
        &mut self,
        node: &Node,
        conv: &Conv,
        integers: &Integers,
        (output, quant): (TensorId, Quant),
    ) -> Result<(), Refusal> {
        let x = self.read(node.inputs[0])?;
        let out = self.make(output, quant)?;
        let (window, quads) = (conv.window, x.size.c.div_ceil(4));
        let (kh, kw) = window.kernel;
        let together = x.pixel == 4 * quads;
        let mut runs = Vec::new();
        for ky in 0..kh {
            let columns = if together { 1 } else { kw };
            for kx in 0..columns {
                runs.push(Run {
                    offset: place(ky * x.row() + kx * x.pixel)?,
                    count: place(if together { quads * kw } else { quads })?,
                });
            }
        }
        let reach = (kh - 1) * x.row() + (kw - 1) * x.pixel + 4 * quads;
        let corner = x.corner(window.pads);
        let at = |p: usize| {
            let (oy, ox) = (p / out.size.w, p % out.size.w);
            place(corner + oy * window.stride.0 * x.row() + ox * window.stride.1 * x.pixel)
        };
        let at = (0..out.size.pixels()).map(at).collect::<Result<_, _>>()?;
        self.steps.push(Step8::Product(Box::new(Product {
            x,
            out,
            at: Offsets::new(at),
            runs: Runs::new(runs),
            reach,
            panels: Panels8::pack(integers, kh * kw, self.kernels),
            off: offsets(&out)?,
            bounds: integers.bounds,
            chunk: (CHUNK / (4 * quads)).max(48),
        })));
        Ok(())
    }

    fn depthwise(
        &mut self,
        node: &Node,
        conv: &Conv,
        integers: &Integers,
        (output, quant): (TensorId, Quant),
    ) -> Result<(), Refusal> {
        let x = self.read(node.inputs[0])?;
        let out = self.make(output, quant)?;
        let pixel = x.pixel.min(out.pixel);
        self.steps.push(Step8::Depthwise(Box::new(Depthwise {
            x,
            out,
            window: conv.window,
            taps: Taps8::pack(integers, conv.window.kernel, pixel, self.kernels),
            bounds: integers.bounds,
        })));
        Ok(())
    }

    /// A node that makes floats: an average of bytes, or anything of floats.
    pub(super) fn single(&mut self, node: &Node) -> Result<(), Refusal> {
        let size = self.graph.tensors[node.output];
        let len = size.c * size.pixels();
        if let Op::Pool(pool) = &node.op
            && pool.window.kernel.0.saturating_mul(pool.window.kernel.1) < MAX_WINDOW
            && self.origin(node.inputs[0]).is_some()
        {
            let x = self.read(node.inputs[0])?;
            let slot = self.need(len)?;
            self.floats[node.output] = Some(slot);
            self.steps.push(Step8::Pool(Box::new(PoolStep {
                x,
                out: Pooled::Floats(slot),
                size,
                pool: *pool,
            })));
            return Ok(());
        }
        let (residual, gate) = match &node.op {
            Op::Conv(conv) => (conv.residual, conv.gate),
            _ => (None, None),
        };
        let input = |i: usize| node.inputs.get(i).copied();
        let mut places = [None; 4];
        let mut reads = [None; 4];
        for (i, tensor) in [input(0), input(1), residual, gate].into_iter().enumerate() {
            let Some(tensor) = tensor else { continue };
            let place = Some((self.float(tensor)?, self.graph.tensors[tensor]));
            let known = places[..i].iter().position(|p| *p == place);
            reads[i] = known.or(Some(i));
            if known.is_none() {
                places[i] = place;
            }
        }
        places
            .iter()
            .flatten()
            .for_each(|(slot, _)| self.touch(*slot));
        let slot = self.need(len)?;
        self.floats[node.output] = Some(slot);
        self.steps.push(Step8::Single(Box::new(Single {
            op: node.op.clone(),
            places,
            reads,
            out: (slot, size),
        })));
        Ok(())
    }

    /// The place of a tensor of floats, for a step behind those made so far.
    pub(super) fn float(&mut self, tensor: TensorId) -> Result<Slot, Refusal> {
        if let Some(slot) = self.floats[tensor] {
            self.touch(slot);
            return Ok(slot);
        }
        let size = self.graph.tensors[tensor];
        let len = size.c * size.pixels();
        let step = if tensor == self.graph.input {
            let slot = self.need(len)?;
            (slot, Step8::Input(slot))
        } else {
            let x = self.read(tensor)?;
            let slot = self.need(len)?;
            let off = offsets(&x)?;
            (slot, Step8::Export(Box::new(Export { x, off, out: slot })))
        };
        self.floats[tensor] = Some(step.0);
        self.steps.push(step.1);
        self.touch(step.0);
        Ok(step.0)
    }
}

/// Where each pixel of a map begins.
fn offsets(map: &Map8) -> Result<Offsets, Refusal> {
    place(map.len())?;
    Ok(map.offsets())
}
