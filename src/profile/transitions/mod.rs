//! How long a clock takes from the write until it is in effect.
//!
//! Guarantees: every time is from just before the write of a change whose former
//! clock was in effect. By read-back: until a read shows the new clock, looked at
//! without a pause (a read takes 1-10 us; that is the resolution). For a CPU also
//! by a loop of fixed work on one of its cores: until its passes (about 20 us at
//! the fastest clock) change their speed. Where speed does not follow the clock, as
//! in an emulator, the loop is not used and a note says so.
//!
//! Not guaranteed: that a clock which only repeats the wish is in effect when it
//! shows; such distributions are not `verified`. A change that is clamped or does
//! not come within 200 ms is counted as missed.
//!
//! Cost: about 0.1 s a change at most. The clocks must be guarded by the caller.

pub mod detect;
mod looped;
mod report;

pub use report::{By, Direction, Distribution, DomainTransitions, Times};

use crate::clocks::{ClockDomain, DomainKind, Opp, Outcome, settle};
use crate::monotonic::now_ns;
use detect::{change, undisturbed};
use looped::Loop;
use std::time::Duration;

/// A change that is not in effect by then is missed.
const LIMIT_NS: u64 = 200_000_000;
/// Time for which a loop runs before and after a change.
const BEFORE: Duration = Duration::from_millis(4);
const AFTER: Duration = Duration::from_millis(60);
/// Time for which speed is measured at one clock, and how often.
const SPEED_NS: u64 = 10_000_000;
const SPEED_ROUNDS: usize = 4;
/// Share of the clocks' ratio (as a power) that speed must follow.
const FOLLOWS: f64 = 0.5;

/// Measures one guarded domain, `repeats` times a direction and way, while `go_on`
/// is true. `core` is one of its cores, for a CPU.
pub fn measure(
    domain: &mut dyn ClockDomain,
    core: Option<usize>,
    repeats: usize,
    go_on: &dyn Fn() -> bool,
) -> DomainTransitions {
    let pairs = pairs(domain);
    let (low, high) = *pairs
        .first()
        .unwrap_or(&(domain.opps().lowest(), domain.opps().highest()));
    let mut found = DomainTransitions {
        domain: domain.name().to_owned(),
        kind: domain.kind(),
        between_khz: (low.khz().0, high.khz().0),
        speed_follows_clock: None,
        notes: Vec::new(),
        distributions: Vec::new(),
    };
    if pairs.is_empty() {
        found
            .notes
            .push("it has one clock only, so that nothing can change".into());
        return found;
    }
    let session = Session {
        pairs,
        repeats,
        go_on,
    };
    read_back(domain, &session, &mut found);
    if let (DomainKind::Cpu, Some(core)) = (domain.kind(), core) {
        by_loop(domain, core, &session, &mut found);
    }
    found
}

/// What is changed between, how often, and whether to go on.
struct Session<'a> {
    pairs: Vec<(Opp, Opp)>,
    repeats: usize,
    go_on: &'a dyn Fn() -> bool,
}

/// Slower and faster points: the ends of what is allowed now, and each with the
/// middle.
fn pairs(domain: &mut dyn ClockDomain) -> Vec<(Opp, Opp)> {
    let highest = domain.allowed().highest;
    let opps: Vec<Opp> = domain
        .opps()
        .iter()
        .filter(|opp| opp.khz() <= highest)
        .collect();
    let (Some(&low), Some(&high)) = (opps.first(), opps.last()) else {
        return Vec::new();
    };
    let middle = opps[opps.len() / 2];
    [(low, high), (low, middle), (middle, high)]
        .into_iter()
        .filter(|(slow, fast)| slow != fast)
        .collect()
}

/// Brings the domain to `opp` and waits until it is there; false where it does not
/// come.
fn bring(domain: &mut dyn ClockDomain, opp: Opp) -> bool {
    domain.set(opp);
    let deadline = now_ns() + LIMIT_NS;
    let outcome = settle(domain, deadline);
    match outcome {
        Outcome::InEffect => true,
        Outcome::Unverified => {
            // It shows when the driver has taken the wish, if at all.
            while now_ns() < deadline && domain.now().is_ok_and(|now| now.khz != opp.khz()) {
                std::thread::yield_now();
            }
            true
        }
        _ => false,
    }
}

/// Calls `measure` with the former and the new point of every change, up and down
/// in turn.
fn changes(
    session: &Session<'_>,
    mut measure: impl FnMut(Opp, Opp) -> Option<u64>,
) -> [(Direction, Times); 2] {
    let mut up = (Direction::Up, Times::default());
    let mut down = (Direction::Down, Times::default());
    for repeat in 0..session.repeats {
        if !(session.go_on)() {
            break;
        }
        let (slow, fast) = session.pairs[repeat % session.pairs.len()];
        up.1.add(measure(slow, fast));
        down.1.add(measure(fast, slow));
    }
    [up, down]
}

fn read_back(domain: &mut dyn ClockDomain, session: &Session<'_>, found: &mut DomainTransitions) {
    let Ok(reading) = domain.now() else {
        found
            .notes
            .push("its clock cannot be read, so that nothing shows a change".into());
        return;
    };
    let mut refused = None;
    let times = changes(session, |from, to| {
        if !bring(domain, from) {
            return None;
        }
        let written = now_ns();
        if let Outcome::Refused { why, .. } = domain.set(to) {
            refused = Some(why);
            return None;
        }
        loop {
            let now = domain.now().ok()?;
            let at = now_ns();
            if now.khz == to.khz() {
                return Some(at - written);
            }
            if at - written > LIMIT_NS {
                return None;
            }
        }
    });
    if let Some(why) = refused {
        found.notes.push(format!("a change was refused: {why}"));
    }
    if !reading.measured {
        found.notes.push(
            "its clock reads only as what was asked for last (*), so that read-back shows the \
             driver, not the hardware"
                .into(),
        );
    }
    for (direction, times) in times {
        let read = Distribution::of(direction, By::ReadBack, reading.measured, &times);
        found.distributions.push(read);
    }
}

fn by_loop(
    domain: &mut dyn ClockDomain,
    core: usize,
    session: &Session<'_>,
    found: &mut DomainTransitions,
) {
    let (low, high) = session.pairs[0];
    if !bring(domain, high) {
        found
            .notes
            .push("its fastest clock does not come, so that no loop can be calibrated".into());
        return;
    }
    let calibrated = Loop::calibrate(core);
    let Some(ratio) = speed_ratio(domain, calibrated, low, high) else {
        found.notes.push(format!("no loop runs on core {core}"));
        return;
    };
    let clocks = f64::from(high.khz().0) / f64::from(low.khz().0);
    let follows = ratio.ln() >= FOLLOWS * clocks.ln();
    found.speed_follows_clock = Some(follows);
    if !follows {
        found.notes.push(format!(
            "its speed does not follow the clock (an emulator?): {ratio:.2} times the speed at \
             {clocks:.2} times the clock, so that only read-back is used"
        ));
        return;
    }
    let times = changes(session, |from, to| {
        bring(domain, from).then_some(())?;
        let (samples, written) = calibrated.run_while(|| {
            std::thread::sleep(BEFORE);
            let written = now_ns();
            let outcome = domain.set(to);
            std::thread::sleep(AFTER);
            (!matches!(outcome, Outcome::Refused { .. })).then_some(written)
        });
        let written = written?;
        Some(change(&samples, written)? - written)
    });
    for (direction, times) in times {
        found
            .distributions
            .push(Distribution::of(direction, By::Loop, true, &times));
    }
}

/// How many times as fast a core is at `high` as at `low`. Both are measured in turn,
/// several times, and the best of each counts: what else the machine does makes a loop
/// slower at either clock, never faster.
fn speed_ratio(domain: &mut dyn ClockDomain, calibrated: Loop, low: Opp, high: Opp) -> Option<f64> {
    let (mut slow, mut fast) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..SPEED_ROUNDS {
        for (opp, best) in [(high, &mut fast), (low, &mut slow)] {
            bring(domain, opp);
            // A clock that cannot be verified is given the time that the slowest needs.
            std::thread::sleep(AFTER);
            *best = best.min(undisturbed(&calibrated.run_for(SPEED_NS))?);
        }
    }
    Some(slow / fast)
}

#[cfg(test)]
mod tests;
