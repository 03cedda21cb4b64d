//! The gates against a plain f64 reference, and the rules of their state.

mod reference;
mod weight_files;

use super::*;
use crate::engine::bundle::StatePolicy;
use proptest::prelude::*;
use reference::{Committed, Dimensions, Outcome, Reference, Tensors};
use safetensors::{Dtype, tensor::TensorView};
use std::io::Write;

const TOLERANCE: f64 = 1e-4;

/// Deterministic values in [-1, 1).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let bits = u16::try_from(self.0 >> 48).unwrap();
        f32::from(bits) / 32768.0 - 1.0
    }

    /// Pooled features of one frame, one vector an exit.
    fn frame(&mut self, dimensions: &Dimensions) -> Vec<Vec<f32>> {
        let cells = dimensions.grid * dimensions.grid;
        let exit = |channels: &usize| (0..channels * cells).map(|_| self.next() * 3.0).collect();
        dimensions.channels.iter().map(exit).collect()
    }
}

fn map_of(bytes: &[u8]) -> Arc<Mmap> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    // SAFETY: the file has no name, so nobody else can open or change it.
    Arc::new(unsafe { Mmap::map(&file) }.unwrap())
}

fn serialized(tensors: &Tensors) -> Vec<u8> {
    let views = tensors.iter().map(|(name, (shape, values))| {
        let bytes = bytemuck::cast_slice(values);
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    safetensors::serialize(views, None).unwrap()
}

fn open(tensors: &Tensors, manifest: &Manifest, policy: ExitPolicy) -> Result<Gates, GatesError> {
    let file = Path::new("gates.safetensors");
    Gates::new(file, map_of(&serialized(tensors)), manifest, policy)
}

/// A small network, its reference and its gates.
struct Rig {
    dimensions: Dimensions,
    tensors: Tensors,
    gates: Gates,
    noise: Noise,
}

impl Rig {
    fn new(policy: StatePolicy, cut: Option<f32>) -> Self {
        Self::with(Dimensions::small(), policy, cut, 1)
    }

    fn with(dimensions: Dimensions, policy: StatePolicy, cut: Option<f32>, seed: u64) -> Self {
        let mut noise = Noise(seed);
        let tensors = dimensions.tensors(|| noise.next() * 0.6);
        let manifest = dimensions.manifest(policy, cut);
        let gates = open(&tensors, &manifest, ExitPolicy::Gates).unwrap();
        Self {
            dimensions,
            tensors,
            gates,
            noise,
        }
    }

    fn reference(&self) -> Reference<'_> {
        Reference {
            dimensions: &self.dimensions,
            tensors: &self.tensors,
        }
    }

    /// Evaluates exits `0..=exit` of a begun frame; the last evaluation.
    fn run(&mut self, exit: usize, pooled: &[Vec<f32>]) -> Evaluation {
        let all = (0..=exit).map(|e| self.gates.evaluate(e, &pooled[e]).unwrap());
        all.last().unwrap()
    }

    /// One whole frame that leaves at `exit`, compared with the reference
    /// from `from`, whose next state comes back.
    fn frame(&mut self, exit: usize, pooled: &[Vec<f32>], from: &Committed) -> Committed {
        self.gates.begin_frame();
        let got = self.run(exit, pooled);
        let want = self.reference().exit(exit, pooled, from);
        assert_same(&got, self.gates.logits(), &want);
        self.gates.commit();
        want.next
    }
}

fn assert_same(got: &Evaluation, logits: &[f32], want: &Outcome) {
    let close = |got: f32, want: f64| (f64::from(got) - want).abs() < TOLERANCE;
    assert!(close(got.softmax, want.softmax), "{got:?} {want:?}");
    assert!(close(got.margin, want.margin), "{got:?} {want:?}");
    assert!(close(got.gate, want.gate), "{got:?} {want:?}");
    assert!(close(got.beta, want.beta), "{got:?} {want:?}");
    assert_eq!(logits.len(), want.logits.len());
    for (got, want) in logits.iter().zip(&want.logits) {
        assert!(close(*got, *want), "{logits:?} {want:?}");
    }
}

prop_compose! {
    fn dimensions()(
        (window, classes, grid, adapter) in (1usize..6, 2usize..20, 1usize..4, 1usize..20),
        (feature, hidden) in (2usize..40, 1usize..40),
        (attention, projection) in (1usize..20, 1usize..20),
        channels in prop::collection::vec(1usize..40, 1..5),
    ) -> Dimensions {
        Dimensions {
            window, classes, grid, adapter, feature, hidden, attention, projection, channels,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn networks_of_any_size_compute_what_the_format_says(
        dimensions in dimensions(), seed: u64, taken in prop::collection::vec(0usize..5, 7),
    ) {
        let mut rig = Rig::with(dimensions, StatePolicy::Carry, None, seed);
        let mut state = rig.reference().fresh();
        for exit in taken {
            let exit = exit.min(rig.dimensions.channels.len() - 1);
            let pooled = rig.noise.frame(&rig.dimensions);
            state = rig.frame(exit, &pooled, &state);
        }
    }
}

#[test]
fn the_exit_not_taken_leaves_no_trace() {
    let mut rig = Rig::new(StatePolicy::Carry, None);
    let mut state = rig.reference().fresh();
    for round in 0..6 {
        let pooled = rig.noise.frame(&rig.dimensions);
        // A frame that is begun, evaluated to the end and dropped ...
        rig.gates.begin_frame();
        rig.run(2, &pooled);
        // ... then one that leaves early: only its own proposal counts.
        let pooled = rig.noise.frame(&rig.dimensions);
        state = rig.frame(round % 3, &pooled, &state);
        // A commit without a frame changes nothing.
        rig.gates.commit();
        rig.gates.begin_frame();
        rig.gates.commit();
    }
}

#[test]
fn a_new_clip_starts_from_zeros_and_an_empty_window() {
    let mut rig = Rig::new(StatePolicy::Carry, None);
    for _ in 0..2 {
        rig.gates.reset();
        let mut state = rig.reference().fresh();
        for _ in 0..5 {
            let pooled = rig.noise.frame(&rig.dimensions);
            state = rig.frame(1, &pooled, &state);
        }
    }
}

#[test]
fn reset_at_the_border_starts_afresh_every_window() {
    let mut rig = Rig::new(StatePolicy::Reset, None);
    let mut state = rig.reference().fresh();
    for t in 0..13 {
        if t % 4 == 0 {
            state = rig.reference().fresh();
        }
        let pooled = rig.noise.frame(&rig.dimensions);
        state = rig.frame(t % 3, &pooled, &state);
    }
}

#[test]
fn of_two_staggered_states_the_older_one_answers() {
    for window in [2, 4, 5] {
        let dimensions = Dimensions {
            window,
            ..Dimensions::small()
        };
        let mut rig = Rig::with(dimensions, StatePolicy::Staggered, None, 3);
        let mut states = [rig.reference().fresh(), rig.reference().fresh()];
        for t in 0..4 * window {
            // The first starts at 0, T, 2T, ..., the second half a window later.
            for (which, start) in [(0, 0), (1, window / 2)] {
                if t % window == start {
                    states[which] = rig.reference().fresh();
                }
            }
            let second = t >= window / 2 && states[1].scores.len() > states[0].scores.len();
            let older = usize::from(second);
            let pooled = rig.noise.frame(&rig.dimensions);
            let exit = t % 3;
            let younger = rig.reference().exit(exit, &pooled, &states[1 - older]).next;
            states[older] = rig.frame(exit, &pooled, &states[older].clone());
            if t >= window / 2 {
                states[1 - older] = younger;
            }
        }
    }
}

#[test]
fn a_scene_cut_starts_afresh_and_only_a_cut_does() {
    let distance = |a: &[f64], b: &[f64]| {
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let limit = 0.3f32;
    let mut rig = Rig::new(StatePolicy::Carry, Some(limit));
    let mut state = rig.reference().fresh();
    let mut last: Option<Vec<f64>> = None;
    let mut pooled = rig.noise.frame(&rig.dimensions);
    let mut cuts = 0;
    for t in 0..24 {
        let next = rig.noise.frame(&rig.dimensions);
        if t % 5 == 0 {
            pooled = next;
        } else {
            for (value, change) in pooled.iter_mut().flatten().zip(next.iter().flatten()) {
                *value += 0.05 * change;
            }
        }
        let first = rig.reference().exit(0, &pooled, &state).v;
        if last.is_some_and(|last| distance(&first, &last) > f64::from(limit)) {
            cuts += 1;
            state = rig.reference().fresh();
        }
        // Looking at a cut and dropping the frame must not end the scene.
        rig.gates.begin_frame();
        let dropped = rig.noise.frame(&rig.dimensions);
        rig.run(0, &dropped);
        state = rig.frame(t % 3, &pooled, &state);
        last = Some(first);
    }
    assert!((2..12).contains(&cuts), "{cuts} cuts");
}

#[test]
fn features_that_are_not_finite_never_leave_early_nor_reach_the_state() {
    let mut rig = Rig::new(StatePolicy::Carry, Some(0.5));
    let pooled = rig.noise.frame(&rig.dimensions);
    let fresh = rig.reference().fresh();
    let mut state = rig.frame(1, &pooled, &fresh);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        rig.gates.begin_frame();
        for exit in 0..3 {
            let pooled = vec![bad; rig.dimensions.channels[exit] * 4];
            let got = rig.gates.evaluate(exit, &pooled).unwrap();
            assert_eq!(
                got,
                Evaluation {
                    leave: exit == 2,
                    ..Evaluation::default()
                }
            );
        }
        rig.gates.commit();
    }
    let pooled = rig.noise.frame(&rig.dimensions);
    state = rig.frame(2, &pooled, &state);
    assert_eq!(state.scores.len(), 2);
}

#[test]
fn calls_out_of_turn_are_refused_and_change_nothing() {
    let mut rig = Rig::new(StatePolicy::Carry, None);
    let pooled = rig.noise.frame(&rig.dimensions);
    let text = |result: Result<Evaluation, GatesError>| result.unwrap_err().to_string();
    let before = text(rig.gates.evaluate(0, &pooled[0]));
    assert_eq!(before, "exit 0 was evaluated where begin_frame was due");
    rig.gates.begin_frame();
    let skipped = text(rig.gates.evaluate(1, &pooled[1]));
    assert_eq!(skipped, "exit 1 was evaluated where exit 0 was due");
    let short = text(rig.gates.evaluate(0, &pooled[0][1..]));
    assert_eq!(short, "exit 0 takes a feature of 12 elements, not 11");
    rig.run(2, &pooled);
    assert!(rig.gates.evaluate(3, &pooled[0]).is_err());
    let fresh = rig.reference().fresh();
    rig.frame(0, &pooled, &fresh);
    assert!(rig.gates.evaluate(0, &pooled[0]).is_err());
}
