//! What a plan is made of: steps that read maps in the arena and write others.
//!
//! Each step takes its places out of the arena as slices that are checked to be
//! disjoint, so that a plan that is wrong about lifetimes is an error and never
//! a wrong result. No step allocates.

mod block;
mod dense;
mod product;
mod simple;

pub(super) use block::{Block, Pointwise, Project, Ring, Source};
pub(super) use dense::{Dense, DenseStep};
pub(super) use product::{Gating, Product, Scaled};
pub(super) use simple::{Gate, Import, PoolStep, Sum};

use super::kernels::{Kernels, Misfit};
use super::map::Slot;
use std::ops::Range;

/// Where steps run.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub kernels: Kernels,
    pub arena: &'a mut [f32],
    pub places: &'a [Range<usize>],
    /// The network's input, planar.
    pub input: &'a [f32],
}

/// Why a step failed; a plan never makes one that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StepError {
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error("two places of the arena overlap")]
    Overlap,
}

impl Scene<'_> {
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

/// One step of a plan.
#[derive(Debug)]
pub(super) enum Step {
    Import(Import),
    Product(Box<Product>),
    Dense(Box<DenseStep>),
    Block(Box<Block>),
    Sum(Sum),
    Gate(Gate),
    Pool(PoolStep),
}

impl Step {
    /// Runs the step.
    pub fn run(&mut self, scene: &mut Scene<'_>) -> Result<(), StepError> {
        match self {
            Self::Import(step) => step.run(scene),
            Self::Product(step) => step.run(scene),
            Self::Dense(step) => step.run(scene),
            Self::Block(step) => step.run(scene),
            Self::Sum(step) => step.run(scene),
            Self::Gate(step) => step.run(scene),
            Self::Pool(step) => step.run(scene),
        }
    }
}
