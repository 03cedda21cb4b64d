//! The table as Markdown, with what follows from it.

use super::{Entry, Split, Table};
use crate::plan::planner::Objective;
use crate::sim::methods::MethodName;
use std::fmt::Write as _;

const INTRO: &str = "\
# The E4 table: simulated

Every figure is **simulated**: board models in virtual time, exits from traces of real \
runs. *Grid-calibrated* boards were fitted to grids measured on that board, *anchored* ones \
only compared with published points. No board was measured; the table says how the methods \
compare under one model, not what any of them draws on your desk. Energy is that of a frame \
and of the idle stretch up to the next one, within the rails named. Making the tensor, the \
camera, other load and the methods' own processor time are not in it.
";

/// Latencies beyond it mean that the queue grew as long as the run lasted.
const BEHIND_MS: f64 = 1_000.0;

impl Table {
    /// The whole table.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = INTRO.to_owned();
        let mut last: Option<&Entry> = None;
        for entry in &self.entries {
            let begins =
                last.is_none_or(|last| last.rate != entry.rate || last.bundle != entry.bundle);
            if begins {
                let (bundle, rate) = (&entry.bundle, entry.rate.words());
                let _ = write!(text, "\n## {bundle}, {rate}\n\n{HEADER}");
            }
            text.push_str(&line(entry));
            last = Some(entry);
        }
        text.push_str(&self.split());
        text.push_str(&self.targets());
        text
    }

    fn splits(&self) -> Vec<(&Entry, Split)> {
        let ours = self.ours();
        ours.filter_map(|ours| Some((ours, Split::of(self, ours)?)))
            .collect()
    }

    /// Where saving and speed-up come from.
    fn split(&self) -> String {
        let mut text = SPLIT.to_owned();
        for (ours, s) in self.splits() {
            let [ztt, ring, softmax] = s.peers.map(|p| format!("{:.1} ({:.1})", p.below, p.late));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | **{:.1}** | {:.1} | {ztt} | \
                 {ring} | {softmax} | {:.1} | {} | {} | {} |",
                ours.rate.word(),
                ours.board.title,
                ours.bundle,
                s.early_exit,
                s.static_optimum,
                s.foresight,
                s.staging,
                s.whole,
                s.below_governors,
                s.below_e4,
                times(s.speed_up),
                times(s.by_exits),
                times(s.by_clocks),
            );
        }
        text
    }

    /// What the table was made to show, and whether it does.
    fn targets(&self) -> String {
        let splits = self.splits();
        let mut rates: Vec<_> = splits.iter().map(|(ours, _)| ours.rate).collect();
        rates.dedup();
        let mut text = "\n## What it was to show\n\n".to_owned();
        for rate in rates {
            let of = splits.iter().filter(|(ours, _)| ours.rate == rate);
            let of: Vec<&Split> = of.map(|(_, split)| split).collect();
            let mean = |value: fn(&Split) -> f64| {
                let values = of.iter().map(|split| value(split));
                values.sum::<f64>() / super::float(u64::try_from(of.len()).unwrap_or(1))
            };
            let least = |value: fn(&Split) -> f64| {
                let values = of.iter().map(|split| value(split));
                values.fold(f64::INFINITY, f64::min)
            };
            let accuracy = of.iter().filter_map(|split| split.accuracy);
            let accuracy = accuracy.fold(0.0, f64::min);
            let below = mean(|s| s.below_best);
            let later = of
                .iter()
                .any(|s| s.peers.iter().any(|peer| peer.late < s.late));
            let peers = each(&of);
            let e4 = least(|s| s.below_e4);
            let speed_up = least(|s| s.speed_up);
            let _ = write!(
                text,
                "{}:\n\n- energy below the cheapest of zTT, Ring-DVFS and softmax exits under \
                 governors, mean over boards: {below:.1} % (26 % was the aim: {}), clip accuracy \
                 {accuracy:+.2} points from full depth at worst (-0.2: {}), more late frames than \
                 the best of the three: {}\n- below each of them, means over boards: {peers}\n- below E4 as published on every board: {} (least \
                 {e4:.1} %)\n- mean latency with the objective latency, full depth under governors \
                 over ours: at least {} (2.8: {})\n\n",
                rate.words(),
                met(below >= 26.0),
                met(accuracy >= -0.2),
                if later { "yes, **not met**" } else { "no" },
                met(e4 > 0.0),
                times(speed_up),
                met(speed_up >= 2.8),
            );
        }
        text
    }
}

/// Ours below each of the three peers, and their late frames, means over boards.
fn each(splits: &[&Split]) -> String {
    let names = ["zTT", "Ring-DVFS", "softmax exits under governors"];
    let boards = super::float(u64::try_from(splits.len()).unwrap_or(1));
    let peer = |(k, name): (usize, &str)| {
        let below: f64 = splits.iter().map(|split| split.peers[k].below).sum();
        let late: f64 = splits.iter().map(|split| split.peers[k].late).sum();
        let (below, late) = (below / boards, late / boards);
        format!("{name} {below:.1} % (late in {late:.1} % of its frames)")
    };
    let all: Vec<String> = names.into_iter().enumerate().map(peer).collect();
    all.join(", ")
}

fn met(is: bool) -> &'static str {
    if is { "met" } else { "**not met**" }
}

const HEADER: &str = "\
| board | basis | method | latency ms mean | p99 | energy mJ/frame | of it working | late % | \
clip accuracy % | mean exit | probes | search J | boundary |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

const SPLIT: &str = "
## Where it comes from

Ours, in % of the energy of full depth at MAXN: what leaving early saves at the highest \
clocks, what the best single clock point saves beyond, what planning for unknown exits \
(foresight) and issuing changes ahead (staging) save beyond. Then ours below others, in % of \
theirs, and how many % of their frames are late. Last, with the objective latency, the speed-up over full depth under \
governors: of exits alone (both under governors) times that of clocks. All simulated.

| rate | board | bundle | early exit | static | foresight | staging | all | below governors | \
below zTT (late) | below Ring-DVFS (late) | below softmax (late) | below E4 | speed-up | exits | clocks |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

fn times(factor: f64) -> String {
    match factor {
        f if f >= 500.0 => "falls behind".to_owned(),
        f => format!("{f:.2}x"),
    }
}

fn line(entry: &Entry) -> String {
    let f = &entry.figures;
    let latency = |ms: f64| match ms > BEHIND_MS {
        true => "falls behind".to_owned(),
        false => format!("{ms:.2}"),
    };
    let accuracy = f.clip_accuracy;
    let accuracy = accuracy.map_or_else(|| "-".to_owned(), |share| format!("{:.2}", 100.0 * share));
    let ours = entry.method == MethodName::Ours && entry.objective == Objective::Energy;
    let bold = if ours { "**" } else { "" };
    format!(
        "| {} | simulated, {} | {bold}{}{bold} | {} | {} | {bold}{:.2}{bold} | {:.2} | {:.2} | \
         {accuracy} | {:.2} | {} | {:.0} | {} |\n",
        entry.board.title.trim_start_matches("NVIDIA Jetson "),
        entry.board.calibration,
        entry.title(),
        latency(f.latency_mean_ms),
        latency(f.latency_p99_ms),
        f.energy_mj,
        f.work_mj,
        entry.late_percent(),
        f.mean_exit,
        f.search.probes,
        f.search.joules,
        entry.board.simulated_boundary(),
    )
}
