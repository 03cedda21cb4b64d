//! What was lost between the driver and us, by kind.
//!
//! Guarantees: a wrap of the driver's 32-bit numbers is no gap; a number that
//! goes back is counted as such and never as frames lost; frames lost before
//! the first one delivered by a driver are not guessed at. The kernel's stamp is carried
//! on as it is while it can be one of our clock; a stamp that cannot is replaced
//! by the time of the dequeue.
//!
//! Not guaranteed: that a driver numbers its frames by what it lost. Costs
//! nothing worth measuring, and never allocates.

use super::abi::{BUF_FLAG_TIMESTAMP_MASK, BUF_FLAG_TIMESTAMP_MONOTONIC};
use std::collections::BTreeMap;

/// Besides two intervals, a stamp may lie so far ahead of the dequeue (drivers
/// that stamp with the nominal time are ahead by part of an interval), and so far
/// further behind the stamp before it than the numbers of their frames say.
const TOLERANCE_NS: i64 = 250_000_000;

/// Counters by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Frames that the driver numbered and never delivered.
    pub sequence: u64,
    /// Times that the driver's numbers went back or stood still.
    pub sequence_back: u64,
    /// Frames that the driver marked as corrupt.
    pub error: u64,
    /// Frames with fewer bytes than a picture takes.
    pub short: u64,
    /// Times that the stamps jumped: back, ahead of now, or much further than
    /// the frames' numbers.
    pub timestamp_jump: u64,
    /// Times that the device was lost or had to be started anew.
    pub interruption: u64,
}

impl Gaps {
    /// The kinds that occurred.
    #[must_use]
    pub fn by_kind(&self) -> BTreeMap<&'static str, u64> {
        [
            ("sequence", self.sequence),
            ("sequence_back", self.sequence_back),
            ("error", self.error),
            ("short", self.short),
            ("timestamp_jump", self.timestamp_jump),
            ("interruption", self.interruption),
        ]
        .into_iter()
        .filter(|&(_, count)| count > 0)
        .collect()
    }
}

/// Follows the numbers and stamps of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Follower {
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    sequence: u32,
    stamp_ns: i64,
}

/// What the driver said about a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Its number.
    pub sequence: u32,
    /// Its flags.
    pub flags: u32,
    /// Its timestamp.
    pub stamp_ns: i64,
    /// When it was dequeued.
    pub now_ns: u64,
}

impl Follower {
    /// Takes in what the driver said: by how much our number rises, and the time
    /// that the frame was taken.
    pub fn follow(&mut self, stamp: Stamp, interval_ns: u64, gaps: &mut Gaps) -> (u64, u64) {
        let step = match &self.last {
            None => 1,
            Some(last) => match stamp.sequence.wrapping_sub(last.sequence) {
                step @ 1..=0x7fff_ffff => {
                    gaps.sequence += u64::from(step - 1);
                    u64::from(step)
                }
                _ => {
                    gaps.sequence_back += 1;
                    1
                }
            },
        };
        let monotonic = stamp.flags & BUF_FLAG_TIMESTAMP_MASK == BUF_FLAG_TIMESTAMP_MONOTONIC;
        let taken_ns = if monotonic {
            self.time(stamp, step, interval_ns, gaps)
        } else {
            stamp.now_ns
        };
        self.last = Some(Last {
            sequence: stamp.sequence,
            stamp_ns: stamp.stamp_ns,
        });
        (step, taken_ns)
    }

    fn time(&mut self, stamp: Stamp, step: u64, interval_ns: u64, gaps: &mut Gaps) -> u64 {
        let Stamp {
            stamp_ns, now_ns, ..
        } = stamp;
        let now = i64::try_from(now_ns).unwrap_or(i64::MAX);
        let interval = i64::try_from(interval_ns).unwrap_or(i64::MAX);
        let expected = interval.saturating_mul(i64::try_from(step).unwrap_or(i64::MAX));
        let tolerance = interval.saturating_mul(2).saturating_add(TOLERANCE_NS);
        let most = expected.saturating_add(tolerance);
        let jumped = self.last.is_some_and(|last| {
            let apart = stamp_ns.saturating_sub(last.stamp_ns);
            apart <= 0 || apart > most
        });
        let ahead = stamp_ns > now.saturating_add(tolerance);
        let strays = ahead || stamp_ns <= 0;
        let starts_astray = strays && self.last.is_none();
        if jumped || starts_astray {
            gaps.timestamp_jump += 1;
        }
        match u64::try_from(stamp_ns) {
            Ok(taken_ns) if !strays => taken_ns,
            _ => now_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const INTERVAL: u64 = 33 * MS;

    /// Follows (sequence, stamp in ms, now in ms).
    fn followed(frames: &[(u32, i64, u64)]) -> (Gaps, Vec<(u64, u64)>) {
        let (mut follower, mut gaps) = (Follower::default(), Gaps::default());
        let follow = |&(sequence, stamp, now)| {
            let stamp = Stamp {
                sequence,
                flags: BUF_FLAG_TIMESTAMP_MONOTONIC,
                stamp_ns: stamp * 1_000_000,
                now_ns: now * MS,
            };
            let (step, taken) = follower.follow(stamp, INTERVAL, &mut gaps);
            (step, taken / MS)
        };
        let got = frames.iter().map(follow).collect();
        (gaps, got)
    }

    #[test]
    fn frames_in_order_leave_no_gap_and_keep_their_stamps() {
        let (gaps, got) = followed(&[(7, 1000, 1001), (8, 1033, 1034), (9, 1066, 1080)]);
        assert_eq!(gaps, Gaps::default());
        assert_eq!(got, [(1, 1000), (1, 1033), (1, 1066)]);
    }

    #[test]
    fn a_wrap_of_the_sequence_is_no_gap_of_four_billion() {
        let (gaps, got) = followed(&[
            (u32::MAX - 1, 1000, 1000),
            (u32::MAX, 1033, 1033),
            (1, 1099, 1099),
        ]);
        assert_eq!(gaps.by_kind(), BTreeMap::from([("sequence", 1)]));
        assert_eq!(got[2].0, 2);
    }

    #[test]
    fn a_sequence_that_goes_back_is_no_gap_of_four_billion() {
        let (gaps, _) = followed(&[(10, 1000, 1000), (9, 1033, 1033), (10, 1066, 1066)]);
        assert_eq!(gaps.by_kind(), BTreeMap::from([("sequence_back", 1)]));
    }

    #[test]
    fn a_late_dequeue_is_no_jump_of_the_stamps() {
        let (gaps, _) = followed(&[(1, 1000, 1000), (2, 1033, 9000), (3, 1066, 9001)]);
        assert_eq!(gaps, Gaps::default());
    }

    #[test]
    fn frames_lost_explain_the_time_they_took() {
        let (gaps, _) = followed(&[(1, 1000, 1000), (101, 4300, 4300)]);
        assert_eq!(gaps.by_kind(), BTreeMap::from([("sequence", 99)]));
    }

    #[test]
    fn stamps_that_leave_our_clock_count_once_and_are_replaced() {
        let far = 2_147_483_000_000;
        let (gaps, got) = followed(&[
            (1, 1000, 1000),
            (2, far, 1033),
            (3, far + 33, 1066),
            (4, 1099, 1099),
            (5, 1132, 1132),
        ]);
        assert_eq!(gaps.by_kind(), BTreeMap::from([("timestamp_jump", 2)]));
        let taken: Vec<_> = got.iter().map(|&(_, taken)| taken).collect();
        assert_eq!(taken, [1000, 1033, 1066, 1099, 1132]);
    }

    #[test]
    fn stamps_below_zero_are_replaced() {
        let (gaps, got) = followed(&[(1, -9_000_000, 1000), (2, -8_999_967, 1033)]);
        assert_eq!(gaps.by_kind(), BTreeMap::from([("timestamp_jump", 1)]));
        assert_eq!(got, [(1, 1000), (1, 1033)]);
    }

    #[test]
    fn a_pause_without_lost_frames_is_a_jump() {
        let (gaps, _) = followed(&[(1, 1000, 1000), (2, 1600, 1600)]);
        assert_eq!(gaps.by_kind(), BTreeMap::from([("timestamp_jump", 1)]));
    }

    #[test]
    fn without_a_monotonic_clock_the_dequeue_is_the_time() {
        let (mut follower, mut gaps) = (Follower::default(), Gaps::default());
        for flags in [0, 0x4000] {
            let stamp = Stamp {
                sequence: 1,
                flags,
                stamp_ns: 5,
                now_ns: 77,
            };
            assert_eq!(follower.follow(stamp, INTERVAL, &mut gaps).1, 77);
        }
        assert_eq!(gaps.timestamp_jump, 0);
    }
}
