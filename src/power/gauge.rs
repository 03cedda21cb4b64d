//! What every opened sensor has in common.

use super::boundary::Boundary;
use super::found::{Found, FoundRail};
use super::sensor::Window;

#[derive(Debug)]
pub(super) struct Common {
    pub name: String,
    pub files: Vec<String>,
    pub boundary: Boundary,
    pub window: Window,
    pub accuracy: f64,
}

impl Common {
    pub fn new(found: &Found, rails: &[&FoundRail], boundary: &Boundary) -> Self {
        let file = |rail: &&FoundRail| rail.measure.files().first().map(ToString::to_string);
        Self {
            name: found.name.clone(),
            files: rails.iter().filter_map(file).collect(),
            boundary: boundary.clone(),
            window: found.window,
            accuracy: found.accuracy,
        }
    }

    pub fn file(&self, rail: usize) -> &str {
        self.files.get(rail).map_or("", String::as_str)
    }
}
