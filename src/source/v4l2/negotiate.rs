//! From what was wished for to what the driver will deliver.
//!
//! Guarantees: what comes out is what the driver *answered*, never what it was
//! asked for; the formats are tried in the order of preference, and the first
//! that comes at the wished size and rate wins, else the first at the size, else
//! the first that comes at all. The rate is always set. Not guaranteed: that the driver keeps
//! its word; short frames are caught later.

use super::abi::{self, BufType, Fract};
use super::answers::DriverFormat;
use super::formats::{CameraFormat, FourCc, colour};
use super::node::Node;
use super::{buffers, listing};
use crate::tensor::Colour;
use nix::errno::Errno;

/// What is wished for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Formats, the best first.
    pub formats: Vec<CameraFormat>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: f64,
}

/// What the driver will deliver.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// In our terms.
    pub camera: CameraFormat,
    /// In the driver's.
    pub driver: DriverFormat,
    /// How to read the samples.
    pub colour: Colour,
    /// Time between frames, where the driver tells.
    pub interval_ns: Option<u64>,
}

/// Why nothing could be agreed on.
#[derive(Debug, thiserror::Error)]
pub enum NegotiateError {
    /// None of the wished formats is among the device's.
    #[error(
        "it offers none of the wished formats, only {offered} (camera formats: --camera-formats)"
    )]
    NoFormat {
        /// What the device has.
        offered: String,
    },
    /// The driver refused a call.
    #[error("{call}: {errno}")]
    Driver {
        /// The call.
        call: &'static str,
        /// Its answer.
        errno: Errno,
    },
}

impl Agreed {
    /// In words: `640x480 YUYV at 30 fps`.
    #[must_use]
    pub fn describe(&self) -> String {
        let DriverFormat {
            width,
            height,
            fourcc,
            ..
        } = self.driver;
        let rate = self.interval_ns.map_or_else(String::new, |ns| {
            format!(" at {} fps", listing::rate(1e9 / ns as f64))
        });
        format!("{width}x{height} {}{rate}", FourCc(fourcc))
    }

    /// What differs from the wish, in words.
    #[must_use]
    pub fn shortfall(&self, wish: &Wish) -> Option<String> {
        let sized = (self.driver.width, self.driver.height) == (wish.width, wish.height);
        let first = wish.formats.first() == Some(&self.camera);
        let paced = self.interval_ns.is_none_or(|ns| in_time(ns, wish.fps));
        let asked = wish
            .formats
            .first()
            .filter(|_| !first && wish.formats.len() == 1);
        let code = asked.and_then(|format| format.codes().next());
        if sized && paced && code.is_none() {
            return None;
        }
        let code = code.map_or_else(String::new, |code| format!(" {code}"));
        Some(format!(
            "delivers {} instead of {}x{}{code} at {} fps",
            self.describe(),
            wish.width,
            wish.height,
            listing::rate(wish.fps)
        ))
    }
}

/// Sets format, size and rate.
///
/// # Errors
/// When no wished format can be had, or the driver fails.
pub fn negotiate(node: &Node, buf_type: BufType, wish: &Wish) -> Result<Agreed, NegotiateError> {
    let offered = listing::codes(node, buf_type).map_err(driver("VIDIOC_ENUM_FMT"))?;
    let candidates = wish
        .formats
        .iter()
        .flat_map(|format| format.codes())
        .filter(|code| offered.contains(code));
    let mut best: Option<(u8, FourCc)> = None;
    for code in candidates {
        let Some(agreed) = try_one(node, buf_type, wish, code)? else {
            continue;
        };
        let sized = (agreed.driver.width, agreed.driver.height) == (wish.width, wish.height);
        let paced = agreed.interval_ns.is_none_or(|ns| in_time(ns, wish.fps));
        let rank = u8::from(sized) * 2 + u8::from(paced);
        if rank == 3 {
            return Ok(agreed);
        }
        if best.is_none_or(|(other, _)| rank > other) {
            best = Some((rank, code));
        }
    }
    let again = match best {
        Some((_, code)) => try_one(node, buf_type, wish, code)?,
        None => None,
    };
    let names: Vec<_> = offered.iter().map(FourCc::to_string).collect();
    again.ok_or_else(|| NegotiateError::NoFormat {
        offered: names.join(", "),
    })
}

fn driver(call: &'static str) -> impl Fn(Errno) -> NegotiateError {
    move |errno| NegotiateError::Driver { call, errno }
}

/// Asks for one format; `None` where the driver delivers another or one that
/// cannot be used.
fn try_one(
    node: &Node,
    buf_type: BufType,
    wish: &Wish,
    code: FourCc,
) -> Result<Option<Agreed>, NegotiateError> {
    let answer = match node.set_format(buf_type, (wish.width, wish.height), code.0) {
        Err(Errno::EINVAL) => return Ok(None),
        other => other.map_err(driver("VIDIOC_S_FMT"))?,
    };
    let whole = answer.field == abi::FIELD_NONE || abi::FIELD_INTERLACED.contains(&answer.field);
    let Some(camera) = CameraFormat::of(FourCc(answer.fourcc)).filter(|_| answer.fourcc == code.0)
    else {
        return Ok(None);
    };
    let empty = answer.width == 0 || answer.height == 0;
    let placed = camera == CameraFormat::Mjpeg || buffers::places(camera, &answer).is_some();
    if empty || !whole || !placed {
        return Ok(None);
    }
    let interval = node
        .set_interval(buf_type, interval(wish.fps))
        .map_err(driver("VIDIOC_S_PARM"))?;
    Ok(Some(Agreed {
        camera,
        colour: colour(&answer),
        driver: answer,
        interval_ns: interval.map(nanoseconds),
    }))
}

/// A rate as the kernel wants it: exact for whole and for NTSC-like rates.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are from 0.001 to 1000, and a cast saturates"
)]
fn interval(fps: f64) -> Fract {
    Fract {
        numerator: 1000,
        denominator: (fps * 1000.0).round().max(1.0) as u32,
    }
}

fn nanoseconds(interval: Fract) -> u64 {
    u64::from(interval.numerator) * 1_000_000_000 / u64::from(interval.denominator.max(1))
}

/// Whether an interval is the wished one, to 5 percent; faster is fine, for the
/// sampler passes over what is too much.
fn in_time(interval_ns: u64, fps: f64) -> bool {
    interval_ns as f64 * fps <= 1.05e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exact_to_a_thousandth() {
        assert_eq!(nanoseconds(interval(30.0)), 33_333_333);
        assert_eq!(nanoseconds(interval(29.97)), 33_366_700);
        assert_eq!(interval(0.0001).denominator, 1);
    }

    #[test]
    fn a_slower_driver_falls_short_a_faster_one_does_not() {
        assert!(in_time(33_366_700, 30.0));
        assert!(in_time(16_666_666, 30.0));
        assert!(!in_time(200_000_000, 30.0));
    }
}
