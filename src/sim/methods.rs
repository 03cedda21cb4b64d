//! The methods by name, and how one is run.

use super::outcome::{Figures, Outcome, Search, float};
use super::peers::{Governors, Ring, Ztt, e4, fixed};
use super::planned::{self, Extent, PlannedError};
use super::scene::{Prepared, Scene};
use super::stream::{Pace, Stream, Untouched};
use super::survey::go_to;
use super::trace::{ReadTrace, TraceFrame};
use crate::board::{Description, Of, SegmentLoad, SimBoard};
use crate::gates::ExitPolicy;
use crate::plan::cost::CostTable;
use crate::plan::file::PlanFile;
use crate::plan::planner::Objective;
use crate::plan::search;
use std::fmt;

/// Virtual time before a stream is judged, s: the board warms up (five time constants).
pub const WARM_UP_S: f64 = 600.0;
/// The same where a method learns in it: as long as zTT's artifact does.
pub const LEARNING_S: f64 = 2_000.0;
/// Share of a trace's frames, whole clips, that methods may learn from; they are
/// judged on the others.
const KNOWN: f64 = 0.25;

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MethodName {
    /// Full depth, all clocks at their highest.
    Maxn,
    /// Full depth under the kernel's governors.
    Governors,
    /// Full depth in the middle mode of nvpmodel.
    Mode,
    /// zTT, full depth.
    Ztt,
    /// Ring-DVFS, full depth.
    Ring,
    /// Exits by thresholds on the softmax, under governors.
    Softmax,
    /// E4 with random search.
    E4Random,
    /// E4 as published.
    E4,
    /// Ours.
    Ours,
    /// Ours, nothing issued ahead.
    Unstaged,
    /// Our exits at the best single point.
    Static,
    /// Our exits under governors.
    GatesGovernors,
    /// Our exits, all clocks at their highest.
    GatesMaxn,
}

/// The exit policy whose trace a method runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeedsTrace {
    /// `always:K`: a depth that does not change.
    Full,
    /// `softmax` or `softmax:P`.
    Softmax,
    /// `gates`.
    Gates,
}

impl NeedsTrace {
    /// Whether a trace is of that policy.
    #[must_use]
    pub fn is_met_by(self, trace: &ReadTrace) -> bool {
        matches!(
            (self, trace.policy),
            (Self::Full, ExitPolicy::Always(_))
                | (Self::Softmax, ExitPolicy::Softmax(_))
                | (Self::Gates, ExitPolicy::Gates)
        )
    }
}

impl fmt::Display for NeedsTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "always:K",
            Self::Softmax => "softmax or softmax:P",
            Self::Gates => "gates",
        })
    }
}

impl MethodName {
    /// All methods of the table, ours last; then the parts of ours.
    pub const ALL: [Self; 13] = [
        Self::Maxn,
        Self::Governors,
        Self::Mode,
        Self::Ztt,
        Self::Ring,
        Self::Softmax,
        Self::E4Random,
        Self::E4,
        Self::Ours,
        Self::Unstaged,
        Self::Static,
        Self::GatesGovernors,
        Self::GatesMaxn,
    ];

    /// The name in flags and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Maxn => "maxn",
            Self::Governors => "governors",
            Self::Mode => "nvpmodel",
            Self::Ztt => "ztt",
            Self::Ring => "ring-dvfs",
            Self::Softmax => "softmax",
            Self::E4Random => "e4-r",
            Self::E4 => "e4",
            Self::Ours => "ours",
            Self::Unstaged => "ours-unstaged",
            Self::Static => "gates-static",
            Self::GatesGovernors => "gates-governors",
            Self::GatesMaxn => "gates-maxn",
        }
    }

    /// What it is, for tables.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Maxn => "full depth, MAXN",
            Self::Governors => "full depth, governors",
            Self::Mode => "full depth, middle nvpmodel mode",
            Self::Ztt => "zTT, full depth",
            Self::Ring => "Ring-DVFS, full depth",
            Self::Softmax => "softmax exits, governors",
            Self::E4Random => "E4-R (random search)",
            Self::E4 => "E4 as published",
            Self::Ours => "ours",
            Self::Unstaged => "ours, nothing ahead",
            Self::Static => "our exits, best static clocks",
            Self::GatesGovernors => "our exits, governors",
            Self::GatesMaxn => "our exits, MAXN",
        }
    }

    /// The trace that it needs.
    #[must_use]
    pub fn needs(self) -> NeedsTrace {
        match self {
            Self::Maxn | Self::Governors | Self::Mode | Self::Ztt | Self::Ring => NeedsTrace::Full,
            Self::Softmax => NeedsTrace::Softmax,
            _ => NeedsTrace::Gates,
        }
    }
}

/// Why a simulation did not run.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The trace is of another exit policy.
    #[error(
        "the trace is of --exit-policy {found}, and {method} needs one of {needs}; record it with e4 run --trace"
    )]
    Policy {
        /// That of the trace.
        found: String,
        /// Name of the method.
        method: &'static str,
        /// What it needs.
        needs: NeedsTrace,
    },
    /// The trace is of another bundle.
    #[error("the trace is of the bundle {found} with other bytes than --bundle {bundle}")]
    Bundle {
        /// That of the trace.
        found: String,
        /// That which is simulated.
        bundle: String,
    },
    /// There is nothing to run.
    #[error("the trace holds {0} frames; a simulation needs two clips at least")]
    Short(usize),
    /// The board cannot be measured or planned for.
    #[error(transparent)]
    Planned(#[from] PlannedError),
}

/// One simulation.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The board.
    pub board: &'static Description,
    /// What its segments ask for.
    pub loads: &'a [SegmentLoad],
    /// Whose segments they are.
    pub of: &'a Of,
    /// Where frames leave.
    pub trace: &'a ReadTrace,
    /// The method.
    pub method: MethodName,
    /// What is to be least, where the method has a choice.
    pub objective: Objective,
    /// When frames come and have to be done.
    pub pace: Pace,
    /// Seed of all that is random.
    pub seed: u64,
    /// Frames to judge, the trace being repeated; unset: each once.
    pub frames: Option<u64>,
}

/// What a simulation gives.
#[derive(Debug)]
pub struct Simulated {
    /// The figures.
    pub figures: Figures,
    /// What was measured and planned, where that was done.
    pub plan: Option<(CostTable, PlanFile)>,
}

/// Runs one simulation: the method searches, frames warm board and learners up, then
/// the stream is judged.
///
/// # Errors
/// When the trace is not one for this method and bundle, or too short.
pub fn simulate(run: &Run<'_>) -> Result<Simulated, SimError> {
    let (known, judged) = check(run)?;
    let scene = Scene {
        board: run.board,
        loads: run.loads,
        of: run.of,
        pace: run.pace,
        objective: run.objective,
        seed: run.seed,
        known,
    };
    let mut board = SimBoard::new(run.board, run.loads, run.seed);
    let prepared = prepare(&scene, &mut board, run.method)?;
    let mut search = Search {
        probes: prepared.probes,
        seconds: float(board.now_ns()) / 1e9,
        joules: board.energy_j(),
    };
    let Prepared {
        method,
        learns,
        counters,
        plan,
        ..
    } = prepared;
    let mut stream = Stream::new(board, method, run.pace);
    let mut before = Outcome::new();
    let warm_up_s = if learns { LEARNING_S } else { WARM_UP_S };
    let warm_up = frames_of(warm_up_s, run.pace);
    stream.run(known.iter().cycle().take(warm_up), &mut before);
    stream.restart();
    let mut outcome = Outcome::new();
    let count = run
        .frames
        .map_or(judged.len(), |n| usize::try_from(n).unwrap_or(usize::MAX));
    stream.run(judged.iter().cycle().take(count), &mut outcome);
    let dvfs = counters.map(|counters| counters.summary("plan"));
    let exits = run.trace.head.exits;
    if learns {
        let learned = before.figures(exits, search, None);
        let after = outcome.figures(exits, search, None);
        search.probes = learned.frames;
        search.seconds = LEARNING_S;
        // What learning cost beyond what the same frames cost afterwards.
        let more_mj = (learned.energy_mj - after.energy_mj).max(0.0);
        search.joules = more_mj * float(learned.frames) / 1e3;
    } else if search.probes == 0 {
        search = Search::default();
    }
    Ok(Simulated {
        figures: outcome.figures(exits, search, dvfs),
        plan,
    })
}

fn frames_of(seconds: f64, pace: Pace) -> usize {
    let frames = seconds * 1e9 / float(pace.interval_ns.max(1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of frames; the cast saturates"
    )]
    let frames = frames as usize;
    frames
}

/// The frames to learn from and those to be judged on.
fn check<'a>(run: &Run<'a>) -> Result<(&'a [TraceFrame], &'a [TraceFrame]), SimError> {
    let head = &run.trace.head;
    if head.bundle_sha256 != run.of.sha256 || head.exits != run.loads.len() {
        return Err(SimError::Bundle {
            found: head.bundle.clone(),
            bundle: run.of.bundle.clone(),
        });
    }
    if !run.method.needs().is_met_by(run.trace) {
        return Err(SimError::Policy {
            found: head.exit_policy.clone(),
            method: run.method.name(),
            needs: run.method.needs(),
        });
    }
    let frames = &run.trace.frames;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place among frames in memory"
    )]
    let about = (frames.len() as f64 * KNOWN) as usize;
    let starts = (1..frames.len()).filter(|&at| frames[at].first);
    let at = match head.endless {
        true => Some(about).filter(|&at| at > 0),
        false => starts.min_by_key(|at| at.abs_diff(about)),
    };
    let at = at.ok_or(SimError::Short(frames.len()))?;
    Ok(frames.split_at(at))
}

fn prepare(
    scene: &Scene<'_>,
    board: &mut SimBoard,
    method: MethodName,
) -> Result<Prepared, PlannedError> {
    Ok(match method {
        MethodName::Maxn | MethodName::GatesMaxn => {
            fixed::highest(board);
            Prepared::new(Untouched)
        }
        MethodName::Governors | MethodName::Softmax | MethodName::GatesGovernors => {
            Prepared::new(Governors::default())
        }
        MethodName::Mode => {
            if let Some((_, point)) = fixed::middle(scene.board) {
                go_to(board, point);
            }
            Prepared::new(Untouched)
        }
        MethodName::Ztt => Prepared {
            learns: true,
            ..Prepared::new(Ztt::new(scene.pace, scene.seed))
        },
        MethodName::Ring => Prepared {
            learns: true,
            ..Prepared::new(Ring::new(scene.pace, scene.seed))
        },
        MethodName::E4Random => e4::prepare(scene, board, search::Method::Random)?,
        MethodName::E4 => e4::prepare(scene, board, search::Method::Descent)?,
        MethodName::Static => planned::prepare(scene, board, Extent::Static)?,
        MethodName::Unstaged => planned::prepare(scene, board, Extent::Unstaged)?,
        MethodName::Ours => planned::prepare(scene, board, Extent::Whole)?,
    })
}
