//! Quantised layers: every instruction set against the portable kernels, bit for bit, and
//! those against the nodes as ONNX words them, within one step.

use super::super::graph::{
    Conv, Graph, Node, Op, Pads, Pool, Quant, Reach, Tensor, TensorId, Window,
};
use super::super::kernels::{Act, Curve};
use super::super::tests::Numbers;
use super::kernels::{Isa8, Kernels8};
use super::reference::{Planes, Reads, compute};
use super::{Plan8, Step8};
use proptest::prelude::*;

const ALL: [Isa8; 5] = [
    Isa8::Avx512Vnni,
    Isa8::AvxVnni,
    Isa8::Avx2,
    Isa8::NeonDot,
    Isa8::Neon,
];

/// A network under construction.
struct Maker {
    graph: Graph,
    numbers: Numbers,
    /// Values at the ends of their ranges.
    extreme: bool,
}

impl Maker {
    fn new(seed: u64, extreme: bool, (c, h, w): (usize, usize, usize)) -> Self {
        let mut graph = Graph::default();
        graph.tensors.push(Tensor { c, h, w });
        Self {
            graph,
            numbers: Numbers::new(seed),
            extreme,
        }
    }

    fn push(&mut self, op: Op, inputs: Vec<TensorId>, size: Tensor) -> TensorId {
        self.graph.tensors.push(size);
        let output = self.graph.tensors.len() - 1;
        self.graph.nodes.push(Node {
            name: format!("node {output}"),
            op,
            inputs,
            output,
        });
        output
    }

    fn same(&mut self, op: Op, x: TensorId) -> TensorId {
        let size = self.graph.tensors[x];
        self.push(op, vec![x], size)
    }

    fn quant(&mut self, span: f32) -> Quant {
        let zero = match self.numbers.below(4) {
            0 => 0,
            1 => 255,
            _ => u8::try_from(self.numbers.below(256)).unwrap(),
        };
        let step = span * (1.5 + self.numbers.signed()) / 200.0;
        Quant { step, zero }
    }

    /// `x` quantised and dequantised; what spans `span` fits in, or not quite.
    fn quantised(&mut self, x: TensorId, span: f32) -> TensorId {
        let quant = self.quant(span);
        let bytes = self.same(Op::Quantise(quant), x);
        self.same(Op::Dequantise(quant), bytes)
    }

    fn weights(&mut self, n: usize) -> Vec<f32> {
        let extreme = self.extreme;
        let mut one = || match (extreme, self.numbers.below(6)) {
            (true, 0..=2) => -128.0,
            (true, _) => 127.0,
            (false, 0) => 0.0,
            _ => (self.numbers.signed() * 127.0).round(),
        };
        (0..n).map(|_| one()).collect()
    }

    fn window(&mut self, largest: usize) -> Window {
        let kernel = (
            1 + self.numbers.below(largest),
            1 + self.numbers.below(largest),
        );
        let kernel = if self.numbers.once_in(2) {
            (kernel.0, kernel.0)
        } else {
            kernel
        };
        let pads = Pads {
            top: self.numbers.below(kernel.0),
            left: self.numbers.below(kernel.1),
            bottom: self.numbers.below(kernel.0),
            right: self.numbers.below(kernel.1),
        };
        Window {
            kernel,
            stride: (1 + self.numbers.below(3), 1 + self.numbers.below(3)),
            pads,
        }
    }

    /// A convolution; `None` where the window does not fit in.
    fn conv(&mut self, x: TensorId, out: Option<usize>, window: Window) -> Option<TensorId> {
        let of = self.graph.tensors[x];
        let (h, w) = window.output(of.h, of.w)?;
        let (reach, c, of_group) = match out {
            Some(out) => (Reach::Dense, out, of.c),
            None => (Reach::Depthwise, of.c, 1),
        };
        let row = of_group * window.kernel.0 * window.kernel.1;
        let steps: Vec<f32> = (0..c)
            .map(|_| 0.002 * (1.2 + self.numbers.signed()))
            .collect();
        let mut weights = self.weights(c * row);
        for (row, step) in weights.chunks_mut(row).zip(&steps) {
            row.iter_mut().for_each(|w| *w *= step);
        }
        let act = match self.numbers.below(3) {
            0 => Act::NONE,
            1 => Act {
                clamp: (0.0, 6.0),
                curve: None,
            },
            _ => Act {
                clamp: (-0.7, 1.3),
                curve: None,
            },
        };
        let conv = Conv {
            reach,
            window,
            weights,
            bias: self.numbers.values(c, 0.5),
            steps,
            residual: None,
            gate: None,
            act,
        };
        let size = Tensor { c, h, w };
        Some(self.push(Op::Conv(Box::new(conv)), vec![x], size))
    }

    fn input(&mut self) -> Vec<f32> {
        let size = self.graph.tensors[self.graph.input];
        let n = size.c * size.pixels();
        let scale = if self.extreme { 50.0 } else { 1.0 };
        self.numbers.values(n, scale)
    }
}

/// What the nodes compute, as they are worded.
fn expected(graph: &Graph, x: &[f32]) -> Vec<Vec<f32>> {
    let mut values = vec![Vec::new(); graph.tensors.len()];
    values[graph.input] = x.to_vec();
    for node in &graph.nodes {
        let size = graph.tensors[node.output];
        let mut out = vec![0.0; size.c * size.pixels()];
        let planes = |t: Option<&TensorId>| {
            let (values, size) = (values[*t?].as_slice(), graph.tensors[*t?]);
            Some(Planes { values, size })
        };
        let reads = Reads {
            inputs: [planes(node.inputs.first()), planes(node.inputs.get(1))],
            ..Reads::default()
        };
        compute(&node.op, &reads, &mut out, size);
        values[node.output] = out;
    }
    graph.outputs.iter().map(|&t| values[t].clone()).collect()
}

fn run(isa: Isa8, graph: &Graph, x: &[f32]) -> Option<(Vec<f32>, Plan8)> {
    let kernels = Kernels8::of(isa)?;
    let mut plan = Plan8::on(kernels, graph).unwrap();
    let size = graph.tensors[graph.outputs[0]];
    let mut y = vec![f32::NAN; size.c * size.pixels()];
    // The second run finds the arena as the first one left it.
    plan.run(x, [&mut vec![0.0; y.len()]]).unwrap();
    plan.run(x, [&mut y]).unwrap();
    Some((y, plan))
}

/// Every set of kernels gives the portable one's bits, and those are within `steps` of
/// what ONNX says.
fn agree(maker: &mut Maker, y: TensorId, step: f32) -> Result<(), TestCaseError> {
    maker.graph.outputs = vec![y];
    let x = maker.input();
    let (portable, plan) = run(Isa8::Portable, &maker.graph, &x).unwrap();
    let on_floats = |step: &Step8| matches!(step, Step8::Single(_));
    prop_assert!(
        !plan.steps.iter().any(on_floats),
        "a node was left on floats"
    );
    for isa in ALL {
        if let Some((found, _)) = run(isa, &maker.graph, &x) {
            let wrong = found
                .iter()
                .zip(&portable)
                .position(|(f, p)| f.to_bits() != p.to_bits());
            prop_assert!(wrong.is_none(), "{:?}: value {:?}", isa, wrong);
        }
    }
    let expected = expected(&maker.graph, &x).remove(0);
    for (i, (found, expected)) in portable.iter().zip(&expected).enumerate() {
        let near = (found - expected).abs() <= 1.001 * step + 1e-6 * (1.0 + expected.abs());
        prop_assert!(
            near,
            "value {} is {}, not {}, step {}",
            i,
            found,
            expected,
            step
        );
    }
    Ok(())
}

/// The step of a dequantised tensor.
fn step_of(graph: &Graph, y: TensorId) -> f32 {
    let made = graph.nodes.iter().find(|n| n.output == y).map(|n| &n.op);
    match made {
        Some(Op::Dequantise(quant)) => quant.step,
        _ => 0.0,
    }
}

fn shape() -> impl Strategy<Value = (usize, usize, usize)> {
    (1_usize..140, 1_usize..11, 1_usize..20)
}

proptest! {
    #[test]
    fn convolutions(
        seed: u64, extreme: bool, of in shape(), out in 1_usize..150, kind in 0..4_u8
    ) {
        let mut maker = Maker::new(seed, extreme, of);
        let x = maker.quantised(0, 2.0);
        let window = match kind {
            0 | 1 => Window { kernel: (1, 1), stride: (1, 1), pads: Pads::default() },
            _ => maker.window(5),
        };
        let out = (kind != 3).then_some(out);
        prop_assume!(window.kernel.0 * window.kernel.1 * of.0 * of.1 * of.2 < 60_000);
        let Some(y) = maker.conv(x, out, window) else { return Ok(()) };
        let span = if extreme { 60.0 } else { 3.0 };
        let y = maker.quantised(y, span);
        let step = step_of(&maker.graph, y);
        agree(&mut maker, y, step)?;
    }

    #[test]
    fn the_depthwise_convolutions_that_networks_use(
        seed: u64, extreme: bool, of in shape(), five: bool, stride in 1_usize..3
    ) {
        let mut maker = Maker::new(seed, extreme, of);
        let x = maker.quantised(0, 2.0);
        let k = if five { 5 } else { 3 };
        let pads = Pads { top: k / 2, left: k / 2, bottom: k / 2, right: k / 2 };
        let window = Window { kernel: (k, k), stride: (stride, stride), pads };
        let Some(y) = maker.conv(x, None, window) else { return Ok(()) };
        let y = maker.quantised(y, 3.0);
        let step = step_of(&maker.graph, y);
        agree(&mut maker, y, step)?;
    }

    #[test]
    fn sums_means_and_functions(seed: u64, extreme: bool, of in shape(), which in 0..6_u8) {
        let mut maker = Maker::new(seed, extreme, of);
        let x = maker.quantised(0, 2.0);
        let size = maker.graph.tensors[x];
        let y = match which {
            0 => {
                let other = maker.quantised(0, 3.0);
                maker.push(Op::Add(Act::NONE), vec![x, other], size)
            }
            1 => maker.push(Op::Add(Act { clamp: (0.0, 1.5), curve: None }), vec![x, x], size),
            2 => {
                let window = Window {
                    kernel: (size.h, size.w),
                    stride: (1, 1),
                    pads: Pads::default(),
                };
                let pool = Op::Pool(Pool { window, count_padding: false });
                maker.push(pool, vec![x], Tensor { c: size.c, h: 1, w: 1 })
            }
            3 => {
                let window = maker.window(3);
                let Some((h, w)) = window.output(size.h, size.w) else { return Ok(()) };
                let count_padding = maker.numbers.once_in(2);
                let pool = Op::Pool(Pool { window, count_padding });
                // A window that lies wholly in the padding has no mean.
                let behind = |n: usize, out: usize, s: usize, pad: usize| (out - 1) * s < n + pad;
                prop_assume!(behind(size.h, h, window.stride.0, window.pads.top));
                prop_assume!(behind(size.w, w, window.stride.1, window.pads.left));
                maker.push(pool, vec![x], Tensor { c: size.c, h, w })
            }
            4 => maker.same(Op::Act(Act { curve: Some(Curve::HardSwish), ..Act::NONE }), x),
            _ => maker.same(Op::Act(Act { curve: Some(Curve::Sigmoid), ..Act::NONE }), x),
        };
        // Means leave for floats as they are, too.
        let y = if which == 2 && seed % 2 == 0 { y } else { maker.quantised(y, 2.0) };
        let step = step_of(&maker.graph, y);
        agree(&mut maker, y, step)?;
    }

    #[test]
    fn blocks_of_layers(seed: u64, of in shape(), wide in 1_usize..100, stride in 1_usize..3) {
        let mut maker = Maker::new(seed, false, of);
        let point = Window { kernel: (1, 1), stride: (1, 1), pads: Pads::default() };
        let pads = Pads { top: 1, left: 1, bottom: 1, right: 1 };
        let three = Window { kernel: (3, 3), stride: (stride, stride), pads };
        let x = maker.quantised(0, 2.0);
        let a = maker.conv(x, Some(wide), point).unwrap();
        let a = maker.quantised(a, 3.0);
        let Some(b) = maker.conv(a, None, three) else { return Ok(()) };
        let b = maker.quantised(b, 3.0);
        let mut y = maker.conv(b, Some(of.0), point).unwrap();
        y = maker.quantised(y, 3.0);
        if stride == 1 {
            let size = maker.graph.tensors[y];
            y = maker.push(Op::Add(Act::NONE), vec![x, y], size);
            y = maker.quantised(y, 4.0);
        }
        // Steps of four layers add up: here only the bits count.
        agree(&mut maker, y, f32::INFINITY)?;
    }
}

/// What no kernel takes runs between floats: a gate, a convolution of plain weights, a
/// sum that is not quantised.
#[test]
fn nodes_on_floats_run_as_they_are_worded() {
    let mut maker = Maker::new(5, false, (6, 5, 4));
    let x = maker.quantised(0, 2.0);
    let size = maker.graph.tensors[x];
    let window = Window {
        kernel: (5, 4),
        stride: (1, 1),
        pads: Pads::default(),
    };
    let mean = Op::Pool(Pool {
        window,
        count_padding: false,
    });
    let mean = maker.push(mean, vec![x], Tensor { c: 6, h: 1, w: 1 });
    let gated = maker.push(Op::Gate(Act::NONE), vec![x, mean], size);
    let point = Window {
        kernel: (1, 1),
        stride: (1, 1),
        pads: Pads::default(),
    };
    let plain = maker.conv(gated, Some(6), point).unwrap();
    for node in &mut maker.graph.nodes {
        if let Op::Conv(conv) = &mut node.op {
            conv.steps.clear();
        }
    }
    let sum = maker.push(Op::Add(Act::NONE), vec![plain, plain], size);
    let y = maker.push(Op::Add(Act::NONE), vec![sum, 0], size);
    maker.graph.outputs = vec![y];
    let input = maker.input();
    let expected = expected(&maker.graph, &input).remove(0);
    for isa in ALL.into_iter().chain([Isa8::Portable]) {
        let Some((found, _)) = run(isa, &maker.graph, &input) else {
            continue;
        };
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{isa:?}: {found}, not {expected}"
            );
        }
    }
}

/// Dequantised and quantised alike: the map is the same one; otherwise it is looked up.
#[test]
fn quantising_again_rounds_again() {
    let mut maker = Maker::new(9, false, (20, 3, 7));
    let x = maker.quantised(0, 2.0);
    let Op::Dequantise(quant) = maker.graph.nodes[1].op else {
        panic!()
    };
    let bytes = maker.same(Op::Quantise(quant), x);
    let same = maker.same(Op::Dequantise(quant), bytes);
    let y = maker.quantised(same, 0.8);
    let step = step_of(&maker.graph, y);
    agree(&mut maker, y, step).unwrap();
}
