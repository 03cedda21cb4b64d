//! Steps from the nodes of a quantised network: which of them run on bytes, and where
//! every map lies.

mod emit;

use super::super::graph::{Graph, Node, Op, Pads, Quant, Reach, TensorId};
use super::super::map::Slot;
use super::super::memory::Need;
use super::super::plan::{MAX_ARENA, too_large};
use super::super::{Refusal, broken};
use super::kernels::Kernels8;
use super::map::Map8;
use super::pack::Integers;
use super::step::Step8;

/// Largest factor from a step of an operand to one of a sum: beyond any use, far within
/// 32 bits.
const MAX_RATIO: f32 = 1e6;

/// Largest window of a pool, pixels.
const MAX_WINDOW: usize = 1 << 22;

/// How a node runs.
#[derive(Debug)]
enum Role {
    /// On floats, or as what stands between floats and bytes.
    Own,
    /// On bytes, at the place of the QuantizeLinear behind it.
    Bytes(Option<Box<Integers>>),
}

/// A plan under construction.
pub(super) struct Lowering<'g> {
    kernels: Kernels8,
    graph: &'g Graph,
    maker: Vec<Option<usize>>,
    roles: Vec<Role>,
    /// The tensor whose map a tensor of bytes shares: its own, or that of an equal one.
    root: Vec<TensorId>,
    /// Borders that the readers of a root need.
    pads: Vec<Pads>,
    /// A root that only dense convolutions read, and that no vector is stored into.
    tight: Vec<bool>,
    maps: Vec<Option<Map8>>,
    floats: Vec<Option<Slot>>,
    pub needs: Vec<Need>,
    pub steps: Vec<Step8>,
}

impl<'g> Lowering<'g> {
    pub fn new(kernels: Kernels8, graph: &'g Graph) -> Self {
        let tensors = graph.tensors.len();
        let mut maker = vec![None; tensors];
        for (i, node) in graph.nodes.iter().enumerate() {
            maker[node.output] = Some(i);
        }
        let mut lowering = Self {
            kernels,
            graph,
            maker,
            roles: Vec::with_capacity(graph.nodes.len()),
            root: (0..tensors).collect(),
            pads: vec![Pads::default(); tensors],
            tight: vec![false; tensors],
            maps: vec![None; tensors],
            floats: vec![None; tensors],
            needs: Vec::new(),
            steps: Vec::new(),
        };
        lowering.find_roots();
        let readers = graph.readers();
        lowering.roles = graph
            .nodes
            .iter()
            .map(|n| lowering.role(n, &readers))
            .collect();
        lowering.find_borders();
        lowering
    }

    /// The node that makes `tensor`.
    fn maker_of(&self, tensor: TensorId) -> Option<&'g Node> {
        self.maker[tensor].map(|i| &self.graph.nodes[i])
    }

    /// The bytes, and what they mean, that `tensor` is dequantised from.
    fn origin(&self, tensor: TensorId) -> Option<(TensorId, Quant)> {
        let node = self.maker_of(tensor)?;
        match node.op {
            Op::Dequantise(quant) => Some((self.root[node.inputs[0]], quant)),
            _ => None,
        }
    }

    fn find_roots(&mut self) {
        for node in &self.graph.nodes {
            if let Op::Quantise(quant) = node.op
                && let Some((root, same)) = self.origin(node.inputs[0])
                && same == quant
            {
                self.root[node.output] = root;
            }
        }
    }

    /// What `tensor` is quantised to, if that is all that it is for.
    fn quantised_to(&self, tensor: TensorId, readers: &[usize]) -> Option<Quant> {
        let mut nodes = self.graph.nodes.iter();
        let reader = nodes.find(|node| node.inputs.contains(&tensor))?;
        match reader.op {
            Op::Quantise(quant) if readers[tensor] == 1 => Some(quant),
            _ => None,
        }
    }

    fn role(&self, node: &Node, readers: &[usize]) -> Role {
        self.takes(node, readers).unwrap_or(Role::Own)
    }

    /// The role of a node that runs on bytes.
    fn takes(&self, node: &Node, readers: &[usize]) -> Option<Role> {
        let y = self.quantised_to(node.output, readers)?;
        let (_, x) = self.origin(node.inputs[0])?;
        match &node.op {
            Op::Conv(conv) if conv.residual.is_none() && conv.gate.is_none() => {
                let integers = Integers::of(conv, x, y, self.kernels)?;
                Some(Role::Bytes(Some(Box::new(integers))))
            }
            Op::Add(act) if act.curve.is_none() => {
                let (_, b) = self.origin(*node.inputs.get(1)?)?;
                let largest = x.step.max(b.step) / y.step;
                (largest < MAX_RATIO).then_some(Role::Bytes(None))
            }
            Op::Pool(pool) => {
                let (h, w) = pool.window.kernel;
                let fits = h.saturating_mul(w) < MAX_WINDOW && x.step / y.step < MAX_RATIO;
                fits.then_some(Role::Bytes(None))
            }
            Op::Act(_) => Some(Role::Bytes(None)),
            _ => None,
        }
    }

    /// Which borders maps need, and which pixels may be small.
    fn find_borders(&mut self) {
        let nodes = &self.graph.nodes;
        let mut dense = vec![true; self.graph.tensors.len()];
        for (node, role) in nodes.iter().zip(&self.roles) {
            let in_bytes = matches!(role, Role::Bytes(_));
            let roots = node.reads().filter_map(|t| self.origin(t));
            for (root, _) in roots.collect::<Vec<_>>() {
                match &node.op {
                    Op::Conv(conv) if in_bytes => {
                        let (pads, of) = (&mut self.pads[root], conv.window.pads);
                        pads.top = pads.top.max(of.top);
                        pads.left = pads.left.max(of.left);
                        pads.bottom = pads.bottom.max(of.bottom);
                        pads.right = pads.right.max(of.right);
                        dense[root] &= conv.reach == Reach::Dense;
                    }
                    _ => dense[root] = false,
                }
            }
        }
        for node in nodes {
            if let Op::Quantise(_) = node.op {
                let imported = node.inputs[0] == self.graph.input;
                let few = self.graph.tensors[node.output].c <= 4;
                self.tight[node.output] = imported && few && dense[node.output];
            }
        }
        for &output in &self.graph.outputs {
            if let Some((root, _)) = self.origin(output) {
                self.tight[root] = false;
            }
        }
    }

    /// A place of `len` floats for the step that is being made.
    fn need(&mut self, len: usize) -> Result<Slot, Refusal> {
        if len > MAX_ARENA {
            return Err(too_large(len));
        }
        let now = self.steps.len();
        self.needs.push(Need {
            len,
            first: now,
            last: now,
        });
        Ok(self.needs.len() - 1)
    }

    /// Keeps a place for the step that is being made.
    fn touch(&mut self, slot: Slot) {
        self.needs[slot].last = self.steps.len();
    }

    /// A map for what the step that is being made makes.
    fn make(&mut self, tensor: TensorId, quant: Quant) -> Result<Map8, Refusal> {
        let size = self.graph.tensors[tensor];
        let (pads, tight) = (self.pads[tensor], self.tight[tensor]);
        let len = Map8::new(0, size, quant, pads, tight).len();
        let slot = self.need(len.div_ceil(size_of::<f32>()))?;
        let map = Map8::new(slot, size, quant, pads, tight);
        self.maps[tensor] = Some(map);
        Ok(map)
    }

    /// The map of the bytes that `tensor` is dequantised from, for the step that is being
    /// made.
    fn read(&mut self, tensor: TensorId) -> Result<Map8, Refusal> {
        let origin = self.origin(tensor).and_then(|(root, _)| self.maps[root]);
        let map = origin.ok_or_else(|| broken("a node reads what is made after it"))?;
        self.touch(map.slot);
        Ok(map)
    }

    /// Places of planar floats, one for each output of the network.
    pub fn lower_all(&mut self) -> Result<Vec<Slot>, Refusal> {
        let graph = self.graph;
        for (i, node) in graph.nodes.iter().enumerate() {
            match node.op {
                Op::Quantise(quant) => self.quantise(node, quant)?,
                Op::Dequantise(_) => {}
                _ if matches!(self.roles[i], Role::Own) => self.single(node)?,
                _ => {}
            }
        }
        let outputs = graph.outputs.iter();
        let outputs: Vec<Slot> = outputs.map(|&t| self.float(t)).collect::<Result<_, _>>()?;
        outputs.iter().for_each(|&slot| self.touch(slot));
        Ok(outputs)
    }
}
