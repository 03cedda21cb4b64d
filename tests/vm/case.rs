//! What a case is, and how one runs alone in its process.

use std::fmt;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

/// How a case ends: well, with an error that says what does not hold, or with
/// [`Skip`].
pub type Outcome = anyhow::Result<()>;

/// Ends a case that cannot run here; the text says why. A case that is meant for
/// one kind of machine says so by [`Case::only`] and is not skipped.
#[derive(Debug)]
pub struct Skip(pub &'static str);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Skip {}

/// When a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Always.
    Normal,
    /// When asked for by `soak`: takes minutes.
    Soak,
    /// When asked for by `selftest`: fails on purpose, to show that the rig sees it.
    SelfTest,
}

/// A named function with what the runner must know about it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    pub limit: Duration,
    pub tier: Tier,
    /// Arguments of the kernel that it needs (`isolcpus=1`): a boot of its own.
    pub boot: &'static str,
    arch: Option<&'static str>,
    run: fn() -> Outcome,
}

impl Case {
    /// A case for both machines, with a minute to run on an idle host (the runner
    /// grants twice that, for busy ones).
    pub const fn new(name: &'static str, run: fn() -> Outcome) -> Self {
        Self {
            name,
            limit: Duration::from_secs(60),
            tier: Tier::Normal,
            boot: "",
            arch: None,
            run,
        }
    }

    /// With another time limit.
    pub const fn limit_s(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// In another tier.
    pub const fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// For one kind of machine: `x86_64` or `aarch64`.
    pub const fn only(mut self, arch: &'static str) -> Self {
        self.arch = Some(arch);
        self
    }

    /// In a boot with these kernel arguments.
    pub const fn boot(mut self, arguments: &'static str) -> Self {
        self.boot = arguments;
        self
    }

    pub fn runs_on(&self, arch: &str) -> bool {
        self.arch.is_none_or(|only| only == arch)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        match self.tier {
            Tier::Normal => Ok(()),
            Tier::Soak => f.write_str(" (soak)"),
            Tier::SelfTest => f.write_str(" (selftest)"),
        }
    }
}

/// Where a case leaves the sentence that the runner reports.
pub const REASON: &str = "/run/e4-vm.reason";
/// The exit code of a skipped case.
pub const SKIPPED: u8 = 77;

/// Runs one case to its end: the whole life of its process.
pub fn run_alone(name: &str) -> ExitCode {
    let Some(case) = super::cases::all().into_iter().find(|c| c.name == name) else {
        eprintln!("no case is named {name}");
        return ExitCode::from(2);
    };
    let Err(error) = (case.run)() else {
        return ExitCode::SUCCESS;
    };
    let reason = format!("{error:#}").replace('\n', " ");
    fs::write(REASON, &reason).expect("/run can be written");
    if error.is::<Skip>() {
        return ExitCode::from(SKIPPED);
    }
    println!("{name}: {error:#}");
    ExitCode::FAILURE
}
