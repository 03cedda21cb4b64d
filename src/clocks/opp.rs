//! The operating points of a domain, as its kernel driver lists them.

use super::khz::{Khz, Unit};

/// One operating point. Made only by [`OppTable`], so that nothing else can be
/// asked of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opp {
    khz: Khz,
    raw: u64,
}

impl Opp {
    /// Its clock.
    #[must_use]
    pub fn khz(self) -> Khz {
        self.khz
    }

    /// The table's own number, in the unit of the domain's files.
    #[must_use]
    pub fn raw(self) -> u64 {
        self.raw
    }
}

/// Operating points in rising order, at least one, each clock once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OppTable {
    opps: Vec<Opp>,
    unit: Unit,
}

impl OppTable {
    /// Reads a list of numbers as kernels print them, in any order. Words that
    /// are not numbers and zeros are passed over; of two numbers that name one
    /// kHz the higher stays. `None` where nothing is left.
    #[must_use]
    pub fn parse(text: &str, unit: Unit) -> Option<Self> {
        let numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
        Self::of(numbers.collect(), unit)
    }

    /// As [`parse`](Self::parse), of numbers.
    #[must_use]
    pub fn of(mut raw: Vec<u64>, unit: Unit) -> Option<Self> {
        raw.retain(|&number| number > 0);
        raw.sort_unstable_by(|a, b| b.cmp(a));
        let mut opps: Vec<Opp> = raw
            .into_iter()
            .map(|raw| Opp {
                khz: unit.khz(raw),
                raw,
            })
            .collect();
        opps.dedup_by_key(|opp| opp.khz);
        opps.reverse();
        (!opps.is_empty()).then_some(Self { opps, unit })
    }

    /// The points within `low..=high`, or all of them where that leaves none.
    #[must_use]
    pub fn within(self, low: u64, high: u64) -> Self {
        let kept: Vec<Opp> = self
            .opps
            .iter()
            .copied()
            .filter(|opp| (low..=high).contains(&opp.raw))
            .collect();
        let opps = if kept.is_empty() { self.opps } else { kept };
        Self { opps, ..self }
    }

    /// The point whose clock is exactly `khz`.
    #[must_use]
    pub fn at(&self, khz: Khz) -> Option<Opp> {
        let found = self.opps.binary_search_by_key(&khz, |opp| opp.khz);
        found.ok().map(|index| self.opps[index])
    }

    /// The point nearest to a number that the hardware reports.
    #[must_use]
    pub fn nearest(&self, raw: u64) -> Opp {
        let near = self.opps.iter().min_by_key(|opp| opp.raw.abs_diff(raw));
        near.copied().unwrap_or_else(|| self.lowest())
    }

    /// The point that the hardware is at when it reports `raw`; none where that is
    /// further from every point than a clock's own error.
    ///
    /// That error: counters that measure a clock over a millisecond or two (Tegra
    /// from Xavier on) and dividers that hit a point only nearly read up to 2 %
    /// beside it; neighbouring points are 4 % apart and more.
    #[must_use]
    pub fn point(&self, raw: u64) -> Option<Opp> {
        const PART: u64 = 50;
        let near = self.nearest(raw);
        (near.raw.abs_diff(raw) <= near.raw / PART).then_some(near)
    }

    /// The clock that `raw` names: that of the point where it is one, otherwise as
    /// it was read.
    #[must_use]
    pub fn reading(&self, raw: u64) -> Khz {
        self.point(raw).map_or(self.unit.khz(raw), Opp::khz)
    }

    /// The lowest point that is not below `raw`, or the highest of all.
    #[must_use]
    pub fn at_least(&self, raw: u64) -> Opp {
        let above = self.opps.iter().find(|opp| opp.raw >= raw);
        above.copied().unwrap_or_else(|| self.highest())
    }

    /// The highest point that is not above `raw`, or the lowest of all.
    #[must_use]
    pub fn at_most(&self, raw: u64) -> Opp {
        let below = self.opps.iter().rev().find(|opp| opp.raw <= raw);
        below.copied().unwrap_or_else(|| self.lowest())
    }

    /// The slowest point.
    #[must_use]
    pub fn lowest(&self) -> Opp {
        self.opps[0]
    }

    /// The fastest point.
    #[must_use]
    pub fn highest(&self) -> Opp {
        self.opps[self.opps.len() - 1]
    }

    /// The point `steps` below the fastest; the slowest where there are fewer.
    #[must_use]
    pub fn below_highest(&self, steps: u64) -> Opp {
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        self.opps[(self.opps.len() - 1).saturating_sub(steps)]
    }

    /// Whether the point is one of this table.
    #[must_use]
    pub fn contains(&self, opp: Opp) -> bool {
        self.at(opp.khz) == Some(opp)
    }

    /// Points in rising order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Opp> + ExactSizeIterator + '_ {
        self.opps.iter().copied()
    }

    /// Number of points, at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a table is never empty")]
    pub fn len(&self) -> usize {
        self.opps.len()
    }

    /// The unit of the raw numbers.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_kernels_order_does_not_matter() {
        let table = OppTable::parse("1984000 729600 <none> 1113600 0\n", Unit::Khz).unwrap();
        let clocks: Vec<u32> = table.iter().map(|opp| opp.khz().0).collect();
        assert_eq!(clocks, [729_600, 1_113_600, 1_984_000]);
        assert_eq!(table.below_highest(1).khz(), Khz(1_113_600));
        assert_eq!(table.below_highest(9).khz(), Khz(729_600));
        assert_eq!(OppTable::parse("<unsupported>", Unit::Khz), None);
    }

    #[test]
    fn what_is_not_in_the_table_cannot_be_had() {
        let table = OppTable::parse("204000000 408000000", Unit::Hz).unwrap();
        assert_eq!(table.at(Khz(204_001)), None);
        let other = OppTable::parse("408000123", Unit::Hz).unwrap();
        assert!(!table.contains(other.highest()));
        assert_eq!(table.at_most(407_999_999).raw(), 204_000_000);
        assert_eq!(table.nearest(307_000_000).raw(), 408_000_000);
        assert_eq!(table.at_least(204_000_001).raw(), 408_000_000);
        assert_eq!(table.at_least(999_000_000).raw(), 408_000_000);
    }

    #[test]
    fn a_clock_off_the_table_is_not_called_one_of_it() {
        let table = OppTable::parse("729600 1113600 1510400 1984000", Unit::Khz).unwrap();
        assert_eq!(table.point(1_984_000), Some(table.highest()));
        assert_eq!(table.point(1_945_000), Some(table.highest()));
        assert_eq!(table.reading(2_000_000), Khz(1_984_000));
        for raw in [1_800_000, 1_300_000_000, 0, 1_940_000] {
            assert_eq!(table.point(raw), None, "{raw}");
            assert_eq!(u64::from(table.reading(raw).0), raw);
        }
    }

    proptest! {
        #[test]
        fn every_number_in_hertz_stays_what_it_was(raw in prop::collection::vec(1_000_u64..4_000_000_000, 1..30)) {
            let text: Vec<String> = raw.iter().map(u64::to_string).collect();
            let table = OppTable::parse(&text.join(" "), Unit::Hz).unwrap();
            for opp in table.iter() {
                prop_assert!(raw.contains(&opp.raw()));
                prop_assert_eq!(table.at(opp.khz()), Some(opp));
            }
        }
    }
}
