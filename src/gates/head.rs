//! An exit's answer: classifier, softmax, gate.

use super::linear::{all_finite, relu};
use super::math::{sigmoid, softmax};
use super::sizes::Sizes;
use super::weights::{ExitHead, MLP};

/// Scratch of classifier and gate.
#[derive(Debug)]
pub(super) struct Head {
    projection: usize,
    logits: Vec<f32>,
    softmax: Vec<f32>,
    /// `[previous(h2), current(h2'), beta, top1, margin, entropy]`.
    inputs: Vec<f32>,
    first: [f32; MLP[0]],
    second: [f32; MLP[1]],
}

/// What a head says of one exit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) class: u16,
    pub(super) softmax: f32,
    pub(super) margin: f32,
    pub(super) gate: f32,
}

impl Head {
    pub(super) fn new(sizes: &Sizes) -> Self {
        Self {
            projection: sizes.gate_projection,
            logits: vec![0.0; sizes.classes],
            softmax: vec![0.0; sizes.classes],
            inputs: vec![0.0; 2 * sizes.gate_projection + 4],
            first: [0.0; MLP[0]],
            second: [0.0; MLP[1]],
        }
    }

    /// Logits of the last exit asked, `[K]`.
    pub(super) fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Class, confidence and gate from the committed `previous` `h2`, the
    /// proposed `current` one and the attention's share `beta`; `None` where a
    /// value is not finite.
    pub(super) fn answer(
        &mut self,
        head: &ExitHead,
        values: &[f32],
        previous: &[f32],
        current: &[f32],
        beta: f32,
    ) -> Option<Answer> {
        head.classifier.apply(values, current, &mut self.logits);
        if !all_finite(&self.logits) || !beta.is_finite() {
            return None;
        }
        self.softmax.copy_from_slice(&self.logits);
        softmax(&mut self.softmax);
        let (class, top, second) = two_highest(&self.softmax);
        let mut answer = Answer {
            class,
            softmax: top,
            margin: top - second,
            gate: 1.0,
        };
        if let Some(gate) = &head.gate {
            let (past, rest) = self.inputs.split_at_mut(self.projection);
            let (now, scalars) = rest.split_at_mut(self.projection);
            gate.previous.apply(values, previous, past);
            gate.current.apply(values, current, now);
            scalars.copy_from_slice(&[beta, top, answer.margin, entropy(&self.softmax)]);
            gate.mlp[0].apply(values, &self.inputs, &mut self.first);
            relu(&mut self.first);
            gate.mlp[1].apply(values, &self.first, &mut self.second);
            relu(&mut self.second);
            let mut logit = [0.0];
            gate.mlp[2].apply(values, &self.second, &mut logit);
            answer.gate = sigmoid::<false>(logit[0]);
        }
        answer.gate.is_finite().then_some(answer)
    }
}

/// Index of the highest value, it and the second highest; the first of equals.
fn two_highest(values: &[f32]) -> (u16, f32, f32) {
    let mut found = (0, f32::NEG_INFINITY, 0.0f32);
    for (class, value) in (0u16..).zip(values) {
        if *value > found.1 {
            found = (class, *value, found.1.max(0.0));
        } else if *value > found.2 {
            found.2 = *value;
        }
    }
    found
}

/// Entropy over ln K; 0 for a single class.
fn entropy(softmax: &[f32]) -> f32 {
    let Ok(classes) = u16::try_from(softmax.len()) else {
        return 0.0;
    };
    if classes < 2 {
        return 0.0;
    }
    let sum: f32 = softmax.iter().map(|q| q * (q + 1e-8).ln()).sum();
    -sum / f32::from(classes).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_highest_come_in_order_and_ties_go_to_the_first() {
        assert_eq!(two_highest(&[0.1, 0.6, 0.3]), (1, 0.6, 0.3));
        assert_eq!(two_highest(&[0.5, 0.3, 0.2]), (0, 0.5, 0.3));
        assert_eq!(two_highest(&[0.5, 0.5]), (0, 0.5, 0.5));
        assert_eq!(two_highest(&[1.0]), (0, 1.0, 0.0));
    }

    #[test]
    fn entropy_runs_from_zero_to_one() {
        assert!(entropy(&[1.0, 0.0, 0.0]).abs() < 1e-6);
        assert!((entropy(&[0.25; 4]) - 1.0).abs() < 1e-6);
        assert!(entropy(&[1.0]).abs() < 1e-9);
    }
}
