//! The table for people at the end of a run.

use super::aggregate::Tally;
use super::energy::EnergySummary;
use super::report::Report;
use super::summary::{Percentiles, Summary};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write;
use std::io::IsTerminal;

/// Whether text may carry colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours.
    pub colour: bool,
}

impl Style {
    /// For a stream: colours on a terminal that knows them, unless `NO_COLOR` is
    /// set to anything.
    #[must_use]
    pub fn of(stream: &impl IsTerminal) -> Self {
        let (no_color, term) = (std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
        Self::choose(stream.is_terminal(), no_color.as_deref(), term.as_deref())
    }

    fn choose(terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> Self {
        let wanted = no_color.is_none_or(OsStr::is_empty);
        let able = term.is_some_and(|term| term != "dumb");
        Self {
            colour: terminal && wanted && able,
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn title(self, text: &str) -> String {
        self.paint("1", text)
    }
}

/// Columns of the longest bar.
const BAR: usize = 24;

/// The whole table.
#[must_use]
pub fn table(report: &Report, style: Style) -> String {
    let summary = report.summary();
    let mut text = counts(report, &summary, style);
    if summary.frames.results > 0 {
        text.push_str(&exits(report, style));
        text.push_str(&latencies(&summary, style));
    }
    text
}

fn counts(report: &Report, summary: &Summary, style: Style) -> String {
    let totals = &report.totals;
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        text.extend([&style.title(&format!("{name:<10}")), value.as_str(), "\n"]);
    };
    row(
        "frames",
        format!(
            "{} captured, {} result{}, {} dropped",
            grouped(summary.frames.captured),
            grouped(summary.frames.results),
            if summary.frames.results == 1 { "" } else { "s" },
            grouped(summary.dropped())
        ),
    );
    if summary.dropped() > 0 {
        row(
            "dropped",
            style.paint("33", &listed(&summary.frames.dropped)),
        );
    }
    if summary.source_gaps.values().any(|&n| n > 0) {
        row("gaps", style.paint("33", &listed(&summary.source_gaps)));
    }
    if report.unsent > 0 {
        let lines = format!("{} lines found no receiver", grouped(report.unsent));
        row("unsent", style.paint("33", &lines));
    }
    if let Some(rate) = totals.rate_hz() {
        let seconds = totals.elapsed_ns() as f64 / 1e9;
        row("rate", format!("{rate:.1} frames/s over {seconds:.1} s"));
    }
    let judged = |tally: Tally, of: &str| {
        let share = tally.share()?;
        Some(format!(
            "{} of {} {of}{}",
            percent(share),
            grouped(tally.labelled),
            if tally.labelled == 1 { "" } else { "s" },
        ))
    };
    let clips = judged(totals.clip_accuracy(), "clip");
    let frames = judged(totals.frame_accuracy(), "frame");
    let both: Vec<String> = clips.into_iter().chain(frames).collect();
    if !both.is_empty() {
        row("accuracy", style.paint("32", &both.join(", ")));
    }
    if let Some((share, exit)) = summary.macs_share.zip(totals.mean_exit()) {
        row(
            "MACs",
            format!("{} of full depth, mean exit {exit:.2}", percent(share)),
        );
    }
    if let Some(energy) = &summary.energy {
        row("energy", energy_words(energy));
        row("", format!("of {}", energy.boundary));
    }
    text
}

fn energy_words(energy: &EnergySummary) -> String {
    let mut words = format!(
        "{:.3} J +- {:.3} over {:.1} s, {:.2} W",
        energy.joules, energy.error_joules, energy.seconds, energy.watts
    );
    if let Some((joules, error)) = energy.per_frame_joules.zip(energy.per_frame_error_joules) {
        words.push_str(&format!(
            ", {:.2} mJ +- {:.2} a frame",
            joules * 1e3,
            error * 1e3
        ));
    }
    words
}

fn exits(report: &Report, style: Style) -> String {
    let mut text = String::new();
    let head = format!(
        "{:<6}{:>10}{:>9}  {:<BAR$}  {:>10}",
        "exit", "frames", "share", "", "p50 ms"
    );
    text.extend(["\n", style.title(&head).as_str(), "\n"]);
    let results = report.totals.results() as f64;
    let times = &report.totals.latencies().by_exit;
    for ((number, &count), latency) in (1..).zip(report.totals.exits()).zip(times) {
        let share = count as f64 / results;
        let bar = style.paint("36", &format!("{:<BAR$}", bar(share)));
        let p50 = match count {
            0 => "-".to_owned(),
            _ => milliseconds(latency.value_at_quantile(0.5)),
        };
        let number: i32 = number;
        line(
            &mut text,
            format_args!(
                "{number:<6}{:>10}{:>9}  {bar}  {p50:>10}",
                grouped(count),
                percent(share)
            ),
        );
    }
    text
}

fn latencies(summary: &Summary, style: Style) -> String {
    let mut text = String::new();
    let head = format!(
        "{:<12}{:>10}{:>10}{:>10}{:>10}",
        "latency ms", "p50", "p90", "p99", "max"
    );
    text.extend(["\n", style.title(&head).as_str(), "\n"]);
    let latency = &summary.latency_us;
    let rows = [
        ("tensor", latency.tensor),
        ("infer", latency.infer),
        ("gate", latency.gate),
        ("overhead", summary.overhead_us),
        ("total", latency.total),
    ];
    for (stage, Percentiles { p50, p90, p99, max }) in rows {
        let [p50, p90, p99, max] = [p50, p90, p99, max].map(|us| decimals(us / 1e3));
        line(
            &mut text,
            format_args!("{stage:<12}{p50:>10}{p90:>10}{p99:>10}{max:>10}"),
        );
    }
    text
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // A String takes whatever it is given.
    let _ = writeln!(text, "{content}");
}

fn listed(counts: &BTreeMap<String, u64>) -> String {
    let mut some: Vec<_> = counts.iter().filter(|(_, n)| **n > 0).collect();
    some.sort_by_key(|&(_, &n)| std::cmp::Reverse(n));
    let words: Vec<_> = some
        .iter()
        .map(|(name, n)| format!("{} {name}", grouped(**n)))
        .collect();
    words.join(", ")
}

/// `share` of a full bar, in eighths of a column; nothing only for nothing.
fn bar(share: f64) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the bar's few columns"
    )]
    let eighths = (share.clamp(0.0, 1.0) * (BAR * 8) as f64).ceil() as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(PARTS[eighths % 8]);
    bar
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Milliseconds with three digits that count.
fn decimals(ms: f64) -> String {
    let places = match ms {
        _ if ms < 1.0 => 3,
        _ if ms < 10.0 => 2,
        _ => 1,
    };
    format!("{ms:.places$}")
}

/// Nanoseconds as milliseconds.
pub(super) fn milliseconds(ns: u64) -> String {
    decimals(ns as f64 / 1e6)
}

/// `number` with its thousands set apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::report::OutputEnd;
    use super::super::testing::frame;
    use super::super::{Aggregate, DropCounters, DropReason, EnergyEnd};
    use super::*;
    use crate::sync::Arc;

    fn report(exits: &[u8]) -> Report {
        let mut totals = Aggregate::new(&[1, 1, 2]);
        let drops = DropCounters::default();
        for &exit in exits {
            let mut result = frame(exit);
            result.label = Some(0);
            totals.record(&result);
            drops.capture();
        }
        totals.end_clip();
        Report {
            totals,
            drops: Arc::new(drops),
            gaps: BTreeMap::new(),
            unsent: 0,
            output: OutputEnd::Complete,
            energy: EnergyEnd::default(),
            dvfs: None,
        }
    }

    #[test]
    fn a_run_reads_at_a_glance() {
        let wanted = "\
frames    4 captured, 4 results, 0 dropped
rate      1242.2 frames/s over 0.0 s
accuracy  100.0 % of 1 clip, 100.0 % of 4 frames
MACs      43.8 % of full depth, mean exit 1.50

exit      frames    share                                p50 ms
1              3   75.0 %  ██████████████████              1.18
2              0    0.0 %                                     -
3              1   25.0 %  ██████                          3.22

latency ms         p50       p90       p99       max
tensor           0.100     0.100     0.100     0.100
infer             1.00      3.00      3.00      3.00
gate             0.020     0.060     0.060     0.060
overhead         0.060     0.060     0.060     0.060
total             1.18      3.22      3.22      3.22
";
        assert_eq!(table(&report(&[0, 0, 0, 2]), Style::default()), wanted);
    }

    #[test]
    fn losses_are_named() {
        let mut report = report(&[0]);
        report.drops.drop_frame(DropReason::Superseded);
        report.drops.drop_frame(DropReason::Superseded);
        report.drops.drop_frame(DropReason::Shutdown);
        report.gaps.insert("driver", 1_234_567);
        report.unsent = 5;
        let text = table(&report, Style::default());
        assert!(
            text.contains("dropped   2 superseded, 1 shutdown\n"),
            "{text}"
        );
        assert!(text.contains("gaps      1,234,567 driver\n"), "{text}");
        assert!(
            text.contains("unsent    5 lines found no receiver\n"),
            "{text}"
        );
    }

    #[test]
    fn a_run_without_a_result_is_one_line() {
        assert_eq!(
            table(&report(&[]), Style::default()),
            "frames    0 captured, 0 results, 0 dropped\n"
        );
    }

    #[test]
    fn colours_need_a_terminal_and_no_wish_against_them() {
        let [set, empty, dumb, xterm] = ["1", "", "dumb", "xterm"].map(OsStr::new);
        assert!(Style::choose(true, None, Some(xterm)).colour);
        assert!(Style::choose(true, Some(empty), Some(xterm)).colour);
        assert!(!Style::choose(true, Some(set), Some(xterm)).colour);
        assert!(!Style::choose(true, None, Some(dumb)).colour);
        assert!(!Style::choose(true, None, None).colour);
        assert!(!Style::choose(false, None, Some(xterm)).colour);
        let plain = table(&report(&[0]), Style { colour: false });
        assert!(!plain.contains('\x1b'));
        let coloured = table(&report(&[0]), Style { colour: true });
        assert!(coloured.contains('\x1b'));
    }

    #[test]
    fn a_bar_shows_even_the_smallest_share() {
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(1e-9), "▏");
        assert_eq!(bar(1.0).chars().count(), BAR);
        assert_eq!(bar(f64::NAN), "");
    }

    #[test]
    fn thousands_are_set_apart() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ];
        for (number, wanted) in cases {
            assert_eq!(grouped(number), wanted);
        }
    }
}
