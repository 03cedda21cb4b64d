//! Rewrites a network into fewer nodes that compute the same: batch norms and
//! constant operands into the weights before them, activations into the node
//! before them, sums into the later of the convolutions they add, gates into
//! the convolution that reads the gated map. Nodes that nothing reads go.
//!
//! Every rewrite needs the tensor that vanishes to have one reader, which an
//! output of the network counts as.

use super::graph::{Conv, Graph, Node, Op, Pads, Reach, TensorId, Window};
use super::kernels::Act;

/// The network with everything fused that can be.
pub(super) fn fuse(graph: Graph) -> Graph {
    let mut fusion = Fusion::new(without_unread(graph));
    for i in 0..fusion.nodes.len() {
        fusion.visit(i);
    }
    fusion.finish()
}

fn without_unread(mut graph: Graph) -> Graph {
    let mut wanted = vec![false; graph.tensors.len()];
    graph.outputs.iter().for_each(|&t| wanted[t] = true);
    for node in graph.nodes.iter().rev() {
        if wanted[node.output] {
            node.reads().for_each(|t| wanted[t] = true);
        }
    }
    graph.nodes.retain(|node| wanted[node.output]);
    graph
}

struct Fusion {
    graph: Graph,
    nodes: Vec<Option<Node>>,
    /// The node that makes a tensor.
    maker: Vec<Option<usize>>,
    readers: Vec<usize>,
}

impl Fusion {
    fn new(mut graph: Graph) -> Self {
        let readers = graph.readers();
        let mut maker = vec![None; graph.tensors.len()];
        for (i, node) in graph.nodes.iter().enumerate() {
            maker[node.output] = Some(i);
        }
        let nodes = std::mem::take(&mut graph.nodes).into_iter().map(Some);
        Self {
            nodes: nodes.collect(),
            graph,
            maker,
            readers,
        }
    }

    fn finish(mut self) -> Graph {
        self.graph.nodes = self.nodes.into_iter().flatten().collect();
        self.graph
    }

    /// The node that makes `tensor`, if only one other reads it.
    fn sole_maker(&mut self, tensor: TensorId) -> Option<&mut Node> {
        if self.readers[tensor] != 1 {
            return None;
        }
        self.nodes[self.maker[tensor]?].as_mut()
    }

    /// The convolution that makes `tensor` for one reader, nothing fused behind
    /// it yet.
    fn open_conv(&mut self, tensor: TensorId) -> Option<&mut Conv> {
        match &mut self.sole_maker(tensor)?.op {
            Op::Conv(conv) if conv.act == Act::NONE && conv.residual.is_none() => Some(conv),
            _ => None,
        }
    }

    /// Puts the node that makes `tensor` in the place of node `i`.
    fn absorb(&mut self, i: usize, tensor: TensorId) {
        let maker = self.maker[tensor].and_then(|m| self.nodes[m].take());
        if let (Some(mut node), Some(gone)) = (maker, self.nodes[i].take()) {
            self.maker[tensor] = None;
            node.output = gone.output;
            self.maker[gone.output] = Some(i);
            self.nodes[i] = Some(node);
        }
    }

    fn visit(&mut self, i: usize) {
        let Some(node) = &self.nodes[i] else { return };
        let inputs = node.inputs.clone();
        match &node.op {
            Op::Affine { .. } => self.affine(i, inputs[0]),
            Op::Act(act) => self.act(i, inputs[0], *act),
            Op::Add(_) => self.add(i, inputs[0], inputs[1]),
            Op::Conv(conv) if conv.reach == Reach::Dense && conv.window.is_pointwise() => {
                self.gate(i, inputs[0]);
            }
            _ => {}
        }
    }

    fn affine(&mut self, i: usize, input: TensorId) {
        let Some(Node {
            op: Op::Affine { scale, shift },
            ..
        }) = self.nodes[i].as_mut()
        else {
            return;
        };
        let (scale, shift) = (std::mem::take(scale), std::mem::take(shift));
        if let Some(conv) = self.open_conv(input) {
            let row = conv.row().max(1);
            for (weights, by) in conv.weights.chunks_mut(row).zip(&scale) {
                weights.iter_mut().for_each(|w| *w *= by);
            }
            for (step, by) in conv.steps.iter_mut().zip(&scale) {
                *step *= by;
            }
            for ((bias, by), more) in conv.bias.iter_mut().zip(&scale).zip(&shift) {
                *bias = *bias * by + more;
            }
            self.absorb(i, input);
        } else if let Some(node) = self.nodes[i].as_mut() {
            node.op = Op::Conv(Box::new(Conv {
                reach: Reach::Depthwise,
                window: Window {
                    kernel: (1, 1),
                    stride: (1, 1),
                    pads: Pads::default(),
                },
                weights: scale,
                bias: shift,
                steps: Vec::new(),
                residual: None,
                gate: None,
                act: Act::NONE,
            }));
        }
    }

    fn act(&mut self, i: usize, input: TensorId, act: Act) {
        let before = match self.sole_maker(input).map(|n| &mut n.op) {
            Some(Op::Conv(conv)) => &mut conv.act,
            Some(Op::Add(act) | Op::Gate(act)) => act,
            _ => return,
        };
        if *before == Act::NONE {
            *before = act;
            self.absorb(i, input);
        }
    }

    fn add(&mut self, i: usize, a: TensorId, b: TensorId) {
        let Some(Node {
            op: Op::Add(act), ..
        }) = &self.nodes[i]
        else {
            return;
        };
        let act = *act;
        let place = |fusion: &Self, t: TensorId| fusion.maker[t].unwrap_or(0);
        let mut pairs = [(a, b), (b, a)];
        pairs.sort_by_key(|&(conv, _)| std::cmp::Reverse(place(self, conv)));
        for (from, other) in pairs {
            if let Some(conv) = self.open_conv(from)
                && conv.reach == Reach::Dense
                && conv.gate != Some(other)
            {
                conv.residual = Some(other);
                conv.act = act;
                self.absorb(i, from);
                return;
            }
        }
    }

    fn gate(&mut self, i: usize, input: TensorId) {
        let Some(Node {
            op: Op::Gate(act),
            inputs,
            ..
        }) = self.sole_maker(input)
        else {
            return;
        };
        if *act != Act::NONE {
            return;
        }
        let (x, gate) = (inputs[0], inputs[1]);
        let Some(gone) = self.maker[input].take() else {
            return;
        };
        self.nodes[gone] = None;
        if let Some(Node {
            op: Op::Conv(conv),
            inputs,
            ..
        }) = self.nodes[i].as_mut()
        {
            *inputs = vec![x];
            conv.gate = Some(gate);
        }
    }
}
