//! What could run the segments.

use super::host::quoted;
use super::library::{Library, find, version_in_name};
use super::{Check, State, Subject};
use crate::config::EngineKind;

/// The engine that is asked for.
pub(super) fn cpu(subject: &Subject<'_>) -> Check {
    const ID: &str = "engine";
    const WHY: &str = "something has to run the network's segments";
    let found = match subject.config.engine.kind {
        EngineKind::Auto => "native, built in; tract, built in, for segments that it cannot run",
        EngineKind::Native => "native, built in",
        EngineKind::Tract => "tract, built in",
    };
    Check::new(ID, WHY, State::Ok, found)
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
    const WHY: &str = "it runs the same segments, to compare with";
    installed(
        subject,
        "onnxruntime",
        WHY,
        "libonnxruntime.so",
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
    let Some(file) = find(&subject.host, name) else {
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
