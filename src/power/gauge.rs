//! What every opened sensor has in common.

use super::boundary::Boundary;
use super::found::{Found, FoundRail};
use super::sensor::Window;

#[derive(Debug)]
pub(super) struct Common {
    pub name: String,
    pub files: Vec<Vec<String>>,
    pub boundary: Boundary,
    pub window: Window,
    pub accuracy: f64,
}

impl Common {
    pub fn new(found: &Found, rails: &[&FoundRail], boundary: &Boundary) -> Self {
        let files = |rail: &&FoundRail| {
            let files = rail.measure.files();
            files.iter().map(ToString::to_string).collect()
        };
        Self {
            name: found.name.clone(),
            files: rails.iter().map(files).collect(),
            boundary: boundary.clone(),
            window: found.window,
            accuracy: found.accuracy,
        }
    }

    pub fn files(&self, rail: usize) -> &[String] {
        self.files.get(rail).map_or(&[], Vec::as_slice)
    }
}
