//! All cases: one file a subject, each with its list.

mod boot;
mod camera;
mod clocks;
mod pipeline;
mod selftest;
mod vivid;

use super::case::Case;

/// Every case, in the order in which they run.
pub fn all() -> Vec<Case> {
    let mut all = [
        boot::CASES,
        vivid::CASES,
        clocks::CASES,
        pipeline::CASES,
        selftest::CASES,
    ]
    .concat();
    all.extend(camera::CASES.concat());
    all
}
