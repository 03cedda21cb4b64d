//! What a plan that was made promises.

use super::*;
use crate::plan::cost::{Cost, Head, Idle, Row, Source};
use proptest::prelude::*;

fn row(segment: u32, point: ClockPoint, latency_s: f64, energy_j: f64) -> Row {
    let with = |mean: f64, spread: f64| Cost {
        mean,
        spread: mean * spread,
    };
    Row {
        segment,
        point,
        latency_s: with(latency_s, 0.01),
        energy_j: with(energy_j, 0.02),
        samples: 20,
        source: Source::Measured,
    }
}

/// A table over `n * n` points whose times and energies are `numbers`, in turn.
fn table(segments: u32, n: u32, numbers: &[(f64, f64)]) -> CostTable {
    let points: Vec<ClockPoint> = (1..=n)
        .flat_map(|a| (1..=n).map(move |b| ClockPoint::new([100 * a, 100 * b, 0])))
        .collect();
    let mut numbers = numbers.iter().cycle();
    let mut rows = Vec::new();
    for segment in 0..segments {
        for point in &points {
            let (latency, energy) = numbers.next().copied().unwrap_or((1.0, 1.0));
            rows.push(row(segment, *point, latency, energy));
        }
    }
    let head = Head {
        board: "b".to_owned(),
        bundle: "n".to_owned(),
        bundle_sha256: "d".to_owned(),
        idle: points
            .iter()
            .map(|p| Idle::at(*p, f64::from(p.cpu_khz) * 1e-3, 0.0))
            .collect(),
        ..Head::default()
    };
    CostTable::new(head, rows).unwrap()
}

fn best_static_of_all(table: &CostTable, ask: &Ask, share: &[f64]) -> Option<f64> {
    let demand = Demand::new(share.to_vec(), ask.interval_s, ask.deadline_s).unwrap();
    let all = Gathered::new(table, ask).unwrap();
    let each = (0..all.points.len()).filter_map(|p| {
        let costs = all.only(&[p]).costs(ask).unwrap();
        best_static(&costs, &demand, ask.objective)
    });
    let costs = each.map(|(_, outcome)| ask.objective.cost(&outcome));
    costs.min_by(f64::total_cmp)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_pruned_plan_is_no_worse_than_the_best_point_of_the_whole_table(
        numbers in proptest::collection::vec((0.001..0.02_f64, 0.01..0.2_f64), 300),
        n in 3..13_u32,
        deadline_s in 0.004..0.08_f64,
        share in 0.05..0.95_f64,
        objective in prop_oneof![Just(Objective::Energy), Just(Objective::Latency), Just(Objective::Edp)],
    ) {
        let table = table(2, n, &numbers);
        let share = vec![share, 1.0 - share];
        let mut ask = Ask::new(deadline_s, share.clone());
        ask.objective = objective;
        ask.interval_s = 0.1;
        let best = best_static_of_all(&table, &ask, &share);
        match (make(&table, &ask), best) {
            (Ok(made), best) => {
                let cost = objective.cost(&made.parts[0].outcome);
                prop_assert!(made.points <= MOST);
                prop_assert!(best.is_none_or(|best| cost <= best * (1.0 + 1e-9)), "{cost} {best:?}");
                prop_assert!(PlanFile::parse(toml::to_string(&made.file).unwrap().as_bytes()).is_ok());
            }
            (Err(error), best) => {
                prop_assert!(best.is_none(), "{error}, but {best:?}");
                let late = matches!(error, MakeError::Deadline { .. });
                prop_assert!(late, "{error}");
            }
        }
    }
}

#[test]
fn what_is_not_allowed_is_not_planned_with() {
    let table = table(1, 4, &[(0.001, 0.01)]);
    let mut ask = Ask::new(0.01, vec![1.0]);
    ask.limit = ClockPoint::new([200, 0, 0]);
    let made = make(&table, &ask).unwrap();
    assert_eq!(made.points, 8);
    assert!(made.file.beliefs[0].segments[0].cpu_khz <= 200);
    ask.limit = ClockPoint::new([50, 0, 0]);
    let error = make(&table, &ask).unwrap_err().to_string();
    assert!(error.contains("within cpu 0.1 MHz"), "{error}");
}

#[test]
fn the_board_waits_where_it_draws_least_if_there_is_time_to_go_there() {
    // The fast point is the only one in time, and draws most while it waits.
    let fast = row(0, ClockPoint::new([400, 0, 0]), 0.010, 0.01);
    let slow = row(0, ClockPoint::new([100, 0, 0]), 0.050, 0.01);
    let head = Head {
        idle: vec![
            Idle::at(fast.point, 5.0, 0.0),
            Idle::at(slow.point, 1.0, 0.0),
        ],
        ..Head::default()
    };
    let table = CostTable::new(head, vec![fast, slow]).unwrap();
    let mut ask = Ask::new(0.020, vec![1.0]);
    ask.interval_s = 0.1;
    let made = make(&table, &ask).unwrap();
    assert_eq!(made.file.idle.unwrap().cpu_khz, 100);
    assert_eq!(made.file.beliefs[0].segments[0].cpu_khz, 400);
    ask.interval_s = 0.0112;
    assert!(make(&table, &ask).unwrap().file.idle.is_none());
}

#[test]
fn what_cannot_be_planned_is_said_in_one_sentence() {
    let two = table(2, 2, &[(0.001, 0.01)]);
    let said = |table: &CostTable, change: &dyn Fn(&mut Ask)| {
        let mut ask = Ask::new(0.01, vec![0.5, 0.5]);
        change(&mut ask);
        make(table, &ask).unwrap_err().to_string()
    };
    let words = said(&two, &|ask| ask.deadline_s = 0.001);
    assert!(words.contains("takes at least 2.040 ms"), "{words}");
    let words = said(&two, &|ask| ask.power_cap_w = Some(1.0));
    assert_eq!(
        words,
        "no clock point draws at most 1 W in every segment; raise --power-cap-w"
    );
    let words = said(&two, &|ask| ask.beliefs.classes[0].exit_share = vec![1.0]);
    assert!(
        words.contains("1 exit points, but the table has 2"),
        "{words}"
    );
    let rows = vec![row(1, ClockPoint::new([1, 0, 0]), 1.0, 1.0)];
    let gap = CostTable::new(Head::default(), rows).unwrap();
    assert!(said(&gap, &|_| ()).contains("no row of segment 0"));
}
