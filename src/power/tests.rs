//! Energy against simulated sensors whose true energy is known.

use super::*;

/// A sequence that is the same on every machine; uniform on 0..1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Power in watts that changes at moments (in seconds); the first is at 0.
#[derive(Clone, Debug)]
struct Profile(Vec<(f64, f64)>);

impl Profile {
    /// Joules from `from` to `to`.
    fn energy(&self, from: f64, to: f64) -> f64 {
        let ends = self
            .0
            .iter()
            .skip(1)
            .map(|step| step.0)
            .chain([f64::INFINITY]);
        let parts = self.0.iter().zip(ends);
        let part = |(&(start, watts), end): (&(f64, f64), f64)| {
            watts * (end.min(to) - start.max(from)).max(0.0)
        };
        parts.map(part).sum()
    }

    fn mean(&self, from: f64, to: f64) -> f64 {
        self.energy(from, to) / (to - from)
    }
}

/// How a simulated sensor works inside. Seconds and watts.
#[derive(Clone, Copy, Debug)]
struct Inside {
    quantity: Quantity,
    refresh: f64,
    /// Averaged over before each refresh; 0: the power at that moment.
    average: f64,
    step_w: f64,
    phase: f64,
}

const START: f64 = 10.0;

fn nanoseconds(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some seconds after the start"
    )]
    let ns = (seconds * 1e9) as u64;
    ns
}

fn window(inside: &Inside) -> Window {
    Window {
        refresh_ns: nanoseconds(inside.refresh),
        average_ns: match inside.quantity {
            Quantity::Power => nanoseconds(inside.refresh),
            Quantity::Energy => 0,
        },
        source: WindowSource::Stated,
    }
}

/// What a reading at `t` shows, in microwatts or microjoules.
fn shown(profile: &Profile, inside: &Inside, t: f64) -> f64 {
    let refreshed = ((t - inside.phase) / inside.refresh).floor() * inside.refresh + inside.phase;
    match inside.quantity {
        Quantity::Energy => (profile.energy(0.0, refreshed) * 1e6).floor(),
        Quantity::Power => {
            let over = inside.average.max(1e-9);
            let watts = profile.mean(refreshed - over, refreshed);
            (watts / inside.step_w).round() * inside.step_w * 1e6
        }
    }
}

/// Marks of a sampler that comes up to a quarter of a period late.
fn history(profile: &Profile, inside: &Inside, length: f64, random: &mut Random) -> History {
    let window = window(inside);
    let mut integrator = Integrator::new(inside.quantity, &window);
    let mut history = History::new(1 << 16, &window, 0.0);
    let quantum = match inside.quantity {
        Quantity::Power => inside.step_w * 1e6,
        Quantity::Energy => 1.0,
    };
    let mut t = START - 5.0 * inside.refresh;
    while t < START + length + 5.0 * inside.refresh {
        let late = random.next() * inside.refresh / 4.0;
        let at = nanoseconds(t + late);
        let value = shown(profile, inside, t + late);
        if let Some(mark) = integrator.reading(at, at + 1_000, value, quantum) {
            history.push(mark);
        }
        t += inside.refresh;
    }
    history
}

fn figure(profile: &Profile, inside: &Inside, length: f64, random: &mut Random) -> Figure {
    let history = history(profile, inside, length, random);
    let (from, to) = (nanoseconds(START), nanoseconds(START + length));
    history.between(from, to).expect("a figure")
}

/// Sensors as they are: all of the time averaged, a sixth of it, a moment; and a
/// counter.
fn kinds(random: &mut Random) -> Vec<Inside> {
    let inside = |quantity, refresh, average, phase| Inside {
        quantity,
        refresh,
        average,
        step_w: 0.04,
        phase,
    };
    let phase = random.next() * 0.007;
    vec![
        inside(Quantity::Power, 0.007, 0.007, phase),
        inside(Quantity::Power, 0.007, 0.001, phase),
        inside(Quantity::Power, 0.007, 0.0, phase),
        inside(Quantity::Energy, 0.001, 0.0, phase / 7.0),
    ]
}

#[test]
fn constant_power_is_right_to_the_resolution() {
    let mut random = Random(1);
    let profile = Profile(vec![(0.0, 5.013)]);
    for inside in kinds(&mut random) {
        let figure = figure(&profile, &inside, 10.0, &mut random);
        assert!(
            (figure.joules - 50.13).abs() <= figure.error_joules,
            "{inside:?} {figure:?}"
        );
        assert!(figure.error_joules <= 0.02 * 50.13, "{inside:?} {figure:?}");
        assert_eq!(figure.missed_seconds, 0.0);
    }
}

#[test]
fn few_steps_at_any_time_are_always_inside_the_bar() {
    let mut random = Random(2);
    for round in 0..500 {
        let steps = 1 + round % 3;
        let mut times: Vec<f64> = (0..steps)
            .map(|_| START - 0.02 + random.next() * 0.54)
            .collect();
        times.sort_by(f64::total_cmp);
        let mut profile = vec![(0.0, 1.0 + 9.0 * random.next())];
        profile.extend(times.into_iter().map(|t| (t, 1.0 + 9.0 * random.next())));
        let profile = Profile(profile);
        for inside in kinds(&mut random) {
            let figure = figure(&profile, &inside, 0.5, &mut random);
            let truth = profile.energy(START, START + 0.5);
            assert!(
                (figure.joules - truth).abs() <= figure.error_joules,
                "{truth} {figure:?} {inside:?} {profile:?}"
            );
        }
    }
}

/// A load that goes up and down as frames come, not in the sensor's rhythm.
fn telegraph(random: &mut Random, length: f64) -> Profile {
    let mut profile = vec![(0.0, 2.0)];
    let mut t = START - 1.0;
    while t < START + length + 1.0 {
        t += 0.010 + 0.040 * random.next();
        let high = profile.len() % 2 == 1;
        profile.push((t, if high { 8.0 } else { 2.0 }));
    }
    Profile(profile)
}

#[test]
fn many_steps_are_inside_the_bar_and_the_bar_stays_small() {
    let mut random = Random(3);
    let (mut inside_bar, mut all) = (0, 0);
    for _ in 0..75 {
        let profile = telegraph(&mut random, 10.0);
        let truth = profile.energy(START, START + 10.0);
        for inside in kinds(&mut random) {
            let figure = figure(&profile, &inside, 10.0, &mut random);
            all += 1;
            inside_bar += usize::from((figure.joules - truth).abs() <= figure.error_joules);
            let share = figure.error_joules / truth;
            assert!(share <= 0.06, "{share} {inside:?}");
        }
    }
    println!("{inside_bar} of {all} inside the bar");
    assert!(inside_bar * 1_000 >= all * 997, "{inside_bar} of {all}");
}

#[test]
fn a_stretch_shorter_than_the_window_has_no_figure() {
    let mut random = Random(4);
    let profile = Profile(vec![(0.0, 5.0)]);
    for inside in kinds(&mut random) {
        let history = history(&profile, &inside, 1.0, &mut random);
        let span = window(&inside).span_ns();
        let from = nanoseconds(START);
        assert_eq!(
            history.between(from, from + span - 1_000),
            None,
            "{inside:?}"
        );
        assert!(
            history.between(from, from + span + 1_000).is_some(),
            "{inside:?}"
        );
        assert_eq!(history.between(from, from), None);
        assert_eq!(
            history.between(from + span + 1_000, from),
            None,
            "backwards"
        );
    }
}

#[test]
fn what_is_not_covered_has_no_figure() {
    let mut random = Random(5);
    let profile = Profile(vec![(0.0, 5.0)]);
    let inside = kinds(&mut random)[0];
    let history = history(&profile, &inside, 1.0, &mut random);
    let at = nanoseconds;
    assert_eq!(history.between(at(START - 1.0), at(START + 0.5)), None);
    assert_eq!(history.between(at(START), at(START + 2.0)), None);
    assert_eq!(
        History::new(8, &window(&inside), 0.0).between(at(START), at(START + 1.0)),
        None
    );
}

#[test]
fn the_first_energy_after_a_start_is_that_of_the_stretch_alone() {
    let window = Window {
        refresh_ns: 1_000_000,
        average_ns: 0,
        source: WindowSource::Assumed,
    };
    let mut integrator = Integrator::new(Quantity::Energy, &window);
    let mark = integrator
        .reading(1_000_000_000, 1_000_000_000, 7e12, 1.0)
        .unwrap();
    assert_eq!(mark.energy_j, 0.0);
}

const WINDOW: Window = Window {
    refresh_ns: 10_000_000,
    average_ns: 10_000_000,
    source: WindowSource::Stated,
};

/// Readings of 5 W every 10 ms for a second; what is odd happens before the 50th.
fn with_trouble(trouble: impl FnOnce(&mut Integrator), pause_ns: u64) -> History {
    let mut integrator = Integrator::new(Quantity::Power, &WINDOW);
    let mut history = History::new(1_000, &WINDOW, 0.0);
    let mut trouble = Some(trouble);
    for step in 0..100_u64 {
        let pause = if step < 50 { 0 } else { pause_ns };
        if step == 50
            && let Some(trouble) = trouble.take()
        {
            trouble(&mut integrator);
        }
        let at = 1_000_000_000 + step * 10_000_000 + pause;
        history.push(integrator.reading(at, at, 5e6, 0.0).unwrap());
    }
    history
}

#[test]
fn a_failed_reading_is_a_gap_and_no_zero() {
    let history = with_trouble(|i| i.fault(Fault::NotANumber), 0);
    let (from, to) = (1_100_000_000, 1_900_000_000);
    assert_eq!(history.between(from, to), None);
    let (from, to) = (history.moment(from).unwrap(), history.moment(to).unwrap());
    let figure = history.figure(&from, &to).unwrap();
    assert!((figure.missed_seconds - 0.01).abs() < 1e-9, "{figure:?}");
    assert!((figure.joules - 0.79 * 5.0).abs() < 1e-9, "{figure:?}");
    assert!((figure.watts() - 5.0).abs() < 1e-9, "{figure:?}");
    assert!(history.between(1_600_000_000, 1_900_000_000).is_some());
}

#[test]
fn a_sampler_that_was_suspended_has_a_gap() {
    let history = with_trouble(|_| (), 3_000_000_000);
    let moments = (history.moment(1_100_000_000), history.moment(4_900_000_000));
    let figure = history
        .figure(&moments.0.unwrap(), &moments.1.unwrap())
        .unwrap();
    assert!((figure.missed_seconds - 3.01).abs() < 1e-6, "{figure:?}");
    assert!((figure.watts() - 5.0).abs() < 1e-6, "{figure:?}");
}

#[test]
fn a_counter_that_went_back_has_a_gap_and_one_that_was_not_read_has_none() {
    for (fault, missed) in [(Fault::WentBack, true), (Fault::NotANumber, false)] {
        let mut integrator = Integrator::new(Quantity::Energy, &WINDOW);
        let first = integrator.reading(0, 0, 0.0, 1.0).unwrap();
        integrator.fault(fault);
        let second = integrator
            .reading(100_000_000, 100_000_000, 5e6, 1.0)
            .unwrap();
        assert_eq!(second.missed_s > 0.0, missed);
        assert_eq!(second.energy_j > first.energy_j, !missed);
    }
}

#[test]
fn marks_that_are_left_out_cost_no_energy() {
    let mut random = Random(6);
    let profile = telegraph(&mut random, 10.0);
    let inside = kinds(&mut random)[0];
    let all = history(&profile, &inside, 10.0, &mut random);
    let whole = all
        .between(nanoseconds(START), nanoseconds(START + 10.0))
        .unwrap();
    assert!(whole.watts() > 2.0 && whole.watts() < 8.0);
    let mut thin = History::new(1 << 16, &window(&inside), 0.0);
    all.marks().step_by(50).for_each(|mark| thin.push(*mark));
    let marks: Vec<Mark> = thin.marks().copied().collect();
    let (from, to) = (marks[1].at_ns, marks[20].at_ns);
    let (thin, all) = (
        thin.between(from, to).unwrap(),
        all.between(from, to).unwrap(),
    );
    assert!((thin.joules - all.joules).abs() < 1e-9, "{thin:?} {all:?}");
}
