//! Networks as ONNX files, node by node, with weights from a seed.

use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType, tensor_proto,
    tensor_shape_proto::Dimension, tensor_shape_proto::dimension, type_proto,
};

/// A small generator of numbers.
#[derive(Clone, Debug)]
pub(in crate::engine::native) struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// Any 31 bits.
    pub fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u32::try_from(self.0 >> 33).unwrap()
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// From -1 to 1, never 0.
    pub fn signed(&mut self) -> f32 {
        let value = f64::from(self.next() | 1) / f64::from(1_u32 << 30) - 1.0;
        #[expect(clippy::cast_possible_truncation, reason = "rounding is fine")]
        let value = value as f32;
        value
    }

    pub fn values(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| self.signed() * scale).collect()
    }
}

/// A feature map of a network under construction.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Feature {
    pub name: String,
    pub dims: Vec<usize>,
}

/// The geometry of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub kernel: (usize, usize),
    pub stride: (usize, usize),
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
}

impl Geometry {
    pub const POINT: Self = Self {
        kernel: (1, 1),
        stride: (1, 1),
        pads: [0; 4],
    };

    fn output(&self, dims: &[usize]) -> (usize, usize) {
        let along = |size: usize, before: usize, after: usize, kernel: usize, stride: usize| {
            (size + before + after - kernel) / stride + 1
        };
        let [top, left, bottom, right] = self.pads;
        (
            along(dims[2], top, bottom, self.kernel.0, self.stride.0),
            along(dims[3], left, right, self.kernel.1, self.stride.1),
        )
    }
}

/// A network under construction.
#[derive(Clone, Debug)]
pub(super) struct Net {
    pub model: ModelProto,
    pub numbers: Numbers,
    input: Vec<usize>,
    outputs: Vec<(String, Vec<usize>)>,
}

fn i64s(values: &[usize]) -> Vec<i64> {
    values.iter().map(|v| i64::try_from(*v).unwrap()).collect()
}

pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: i64s(values),
        ..AttributeProto::default()
    }
}

pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i,
        ..AttributeProto::default()
    }
}

fn port(name: &str, dims: &[usize]) -> ValueInfoProto {
    let dim = |d: &i64| Dimension {
        value: Some(dimension::Value::DimValue(*d)),
        ..Dimension::default()
    };
    let shape = TensorShapeProto {
        dim: i64s(dims).iter().map(dim).collect(),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: tensor_proto::DataType::Float as i32,
                shape: Some(shape),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

impl Net {
    /// A network with input `x` of `dims`.
    pub fn new(seed: u64, dims: &[usize]) -> (Self, Feature) {
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            graph: Some(GraphProto {
                name: "test".into(),
                input: vec![port("x", dims)],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        };
        let net = Self {
            model,
            numbers: Numbers::new(seed),
            input: dims.to_vec(),
            outputs: Vec::new(),
        };
        let x = Feature {
            name: "x".into(),
            dims: dims.to_vec(),
        };
        (net, x)
    }

    pub fn graph(&mut self) -> &mut GraphProto {
        self.model.graph.as_mut().unwrap()
    }

    pub fn encode(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }

    pub fn input(&self) -> (&str, &[usize]) {
        ("x", &self.input)
    }

    pub fn outputs(&self) -> Vec<(&str, &[usize])> {
        let outputs = self.outputs.iter();
        outputs.map(|(n, d)| (n.as_str(), d.as_slice())).collect()
    }

    /// Makes `feature` an output under its own name.
    pub fn output(&mut self, feature: &Feature) {
        self.outputs
            .push((feature.name.clone(), feature.dims.clone()));
        let port = port(&feature.name, &feature.dims);
        self.graph().output.push(port);
    }

    fn fresh(&mut self) -> String {
        let graph = self.graph();
        format!("t{}", graph.node.len() + graph.initializer.len())
    }

    pub fn f32s(&mut self, dims: &[usize], values: Vec<f32>) -> String {
        let name = self.fresh();
        let tensor = TensorProto {
            dims: i64s(dims),
            data_type: tensor_proto::DataType::Float as i32,
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            name: name.clone(),
            ..TensorProto::default()
        };
        self.graph().initializer.push(tensor);
        name
    }

    pub fn i64s(&mut self, values: &[i64]) -> String {
        let name = self.fresh();
        let tensor = TensorProto {
            dims: i64s(&[values.len()]),
            data_type: tensor_proto::DataType::Int64 as i32,
            int64_data: values.to_vec(),
            name: name.clone(),
            ..TensorProto::default()
        };
        self.graph().initializer.push(tensor);
        name
    }

    /// A node; the feature map that it makes has `dims`.
    pub fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
        dims: &[usize],
    ) -> Feature {
        let name = self.fresh();
        let node = NodeProto {
            input: inputs.iter().map(|s| (*s).to_owned()).collect(),
            output: vec![name.clone()],
            name: format!("{op}_{name}"),
            op_type: op.into(),
            attribute,
            ..NodeProto::default()
        };
        self.graph().node.push(node);
        Feature {
            name,
            dims: dims.to_vec(),
        }
    }

    /// A convolution to `out` channels; depthwise where `out` is `None`.
    pub fn conv(&mut self, x: &Feature, out: Option<usize>, g: Geometry) -> Feature {
        let c = x.dims[1];
        let (rows, reach) = match out {
            Some(out) => (out, c),
            None => (c, 1),
        };
        let taps = g.kernel.0 * g.kernel.1;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let scale = 1.7 / ((reach * taps) as f32).sqrt();
        let weights = self.numbers.values(rows * reach * taps, scale);
        let weights = self.f32s(&[rows, reach, g.kernel.0, g.kernel.1], weights);
        let group = if out.is_some() { 1 } else { c };
        let attributes = vec![
            ints("kernel_shape", &[g.kernel.0, g.kernel.1]),
            ints("strides", &[g.stride.0, g.stride.1]),
            ints("pads", &g.pads),
            int("group", i64::try_from(group).unwrap()),
        ];
        let (h, w) = g.output(&x.dims);
        let mut inputs = vec![x.name.clone(), weights];
        if !self.numbers.once_in(4) {
            let bias = self.numbers.values(rows, 0.5);
            inputs.push(self.f32s(&[rows], bias));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        self.node("Conv", &inputs, attributes, &[1, rows, h, w])
    }

    /// Activation `which` of 0..=6.
    pub fn act(&mut self, x: &Feature, which: usize) -> Feature {
        let dims = x.dims.clone();
        match which {
            0 => x.clone(),
            1 => self.node("Relu", &[&x.name], vec![], &dims),
            2 => {
                let (lo, hi) = (self.f32s(&[], vec![-0.5]), self.f32s(&[], vec![6.0]));
                self.node("Clip", &[&x.name, &lo, &hi], vec![], &dims)
            }
            3 => {
                let gate = self.node("Sigmoid", &[&x.name], vec![], &dims);
                self.node("Mul", &[&gate.name, &x.name], vec![], &dims)
            }
            4 => self.node("HardSwish", &[&x.name], vec![], &dims),
            5 => self.node("Sigmoid", &[&x.name], vec![], &dims),
            _ => self.node("HardSigmoid", &[&x.name], vec![], &dims),
        }
    }

    pub fn add(&mut self, a: &Feature, b: &Feature) -> Feature {
        self.node("Add", &[&a.name, &b.name], vec![], &a.dims)
    }

    pub fn global_pool(&mut self, x: &Feature) -> Feature {
        let dims = [1, x.dims[1], 1, 1];
        self.node("GlobalAveragePool", &[&x.name], vec![], &dims)
    }

    /// Squeeze and excite.
    pub fn excite(&mut self, x: &Feature, squeezed: usize) -> Feature {
        let mean = self.global_pool(x);
        let small = self.conv(&mean, Some(squeezed), Geometry::POINT);
        let small = self.act(&small, 3);
        let wide = self.conv(&small, Some(x.dims[1]), Geometry::POINT);
        let gate = self.act(&wide, 5);
        self.node("Mul", &[&x.name, &gate.name], vec![], &x.dims)
    }

    pub fn batch_norm(&mut self, x: &Feature) -> Feature {
        let c = x.dims[1];
        let inputs: Vec<String> = [1.0, 0.5, 0.3, 1.0]
            .iter()
            .enumerate()
            .map(|(i, scale)| {
                let mut values = self.numbers.values(c, *scale);
                if i == 3 {
                    values.iter_mut().for_each(|v| *v = v.abs() + 0.2);
                }
                self.f32s(&[c], values)
            })
            .collect();
        let names = [&x.name, &inputs[0], &inputs[1], &inputs[2], &inputs[3]];
        self.node(
            "BatchNormalization",
            &names.map(String::as_str),
            vec![],
            &x.dims,
        )
    }

    pub fn average_pool(&mut self, x: &Feature, g: Geometry, count_padding: bool) -> Feature {
        let (h, w) = g.output(&x.dims);
        let attributes = vec![
            ints("kernel_shape", &[g.kernel.0, g.kernel.1]),
            ints("strides", &[g.stride.0, g.stride.1]),
            ints("pads", &g.pads),
            int("count_include_pad", i64::from(count_padding)),
        ];
        self.node("AveragePool", &[&x.name], attributes, &[1, x.dims[1], h, w])
    }

    /// Zeros around `x`, as a node.
    pub fn pad(&mut self, x: &Feature, [top, left, bottom, right]: [usize; 4]) -> Feature {
        let pads = i64s(&[0, 0, top, left, 0, 0, bottom, right]);
        let pads = self.i64s(&pads);
        let dims = [
            1,
            x.dims[1],
            x.dims[2] + top + bottom,
            x.dims[3] + left + right,
        ];
        self.node("Pad", &[&x.name, &pads], vec![], &dims)
    }

    /// Flatten and a fully connected layer.
    pub fn gemm(&mut self, x: &Feature, out: usize) -> Feature {
        let inner: usize = x.dims.iter().product();
        let flat = self.node("Flatten", &[&x.name], vec![], &[1, inner]);
        let weights = self.numbers.values(out * inner, 0.3);
        let weights = self.f32s(&[out, inner], weights);
        let bias = self.numbers.values(out, 0.3);
        let bias = self.f32s(&[out], bias);
        let names = [flat.name.as_str(), &weights, &bias];
        self.node("Gemm", &names, vec![int("transB", 1)], &[1, out])
    }
}
