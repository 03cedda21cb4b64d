//! Finds the clock domains of this machine.

use super::sysfs::Tree;
use super::{ClockDomain, DomainKind, cpufreq, devfreq, emc};
use crate::monotonic::now_ns;
use std::time::Duration;

/// A domain that cannot be used, or is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// What it would clock.
    pub kind: DomainKind,
    /// What is missing.
    pub reason: String,
    /// Whether there is one, which lacks something.
    pub broken: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Domains, CPU first, then GPU, then memory.
    pub domains: Vec<Box<dyn ClockDomain>>,
    /// Kinds of which there is none, and domains that lack something.
    pub absent: Vec<Absent>,
}

impl Inventory {
    /// The domain of this name.
    pub fn find(&mut self, name: &str) -> Option<&mut Box<dyn ClockDomain>> {
        self.domains.iter_mut().find(|domain| domain.name() == name)
    }

    /// The first domain of this kind.
    #[must_use]
    pub fn find_kind(&self, kind: DomainKind) -> Option<&dyn ClockDomain> {
        let found = self.domains.iter().find(|domain| domain.kind() == kind);
        found.map(AsRef::as_ref)
    }

    fn add<D: ClockDomain + 'static>(&mut self, kind: DomainKind, domain: Result<D, String>) {
        match domain {
            Ok(domain) => self.domains.push(Box::new(domain)),
            Err(reason) => self.leave_out(kind, reason),
        }
    }

    fn lacks(&mut self, kind: DomainKind, reason: &str) {
        let reason = reason.to_owned();
        self.absent.push(Absent {
            kind,
            reason,
            broken: false,
        });
    }

    fn leave_out(&mut self, kind: DomainKind, reason: String) {
        self.absent.push(Absent {
            kind,
            reason,
            broken: true,
        });
    }

    /// Leaves out the domains whose values cannot be kept, so that they could not be
    /// given back.
    pub fn keep_savable(&mut self) {
        for domain in std::mem::take(&mut self.domains) {
            match domain.save() {
                Ok(_) => self.domains.push(domain),
                Err(error) => self.leave_out(domain.kind(), error.to_string()),
            }
        }
    }
}

/// Looks once.
#[must_use]
pub fn discover(tree: &Tree) -> Inventory {
    let mut found = Inventory::default();
    let policies = cpufreq::policies(tree);
    if policies.is_empty() {
        found.lacks(
            DomainKind::Cpu,
            "/sys/devices/system/cpu/cpufreq has no policy: no cpufreq driver is loaded",
        );
    }
    for folder in &policies {
        found.add(DomainKind::Cpu, cpufreq::open(tree, folder));
    }
    let (gpus, memory): (Vec<_>, Vec<_>) = devfreq::devices(tree)
        .into_iter()
        .partition(|device| device.kind == DomainKind::Gpu);
    if gpus.is_empty() {
        found.lacks(
            DomainKind::Gpu,
            "/sys/class/devfreq has no device whose device-tree name is a GPU's",
        );
    }
    for (index, gpu) in gpus.iter().enumerate() {
        let name = match index {
            0 => "gpu".to_owned(),
            _ => gpu.entry.clone(),
        };
        found.add(DomainKind::Gpu, devfreq::open(tree, gpu, name));
    }
    match (emc::layout(tree), memory.first()) {
        (Some(layout), _) => found.add(DomainKind::Emc, emc::open(tree, layout)),
        (None, Some(device)) => {
            found.add(DomainKind::Emc, devfreq::open(tree, device, "emc".into()));
        }
        (None, None) => found.lacks(DomainKind::Emc, no_memory(tree)),
    }
    found
}

fn no_memory(tree: &Tree) -> &'static str {
    if tree.list("sys/kernel/debug").is_empty() {
        "/sys/kernel/debug cannot be read: be root and `mount -t debugfs debugfs /sys/kernel/debug`"
    } else {
        "neither /sys/kernel/debug/bpmp, nor clk/override.emc, nor a devfreq device clocks the memory"
    }
}

/// Looks until a domain of every kind in `kinds` is there or `patience` is over:
/// at boot, drivers come late.
#[must_use]
pub fn discover_within(tree: &Tree, kinds: &[DomainKind], patience: Duration) -> Inventory {
    const STEP: Duration = Duration::from_millis(20);
    let nanoseconds = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
    let deadline_ns = now_ns().saturating_add(nanoseconds);
    loop {
        let found = discover(tree);
        let has = |&kind: &DomainKind| found.find_kind(kind).is_some();
        if kinds.iter().all(has) || now_ns() >= deadline_ns {
            return found;
        }
        std::thread::sleep(STEP);
    }
}
