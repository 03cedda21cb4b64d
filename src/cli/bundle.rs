//! `e4 bundle check`: verifies a bundle and proves that the CPU engine computes
//! from it what the trainer computed.

use crate::engine::bundle::{Bundle as BundleDir, BundleError};
use crate::engine::check::{FeatureError, TOLERANCE, golden_features};
use crate::engine::cpu::CpuEngine;
use crate::engine::{Engine, EngineError};
use clap::{Args, Subcommand};
use serde_json::json;
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
                eprintln!("e4: {error}");
                return ExitCode::from(error.exit_code());
            }
        };
        let text = if *json { report.json() } else { report.lines() };
        match io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                eprintln!("e4: stdout: {error}");
                ExitCode::FAILURE
            }
            _ if report.is_equal() => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

/// What `e4 bundle check` found.
#[derive(Debug)]
struct Report {
    name: String,
    digest: String,
    engine: &'static str,
    segments: Vec<FeatureError>,
}

/// Why no report could be made.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl CheckError {
    /// 2 for what is wrong with the bundle, 1 for what failed in running it.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Bundle(_) | Self::Engine(EngineError::Load { .. }) => 2,
            Self::Engine(_) => 1,
        }
    }
}

fn check(dir: &Path) -> Result<Report, CheckError> {
    let bundle = BundleDir::open(dir)?;
    let engine = CpuEngine::new();
    let golden = bundle.golden()?;
    Ok(Report {
        name: bundle.manifest().name.clone(),
        digest: bundle.digest().to_owned(),
        engine: engine.name(),
        segments: golden_features(&engine, &bundle, &golden)?,
    })
}

impl Report {
    fn is_equal(&self) -> bool {
        self.segments.iter().all(FeatureError::is_equal)
    }

    fn lines(&self) -> String {
        let mut text = format!("{}  sha256 {}\n", self.name, self.digest);
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
        text
    }

    fn json(&self) -> String {
        let segments: Vec<_> = self
            .segments
            .iter()
            .map(|s| {
                json!({
                    "segment": s.segment,
                    "file": s.file,
                    "max_relative_error": s.max_relative_error,
                    "features": s.features,
                    "equal": s.is_equal(),
                })
            })
            .collect();
        let report = json!({
            "schema": "e4.bundle-check/1",
            "bundle": self.name,
            "sha256": self.digest,
            "engine": self.engine,
            "tolerance": TOLERANCE,
            "equal": self.is_equal(),
            "segments": segments,
        });
        format!("{report}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(error: f32) -> Report {
        Report {
            name: "tiny".to_owned(),
            digest: "00".to_owned(),
            engine: "cpu",
            segments: vec![FeatureError {
                segment: 0,
                file: "segment_0.onnx".to_owned(),
                max_relative_error: error,
                features: 4,
            }],
        }
    }

    #[test]
    fn a_segment_that_differs_is_pointed_out() {
        assert!(report(9e-4).is_equal());
        let differs = report(2e-3);
        assert!(!differs.is_equal());
        assert!(
            differs
                .lines()
                .contains("segment_0.onnx  max relative error 2.0e-3")
        );
        assert!(differs.lines().contains("DIFFERS"));
        assert!(differs.json().contains("\"equal\":false"));
        assert!(!report(f32::INFINITY).is_equal());
    }

    #[test]
    fn a_shipped_bundle_computes_what_its_trainer_computed() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/tiny-e2");
        let report = check(&dir).unwrap();
        assert!(report.is_equal(), "{}", report.lines());
        assert_eq!(report.lines().lines().count(), 1 + report.segments.len());
    }

    #[test]
    fn a_bad_bundle_is_bad_input() {
        let error = check(Path::new("engines/no-such-bundle")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("engines/no-such-bundle"));
    }
}
