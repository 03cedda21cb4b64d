//! The attention over the last T committed frames.
//!
//! What a gate reads of it is the current frame's share, and that depends on
//! the scores alone; so the window keeps scores, not hidden states.

use super::math::exp;

/// Ring of the scores of the last T - 1 committed frames.
#[derive(Clone, Debug)]
pub(super) struct Window {
    scores: Vec<f32>,
    next: usize,
    filled: usize,
}

impl Window {
    /// An empty window for a look-back of `frames`, the current one included.
    pub(super) fn new(frames: usize) -> Self {
        Self {
            scores: vec![0.0; frames - 1],
            next: 0,
            filled: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.next = 0;
        self.filled = 0;
    }

    pub(super) fn push(&mut self, score: f32) {
        if self.scores.is_empty() {
            return;
        }
        self.scores[self.next] = score;
        self.next = (self.next + 1) % self.scores.len();
        self.filled = (self.filled + 1).min(self.scores.len());
    }

    /// Softmax over the window and `score`: the share of `score`, in (0, 1].
    pub(super) fn share(&self, score: f32) -> f32 {
        let past = &self.scores[..self.filled];
        let top = past.iter().copied().fold(score, f32::max);
        let current = exp::<false>(score - top);
        let sum: f32 = past.iter().map(|s| exp::<false>(s - top)).sum();
        current / (sum + current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_share_equally_and_the_oldest_is_forgotten() {
        let mut window = Window::new(3);
        assert!((window.share(5.0) - 1.0).abs() < 1e-6);
        window.push(100.0);
        window.push(1.0);
        assert!(window.share(1.0) < 1e-6);
        window.push(1.0); // the 100 falls out: two past scores are all there is room for
        assert!((window.share(1.0) - 1.0 / 3.0).abs() < 1e-6);
        window.clear();
        assert!((window.share(1.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_window_of_one_frame_sees_only_the_current() {
        let mut window = Window::new(1);
        window.push(3.0);
        assert!((window.share(-4.0) - 1.0).abs() < 1e-6);
    }
}
