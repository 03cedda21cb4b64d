//! From the nodes of an ONNX file to the engine's own operators: checks each
//! against the set that the engine runs, and works out every shape.
//!
//! What is outside the set is [`Refusal::Unsupported`], the node named; what
//! cannot be a network at all is [`Refusal::Broken`].

mod conv;
mod quantised;
mod simple;

use super::graph::{Graph, Node, Op, Pads, Quant, Tensor, TensorId};
use super::onnx::{Constant, MAX_ELEMENTS, Model, Port, constant, label};
use super::{Refusal, broken};
use std::collections::HashMap;
use tract_onnx::pb::NodeProto;

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
struct Value {
    tensor: TensorId,
    /// `[1, c * h * w]` rather than `[1, c, h, w]`.
    flat: bool,
    /// Zeros around it that no node has taken yet.
    pads: Option<Pads>,
}

/// A network under construction.
#[derive(Debug)]
struct Builder<'m> {
    opset: i64,
    constants: HashMap<String, Constant>,
    values: HashMap<&'m str, Value>,
    graph: Graph,
    /// Which node makes a tensor.
    makers: HashMap<TensorId, usize>,
    /// Tensors of 8-bit values.
    quants: HashMap<TensorId, Quant>,
}

/// Why one node is refused: its text follows the node's name.
#[derive(Debug)]
enum Fault {
    /// Outside the set.
    Unsupported(String),
    /// Impossible.
    Broken(String),
}

type Built<T> = Result<T, Fault>;

fn unsupported<T>(reason: impl Into<String>) -> Built<T> {
    Err(Fault::Unsupported(reason.into()))
}

fn impossible<T>(reason: impl Into<String>) -> Built<T> {
    Err(Fault::Broken(reason.into()))
}

/// The network of `model`, whose input must be `input` and whose outputs are
/// asked for by name and shape.
pub(super) fn graph(
    model: Model,
    input: (&str, &[usize]),
    outputs: &[(&str, &[usize])],
) -> Result<Graph, Refusal> {
    check_ports(&model, input, outputs)?;
    let Model {
        opset,
        nodes,
        constants,
        inputs,
        ..
    } = model;
    let mut builder = Builder {
        opset,
        constants,
        values: HashMap::new(),
        graph: Graph::default(),
        makers: HashMap::new(),
        quants: HashMap::new(),
    };
    let &[1, c, h, w] = input.1 else {
        return Err(broken(format!("{} is not [1, C, H, W]", input.0)));
    };
    let tensor = builder.tensor(c, h, w).map_err(|fault| match fault {
        Fault::Unsupported(reason) | Fault::Broken(reason) => broken(reason),
    })?;
    builder.graph.input = tensor;
    let name = inputs[0].name.as_str();
    builder.values.insert(name, Value::whole(tensor));
    for node in &nodes {
        builder.node(node).map_err(|fault| match fault {
            Fault::Unsupported(reason) => Refusal::Unsupported {
                node: label(node),
                reason,
            },
            Fault::Broken(reason) => broken(format!("{}: {reason}", label(node))),
        })?;
    }
    for &(name, dims) in outputs {
        let tensor = builder.output(name, dims)?;
        builder.graph.outputs.push(tensor);
    }
    Ok(builder.graph)
}

fn check_ports(
    model: &Model,
    input: (&str, &[usize]),
    outputs: &[(&str, &[usize])],
) -> Result<(), Refusal> {
    fn names(ports: &[Port]) -> Vec<&str> {
        ports.iter().map(|p| p.name.as_str()).collect()
    }
    let found = names(&model.inputs);
    if found != [input.0] {
        return Err(broken(format!(
            "the inputs are {found:?}, not [{:?}]",
            input.0
        )));
    }
    let found = names(&model.outputs);
    let mut sorted = found.clone();
    sorted.sort_unstable();
    let wanted: Vec<&str> = outputs.iter().map(|o| o.0).collect();
    let mut expected = wanted.clone();
    expected.sort_unstable();
    if sorted != expected {
        return Err(broken(format!("the outputs are {found:?}, not {wanted:?}")));
    }
    let dims = model.inputs[0].dims.as_deref();
    match dims {
        Some(dims) if dims != input.1 => Err(misshapen(input.0, dims, input.1)),
        _ => Ok(()),
    }
}

fn misshapen(name: &str, found: &[usize], expected: &[usize]) -> Refusal {
    broken(format!(
        "{name} is F32 {found:?}, not F32 {expected:?} as in bundle.toml"
    ))
}

impl Value {
    fn whole(tensor: TensorId) -> Self {
        Self {
            tensor,
            flat: false,
            pads: None,
        }
    }
}

impl<'m> Builder<'m> {
    fn tensor(&mut self, c: usize, h: usize, w: usize) -> Built<TensorId> {
        let elements = [h, w]
            .iter()
            .try_fold(c, |n, d| n.checked_mul(*d).filter(|n| *n <= MAX_ELEMENTS));
        match elements {
            None => impossible(format!(
                "a feature map [{c}, {h}, {w}] has more than {MAX_ELEMENTS} elements"
            )),
            Some(0) => impossible(format!("a feature map [{c}, {h}, {w}] is empty")),
            Some(_) => {
                self.graph.tensors.push(Tensor { c, h, w });
                Ok(self.graph.tensors.len() - 1)
            }
        }
    }

    fn shape(&self, tensor: TensorId) -> Tensor {
        self.graph.tensors[tensor]
    }

    /// Adds a node that makes a tensor of `shape`, under the name of the ONNX
    /// node's output.
    fn push(
        &mut self,
        node: &'m NodeProto,
        op: Op,
        inputs: Vec<TensorId>,
        shape: (usize, usize, usize),
        flat: bool,
    ) -> Built<()> {
        let output = self.tensor(shape.0, shape.1, shape.2)?;
        self.makers.insert(output, self.graph.nodes.len());
        self.graph.nodes.push(Node {
            name: label(node),
            op,
            inputs,
            output,
        });
        self.name(
            node,
            Value {
                tensor: output,
                flat,
                pads: None,
            },
        )
    }

    /// Lets the node's one output stand for `value`.
    fn name(&mut self, node: &'m NodeProto, value: Value) -> Built<()> {
        let [output] = node.output.as_slice() else {
            return unsupported(format!("it has {} outputs, not one", node.output.len()));
        };
        if self.constants.contains_key(output) {
            return impossible(format!("it makes {output:?}, which is a constant"));
        }
        match self.values.insert(output, value) {
            None => Ok(()),
            Some(_) => impossible(format!("it makes {output:?} a second time")),
        }
    }

    /// Input `i` as a feature map without padding of its own.
    fn input(&self, node: &'m NodeProto, i: usize) -> Built<Value> {
        let value = self.padded_input(node, i)?;
        match value.pads {
            None => Ok(value),
            Some(_) => unsupported("it reads a Pad; only a Conv may"),
        }
    }

    fn padded_input(&self, node: &'m NodeProto, i: usize) -> Built<Value> {
        let name = node.input.get(i).map_or("", String::as_str);
        if name.is_empty() {
            return impossible(format!("it has no input {i}"));
        }
        match self.values.get(name) {
            Some(value) if self.quants.contains_key(&value.tensor) => {
                unsupported("it reads 8-bit values; only a DequantizeLinear may")
            }
            Some(value) => Ok(*value),
            None if self.constants.contains_key(name) => {
                unsupported(format!("its input {name:?} is a constant"))
            }
            None => impossible(format!("it reads {name:?}, which no node before it makes")),
        }
    }

    /// Input `i` as a constant; `None` where it is left out.
    fn constant(&self, node: &'m NodeProto, i: usize) -> Built<Option<&Constant>> {
        let name = node.input.get(i).map_or("", String::as_str);
        if name.is_empty() {
            return Ok(None);
        }
        match self.constants.get(name) {
            Some(constant) => Ok(Some(constant)),
            None if self.values.contains_key(name) => {
                unsupported(format!("its input {name:?} is not a constant"))
            }
            None => impossible(format!("it reads {name:?}, which is not in the file")),
        }
    }

    /// Input `i` as f32 constants of `len` elements; `None` where it is left
    /// out.
    fn f32s(&self, node: &'m NodeProto, i: usize, len: usize) -> Built<Option<Vec<f32>>> {
        let Some(constant) = self.constant(node, i)? else {
            return Ok(None);
        };
        match constant.f32s() {
            Some(values) if values.len() == len => Ok(Some(values.to_vec())),
            Some(values) => impossible(format!(
                "input {i} holds {} elements, not {len}",
                values.len()
            )),
            None => unsupported(format!("input {i} is not of 32-bit floats")),
        }
    }

    fn node(&mut self, node: &'m NodeProto) -> Built<()> {
        if !(node.domain.is_empty() || node.domain == "ai.onnx") {
            return unsupported(format!("its domain is {:?}", node.domain));
        }
        match node.op_type.as_str() {
            "Constant" => self.constant_node(node),
            "Identity" | "Dropout" => self.same(node),
            "Conv" => self.conv(node),
            "Gemm" => self.gemm(node),
            "MatMul" => self.matmul(node),
            "BatchNormalization" => self.batch_norm(node),
            "Relu" | "Clip" | "Sigmoid" | "HardSigmoid" | "HardSwish" => self.activation(node),
            "Add" => self.add(node),
            "Mul" => self.mul(node),
            "GlobalAveragePool" | "ReduceMean" => self.global_pool(node),
            "AveragePool" => self.average_pool(node),
            "Pad" => self.pad(node),
            "QuantizeLinear" => self.quantize(node),
            "DequantizeLinear" => self.dequantize(node),
            "Flatten" | "Reshape" | "Squeeze" => self.reshape(node),
            _ => unsupported("the native engine has no such operator"),
        }
    }

    fn constant_node(&mut self, node: &'m NodeProto) -> Built<()> {
        use super::onnx::Attributes;
        let tensor = node.attribute("value").and_then(|a| a.t.as_ref());
        let ([output], Some(tensor)) = (node.output.as_slice(), tensor) else {
            return unsupported("only a tensor as its value is supported");
        };
        let constant = constant(tensor).map_err(Fault::Broken)?;
        if self.values.contains_key(output.as_str()) {
            return impossible(format!("it makes {output:?} a second time"));
        }
        self.constants.insert(output.clone(), constant);
        Ok(())
    }

    fn output(&self, name: &str, dims: &[usize]) -> Result<TensorId, Refusal> {
        let value = self
            .values
            .get(name)
            .ok_or_else(|| broken(format!("no node makes the output {name:?}")))?;
        if value.pads.is_some() {
            return Err(Refusal::Unsupported {
                node: format!("Pad that makes {name:?}"),
                reason: "only a Conv may read a Pad".to_owned(),
            });
        }
        if self.quants.contains_key(&value.tensor) {
            return Err(broken(format!("the output {name:?} is of 8-bit values")));
        }
        let Tensor { c, h, w } = self.shape(value.tensor);
        let found = if value.flat {
            vec![1, c * h * w]
        } else {
            vec![1, c, h, w]
        };
        if found == dims {
            Ok(value.tensor)
        } else {
            Err(misshapen(name, &found, dims))
        }
    }
}
