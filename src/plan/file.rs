//! The plan file, `e4.plan/1`: which clocks for which segment, for each class of
//! frames that we may believe the next ones to be in.
//!
//! Guarantees: what loads is whole: every belief has as many segments as the
//! others, exit shares and changes of belief are probabilities, an axis is there
//! for all points or for none, unknown keys are errors. What was written reads
//! back the same. Any bytes are a plan or one sentence that names the file.
//! Not guaranteed: that the board can run at the clocks; whoever sets them looks
//! them up in the kernel's table.
//!
//! ```toml
//! format = "e4.plan/1"
//! board = "orin-nano"
//! bundle = "mobilenetv2-e5"
//! bundle_sha256 = "..."
//! source = "measured"
//! boundary = "VDD_IN"
//! objective = "energy"
//! deadline_ms = 33.3
//!
//! [idle]
//! cpu_khz = 729600
//! gpu_khz = 306000
//! emc_khz = 204000
//!
//! [[beliefs]]
//! exit_share = [0.7, 0.3]
//! next = [1.0]
//! segments = [
//!     { cpu_khz = 729600, gpu_khz = 306000, emc_khz = 204000 },
//!     { cpu_khz = 729600, gpu_khz = 624750, emc_khz = 2133000, ahead = true },
//! ]
//! ```

use super::belief::{Belief, Beliefs, EVIDENCE_STEPS};
use super::cost::Source;
use super::planner::Objective;
use super::point::{Axis, ClockPoint};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The format's name, in every file's `format`.
pub const FORMAT: &str = "e4.plan/1";

/// Name of a board that nobody has named.
pub const UNKNOWN_BOARD: &str = "unknown";

/// Larger files are no plans.
const LIMIT_BYTES: u64 = 1 << 20;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// The file system said no.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no plan, or not a whole one.
    #[error("{path}: {reason}", path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Clocks of a segment, or of a board that waits. An absent axis is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPoint {
    /// Processor clock.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cpu_khz: u32,
    /// Graphics clock.
    #[serde(default, skip_serializing_if = "is_none")]
    pub gpu_khz: u32,
    /// Memory clock.
    #[serde(default, skip_serializing_if = "is_none")]
    pub emc_khz: u32,
    /// Whether the change to it is issued so early that it is in effect when the
    /// segment starts, or as the segment starts.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub ahead: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none(khz: &u32) -> bool {
    *khz == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_true(ahead: &bool) -> bool {
    *ahead
}

fn yes() -> bool {
    true
}

impl PlannedPoint {
    /// `point`, issued ahead or as the segment starts.
    #[must_use]
    pub fn new(point: ClockPoint, ahead: bool) -> Self {
        let [cpu_khz, gpu_khz, emc_khz] = point.khz();
        Self {
            cpu_khz,
            gpu_khz,
            emc_khz,
            ahead,
        }
    }

    /// Its clocks.
    #[must_use]
    pub fn point(self) -> ClockPoint {
        ClockPoint::new([self.cpu_khz, self.gpu_khz, self.emc_khz])
    }
}

/// A class of frames with the clocks of each segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedBelief {
    /// Probability to leave at each exit point.
    pub exit_share: Vec<f64>,
    /// Probability of each belief to hold for the next frame.
    pub next: Vec<f64>,
    /// For each exit point, how the first gate's probability is spread over
    /// equal steps; none where it tells nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<[f64; EVIDENCE_STEPS]>,
    /// One a segment; the first one's is where every frame begins.
    pub segments: Vec<PlannedPoint>,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// [`FORMAT`].
    pub format: String,
    /// Name of the board it was made for.
    pub board: String,
    /// Name of the bundle it was made for.
    pub bundle: String,
    /// Digest of that bundle.
    pub bundle_sha256: String,
    /// Whether its cost table was measured or simulated.
    pub source: Source,
    /// Which rails or counters its energy covers.
    #[serde(default)]
    pub boundary: String,
    /// What is least.
    pub objective: Objective,
    /// Every frame leaves within it, ms.
    pub deadline_ms: f64,
    /// Where the board waits between frames; none: where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<PlannedPoint>,
    /// From shallow to deep.
    pub beliefs: Vec<PlannedBelief>,
}

impl PlanFile {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// When the file cannot be read or is not a whole plan.
    pub fn read(path: &Path) -> Result<Self, PlanFileError> {
        let io = |source| PlanFileError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = crate::input::read_regular(path, LIMIT_BYTES + 1).map_err(io)?;
        Self::parse(&bytes).map_err(|reason| PlanFileError::Invalid {
            path: path.to_owned(),
            reason,
        })
    }

    /// Reads a plan from its bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > LIMIT_BYTES {
            return Err(format!("is larger than the {LIMIT_BYTES} bytes of a plan"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "is no UTF-8 text".to_owned())?;
        let plan: Self = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            format!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        plan.check()?;
        Ok(plan)
    }

    /// Writes it, in place of what was there.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, path: &Path) -> Result<(), PlanFileError> {
        let text = toml::to_string(self).map_err(|error| PlanFileError::Invalid {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        std::fs::write(path, text).map_err(|source| PlanFileError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// What a tracker needs to follow the beliefs.
    #[must_use]
    pub fn beliefs(&self) -> Beliefs {
        let class = |belief: &PlannedBelief| {
            let mut class = Belief::of_exits(belief.exit_share.clone());
            if !belief.evidence.is_empty() {
                class.evidence.clone_from(&belief.evidence);
            }
            class
        };
        Beliefs {
            classes: self.beliefs.iter().map(class).collect(),
            next: self.beliefs.iter().map(|b| b.next.clone()).collect(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("its format is {:?}, not {FORMAT:?}", self.format));
        }
        if self.board.trim().is_empty() {
            return Err("board is empty; it names the board that the plan is for".to_owned());
        }
        if !(self.deadline_ms.is_finite() && self.deadline_ms > 0.0) {
            return Err("deadline_ms must be above 0".to_owned());
        }
        let Some(first) = self.beliefs.first() else {
            return Err("it holds no beliefs".to_owned());
        };
        let segments = first.segments.len();
        if segments == 0 {
            return Err("belief 0 has no segments".to_owned());
        }
        for (at, belief) in self.beliefs.iter().enumerate() {
            belief
                .check(segments, self.beliefs.len())
                .map_err(|what| format!("belief {at}: {what}"))?;
        }
        self.check_axes(first.segments[0].point())
    }

    /// All points have the axes that `first` has.
    fn check_axes(&self, first: ClockPoint) -> Result<(), String> {
        let planned = self.beliefs.iter().flat_map(|belief| &belief.segments);
        for point in planned.chain(&self.idle) {
            for axis in Axis::ALL {
                let present = |point: ClockPoint| point.khz()[axis.index()] > 0;
                if present(point.point()) != present(first) {
                    return Err(format!(
                        "{} is there for some points only; an axis is there for all or for none",
                        axis.column()
                    ));
                }
            }
        }
        Ok(())
    }
}

impl PlannedBelief {
    fn check(&self, segments: usize, beliefs: usize) -> Result<(), String> {
        let count = |name: &str, found: usize, expected: usize| {
            if found == expected {
                return Ok(());
            }
            Err(format!("{name} has {found} entries, not {expected}"))
        };
        count("segments", self.segments.len(), segments)?;
        count("exit_share", self.exit_share.len(), segments)?;
        count("next", self.next.len(), beliefs)?;
        probabilities("exit_share", &self.exit_share)?;
        probabilities("next", &self.next)?;
        if !self.evidence.is_empty() {
            count("evidence", self.evidence.len(), segments)?;
            for spread in &self.evidence {
                probabilities("evidence", spread)?;
            }
        }
        Ok(())
    }
}

fn probabilities(name: &str, shares: &[f64]) -> Result<(), String> {
    let sum: f64 = shares.iter().sum();
    if shares.iter().any(|s| !(0.0..=1.0).contains(s)) || (sum - 1.0).abs() > 1e-6 {
        return Err(format!("{name} must be probabilities that add up to 1"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan() -> PlanFile {
        let point = |khz, ahead| PlannedPoint::new(ClockPoint::new([khz, khz * 2, 0]), ahead);
        let belief = |share: f64| PlannedBelief {
            exit_share: vec![share, 1.0 - share],
            next: vec![0.9, 0.1],
            evidence: vec![[0.25; EVIDENCE_STEPS]; 2],
            segments: vec![point(100, true), point(200, false)],
        };
        PlanFile {
            format: FORMAT.to_owned(),
            board: "orin-nano".to_owned(),
            bundle: "tiny-e2".to_owned(),
            bundle_sha256: "00".to_owned(),
            source: Source::Simulated,
            boundary: "VDD_IN".to_owned(),
            objective: Objective::Energy,
            deadline_ms: 33.3,
            idle: Some(point(50, true)),
            beliefs: vec![belief(0.8), belief(0.1)],
        }
    }

    fn refused(change: impl FnOnce(&mut PlanFile)) -> String {
        let mut plan = plan();
        change(&mut plan);
        PlanFile::parse(toml::to_string(&plan).unwrap().as_bytes()).unwrap_err()
    }

    #[test]
    fn a_written_plan_reads_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.toml");
        plan().write(&path).unwrap();
        assert_eq!(PlanFile::read(&path).unwrap(), plan());
    }

    #[test]
    fn what_is_not_whole_is_refused_with_its_place() {
        let more = refused(|p| p.beliefs[1].segments.push(PlannedPoint::default()));
        assert_eq!(more, "belief 1: segments has 3 entries, not 2");
        let odd = refused(|p| p.beliefs[0].segments[1].emc_khz = 9);
        assert!(
            odd.starts_with("emc_khz is there for some points only"),
            "{odd}"
        );
        let shares = refused(|p| p.beliefs[0].exit_share[0] = 0.5);
        assert_eq!(
            shares,
            "belief 0: exit_share must be probabilities that add up to 1"
        );
        assert!(refused(|p| p.deadline_ms = 0.0).contains("deadline_ms"));
        assert!(refused(|p| p.beliefs.clear()).contains("no beliefs"));
        assert!(refused(|p| p.format.push('0')).contains("e4.plan/1"));
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        let text = toml::to_string(&plan()).unwrap();
        let error = PlanFile::parse(format!("colour = 1\n{text}").as_bytes()).unwrap_err();
        assert!(
            error.starts_with("line 1: unknown field `colour`"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_plan_or_a_sentence(bytes: Vec<u8>) {
            if let Err(reason) = PlanFile::parse(&bytes) {
                prop_assert!(!reason.contains('\n'));
            }
        }
    }
}
