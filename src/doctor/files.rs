//! The files that a run reads frames from and writes to.

use super::bundle::found;
use super::host::quoted;
use super::{Check, State, Subject};
use crate::config::{OutputTo, SourceKind};
use crate::pipeline::{Stop, clip_options};
use crate::source::clip::ClipSource;
use crate::source::{FrameSource, SourceError};
use crate::telemetry::output::DatagramOutput;
use crate::telemetry::summary::check_target;
use std::fs;
use std::io;
use std::path::Path;

/// Whether a frame comes from the clip, through the reader that a run would use.
pub(super) fn clip(subject: &Subject<'_>) -> Check {
    const SHIPPED: &str = "engines/clips";
    let row = |state, found: String| {
        Check::new("clip", "frames come from this file or folder", state, found)
    };
    let source = &subject.config.source;
    if source.kind != SourceKind::Clip {
        return row(State::NotApplicable, "frames come from elsewhere".into());
    }
    let Some(path) = found(source.path.as_deref(), SHIPPED) else {
        return row(State::Fail, format!("{SHIPPED} is not to be found"))
            .fix("e4 clips --seed 1 --count 8 --out clips && e4 run --clip clips");
    };
    match first_frame(subject, &path) {
        Ok(()) => row(State::Ok, path.display().to_string()),
        Err(error) => {
            let fix = clip_fix(&error, &path);
            row(State::Fail, error.to_string()).fix(fix)
        }
    }
}

/// Reads up to the first frame. What comes through a pipe is left in there.
fn first_frame(subject: &Subject<'_>, path: &Path) -> Result<(), SourceError> {
    let config = subject.config;
    let options = clip_options(config, Vec::new(), &Stop::new());
    let mut clip = ClipSource::open(path, options)?;
    let lasting = fs::metadata(path).is_ok_and(|meta| meta.is_file() || meta.is_dir());
    let slots = usize::try_from(config.pipeline.slots).unwrap_or(usize::MAX);
    match lasting && path != Path::new("/dev/stdin") {
        true => clip.start(slots, &|| true),
        false => Ok(()),
    }
}

fn clip_fix(error: &SourceError, path: &Path) -> String {
    let (words, path) = (error.to_string(), quoted(path));
    match error {
        SourceError::Io { .. } => format!("ls -ld {path}"),
        SourceError::Memory { .. } => "e4 run --slots 3".into(),
        _ if words.contains("install ffmpeg") => "sudo apt-get install ffmpeg".into(),
        _ if words.contains("there is no clip") => format!("ls -la {path}"),
        _ => format!("file {path}"),
    }
}

/// Whether the lines of the frames can be written.
pub(super) fn output(subject: &Subject<'_>) -> Check {
    const ID: &str = "output";
    const WHY: &str = "a run ends at its start where it cannot write its lines";
    let (path, writable) = match &subject.config.sink.output {
        OutputTo::None | OutputTo::Stdout => {
            let found = "no file and no socket is asked for";
            return Check::new(ID, WHY, State::NotApplicable, found);
        }
        OutputTo::File(path) => (path, check_target(path)),
        OutputTo::Datagram(path) => (path, DatagramOutput::open(path).map(drop)),
    };
    target(ID, WHY, path, writable)
}

/// Whether the summary can be written.
pub(super) fn summary(subject: &Subject<'_>) -> Check {
    const ID: &str = "summary";
    const WHY: &str = "a run ends at its start where it cannot write its summary";
    let sink = &subject.config.sink;
    match &sink.summary {
        Some(path) if !sink.summary_on_stdout() => target(ID, WHY, path, check_target(path)),
        _ => Check::new(ID, WHY, State::NotApplicable, "no file is asked for"),
    }
}

fn target(id: &'static str, why: &'static str, path: &Path, writable: io::Result<()>) -> Check {
    let name = path.display();
    match writable {
        Ok(()) => Check::new(id, why, State::Ok, name.to_string()),
        Err(error) => {
            let check = Check::new(id, why, State::Fail, format!("{name}: {error}"));
            check.fix(target_fix(path, &error))
        }
    }
}

fn target_fix(path: &Path, error: &io::Error) -> String {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    let folder = quoted(folder.unwrap_or(Path::new(".")));
    match error.kind() {
        io::ErrorKind::NotFound => format!("mkdir -p {folder}"),
        io::ErrorKind::PermissionDenied => format!("sudo chown \"$(id -un)\" {folder}"),
        _ => format!("ls -ld {} {folder}", quoted(path)),
    }
}
