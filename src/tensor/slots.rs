//! Preallocated frame slots, handed from thread to thread by index.
//!
//! A [`Slot`] is the one owner of its frame's bytes; moving it through a ring
//! moves four bytes and a pointer, never the frame.

use super::Frame;
use std::ops::{Deref, DerefMut};

/// A fixed number of frame slots.
#[derive(Debug)]
pub struct SlotPool;

/// Exclusive access to one slot of a [`SlotPool`].
#[derive(Debug)]
pub struct Slot {
    frame: Frame,
}

impl Deref for Slot {
    type Target = Frame;
    fn deref(&self) -> &Frame {
        &self.frame
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }
}
