//! Stages, threads and rings.

pub mod sink;
