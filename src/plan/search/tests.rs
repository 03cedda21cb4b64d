//! What all methods promise, and what each is for.

use super::*;
use crate::plan::grid::Grid;
use crate::plan::point::ClockPoint;
use crate::plan::random::Random;
use crate::plan::trial::Trial;
use proptest::prelude::*;

/// A board after the textbook: work bound by each clock, power C V^2 f, voltage
/// rising with the clock; a point is left out with probability `holes`.
fn board(levels: [u32; 3], holes: f64, seed: u64) -> Grid {
    let mut random = Random::new(seed, 1);
    let work: [f64; 3] = std::array::from_fn(|_| 0.1 + random.uniform());
    let power: [f64; 3] = std::array::from_fn(|_| 0.1 + 2.0 * random.uniform());
    let (mut points, mut costs) = (Vec::new(), Vec::new());
    let [cpus, gpus, emcs] = levels.map(|n| n.max(1));
    for cell in 0..cpus * gpus * emcs {
        let place = [cell / (gpus * emcs), cell / emcs % gpus, cell % emcs];
        let last = cell + 1 == cpus * gpus * emcs;
        if !last && random.uniform() < holes {
            continue;
        }
        let khz: [u32; 3] = std::array::from_fn(|k| match levels[k] {
            0 => 0,
            n => 300_000 + 1_200_000 * (place[k] + 1) / n,
        });
        let u = khz.map(|khz| {
            if khz == 0 {
                1.0
            } else {
                f64::from(khz) / 1.5e6
            }
        });
        let latency = 0.1 + (0..3).map(|k| work[k] / u[k]).sum::<f64>();
        let dynamic = |k: usize| power[k] * u[k] * (0.6 + 0.4 * u[k]) * (0.6 + 0.4 * u[k]);
        let watts = 0.5 + (0..3).map(dynamic).sum::<f64>();
        points.push(ClockPoint::new(khz));
        costs.push([latency, watts * latency]);
    }
    let space = Space::new(points).unwrap();
    Grid { space, costs }
}

fn search(
    grid: &Grid,
    method: Method,
    cap: Option<f64>,
    budget: usize,
    sigma: f64,
    seed: u64,
) -> crate::plan::trial::Outcome {
    let allowed = ((0..grid.space.len()).collect(), grid.space.clone());
    let top = grid.costs[grid.space.top()][0];
    let goal = Goal {
        cap_s: cap.map(|slowdown| slowdown * top),
        budget,
    };
    let trial = Trial {
        grid,
        allowed: &allowed,
        goal,
        sigma,
        seed,
    };
    trial.run(method)
}

#[test]
fn names_lead_back_to_their_method() {
    for method in Method::ALL {
        assert_eq!(Method::of(method.name()), Some(method));
    }
    assert_eq!(Method::of("best"), None);
}

#[test]
fn exhaustive_search_without_noise_finds_the_optimum() {
    let grid = board([6, 7, 3], 0.1, 3);
    for cap in [None, Some(1.05), Some(1.5)] {
        let all = search(&grid, Method::Exhaustive, cap, 1000, 0.0, 0);
        assert_eq!(all.history.len(), grid.space.len());
        assert_eq!(all.gap, Some(0.0));
        assert!(all.cap_kept);
    }
}

#[test]
fn the_model_comes_close_to_the_optimum_with_few_probes() {
    for seed in 0..6 {
        let grid = board([12, 13, 6], 0.0, seed);
        for cap in [None, Some(1.05), Some(1.2)] {
            let found = search(&grid, Method::Model, cap, 24, 0.0, seed);
            assert!(found.cap_kept, "{seed} {cap:?}");
            assert!(found.gap.unwrap() < 0.01, "{seed} {cap:?}: {:?}", found.gap);
        }
    }
}

#[test]
fn the_model_finds_out_how_noisy_readings_are() {
    let grid = board([12, 13, 6], 0.0, 5);
    for (sigma, low, high) in [(0.0, 0.0, 0.003), (0.05, 0.025, 0.1)] {
        let noisy = search(&grid, Method::Model, None, 32, sigma, 2);
        let goal = Goal {
            cap_s: None,
            budget: 32,
        };
        let mut model = Model::new(&grid.space, goal, 2);
        let belief = model.believe(&noisy.history).unwrap();
        for noise in [belief.latency.noise, belief.energy.noise] {
            assert!(noise >= low && noise <= high, "{sigma}: {noise}");
        }
        let repeats = noisy.history.len() - Readings::new(&grid.space, &noisy.history).points.len();
        assert!(
            repeats >= if sigma > 0.0 { 4 } else { 1 },
            "{sigma}: {repeats}"
        );
    }
    let mut model = Model::new(
        &grid.space,
        Goal {
            cap_s: None,
            budget: 1,
        },
        0,
    );
    assert!(model.believe(&[]).is_none() && model.choose(&[]).is_none());
}

#[test]
fn descent_starts_at_the_highest_clocks_and_takes_the_gpu_first() {
    let grid = board([8, 9, 5], 0.0, 1);
    let found = search(&grid, Method::Descent, Some(1.2), 100, 0.0, 0);
    let point = |n: usize| grid.space.points()[found.history[n].point];
    let top = grid.space.points()[grid.space.top()];
    assert_eq!(point(0), top);
    let second = point(1);
    assert_ne!(second.gpu_khz, top.gpu_khz);
    assert_eq!((second.cpu_khz, second.emc_khz), (top.cpu_khz, top.emc_khz));
    assert!(found.history.len() < 60 && found.cap_kept);
}

#[test]
fn a_killed_search_goes_on_where_it_was() {
    let grid = board([7, 6, 4], 0.1, 2);
    let goal = Goal {
        cap_s: Some(9.0),
        budget: 20,
    };
    for method in Method::ALL {
        let whole = search(&grid, method, Some(1.3), 20, 0.03, 4).history;
        let cap_s = Some(1.3 * grid.costs[grid.space.top()][0]);
        for cut in [0, 1, 7, 12, whole.len() - 1] {
            let goal = Goal { cap_s, ..goal };
            let mut again = method.start(&grid.space, goal, 4);
            assert_eq!(
                again.next(&whole[..cut]),
                Step::Probe(whole[cut].point),
                "{method:?}"
            );
        }
    }
}

#[test]
fn a_history_that_no_method_asked_for_is_no_trouble() {
    let grid = board([3, 3, 2], 0.0, 2);
    let odd = |point, latency_s, energy_j| Observation {
        point,
        latency_s,
        energy_j,
    };
    let history = [
        odd(999, 1.0, 1.0),
        odd(1, f64::NAN, 1.0),
        odd(2, 1.0, -1.0),
        odd(3, 1e-300, 1e300),
        odd(3, 1e300, 1e-300),
        odd(4, 1.0, 1.0),
    ];
    for method in Method::ALL {
        for cap_s in [None, Some(1e-310), Some(1.0)] {
            let mut search = method.start(&grid.space, Goal { cap_s, budget: 9 }, 1);
            for cut in 0..=history.len() {
                let _ = search.next(&history[..cut]);
                let choice = search.choose(&history[..cut]);
                assert_eq!(choice.is_some(), cut > 3, "{method:?} {cut}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any shape of space, any budget: no method panics, asks for too much or for
    /// a point that is not there, and the same seed gives the same probes.
    #[test]
    fn every_space_and_budget_works(
        levels in prop::array::uniform3(0..5_u32),
        holes in prop_oneof![Just(0.0), Just(0.5), Just(0.95)],
        budget in prop_oneof![Just(0_usize), Just(1), 2..40_usize],
        cap in prop_oneof![Just(None), Just(Some(0.5)), Just(Some(1.0)), Just(Some(1.3))],
        sigma in prop_oneof![Just(0.0), Just(0.05), Just(0.5)],
        seed in any::<u64>(),
    ) {
        let grid = board(levels, holes, seed);
        for method in Method::ALL {
            let found = search(&grid, method, cap, budget, sigma, seed);
            prop_assert!(found.history.len() <= budget);
            prop_assert_eq!(found.choice.is_some(), budget > 0 && found.gap.is_some());
            let again = search(&grid, method, cap, budget, sigma, seed);
            prop_assert_eq!(found.history, again.history);
        }
    }
}
