//! `e4 run`: frames in, early exits out.
//!
//! Standard output carries what was asked for: the final table, or with `--json`
//! the JSON lines and nothing else, or with `--summary -` the summary. Words
//! about the run go to standard error.

use super::flags::RunArgs;
use crate::config::{Config, ConfigError};
use crate::engine::EngineError;
use crate::pipeline::{Finished, Pipeline, PipelineError, Placement, SetupError, Sink, Stop};
use crate::telemetry::table::{Style, table};
use crate::telemetry::{OutputEnd, Report, summary};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Exit code of a run that failed.
const FAILED: u8 = 1;
/// Exit code of input that cannot be used.
const BAD_INPUT: u8 = 2;

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A part of the pipeline cannot be made.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The summary could not be written at the end, or never will be.
    #[error("--summary {path}: {source}")]
    Summary {
        /// Where to.
        path: String,
        /// The system's reason.
        source: io::Error,
        /// Exit code: whether the run has been done.
        code: u8,
    },
    /// The signal handler cannot be set.
    #[error("cannot catch signals: {0}")]
    Signals(#[from] ctrlc::Error),
    /// The pipeline failed.
    #[error("{error}")]
    Pipeline {
        /// Its reason.
        error: PipelineError,
        /// Whether a frame had been captured.
        begun: bool,
    },
    /// Standard output cannot be written to.
    #[error("standard output: {0}")]
    Stdout(io::Error),
}

impl RunError {
    fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Setup(_) => BAD_INPUT,
            Self::Summary { code, .. } => *code,
            Self::Pipeline {
                error: PipelineError::Source(_),
                begun: false,
            }
            | Self::Pipeline {
                error: PipelineError::Engine(EngineError::Load { .. }),
                ..
            } => BAD_INPUT,
            Self::Pipeline { .. } | Self::Signals(_) | Self::Stdout(_) => FAILED,
        }
    }
}

impl RunArgs {
    /// Runs the pipeline; returns the exit code.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        match self.carry_out() {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                complain(&error);
                ExitCode::from(error.code())
            }
        }
    }

    fn carry_out(&self) -> Result<u8, RunError> {
        let mut layers = self.layers()?;
        let config = layers.finish()?;
        if self.print_config {
            return say(&config.print()).map(|()| 0).map_err(RunError::Stdout);
        }
        let placement = layers.placement(&crate::rt::cores())?;
        check_summary(&config)?;
        let finished = execute(&config, placement)?;
        let code = troubles(&finished);
        deliver(&config, report(finished), code)
    }
}

/// Builds the pipeline and runs it until its source ends, a signal comes or
/// nobody reads its output any more.
fn execute(config: &Config, placement: Placement) -> Result<Finished<Sink>, RunError> {
    let (pipeline, notices) = Pipeline::from_config(config, placement)?;
    notices.iter().for_each(|notice| complain(notice));
    let stop = Stop::new();
    end_on_signals(&stop)?;
    let drops = pipeline.drops();
    pipeline.run(&stop).map_err(|error| RunError::Pipeline {
        error,
        begun: drops.captured() > 0,
    })
}

/// The first signal drains the run, the second one ends it at once.
fn end_on_signals(stop: &Stop) -> Result<(), ctrlc::Error> {
    let stop = stop.clone();
    ctrlc::set_handler(move || {
        if stop.is_raised() {
            std::process::exit(i32::from(FAILED));
        }
        stop.raise();
    })
}

/// Says what went wrong in a run that came to its end; returns the exit code.
fn troubles(finished: &Finished<Sink>) -> u8 {
    finished.notices.iter().for_each(|notice| complain(notice));
    let mut code = 0;
    let damage = &finished.damage;
    for error in &damage.reports {
        complain(error);
    }
    if let Some(more) = damage
        .count
        .checked_sub(damage.reports.len() as u64)
        .filter(|&n| n > 0)
    {
        complain(&format_args!(
            "{more} more parts of the source could not be read"
        ));
    }
    if damage.count > 0 {
        let begun = finished.drops.captured() > 0;
        code = if begun { FAILED } else { BAD_INPUT };
    }
    if let (Some(error), frames) = &finished.engine_failures {
        complain(&format_args!(
            "{error}; {frames} frames were lost to such failures"
        ));
        code = FAILED;
    }
    code
}

fn report(finished: Finished<Sink>) -> Report {
    let mut report = finished.sink.finish();
    report.gaps = finished.source_gaps;
    report
}

/// Writes the summary and the table. Returns the exit code.
fn deliver(config: &Config, report: Report, code: u8) -> Result<u8, RunError> {
    let sink = &config.sink;
    if sink.summary_on_stdout() {
        let line = report.summary().to_line();
        line.and_then(|line| say(&line)).map_err(RunError::Stdout)?;
    } else if let Some(path) = &sink.summary {
        let saved = report.summary().save(path);
        saved.map_err(|source| summary_error(path, source, FAILED))?;
    }
    let shown = if report.drops.captured() == 0 && code != 0 {
        Ok(())
    } else if sink.lines_on_stdout() || sink.summary_on_stdout() {
        // Standard error may be closed; there is nobody to tell then.
        let _ = io::stderr().write_all(table(&report, Style::of(&io::stderr())).as_bytes());
        Ok(())
    } else {
        say(&table(&report, Style::of(&io::stdout())))
    };
    shown.map_err(RunError::Stdout)?;
    if let OutputEnd::Failed(reason) = &report.output {
        complain(reason);
        return Ok(FAILED);
    }
    Ok(code)
}

fn check_summary(config: &Config) -> Result<(), RunError> {
    match &config.sink.summary {
        Some(path) if !config.sink.summary_on_stdout() => {
            summary::check_target(path).map_err(|source| summary_error(path, source, BAD_INPUT))
        }
        _ => Ok(()),
    }
}

fn summary_error(path: &Path, source: io::Error, code: u8) -> RunError {
    RunError::Summary {
        path: path.display().to_string(),
        source,
        code,
    }
}

/// Puts `text` on standard output; a reader that has gone is content.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn complain(sentence: &dyn std::fmt::Display) {
    // Standard error may be closed; there is nobody to tell then.
    let _ = writeln!(io::stderr(), "e4 run: {sentence}");
}
