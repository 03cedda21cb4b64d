//! The engine on ONNX Runtime, for users who have it and for graphs of any kind;
//! built with `--features ort`.
//!
//! Guarantees: nothing is linked and nothing downloaded: the library is opened at
//! run time, the one that `ORT_DYLIB_PATH` names or the loader's
//! `libonnxruntime.so`, 1.17 or later. A segment loads only if its graph takes one
//! `x` and gives `y` and `pooled` of exactly the manifest's shapes, all f32, and
//! has run once on zeros. `enqueue` checks and keeps the buffers, `wait` computes,
//! on the caller's thread alone.
//!
//! Non-guarantees: that a run allocates nothing. Cost: a run copies its outputs
//! out; the library makes them anew each time.

use super::bundle::{Bundle, SegmentSpec};
use super::pending::Pending;
use super::{
    Buffer, Engine, EngineError, IoLengths, RunError, Segment, SegmentIo, load_error, segment_spec,
};
use ::ort::session::{Session, SessionOutputs};
use ::ort::value::{Outlet, TensorElementType, TensorRef, ValueType};
use std::env;
use std::path::PathBuf;

/// Names the library's file.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// What is opened where the variable names nothing.
pub const LIBRARY: &str = "libonnxruntime.so";

/// Runs segments on ONNX Runtime's CPU provider, one thread each run.
#[derive(Clone, Copy, Debug)]
pub struct OrtEngine(());

impl OrtEngine {
    /// The engine over the library, which is opened once a process.
    ///
    /// # Errors
    /// When there is no library that can be opened, or it is too old.
    pub fn open() -> Result<Self, EngineError> {
        let named = env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty());
        let path = named.map_or_else(|| PathBuf::from(LIBRARY), PathBuf::from);
        match ::ort::init_from(&path) {
            Ok(environment) => {
                // False where the process has one already, which does as well.
                let _first = environment.with_name("e4").with_telemetry(false).commit();
                Ok(Self(()))
            }
            Err(error) => Err(EngineError::Load {
                file: path.display().to_string(),
                reason: format!(
                    "{}; name ONNX Runtime's library with {LIBRARY_VARIABLE}",
                    one_line(&error.to_string())
                ),
            }),
        }
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(400).collect()
}

impl Engine for OrtEngine {
    fn name(&self) -> &'static str {
        "ort"
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
        match OrtSegment::load(index, spec, bytes) {
            Ok(segment) => Ok(Box::new(segment)),
            Err(reason) => Err(load_error(bundle, spec, one_line(&reason))),
        }
    }
}

/// A segment and its session.
#[derive(Debug)]
struct OrtSegment {
    input: [i64; 4],
    session: Session,
    pending: Pending,
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

impl OrtSegment {
    fn load(index: usize, spec: &SegmentSpec, onnx: &[u8]) -> Result<Self, String> {
        let mut input = [0; 4];
        for (dim, size) in input.iter_mut().zip(spec.input) {
            *dim = i64::try_from(size).map_err(text)?;
        }
        let session = session(onnx)?;
        check_ports(&session, spec)?;
        let lengths = IoLengths::of(spec);
        let mut segment = Self {
            input,
            session,
            pending: Pending::new(index, lengths),
        };
        let mut io = lengths.zeros();
        segment.compute(&mut io)?;
        Ok(segment)
    }

    fn compute(&mut self, io: &mut SegmentIo) -> Result<(), String> {
        let input = io.input.as_host().ok_or("the input is a device's")?;
        let x = TensorRef::from_array_view((self.input, input)).map_err(text)?;
        let made = self.session.run(::ort::inputs!["x" => x]).map_err(text)?;
        copy_out(&made, "pooled", &mut io.pooled)?;
        match &mut io.output {
            Some(output) => copy_out(&made, "y", output),
            None => Ok(()),
        }
    }
}

/// A session on the caller's thread.
fn session(onnx: &[u8]) -> Result<Session, String> {
    let builder = Session::builder().map_err(text)?;
    let builder = builder.with_intra_threads(1).map_err(text)?;
    let mut builder = builder.with_inter_threads(1).map_err(text)?;
    builder.commit_from_memory(onnx).map_err(text)
}

fn copy_out(made: &SessionOutputs<'_>, name: &str, buffer: &mut Buffer) -> Result<(), String> {
    let value = made.get(name).ok_or_else(|| format!("no output {name}"))?;
    let (_, values) = value.try_extract_tensor::<f32>().map_err(text)?;
    buffer.write_from(values).map_err(text)
}

/// The graph takes `x` and gives `pooled` and, unless it is the last, `y`.
fn check_ports(session: &Session, spec: &SegmentSpec) -> Result<(), String> {
    let y = spec.output.as_ref().map(|shape| ("y", shape.as_slice()));
    let pooled = ("pooled", spec.pooled.as_slice());
    check_side("inputs", session.inputs(), &[("x", &spec.input)])?;
    let outputs: Vec<_> = y.into_iter().chain([pooled]).collect();
    check_side("outputs", session.outputs(), &outputs)
}

fn check_side(side: &str, found: &[Outlet], wanted: &[(&str, &[usize])]) -> Result<(), String> {
    let names = |ports: &mut Vec<&str>| ports.sort_unstable();
    let mut have: Vec<&str> = found.iter().map(Outlet::name).collect();
    let mut want: Vec<&str> = wanted.iter().map(|port| port.0).collect();
    names(&mut have);
    names(&mut want);
    if have != want {
        return Err(format!("the {side} are {have:?}, not {want:?}"));
    }
    for (name, shape) in wanted {
        let port = found.iter().find(|port| port.name() == *name);
        let fits = port.is_some_and(|port| match port.dtype() {
            ValueType::Tensor {
                ty: TensorElementType::Float32,
                shape: dims,
                ..
            } => {
                let same = |(dim, size): (&i64, &usize)| usize::try_from(*dim) == Ok(*size);
                dims.len() == shape.len() && dims.iter().zip(*shape).all(same)
            }
            _ => false,
        });
        if !fits {
            let found = port.map(|port| port.dtype().to_string());
            let found = found.unwrap_or_default();
            return Err(format!(
                "{name} is {found}, not F32 {shape:?} as in bundle.toml"
            ));
        }
    }
    Ok(())
}

impl Segment for OrtSegment {
    fn enqueue(&mut self, io: SegmentIo) -> Result<(), RunError> {
        self.pending.hold(io)
    }

    fn wait(&mut self) -> Result<SegmentIo, RunError> {
        let mut io = self.pending.release()?;
        let done = self.compute(&mut io).map_err(|reason| one_line(&reason));
        self.pending.ended(io, done)
    }
}
