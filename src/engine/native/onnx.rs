//! An ONNX file as checked parts: nodes with named attributes, constants with
//! as many elements as their dimensions say, one input, outputs.
//!
//! Guarantees: any bytes give a model or a [`Refusal`], never a panic; nothing
//! that is computed from a constant's dimensions can overflow. Non-guarantees:
//! what a node means is for [`graph`](super::graph) to know.

use super::{Refusal, broken};
use prost::Message;
use std::collections::HashMap;
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto,
    tensor_shape_proto::dimension,
};

/// Most elements of a constant or an activation.
pub(super) const MAX_ELEMENTS: usize = 1 << 28;

/// Oldest operator set whose nodes mean what is assumed here.
const MIN_OPSET: i64 = 7;

/// A constant tensor.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub dims: Vec<usize>,
    pub data: Data,
    /// The steps of what was dequantised, and along which axis they differ.
    pub steps: Option<(usize, Vec<f32>)>,
}

/// Integers that quantised values come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integer {
    U8,
    I8,
    I32,
}

/// Elements of a constant.
#[derive(Clone, Debug)]
pub(super) enum Data {
    F32(Vec<f32>),
    I64(Vec<i64>),
    Quantised(Integer, Vec<i32>),
    /// A type that no supported node takes.
    Other,
}

impl Constant {
    /// The elements, if they are f32.
    pub fn f32s(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(values) => Some(values),
            _ => None,
        }
    }

    /// The elements, if they are i64.
    pub fn i64s(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(values) => Some(values),
            _ => None,
        }
    }

    /// The elements and their type, if they may be quantised values.
    pub fn quantised(&self) -> Option<(Integer, &[i32])> {
        match &self.data {
            Data::Quantised(kind, values) => Some((*kind, values)),
            _ => None,
        }
    }
}

/// A graph's input or output; the shape is `None` where the file gives none.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub name: String,
    pub dims: Option<Vec<usize>>,
}

/// The parts of a model.
#[derive(Debug)]
pub(super) struct Model {
    pub opset: i64,
    pub nodes: Vec<NodeProto>,
    pub constants: HashMap<String, Constant>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

impl Model {
    /// Reads a file's bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let model = ModelProto::decode(bytes)
            .map_err(|error| broken(format!("not an ONNX file: {error}")))?;
        let opset = opset(&model)?;
        let graph = model
            .graph
            .ok_or_else(|| broken("the ONNX file holds no graph"))?;
        if !graph.sparse_initializer.is_empty() {
            return Err(broken("sparse initialisers are not supported"));
        }
        let constants = constants(&graph)?;
        let inputs = graph
            .input
            .iter()
            .filter(|i| !constants.contains_key(&i.name));
        Ok(Self {
            opset,
            inputs: inputs.map(port).collect::<Result<_, _>>()?,
            outputs: graph.output.iter().map(port).collect::<Result<_, _>>()?,
            constants,
            nodes: graph.node,
        })
    }
}

fn opset(model: &ModelProto) -> Result<i64, Refusal> {
    let ours = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let opset = model.opset_import.iter().find(|o| ours(&o.domain));
    match opset.map(|o| o.version) {
        Some(version) if version >= MIN_OPSET => Ok(version),
        Some(version) => Err(broken(format!(
            "operator set {version} is older than {MIN_OPSET}"
        ))),
        None => Err(broken("the ONNX file names no operator set")),
    }
}

fn constants(graph: &GraphProto) -> Result<HashMap<String, Constant>, Refusal> {
    let mut constants = HashMap::with_capacity(graph.initializer.len());
    for tensor in &graph.initializer {
        let value = constant(tensor)
            .map_err(|reason| broken(format!("initialiser {:?}: {reason}", tensor.name)))?;
        if constants.insert(tensor.name.clone(), value).is_some() {
            let name = &tensor.name;
            return Err(broken(format!("initialiser {name:?} is there twice")));
        }
    }
    Ok(constants)
}

fn size(dims: impl Iterator<Item = i64>) -> Result<(Vec<usize>, usize), String> {
    let mut sizes = Vec::new();
    let mut total = 1_usize;
    for dim in dims {
        let dim = usize::try_from(dim).map_err(|_| format!("a dimension of {dim}"))?;
        total = total
            .checked_mul(dim)
            .filter(|total| *total <= MAX_ELEMENTS)
            .ok_or_else(|| format!("more than {MAX_ELEMENTS} elements"))?;
        sizes.push(dim);
    }
    Ok((sizes, total))
}

/// Elements and dimensions of `tensor`; a sentence where they do not fit.
pub(super) fn constant(tensor: &TensorProto) -> Result<Constant, String> {
    use tensor_proto::{DataLocation, DataType};
    let (dims, len) = size(tensor.dims.iter().copied())?;
    if tensor.data_location == Some(DataLocation::External as i32) {
        return Err("its data is in another file".to_owned());
    }
    let raw = &tensor.raw_data;
    let data = if tensor.data_type == DataType::Float as i32 {
        let (values, rest) = raw.as_chunks();
        let values = values.iter().map(|b| f32::from_le_bytes(*b));
        let values = [values.collect(), tensor.float_data.clone()].concat();
        check_length(values.len(), len, rest)?;
        Data::F32(values)
    } else if tensor.data_type == DataType::Int64 as i32 {
        let (values, rest) = raw.as_chunks();
        let values = values.iter().map(|b| i64::from_le_bytes(*b));
        let values = [values.collect(), tensor.int64_data.clone()].concat();
        check_length(values.len(), len, rest)?;
        Data::I64(values)
    } else if let Some(kind) = integer(tensor.data_type) {
        let (values, rest) = integers(kind, raw);
        let values = [values, tensor.int32_data.clone()].concat();
        check_length(values.len(), len, rest)?;
        Data::Quantised(kind, values)
    } else {
        Data::Other
    };
    Ok(Constant {
        dims,
        data,
        steps: None,
    })
}

fn integer(data_type: i32) -> Option<Integer> {
    use tensor_proto::DataType;
    let kinds = [
        (DataType::Uint8, Integer::U8),
        (DataType::Int8, Integer::I8),
        (DataType::Int32, Integer::I32),
    ];
    let same = |(of, _): &&(DataType, Integer)| *of as i32 == data_type;
    kinds.iter().find(same).map(|(_, kind)| *kind)
}

/// The elements in `raw`, and what is left over.
fn integers(kind: Integer, raw: &[u8]) -> (Vec<i32>, &[u8]) {
    match kind {
        Integer::U8 => (raw.iter().map(|b| i32::from(*b)).collect(), &[]),
        Integer::I8 => {
            let values = raw.iter().map(|b| i32::from(b.cast_signed()));
            (values.collect(), &[])
        }
        Integer::I32 => {
            let (values, rest) = raw.as_chunks();
            let values = values.iter().map(|b| i32::from_le_bytes(*b));
            (values.collect(), rest)
        }
    }
}

fn check_length(found: usize, expected: usize, rest: &[u8]) -> Result<(), String> {
    if found == expected && rest.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "it holds {found} elements, its dimensions say {expected}"
        ))
    }
}

fn port(info: &ValueInfoProto) -> Result<Port, Refusal> {
    let name = info.name.clone();
    let value = info.r#type.as_ref().and_then(|t| t.value.as_ref());
    let Some(TypeValue::TensorType(tensor)) = value else {
        return Ok(Port { name, dims: None });
    };
    if tensor.elem_type != tensor_proto::DataType::Float as i32 {
        return Err(broken(format!("{name} is not of 32-bit floats")));
    }
    let fixed = |d: &tract_onnx::pb::tensor_shape_proto::Dimension| match d.value {
        Some(dimension::Value::DimValue(value)) => Some(value),
        _ => None,
    };
    let dims: Option<Vec<i64>> = tensor
        .shape
        .as_ref()
        .and_then(|shape| shape.dim.iter().map(fixed).collect());
    let dims = dims
        .map(|dims| size(dims.into_iter()))
        .transpose()
        .map_err(|reason| broken(format!("{name} has {reason}")))?;
    Ok(Port {
        name,
        dims: dims.map(|(dims, _)| dims),
    })
}

/// What a message calls a node: its operator with its name, or the name of what
/// it makes.
pub(super) fn label(node: &NodeProto) -> String {
    let name = match (&node.name, node.output.first()) {
        (name, _) if !name.is_empty() => name.as_str(),
        (_, Some(output)) => output.as_str(),
        _ => "without a name",
    };
    format!("{} {name:?}", node.op_type)
}

/// A node's attributes by name.
pub(super) trait Attributes {
    /// The attribute, if it is there.
    fn attribute(&self, name: &str) -> Option<&AttributeProto>;

    /// An integer, or `default`.
    fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    /// A number, or `default`.
    fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f)
    }

    /// A list of integers; `None` where it is missing.
    fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    /// A word; empty where it is missing.
    fn word(&self, name: &str) -> String {
        let bytes = self.attribute(name).map(|a| a.s.as_slice());
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    }
}

impl Attributes for NodeProto {
    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|a| a.name == name)
    }
}
