//! What the segments of a bundle ask of a board.
//!
//! Multiply-accumulates come from the manifest, weights from the size of each
//! segment's file, feature maps from the shapes. What no manifest holds is
//! estimated and stated here: kernels from the multiply-accumulates, traffic of
//! feature maps within a segment from those at its borders.

use super::description::{Description, Speed};
use super::physics::Work;
use crate::engine::bundle::{Bundle, BundleError, Manifest, elements};

/// What one segment asks for, its exit's head included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentLoad {
    /// Multiply-accumulates.
    pub macs: f64,
    /// Those of the head at its exit, on the CPU.
    pub head_macs: f64,
    /// Memory traffic, bytes, at FP16.
    pub bytes: f64,
    /// Kernels that are launched.
    pub kernels: f64,
    /// Whether its convolutions are depthwise-separable.
    pub separable: bool,
}

/// Kernels of a segment: a stage of a mobile backbone is two or three blocks of
/// three convolutions, whatever its size (MobileNetV2 with five exits: 7 to 16).
const KERNELS_A_SEGMENT: f64 = 10.0;
/// Traffic within a segment over that at its borders: inverted residuals write and
/// read maps of six times the channels, twice a block.
const INNER_TRAFFIC: f64 = 12.0;
/// Bytes of a number at FP16, and in the files (f32).
const HALF: f64 = 2.0;
const SINGLE: f64 = 4.0;

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^53")]
fn float(n: u64) -> f64 {
    n as f64
}

fn count(shape: &[usize; 4]) -> f64 {
    float(u64::try_from(elements(shape)).unwrap_or(u64::MAX))
}

/// Loads of a bundle's segments.
///
/// # Errors
/// When a segment's file cannot be read.
pub fn loads(bundle: &Bundle) -> Result<Vec<SegmentLoad>, BundleError> {
    let segments = &bundle.manifest().segments;
    let sizes = segments.iter().map(|segment| {
        let bytes = bundle.bytes(&segment.file)?;
        Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
    });
    let sizes = sizes.collect::<Result<Vec<u64>, BundleError>>()?;
    Ok(loads_of(bundle.manifest(), &sizes))
}

/// Loads of segments whose files have these sizes in bytes.
#[must_use]
pub fn loads_of(manifest: &Manifest, file_bytes: &[u64]) -> Vec<SegmentLoad> {
    let parts = manifest.segments.iter().zip(&manifest.exits);
    let load = |((segment, exit), size): ((&_, &_), &u64)| load(segment, exit, *size);
    parts.zip(file_bytes).map(load).collect()
}

fn load(
    segment: &crate::engine::bundle::SegmentSpec,
    exit: &crate::engine::bundle::ExitSpec,
    file_bytes: u64,
) -> SegmentLoad {
    let maps = count(&segment.input) + segment.output.as_ref().map_or(0.0, count);
    let weights = float(file_bytes) / SINGLE;
    SegmentLoad {
        macs: float(segment.macs),
        head_macs: float(exit.head_macs),
        bytes: HALF * (weights + maps * INNER_TRAFFIC),
        kernels: KERNELS_A_SEGMENT,
        separable: true,
    }
}

impl SegmentLoad {
    /// MobileNetV2 at 224 pixels as one segment (Sandler et al. 2018): 300 M
    /// multiply-accumulates, 3.5 M weights, 6.7 M elements of feature maps.
    pub const MOBILENETV2: Self = Self {
        macs: 300e6,
        head_macs: 0.0,
        bytes: HALF * (3.5e6 + 2.0 * 6.7e6),
        kernels: 53.0,
        separable: true,
    };

    /// ResNet50 at 224 pixels as one segment (He et al. 2016): 4.1 G
    /// multiply-accumulates, 25.6 M weights, 11 M elements of feature maps.
    pub const RESNET50: Self = Self {
        macs: 4.1e9,
        head_macs: 0.0,
        bytes: HALF * (25.6e6 + 2.0 * 11e6),
        kernels: 54.0,
        separable: false,
    };

    /// Seconds of each part at a board's highest clocks.
    #[must_use]
    pub fn work(&self, board: &Description) -> Work {
        let speed: &Speed = &board.speed;
        let gmacs = match self.separable {
            true => speed.separable_gmacs,
            false => speed.dense_gmacs,
        };
        let kernels_s = self.kernels * speed.kernel_us * 1e-6;
        Work {
            fixed_s: speed.fixed_us * 1e-6,
            serial_s: speed.launch_us * 1e-6 + self.head_macs / (speed.head_gmacs * 1e9),
            cpu_s: self.kernels * speed.kernel_launch_us * 1e-6,
            cpu_memory_s: 0.0,
            gpu_s: kernels_s + self.macs / (gmacs * 1e9),
            memory_s: self.bytes / (speed.memory_gbytes * 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::boards;
    use crate::plan::Axis;

    fn shipped() -> Vec<SegmentLoad> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/engines/mobilenetv2-e5");
        loads(&Bundle::open(folder).unwrap()).unwrap()
    }

    #[test]
    fn the_shipped_bundle_has_a_load_a_segment() {
        let loads = shipped();
        assert_eq!(loads.len(), 5);
        for load in &loads {
            assert!(load.macs > 1e6 && load.head_macs > 1e5 && load.bytes > 1e5);
        }
    }

    #[test]
    fn every_clock_matters_somewhere_and_the_highest_is_not_the_cheapest() {
        let loads = shipped();
        for board in boards() {
            let highest = board.highest();
            let energy =
                |point| -> f64 { loads.iter().map(|load| board.cost(load, point)[1]).sum() };
            let best = board.points().into_iter().map(energy);
            let best = best.fold(f64::INFINITY, f64::min);
            assert!(best < 0.95 * energy(highest), "{}", board.name);
            for axis in Axis::ALL {
                let mut khz = highest.khz();
                khz[axis.index()] = board.levels(axis)[0];
                let slow = crate::plan::ClockPoint::new(khz);
                let longer = board.cost(&loads[0], slow)[0];
                assert!(longer > board.cost(&loads[0], highest)[0], "{axis:?}");
            }
        }
    }
}
