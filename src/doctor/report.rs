//! What the checks found, as words and as JSON.

use serde::Serialize;
use std::fmt::Write as _;

/// Name and version of the JSON form.
pub const SCHEMA: &str = "e4.doctor/1";

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// The run goes on, but not as well as it could.
    Warn,
    /// The run would end here.
    Fail,
    /// There is nothing to check on this host or with this configuration.
    NotApplicable,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::NotApplicable => "n/a",
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name, for programs.
    pub id: &'static str,
    /// How it ended.
    pub state: State,
    /// What is the case.
    pub found: String,
    /// Why that matters.
    pub why: &'static str,
    /// The command that fixes it, where something is to be fixed.
    pub fix: Option<String>,
}

impl Check {
    /// A row that needs no fix.
    pub(super) fn new(
        id: &'static str,
        why: &'static str,
        state: State,
        found: impl Into<String>,
    ) -> Self {
        Self {
            id,
            state,
            found: found.into(),
            why,
            fix: None,
        }
    }

    /// The same, with the command that fixes it.
    pub(super) fn fix(mut self, command: impl Into<String>) -> Self {
        self.fix = Some(command.into());
        self
    }
}

/// All rows, and what follows from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    schema: &'static str,
    /// Whether the configuration can run as asked.
    pub ready: bool,
    /// The rows.
    pub checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(checks: Vec<Check>) -> Self {
        let ready = checks.iter().all(|check| check.state != State::Fail);
        Self {
            schema: SCHEMA,
            ready,
            checks,
        }
    }

    /// One line a row; what is not well comes with its reason and its fix.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let width = self.checks.iter().map(|c| c.id.len()).max().unwrap_or(0);
        for check in &self.checks {
            let (word, id) = (check.state.word(), check.id);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{word:<5} {id:<width$}  {}", check.found);
            if matches!(check.state, State::Warn | State::Fail) {
                let _ = writeln!(text, "      {:width$}  why: {}", "", check.why);
            }
            if let Some(fix) = &check.fix {
                let _ = writeln!(text, "      {:width$}  fix: {fix}", "");
            }
        }
        let _ = writeln!(text, "{}", self.verdict());
        text
    }

    fn verdict(&self) -> String {
        let failed = self.checks.iter().filter(|c| c.state == State::Fail);
        let failed: Vec<_> = failed.map(|check| check.id).collect();
        match failed.as_slice() {
            [] => "ready".to_owned(),
            ids => format!("not ready: {}", ids.join(", ")),
        }
    }

    /// One JSON object, in one line.
    ///
    /// # Errors
    /// Never with what checks hold; the serializer's signature has it.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self).map(|line| line + "\n")
    }
}
