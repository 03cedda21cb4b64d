//! Finds the moment at which a loop of fixed work changed its speed.
//!
//! Two levels are known: the median before the clock was written, and the median
//! of the last quarter of the time. The change is where cutting the samples in two fits them
//! best, by absolute distance; a sample counts for no more than the distance of the
//! levels, so that a preempted one (many times too long) decides nothing. A ramp
//! counts as changed halfway.

/// One pass of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it began, in nanoseconds.
    pub began_ns: u64,
    /// How long it took.
    pub took_ns: u64,
}

/// Levels closer than this are one.
const LEAST_RATIO: f64 = 1.08;
/// Fewer samples on a side say nothing.
const LEAST_SAMPLES: usize = 8;
/// Two levels must fit this much better than one. At a ratio of 1.3 and 10 % noise,
/// what is left with two levels comes close to half of what is left with one.
const LEAST_GAIN: f64 = 0.7;

/// When the speed changed, at or after `written_ns`; `None` where it did not, or
/// the samples do not say. Samples are in the order of their time.
#[must_use]
pub fn change(samples: &[Sample], written_ns: u64) -> Option<u64> {
    let first = samples.partition_point(|sample| sample.began_ns + sample.took_ns <= written_ns);
    let (before, after) = samples.split_at(first);
    let (from, to) = (after.first()?.began_ns, after.last()?.began_ns);
    let last_quarter = to.saturating_sub(to.saturating_sub(from) / 4);
    let last_quarter = after.partition_point(|s| s.began_ns < last_quarter);
    let last = &after[last_quarter..];
    if before.len() < LEAST_SAMPLES || last.len() < LEAST_SAMPLES {
        return None;
    }
    let (old, new) = (median(before)?, median(last)?);
    let ratio = if old > new { old / new } else { new / old };
    if ratio < LEAST_RATIO {
        return None;
    }
    let at = cut(after, old, new)?;
    // A cut at the very end has no new level.
    let sample = after.get(at)?;
    Some(sample.began_ns.max(written_ns))
}

/// Index of the first sample of the new level.
fn cut(samples: &[Sample], old: f64, new: f64) -> Option<usize> {
    let most = (old - new).abs();
    let cost = |sample: &Sample, level: f64| (took(sample) - level).abs().min(most);
    let all_new: f64 = samples.iter().map(|sample| cost(sample, new)).sum();
    let all_old: f64 = samples.iter().map(|sample| cost(sample, old)).sum();
    let (mut here, mut best, mut at) = (all_new, all_new, 0);
    for (index, sample) in samples.iter().enumerate() {
        here += cost(sample, old) - cost(sample, new);
        if here < best {
            (best, at) = (here, index + 1);
        }
    }
    (best < LEAST_GAIN * all_old).then_some(at)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a pass takes microseconds, far below 2^52 ns"
)]
fn took(sample: &Sample) -> f64 {
    sample.took_ns as f64
}

/// Time of a pass that nothing else on the machine slowed down: the lowest tenth, in
/// nanoseconds; above 0.
pub(super) fn undisturbed(samples: &[Sample]) -> Option<f64> {
    quantile(samples, 10)
}

/// Median time of a pass in nanoseconds; above 0.
fn median(samples: &[Sample]) -> Option<f64> {
    quantile(samples, 2)
}

/// The time that one in `parts` passes stays below.
fn quantile(samples: &[Sample], parts: usize) -> Option<f64> {
    let mut times: Vec<f64> = samples.iter().map(took).collect();
    if times.is_empty() {
        return None;
    }
    let at = times.len() / parts;
    let (_, value, _) = times.select_nth_unstable_by(at, f64::total_cmp);
    Some(value.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Passes of `old` ns before `at_ns` and of `new` ns after it, with noise of
    /// this share and three preempted passes in a thousand.
    fn simulated(old: f64, new: f64, at_ns: u64, noise: f64, seed: u64) -> Vec<Sample> {
        let mut state = seed | 1;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            f64::from(u32::try_from(state >> 40).unwrap()) / f64::from(1_u32 << 24)
        };
        let (mut now, mut samples) = (0_u64, Vec::new());
        while now < 40_000_000 {
            let level = if now < at_ns { old } else { new };
            let gauss: f64 = (0..12).map(|_| random()).sum::<f64>() - 6.0;
            let preempted = if random() < 0.003 {
                1.0 + 50.0 * random()
            } else {
                1.0
            };
            let took = level * (1.0 + noise * gauss).max(0.2) * preempted;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "above 0, small"
            )]
            let took_ns = took as u64;
            samples.push(Sample {
                began_ns: now,
                took_ns,
            });
            now += took_ns;
        }
        samples
    }

    const WRITTEN: u64 = 5_000_000;

    proptest! {
        #[test]
        fn a_change_is_found_within_a_few_passes(
            seed in any::<u64>(),
            late_us in 0_u64..20_000,
            ratio in 1.3_f64..4.0,
            up in any::<bool>(),
            noise in 0.0_f64..0.1,
        ) {
            let (old, new) = if up { (20_000.0 * ratio, 20_000.0) } else { (20_000.0, 20_000.0 * ratio) };
            let at = WRITTEN + late_us * 1000;
            let samples = simulated(old, new, at, noise, seed);
            // So few say nothing; the loop that is run takes more.
            let before = samples.partition_point(|s| s.began_ns + s.took_ns <= WRITTEN);
            prop_assume!(before >= LEAST_SAMPLES);
            let found = change(&samples, WRITTEN).unwrap();
            // A preempted pass over the change itself hides it for its time.
            let longest = samples.iter().map(|sample| sample.took_ns).max().unwrap();
            prop_assert!(found.abs_diff(at) < longest.max(4_500_000), "{found} for {at}");
        }

        #[test]
        fn without_a_change_none_is_found(seed in any::<u64>(), noise in 0.0_f64..0.1) {
            let samples = simulated(20_000.0, 20_000.0, 0, noise, seed);
            prop_assert_eq!(change(&samples, WRITTEN), None);
        }

        #[test]
        fn no_samples_panic(times in prop::collection::vec((0_u64..1_000_000, 0_u64..100_000), 0..50)) {
            let samples: Vec<Sample> = times
                .into_iter()
                .map(|(began_ns, took_ns)| Sample { began_ns, took_ns })
                .collect();
            let _ = change(&samples, 500_000);
        }
    }

    #[test]
    fn a_busy_machine_does_not_hide_the_speed() {
        // Two of three passes share the core with somebody else.
        let mut samples = simulated(20_000.0, 20_000.0, 0, 0.05, 3);
        for sample in samples
            .iter_mut()
            .enumerate()
            .filter(|(i, _)| i % 3 > 0)
            .map(|(_, s)| s)
        {
            sample.took_ns *= 2;
        }
        let found = undisturbed(&samples).unwrap();
        assert!((found / 20_000.0 - 1.0).abs() < 0.15, "{found}");
        assert!(median(&samples).unwrap() > 30_000.0);
    }

    #[test]
    fn typical_errors_are_below_a_tenth_of_a_millisecond() {
        let mut errors: Vec<u64> = (1..=101_u64)
            .map(|seed| {
                let at = WRITTEN + seed * 137_000;
                let samples = simulated(54_000.0, 20_000.0, at, 0.05, seed * 7_919);
                change(&samples, WRITTEN).unwrap().abs_diff(at)
            })
            .collect();
        errors.sort_unstable();
        println!(
            "error of the moment: median {} ns, p90 {} ns",
            errors[50], errors[90]
        );
        assert!(errors[50] < 60_000 && errors[90] < 1_000_000, "{errors:?}");
    }
}
