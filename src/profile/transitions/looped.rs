//! A loop of fixed work on one core, whose passes show that core's speed.

use super::detect::Sample;
use crate::monotonic::now_ns;
use crate::rt::{SchedClass, ThreadSetup};
use crate::sync::{AtomicBool, Ordering};
use std::hint::black_box;

/// Time that a pass is to take, in nanoseconds.
const PASS_NS: u64 = 20_000;
/// Most passes that are kept.
const ROOM: usize = 16_384;
/// Fewest passes of a run: a core may be busy for longer than the run is to take.
const LEAST: usize = 32;

/// A loop that is calibrated for a core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loop {
    core: usize,
    steps: u32,
}

/// A chain of steps, each of which needs the one before.
fn work(steps: u32) -> u64 {
    let mut x = black_box(0x9E37_79B9_7F4A_7C15_u64);
    for _ in 0..steps {
        x = x.wrapping_mul(0xD134_2543_DE82_EF95).rotate_left(17) ^ 1;
    }
    black_box(x)
}

fn pass(steps: u32) -> Sample {
    let began_ns = now_ns();
    work(steps);
    Sample {
        began_ns,
        took_ns: now_ns().saturating_sub(began_ns),
    }
}

impl Loop {
    /// Finds how many steps make a pass of 20 us at the core's present speed.
    pub(super) fn calibrate(core: usize) -> Self {
        let steps = on_core(core, || {
            let mut steps = 1_000_u32;
            for _ in 0..4 {
                let fastest = (0..16).map(|_| pass(steps).took_ns).min();
                let took = fastest.unwrap_or(0).max(1);
                let wanted = u64::from(steps) * PASS_NS / took;
                steps = u32::try_from(wanted)
                    .unwrap_or(u32::MAX)
                    .clamp(100, 10_000_000);
            }
            steps
        });
        Self { core, steps }
    }

    /// Passes for `duration_ns`.
    pub(super) fn run_for(self, duration_ns: u64) -> Vec<Sample> {
        on_core(self.core, || {
            let end = now_ns().saturating_add(duration_ns);
            self.passes(|| now_ns() >= end)
        })
    }

    /// Passes for as long as `meanwhile` takes, which begins once they run.
    pub(super) fn run_while<T>(self, meanwhile: impl FnOnce() -> T) -> (Vec<Sample>, T) {
        let (running, over) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let passes = scope.spawn(|| {
                set_up(self.core);
                // SYNC: loop (both): no data travels with these.
                running.store(true, Ordering::Relaxed);
                self.passes(|| over.load(Ordering::Relaxed))
            });
            while !running.load(Ordering::Relaxed) && !passes.is_finished() {
                std::thread::yield_now();
            }
            let done = meanwhile();
            over.store(true, Ordering::Relaxed);
            (passes.join().unwrap_or_default(), done)
        })
    }

    fn passes(self, over: impl Fn() -> bool) -> Vec<Sample> {
        let mut samples = Vec::with_capacity(ROOM);
        while samples.len() < LEAST || (samples.len() < ROOM && !over()) {
            samples.push(pass(self.steps));
        }
        samples
    }
}

/// A core that this process may not use leaves the loop where the scheduler puts
/// it; the speed then follows the clock or not, which is looked at anyway.
fn set_up(core: usize) {
    let setup = ThreadSetup {
        core: Some(core),
        class: SchedClass::Other,
        ..ThreadSetup::default()
    };
    let _ = setup.apply();
}

fn on_core<T: Send + Default>(core: usize, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            set_up(core);
            work()
        });
        thread.join().unwrap_or_default()
    })
}
