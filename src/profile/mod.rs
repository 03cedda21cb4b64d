//! Measures this board.

pub mod transitions;
