//! The E4 table: boards, bundles and rates by methods, and what follows from it.
//!
//! Guarantees: every method runs on a trace of its own exit policy and on the same
//! clips; what a line says is computed from the simulations, none of it is stated.
//! Cost: some minutes of one core for five boards and two rates.

mod chart;
mod csv;
mod markdown;
mod split;

pub use split::{Peer, Split};

use super::methods::{MethodName, NeedsTrace, Run, SimError, simulate};
use super::outcome::{Figures, float};
use super::stream::Pace;
use crate::board::{Description, Of, SegmentLoad};
use crate::plan::planner::Objective;
use crate::sim::trace::ReadTrace;

/// How often frames come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// So many a second: a camera.
    Fps(f64),
    /// So many that full depth at the highest clocks works for this share of the time:
    /// a board that is given as much as it was bought for.
    Load(f64),
}

impl Rate {
    /// The pace on a board; without a deadline it is the time to the next frame.
    #[must_use]
    pub fn pace(
        self,
        board: &Description,
        loads: &[SegmentLoad],
        deadline_ms: Option<f64>,
    ) -> Pace {
        let interval_s = match self {
            Self::Fps(fps) => 1.0 / fps,
            Self::Load(share) => {
                let cost = |load: &SegmentLoad| board.cost(load, board.highest())[0];
                loads.iter().map(cost).sum::<f64>() / share
            }
        };
        Pace {
            interval_ns: ns(interval_s),
            deadline_ns: ns(deadline_ms.map_or(interval_s, |ms| ms / 1e3)),
        }
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Fps(fps) => format!("{fps} frames a second"),
            Self::Load(share) => format!(
                "as many frames as keep full depth at MAXN busy for {:.0} % of the time",
                100.0 * share
            ),
        }
    }

    /// In one word, for tables.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::Fps(fps) => format!("{fps} fps"),
            Self::Load(share) => format!("load {share}"),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "above 0; the cast saturates"
)]
fn ns(seconds: f64) -> u64 {
    (libm::round(seconds * 1e9) as u64).max(1)
}

/// A bundle with its traces.
#[derive(Clone, Debug)]
pub struct Network<'a> {
    /// Whose segments they are.
    pub of: &'a Of,
    /// What they ask for.
    pub loads: &'a [SegmentLoad],
    /// Of full depth, of the softmax thresholds, of the gates.
    pub traces: [&'a ReadTrace; 3],
}

impl Network<'_> {
    fn trace(&self, needs: NeedsTrace) -> &ReadTrace {
        match needs {
            NeedsTrace::Full => self.traces[0],
            NeedsTrace::Softmax => self.traces[1],
            NeedsTrace::Gates => self.traces[2],
        }
    }
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The board.
    pub board: &'static Description,
    /// Name of the bundle.
    pub bundle: String,
    /// How often frames come.
    pub rate: Rate,
    /// The same on this board.
    pub pace: Pace,
    /// What sets the clocks.
    pub method: MethodName,
    /// What was to be least.
    pub objective: Objective,
    /// The figures.
    pub figures: Figures,
}

impl Entry {
    /// Share of the frames that were late, %.
    #[must_use]
    pub fn late_percent(&self) -> f64 {
        100.0 * float(self.figures.deadline_misses) / float(self.figures.frames.max(1))
    }

    /// The method's title.
    fn title(&self) -> String {
        match self.objective {
            Objective::Latency => format!("{}, objective latency", self.method.title()),
            _ => self.method.title().to_owned(),
        }
    }
}

/// What is to be in the table.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The boards.
    pub boards: Vec<&'static Description>,
    /// The bundles.
    pub networks: Vec<Network<'a>>,
    /// The rates.
    pub rates: Vec<Rate>,
    /// The deadline, where it is not the time to the next frame.
    pub deadline_ms: Option<f64>,
    /// Seed of all that is random.
    pub seed: u64,
    /// Frames to judge; unset: those of the traces.
    pub frames: Option<u64>,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// By rate, bundle and board, the methods in the order of [`MethodName::ALL`], then
    /// ours with the objective latency.
    pub entries: Vec<Entry>,
}

/// All that is run for one board, bundle and rate.
fn lines() -> impl Iterator<Item = (MethodName, Objective)> {
    let all = MethodName::ALL.into_iter();
    let all = all.map(|method| (method, Objective::Energy));
    all.chain([(MethodName::Ours, Objective::Latency)])
}

impl Table {
    /// Runs everything, the boards side by side.
    ///
    /// # Errors
    /// The first simulation that does not run.
    pub fn make(wanted: &Wanted<'_>) -> Result<Self, SimError> {
        let mut entries = Vec::new();
        for &rate in &wanted.rates {
            for network in &wanted.networks {
                let boards: Result<Vec<Vec<Entry>>, SimError> = std::thread::scope(|scope| {
                    let start = |board: &&'static Description| {
                        let board = *board;
                        scope.spawn(move || column(wanted, network, rate, board))
                    };
                    let running: Vec<_> = wanted.boards.iter().map(start).collect();
                    let ended = running.into_iter().map(std::thread::ScopedJoinHandle::join);
                    let passed_on = |panic| std::panic::resume_unwind(panic);
                    ended.map(|end| end.unwrap_or_else(passed_on)).collect()
                });
                entries.extend(boards?.into_iter().flatten());
            }
        }
        Ok(Self { entries })
    }

    /// The line of a method beside `like`: same board, bundle and rate.
    #[must_use]
    pub fn beside(&self, like: &Entry, method: MethodName, objective: Objective) -> Option<&Entry> {
        let same = |entry: &&Entry| {
            (entry.board.name.as_str(), &entry.bundle) == (&like.board.name, &like.bundle)
                && entry.rate == like.rate
                && (entry.method, entry.objective) == (method, objective)
        };
        self.entries.iter().find(same)
    }

    /// Our lines.
    pub fn ours(&self) -> impl Iterator<Item = &Entry> {
        let ours = |entry: &&Entry| {
            (entry.method, entry.objective) == (MethodName::Ours, Objective::Energy)
        };
        self.entries.iter().filter(ours)
    }
}

/// One board, bundle and rate.
fn column(
    wanted: &Wanted<'_>,
    network: &Network<'_>,
    rate: Rate,
    board: &'static Description,
) -> Result<Vec<Entry>, SimError> {
    let pace = rate.pace(board, network.loads, wanted.deadline_ms);
    let entry = |(method, objective): (MethodName, Objective)| {
        let simulated = simulate(&Run {
            board,
            loads: network.loads,
            of: network.of,
            trace: network.trace(method.needs()),
            method,
            objective,
            pace,
            seed: wanted.seed,
            frames: wanted.frames,
        })?;
        Ok(Entry {
            board,
            bundle: network.of.bundle.clone(),
            rate,
            pace,
            method,
            objective,
            figures: simulated.figures,
        })
    };
    lines().map(entry).collect()
}

#[cfg(test)]
mod tests;
