//! Networks in 8 bits: ONNX files in which QuantizeLinear and DequantizeLinear stand
//! around the operators of the set.
//!
//! A Conv, Gemm or MatMul with quantised weights, an Add, an average and any function of
//! one value between DequantizeLinear and QuantizeLinear run on bytes, with sums in 32
//! bits; the nodes between that vanish. What is left between floats runs as it is
//! written, node by node ([`reference`]).
//!
//! Guarantees: results are those of the nodes as ONNX words them within one step of the
//! quantisation (sums are exact where ONNX's floats may round, and one factor stands for
//! three), the same bytes on every processor. A run allocates nothing.
//!
//! Non-guarantees: that a file of other operators is fast.

mod kernels;
mod lower;
mod map;
mod pack;
mod reference;
mod step;
#[cfg(test)]
mod tests;

pub(in crate::engine::native) use kernels::Kernels8;

use super::graph::Graph;
use super::kernels::Misfit;
use super::map::Slot;
use super::memory::{Aligned, places};
use super::plan::{MAX_ARENA, too_large};
use super::step::StepError;
use super::{Isa, Refusal};
use lower::Lowering;
use std::ops::Range;
use step::{Scene8, Step8};

/// A quantised network ready to run.
#[derive(Debug)]
pub(super) struct Plan8 {
    kernels: Kernels8,
    steps: Vec<Step8>,
    arena: Aligned,
    places: Vec<Range<usize>>,
    /// Planar floats.
    outputs: Vec<Slot>,
    input_len: usize,
}

impl Plan8 {
    /// The steps of a fused network, on kernels that go with `isa`.
    pub fn new(isa: Isa, graph: &Graph) -> Result<Self, Refusal> {
        Self::on(Kernels8::within(isa), graph)
    }

    fn on(kernels: Kernels8, graph: &Graph) -> Result<Self, Refusal> {
        let mut lowering = Lowering::new(kernels, graph);
        let outputs = lowering.lower_all()?;
        let (places, len) = places(&lowering.needs);
        if len > MAX_ARENA {
            return Err(too_large(len));
        }
        Ok(Self {
            kernels,
            steps: lowering.steps,
            arena: Aligned::zeroed(len),
            places,
            outputs,
            input_len: graph.tensors[graph.input].c * graph.tensors[graph.input].pixels(),
        })
    }

    /// Runs on a planar input and writes planar outputs, in the order in which they were
    /// asked for.
    pub fn run<const N: usize>(
        &mut self,
        input: &[f32],
        outputs: [&mut [f32]; N],
    ) -> Result<(), StepError> {
        if input.len() != self.input_len {
            return Err(Misfit::of("network").into());
        }
        let mut scene = Scene8 {
            kernels: self.kernels,
            arena: &mut self.arena,
            places: &self.places,
            input,
        };
        for step in &self.steps {
            step.run(&mut scene)?;
        }
        for (slot, output) in self.outputs.iter().zip(outputs) {
            let place = self.places[*slot].clone();
            let Some(values) = self.arena[place].get(..output.len()) else {
                return Err(Misfit::of("output").into());
            };
            output.copy_from_slice(values);
        }
        Ok(())
    }
}
