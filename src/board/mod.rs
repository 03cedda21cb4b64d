//! Boards: what is known of each, and simulations of them for machines without
//! clocks.
//!
//! Everything that a simulation gives is marked *simulated*, with what it rests on
//! ([`Calibration`]): *grid-calibrated* boards were fitted to grids that others
//! measured on that board, *anchored* ones are scaled from those and compared with
//! the published points that their descriptions list.
//!
//! Guarantees and limits are each module's own: [`Description`], [`physics`].

mod anchor;
mod description;
mod heat;
mod load;
mod meter;
pub mod physics;
mod sim;
mod table;

pub use description::{
    Anchor, AnchorKind, Calibration, Change, Description, Domain, Heat, Mode, Sensor, Speed,
    UnknownBoard, boards, detect, named,
};
pub use load::{SegmentLoad, loads, loads_of};
pub use sim::{Asked, Ran, SimBoard};
pub use table::{Of, SPREAD};
