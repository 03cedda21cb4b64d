//! The progress bar of a profile, on a terminal.

use crate::monotonic::now_ns;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

const WIDTH: usize = 24;

/// A bar on standard error; nothing where that is no terminal.
#[derive(Debug)]
pub struct Bar {
    shown: bool,
    total: usize,
    before: usize,
    began_ns: u64,
}

impl Bar {
    /// For so many points at most, `before` of which were measured earlier.
    pub fn new(total: usize, before: usize) -> Self {
        Self {
            shown: io::stderr().is_terminal(),
            total,
            before,
            began_ns: now_ns(),
        }
    }

    /// Point `number`, from 1, is being measured.
    pub fn at(&self, number: usize, point: &dyn Display) {
        if !self.shown {
            return;
        }
        let done = number - 1;
        let filled = WIDTH * done / self.total.max(1);
        let text = format!(
            "\r\x1b[K[{}{}] {number} of at most {} points{}, {point}",
            "#".repeat(filled),
            ".".repeat(WIDTH - filled),
            self.total,
            self.left(done),
        );
        // Standard error may be closed; there is nobody to tell then.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// The time that is left, by what the points so far took.
    fn left(&self, done: usize) -> String {
        let measured = done.saturating_sub(self.before) as u64;
        if measured == 0 {
            return String::new();
        }
        let each_ns = now_ns().saturating_sub(self.began_ns) / measured;
        let left_s = each_ns * (self.total - done) as u64 / 1_000_000_000;
        match left_s {
            0..=99 => format!(", {left_s} s left"),
            _ => format!(", {} min left", left_s / 60),
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if self.shown {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}
