//! Samples a source to the bundle's frame interval by timestamp.
//!
//! A temporal model has seen frames at one spacing; a camera delivers them at
//! another. The sampler keeps the first frame at or after each instant of a grid
//! that is anchored at a clip's first frame. An instant may be met up to an
//! eighth of the interval early, so that three frames of 33.333 ms make 100 ms.
//! It cannot invent frames: a slower source, or a hole in it, is reported.

/// Keeps one frame an interval.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    interval_ns: Option<u64>,
    clip: Option<u32>,
    due_ns: u64,
    last_kept_ns: u64,
    /// Frames came since the last one kept, and could not be used.
    excused: bool,
    gaps: u64,
}

impl Sampler {
    /// A sampler for frames `interval_ns` apart; `None` keeps every frame.
    #[must_use]
    pub fn new(interval_ns: Option<u64>) -> Self {
        Self {
            interval_ns: interval_ns.filter(|&i| i > 0),
            clip: None,
            due_ns: 0,
            last_kept_ns: 0,
            excused: false,
            gaps: 0,
        }
    }

    /// True when the frame of `clip` taken at `timestamp_ns` belongs to the grid.
    pub fn keep(&mut self, clip: u32, timestamp_ns: u64) -> bool {
        let Some(interval) = self.interval_ns else {
            return true;
        };
        // A clock that jumps back starts a new grid, like a new clip.
        if self.clip != Some(clip) || timestamp_ns < self.last_kept_ns {
            self.clip = Some(clip);
            self.due_ns = timestamp_ns.saturating_add(interval);
            self.last_kept_ns = timestamp_ns;
            return true;
        }
        if timestamp_ns.saturating_add(interval / 8) < self.due_ns {
            return false;
        }
        let since_last = timestamp_ns - self.last_kept_ns;
        let excused = std::mem::take(&mut self.excused);
        if since_last > interval.saturating_mul(2) && !excused {
            self.gaps += since_last.saturating_add(interval / 8) / interval - 1;
        }
        let behind = timestamp_ns >= self.due_ns.saturating_add(interval);
        let anchor = if behind { timestamp_ns } else { self.due_ns };
        self.due_ns = anchor.saturating_add(interval);
        self.last_kept_ns = timestamp_ns;
        true
    }

    /// A frame came that cannot be used: the stretch that it is in is no gap.
    pub fn excuse(&mut self) {
        self.excused = true;
    }

    /// Instants of the grid without a frame, so far, in stretches between kept
    /// frames that are longer than two intervals.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// The sentence for a source that is too slow.
    #[must_use]
    pub fn too_slow_notice(&self, source: &str, source_interval_ns: u64) -> String {
        let ms = |ns: u64| ns / 1_000_000;
        format!(
            "{source} delivers a frame every {} ms, the bundle was trained on one every {} ms: expect lower accuracy",
            ms(source_interval_ns),
            ms(self.interval_ns.unwrap_or(0)),
        )
    }

    /// Whether a source with this spacing is too slow for the interval.
    #[must_use]
    pub fn too_slow(&self, source_interval_ns: u64) -> bool {
        self.interval_ns
            .is_some_and(|i| source_interval_ns > i + i / 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn kept(interval_ns: u64, period_ns: f64, frames: u32) -> Vec<u32> {
        let mut sampler = Sampler::new(Some(interval_ns));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "test times are small and positive"
        )]
        let at = |i: u32| (f64::from(i) * period_ns) as u64;
        (0..frames).filter(|&i| sampler.keep(0, at(i))).collect()
    }

    #[test]
    fn thirty_fps_to_ten_keeps_every_third() {
        assert_eq!(
            kept(100 * MS, 1e9 / 30.0, 300),
            (0..300).step_by(3).collect::<Vec<_>>()
        );
    }

    #[test]
    fn uneven_rates_keep_the_mean_rate() {
        assert_eq!(kept(100 * MS, 1e9 / 15.0, 301).len(), 201);
        assert_eq!(kept(100 * MS, 1e9 / 24.0, 241).len(), 101);
    }

    #[test]
    fn a_source_at_the_interval_or_slower_keeps_all() {
        assert_eq!(kept(100 * MS, 1e8, 50).len(), 50);
        assert_eq!(kept(100 * MS, 2e8, 50).len(), 50);
        assert!(Sampler::new(Some(100 * MS)).too_slow(200 * MS));
        assert!(!Sampler::new(Some(100 * MS)).too_slow(100 * MS));
    }

    #[test]
    fn a_hole_is_counted_and_the_grid_starts_again_after_it() {
        let mut sampler = Sampler::new(Some(100 * MS));
        for t in [0, 100, 200, 550, 600, 650, 750] {
            sampler.keep(0, t * MS);
        }
        // Nothing came for the instants 300 and 400.
        assert_eq!(sampler.gaps(), 2);
    }

    #[test]
    fn a_stretch_of_frames_that_came_and_were_no_use_is_no_gap() {
        let mut sampler = Sampler::new(Some(100 * MS));
        assert!(sampler.keep(0, 0));
        sampler.excuse();
        assert!(sampler.keep(0, 500 * MS));
        assert_eq!(sampler.gaps(), 0);
        assert!(sampler.keep(0, 900 * MS));
        assert_eq!(sampler.gaps(), 3);
    }

    #[test]
    fn a_new_clip_and_a_clock_that_jumps_back_start_a_new_grid() {
        let mut sampler = Sampler::new(Some(100 * MS));
        assert!(sampler.keep(0, 500 * MS));
        assert!(!sampler.keep(0, 533 * MS));
        assert!(sampler.keep(1, 540 * MS));
        assert!(sampler.keep(1, 10 * MS));
        assert_eq!(sampler.gaps(), 0);
    }

    #[test]
    fn without_an_interval_every_frame_is_kept() {
        let mut sampler = Sampler::new(None);
        assert!((0..10).all(|i| sampler.keep(0, i)));
    }

    #[test]
    fn timestamps_at_the_end_of_the_range_do_not_overflow() {
        let mut sampler = Sampler::new(Some(u64::MAX));
        assert!(sampler.keep(0, u64::MAX - 1));
        sampler.keep(0, u64::MAX);
    }
}
