//! A peer in a Python process of its own, asked and answered by lines of JSON.

use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Runtimes that a worker knows.
pub const ENGINES: [&str; 3] = ["onnxruntime", "openvino", "ncnn"];

/// A running peer. It ends when its input does.
#[derive(Debug)]
pub struct Worker {
    /// Name and version.
    pub name: String,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts `engine` in `python`.
    ///
    /// # Errors
    /// When that Python does not run or cannot import the runtime.
    pub fn start(python: &Path, engine: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(python)
            .arg(super::repository("bench/peers/worker.py"))
            .arg(engine)
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("--python {}", python.display()))?;
        let requests = child.stdin.take().context("a pipe")?;
        let answers = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut worker = Self {
            name: engine.to_owned(),
            child,
            requests,
            answers,
        };
        let hello = worker.answer()?;
        worker.name = text(&hello, "engine")?;
        Ok(worker)
    }

    /// All that `python` has, with a sentence for each that it lacks.
    pub fn all(python: Option<&Path>) -> Vec<Self> {
        let Some(python) = python else {
            eprintln!("no peers: name a Python that has some with --python or E4_PYTHON");
            return Vec::new();
        };
        let start = |engine: &&str| match Self::start(python, engine) {
            Ok(worker) => Some(worker),
            Err(error) => {
                eprintln!("without {engine}: {error}");
                None
            }
        };
        ENGINES.iter().filter_map(start).collect()
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// When the worker says what went wrong, or has ended.
    pub fn ask(&mut self, request: &Value) -> anyhow::Result<Value> {
        writeln!(self.requests, "{request}").with_context(|| self.name.clone())?;
        self.requests.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("{} ended: {}", self.name, self.child.wait()?);
        }
        let answer: Value = serde_json::from_str(&line)?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => bail!("{error}"),
            None => Ok(answer),
        }
    }

    /// Loads `files`, to be run in a row under `name` on the floats in `x`; what
    /// they pool.
    ///
    /// # Errors
    /// When the runtime does not take them.
    pub fn load(
        &mut self,
        name: &str,
        files: &[PathBuf],
        (x, shape): (&Path, &[usize]),
    ) -> anyhow::Result<Vec<f32>> {
        let out = x.with_extension("out");
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        self.ask(&json!({"load": name, "files": files, "x": x, "shape": shape, "out": out}))?;
        Ok(floats(&std::fs::read(&out)?))
    }

    /// Times of `frames` runs in milliseconds, after `warm` that do not count.
    ///
    /// # Errors
    /// When a run fails.
    pub fn run(&mut self, name: &str, warm: usize, frames: usize) -> anyhow::Result<Vec<f64>> {
        let answer = self.ask(&json!({"run": name, "warm": warm, "frames": frames}))?;
        times_ms(&answer)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It is of no use any more, however it ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The `ns` of an answer, in milliseconds.
pub fn times_ms(answer: &Value) -> anyhow::Result<Vec<f64>> {
    let times = answer["ns"].as_array().context("times")?;
    let ms = |time: &Value| time.as_f64().map(|ns| ns / 1e6).context("a time");
    times.iter().map(ms).collect()
}

fn text(answer: &Value, key: &str) -> anyhow::Result<String> {
    Ok(answer[key]
        .as_str()
        .with_context(|| format!("no {key}"))?
        .to_owned())
}

/// Little-endian floats.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks();
    values.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// The same way back.
pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
