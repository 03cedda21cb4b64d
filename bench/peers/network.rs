//! What is run: one ONNX file, or the segments of a bundle in a row.

use anyhow::{Context, bail};
use e4::engine::bundle::Bundle;
use e4::engine::native::NativeEngine;
use e4::engine::{Engine, Segment};
use prost::Message;
use std::fs;
use std::path::{Path, PathBuf};
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{ModelProto, ValueInfoProto};

/// Files that make one network.
#[derive(Debug)]
pub struct Network {
    pub name: String,
    pub files: Vec<PathBuf>,
    pub input: Vec<usize>,
    /// Whether some of its arithmetic is in 8 bits.
    pub quantised: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Bundle(Bundle),
    Graph {
        bytes: Vec<u8>,
        input: (String, Vec<usize>),
        output: (String, Vec<usize>),
    },
}

/// Lengths of a segment's input, feature map and pooled feature.
pub type Lengths = (usize, Option<usize>, usize);

impl Network {
    /// The segments of the bundle in `dir`.
    pub fn bundle(dir: &Path) -> anyhow::Result<Self> {
        let bundle = Bundle::open(dir)?;
        let manifest = bundle.manifest();
        let files: Vec<PathBuf> = manifest
            .segments
            .iter()
            .map(|s| bundle.path(&s.file))
            .collect();
        let input = &manifest.input;
        Ok(Self {
            name: format!(
                "`{}`, {} px, {} segments",
                manifest.name,
                input.width,
                files.len()
            ),
            input: vec![1, 3, input.height, input.width],
            quantised: files.iter().any(|file| is_quantised(file)),
            files,
            kind: Kind::Bundle(bundle),
        })
    }

    /// One ONNX file.
    pub fn file(path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path)?;
        let model = ModelProto::decode(bytes.as_slice())?;
        let graph = model.graph.context("no graph")?;
        let weights: Vec<&str> = graph.initializer.iter().map(|w| w.name.as_str()).collect();
        let is_input = |p: &&ValueInfoProto| !weights.contains(&p.name.as_str());
        let inputs: Vec<_> = graph.input.iter().filter(is_input).collect();
        let ([input], [output]) = (inputs.as_slice(), graph.output.as_slice()) else {
            bail!("it does not have one input and one output");
        };
        let (input, output) = (port(input)?, port(output)?);
        Ok(Self {
            name: path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            files: vec![path.to_owned()],
            input: input.1.clone(),
            quantised: is_quantised(path),
            kind: Kind::Graph {
                bytes,
                input,
                output,
            },
        })
    }

    /// The bundle, if it is one.
    pub fn as_bundle(&self) -> Option<&Bundle> {
        match &self.kind {
            Kind::Bundle(bundle) => Some(bundle),
            Kind::Graph { .. } => None,
        }
    }

    /// All segments on the native engine.
    pub fn native(
        &self,
        engine: &NativeEngine,
    ) -> anyhow::Result<Vec<(Box<dyn Segment>, Lengths)>> {
        match &self.kind {
            Kind::Bundle(_) => self.on(engine),
            Kind::Graph {
                bytes,
                input,
                output,
            } => {
                let named =
                    |port: &'_ (String, Vec<usize>)| -> (String, Vec<usize>) { port.clone() };
                let (x, y) = (named(input), named(output));
                let segment = engine.load_graph(bytes, (&x.0, &x.1), None, (&y.0, &y.1))?;
                let elements = |shape: &[usize]| shape.iter().product();
                Ok(vec![(segment, (elements(&x.1), None, elements(&y.1)))])
            }
        }
    }

    /// All segments of a bundle on `engine`.
    pub fn on(&self, engine: &dyn Engine) -> anyhow::Result<Vec<(Box<dyn Segment>, Lengths)>> {
        let bundle = self.as_bundle().context("not a bundle")?;
        let load = |(index, spec): (usize, &e4::engine::bundle::SegmentSpec)| {
            let elements = e4::engine::bundle::elements;
            let output = spec.output.as_ref().map(elements);
            let lengths = (elements(&spec.input), output, elements(&spec.pooled));
            Ok((engine.load(bundle, index)?, lengths))
        };
        bundle
            .manifest()
            .segments
            .iter()
            .enumerate()
            .map(load)
            .collect()
    }
}

fn is_quantised(file: &Path) -> bool {
    let read = || -> Option<bool> {
        let model = ModelProto::decode(fs::read(file).ok()?.as_slice()).ok()?;
        let nodes = &model.graph?.node;
        Some(nodes.iter().any(|node| node.op_type == "QuantizeLinear"))
    };
    read().unwrap_or(false)
}

fn port(info: &ValueInfoProto) -> anyhow::Result<(String, Vec<usize>)> {
    let shape = || -> Option<Vec<usize>> {
        let Type::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
        let dims = tensor.shape.as_ref()?.dim.iter();
        let size = |value: &Value| match value {
            Value::DimValue(size) => usize::try_from(*size).ok(),
            Value::DimParam(_) => None,
        };
        dims.map(|dim| dim.value.as_ref().and_then(size)).collect()
    };
    let shape = shape().with_context(|| format!("{} has no fixed shape", info.name))?;
    Ok((info.name.clone(), shape))
}
