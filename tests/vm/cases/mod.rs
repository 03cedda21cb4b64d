//! All cases: one file a subject, each with its list.

mod boot;
mod clocks;
mod pipeline;
mod power;
mod selftest;
mod vivid;

use super::case::Case;

/// Every case, in the order in which they run.
pub fn all() -> Vec<Case> {
    [
        boot::CASES,
        vivid::CASES,
        clocks::CASES,
        pipeline::CASES,
        power::CASES,
        selftest::CASES,
    ]
    .concat()
}
