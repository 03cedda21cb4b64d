//! `--engine`: auto has tract run what the native engine cannot and says so
//! once, native refuses with the node named, every choice computes the same.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

mod support;

use e4::engine::auto::AutoEngine;
use e4::engine::bundle::Bundle;
use e4::engine::check::golden_features;
use e4::engine::native::NativeEngine;
use e4::engine::{Engine, EngineError};
use prost::Message;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tract_onnx::pb::ModelProto;

/// A copy of the small bundle whose second segment computes the same with one
/// more node, which `op` names.
fn with_node(op: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(support::repository("engines/tiny-e2")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let file = copy.path().join("segment_1.onnx");
    let mut model = ModelProto::decode(fs::read(&file).unwrap().as_slice()).unwrap();
    let nodes = &mut model.graph.as_mut().unwrap().node;
    let at = nodes.iter().position(|n| n.op_type == "Clip").unwrap();
    let mut extra = nodes[at].clone();
    extra.op_type = op.to_owned();
    extra.name = "the_odd_one".to_owned();
    extra.input = vec!["before".to_owned()];
    nodes[at].output = vec!["before".to_owned()];
    nodes.insert(at + 1, extra);
    fs::write(&file, model.encode_to_vec()).unwrap();
    sign(copy.path());
    copy
}

fn sign(dir: &Path) {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n != "SHA256SUMS")
        .collect();
    names.sort();
    let line = |name: &String| {
        let digest = Sha256::digest(fs::read(dir.join(name)).unwrap());
        let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        format!("{hex}  {name}\n")
    };
    let list: String = names.iter().map(line).collect();
    fs::write(dir.join("SHA256SUMS"), list).unwrap();
}

/// Runs e4; one that hangs is killed and fails the test.
fn e4(arguments: &[&str]) -> Output {
    let out = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { out.path().join(name) };
    let stream = |name: &str| Stdio::from(fs::File::create(path(name)).unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_e4"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(stream("out"))
        .stderr(stream("err"))
        .spawn()
        .unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("e4 hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    Output {
        status,
        stdout: fs::read(path("out")).unwrap(),
        stderr: fs::read(path("err")).unwrap(),
    }
}

#[test]
fn tract_runs_what_the_native_engine_cannot_and_computes_the_same() {
    let copy = with_node("Abs");
    let bundle = Bundle::open(copy.path()).unwrap();
    let engine = AutoEngine::new();
    let notices = engine.notices(&bundle);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("segment_1.onnx: tract runs this segment"));
    assert!(notices[0].contains("Abs \"the_odd_one\""), "{notices:?}");
    let errors = golden_features(&engine, &bundle, &bundle.golden().unwrap()).unwrap();
    assert!(errors.iter().all(|e| e.is_equal()), "{errors:?}");

    assert_eq!(
        AutoEngine::new().notices(&support::tiny()),
        Vec::<String>::new()
    );
}

#[test]
fn the_native_engine_refuses_with_the_node_named() {
    let copy = with_node("Abs");
    let bundle = Bundle::open(copy.path()).unwrap();
    let engine = NativeEngine::new();
    assert!(engine.load(&bundle, 0).is_ok());
    let error = engine.load(&bundle, 1).unwrap_err();
    let EngineError::Load { file, reason } = &error else {
        panic!("{error}");
    };
    assert!(file.ends_with("segment_1.onnx"), "{file}");
    assert!(reason.starts_with("Abs \"the_odd_one\""), "{reason}");
    assert!(reason.contains("--engine auto"), "{reason}");
}

#[test]
fn the_command_line_says_it_once() {
    let copy = with_node("Abs");
    let bundle = copy.path().to_str().unwrap();
    let run = |engine: &str| {
        let frames = ["--source", "generator", "--pace", "fast", "--frames", "20"];
        e4(&[
            &["run", "--bundle", bundle, "--engine", engine],
            &frames[..],
        ]
        .concat())
    };
    let told = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.matches("tract runs this segment").count()
    };
    for (engine, code, notices) in [
        ("auto", 0, 1),
        ("cpu", 0, 1),
        ("tract", 0, 0),
        ("native", 2, 0),
    ] {
        let output = run(engine);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{engine}: {text}");
        assert_eq!(told(&output), notices, "{engine}: {text}");
        assert_eq!(
            text.contains("the_odd_one"),
            engine != "tract",
            "{engine}: {text}"
        );
    }
}

/// Runs 20 frames of generated scenes on `engine`.
fn frames_on(engine: &str) -> Output {
    let bundle = support::repository("engines/tiny-e2");
    let bundle = bundle.to_str().unwrap();
    let frames = ["--source", "generator", "--pace", "fast", "--frames", "20"];
    e4(&[
        &["run", "--bundle", bundle, "--engine", engine],
        &frames[..],
    ]
    .concat())
}

#[cfg(not(feature = "ort"))]
#[test]
fn ort_is_refused_with_the_feature_named() {
    let output = frames_on("ort");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("--features ort"), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
}

#[cfg(feature = "ort")]
#[test]
fn ort_runs_frames_or_says_which_library_it_wants() {
    let output = frames_on("ort");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if e4::engine::ort::OrtEngine::open().is_ok() {
        assert_eq!(output.status.code(), Some(0), "{text}");
    } else {
        println!("SKIP: no ONNX Runtime here");
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("ORT_DYLIB_PATH"), "{text}");
    }
}
