//! The live status line.
//!
//! Guarantees: at most five redraws a second on a terminal and one line a second
//! elsewhere; a stream that cannot be written to ends the line, never the run.
//! Costs a few tens of microseconds a redraw.

use super::table::{grouped, milliseconds};
use super::{Aggregate, DropCounters};
use std::fmt::Debug;
use std::io::{self, IsTerminal, Write};

const ON_TERMINAL_NS: u64 = 200_000_000;
const ELSEWHERE_NS: u64 = 1_000_000_000;

/// Longest class name that is shown whole.
const NAME: usize = 16;

/// Shows on a stream how the run goes.
pub struct StatusLine {
    out: Box<dyn Write + Send>,
    terminal: bool,
    due_ns: u64,
    drawn: Option<(u64, u64)>,
    text: String,
    broken: bool,
}

impl Debug for StatusLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusLine")
            .field("terminal", &self.terminal)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl StatusLine {
    /// On standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self::new(Box::new(io::stderr()), io::stderr().is_terminal())
    }

    /// On `out`; on a terminal it redraws in place.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, terminal: bool) -> Self {
        Self {
            out,
            terminal,
            due_ns: 0,
            drawn: None,
            text: String::with_capacity(256),
            broken: false,
        }
    }

    /// Draws the state at `now_ns`, if it is time; `class` is the latest answer.
    pub fn update(&mut self, now_ns: u64, totals: &Aggregate, drops: &DropCounters, class: &str) {
        if self.compose(now_ns, totals, drops, class) {
            self.put();
        }
    }

    /// Makes the text of the state at `now_ns`, if it is time: the part of
    /// [`update`](Self::update) that never waits. [`put`](Self::put) shows it.
    pub fn compose(
        &mut self,
        now_ns: u64,
        totals: &Aggregate,
        drops: &DropCounters,
        class: &str,
    ) -> bool {
        if self.broken || now_ns < self.due_ns {
            return false;
        }
        let period = if self.terminal {
            ON_TERMINAL_NS
        } else {
            ELSEWHERE_NS
        };
        self.due_ns = now_ns.saturating_add(period);
        let results = totals.results();
        let since = self.drawn.replace((now_ns, results));
        self.text.clear();
        self.text
            .push_str(if self.terminal { "\r\x1b[K" } else { "" });
        self.text.push_str(&grouped(results));
        self.text
            .push_str(if results == 1 { " frame" } else { " frames" });
        if let Some((then_ns, then)) = since.filter(|&(then_ns, _)| then_ns < now_ns) {
            let rate = (results - then) as f64 * 1e9 / (now_ns - then_ns) as f64;
            self.text.push_str(&format!("  {rate:.1}/s"));
        }
        if let Some(exit) = totals.mean_exit() {
            let total = &totals.latencies().total;
            self.text.push_str(&format!(
                "  exit {exit:.2}  p50 {} ms  p99 {} ms",
                milliseconds(total.value_at_quantile(0.5)),
                milliseconds(total.value_at_quantile(0.99)),
            ));
        }
        if drops.total() > 0 {
            self.text
                .push_str(&format!("  {} dropped", grouped(drops.total())));
        }
        self.text.push_str("  ");
        self.text
            .extend(class.chars().filter(|c| !c.is_control()).take(NAME));
        if !self.terminal {
            self.text.push('\n');
        }
        true
    }

    /// Takes the line away, at the end.
    fn clear(&mut self) {
        if self.terminal && self.drawn.take().is_some() && !self.broken {
            self.text.clear();
            self.text.push_str("\r\x1b[K");
            self.put();
        }
    }

    /// Shows what was composed.
    pub fn put(&mut self) {
        let written = self
            .out
            .write_all(self.text.as_bytes())
            .and_then(|()| self.out.flush());
        self.broken = written.is_err();
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::frame;
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn drawn(terminal: bool) -> String {
        let shared = Shared::default();
        let mut line = StatusLine::new(Box::new(shared.clone()), terminal);
        let mut totals = Aggregate::new(&[1, 1]);
        let drops = DropCounters::default();
        // One update every 10 ms for two seconds.
        for step in 0..200 {
            totals.record(&frame(0));
            line.update(step * 10_000_000, &totals, &drops, "walk\x1b[2J");
        }
        drop(line);
        let text = shared.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_terminal_sees_five_redraws_a_second_and_a_clean_line_at_the_end() {
        let text = drawn(true);
        assert_eq!(text.matches(" frame").count(), 10);
        assert!(text.ends_with("\r\x1b[K"));
        assert!(
            text.contains("21 frames  100.0/s  exit 1.00  p50 1.18 ms"),
            "{text:?}"
        );
    }

    #[test]
    fn a_log_sees_whole_lines_and_no_control_characters() {
        let text = drawn(false);
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains(['\r', '\x1b']), "{text:?}");
    }

    #[test]
    fn a_stream_that_is_gone_ends_the_line_quietly() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut line = StatusLine::new(Box::new(Gone), true);
        let totals = Aggregate::new(&[1]);
        line.update(0, &totals, &DropCounters::default(), "");
        assert!(line.broken);
        line.clear();
    }
}
