//! Graphs of the native engine's operators with any attributes: refused in words,
//! or run alike on every set of kernels.
#![no_main]

use e4::engine::native::{Isa, NativeEngine};
use e4::engine::{Buffer, SegmentIo};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto,
};

/// Takes numbers off the front of the input.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    /// Seldom anything but what makes sense.
    fn odd(&mut self, usual: usize) -> usize {
        match self.next() {
            value @ 250.. => value - 250,
            _ => usual,
        }
    }
}

/// A graph under construction; tensor `i` is called `t{i}`.
#[derive(Default)]
struct Net {
    graph: GraphProto,
    /// Channels of each tensor, as far as is known.
    channels: Vec<usize>,
    weights: usize,
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.iter().map(|v| *v as i64).collect(),
        ..AttributeProto::default()
    }
}

impl Net {
    fn weight(&mut self, dims: &[usize], scale: f32) -> String {
        self.weights += 1;
        let name = format!("w{}", self.weights);
        let len: usize = dims.iter().product();
        let value = |i: usize| ((i * 7919 + self.weights * 31) % 255) as f32 / 127.0 - 1.0;
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            dims: dims.iter().map(|d| *d as i64).collect(),
            data_type: DataType::Float as i32,
            float_data: (0..len).map(|i| value(i) * scale).collect(),
            ..TensorProto::default()
        });
        name
    }

    fn node(&mut self, op: &str, input: Vec<String>, attribute: Vec<AttributeProto>, c: usize) {
        let output = vec![format!("t{}", self.channels.len())];
        self.channels.push(c);
        self.graph.node.push(NodeProto {
            op_type: op.into(),
            input,
            output,
            attribute,
            ..NodeProto::default()
        });
    }

    fn conv(&mut self, bytes: &mut Bytes<'_>, x: String, c: usize) {
        let mut side = || [1, 3, 5, 2, 7][bytes.next() % 5];
        let kernel = [side(), side()];
        let depthwise = bytes.next() % 2 == 0;
        let (group, out) = if depthwise { (c, c) } else { (1, bytes.next() % 40 + 1) };
        let pads: Vec<usize> = (0..4).map(|_| bytes.next() % 4).collect();
        let strides = [bytes.next() % 3 + 1, bytes.next() % 3 + 1];
        let dims = [out, bytes.odd(c / group), kernel[0], kernel[1]];
        let scale = 2.0 / ((c / group * kernel[0] * kernel[1]) as f32).sqrt();
        let mut input = vec![x, self.weight(&dims, scale)];
        if bytes.next() % 2 == 0 {
            let len = bytes.odd(out);
            input.push(self.weight(&[len], 0.5));
        }
        let mut group_attribute = ints("group", &[]);
        group_attribute.r#type = AttributeType::Int as i32;
        group_attribute.i = bytes.odd(group) as i64;
        let attributes = vec![
            ints("kernel_shape", &kernel),
            ints("pads", &pads),
            ints("strides", &strides),
            group_attribute,
        ];
        self.node("Conv", input, attributes, out);
    }

    fn grow(&mut self, bytes: &mut Bytes<'_>) {
        let last = self.channels.len() - 1;
        let at = last - bytes.next() % self.channels.len().min(4);
        let other = last - bytes.next() % self.channels.len().min(4);
        let (x, c) = (format!("t{at}"), self.channels[at]);
        match bytes.next() % 12 {
            0..4 => self.conv(bytes, x, c),
            4 => self.node("Relu", vec![x], vec![], c),
            5 => {
                let bounds = [(bytes.next() as f32) / 32.0 - 4.0, (bytes.next() as f32) / 32.0];
                let bounds = bounds.map(|value| {
                    let name = self.weight(&[], 0.0);
                    let last = self.graph.initializer.last_mut().expect("just made");
                    last.float_data = vec![value];
                    name
                });
                let [low, high] = bounds;
                self.node("Clip", vec![x, low, high], vec![], c);
            }
            6 => self.node("Sigmoid", vec![x], vec![], c),
            7 => self.node("HardSwish", vec![x], vec![], c),
            8 => self.node("Add", vec![x, format!("t{other}")], vec![], c),
            9 => self.node("Mul", vec![x, format!("t{other}")], vec![], c),
            10 => self.node("GlobalAveragePool", vec![x], vec![], c),
            _ => {
                let kernel = [bytes.next() % 4 + 1, bytes.next() % 4 + 1];
                let strides = [bytes.next() % 3 + 1, bytes.next() % 3 + 1];
                let attributes = vec![ints("kernel_shape", &kernel), ints("strides", &strides)];
                self.node("AveragePool", vec![x], attributes, c);
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Bytes(bytes);
    let x = [1, bytes.next() % 36 + 1, bytes.next() % 24 + 1, bytes.next() % 24 + 1];
    let mut net = Net::default();
    net.channels.push(x[1]);
    for _ in 0..bytes.next() % 14 {
        net.grow(&mut bytes);
    }
    let last = net.channels.len() - 1;
    let c = net.channels[last];
    net.node("GlobalAveragePool", vec![format!("t{last}")], vec![], c);
    let port = |name: String| ValueInfoProto {
        name,
        ..ValueInfoProto::default()
    };
    let output = format!("t{}", last + 1);
    net.graph.input.push(port("t0".into()));
    net.graph.output.push(port(output.clone()));
    let model = ModelProto {
        opset_import: vec![OperatorSetIdProto {
            version: 17,
            ..OperatorSetIdProto::default()
        }],
        graph: Some(net.graph),
        ..ModelProto::default()
    };
    let onnx = model.encode_to_vec();
    let mut expected: Option<Vec<f32>> = None;
    for isa in [Isa::Portable, Isa::Avx512, Isa::Avx2, Isa::Neon] {
        let Some(engine) = NativeEngine::with_isa(isa) else {
            continue;
        };
        let loaded = engine.load_graph(&onnx, ("t0", &x), None, (&output, &[1, c, 1, 1]));
        let Ok(mut segment) = loaded else {
            assert!(expected.is_none(), "{isa:?} alone refuses it");
            return;
        };
        let len: usize = x.iter().product();
        let input = (0..len).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let io = SegmentIo {
            input: Buffer::Host(input),
            output: None,
            pooled: Buffer::Host(vec![0.0; c]),
        };
        segment.enqueue(io).expect("buffers of its lengths");
        let io = segment.wait().expect("a segment that loads runs");
        let found = io.pooled.as_host().expect("host memory");
        let expected = expected.get_or_insert_with(|| found.to_vec());
        // Sums in another order differ by the rounding of what went into them,
        // which these graphs let grow.
        let largest = expected.iter().fold(1.0_f32, |m, v| m.max(v.abs()));
        for (found, expected) in found.iter().zip(expected.iter()) {
            let near = (found - expected).abs() <= 1e-3 * largest;
            let same = near || found.is_nan() && expected.is_nan() || found == expected;
            assert!(same, "{isa:?}: {found} {expected}");
        }
    }
});
