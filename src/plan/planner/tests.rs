//! What the planner promises, over random boards, networks and exit mixes.

use super::*;
use proptest::prelude::*;

/// A random board with a random demand.
#[derive(Clone, Debug)]
struct Case {
    costs: Costs,
    demand: Demand,
}

fn numbers(count: usize, from: f64, to: f64) -> impl Strategy<Value = Vec<f64>> {
    // Some of each list are equal or nothing at all: ties and free changes.
    let one = prop_oneof![
        6 => from..to,
        1 => Just(from),
        1 => Just(0.0),
    ];
    proptest::collection::vec(one, count)
}

fn latencies(count: usize) -> impl Strategy<Value = Vec<f64>> {
    let one = prop_oneof![6 => 0.0005..0.03_f64, 1 => Just(0.001)];
    proptest::collection::vec(one, count)
}

fn shares(count: usize) -> impl Strategy<Value = Vec<f64>> {
    let one = prop_oneof![4 => 0.01..1.0_f64, 1 => Just(0.0)];
    proptest::collection::vec(one, count).prop_map(|mut shares| {
        shares[0] += 1e-3;
        let sum: f64 = shares.iter().sum();
        shares.iter().map(|share| share / sum).collect()
    })
}

/// Segments of 0.5 to 30 ms, changes of up to `change_s`, frames at 5 to 100 fps.
fn case(segments: usize, points: usize, change_s: f64) -> impl Strategy<Value = Case> {
    (
        latencies(segments * points),
        numbers(segments * points, 0.001, 0.2),
        numbers(points, 0.2, 3.0),
        numbers(points * points, 0.0, change_s),
        numbers(points * points, 0.0, 0.02),
        shares(segments),
        0.01..0.2_f64,
        0.3..1.2_f64,
        prop_oneof![Just(None), (1.0..20.0_f64).prop_map(Some)],
    )
        .prop_map(
            move |(latency, energy, idle, change, change_j, shares, interval, part, cap)| {
                let costs = Costs::new(segments, points, latency, energy, idle)
                    .and_then(|costs| costs.with_changes(change, change_j))
                    .unwrap();
                let costs = match cap {
                    Some(watts) => costs.within_power(watts),
                    None => costs,
                };
                let demand = Demand::new(shares, interval, interval * part).unwrap();
                Case { costs, demand }
            },
        )
}

/// Small enough to try every schedule.
fn small() -> impl Strategy<Value = Case> {
    (
        1..=3_usize,
        1..=3_usize,
        prop_oneof![Just(0.002), Just(0.03)],
    )
        .prop_flat_map(|(segments, points, change_s)| case(segments, points, change_s))
}

fn large() -> impl Strategy<Value = Case> {
    (
        2..=6_usize,
        2..=12_usize,
        prop_oneof![Just(0.001), Just(0.01), Just(0.03)],
    )
        .prop_flat_map(|(segments, points, change_s)| case(segments, points, change_s))
}

const OBJECTIVES: [Objective; 3] = [Objective::Energy, Objective::Latency, Objective::Edp];

/// Every schedule there is.
fn all_schedules(segments: usize, points: usize) -> Vec<Schedule> {
    let turns: Vec<Turn> = (0..points)
        .flat_map(|point| [true, false].map(|ahead| Turn { point, ahead }))
        .collect();
    let mut all = vec![Vec::new()];
    for _ in 0..segments {
        all = all
            .into_iter()
            .flat_map(|head: Vec<Turn>| {
                turns.iter().map(move |&turn| [&head[..], &[turn]].concat())
            })
            .collect();
    }
    all.into_iter().map(|turns| Schedule { turns }).collect()
}

fn by_brute_force(case: &Case, objective: Objective) -> Option<f64> {
    all_schedules(case.costs.segments(), case.costs.points())
        .iter()
        .filter_map(|schedule| evaluate(&case.costs, &case.demand, schedule).ok())
        .map(|outcome| objective.cost(&outcome))
        .min_by(f64::total_cmp)
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) + 1e-15
}

fn same_answer(found: Option<f64>, best: Option<f64>) -> bool {
    match (found, best) {
        (Some(found), Some(best)) => same(found, best),
        (None, None) => true,
        _ => false,
    }
}

/// How many instances a property is tried on: `E4_INSTANCES`, or `few`.
fn instances(few: u32) -> ProptestConfig {
    let set = std::env::var("E4_INSTANCES").ok();
    let cases = set.and_then(|n| n.parse().ok()).unwrap_or(few);
    ProptestConfig {
        cases,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(instances(2_000))]

    #[test]
    fn the_plan_is_the_best_of_all_schedules(case in small()) {
        for objective in OBJECTIVES {
            let plan = plan(&case.costs, &case.demand, objective);
            let found = plan.as_ref().map(|(_, outcome)| objective.cost(outcome));
            let best = by_brute_force(&case, objective);
            prop_assert!(same_answer(found, best), "{objective:?}: {found:?} planned, {best:?} by brute force");
        }
    }
}

proptest! {
    #![proptest_config(instances(500))]

    #[test]
    fn the_plan_is_no_worse_than_any_static_point_nor_than_e4_as_executed(case in large()) {
        for objective in OBJECTIVES {
            let (costs, demand) = (&case.costs, &case.demand);
            let found = plan(costs, demand, objective).map(|(_, outcome)| objective.cost(&outcome));
            let no_worse = |other: f64| found.is_some_and(|found| found <= other || same(found, other));
            if let Some((_, outcome)) = best_static(costs, demand, objective) {
                prop_assert!(no_worse(objective.cost(&outcome)));
            }
            let executed = as_executed(&per_exit(costs, demand), demand);
            if let Some(Ok(outcome)) = executed.map(|s| evaluate(costs, demand, &s)) {
                prop_assert!(no_worse(objective.cost(&outcome)));
            }
        }
    }

    #[test]
    fn a_plan_keeps_the_deadline_and_costs_what_its_execution_costs(case in large()) {
        for objective in OBJECTIVES {
            if let Some((schedule, outcome)) = plan(&case.costs, &case.demand, objective) {
                prop_assert_eq!(evaluate(&case.costs, &case.demand, &schedule), Ok(outcome));
                prop_assert!(outcome.longest_s <= case.demand.deadline_s);
                prop_assert!(outcome.latency_s <= outcome.longest_s + 1e-12);
            }
        }
    }

    #[test]
    fn each_exit_of_e4_has_the_least_energy_under_the_deadline(case in small()) {
        let (costs, demand) = (&case.costs, &case.demand);
        for (exit, plan) in per_exit(costs, demand).iter().enumerate() {
            let sum = |points: &[usize], of: fn(&Costs, usize, usize) -> f64| -> f64 {
                points.iter().enumerate().map(|(k, &p)| of(costs, k, p)).sum()
            };
            let best = all_schedules(exit + 1, costs.points())
                .iter()
                .map(|s| s.turns.iter().map(|turn| turn.point).collect::<Vec<_>>())
                .filter(|points| sum(points, Costs::latency) <= demand.deadline_s)
                .map(|points| sum(&points, Costs::energy))
                .min_by(f64::total_cmp);
            let found = plan.as_ref().map(|points| sum(points, Costs::energy));
            prop_assert!(same_answer(found, best));
        }
    }
}

/// Two points, slow and frugal or fast and dear; two segments of 10 ms at slow.
fn two_points(change_s: f64) -> Costs {
    Costs::new(
        2,
        2,
        vec![0.010, 0.005, 0.010, 0.005],
        vec![0.010, 0.020, 0.010, 0.020],
        vec![0.5, 0.6],
    )
    .and_then(|costs| costs.with_changes(vec![change_s; 4], vec![1e-6; 4]))
    .unwrap()
}

fn points(schedule: &Schedule) -> Vec<usize> {
    schedule.turns.iter().map(|turn| turn.point).collect()
}

#[test]
fn work_of_unknown_length_starts_slow_and_hurries_when_the_frame_turns_out_hard() {
    // At 15.2 ms the change has to be in effect when the second segment starts; at
    // 16 ms it may be issued then, and the frames that left don't pay for it.
    for (deadline_s, ahead) in [(0.0152, true), (0.016, false)] {
        let demand = Demand::new(vec![0.9, 0.1], 0.1, deadline_s).unwrap();
        let (schedule, _) = plan(&two_points(0.001), &demand, Objective::Energy).unwrap();
        assert_eq!(points(&schedule), [0, 1]);
        assert_eq!(schedule.turns[1].ahead, ahead);
    }
}

#[test]
fn a_change_that_outlasts_the_frame_is_not_planned() {
    let demand = Demand::new(vec![0.9, 0.1], 0.1, 0.016).unwrap();
    let (schedule, _) = plan(&two_points(0.050), &demand, Objective::Energy).unwrap();
    assert_eq!(points(&schedule), [1, 1]);
}

#[test]
fn what_cannot_be_met_has_no_plan() {
    let demand = Demand::new(vec![0.5, 0.5], 0.1, 0.009).unwrap();
    assert!(plan(&two_points(0.001), &demand, Objective::Energy).is_none());
    let capped = two_points(0.0).within_power(0.5);
    let demand = Demand::new(vec![0.5, 0.5], 0.1, 0.1).unwrap();
    assert!(plan(&capped, &demand, Objective::Energy).is_none());
}

#[test]
fn numbers_that_are_none_are_refused_by_name() {
    let refused = Costs::new(1, 1, vec![f64::NAN], vec![1.0], vec![1.0]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "latency_s number 0 is not a finite number of at least 0"
    );
    let refused = Demand::new(vec![0.5, 0.4], 1.0, 1.0).unwrap_err();
    assert!(refused.to_string().contains("0.9"), "{refused}");
}
