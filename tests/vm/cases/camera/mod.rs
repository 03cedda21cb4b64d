//! Our camera source against the kernel's virtual camera.

#[path = "../../../support/allocations.rs"]
mod allocations;
mod controls;
mod endurance;
mod faults;
mod lifecycle;
mod listing;
mod pixels;
mod streams;
mod watch;

use crate::case::Case;

/// The cases of every file.
pub const CASES: &[&[Case]] = &[
    listing::CASES,
    pixels::CASES,
    streams::CASES,
    lifecycle::CASES,
    controls::CASES,
    faults::CASES,
    endurance::CASES,
];
