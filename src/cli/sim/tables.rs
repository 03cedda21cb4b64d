//! `e4 sim --table`.

use super::{Sim, SimulationError};

impl Sim {
    pub(super) fn tabulate(&self) -> Result<(), SimulationError> {
        let _ = super::five();
        Ok(())
    }
}
