//! What became of a guard's clocks, for people and for machines.

use serde::Serialize;
use std::path::PathBuf;

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// e4 had not written to it.
    Untouched,
    /// It has its value again.
    Restored {
        /// What it held.
        was: u64,
        /// What it was given.
        now: u64,
    },
    /// It was given its value, and reads as another.
    Differs {
        /// What it was given.
        given: u64,
        /// What it reads.
        reads: u64,
    },
    /// It holds what somebody else wrote.
    LeftAlone {
        /// What it holds.
        holds: String,
        /// What e4 would have given it.
        original: String,
    },
    /// There is no such file any more.
    Gone,
    /// It could not be written to.
    Failed {
        /// The system's reason.
        reason: String,
    },
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The file.
    pub file: PathBuf,
    /// What became of it.
    #[serde(flatten)]
    pub action: Action,
}

/// How a guard ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Every file has its value again or was left alone; the guard is removed.
    GivenBack,
    /// It was of another boot and is removed.
    Discarded,
    /// Its process is running; nothing was touched.
    Running,
    /// It cannot be read; nothing was touched.
    Damaged,
    /// It guards another tree; nothing was touched.
    OtherRoot,
    /// A file could not be given back, or the guard not removed; it stays.
    Failed,
}

/// What became of one domain's guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The domain.
    pub domain: String,
    /// The guard file.
    pub guard: PathBuf,
    /// How it ended.
    pub ending: Ending,
    /// Why, where that needs words.
    pub reason: Option<String>,
    /// Its files.
    pub files: Vec<FileReport>,
}

impl FileReport {
    /// A sentence, where the user should know.
    fn complaint(&self) -> Option<String> {
        let file = self.file.display();
        match &self.action {
            Action::Untouched | Action::Restored { .. } => None,
            Action::Differs { given, reads } => {
                Some(format!("{file} was given back {given} and reads {reads}"))
            }
            Action::LeftAlone { holds, original } => Some(format!(
                "{file} holds {holds}, which e4 did not write; it is left so (it was {original})"
            )),
            Action::Gone => Some(format!("{file} is not there any more")),
            Action::Failed { reason } => Some(format!(
                "{file} cannot be given back ({reason}); `e4 restore` as root tries it again"
            )),
        }
    }
}

impl Report {
    /// True when the user's clocks are as they were, as far as e4 is to see to it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.ending, Ending::GivenBack | Ending::Discarded)
    }

    /// Sentences on what did not go as it should.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let files = self.files.iter().filter_map(FileReport::complaint);
        self.reason.iter().cloned().chain(files).collect()
    }

    /// One line on what was done.
    #[must_use]
    pub fn line(&self) -> String {
        let done: Vec<String> = self
            .files
            .iter()
            .filter_map(|report| match report.action {
                Action::Restored { now, .. } => {
                    let name = report.file.file_name().unwrap_or_default();
                    Some(format!("{} {now}", name.to_string_lossy()))
                }
                _ => None,
            })
            .collect();
        let what = match self.ending {
            Ending::GivenBack if done.is_empty() => "nothing was to be given back".to_owned(),
            Ending::GivenBack => format!("given back: {}", done.join(", ")),
            Ending::Discarded => "of another boot, discarded".to_owned(),
            Ending::Running => "in use, not touched".to_owned(),
            Ending::Damaged | Ending::OtherRoot => "not touched".to_owned(),
            Ending::Failed => "not given back".to_owned(),
        };
        format!("{}: {what}", self.domain)
    }
}
