//! From what clock points cost to which clock point serves which segment.

pub mod belief;
pub mod planner;
