//! When the next frame will arrive: a phase-locked loop on sequence numbers and
//! producer timestamps.
//!
//! Glossary: *period*, the spacing of frames; *phase*, the modelled time of the
//! latest frame; *error*, a frame's timestamp less its modelled time; *locked*,
//! a period is known. [`ArrivalPredictor`] owns all of it.
//!
//! Guarantees: a steady source is locked on after three frames, or after one
//! when its nominal period is known; sequence gaps move the model by whole
//! periods; single late frames and bursts of up to five do not pull it away;
//! once the source's rate or phase has changed for good it follows within eight
//! frames. It looks at the producer's timestamps, never at the times of
//! reception: those carry the waiter's own latency, and a loop on them locks
//! onto whatever phase it wakes at.
//!
//! Not guaranteed: a prediction for a source without a steady spacing; there
//! is none then, and the waiter parks.
//!
//! Cost: a few integer operations a frame; no clock read.
//!
//! ```
//! use e4::pipeline::ArrivalPredictor;
//!
//! let mut predictor = ArrivalPredictor::new(Some(100));
//! predictor.observe(7, 1_000);
//! assert_eq!(predictor.next_after(1_250), Some(1_300));
//! ```

/// An error moves the phase by 1 / `PHASE_SHARE` of it ...
const PHASE_SHARE: i64 = 8;
/// ... and the period by 1 / `PERIOD_SHARE` of it.
const PERIOD_SHARE: i64 = 64;
/// Errors beyond 1 / `OUTLIER` of the period are outliers.
const OUTLIER: i64 = 4;
/// Spacings that differ by less than 1 / `SAME` of themselves are the same.
const SAME: i64 = 8;
/// An outlier after as many equal spacings is a new model. Not after as many
/// outliers: a rate that is a little off crosses the model again and again. A
/// burst has fewer.
const RELOCK: u32 = 5;
/// As many outliers without two equal spacings in a row: nothing is known.
const LOST: u32 = 8;
/// A longer gap in the sequence says nothing about the period.
const LONG_GAP: i64 = 8;
/// A source slower than this has no rhythm that is worth predicting.
const SLOWEST_NS: i64 = 10_000_000_000;
/// The period is kept in 1 / `FINE` ns.
const FINE: i64 = 256;

/// Predicts the arrivals of a producer that numbers and stamps its frames.
#[derive(Clone, Debug)]
pub struct ArrivalPredictor {
    /// Modelled period, in 1 / [`FINE`] ns.
    period: Option<i64>,
    /// Modelled time of frame `sequence`.
    phase_ns: i64,
    sequence: i64,
    /// Timestamp of that frame.
    time_ns: i64,
    /// Spacing of the last two frames, and how often in a row it was that.
    spacing_ns: i64,
    alike: u32,
    outliers: u32,
    started: bool,
}

impl ArrivalPredictor {
    /// A predictor that knows the nominal spacing of frames, or nothing.
    #[must_use]
    pub fn new(nominal_period_ns: Option<u64>) -> Self {
        Self {
            period: nominal_period_ns
                .and_then(|ns| i64::try_from(ns).ok())
                .filter(|ns| (1..SLOWEST_NS).contains(ns))
                .map(|ns| ns * FINE),
            phase_ns: 0,
            sequence: 0,
            time_ns: 0,
            spacing_ns: 0,
            alike: 0,
            outliers: 0,
            started: false,
        }
    }

    /// Tells of a frame: its sequence number and when the producer stamped it.
    pub fn observe(&mut self, sequence: u64, timestamp_ns: u64) {
        let (Some(sequence), Some(time_ns)) = (signed(sequence), signed(timestamp_ns)) else {
            return;
        };
        let steps = sequence - self.sequence;
        let elapsed_ns = time_ns - self.time_ns;
        let follows = self.started && steps > 0 && elapsed_ns > 0;
        (self.sequence, self.time_ns) = (sequence, time_ns);
        self.started = true;
        if !follows || steps > LONG_GAP || elapsed_ns / steps > SLOWEST_NS {
            // A new beginning, or as good as one: the period is still the best guess.
            self.anchor(time_ns);
            return;
        }
        self.compare(elapsed_ns / steps);
        match self.period {
            Some(period) => self.track(period, steps, time_ns),
            None if self.alike >= 1 => self.lock(time_ns),
            None => self.phase_ns = time_ns,
        }
    }

    /// When the next frame is due: the first modelled arrival after `now_ns`,
    /// while locked.
    #[must_use]
    pub fn next_after(&self, now_ns: u64) -> Option<u64> {
        let period = self.period.filter(|_| self.started)?;
        let ahead = (signed(now_ns)? - self.phase_ns).max(0);
        let periods = ahead.checked_mul(FINE)? / period + 1;
        let next = periods.checked_mul(period)? / FINE;
        u64::try_from(self.phase_ns.checked_add(next)?).ok()
    }

    /// The modelled spacing of frames, while locked.
    #[must_use]
    pub fn period_ns(&self) -> Option<u64> {
        u64::try_from(self.period? / FINE).ok()
    }

    /// Counts how often in a row the spacing was the same.
    fn compare(&mut self, spacing_ns: i64) {
        let same = (spacing_ns - self.spacing_ns).abs() <= spacing_ns / SAME;
        self.alike = if same { self.alike + 1 } else { 0 };
        self.spacing_ns = spacing_ns;
    }

    fn track(&mut self, period: i64, steps: i64, time_ns: i64) {
        let modelled = self.phase_ns + steps * period / FINE;
        let error = time_ns - modelled;
        if error.abs() <= period / FINE / OUTLIER {
            self.phase_ns = modelled + error / PHASE_SHARE;
            self.period = Some((period + error * FINE / PERIOD_SHARE / steps).max(FINE));
            self.outliers = 0;
            return;
        }
        self.phase_ns = modelled;
        self.outliers += 1;
        if self.alike >= RELOCK {
            self.lock(time_ns);
        } else if self.outliers >= LOST && self.alike == 0 {
            self.period = None;
        }
    }

    /// Takes the model from the last two frames.
    fn lock(&mut self, time_ns: i64) {
        self.period = Some(self.spacing_ns.max(1) * FINE);
        self.anchor(time_ns);
    }

    fn anchor(&mut self, time_ns: i64) {
        self.phase_ns = time_ns;
        self.alike = 0;
        self.outliers = 0;
    }
}

/// A number with room for the arithmetic above: 146 years of nanoseconds.
fn signed(value: u64) -> Option<i64> {
    i64::try_from(value).ok().filter(|&v| v <= i64::MAX / 2)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const PERIOD: u64 = 33_333_333;
    const START: u64 = 1_000_000_000;

    /// Arrival of frame `i` of a steady 30 fps source.
    fn at(i: u64) -> u64 {
        START + i * PERIOD
    }

    fn error_ns(predictor: &ArrivalPredictor, now: u64, truth: u64) -> u64 {
        let predicted = predictor.next_after(now);
        predicted.map_or(u64::MAX, |at| at.abs_diff(truth))
    }

    fn locked(frames: u64) -> ArrivalPredictor {
        let mut p = ArrivalPredictor::new(None);
        (0..frames).for_each(|i| p.observe(i, at(i)));
        p
    }

    /// A small generator of noise in `0..range`.
    struct Noise(u64);
    impl Noise {
        fn below(&mut self, range: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % range
        }
    }

    #[test]
    fn nothing_is_predicted_from_nothing() {
        let mut p = ArrivalPredictor::new(None);
        assert_eq!(p.next_after(START), None);
        p.observe(0, START);
        p.observe(1, at(1));
        assert_eq!(p.next_after(at(1)), None, "one spacing is no rhythm");
        assert_eq!(ArrivalPredictor::new(Some(PERIOD)).next_after(START), None);
        assert_eq!(ArrivalPredictor::new(Some(0)).period_ns(), None);
    }

    #[test]
    fn three_steady_frames_lock() {
        assert!(error_ns(&locked(3), at(2) + 1, at(3)) < 1_000);
    }

    #[test]
    fn an_overdue_frame_is_not_waited_for_in_the_past() {
        let p = locked(10);
        assert!(error_ns(&p, at(11) + 5, at(12)) < 10_000);
    }

    #[test]
    fn jitter_is_averaged_out() {
        let (mut p, mut noise) = (ArrivalPredictor::new(None), Noise(7));
        for i in 0..1_000 {
            p.observe(i, at(i) + noise.below(2_000_000));
            if i > 100 {
                let mean = at(i + 1) + 1_000_000;
                assert!(error_ns(&p, at(i) + 2_000_000, mean) < 900_000);
            }
        }
    }

    #[test]
    fn gaps_in_the_sequence_keep_the_phase() {
        let (mut p, mut noise, mut i) = (locked(10), Noise(3), 10);
        for _ in 0..500 {
            i += 1 + noise.below(20);
            p.observe(i, at(i));
            assert!(error_ns(&p, at(i) + 1, at(i + 1)) < 100_000);
        }
    }

    #[test]
    fn a_late_frame_does_not_pull_the_phase() {
        let mut p = locked(50);
        p.observe(50, at(50) + PERIOD / 2);
        assert!(error_ns(&p, at(50) + PERIOD / 2, at(51)) < 50_000);
    }

    #[test]
    fn a_burst_after_a_stall_does_not_pull_the_phase() {
        let mut p = locked(50);
        for i in 50..55 {
            p.observe(i, at(55) + (i - 50) * 200_000);
        }
        assert!(error_ns(&p, at(55) + 900_000, at(56)) < 50_000);
        p.observe(55, at(55) + 1_000_000);
        p.observe(56, at(56));
        assert!(error_ns(&p, at(56) + 1, at(57)) < 500_000);
    }

    #[test]
    fn a_new_rate_or_phase_is_followed_within_eight_frames() {
        for (period, shift) in [
            (PERIOD * 2, 0),
            (PERIOD / 2, 0),
            (PERIOD / 3, 0),
            (PERIOD * 5, 0),
            (PERIOD, PERIOD / 2),
            (PERIOD, PERIOD / 3),
        ] {
            let mut p = locked(50);
            let arrival = |k: u64| at(49) + shift + k * period;
            (1..=8).for_each(|k| p.observe(49 + k, arrival(k)));
            let error = error_ns(&p, arrival(8) + 1, arrival(9));
            assert!(error < period / 20, "{period} {shift}: off by {error}");
        }
    }

    #[test]
    fn it_is_never_in_step_with_a_wrong_phase_for_long() {
        // Random rates, phases, gaps and bursts; after eight steady frames the
        // prediction must be right again, whatever came before.
        let mut noise = Noise(11);
        let (mut p, mut time, mut sequence) = (ArrivalPredictor::new(None), START, 0);
        for _ in 0..500 {
            for _ in 0..noise.below(12) {
                sequence += 1 + noise.below(3);
                time += 1 + noise.below(80_000_000);
                p.observe(sequence, time);
            }
            let period = 5_000_000 + noise.below(90_000_000);
            for _ in 0..9 {
                sequence += 1;
                time += period;
                p.observe(sequence, time);
            }
            let error = error_ns(&p, time + 1, time + period);
            assert!(error < period / 4, "period {period}: off by {error}");
        }
    }

    #[test]
    fn a_source_without_a_rhythm_gets_no_prediction() {
        let (mut p, mut time) = (locked(10), at(9));
        for i in 10..60 {
            time += PERIOD << (i % 4);
            p.observe(i, time);
        }
        assert_eq!(p.next_after(time), None);
    }

    #[test]
    fn numbers_that_go_back_or_overflow_are_survived() {
        let mut p = locked(10);
        p.observe(0, at(30));
        assert!(error_ns(&p, at(30) + 1, at(31)) < 10_000);
        p.observe(u64::MAX, u64::MAX);
        p.observe(1, 5);
        p.observe(i64::MAX as u64, i64::MAX as u64);
        let _ = p.next_after(u64::MAX);
        let _ = p.next_after(0);
    }
}
