//! One axis: what it runs at, what is under way, what it may be asked for.

use super::leads::Way;

/// The level is not known.
pub(super) const UNKNOWN: u16 = u16::MAX;

/// A change that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub to: u16,
    pub way: Way,
    pub issued_ns: u64,
    /// When it was last seen not to be in effect.
    pub seen_ns: u64,
    /// When to look next.
    pub look_ns: u64,
    /// Looked at closely, to learn how long it takes.
    pub close: bool,
    /// The hardware does not show it: by then it counts as in effect.
    pub assumed_ns: Option<u64>,
    /// Start of the segment that needs it, once that has started.
    pub late_from_ns: Option<u64>,
    /// The segment it is for; none for the idle point.
    pub for_segment: Option<usize>,
}

/// The state of one axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// In effect, as far as we know.
    pub level: u16,
    /// Whether that was read from the hardware.
    pub verified: bool,
    /// What was asked for last.
    pub asked: u16,
    /// What was asked for last and taken.
    pub good: u16,
    pub pending: Option<Pending>,
    /// The highest level that may be asked for.
    pub cap: u16,
    /// The cap that has been counted and said.
    pub told: u16,
    /// A cap that no other source explains is tried again then.
    pub cap_until_ns: u64,
    /// After a refusal nothing is asked for until then.
    pub quiet_until_ns: u64,
    /// A change came into effect since the last segment started, for this one.
    pub arrived: Option<usize>,
    /// What the segment under way needs is not asked for any more.
    pub settled: bool,
    /// The idle trip of this wait was made, or is not worth it.
    pub idled: bool,
}

impl Axis {
    pub fn new(levels: usize) -> Self {
        Self {
            level: UNKNOWN,
            verified: false,
            asked: UNKNOWN,
            good: UNKNOWN,
            pending: None,
            cap: u16::try_from(levels.saturating_sub(1)).unwrap_or(UNKNOWN),
            told: UNKNOWN,
            cap_until_ns: 0,
            quiet_until_ns: 0,
            arrived: None,
            settled: false,
            idled: false,
        }
    }

    /// The segment that the change under way, or the one that came into effect
    /// early, is for.
    pub fn ahead_of(&self) -> Option<usize> {
        self.pending.and_then(|p| p.for_segment).or(self.arrived)
    }

    /// The level that will be in effect when nothing more is asked for.
    pub fn bound_for(&self) -> u16 {
        self.pending.map_or(self.level, |pending| pending.to)
    }
}
