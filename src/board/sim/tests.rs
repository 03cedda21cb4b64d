use super::*;
use crate::board::{boards, named};

const LOADS: [SegmentLoad; 2] = [SegmentLoad::MOBILENETV2, SegmentLoad::RESNET50];

fn sim(name: &str, seed: u64) -> SimBoard {
    SimBoard::new(named(name).unwrap(), &LOADS, seed)
}

/// Frames with changes of clocks between.
fn session(seed: u64) -> (u64, f64, f64) {
    let mut board = sim("tx2", seed);
    for frame in 0..200_usize {
        board.set(Axis::Gpu, frame % 13);
        board.run(frame % 2).unwrap();
        board.wait(board.now_ns() + 3_000_000);
    }
    (board.now_ns(), board.energy_j(), board.watts())
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    assert_eq!(session(5), session(5));
    assert_ne!(session(5), session(6));
}

#[test]
fn without_changes_a_run_costs_what_the_table_says() {
    for description in boards() {
        let mut board = SimBoard::new(description, &LOADS, 1);
        let n = 400;
        let runs: Vec<Ran> = (0..n).map(|_| board.run(0).unwrap()).collect();
        let mean_s = runs.iter().map(|r| seconds(r.latency_ns)).sum::<f64>() / f64::from(n);
        let [latency_s, _] = description.cost(&LOADS[0], description.highest());
        assert!(
            (mean_s / latency_s - 1.0).abs() < 0.01,
            "{}",
            description.name
        );
        let all: f64 = runs.iter().map(|r| r.energy_j).sum();
        assert!((all / board.energy_j() - 1.0).abs() < 1e-9);
    }
}

#[test]
fn a_change_takes_its_time_and_a_stretch_meanwhile_runs_in_pieces() {
    let mut board = sim("nano", 2);
    let asked = board.set(Axis::Gpu, 0);
    assert!(asked.level == 0 && asked.at_ns > 4_000_000 && asked.at_ns < 11_000_000);
    assert_eq!(board.level(Axis::Gpu), 11);
    let whole = board.description().cost(&LOADS[1], board.point())[0];
    let ran = board.run(1).unwrap();
    let slow = board.description().cost(&LOADS[1], board.point())[0];
    assert_eq!(board.level(Axis::Gpu), 0);
    let took = seconds(ran.latency_ns);
    assert!(took > whole * 1.05 && took < slow, "{whole} {took} {slow}");
}

#[test]
fn a_segment_in_pieces_takes_what_it_takes_at_once() {
    let (mut whole, mut pieces) = (sim("tx2", 7), sim("tx2", 7));
    whole.set(Axis::Gpu, 3);
    pieces.set(Axis::Gpu, 3);
    let ran = whole.run(1).unwrap();
    assert!(pieces.begin(1));
    let mut cut = 0;
    let other = loop {
        cut += 1;
        match pieces.advance(pieces.now_ns() + 500_000) {
            Some(ran) => break ran,
            None => assert!(cut < 1_000),
        }
    };
    assert!(cut > 5);
    assert!(ran.latency_ns.abs_diff(other.latency_ns) < 1_000);
    assert!((ran.energy_j / other.energy_j - 1.0).abs() < 1e-4);
    assert!(whole.busy_s()[1] > 0.0 && whole.busy_s()[1] <= whole.now_ns() as f64 * 1e-9);
}

#[test]
fn a_cap_holds_and_its_end_gives_the_wish_back() {
    let mut board = sim("agx-orin", 3);
    board.cap(Axis::Gpu, 3);
    board.wait(100_000_000);
    assert_eq!(board.level(Axis::Gpu), 3);
    assert_eq!(board.set(Axis::Gpu, 9).level, 3);
    board.cap(Axis::Gpu, 99);
    board.wait(200_000_000);
    assert_eq!(board.level(Axis::Gpu), 9);
}

#[test]
fn a_hot_board_throttles_and_a_cool_one_does_not() {
    let mut hot = sim("nano", 4);
    hot.thermal.degrees = 200.0;
    hot.wait(3_000_000_000);
    assert!(hot.allowed(Axis::Gpu) < 11 && hot.level(Axis::Gpu) < 11);
    let mut cool = sim("nano", 4);
    cool.wait(3_000_000_000);
    assert_eq!(cool.allowed(Axis::Gpu), 11);
    assert!(cool.degrees() > 25.0 && cool.degrees() < 60.0);
}

#[test]
fn the_sensor_agrees_with_the_true_energy() {
    let mut board = sim("xavier-nx", 9);
    board.wait(1_000_000_000);
    let truth_w = board.energy_j();
    assert!((board.watts() / truth_w - 1.0).abs() < 0.06);
}

#[test]
fn an_unknown_segment_is_refused_and_a_level_beyond_the_table_is_the_highest() {
    let mut board = sim("nano", 1);
    assert!(board.run(2).is_none());
    assert_eq!(board.set(Axis::Cpu, usize::MAX).level, 14);
}
