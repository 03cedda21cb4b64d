//! What a camera offers: formats, sizes and rates, as the driver enumerates
//! them.

use super::abi::{self, BufType, Fract};
use super::discover::{Found, SelectError, Selector, cameras, open, select};
use super::formats::{CameraFormat, FourCc};
use super::node::Node;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Most entries of one enumeration; a driver that never ends is cut off.
const MOST: u32 = 1024;

/// A camera and what it offers.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// Its node.
    pub path: PathBuf,
    /// Name of the device.
    pub card: String,
    /// Name of the driver.
    pub driver: String,
    /// Where it is plugged in.
    pub bus: String,
    /// Its serial number, where the bus tells one.
    pub serial: Option<String>,
    /// Links to it under `/dev/v4l/by-id`.
    pub by_id: Vec<PathBuf>,
    /// Whether its buffers may have several planes.
    pub multiplanar: bool,
    /// Its formats, in the driver's order.
    pub formats: Vec<FormatListing>,
}

/// One format.
#[derive(Clone, Debug, Serialize)]
pub struct FormatListing {
    /// Four-character code.
    pub fourcc: String,
    /// The driver's words.
    pub description: String,
    /// Whether it has to be decoded.
    pub compressed: bool,
    /// Whether it is made from another in software.
    pub emulated: bool,
    /// Whether e4 can use it.
    pub usable: bool,
    /// Its sizes.
    pub sizes: Vec<SizeListing>,
}

/// One size, or a range of them.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SizeListing {
    /// One.
    Discrete {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Its rates.
        rates: Vec<RateListing>,
    },
    /// From `min` to `max` in steps, `[width, height]`.
    Stepwise {
        /// The smallest.
        min: [u32; 2],
        /// The largest.
        max: [u32; 2],
        /// From one to the next.
        step: [u32; 2],
        /// Rates at the largest size.
        rates: Vec<RateListing>,
    },
}

/// One rate, or a range of them.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum RateListing {
    /// One.
    Discrete {
        /// Frames per second.
        fps: f64,
        /// Seconds between frames, `[numerator, denominator]`.
        interval: [u32; 2],
    },
    /// A range.
    Stepwise {
        /// Fewest frames per second.
        min_fps: f64,
        /// Most frames per second.
        max_fps: f64,
    },
}

/// Every camera there is, with what it offers.
#[must_use]
pub fn list() -> Vec<Listing> {
    cameras().iter().filter_map(describe).collect()
}

/// The camera that `selector` means, with what it offers.
///
/// # Errors
/// When it is not there or cannot be used.
pub fn find(selector: &Selector) -> Result<Listing, SelectError> {
    let (_, found) = select(selector, None)?;
    describe(&found).ok_or_else(|| SelectError::Absent("it is gone again".to_owned()))
}

fn describe(found: &Found) -> Option<Listing> {
    let (node, found) = open(&found.path).ok()?;
    let identity = found.identity;
    Some(Listing {
        formats: formats(&node, found.buf_type),
        path: found.path,
        card: identity.card,
        driver: identity.driver,
        bus: identity.bus,
        serial: identity.serial,
        by_id: found.by_id,
        multiplanar: found.buf_type == BufType::CaptureMplane,
    })
}

/// The codes of a queue's formats.
pub(super) fn codes(node: &Node, buf_type: BufType) -> nix::Result<BTreeSet<FourCc>> {
    let mut codes = BTreeSet::new();
    for index in 0..MOST {
        match node.format(buf_type, index)? {
            Some(desc) => codes.insert(FourCc(desc.pixelformat)),
            None => break,
        };
    }
    Ok(codes)
}

fn formats(node: &Node, buf_type: BufType) -> Vec<FormatListing> {
    let all = (0..MOST).map_while(|index| node.format(buf_type, index).ok().flatten());
    all.map(|desc| {
        let code = FourCc(desc.pixelformat);
        FormatListing {
            fourcc: code.to_string(),
            description: super::discover::text(&desc.description),
            compressed: desc.flags & abi::FMT_FLAG_COMPRESSED != 0,
            emulated: desc.flags & abi::FMT_FLAG_EMULATED != 0,
            usable: CameraFormat::of(code).is_some(),
            sizes: sizes(node, code),
        }
    })
    .collect()
}

fn sizes(node: &Node, code: FourCc) -> Vec<SizeListing> {
    let all = (0..MOST).map_while(|index| node.frame_size(code.0, index).ok().flatten());
    all.map(|found| match (found.kind, found.size) {
        (abi::KIND_DISCRETE, [width, height, ..]) => SizeListing::Discrete {
            width,
            height,
            rates: rates(node, code, (width, height)),
        },
        (_, [min_w, max_w, step_w, min_h, max_h, step_h]) => SizeListing::Stepwise {
            min: [min_w, min_h],
            max: [max_w, max_h],
            step: [step_w, step_h],
            rates: rates(node, code, (max_w, max_h)),
        },
    })
    .collect()
}

fn rates(node: &Node, code: FourCc, size: (u32, u32)) -> Vec<RateListing> {
    let all = (0..MOST).map_while(|index| node.frame_interval(code.0, size, index).ok().flatten());
    all.map(|found| match (found.kind, found.interval) {
        (abi::KIND_DISCRETE, [interval, ..]) => RateListing::Discrete {
            fps: per_second(interval),
            interval: [interval.numerator, interval.denominator],
        },
        (_, [min, max, _]) => RateListing::Stepwise {
            min_fps: per_second(max),
            max_fps: per_second(min),
        },
    })
    .collect()
}

fn per_second(interval: Fract) -> f64 {
    f64::from(interval.denominator) / f64::from(interval.numerator.max(1))
}

/// A rate with as many decimals as it needs, three at most.
#[must_use]
pub fn rate(fps: f64) -> String {
    let text = format!("{fps:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_well() {
        let interval = |numerator, denominator| Fract {
            numerator,
            denominator,
        };
        assert_eq!(rate(per_second(interval(1, 30))), "30");
        assert_eq!(rate(per_second(interval(1001, 30_000))), "29.97");
        assert_eq!(rate(per_second(interval(2, 15))), "7.5");
    }
}
