//! Measures this board: how long its clocks take to change ([`transitions`]), and what
//! the segments of a bundle cost at which clocks, before a run ([`session`], over a
//! [`rig`]) or in its course ([`live`]).

pub mod live;
pub mod point;
pub mod progress;
pub mod real;
pub mod rig;
pub mod session;
pub mod transitions;
