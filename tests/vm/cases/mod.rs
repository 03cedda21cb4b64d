//! All cases: one file a subject, each with its list.

mod boot;
mod camera;
mod clocks;
mod doctor;
mod dvfs;
mod guard;
mod pipeline;
mod power;
mod profile;
mod real_time;
mod selftest;
mod vivid;

use super::case::Case;

/// Every case, in the order in which they run.
pub fn all() -> Vec<Case> {
    let mut all = [
        boot::CASES,
        vivid::CASES,
        clocks::CASES,
        guard::CASES,
        dvfs::CASES,
        pipeline::CASES,
        power::CASES,
        profile::CASES,
        real_time::CASES,
        doctor::CASES,
        selftest::CASES,
    ]
    .concat();
    all.extend(camera::CASES.concat());
    all
}
