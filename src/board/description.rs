//! What is known of each board: clocks, where its files lie, rails, transition
//! times, and the parameters of its simulation. One embedded TOML file a board.
//!
//! Guarantees: unknown keys are errors; clocks rise; every figure of the simulation
//! says by [`Calibration`] what it rests on. Not guaranteed: that a given board
//! has these clocks (firmware cuts tables): on a real board its own tables count.

use super::physics::{DomainPower, PowerLaw, Timing};
use crate::plan::{Axis, ClockPoint};
use serde::Deserialize;
use std::fmt;
use std::sync::LazyLock;

/// What a simulated board's figures rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// Fitted to measured grids of this board.
    #[serde(rename = "grid-calibrated")]
    Grid,
    /// Scaled from such a board and anchored on the published points that the
    /// description lists.
    #[serde(rename = "anchored")]
    Anchored,
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grid => "grid-calibrated",
            Self::Anchored => "anchored on published points",
        })
    }
}

/// A board.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Name, as `--board` takes it.
    pub name: String,
    /// Its maker's name of it.
    pub title: String,
    /// Parts of the device tree's `compatible` strings that only this board has.
    pub compatible: Vec<String>,
    /// Parts of the device tree's `model`.
    pub model: Vec<String>,
    /// What the simulation rests on.
    pub calibration: Calibration,
    /// Labels of the rails that add up to the whole board: the energy boundary.
    pub rails: Vec<String>,
    /// The rails that the simulation covers, where they are not all of `rails`.
    #[serde(default)]
    pub simulated_rails: Vec<String>,
    /// Processor clusters.
    pub cpu: Domain,
    /// Graphics processor.
    pub gpu: Domain,
    /// External memory.
    pub emc: Domain,
    /// Power modes of nvpmodel, the fastest first.
    #[serde(rename = "mode")]
    pub modes: Vec<Mode>,
    /// How parts of a stretch overlap.
    pub timing: Timing,
    /// What a network costs.
    pub speed: Speed,
    /// Power of all that is no domain, W.
    pub always_w: f64,
    /// Temperature.
    pub heat: Heat,
    /// Its power sensor.
    pub sensor: Sensor,
    /// Published points that the simulation is compared with.
    #[serde(default, rename = "anchor")]
    pub anchors: Vec<Anchor>,
}

/// A clock domain.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Its clocks in kHz, rising.
    pub khz: Vec<u32>,
    /// Where its files lie, by JetPack; the first that exists counts.
    pub paths: Vec<String>,
    /// `of_node/name` of its devfreq device.
    #[serde(default)]
    pub of_node: Vec<String>,
    /// How long a change takes.
    pub change: Change,
    /// What it draws.
    pub power: DomainPower,
}

/// How long a change of clocks takes until it is in effect.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// To a faster clock, ms (median).
    pub up_ms: f64,
    /// To a slower clock, ms (median).
    pub down_ms: f64,
    /// From a clock below the lowest third of the table, ms (median).
    pub from_low_ms: f64,
    /// Half width of its uniform jitter, as a share.
    pub jitter: f64,
    /// Meanwhile the domain stands still for this long, ms.
    pub stall_ms: f64,
}

/// A power mode.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// Name.
    pub name: String,
    /// Cores that are on.
    pub cores: u32,
    /// Highest clocks: CPU, GPU, memory, kHz.
    pub khz: [u32; 3],
}

/// What a network costs at the highest clocks.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speed {
    /// Multiply-accumulates a second of networks of dense convolutions, 1e9.
    pub dense_gmacs: f64,
    /// The same of depthwise-separable networks.
    pub separable_gmacs: f64,
    /// Least GPU time of a kernel, us.
    pub kernel_us: f64,
    /// CPU time to launch a segment, us.
    pub launch_us: f64,
    /// CPU time to launch one of its kernels, us.
    pub kernel_launch_us: f64,
    /// Multiply-accumulates a second of exit heads on a CPU core, 1e9.
    pub head_gmacs: f64,
    /// Memory traffic a second, 1e9 bytes.
    pub memory_gbytes: f64,
    /// Waits and copies that follow no clock, us a segment.
    pub fixed_us: f64,
}

/// Temperature: one mass, one resistance.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heat {
    /// Degrees a watt in the steady state.
    pub degrees_per_w: f64,
    /// Time constant, s.
    pub time_constant_s: f64,
    /// Surroundings, degrees.
    pub ambient: f64,
    /// From here on clocks are taken down.
    pub throttle_at: f64,
    /// Below this they are given back.
    pub release_at: f64,
    /// Time between steps of throttling, s.
    pub step_s: f64,
    /// Leakage grows by this share a degree,
    pub leak_per_degree: f64,
    /// from what it is at this temperature.
    pub leak_known_at: f64,
}

/// A power sensor.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// It answers with the mean over this window, refreshed once a window, ms.
    pub window_ms: f64,
    /// Standard deviation of a reading, as a share.
    pub noise: f64,
    /// Step of its readings, mW.
    pub step_mw: f64,
}

/// A published point.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// What was measured.
    pub what: AnchorKind,
    /// Clocks: CPU, GPU, memory, kHz.
    pub khz: [u32; 3],
    /// Share of time in which each domain works, for power.
    #[serde(default)]
    pub busy: [f64; 3],
    /// The published value: ms for a latency, W for a power.
    pub value: f64,
    /// Who published it.
    pub source: String,
}

/// What a published point says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnchorKind {
    /// Power of the board within its boundary, W.
    Board,
    /// What work adds to the GPU's power, and its idle and leakage, W.
    Gpu,
    /// Power of the CPU, W.
    Cpu,
    /// MobileNetV2 at 224 pixels, FP16, ms.
    Mobilenetv2,
    /// ResNet50 at 224 pixels, FP16, ms.
    Resnet50,
}

impl Description {
    /// A domain.
    #[must_use]
    pub fn domain(&self, axis: Axis) -> &Domain {
        match axis {
            Axis::Cpu => &self.cpu,
            Axis::Gpu => &self.gpu,
            Axis::Emc => &self.emc,
        }
    }

    /// Clocks of an axis in kHz, rising.
    #[must_use]
    pub fn levels(&self, axis: Axis) -> &[u32] {
        &self.domain(axis).khz
    }

    /// The highest clocks.
    #[must_use]
    pub fn highest(&self) -> ClockPoint {
        let top = |axis| self.levels(axis).last().copied().unwrap_or(0);
        ClockPoint::new(Axis::ALL.map(top))
    }

    /// The lowest clocks.
    #[must_use]
    pub fn lowest(&self) -> ClockPoint {
        let low = |axis| self.levels(axis).first().copied().unwrap_or(0);
        ClockPoint::new(Axis::ALL.map(low))
    }

    /// Clocks over the highest; an axis that the point lacks is at its highest.
    #[must_use]
    pub fn relative(&self, point: ClockPoint) -> [f64; 3] {
        let (khz, top) = (point.khz(), self.highest().khz());
        std::array::from_fn(|k| match khz[k] {
            0 => 1.0,
            khz => f64::from(khz) / f64::from(top[k]),
        })
    }

    /// All clock points, by CPU, GPU, memory.
    #[must_use]
    pub fn points(&self) -> Vec<ClockPoint> {
        let [cpu, gpu, emc] = Axis::ALL.map(|axis| self.levels(axis));
        let mut all = Vec::with_capacity(cpu.len() * gpu.len() * emc.len());
        for &c in cpu {
            for &g in gpu {
                all.extend(emc.iter().map(|&e| ClockPoint::new([c, g, e])));
            }
        }
        all
    }

    /// What the board draws.
    #[must_use]
    pub fn power(&self) -> PowerLaw {
        PowerLaw {
            always_w: self.always_w,
            domains: Axis::ALL.map(|axis| self.domain(axis).power),
        }
    }

    /// A mode of nvpmodel.
    #[must_use]
    pub fn mode(&self, name: &str) -> Option<&Mode> {
        self.modes.iter().find(|mode| mode.name == name)
    }

    /// The energy boundary of the simulation, in words.
    #[must_use]
    pub fn simulated_boundary(&self) -> String {
        let rails = match self.simulated_rails.is_empty() {
            true => &self.rails,
            false => &self.simulated_rails,
        };
        rails.join("+")
    }

    /// What every figure of its simulation is marked with.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("simulated, {}", self.calibration)
    }
}

const FILES: [&str; 6] = [
    include_str!("boards/nano.toml"),
    include_str!("boards/tx2.toml"),
    include_str!("boards/xavier-nx.toml"),
    include_str!("boards/agx-xavier.toml"),
    include_str!("boards/orin-nano.toml"),
    include_str!("boards/agx-orin.toml"),
];

/// Every known board. A description that were broken would be missing, which a test
/// rules out.
#[must_use]
pub fn boards() -> &'static [Description] {
    static BOARDS: LazyLock<Vec<Description>> = LazyLock::new(|| {
        let read = FILES.iter().map(|text| toml::from_str(text));
        read.filter_map(Result::ok).collect()
    });
    &BOARDS
}

/// There is no such board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no board {name:?}; the boards are {known}")]
pub struct UnknownBoard {
    /// What was asked for.
    pub name: String,
    /// What there is.
    pub known: String,
}

/// The board that is called `name`.
///
/// # Errors
/// When nobody knows it.
pub fn named(name: &str) -> Result<&'static Description, UnknownBoard> {
    let found = boards().iter().find(|board| board.name == name);
    found.ok_or_else(|| UnknownBoard {
        name: name.to_owned(),
        known: boards()
            .iter()
            .map(|board| board.name.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

/// The board that a device tree describes: by its `compatible` strings, else by its
/// `model`.
#[must_use]
pub fn detect(compatible: &str, model: &str) -> Option<&'static Description> {
    let holds =
        |text: &str, parts: &[String]| parts.iter().any(|part| text.contains(part.as_str()));
    let by_module = boards()
        .iter()
        .find(|board| holds(compatible, &board.compatible));
    by_module.or_else(|| boards().iter().find(|board| holds(model, &board.model)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_description_reads_and_its_clocks_rise() {
        for text in FILES {
            let board: Description = toml::from_str(text).unwrap();
            for axis in Axis::ALL {
                let domain = board.domain(axis);
                assert!(
                    domain.khz.is_sorted_by(|a, b| a < b),
                    "{} {axis:?}",
                    board.name
                );
                assert!(!domain.khz.is_empty() && !domain.paths.is_empty());
            }
            assert!(!board.rails.is_empty() && !board.modes.is_empty());
            let anchored = board.calibration == Calibration::Anchored;
            assert!(!anchored || !board.anchors.is_empty(), "{}", board.name);
        }
        assert_eq!(boards().len(), FILES.len());
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let odd = format!("surprise = 1\n{}", FILES[0]);
        assert!(toml::from_str::<Description>(&odd).is_err());
    }

    #[test]
    fn a_domain_has_at_most_twelve_parameters() {
        let board: toml::Table = toml::from_str(FILES[0]).unwrap();
        let fields = |table: &toml::Value| table.as_table().map_or(1, toml::Table::len);
        for name in ["cpu", "gpu", "emc"] {
            let own = fields(&board[name]["change"]) + fields(&board[name]["power"]);
            let shared = fields(&board["timing"]).div_ceil(3);
            assert!(own + shared <= 12, "{name}: {own} + {shared}");
        }
    }

    #[test]
    fn modes_are_within_the_tables() {
        for board in boards() {
            for mode in &board.modes {
                let inside = ClockPoint::new(mode.khz).is_within(board.highest());
                assert!(inside, "{} {}", board.name, mode.name);
            }
        }
    }

    #[test]
    fn boards_are_known_by_module_and_by_model() {
        let of = |compatible: &str, model: &str| detect(compatible, model).map(|b| b.name.as_str());
        assert_eq!(
            of(
                "nvidia,p3449-0000-b00+p3448-0000-b00\0nvidia,tegra210\0",
                ""
            ),
            Some("nano")
        );
        assert_eq!(of("nvidia,p2771-0000\0nvidia,tegra186\0", ""), Some("tx2"));
        assert_eq!(of("nvidia,p3509-0000+p3668-0001\0", ""), Some("xavier-nx"));
        assert_eq!(
            of("nvidia,p2972-0000\0nvidia,tegra194\0", ""),
            Some("agx-xavier")
        );
        assert_eq!(
            of("nvidia,p3768-0000+p3767-0005-super\0", ""),
            Some("orin-nano")
        );
        assert_eq!(of("nvidia,p3737-0000+p3701-0005\0", ""), Some("agx-orin"));
        assert_eq!(of("", "NVIDIA Jetson Nano Developer Kit\0"), Some("nano"));
        assert_eq!(of("", "Raspberry Pi 5\0"), None);
    }
}
