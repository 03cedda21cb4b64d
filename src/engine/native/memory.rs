//! Memory of f32 elements that starts on a cache line, and the places in it.

use std::ops::{Deref, DerefMut, Range};

/// Elements of a cache line.
pub(super) const LINE: usize = 16;

/// Elements that start at a multiple of 64 bytes.
#[derive(Debug)]
pub(super) struct Aligned {
    data: Vec<f32>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let data = vec![0.0; len + LINE];
        let start = data.as_ptr().align_offset(64).min(LINE);
        Self { data, start, len }
    }
}

impl Deref for Aligned {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.data[self.start..self.start + self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..self.start + self.len]
    }
}

/// Something that needs a place from one step to another, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub len: usize,
    pub first: usize,
    pub last: usize,
}

/// A place for each of `needs`, whole cache lines, no two that are needed at
/// one step overlapping; and the length of it all. The largest are placed
/// first, each as low as it can be.
pub(super) fn places(needs: &[Need]) -> (Vec<Range<usize>>, usize) {
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(needs[i].len), i));
    let mut placed: Vec<(Range<usize>, usize)> = Vec::with_capacity(needs.len());
    let mut places = vec![0..0; needs.len()];
    let mut total = 0;
    for i in order {
        let need = needs[i];
        let len = need.len.next_multiple_of(LINE);
        let meets = |j: &usize| needs[*j].first <= need.last && need.first <= needs[*j].last;
        let mut start = 0;
        for (taken, j) in &placed {
            if meets(j) && start < taken.end && taken.start < start + len {
                start = taken.end;
            }
        }
        // `placed` is sorted by start, so that one pass finds the lowest gap.
        let at = placed.partition_point(|(taken, _)| taken.start < start);
        placed.insert(at, (start..start + len, i));
        places[i] = start..start + need.len;
        total = total.max(start + len);
    }
    (places, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_starts_on_a_cache_line() {
        for len in [0, 1, 17, 100_000] {
            let memory = Aligned::zeroed(len);
            assert_eq!(memory.len(), len);
            assert_eq!(memory.as_ptr().align_offset(64), 0);
        }
    }

    #[test]
    fn what_is_not_needed_at_one_step_shares_a_place() {
        let need = |len, first, last| Need { len, first, last };
        let (places, total) = places(&[need(32, 0, 1), need(48, 1, 2), need(16, 2, 3)]);
        assert_eq!(total, 80);
        assert_eq!(places, [48..80, 0..48, 48..64]);
    }

    proptest! {
        #[test]
        fn places_needed_at_one_step_never_overlap(
            needs in prop::collection::vec((0_usize..200, 0_usize..12, 0_usize..6), 0..40)
        ) {
            let needs: Vec<Need> = needs
                .into_iter()
                .map(|(len, first, more)| Need { len, first, last: first + more })
                .collect();
            let (places, total) = places(&needs);
            for (i, a) in places.iter().enumerate() {
                prop_assert_eq!(a.len(), needs[i].len);
                prop_assert_eq!(a.start % LINE, 0);
                prop_assert!(a.end <= total);
                for (j, b) in places.iter().enumerate().take(i) {
                    let meet = needs[i].first <= needs[j].last && needs[j].first <= needs[i].last;
                    let overlap = a.start < b.end && b.start < a.end;
                    prop_assert!(!(meet && overlap), "{i} and {j}");
                }
            }
        }
    }
}
