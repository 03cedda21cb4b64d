//! The temporal state's life: commit, window borders, scene cuts.
//!
//! Owns every committed value. Nothing of a frame reaches it but through
//! [`State::commit`].

use super::lstm::{Memory, Proposal, Scratch};
use super::sizes::Sizes;
use super::weights::Weights;
use crate::engine::bundle::{CutPolicy, StatePolicy, StateSpec};

/// Committed state of one stream.
#[derive(Debug)]
pub(super) struct State {
    window: usize,
    policy: StatePolicy,
    /// `None` where cuts are ignored.
    cut_distance: Option<f32>,
    /// The second is used when staggered only.
    memories: [Memory; 2],
    /// What a scene starts from.
    fresh: Memory,
    /// Whether the second memory has started.
    second: bool,
    /// Whether the frame under way shows a new scene.
    cut: bool,
    /// `v_0` of the last committed frame; empty before the first.
    last_first: Vec<f32>,
    /// The younger memory's proposal.
    shadow: Proposal,
}

impl State {
    pub(super) fn new(sizes: &Sizes, spec: &StateSpec, weights: &Weights) -> Self {
        let mut fresh = Memory::new(sizes);
        fresh.prepare(weights);
        Self {
            window: sizes.window,
            policy: spec.policy,
            cut_distance: (spec.cut == CutPolicy::Reset).then_some(spec.cut_distance),
            memories: [Memory::new(sizes), Memory::new(sizes)],
            fresh,
            second: false,
            cut: false,
            last_first: Vec::with_capacity(sizes.feature),
            shadow: Proposal::new(sizes),
        }
    }

    /// A new clip: zeros, empty windows.
    pub(super) fn reset(&mut self) {
        self.start_scene();
        self.cut = false;
        self.last_first.clear();
    }

    fn start_scene(&mut self) {
        for memory in &mut self.memories {
            memory.clear();
        }
        self.second = false;
    }

    /// Applies the window's border and makes the state ready to be asked.
    pub(super) fn begin_frame(&mut self, weights: &Weights) {
        self.cut = false;
        if self.policy != StatePolicy::Carry {
            for memory in &mut self.memories {
                if memory.age() >= self.window {
                    memory.clear();
                }
            }
        }
        if self.policy == StatePolicy::Staggered && self.memories[0].age() >= self.window / 2 {
            self.second = true;
        }
        for memory in &mut self.memories {
            memory.prepare(weights);
        }
    }

    /// Notes the frame's `v_0`: a new scene is asked from a fresh state.
    pub(super) fn look(&mut self, first: &[f32]) {
        self.cut = match self.cut_distance {
            Some(limit) if !self.last_first.is_empty() => {
                cosine_distance(first, &self.last_first) > limit
            }
            _ => false,
        };
    }

    /// Which memory answers: the older one.
    fn answering(&self) -> usize {
        usize::from(self.second && self.memories[1].age() > self.memories[0].age())
    }

    /// The state that the frame under way proposes from.
    pub(super) fn current(&self) -> &Memory {
        if self.cut {
            &self.fresh
        } else {
            &self.memories[self.answering()]
        }
    }

    /// Takes over the proposal of the exit taken, made from `input` by
    /// [`State::current`]; the younger memory steps on the same input.
    pub(super) fn commit(
        &mut self,
        weights: &Weights,
        proposal: &mut Proposal,
        first: &[f32],
        input: &[f32],
        scratch: &mut Scratch,
    ) {
        if self.cut {
            self.start_scene();
            self.cut = false;
        }
        let answering = self.answering();
        if self.second {
            let younger = &mut self.memories[1 - answering];
            self.shadow.step(weights, younger, input, scratch);
            younger.commit(&mut self.shadow);
        }
        self.memories[answering].commit(proposal);
        self.last_first.clear();
        self.last_first.extend_from_slice(first);
    }
}

/// 1 - cos of the angle between `a` and `b`; 0 where one of them is zero.
fn cosine_distance(a: &[f32], b: &[f32]) -> f32 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    let norm = (dot(a, a) * dot(b, b)).sqrt();
    if norm > 0.0 {
        1.0 - dot(a, b) / norm
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_distance_runs_from_zero_to_two() {
        assert!(cosine_distance(&[1.0, 2.0], &[2.0, 4.0]).abs() < 1e-6);
        assert!((cosine_distance(&[1.0, 0.0], &[0.0, 3.0]) - 1.0).abs() < 1e-6);
        assert!((cosine_distance(&[1.0, 0.0], &[-1.0, 0.0]) - 2.0).abs() < 1e-6);
        assert!(cosine_distance(&[0.0, 0.0], &[1.0, 0.0]).abs() < 1e-6);
    }
}
