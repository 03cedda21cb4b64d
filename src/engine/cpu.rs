//! The CPU engine on tract, for graphs outside the native engine's set: every
//! segment's ONNX graph, optimised once, run on the caller's thread.
//!
//! Guarantees: no tract type leaves this module. A segment loads only if its
//! graph takes one `x` and gives `y` and `pooled` of exactly the manifest's
//! shapes, all f32, and has run once on zeros. `enqueue` checks and keeps the
//! buffers, `wait` computes: a run that was enqueued in vain costs nothing.
//!
//! Cost: a run copies its input in and its outputs out (a few hundred kB at
//! most, against milliseconds of convolution). This module allocates nothing in
//! a run; tract allocates each intermediate tensor.

use super::bundle::{Bundle, SegmentSpec, Shape};
use super::pending::Pending;
use super::{Buffer, Engine, EngineError, IoLengths, RunError, Segment, SegmentIo, segment_spec};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tract_onnx::prelude::{
    Datum, DatumType, Framework, InferenceModel, InferenceModelExt, IntoRunnable, IntoTValue,
    TValue, TVec, Tensor, TractError, TypedModel, tvec,
};
use tract_onnx::tract_hir::internal::{TypedSimpleState, format_err};

type TractResult<T> = Result<T, TractError>;

/// Runs segments on the CPU with tract, one thread each run.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuEngine;

impl CpuEngine {
    /// The engine. It has no state; segments do.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Engine for CpuEngine {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn is_asynchronous(&self) -> bool {
        false
    }

    fn buffer(&self, len: usize) -> Result<Buffer, EngineError> {
        Ok(Buffer::Host(vec![0.0; len]))
    }

    fn load(&self, bundle: &Bundle, index: usize) -> Result<Box<dyn Segment>, EngineError> {
        let spec = segment_spec(bundle, index)?;
        let failed = |reason: String| EngineError::Load {
            file: bundle.path(&spec.file).display().to_string(),
            reason,
        };
        let bytes = bundle
            .bytes(&spec.file)
            .map_err(|e| failed(e.to_string()))?;
        // The reader indexes by names that a malformed graph may not have.
        let segment = catch_unwind(AssertUnwindSafe(|| CpuSegment::load(index, spec, bytes)));
        match segment {
            Ok(Ok(segment)) => Ok(Box::new(segment)),
            Ok(Err(error)) => Err(failed(one_line(&error))),
            Err(_) => Err(failed("the ONNX reader broke down on it".to_owned())),
        }
    }
}

/// An error and its causes on one line.
fn one_line(error: &TractError) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let text = causes.join(": ").replace('\n', " ");
    text.chars().take(400).collect()
}

/// Which of the graph's outputs is which.
#[derive(Clone, Copy, Debug)]
struct Outlets {
    y: Option<usize>,
    pooled: usize,
}

/// A segment with tract's state and its one input tensor.
struct CpuSegment {
    outlets: Outlets,
    state: TypedSimpleState,
    input: Arc<Tensor>,
    pending: Pending,
}

impl std::fmt::Debug for CpuSegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuSegment")
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

impl CpuSegment {
    fn load(index: usize, spec: &SegmentSpec, mut onnx: &[u8]) -> TractResult<Self> {
        let graph = tract_onnx::onnx().model_for_read(&mut onnx)?;
        let outlets = check_names(&graph, spec)?;
        let typed = graph.into_typed()?;
        check_shapes(&typed, spec, outlets)?;
        let state = typed.into_optimized()?.into_runnable()?.spawn()?;
        let mut segment = Self {
            outlets,
            state,
            input: Arc::new(Tensor::zero::<f32>(&spec.input)?),
            pending: Pending::new(index, IoLengths::of(spec)),
        };
        segment.run()?;
        Ok(segment)
    }

    /// Runs on whatever the input tensor holds.
    fn run(&mut self) -> TractResult<TVec<TValue>> {
        let outputs = self
            .state
            .run(tvec!(Arc::clone(&self.input).into_tvalue()))?;
        Ok(outputs)
    }

    fn compute(&mut self, io: &mut SegmentIo) -> TractResult<()> {
        copy_in(&mut self.input, host(&io.input)?)?;
        let outputs = self.run()?;
        copy_out(&outputs, self.outlets.pooled, &mut io.pooled)?;
        match (self.outlets.y, &mut io.output) {
            (Some(y), Some(output)) => copy_out(&outputs, y, output),
            _ => Ok(()),
        }
    }
}

fn host(buffer: &Buffer) -> TractResult<&[f32]> {
    buffer
        .as_host()
        .ok_or_else(|| format_err!("the buffer is a device's"))
}

/// The tensor is ours alone between runs, unless the graph hands its input
/// through; then a new one is made.
fn copy_in(tensor: &mut Arc<Tensor>, values: &[f32]) -> TractResult<()> {
    if Arc::get_mut(tensor).is_none() {
        *tensor = Arc::new(Tensor::zero::<f32>(tensor.shape())?);
    }
    let tensor = Arc::get_mut(tensor).ok_or_else(|| format_err!("the input is still shared"))?;
    let mut view = tensor.try_as_plain_ram_mut()?;
    view.as_slice_mut::<f32>()?.copy_from_slice(values);
    Ok(())
}

fn copy_out(outputs: &[TValue], outlet: usize, buffer: &mut Buffer) -> TractResult<()> {
    let output = outputs
        .get(outlet)
        .ok_or_else(|| format_err!("output {outlet} is missing"))?;
    let view = output.try_as_plain_ram()?;
    buffer.write_from(view.as_slice::<f32>()?)?;
    Ok(())
}

/// The graph takes `x` and gives `pooled` and, unless it is the last, `y`.
fn check_names(graph: &InferenceModel, spec: &SegmentSpec) -> TractResult<Outlets> {
    let names: Vec<&str> = graph
        .input_outlets()?
        .iter()
        .map(|outlet| graph.node(outlet.node).name.as_str())
        .collect();
    if names != ["x"] {
        return Err(format_err!("the inputs are {names:?}, not [\"x\"]"));
    }
    let names: Vec<&str> = graph
        .output_outlets()?
        .iter()
        .map(|&outlet| graph.outlet_label(outlet).unwrap_or_default())
        .collect();
    let find = |name: &str| names.iter().position(|n| *n == name);
    let wanted = 1 + usize::from(spec.output.is_some());
    match (find("y"), find("pooled")) {
        (y, Some(pooled)) if y.is_some() == spec.output.is_some() && names.len() == wanted => {
            Ok(Outlets { y, pooled })
        }
        _ => Err(format_err!(
            "the outputs are {names:?}, not {}",
            if spec.output.is_some() {
                "y and pooled"
            } else {
                "pooled alone"
            }
        )),
    }
}

fn check_shapes(graph: &TypedModel, spec: &SegmentSpec, outlets: Outlets) -> TractResult<()> {
    let fits = |name: &str, dtype: DatumType, found: Option<&[usize]>, expected: &Shape| {
        if dtype == f32::datum_type() && found == Some(expected.as_slice()) {
            return Ok(());
        }
        let found = found.map_or("of variable shape".to_owned(), |s| format!("{s:?}"));
        Err(format_err!(
            "{name} is {dtype:?} {found}, not F32 {expected:?} as in bundle.toml"
        ))
    };
    let x = graph.input_fact(0)?;
    fits("x", x.datum_type, x.shape.as_concrete(), &spec.input)?;
    let pooled = graph.output_fact(outlets.pooled)?;
    fits(
        "pooled",
        pooled.datum_type,
        pooled.shape.as_concrete(),
        &spec.pooled,
    )?;
    if let (Some(outlet), Some(expected)) = (outlets.y, &spec.output) {
        let y = graph.output_fact(outlet)?;
        fits("y", y.datum_type, y.shape.as_concrete(), expected)?;
    }
    Ok(())
}

impl Segment for CpuSegment {
    fn enqueue(&mut self, io: SegmentIo) -> Result<(), RunError> {
        self.pending.hold(io)
    }

    fn wait(&mut self) -> Result<SegmentIo, RunError> {
        let mut io = self.pending.release()?;
        let done = self.compute(&mut io).map_err(|error| one_line(&error));
        self.pending.ended(io, done)
    }
}
