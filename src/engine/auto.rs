//! The engine of choice for each segment: the native one, or tract where a
//! segment holds a node outside the native engine's set.
//!
//! Guarantees: a segment that the native engine can run is run by it; one that
//! it refuses as broken is refused. [`AutoEngine::notices`] says which segments
//! tract gets, and why. Cost: a run is that of the engine chosen; loading a
//! segment that tract gets reads its file twice.

use super::bundle::Bundle;
use super::cpu::CpuEngine;
use super::native::{NativeEngine, Refusal};
use super::{Buffer, Engine, EngineError, Segment, load_error, segment_spec};

/// Runs segments natively where it can.
#[derive(Clone, Copy, Debug, Default)]
pub struct AutoEngine {
    native: NativeEngine,
    tract: CpuEngine,
}

impl AutoEngine {
    /// The engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A sentence for each segment of `bundle` that tract gets.
    #[must_use]
    pub fn notices(&self, bundle: &Bundle) -> Vec<String> {
        let segments = bundle.manifest().segments.iter();
        segments
            .filter_map(|spec| {
                let refusal = self.native.refusal(spec, bundle.bytes(&spec.file).ok()?)?;
                matches!(refusal, Refusal::Unsupported { .. }).then(|| {
                    let file = bundle.path(&spec.file);
                    let file = file.display();
                    format!(
                        "{file}: tract runs this segment, as the native engine cannot: {refusal}"
                    )
                })
            })
            .collect()
    }
}

impl Engine for AutoEngine {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn is_asynchronous(&self) -> bool {
        false
    }

    fn buffer(&self, len: usize) -> Result<Buffer, EngineError> {
        self.native.buffer(len)
    }

    fn load(&self, bundle: &Bundle, index: usize) -> Result<Box<dyn Segment>, EngineError> {
        let spec = segment_spec(bundle, index)?;
        let bytes = bundle
            .bytes(&spec.file)
            .map_err(|error| load_error(bundle, spec, error.to_string()))?;
        match self.native.try_load(index, spec, bytes) {
            Ok(segment) => Ok(Box::new(segment)),
            Err(Refusal::Unsupported { .. }) => self.tract.load(bundle, index),
            Err(broken) => Err(load_error(bundle, spec, broken.to_string())),
        }
    }
}
