//! What a user should know of each power sensor, and the command that mends what
//! is wrong with it: the doctor's rows. Nothing is written.

use super::board;
use super::discover::discover;
use super::error::PowerError;
use super::files::Root;
use super::select::{boundary, open};
use serde::Serialize;

/// One sensor that is there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PowerRow {
    /// Kind, as `--power-sensor` takes it.
    pub kind: &'static str,
    /// Kind and place.
    pub sensor: String,
    /// Labels of all its rails.
    pub rails: Vec<String>,
    /// What a figure would add up, in words.
    pub boundary: String,
    /// The time that its readings blur over, in milliseconds.
    pub window_ms: f64,
    /// Whether the rails of its boundary can be read.
    pub readable: bool,
    /// What is wrong, in a sentence.
    pub problem: Option<String>,
    /// The command that mends it.
    pub fix: Option<String>,
}

/// The rows of this machine, in the order in which `auto` prefers them; none where
/// it has no sensor.
#[must_use]
pub fn rows(root: &Root) -> Vec<PowerRow> {
    let board = board::detect(root);
    let found = discover(root).into_iter();
    let row = found.map(|found| {
        let error = open(root, &found, board, &[]).err();
        let what = boundary(&found, board, &[]);
        PowerRow {
            kind: found.kind.name(),
            rails: found.rails.iter().map(|rail| rail.label.clone()).collect(),
            boundary: what.map_or_else(|error| error.to_string(), |what| what.to_string()),
            window_ms: found.window.span_ns() as f64 / 1e6,
            readable: error.is_none(),
            fix: error.as_ref().and_then(command),
            problem: error.map(|error| error.to_string()),
            sensor: found.name,
        }
    });
    row.collect()
}

fn command(error: &PowerError) -> Option<String> {
    match error {
        PowerError::Unreadable { file, fix, .. } if fix.contains("chmod") => {
            Some(format!("sudo chmod a+r /{file}"))
        }
        _ => None,
    }
}
