//! What an 8-bit plan is made of: steps that read maps in the arena and write others.
//!
//! Each step takes its places out of the arena as slices that are checked to be disjoint.
//! No step allocates.

mod convolve;
mod passes;

pub(super) use convolve::{Depthwise, Product};
pub(super) use passes::{Export, Import, Lookup, PoolStep, Pooled, Single, Sum};

use super::super::map::Slot;
use super::super::step::StepError;
use super::kernels::Kernels8;
use std::ops::Range;

/// Where steps run. The arena is one of floats, so that both kinds of map find place.
#[derive(Debug)]
pub(super) struct Scene8<'a> {
    pub kernels: Kernels8,
    pub arena: &'a mut [f32],
    pub places: &'a [Range<usize>],
    /// The network's input, planar.
    pub input: &'a [f32],
}

impl Scene8<'_> {
    /// The places of `slots`, all different; an absent one is empty.
    fn take<const N: usize>(
        &mut self,
        slots: [Option<Slot>; N],
    ) -> Result<([&mut [f32]; N], &[f32]), StepError> {
        let ranges = slots.map(|slot| slot.map_or(0..0, |slot| self.places[slot].clone()));
        match self.arena.get_disjoint_mut(ranges) {
            Ok(places) => Ok((places, self.input)),
            Err(_) => Err(StepError::Overlap),
        }
    }
}

/// A place as a map's bytes.
fn bytes(place: &mut [f32]) -> &mut [u8] {
    bytemuck::cast_slice_mut(place)
}

/// One step of a plan.
#[derive(Debug)]
pub(super) enum Step8 {
    /// The network's input as a planar map of floats.
    Input(Slot),
    Import(Box<Import>),
    Export(Box<Export>),
    Product(Box<Product>),
    Depthwise(Box<Depthwise>),
    Sum(Box<Sum>),
    Pool(Box<PoolStep>),
    Lookup(Box<Lookup>),
    Single(Box<Single>),
}

impl Step8 {
    /// Runs the step.
    pub fn run(&self, scene: &mut Scene8<'_>) -> Result<(), StepError> {
        match self {
            Self::Input(slot) => {
                let ([to], input) = scene.take([Some(*slot)])?;
                to[..input.len()].copy_from_slice(input);
                Ok(())
            }
            Self::Import(step) => step.run(scene),
            Self::Export(step) => step.run(scene),
            Self::Product(step) => step.run(scene),
            Self::Depthwise(step) => step.run(scene),
            Self::Sum(step) => step.run(scene),
            Self::Pool(step) => step.run(scene),
            Self::Lookup(step) => step.run(scene),
            Self::Single(step) => step.run(scene),
        }
    }
}
