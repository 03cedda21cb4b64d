//! Who else holds a clock down, and how far.
//!
//! Thermal: cooling devices whose state is not 0. BIOS: `bios_limit` below the
//! hardware's maximum. nvpmodel: the cap that it lays on the memory clock. The
//! limits that a domain's own files show are the domain's matter.
//!
//! Costs one read a source, on descriptors opened beforehand; allocates nothing.

use super::opp::OppTable;
use super::sysfs::{Gauge, Tree};
use std::fmt;

/// Who limits a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Limiter {
    /// The kernel cools the hardware.
    Thermal,
    /// The firmware, by `bios_limit`.
    Bios,
    /// NVIDIA's power mode.
    Nvpmodel,
    /// The limit files hold what another process wrote.
    Other,
    /// Nothing that software shows: the clock does not come to what the limits
    /// allow.
    Hardware,
}

impl fmt::Display for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thermal => "thermal throttling",
            Self::Bios => "the firmware (bios_limit)",
            Self::Nvpmodel => "nvpmodel",
            Self::Other => "another process",
            Self::Hardware => "the hardware",
        })
    }
}

/// An upper limit in the unit of the domain's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// The highest number that is allowed.
    pub raw: u64,
    /// By whom.
    pub by: Limiter,
}

/// What a cooling device's state means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Steps {
    /// State k leaves the table without its k fastest points.
    Table,
    /// State k takes k times a fifth off the maximum, for k up to 3 (ACPI).
    Fifths,
    /// It says only that the clock is held down.
    Unknown,
}

#[derive(Debug)]
struct Cooling {
    state: Gauge,
    steps: Steps,
}

impl Cooling {
    fn state(&self) -> u64 {
        self.state.read().unwrap_or(0)
    }

    fn cap(&self, table: &OppTable) -> Option<u64> {
        let state = self.state();
        match self.steps {
            _ if state == 0 => None,
            Steps::Unknown => None,
            Steps::Table => Some(table.below_highest(state).raw()),
            Steps::Fifths => Some(table.highest().raw() / 5 * 5_u64.saturating_sub(state.min(3))),
        }
    }
}

/// The other sources of limits of one domain.
#[derive(Debug, Default)]
pub struct Caps {
    /// The hardware's maximum; what reaches it is no limit.
    hardware: Option<u64>,
    cooling: Vec<Cooling>,
    bios: Option<Gauge>,
    nvpmodel: Option<Gauge>,
}

const COOLING: &str = "sys/class/thermal";

impl Caps {
    /// Those of the cpufreq policy in `folder`.
    #[must_use]
    pub fn cpu(tree: &Tree, folder: &str) -> Self {
        let related = tree
            .read(&format!("{folder}/related_cpus"))
            .unwrap_or_default();
        let cooled: Vec<String> = related
            .split_whitespace()
            .map(|cpu| format!("cpufreq-cpu{cpu}"))
            .collect();
        Self {
            hardware: tree.number(&format!("{folder}/cpuinfo_max_freq")).ok(),
            cooling: cooling(tree, |kind| match kind {
                "Processor" => Some(Steps::Fifths),
                "cpu-throttle-alert" => Some(Steps::Unknown),
                _ if kind.starts_with("thermal-cpufreq") => Some(Steps::Table),
                _ => cooled
                    .iter()
                    .any(|name| name == kind)
                    .then_some(Steps::Table),
            }),
            bios: Gauge::open(tree, &format!("{folder}/bios_limit")),
            nvpmodel: None,
        }
    }

    /// Those of the devfreq device `name`.
    #[must_use]
    pub fn devfreq(tree: &Tree, name: &str) -> Self {
        let cooled = format!("devfreq-{name}");
        Self {
            cooling: cooling(tree, |kind| match kind {
                "gpu-throttle-alert" => Some(Steps::Unknown),
                _ if kind.starts_with("thermal-devfreq") => Some(Steps::Table),
                _ => (kind == cooled).then_some(Steps::Table),
            }),
            ..Self::default()
        }
    }

    /// Those of the memory clock.
    #[must_use]
    pub fn emc(tree: &Tree) -> Self {
        let caps = [
            "sys/kernel/nvpmodel_clk_cap/emc",
            "sys/kernel/nvpmodel_emc_cap/emc_iso_cap",
        ];
        Self {
            nvpmodel: caps.iter().find_map(|file| Gauge::open(tree, file)),
            ..Self::default()
        }
    }

    /// The lowest cap whose height is known.
    #[must_use]
    pub fn now(&self, table: &OppTable) -> Option<Cap> {
        let thermal = self.cooling.iter().filter_map(|device| {
            Some(Cap {
                raw: device.cap(table)?,
                by: Limiter::Thermal,
            })
        });
        let bios = self.bios_limit().map(|raw| Cap {
            raw,
            by: Limiter::Bios,
        });
        let nvpmodel = self.nvpmodel_cap().map(|raw| Cap {
            raw,
            by: Limiter::Nvpmodel,
        });
        thermal
            .chain(bios)
            .chain(nvpmodel)
            .min_by_key(|cap| cap.raw)
    }

    /// Who lowers the limit files' values by way of the kernel, if anybody does;
    /// such a limit goes away by itself.
    #[must_use]
    pub fn passing(&self) -> Option<Limiter> {
        if self.cooling.iter().any(|device| device.state() > 0) {
            return Some(Limiter::Thermal);
        }
        self.bios_limit().map(|_| Limiter::Bios)
    }

    fn bios_limit(&self) -> Option<u64> {
        let limit = self.bios.as_ref()?.read().ok()?;
        self.hardware.filter(|&max| 0 < limit && limit < max)?;
        Some(limit)
    }

    fn nvpmodel_cap(&self) -> Option<u64> {
        let cap = self.nvpmodel.as_ref()?.read().ok()?;
        (cap > 0).then_some(cap)
    }
}

fn cooling(tree: &Tree, steps: impl Fn(&str) -> Option<Steps>) -> Vec<Cooling> {
    let devices = tree.list(COOLING);
    let open = |name: &String| {
        let kind = tree.read(&format!("{COOLING}/{name}/type")).ok()?;
        let steps = steps(kind.trim())?;
        let state = Gauge::open(tree, &format!("{COOLING}/{name}/cur_state"))?;
        Some(Cooling { state, steps })
    };
    devices
        .iter()
        .filter(|name| name.starts_with("cooling_device"))
        .filter_map(open)
        .collect()
}
