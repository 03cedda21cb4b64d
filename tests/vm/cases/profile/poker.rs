//! Keeps the power that an INA3221 shows U-shaped over the CPU's clock.

use super::POLICY;
use crate::guest::i2c::Chip;
use crate::guest::read;
use anyhow::{Context, Result, anyhow};
use e4::sync::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Refreshed so often.
const EVERY: Duration = Duration::from_millis(20);
const VOLTS: f64 = 12.0;
/// The least, and what each point further off draws more.
const LEAST_W: f64 = 3.0;
const STEP_W: f64 = 1.2;

/// A thread that reads the clock and sets the current.
#[derive(Debug)]
pub struct Poker {
    best_khz: u64,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Chip>>>,
}

impl Poker {
    /// The least is in the middle of the `clocks`: 3 W, its neighbours draw 4.2 W.
    pub fn start(clocks: &[u64]) -> Result<Self> {
        let chip = Chip::stub(0x40)?;
        chip.set(0x00, 0x7127)?;
        chip.set(0x02, (12_000 / 8) << 3)?;
        chip.set(0x01, 0)?;
        chip.attach("ina3221")?;
        let mut clocks = clocks.to_vec();
        clocks.sort_unstable();
        let best = clocks.len() / 2;
        let over: Arc<AtomicBool> = Arc::default();
        let (best_khz, end) = (clocks[best], over.clone());
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let khz = read(format!("{POLICY}/scaling_cur_freq"))?.parse()?;
                let at = clocks.partition_point(|c| *c < khz);
                #[expect(clippy::cast_precision_loss, reason = "a few steps")]
                let watts = LEAST_W + STEP_W * at.abs_diff(best) as f64;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "at most 16 A"
                )]
                chip.set(0x01, ((watts / VOLTS / 0.004).round() as u16) << 3)?;
                std::thread::sleep(EVERY);
            }
            Ok(chip)
        });
        Ok(Self {
            best_khz,
            over,
            thread: Some(thread),
        })
    }

    /// The clock of least power.
    pub fn best(&self) -> u64 {
        self.best_khz
    }

    /// Ends it and takes the chip away.
    pub fn end(mut self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("ended before")?;
        let chip = thread.join().map_err(|_| anyhow!("the poker panicked"))??;
        chip.detach()
    }
}
