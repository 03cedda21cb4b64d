//! What the last few times were like: middle and ends, whatever single outliers do.
//!
//! Guarantees: allocates nothing; up to three outliers among 32 times move neither
//! the middle nor the ends. Not guaranteed: that the next time lies between the
//! ends. Cost: moving at most 256 bytes a time taken in.

/// Times that are remembered.
const LENGTH: usize = 32;
/// The ends are this much further out than the 10th and 90th percentile: times
/// that are spread evenly then lie within them, as far as so few can tell.
const REACH_LOW: f64 = 1.6;
const REACH_HIGH: f64 = 1.75;

/// The last `LENGTH` times in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Window {
    taken: [u64; LENGTH],
    sorted: [u64; LENGTH],
    count: usize,
    next: usize,
}

/// Middle and ends of times, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Few are shorter.
    pub low: u64,
    /// 10th percentile.
    pub early: u64,
    /// Median.
    pub mid: u64,
    /// Between the median and the 90th percentile.
    pub late: u64,
    /// Few are longer.
    pub high: u64,
}

impl Spread {
    /// Times that are all alike.
    #[must_use]
    pub fn exactly(ns: u64) -> Self {
        Self {
            low: ns,
            early: ns,
            mid: ns,
            late: ns,
            high: ns,
        }
    }

    /// Of what was measured: median and 90th percentile.
    #[must_use]
    pub fn of(mid: u64, p90: u64) -> Self {
        Self::between(mid.saturating_sub(p90.saturating_sub(mid)), mid, p90)
    }

    fn between(p10: u64, mid: u64, p90: u64) -> Self {
        Self {
            low: mid.saturating_sub(reach(mid.saturating_sub(p10), REACH_LOW)),
            early: p10.min(mid),
            mid,
            late: mid + p90.saturating_sub(mid) / 2,
            high: mid.saturating_add(reach(p90.saturating_sub(mid), REACH_HIGH)),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few times a duration that is not negative; the cast saturates"
)]
fn reach(ns: u64, times: f64) -> u64 {
    (ns as f64 * times) as u64
}

impl Window {
    /// Takes a time in, in place of the oldest.
    pub fn add(&mut self, ns: u64) {
        if self.count == LENGTH {
            let old = self.taken[self.next];
            let at = self.sorted.partition_point(|&t| t < old);
            self.sorted.copy_within(at + 1..LENGTH, at);
            self.count -= 1;
        }
        let at = self.sorted[..self.count].partition_point(|&t| t < ns);
        self.sorted.copy_within(at..self.count, at + 1);
        self.sorted[at] = ns;
        self.count += 1;
        self.taken[self.next] = ns;
        self.next = (self.next + 1) % LENGTH;
    }

    /// Times in it.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        (self.count, self.next) = (0, 0);
    }

    /// Middle and ends, of `least` times or more.
    #[must_use]
    pub fn spread(&self, least: usize) -> Option<Spread> {
        if self.count < least.max(1) {
            return None;
        }
        let last = self.count - 1;
        let at = |percent: usize| self.sorted[(last * percent + 50) / 100];
        Some(Spread::between(at(10), at(50), at(90)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_outliers_do_not_show() {
        let mut window = Window::default();
        for i in 0..32 {
            window.add(if i % 11 == 5 { 90_000 } else { 1_000 });
        }
        assert_eq!(window.spread(1), Some(Spread::exactly(1_000)));
        assert_eq!(window.spread(33), None);
    }

    #[test]
    fn a_change_for_good_is_followed_within_a_windows_length() {
        let mut window = Window::default();
        (0..100).for_each(|_| window.add(10));
        (0..LENGTH).for_each(|_| window.add(70));
        assert_eq!(window.spread(1), Some(Spread::exactly(70)));
    }

    proptest! {
        #[test]
        fn it_holds_the_last_times_in_order(times in prop::collection::vec(0..1_000_u64, 1..100)) {
            let mut window = Window::default();
            times.iter().for_each(|&t| window.add(t));
            let mut last = times[times.len().saturating_sub(LENGTH)..].to_vec();
            last.sort_unstable();
            prop_assert_eq!(&window.sorted[..window.count()], &last[..]);
            let spread = window.spread(1).unwrap();
            prop_assert!(spread.low <= spread.mid && spread.mid <= spread.late && spread.mid <= spread.high);
        }
    }
}
