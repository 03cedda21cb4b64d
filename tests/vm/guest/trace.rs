//! The kernel's trace events, to hold our own counts against.

use super::{read, write};
use anyhow::Result;
use std::path::Path;

const FOLDER: &str = "/sys/kernel/tracing";

/// Records one event (`v4l2/v4l2_dqbuf`) until it is dropped.
#[derive(Debug)]
pub struct Trace {
    event: String,
}

impl Trace {
    /// Starts to record, with room for `kib` per CPU.
    pub fn start(event: &str, kib: u32) -> Result<Self> {
        let at = Path::new(FOLDER);
        write(at.join("buffer_size_kb"), &kib.to_string())?;
        write(at.join("trace"), "")?;
        write(at.join("tracing_on"), "1")?;
        write(at.join("events").join(event).join("enable"), "1")?;
        Ok(Self {
            event: event.to_owned(),
        })
    }

    /// The events so far, oldest first: the text after the event's name, `key = value, ...`.
    pub fn events(&self) -> Result<Vec<String>> {
        let name = self.event.rsplit('/').next().unwrap_or_default();
        let mark = format!(" {name}: ");
        let text = read(Path::new(FOLDER).join("trace"))?;
        let lines = text.lines().filter_map(|line| line.split_once(&mark));
        Ok(lines.map(|(_, fields)| fields.to_owned()).collect())
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let enable = Path::new(FOLDER)
            .join("events")
            .join(&self.event)
            .join("enable");
        let _ = write(enable, "0");
    }
}

/// A field of an event's text: `field(text, "sequence")`.
pub fn field(event: &str, key: &str) -> Option<String> {
    let pairs = event.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.trim(), value.trim()))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value.to_owned())
}
