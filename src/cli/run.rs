//! `e4 run`: frames in, early exits out.
//!
//! Standard output carries what was asked for: the final table, or with `--json`
//! the JSON lines and nothing else, or with `--summary -` the summary. Words
//! about the run go to standard error.

use super::complain;
use super::flags::RunArgs;
use crate::clocks::guard::{Ending, recover};
use crate::clocks::{GuardHandle, Tree};
use crate::config::{Config, ConfigError, SourceKind, StatusMode};
use crate::engine::EngineError;
use crate::pipeline::{Damage, Ended, Pipeline, PipelineError, Placement, SetupError, Sink, Stop};
use crate::telemetry::table::{Style, table};
use crate::telemetry::{DropCounters, DropReason, OutputEnd, Report, counted, summary};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Exit code of a run that is done.
const DONE: u8 = 0;
/// Who speaks.
const NAME: &str = "e4 run";
/// Exit code of a run that failed.
const FAILED: u8 = 1;
/// Exit code of input that cannot be used.
const BAD_INPUT: u8 = 2;
/// Time that a run is given to drain before another signal ends it.
const PATIENCE: Duration = Duration::from_secs(1);

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
    /// Signals cannot be made into ones that drain the run.
    #[error("cannot catch signals: {0}")]
    MoreSignals(nix::Error),
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
            Self::Setup(SetupError::Dvfs(error)) if error.is_of_host() => FAILED,
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
            Self::Pipeline { .. } | Self::Signals(_) | Self::MoreSignals(_) | Self::Stdout(_) => {
                FAILED
            }
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
                complain(NAME, &error);
                ExitCode::from(error.code())
            }
        }
    }

    fn carry_out(&self) -> Result<u8, RunError> {
        let mut layers = self.layers()?;
        let config = layers.finish()?;
        if self.print_config {
            return say(&config.print())
                .map(|()| DONE)
                .map_err(RunError::Stdout);
        }
        let placement = layers.placement(&crate::rt::usable_cores())?;
        check_summary(&config)?;
        let stop = Stop::new();
        let clocks: Arc<OnceLock<GuardHandle>> = Arc::default();
        end_on_signals(&stop, clocks.clone())?;
        crate::rt::signals::forward().map_err(RunError::MoreSignals)?;
        let (report, ended) = execute(&config, placement, &stop, &clocks)?;
        let mut code = DONE;
        if let Some(error) = ended.failure {
            let begun = report.drops.captured() > 0;
            let error = RunError::Pipeline { error, begun };
            if error.code() == BAD_INPUT {
                return Err(error);
            }
            complain(NAME, &error);
            code = FAILED;
        }
        let troubles = source_troubles(config.source.kind, &ended.damage, &report.drops);
        let lost = report.drops.dropped(DropReason::EngineFailed);
        code = match code {
            DONE => troubles.max(if lost > 0 { FAILED } else { DONE }),
            _ => code,
        };
        let energy = &report.energy;
        energy
            .notices
            .iter()
            .for_each(|notice| complain(NAME, notice));
        deliver(&config, &report, code, &stop)
    }
}

/// Builds the pipeline and runs it until its source ends, a signal comes or
/// nobody reads its output any more. A run that fails in its course has a report
/// all the same.
fn execute(
    config: &Config,
    placement: Placement,
    stop: &Stop,
    clocks: &OnceLock<GuardHandle>,
) -> Result<(Report, Ended<Sink>), RunError> {
    recover_clocks(config);
    let (pipeline, notices) = Pipeline::from_config(config, placement, stop)?;
    // Set once a run, here.
    let _ = clocks.set(pipeline.clocks_handle());
    notices.iter().for_each(|notice| complain(NAME, notice));
    let redrawn = config.sink.status != StatusMode::Never && io::stderr().is_terminal();
    let pipeline = pipeline.on_notice(move |sentence| interject(redrawn, sentence));
    let watch = pipeline.sink_watch();
    let mut ended = pipeline.run_to_end(stop);
    let mut report = ended
        .sink
        .take()
        .map_or_else(|| watch.report(), Sink::finish);
    if ended.failure.is_some() {
        report.settle();
    }
    if ended.source_ended {
        report.totals.end_clip();
    }
    report.gaps = std::mem::take(&mut ended.source_gaps);
    report.dvfs = ended.dvfs.take();
    Ok((report, ended))
}

/// Says a sentence during the run, in place of a status line that is `redrawn`.
fn interject(redrawn: bool, sentence: &str) {
    if redrawn {
        // Standard error may be closed; there is nobody to tell then.
        let _ = io::stderr().write_all(b"\r\x1b[K");
    }
    complain(NAME, &sentence);
}

/// Gives back what an e4 that was killed has left, and says what did not go well.
/// Clocks that a running one holds are its own matter.
fn recover_clocks(config: &Config) {
    let tree = Tree::new(&config.clocks.sysfs_root);
    let reports = match recover(&config.clocks.runtime_dir, Some(&tree)) {
        Ok(reports) => reports,
        Err(error) => return complain(NAME, &error),
    };
    for report in reports.iter().filter(|r| r.ending != Ending::Running) {
        complain(NAME, &report.line());
        for sentence in report.complaints() {
            complain(NAME, &sentence);
        }
    }
}

/// The first signal drains the run; one that comes a second or more after it ends
/// the run at once. (One wish may arrive as two signals: to the process and to its
/// group.)
fn end_on_signals(stop: &Stop, clocks: Arc<OnceLock<GuardHandle>>) -> Result<(), ctrlc::Error> {
    let stop = stop.clone();
    let mut first: Option<Instant> = None;
    ctrlc::set_handler(move || {
        let since = first.get_or_insert_with(Instant::now);
        if since.elapsed() >= PATIENCE {
            let reports = clocks.get().map(GuardHandle::give_back);
            for report in reports.iter().flatten() {
                report.complaints().iter().for_each(|s| complain(NAME, s));
            }
            std::process::exit(i32::from(FAILED));
        }
        stop.raise();
    })
}

/// Says what of the source could not be read; returns the exit code. A camera
/// may send a torn frame now and then, which is counted; a clip is damaged then,
/// also where the run ended before the clip told how many of its frames are.
fn source_troubles(kind: SourceKind, damage: &Damage, drops: &DropCounters) -> u8 {
    for error in &damage.reports {
        complain(NAME, error);
    }
    let more = damage.count.saturating_sub(damage.reports.len() as u64);
    if more > 0 {
        let more = counted(more, "more part");
        complain(
            NAME,
            &format_args!("{more} of the source could not be read"),
        );
    }
    let undecodable = drops.dropped(DropReason::Undecodable);
    let usable = drops.captured() > undecodable;
    match damage.count {
        0 if undecodable == 0 || (usable && kind == SourceKind::Camera) => DONE,
        0 if usable => {
            let frames = counted(drops.captured(), "frame");
            let sentence = format_args!("{undecodable} of {frames} captured do not decode");
            complain(NAME, &sentence);
            FAILED
        }
        0 => {
            complain(NAME, &"not one frame of the source can be decoded");
            BAD_INPUT
        }
        _ if usable => FAILED,
        _ => BAD_INPUT,
    }
}

/// Writes the summary and the table, each whatever became of the other. Returns
/// the exit code.
fn deliver(config: &Config, report: &Report, code: u8, stop: &Stop) -> Result<u8, RunError> {
    let saved = save(config, report, stop);
    let shown = show(config, report, code);
    saved?;
    shown.map_err(RunError::Stdout)?;
    if let OutputEnd::Failed(reason) = &report.output {
        complain(NAME, reason);
        return Ok(FAILED);
    }
    Ok(code)
}

fn save(config: &Config, report: &Report, stop: &Stop) -> Result<(), RunError> {
    if config.sink.summary_on_stdout() {
        let line = report.summary().to_line();
        return line.and_then(|line| say(&line)).map_err(RunError::Stdout);
    }
    let Some(path) = &config.sink.summary else {
        return Ok(());
    };
    let saved = report.summary().save(path, &|| !stop.is_raised());
    saved.map_err(|source| summary_error(path, source, FAILED))
}

fn show(config: &Config, report: &Report, code: u8) -> io::Result<()> {
    let sink = &config.sink;
    if report.drops.captured() == 0 && code != DONE {
        return Ok(());
    }
    if sink.lines_on_stdout() || sink.summary_on_stdout() {
        // Standard error may be closed; there is nobody to tell then.
        let _ = io::stderr().write_all(table(report, Style::of(&io::stderr())).as_bytes());
        return Ok(());
    }
    say(&table(report, Style::of(&io::stdout())))
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
