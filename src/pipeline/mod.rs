//! Stages, threads and rings.
