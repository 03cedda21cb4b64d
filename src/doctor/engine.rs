//! What could run the segments.

use super::host::quoted;
use super::library::{Library, find, version_in_name};
use super::{Check, State, Subject};
use crate::config::EngineKind;
use std::env;
use std::path::{Path, PathBuf};

/// Names ONNX Runtime's file, here as for the engine.
const ONNXRUNTIME_VARIABLE: &str = "ORT_DYLIB_PATH";
/// What the engine has the loader look for without it.
const ONNXRUNTIME: &str = "libonnxruntime.so";

/// The engine that is asked for.
pub(super) fn cpu(subject: &Subject<'_>) -> Check {
    const ID: &str = "engine";
    const WHY: &str = "something has to run the network's segments";
    let found = match subject.config.engine.kind {
        EngineKind::Auto => "native, built in; tract, built in, for segments that it cannot run",
        EngineKind::Native => "native, built in",
        EngineKind::Tract => "tract, built in",
        EngineKind::Ort if !cfg!(feature = "ort") => {
            let found = "ort, which this e4 was built without";
            let fix = "cargo build --release --features ort";
            return Check::new(ID, WHY, State::Fail, found).fix(fix);
        }
        EngineKind::Ort => return ort(subject, ID, WHY),
    };
    Check::new(ID, WHY, State::Ok, found)
}

/// ONNX Runtime as the engine: the library must be where the engine opens it.
fn ort(subject: &Subject<'_>, id: &'static str, why: &'static str) -> Check {
    let asked = named(subject).unwrap_or_else(|| PathBuf::from(ONNXRUNTIME));
    let opens = !subject.host.is_real() || Library::load(&asked).is_ok();
    let elsewhere = find(&subject.host, ONNXRUNTIME);
    let fix = |file: &Path| format!("export {ONNXRUNTIME_VARIABLE}={}", quoted(file));
    match (opens, elsewhere) {
        (true, _) => Check::new(id, why, State::Ok, format!("ort, {}", asked.display())),
        (false, Some(file)) => {
            let found = format!("ort, but {} does not load", asked.display());
            Check::new(id, why, State::Fail, found).fix(fix(&file))
        }
        (false, None) => {
            let found = format!("ort, but there is no {}", asked.display());
            Check::new(id, why, State::Fail, found).fix(format!(
                "pip install --target ~/.local/onnxruntime onnxruntime && export {ONNXRUNTIME_VARIABLE}=\"$(find ~/.local/onnxruntime -name 'libonnxruntime.so*' | head -n 1)\""
            ))
        }
    }
}

/// The file that the environment names.
fn named(subject: &Subject<'_>) -> Option<PathBuf> {
    let path = env::var_os(ONNXRUNTIME_VARIABLE).filter(|_| subject.host.is_real())?;
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// TensorRT, where it is installed.
pub(super) fn tensorrt(subject: &Subject<'_>) -> Check {
    const WHY: &str = "on a Jetson it runs the segments on the GPU";
    installed(
        subject,
        "tensorrt",
        WHY,
        "libnvinfer.so",
        Library::tensorrt_version,
    )
}

/// ONNX Runtime, where it is installed.
pub(super) fn onnxruntime(subject: &Subject<'_>) -> Check {
    const WHY: &str = "it runs any graph, as --engine ort of an e4 that was built with it";
    installed(
        subject,
        "onnxruntime",
        WHY,
        ONNXRUNTIME,
        Library::onnxruntime_version,
    )
}

fn installed(
    subject: &Subject<'_>,
    id: &'static str,
    why: &'static str,
    name: &str,
    version: fn(&Library) -> Option<String>,
) -> Check {
    let named = named(subject).filter(|_| name == ONNXRUNTIME);
    let Some(file) = named.or_else(|| find(&subject.host, name)) else {
        let found = format!("no {name}; the engine that is asked for does without");
        return Check::new(id, why, State::NotApplicable, found);
    };
    let path = file.display();
    let by_name = || version_in_name(&file).unwrap_or_else(|| "unknown".to_owned());
    if !subject.host.is_real() {
        let found = format!("version {} by its name, {path}", by_name());
        return Check::new(id, why, State::Ok, found);
    }
    match Library::load(&file) {
        Ok(library) => {
            let version = version(&library);
            let version = version.unwrap_or_else(|| format!("{} by its name", by_name()));
            Check::new(id, why, State::Ok, format!("version {version}, {path}"))
        }
        Err(error) => {
            let found = format!(
                "version {} by its name, and does not load: {error}",
                by_name()
            );
            Check::new(id, why, State::Warn, found).fix(format!("ldd {}", quoted(&file)))
        }
    }
}
