//! The native engine: convolutional networks of a closed set of operators, run
//! on the caller's thread by kernels of our own.
//!
//! The set: Conv (1x1, depthwise, dense of any kernel; any stride; symmetric,
//! asymmetric or automatic padding), BatchNormalization, Gemm, MatMul and
//! constant operands of Add and Mul, Relu, Clip, Sigmoid, HardSigmoid,
//! HardSwish, SiLU (x times its Sigmoid), Add, Mul by one value per channel
//! (squeeze-excite), GlobalAveragePool, ReduceMean over the image, AveragePool,
//! Pad in front of a Conv, Flatten, Reshape and Squeeze of what is flat,
//! Identity, Dropout, Constant; batch 1, f32, static shapes; and all of these with
//! QuantizeLinear and DequantizeLinear around them, which run in 8 bits (see `int8`).
//!
//! Guarantees: a file outside the set is refused with the node named; any bytes
//! give a segment or an error. A run allocates nothing and computes on the
//! caller's thread alone. Instructions beyond the build's own are used only
//! where the processor has them. NaN and infinity in an input stay in the pixels
//! and channels that they reach by arithmetic.
//!
//! Non-guarantees: the last bits; they depend on the instruction set.
//!
//! Cost: loading packs the weights once (a copy of the file's), a run touches
//! one arena of the size that its widest steps need.

mod build;
mod fuse;
mod graph;
mod int8;
mod kernels;
mod map;
mod memory;
mod onnx;
mod pack;
mod plan;
mod step;

#[cfg(test)]
mod tests;

pub use kernels::Isa;

use super::bundle::{Bundle, SegmentSpec};
use super::pending::Pending;
use super::{
    Buffer, Engine, EngineError, IoLengths, RunError, Segment, SegmentIo, load_error, segment_spec,
};
use graph::Graph;
use int8::Plan8;
use kernels::Kernels;
use plan::Plan;
use step::StepError;

/// Why a file is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Another engine may take it.
    #[error("{node}: {reason}")]
    Unsupported {
        /// The node, as its operator and name.
        node: String,
        /// What about it is outside the set.
        reason: String,
    },
    /// No engine can.
    #[error("{0}")]
    Broken(String),
}

fn broken(reason: impl Into<String>) -> Refusal {
    Refusal::Broken(reason.into())
}

/// Runs segments with the kernels of one instruction set.
#[derive(Clone, Copy, Debug)]
pub struct NativeEngine {
    kernels: Kernels,
}

impl Default for NativeEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl NativeEngine {
    /// The engine with the fastest kernels that this processor has.
    #[must_use]
    pub fn new() -> Self {
        Self {
            kernels: Kernels::detect(),
        }
    }

    /// The engine with the kernels of `isa`; `None` where the processor lacks
    /// it.
    #[must_use]
    pub fn with_isa(isa: Isa) -> Option<Self> {
        Kernels::of(isa).map(|kernels| Self { kernels })
    }

    /// The instruction set of its kernels.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.kernels.isa()
    }

    /// A segment from the bytes of an ONNX file that belongs to no bundle: one
    /// input `[1, C, H, W]`, a feature map if wanted, and a pooled feature, each
    /// with its name and shape in the graph.
    ///
    /// # Errors
    /// When the graph is broken, outside the set, or of other names and shapes.
    pub fn load_graph(
        &self,
        onnx: &[u8],
        input: NamedShape<'_>,
        output: Option<NamedShape<'_>>,
        pooled: NamedShape<'_>,
    ) -> Result<Box<dyn Segment>, EngineError> {
        let outputs: Vec<_> = output.into_iter().chain([pooled]).collect();
        let failed = |refusal: Refusal| EngineError::Load {
            file: "the graph".to_owned(),
            reason: refusal.to_string(),
        };
        let plan = Network::read(self.kernels, onnx, input, &outputs).map_err(failed)?;
        let elements = |port: NamedShape<'_>| port.1.iter().product();
        let lengths = IoLengths {
            input: elements(input),
            output: output.map(elements),
            pooled: elements(pooled),
        };
        let pending = Pending::new(0, lengths);
        Ok(Box::new(NativeSegment { plan, pending }))
    }

    /// Why it does not take the segment, if it does not; cheaper than loading.
    pub(super) fn refusal(self, spec: &SegmentSpec, bytes: &[u8]) -> Option<Refusal> {
        let (input, outputs) = ports(spec);
        let outputs = outputs.as_slice();
        let model = onnx::Model::read(bytes);
        model
            .and_then(|model| build::graph(model, input, outputs))
            .err()
    }

    /// Loads segment `index`, or says why not.
    pub(super) fn try_load(
        self,
        index: usize,
        spec: &SegmentSpec,
        bytes: &[u8],
    ) -> Result<NativeSegment, Refusal> {
        let (input, outputs) = ports(spec);
        let plan = Network::read(self.kernels, bytes, input, &outputs)?;
        let pending = Pending::new(index, IoLengths::of(spec));
        Ok(NativeSegment { plan, pending })
    }
}

/// A graph's input or output: name and shape.
pub type NamedShape<'a> = (&'a str, &'a [usize]);

/// What a segment's graph takes and gives.
fn ports(spec: &SegmentSpec) -> (NamedShape<'_>, Vec<NamedShape<'_>>) {
    let y = spec.output.as_ref().map(|y| ("y", y.as_slice()));
    let pooled = ("pooled", spec.pooled.as_slice());
    (("x", &spec.input), y.into_iter().chain([pooled]).collect())
}

impl Engine for NativeEngine {
    fn name(&self) -> &'static str {
        "native"
    }

    fn is_asynchronous(&self) -> bool {
        false
    }

    fn buffer(&self, len: usize) -> Result<Buffer, EngineError> {
        Ok(Buffer::Host(vec![0.0; len]))
    }

    fn load(&self, bundle: &Bundle, index: usize) -> Result<Box<dyn Segment>, EngineError> {
        let spec = segment_spec(bundle, index)?;
        let bytes = bundle
            .bytes(&spec.file)
            .map_err(|error| load_error(bundle, spec, error.to_string()))?;
        match self.try_load(index, spec, bytes) {
            Ok(segment) => Ok(Box::new(segment)),
            Err(refusal @ Refusal::Unsupported { .. }) => Err(load_error(
                bundle,
                spec,
                format!("{refusal}; choose --engine auto to have tract run it"),
            )),
            Err(refusal) => Err(load_error(bundle, spec, refusal.to_string())),
        }
    }
}

/// A network ready to run, in floats or in 8 bits.
#[derive(Debug)]
enum Network {
    Floats(Plan),
    Bytes(Plan8),
}

impl Network {
    /// Reads an ONNX file whose input must be `input` and whose outputs are asked for by
    /// name and shape.
    fn read(
        kernels: Kernels,
        bytes: &[u8],
        input: NamedShape<'_>,
        outputs: &[NamedShape<'_>],
    ) -> Result<Self, Refusal> {
        let graph: Graph = fuse::fuse(build::graph(onnx::Model::read(bytes)?, input, outputs)?);
        if graph.is_quantised() {
            return Plan8::new(kernels.isa(), &graph).map(Self::Bytes);
        }
        Plan::new(kernels, &graph).map(Self::Floats)
    }

    /// Runs on a planar input and writes planar outputs, in the order in which they were
    /// asked for.
    fn run<const N: usize>(
        &mut self,
        input: &[f32],
        outputs: [&mut [f32]; N],
    ) -> Result<(), StepError> {
        match self {
            Self::Floats(plan) => plan.run(input, outputs),
            Self::Bytes(plan) => plan.run(input, outputs),
        }
    }
}

/// A segment and its plan.
#[derive(Debug)]
pub(super) struct NativeSegment {
    plan: Network,
    pending: Pending,
}

impl NativeSegment {
    fn compute(&mut self, io: &mut SegmentIo) -> Result<(), String> {
        let (Buffer::Host(input), Buffer::Host(pooled)) = (&io.input, &mut io.pooled) else {
            return Err("the buffers are not in host memory".to_owned());
        };
        let done = match &mut io.output {
            Some(Buffer::Host(y)) => self.plan.run(input, [y, pooled]),
            Some(Buffer::Device(_)) => return Err("the output is not in host memory".to_owned()),
            None => self.plan.run(input, [pooled]),
        };
        done.map_err(|error| error.to_string())
    }
}

impl Segment for NativeSegment {
    fn enqueue(&mut self, io: SegmentIo) -> Result<(), RunError> {
        self.pending.hold(io)
    }

    fn wait(&mut self) -> Result<SegmentIo, RunError> {
        let mut io = self.pending.release()?;
        let done = self.compute(&mut io);
        self.pending.ended(io, done)
    }
}
