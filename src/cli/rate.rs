//! A number of frames per second on a command line: whole, with a point, or as a
//! fraction.

use std::str::FromStr;

/// Frames per second as a fraction in lowest terms, from 0.001 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate {
    frames: u32,
    seconds: u32,
}

/// What does not name a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number from 0.001 to 1000, as 10, 29.97 or 30000/1001")]
pub struct NoRate;

impl FrameRate {
    /// Frames, and the seconds that they take.
    #[must_use]
    pub fn ratio(self) -> (u32, u32) {
        (self.frames, self.seconds)
    }

    /// When frame `number` is due, in seconds behind the first.
    #[must_use]
    pub fn time_s(self, number: u64) -> f64 {
        number as f64 * f64::from(self.seconds) / f64::from(self.frames)
    }
}

impl FromStr for FrameRate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let (frames, seconds) = match text.split_once(['/', ':']) {
            Some((frames, seconds)) => (whole(frames)?, whole(seconds)?),
            None => decimal(text)?,
        };
        let in_range = seconds > 0 && frames * 1000 >= seconds && frames <= seconds * 1000;
        if !in_range {
            return Err(NoRate);
        }
        let common = common_divisor(frames, seconds);
        let narrow = |n: u64| u32::try_from(n / common).map_err(|_| NoRate);
        Ok(Self {
            frames: narrow(frames)?,
            seconds: narrow(seconds)?,
        })
    }
}

/// A number without a sign.
fn whole(digits: &str) -> Result<u64, NoRate> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let number: u32 = digits.parse().map_err(|_| NoRate)?;
    if plain {
        Ok(number.into())
    } else {
        Err(NoRate)
    }
}

/// A number with a point as a fraction of a power of ten.
fn decimal(text: &str) -> Result<(u64, u64), NoRate> {
    const MOST_DIGITS: usize = 6;
    let (units, parts) = text.split_once('.').unwrap_or((text, ""));
    if parts.len() > MOST_DIGITS {
        return Err(NoRate);
    }
    let scale = parts.bytes().fold(1, |scale, _| scale * 10);
    let parts = if parts.is_empty() { 0 } else { whole(parts)? };
    Ok((whole(units)? * scale + parts, scale))
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exact_in_every_notation() {
        for (text, ratio) in [
            ("10", (10, 1)),
            ("29.97", (2997, 100)),
            ("30000/1001", (30_000, 1001)),
            ("30000:1001", (30_000, 1001)),
            ("12.50", (25, 2)),
            ("0.001", (1, 1000)),
            ("1000", (1000, 1)),
        ] {
            assert_eq!(text.parse::<FrameRate>().map(FrameRate::ratio), Ok(ratio));
        }
        let ntsc: FrameRate = "30000/1001".parse().unwrap();
        assert!((ntsc.time_s(30) - 1.001).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "0",
            "-1",
            "+5",
            "1001",
            "1/0",
            "0/1",
            "1/2000",
            "x",
            "1e3",
            "1.2.3",
            "nan",
            "1.00000000000000000001",
            "99999999999",
        ] {
            assert_eq!(text.parse::<FrameRate>(), Err(NoRate), "{text}");
        }
    }
}
