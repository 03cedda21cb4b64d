//! `e4 bundle check`: verifies a bundle and proves that the engine and the
//! gates compute from it what the trainer computed.

use super::complain;
use crate::engine::auto::AutoEngine;
use crate::engine::bundle::{Bundle as BundleDir, BundleError};
use crate::engine::check::{FeatureError, TOLERANCE, golden_features};
use crate::engine::{Engine, EngineError};
use crate::gates::GatesError;
use crate::gates::check::{self, Decisions, golden_decisions};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `e4 bundle`.
#[derive(Debug, Args)]
pub struct Bundle {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Verify every file, load every segment and compare its features with the
    /// golden ones. Exit code 0: equal, 1: not equal, 2: a bad bundle.
    Check {
        /// The bundle's directory.
        dir: PathBuf,
        /// Print one JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
}

impl Bundle {
    /// Runs the command: 0 done, 1 the golden features differ, 2 a bad bundle.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let Action::Check { dir, json } = &self.action;
        let report = match check(dir) {
            Ok(report) => report,
            Err(error) => {
                complain("e4 bundle", &error);
                return ExitCode::from(error.exit_code());
            }
        };
        match print(&report, *json) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                complain("e4 bundle", &format_args!("standard output: {error}"));
                ExitCode::FAILURE
            }
            _ if report.equal => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let text = if json { report.json()? } else { report.lines() };
    io::stdout().lock().write_all(text.as_bytes())
}

/// What `e4 bundle check` found; its JSON form is what `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    bundle: String,
    sha256: String,
    engine: &'static str,
    tolerance: f32,
    equal: bool,
    segments: Vec<FeatureError>,
    decisions: Decisions,
}

/// Why no report could be made.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Gates(#[from] GatesError),
}

impl From<check::CheckError> for CheckError {
    fn from(error: check::CheckError) -> Self {
        match error {
            check::CheckError::Engine(error) => Self::Engine(error),
            check::CheckError::Gates(error) => Self::Gates(error),
        }
    }
}

impl CheckError {
    /// 2 for what is wrong with the bundle, 1 for what failed in running it.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Bundle(_) | Self::Gates(_) | Self::Engine(EngineError::Load { .. }) => 2,
            Self::Engine(_) => 1,
        }
    }
}

fn check(dir: &Path) -> Result<Report, CheckError> {
    let bundle = BundleDir::open(dir)?;
    let engine = AutoEngine::new();
    for notice in engine.notices(&bundle) {
        complain("e4 bundle", &notice);
    }
    let golden = bundle.golden()?;
    let segments = golden_features(&engine, &bundle, &golden)?;
    let decisions = golden_decisions(&engine, &bundle, &golden)?;
    let name = bundle.manifest().name.clone();
    let sha256 = bundle.digest().to_owned();
    Ok(Report::new(
        name,
        sha256,
        engine.name(),
        segments,
        decisions,
    ))
}

impl Report {
    fn new(
        bundle: String,
        sha256: String,
        engine: &'static str,
        segments: Vec<FeatureError>,
        decisions: Decisions,
    ) -> Self {
        Self {
            schema: "e4.bundle-check/1",
            bundle,
            sha256,
            engine,
            tolerance: segments.first().map_or(TOLERANCE, |s| s.tolerance),
            equal: segments.iter().all(FeatureError::is_equal) && decisions.is_equal(),
            segments,
            decisions,
        }
    }

    fn lines(&self) -> String {
        let mut text = format!("{}  sha256 {}\n", self.bundle, self.sha256);
        for s in &self.segments {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "segment {}  {}  max relative error {:.1e} over {} features  {}",
                s.segment,
                s.file,
                s.max_relative_error,
                s.features,
                if s.is_equal() { "ok" } else { "DIFFERS" },
            );
        }
        let d = &self.decisions;
        let _ = writeln!(
            text,
            "exits      {} frames  {} decisions, {} clear, {} differ  max logit error {:.1e}  {}",
            d.frames,
            d.decisions,
            d.clear,
            d.differing,
            d.max_logit_error,
            if d.is_equal() { "ok" } else { "DIFFERS" },
        );
        text
    }

    fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self).map(|line| line + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(max_relative_error: f32) -> Report {
        let segment = FeatureError {
            segment: 0,
            file: "segment_0.onnx".to_owned(),
            max_relative_error,
            features: 4,
            tolerance: TOLERANCE,
        };
        Report::new(
            "tiny".to_owned(),
            "00".to_owned(),
            "native",
            vec![segment],
            Decisions::default(),
        )
    }

    #[test]
    fn a_segment_that_differs_is_pointed_out() {
        assert!(report(9e-4).equal);
        let differs = report(2e-3);
        let lines = differs.lines();
        assert!(lines.contains("segment_0.onnx  max relative error 2.0e-3"));
        assert!(lines.contains("DIFFERS"));
        let json = differs.json().unwrap();
        assert!(json.contains("\"equal\":false") && json.contains("\"tolerance\":0.001"));
    }

    #[test]
    fn what_is_not_a_number_differs_and_is_null_in_json() {
        let differs = report(f32::INFINITY);
        assert!(!differs.equal);
        assert!(
            differs
                .json()
                .unwrap()
                .contains("\"max_relative_error\":null")
        );
    }

    #[test]
    fn a_shipped_bundle_computes_what_its_trainer_computed() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/tiny-e2");
        let report = check(&dir).unwrap();
        assert!(report.equal, "{}", report.lines());
        assert_eq!(report.lines().lines().count(), 2 + report.segments.len());
    }

    #[test]
    fn a_bad_bundle_is_bad_input() {
        let error = check(Path::new("engines/no-such-bundle")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("engines/no-such-bundle"));
    }
}
