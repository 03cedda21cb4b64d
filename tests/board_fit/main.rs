//! Holds the board model to grids that others measured on real boards. The grids
//! are no part of this repository: without `../shared/data/grids` the tests say
//! that they skip.
//!
//! `cargo test --test board_fit -- --nocapture` prints errors and parameters;
//! what the boards' files hold is the fit over all grids of a board.

mod calibrate;
mod minimise;

use calibrate::{Board, Load, Sample, fit, fit_load, predict};
use e4::board::{Calibration, Description};
use e4::plan::Grid;
use e4::plan::random::Random;
use std::path::Path;

const GRIDS: [(&str, &[&str]); 2] = [
    ("tx2", &["lstm-imdb-train", "chai-sssp"]),
    (
        "agx-xavier",
        &[
            "resnet50-imagenet-train",
            "vit-cifar10-train",
            "lstm-imdb-train",
        ],
    ),
];

/// The grid of a board's workload, clocks over the highest of `board`.
fn grid(board: &Description, workload: &str) -> Option<Vec<Sample>> {
    let file = format!("../shared/data/grids/{}--{workload}.csv", board.name);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if !path.exists() {
        println!("skipped: there is no {}", path.display());
        return None;
    }
    let grid = Grid::read(&path).expect("a shared grid reads");
    let points = grid.space.points().iter().zip(&grid.costs);
    let sample = |(point, [latency_s, energy_j]): (&e4::plan::ClockPoint, &[f64; 2])| Sample {
        u: board.relative(*point),
        latency_s: *latency_s,
        energy_j: *energy_j,
    };
    Some(points.map(sample).collect())
}

/// Median and 90th percentile of the absolute relative error, and the largest, in %.
struct Errors([[f64; 3]; 2]);

fn errors(board: &Board, load: &Load, samples: &[Sample]) -> Errors {
    let of = |which: usize| {
        let error = |s: &Sample| {
            let truth = [s.latency_s, s.energy_j][which];
            100.0 * (predict(board, load, s.u)[which] / truth - 1.0).abs()
        };
        let mut all: Vec<f64> = samples.iter().map(error).collect();
        all.sort_by(f64::total_cmp);
        [all.len() / 2, all.len() * 9 / 10, all.len() - 1].map(|at| all[at])
    };
    Errors([of(0), of(1)])
}

impl std::fmt::Display for Errors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [l, e] = self.0;
        let (l, e) = (l.map(|v| format!("{v:.1}")), e.map(|v| format!("{v:.1}")));
        write!(
            f,
            "latency median {} p90 {} worst {} %, energy median {} p90 {} worst {} %",
            l[0], l[1], l[2], e[0], e[1], e[2]
        )
    }
}

/// Every second GPU level, and the corners of the grid.
fn held_out(samples: &[Sample]) -> impl Fn(&Sample) -> bool {
    let levels = |axis: usize| {
        let mut all: Vec<f64> = samples.iter().map(|s| s.u[axis]).collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    };
    let all: [Vec<f64>; 3] = std::array::from_fn(levels);
    move |s| {
        let gpu = all[1].iter().position(|u| *u == s.u[1]);
        let corner =
            (0..3).all(|k| Some(&s.u[k]) == all[k].first() || Some(&s.u[k]) == all[k].last());
        gpu.is_some_and(|at| at % 2 == 1) || corner
    }
}

/// At most `n` samples, chosen at random by a fixed seed: a regular stride would
/// skip whole levels.
fn thinned(samples: &[Sample], n: usize) -> Vec<Sample> {
    let order = Random::new(1, 0).permutation(samples.len());
    order.into_iter().take(n).map(|at| samples[at]).collect()
}

fn board(name: &str) -> &'static Description {
    e4::board::named(name).expect("the board is known")
}

#[test]
fn clock_levels_that_the_fit_never_saw_are_within_the_promise() {
    for (name, workloads) in GRIDS {
        for workload in workloads {
            let Some(samples) = grid(board(name), workload) else {
                return;
            };
            let held = held_out(&samples);
            let (out, kept): (Vec<Sample>, Vec<Sample>) = samples.iter().partition(|s| held(s));
            let (board, loads) = fit(&[thinned(&kept, 300)]);
            let errors = errors(&board, &loads[0], &out);
            println!(
                "held out, {name} {workload}, {} of {}: {errors}",
                out.len(),
                samples.len()
            );
            let [latency, energy] = errors.0;
            assert!(
                latency[0] <= 6.0 && energy[0] <= 8.0,
                "{name} {workload}: {errors}"
            );
            assert!(
                latency[1] <= 20.0 && energy[1] <= 20.0,
                "{name} {workload}: {errors}"
            );
        }
    }
}

/// Ten points of a grid, near both ends and the middle of each axis, and the rest.
fn ten(samples: &[Sample]) -> (Vec<Sample>, Vec<Sample>) {
    let mut rest: Vec<Sample> = samples.to_vec();
    let extent = |axis: usize| {
        let all = || samples.iter().map(|s| s.u[axis]);
        (
            all().fold(f64::INFINITY, f64::min),
            all().fold(0.0, f64::max),
        )
    };
    let ends: [(f64, f64); 3] = std::array::from_fn(extent);
    let targets = [
        [1.0, 1.0, 1.0],
        [0.5, 1.0, 1.0],
        [1.0, 0.5, 1.0],
        [1.0, 1.0, 0.5],
        [0.2, 0.9, 0.9],
        [0.9, 0.2, 0.9],
        [0.9, 0.9, 0.0],
        [0.5, 0.5, 0.5],
        [0.2, 0.2, 0.2],
        [0.7, 0.7, 0.7],
    ];
    let far = |s: &Sample, target: [f64; 3]| {
        let part = |k: usize| (s.u[k] - ends[k].0) / (ends[k].1 - ends[k].0) - target[k];
        (0..3).map(|k| part(k) * part(k)).sum::<f64>()
    };
    let nearest = |target: [f64; 3]| {
        let order = |a: &Sample, b: &Sample| far(a, target).total_cmp(&far(b, target));
        let at = (0..rest.len()).min_by(|a, b| order(&rest[*a], &rest[*b]));
        rest.swap_remove(at.expect("a grid has more than ten points"))
    };
    let ten = targets.map(nearest).to_vec();
    (ten, rest)
}

#[test]
fn a_board_known_from_one_workload_serves_another_after_ten_points() {
    for (name, workloads) in GRIDS {
        let grids: Option<Vec<_>> = workloads.iter().map(|w| grid(board(name), w)).collect();
        let Some(grids) = grids else { return };
        for (from, known) in grids.iter().enumerate() {
            let (board, loads) = fit(&[thinned(known, 300)]);
            for (to, other) in grids.iter().enumerate().filter(|(to, _)| *to != from) {
                let (ten, rest) = ten(other);
                let load = fit_load(&board, &ten, &loads[0]);
                let errors = errors(&board, &load, &rest);
                let [from, to] = [from, to].map(|k| workloads[k]);
                println!("transfer, {name} {from} -> {to}: {errors}");
                let [latency, energy] = errors.0;
                // What was measured, and a little room; the TX2's grids were made with
                // different systems and sensors.
                let bound = if name == "tx2" {
                    [6.0, 12.0]
                } else {
                    [6.0, 5.0]
                };
                assert!(latency[0] <= bound[0] && energy[0] <= bound[1], "{errors}");
            }
        }
    }
}

#[test]
fn the_boards_files_hold_what_the_fit_gives() {
    for (name, workloads) in GRIDS {
        let description = board(name);
        assert_eq!(description.calibration, Calibration::Grid);
        let grids: Option<Vec<_>> = workloads.iter().map(|w| grid(description, w)).collect();
        let Some(grids) = grids else { return };
        let thin: Vec<_> = grids.iter().map(|grid| thinned(grid, 300)).collect();
        let (fitted, loads) = fit(&thin);
        println!("fit, {name}: {:?}", fitted.timing);
        println!("always_w = {:.3}", fitted.power.always_w);
        for (d, domain) in fitted.power.domains.iter().enumerate() {
            let mean = loads.iter().map(|load| load.active_w[d].ln()).sum::<f64>();
            let mean = (mean / f64::from(u32::try_from(loads.len()).expect("few"))).exp();
            println!(
                "dynamic_w = {mean:.3}, idle_w = {:.3}, leak_w = {:.3}, voltage_floor = {:.3}, voltage_knee = {:.3}",
                domain.idle_w, domain.leak_w, domain.voltage_floor, domain.voltage_knee
            );
        }
        for ((load, workload), grid) in loads.iter().zip(workloads).zip(&grids) {
            println!("{workload}: {load:?}\n{}", errors(&fitted, load, grid));
        }
        let kept = Board {
            timing: description.timing,
            power: description.power(),
        };
        for ((load, workload), grid) in loads.iter().zip(workloads).zip(&grids) {
            // The files' dynamic power is the workloads' geometric mean.
            let active_w: [f64; 3] =
                std::array::from_fn(|d| load.active_w[d] / kept.power.domains[d].dynamic_w);
            let load = Load { active_w, ..*load };
            let of_file = errors(&kept, &load, grid).0;
            let of_fit = errors(
                &fitted,
                &Load {
                    active_w: loads_w(&loads, workloads, workload),
                    ..load
                },
                grid,
            )
            .0;
            for (file, fit) in of_file.iter().flatten().zip(of_fit.iter().flatten()) {
                assert!(
                    (file - fit).abs() <= 0.5 + 0.05 * fit,
                    "{name} {workload}: {file} {fit}"
                );
            }
        }
    }
}

fn loads_w(loads: &[Load], workloads: &[&str], workload: &str) -> [f64; 3] {
    let at = workloads.iter().position(|w| *w == workload);
    loads[at.expect("it is one of them")].active_w
}
