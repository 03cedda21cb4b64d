//! The buffers of a run under way, for engines that compute on the caller's thread.
//!
//! Guarantees: buffers that do not fit, or come while others are held, go back with
//! the reason; what was taken comes back with the run's end, failed or not. It
//! computes nothing. Cost: a few comparisons a run.

use super::{IoLengths, RunError, SegmentIo};

/// What a segment holds between `enqueue` and `wait`.
#[derive(Debug)]
pub(super) struct Pending {
    index: usize,
    lengths: IoLengths,
    io: Option<SegmentIo>,
}

impl Pending {
    /// Of segment `index`, whose buffers have these lengths.
    pub fn new(index: usize, lengths: IoLengths) -> Self {
        Self {
            index,
            lengths,
            io: None,
        }
    }

    /// Takes the buffers of a run.
    ///
    /// # Errors
    /// A run is under way, or they do not fit.
    pub fn hold(&mut self, io: SegmentIo) -> Result<(), RunError> {
        let refused = match &self.io {
            Some(_) => Some("a run is under way already".to_owned()),
            None => self.lengths.host_misfit(&io),
        };
        if let Some(reason) = refused {
            return Err(RunError::new(self.index, reason, Some(io)));
        }
        self.io = Some(io);
        Ok(())
    }

    /// The buffers to compute on.
    ///
    /// # Errors
    /// No run is under way.
    pub fn release(&mut self) -> Result<SegmentIo, RunError> {
        let none = || RunError::new(self.index, "no run is under way", None);
        self.io.take().ok_or_else(none)
    }

    /// The end of a run: its buffers, or with them why it failed.
    pub fn ended(&self, io: SegmentIo, done: Result<(), String>) -> Result<SegmentIo, RunError> {
        match done {
            Ok(()) => Ok(io),
            Err(reason) => Err(RunError::new(self.index, reason, Some(io))),
        }
    }
}
