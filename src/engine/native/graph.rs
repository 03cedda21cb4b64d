//! A network of the native engine's own operators, every shape known.

use super::kernels::Act;

/// Index of a tensor.
pub(super) type TensorId = usize;

/// An activation of batch 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Tensor {
    /// Pixels of a channel.
    pub fn pixels(self) -> usize {
        self.h * self.w
    }
}

/// Which input channels an output channel sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All.
    Dense,
    /// Its own.
    Depthwise,
}

/// Zeros around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pads {
    pub top: usize,
    pub left: usize,
    pub bottom: usize,
    pub right: usize,
}

/// Kernel height and width, vertical and horizontal stride, padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub kernel: (usize, usize),
    pub stride: (usize, usize),
    pub pads: Pads,
}

impl Window {
    /// Rows and columns of the result on an `h` x `w` image; `None` where the
    /// kernel does not fit in.
    pub fn output(&self, h: usize, w: usize) -> Option<(usize, usize)> {
        let along = |size: usize, before, after, kernel, stride| {
            let padded: usize = size + before + after;
            Some(padded.checked_sub(kernel)? / stride + 1)
        };
        let Pads {
            top,
            left,
            bottom,
            right,
        } = self.pads;
        Some((
            along(h, top, bottom, self.kernel.0, self.stride.0)?,
            along(w, left, right, self.kernel.1, self.stride.1)?,
        ))
    }

    /// True when every output pixel sees just the input pixel at its place.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == (1, 1) && self.stride == (1, 1) && self.pads == Pads::default()
    }
}

/// A convolution with what has been fused into it.
#[derive(Clone, Debug)]
pub(super) struct Conv {
    pub reach: Reach,
    pub window: Window,
    /// `[out][in][kh][kw]`, or `[out][kh][kw]` where depthwise.
    pub weights: Vec<f32>,
    /// `[out]`.
    pub bias: Vec<f32>,
    /// `[out]`, the steps of weights that were quantised; else empty.
    pub steps: Vec<f32>,
    /// Added before the activation.
    pub residual: Option<TensorId>,
    /// `[in, 1, 1]`: the input is multiplied by it.
    pub gate: Option<TensorId>,
    pub act: Act,
}

impl Conv {
    /// Weights of one output channel.
    pub fn row(&self) -> usize {
        self.weights.len() / self.bias.len().max(1)
    }
}

/// An average over windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pool {
    pub window: Window,
    /// Padding counts in the divisor.
    pub count_padding: bool,
}

/// How 8-bit values stand for numbers: `(value - zero) * step`. Signed ones count as
/// unsigned, 128 higher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quant {
    pub step: f32,
    pub zero: u8,
}

/// What a node computes.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Conv(Box<Conv>),
    /// `scale[c] * x + shift[c]`: a batch norm or a constant operand.
    Affine {
        scale: Vec<f32>,
        shift: Vec<f32>,
    },
    Act(Act),
    Add(Act),
    /// The first input by the second, `[c, 1, 1]`.
    Gate(Act),
    Pool(Pool),
    /// To the nearest 8-bit value, ties to even.
    Quantise(Quant),
    /// Back to numbers.
    Dequantise(Quant),
}

/// A node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// For messages.
    pub name: String,
    pub op: Op,
    pub inputs: Vec<TensorId>,
    pub output: TensorId,
}

impl Node {
    /// Every tensor that it reads.
    pub fn reads(&self) -> impl Iterator<Item = TensorId> + '_ {
        let extra = match &self.op {
            Op::Conv(conv) => [conv.residual, conv.gate],
            _ => [None, None],
        };
        self.inputs
            .iter()
            .copied()
            .chain(extra.into_iter().flatten())
    }
}

/// A network: nodes in an order in which each input is made before it is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    pub tensors: Vec<Tensor>,
    pub nodes: Vec<Node>,
    pub input: TensorId,
    /// In the order of the caller's names.
    pub outputs: Vec<TensorId>,
}

impl Graph {
    /// True when parts of it are in 8 bits.
    pub fn is_quantised(&self) -> bool {
        let quantises = |node: &Node| matches!(node.op, Op::Quantise(_));
        self.nodes.iter().any(quantises)
    }

    /// How often each tensor is read, as an output of the network too.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.tensors.len()];
        let reads = self.nodes.iter().flat_map(Node::reads);
        for t in reads.chain(self.outputs.iter().copied()) {
            readers[t] += 1;
        }
        readers
    }
}
