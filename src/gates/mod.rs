//! The temporal heads: adapters, LSTM, attention, gates, classifiers, exit
//! policy. The mathematics is that of `engines/FORMAT.md`.
//!
//! Guarantees: every exit of a frame proposes from the same committed state,
//! and only [`Gates::commit`] changes it, with the last proposal; after
//! [`Gates::open`] nothing allocates; features of any value neither panic nor
//! reach the committed state unless they are finite.
//!
//! It does not run segments and does not know time: a frame never begun is a
//! frame that never was.
//!
//! Costs: some 170,000 multiply-adds an exit on `mobilenetv2-e5` besides the
//! 1x1 convolution, one read of their weights from the mapped file.

mod adapter;
mod attention;
mod cells;
pub mod check;
mod error;
mod head;
mod linear;
mod lstm;
mod math;
mod policy;
mod simd;
mod sizes;
mod state;
mod weights;

pub use error::{Expected, GatesError};
pub use policy::{ExitPolicy, PolicyError};

use crate::engine::bundle::{Bundle, ExitSpec, GATES, Manifest};
use adapter::Adapter;
use head::{Answer, Head};
use linear::all_finite;
use lstm::{Proposal, Scratch};
use memmap2::Mmap;
use sizes::Sizes;
use state::State;
use std::path::Path;
use std::sync::Arc;
use weights::{Weights, at};

/// One exit as the gates see it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Class of the highest logit; the first of equals.
    pub class: u16,
    /// Its softmax.
    pub softmax: f32,
    /// Its lead over the second highest softmax.
    pub margin: f32,
    /// The gate's probability that leaving here is right; 1 at the last exit.
    pub gate: f32,
    /// The attention's share of the current frame.
    pub beta: f32,
    /// Whether the policy takes this exit.
    pub leave: bool,
}

/// Weights, temporal state and exit policy of one stream.
#[derive(Debug)]
pub struct Gates {
    sizes: Sizes,
    exits: Vec<ExitSpec>,
    policy: ExitPolicy,
    weights: Weights,
    state: State,
    adapter: Adapter,
    proposal: Proposal,
    scratch: Scratch,
    head: Head,
    expected: Expected,
    /// Whether an exit of the frame under way has been evaluated.
    evaluated: bool,
    /// Whether a value of the frame under way is not finite.
    poisoned: bool,
}

impl Gates {
    /// Gates over the weights of `bundle`, which stay mapped.
    ///
    /// # Errors
    /// When the weight file does not hold exactly the tensors that the manifest
    /// asks for, or the policy does not fit the bundle.
    pub fn open(bundle: &Bundle, policy: ExitPolicy) -> Result<Self, GatesError> {
        let map = bundle.map(GATES)?;
        Self::new(&bundle.path(GATES), map, bundle.manifest(), policy)
    }

    fn new(
        file: &Path,
        map: Arc<Mmap>,
        manifest: &Manifest,
        policy: ExitPolicy,
    ) -> Result<Self, GatesError> {
        policy.check(manifest.exit_count())?;
        let sizes = Sizes::from(manifest);
        let weights = Weights::new(file, map, &sizes)?;
        Ok(Self {
            state: State::new(&sizes, &manifest.state, &weights),
            adapter: Adapter::new(&sizes),
            proposal: Proposal::new(&sizes),
            scratch: Scratch::new(&sizes),
            head: Head::new(&sizes),
            expected: Expected::BeginFrame,
            evaluated: false,
            poisoned: false,
            exits: manifest.exits.clone(),
            weights,
            policy,
            sizes,
        })
    }

    /// The exit policy in force.
    #[must_use]
    pub fn policy(&self) -> ExitPolicy {
        self.policy
    }

    /// Number of exits.
    #[must_use]
    pub fn exits(&self) -> usize {
        self.exits.len()
    }

    /// A new clip: the state is zeros again and the window empty. Ends the
    /// frame under way.
    pub fn reset(&mut self) {
        self.state.reset();
        self.end_frame();
    }

    /// Starts a frame: forgets the proposals of an unfinished one and applies
    /// the state policy at a window's border.
    pub fn begin_frame(&mut self) {
        self.state.begin_frame(&self.weights);
        self.end_frame();
        self.expected = Expected::Exit(0);
    }

    /// Does what the next frame needs and the committed state alone decides, so
    /// that [`begin_frame`](Self::begin_frame) finds it done; of no consequence
    /// for any result. Between frames only: it ends the frame under way.
    pub fn look_ahead(&mut self) {
        self.end_frame();
        self.state.begin_frame(&self.weights);
    }

    fn end_frame(&mut self) {
        self.expected = Expected::BeginFrame;
        self.evaluated = false;
        self.poisoned = false;
    }

    /// Evaluates exit `exit`, from 0, on its pooled feature `[C, g, g]`. The
    /// exits of a frame come in order; stop wherever you like.
    ///
    /// Where a value is not finite the frame is answered without confidence:
    /// class, softmax, margin, gate and beta are 0, and `leave` is true at the
    /// last exit only (and where `always:K` says so).
    ///
    /// # Errors
    /// When the exit is out of turn or the feature has the wrong length.
    pub fn evaluate(&mut self, exit: usize, pooled: &[f32]) -> Result<Evaluation, GatesError> {
        let expected = self.expected;
        if expected != Expected::Exit(exit) || exit >= self.exits.len() {
            return Err(GatesError::Order { exit, expected });
        }
        let length = self.sizes.channels[exit] * self.sizes.cells;
        if pooled.len() != length {
            return Err(GatesError::Feature {
                exit,
                expected: length,
                found: pooled.len(),
            });
        }
        let (answer, beta) = self.answer(exit, pooled);
        self.expected = Expected::Exit(exit + 1);
        self.evaluated = true;
        let mut evaluation = Evaluation {
            class: answer.class,
            softmax: answer.softmax,
            margin: answer.margin,
            gate: answer.gate,
            beta,
            leave: false,
        };
        evaluation.leave = self.leaves(exit, &evaluation);
        Ok(evaluation)
    }

    /// Lets exit `exit` be evaluated once more, to see how long that takes; the frame
    /// under way is of no use afterwards.
    pub fn repeat_exit(&mut self, exit: usize) {
        self.expected = Expected::Exit(exit);
        self.evaluated = false;
    }

    fn answer(&mut self, exit: usize, pooled: &[f32]) -> (Answer, f32) {
        let values = self.weights.values();
        let head = &self.weights.exits[exit];
        let adapted = self.adapter.adapt(exit, head, values, pooled);
        self.poisoned |= !all_finite(pooled) || !all_finite(adapted);
        if exit == 0 {
            self.state.look(adapted);
        }
        self.adapter.mix(at(values, &head.mix));
        let memory = self.state.current();
        let input = self.adapter.mixed();
        self.proposal
            .step(&self.weights, memory, input, &mut self.scratch);
        let beta = memory.share(&self.proposal);
        let (previous, current) = (memory.top(), self.proposal.top());
        match self.head.answer(head, values, previous, current, beta) {
            Some(answer) if !self.poisoned => (answer, beta),
            _ => {
                self.poisoned = true;
                (Answer::default(), 0.0)
            }
        }
    }

    fn leaves(&self, exit: usize, evaluation: &Evaluation) -> bool {
        let spec = &self.exits[exit];
        let reaches = |value: f32, threshold: Option<f32>| threshold.is_some_and(|t| value >= t);
        exit + 1 == self.exits.len()
            || match self.policy {
                ExitPolicy::Always(chosen) => exit + 1 == chosen,
                ExitPolicy::Gates => reaches(evaluation.gate, spec.threshold),
                ExitPolicy::Softmax(p) => reaches(evaluation.softmax, p.or(spec.softmax_threshold)),
            }
    }

    /// True when a value of the frame under way was not finite.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Logits of the last exit evaluated, `[K]`.
    #[must_use]
    pub fn logits(&self) -> &[f32] {
        self.head.logits()
    }

    /// Commits what the last exit evaluated proposed, and ends the frame.
    /// Nothing happens to the state where no exit was evaluated or a value of
    /// the frame was not finite: it is then a frame that never was.
    pub fn commit(&mut self) {
        if self.evaluated && !self.poisoned {
            self.state.commit(
                &self.weights,
                &mut self.proposal,
                self.adapter.first(),
                self.adapter.mixed(),
                &mut self.scratch,
            );
        }
        self.end_frame();
    }
}

#[cfg(test)]
mod tests;
