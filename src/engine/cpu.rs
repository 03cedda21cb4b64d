//! The CPU engine, on tract.
