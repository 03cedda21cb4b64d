//! What we believe about the frames to come: which of a few classes of frames
//! they are in, judged by where the last ones left and how sure their first gate
//! was.
//!
//! A class is a spread of exits; the class of consecutive frames is a Markov chain
//! (the first frames of a scene run deep, later ones shallow). [`learn`] finds
//! classes in a recorded run by expectation-maximisation (Baum and Welch 1970);
//! [`Tracker`] filters forward as frames leave.
//!
//! Guarantees: deterministic; a tracker allocates nothing after it was made and
//! never settles so firmly that it could not leave a class again. Not guaranteed:
//! that a class means anything to people. Cost: a frame costs the tracker
//! `B * B + B` multiplications for `B` classes.

/// The first gate's probability is told apart in so many steps.
pub const EVIDENCE_STEPS: usize = 4;

/// What is seen of a frame once it has left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Exit point, from 0.
    pub exit: usize,
    /// Probability that the first exit point's gate gave.
    pub first_gate: f32,
}

impl Seen {
    fn step(self) -> usize {
        let steps = f32::from(u8::try_from(EVIDENCE_STEPS).unwrap_or(u8::MAX));
        let scaled = (self.first_gate.clamp(0.0, 1.0) * steps).floor();
        (1..EVIDENCE_STEPS)
            .rev()
            .find(|&step| scaled >= f32::from(u8::try_from(step).unwrap_or(u8::MAX)))
            .unwrap_or(0)
    }
}

/// A class of frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Belief {
    /// Probability to leave at each exit point.
    pub exit_share: Vec<f64>,
    /// For each exit point, how the first gate's probability is spread over
    /// [`EVIDENCE_STEPS`] equal steps among the frames that leave there.
    pub evidence: Vec<[f64; EVIDENCE_STEPS]>,
}

impl Belief {
    /// A class of which only the exits are known.
    #[must_use]
    pub fn of_exits(exit_share: Vec<f64>) -> Self {
        let even = [1.0 / EVIDENCE_STEPS as f64; EVIDENCE_STEPS];
        let evidence = vec![even; exit_share.len()];
        Self {
            exit_share,
            evidence,
        }
    }

    /// Probability of seeing `seen`; never nothing, so that no class is ruled out.
    fn of(&self, seen: Seen) -> f64 {
        const LEAST: f64 = 1e-4;
        let share = self.exit_share.get(seen.exit).copied().unwrap_or(0.0);
        let evidence = self.evidence.get(seen.exit).map_or(1.0, |e| e[seen.step()]);
        (share * evidence).max(LEAST)
    }
}

/// Classes with the probabilities of going from one (row) to another (column)
/// between two frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Beliefs {
    /// The classes, from shallow to deep.
    pub classes: Vec<Belief>,
    /// `B` rows of `B` probabilities.
    pub next: Vec<Vec<f64>>,
}

/// Follows a running stream.
#[derive(Clone, Debug)]
pub struct Tracker {
    beliefs: Beliefs,
    weight: Vec<f64>,
    scratch: Vec<f64>,
}

impl Tracker {
    /// Knows nothing yet: all classes are equally likely.
    #[must_use]
    pub fn new(beliefs: Beliefs) -> Self {
        let count = beliefs.classes.len();
        Self {
            weight: vec![1.0 / count.max(1) as f64; count],
            scratch: vec![0.0; count],
            beliefs,
        }
    }

    /// Learns of a frame that has left.
    pub fn observe(&mut self, seen: Seen) {
        let classes = self.beliefs.classes.iter();
        for (weight, class) in self.weight.iter_mut().zip(classes) {
            *weight *= class.of(seen);
        }
        self.scratch.fill(0.0);
        for (weight, row) in self.weight.iter().zip(&self.beliefs.next) {
            for (to, share) in self.scratch.iter_mut().zip(row) {
                *to += weight * share;
            }
        }
        normalise(&mut self.scratch);
        std::mem::swap(&mut self.weight, &mut self.scratch);
    }

    /// Probability of each class for the next frame.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.weight
    }

    /// The likeliest class of the next frame, the shallowest of equals.
    #[must_use]
    pub fn likeliest(&self) -> usize {
        let better = |best: usize, at: usize| {
            if self.weight[at] > self.weight[best] {
                at
            } else {
                best
            }
        };
        (0..self.weight.len()).fold(0, better)
    }
}

/// Scales to a sum of 1; all alike where there is nothing to scale.
fn normalise(shares: &mut [f64]) {
    let sum: f64 = shares.iter().sum();
    let even = 1.0 / shares.len().max(1) as f64;
    for share in shares {
        *share = if sum > 0.0 { *share / sum } else { even };
    }
}

/// Rounds of expectation-maximisation; it settles in a few dozen.
const ROUNDS: usize = 60;

/// The `classes` classes that explain `frames` best, of a network with `exits`
/// exit points. With no frames, all exits are equally likely in each class.
#[must_use]
pub fn learn(frames: &[Seen], exits: usize, classes: usize) -> Beliefs {
    let mut beliefs = first_guess(frames, exits, classes.max(1));
    for _ in 0..ROUNDS {
        beliefs = improved(&beliefs, frames, exits);
    }
    let depth = |class: &Belief| -> f64 {
        let shares = class.exit_share.iter().enumerate();
        shares.map(|(exit, share)| exit as f64 * share).sum()
    };
    let mut order: Vec<usize> = (0..beliefs.classes.len()).collect();
    order.sort_by(|&a, &b| depth(&beliefs.classes[a]).total_cmp(&depth(&beliefs.classes[b])));
    let row = |from: &usize| order.iter().map(|to| beliefs.next[*from][*to]).collect();
    Beliefs {
        classes: order.iter().map(|&c| beliefs.classes[c].clone()).collect(),
        next: order.iter().map(row).collect(),
    }
}

/// Classes that lean from shallow to deep around the overall spread.
fn first_guess(frames: &[Seen], exits: usize, classes: usize) -> Beliefs {
    let mut overall = Counts::new(exits);
    frames.iter().for_each(|seen| overall.add(*seen, 1.0));
    let overall = overall.belief();
    let lean = |class: usize| {
        let mut belief = overall.clone();
        let side = 2.0 * (class as f64 + 0.5) / classes as f64 - 1.0;
        for (exit, share) in belief.exit_share.iter_mut().enumerate() {
            let depth = 2.0 * (exit as f64 + 0.5) / exits as f64 - 1.0;
            *share *= (2.0 * side * depth).exp();
        }
        normalise(&mut belief.exit_share);
        belief
    };
    let away = 0.1 / classes.max(2) as f64;
    let row = |from: usize| {
        let mut row = vec![away; classes];
        row[from] = 1.0;
        normalise(&mut row);
        row
    };
    Beliefs {
        classes: (0..classes).map(lean).collect(),
        next: (0..classes).map(row).collect(),
    }
}

/// What was seen, weighed.
#[derive(Clone, Debug)]
struct Counts {
    seen: Vec<[f64; EVIDENCE_STEPS]>,
}

impl Counts {
    fn new(exits: usize) -> Self {
        Self {
            // As if a hundredth of a frame had been seen of each kind.
            seen: vec![[0.01 / EVIDENCE_STEPS as f64; EVIDENCE_STEPS]; exits],
        }
    }

    fn add(&mut self, seen: Seen, weight: f64) {
        if let Some(exit) = self.seen.get_mut(seen.exit) {
            exit[seen.step()] += weight;
        }
    }

    fn belief(&self) -> Belief {
        let mut exit_share: Vec<f64> = self.seen.iter().map(|exit| exit.iter().sum()).collect();
        normalise(&mut exit_share);
        let spread = |exit: &[f64; EVIDENCE_STEPS]| {
            let mut steps = *exit;
            normalise(&mut steps);
            steps
        };
        Belief {
            exit_share,
            evidence: self.seen.iter().map(spread).collect(),
        }
    }
}

/// One round: the probability of each class for each frame, forward and backward,
/// then classes and changes of class weighed with it.
fn improved(beliefs: &Beliefs, frames: &[Seen], exits: usize) -> Beliefs {
    let count = beliefs.classes.len();
    let fits = |seen: &Seen| -> Vec<f64> {
        beliefs
            .classes
            .iter()
            .map(|class| class.of(*seen))
            .collect()
    };
    let fit: Vec<Vec<f64>> = frames.iter().map(fits).collect();
    let forward = forward(beliefs, &fit);
    let mut seen = vec![Counts::new(exits); count];
    let mut next = vec![vec![1e-3; count]; count];
    let mut backward = vec![1.0; count];
    for at in (0..frames.len()).rev() {
        let mut weight: Vec<f64> = (0..count).map(|c| forward[at][c] * backward[c]).collect();
        normalise(&mut weight);
        for (counts, weight) in seen.iter_mut().zip(&weight) {
            counts.add(frames[at], *weight);
        }
        if at == 0 {
            break;
        }
        let onward: Vec<f64> = (0..count).map(|c| fit[at][c] * backward[c]).collect();
        let pairs =
            |from: usize, to: usize| forward[at - 1][from] * beliefs.next[from][to] * onward[to];
        let all = (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
        let sum: f64 = all.clone().map(|(a, b)| pairs(a, b)).sum();
        for (from, to) in all.filter(|_| sum > 0.0) {
            next[from][to] += pairs(from, to) / sum;
        }
        backward = (0..count)
            .map(|from| {
                (0..count)
                    .map(|to| beliefs.next[from][to] * onward[to])
                    .sum()
            })
            .collect();
        normalise(&mut backward);
    }
    next.iter_mut().for_each(|row| normalise(row));
    Beliefs {
        classes: seen.iter().map(Counts::belief).collect(),
        next,
    }
}

/// For each frame, the probability of each class by it and all before it.
fn forward(beliefs: &Beliefs, fit: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let count = beliefs.classes.len();
    let mut prior = vec![1.0 / count as f64; count];
    let mut all = Vec::with_capacity(fit.len());
    for fit in fit {
        let mut now: Vec<f64> = prior.iter().zip(fit).map(|(p, f)| p * f).collect();
        normalise(&mut now);
        prior = (0..count)
            .map(|to| {
                (0..count)
                    .map(|from| now[from] * beliefs.next[from][to])
                    .sum()
            })
            .collect();
        all.push(now);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenes of 30 frames: three that run deep, then shallow ones.
    fn scenes(count: usize) -> Vec<Seen> {
        let scene = (0..30).map(|frame| match frame {
            0 => (4, 0.05),
            1 => (3, 0.2),
            2 => (2, 0.3),
            _ if frame % 9 == 0 => (1, 0.6),
            _ => (0, 0.95),
        });
        let scene: Vec<Seen> = scene
            .map(|(exit, first_gate)| Seen { exit, first_gate })
            .collect();
        scene.repeat(count)
    }

    #[test]
    fn the_first_frames_of_a_scene_and_the_later_ones_are_told_apart() {
        let beliefs = learn(&scenes(20), 5, 2);
        assert!(beliefs.classes[0].exit_share[0] > 0.8);
        assert!(beliefs.classes[1].exit_share[0] < 0.1);
        let next: Vec<f64> = beliefs.next.iter().map(|row| row.iter().sum()).collect();
        assert!(next.iter().all(|sum| (sum - 1.0).abs() < 1e-9));
    }

    #[test]
    fn a_tracker_changes_its_mind_within_a_frame_or_two() {
        let mut tracker = Tracker::new(learn(&scenes(20), 5, 2));
        let mut wrong = 0;
        for (at, seen) in scenes(3).into_iter().enumerate() {
            // The first frame of a scene cannot be foreseen.
            let deep = matches!(at % 30, 1 | 2);
            if at % 30 > 0 && (tracker.likeliest() == 1) != deep {
                wrong += 1;
            }
            tracker.observe(seen);
        }
        assert!(
            wrong <= 6,
            "{wrong} frames were believed to be of the wrong class"
        );
    }

    #[test]
    fn no_frames_and_impossible_frames_leave_probabilities() {
        let beliefs = learn(&[], 3, 2);
        for class in &beliefs.classes {
            let sum: f64 = class.exit_share.iter().sum();
            assert!((sum - 1.0).abs() < 1e-9);
        }
        let mut tracker = Tracker::new(beliefs);
        for first_gate in [f32::NAN, -1.0, 2.0] {
            tracker.observe(Seen {
                exit: 9,
                first_gate,
            });
        }
        let sum: f64 = tracker.weights().iter().sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }
}
