//! The summary of a run, `e4.summary/1`, and its file.

use super::fifo::{self, is_fifo};
use super::{Aggregate, DropCounters, DropReason, DvfsSummary, EnergySummary};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name and version of the schema.
pub const SCHEMA: &str = "e4.summary/1";

/// What a run amounts to, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: String,
    /// Frames, each counted once.
    pub frames: Frames,
    /// Frames that never reached us, by kind; they are not captured ones. One
    /// hole may show in two kinds: as frames that the source lost, and as frames
    /// of the bundle's interval that were missing in consequence.
    pub source_gaps: BTreeMap<String, u64>,
    /// Results by exit, counted from 1.
    pub exits: BTreeMap<String, u64>,
    /// Share of right answers, where there were labels.
    pub accuracy: Option<Accuracy>,
    /// Backbone MACs that ran against full depth for every frame; `None` without
    /// a result.
    pub macs_share: Option<f64>,
    /// Time per stage and frame.
    pub latency_us: LatencyUs,
    /// Capture until the sink has the result, less the time during which any stage
    /// worked on the frame.
    pub overhead_us: Percentiles,
    /// What became of changes of clocks, where they are followed.
    #[serde(default)]
    pub dvfs: Option<DvfsSummary>,
    /// Energy of the run, where it is measured.
    pub energy: Option<EnergySummary>,
}

/// Captured frames = results + all dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frames {
    /// Frames that the source delivered.
    pub captured: u64,
    /// Frames that left the network.
    pub results: u64,
    /// The others, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// Shares of right answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Clips whose class at the last result is right, among those that came to
    /// their end; in an endless stream, actions. `None` where none did.
    pub clip: Option<f64>,
    /// Frames whose class is right.
    pub frame: f64,
}

/// Percentiles per stage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyUs {
    /// Making the input tensor.
    pub tensor: Percentiles,
    /// All segments that ran.
    pub infer: Percentiles,
    /// All heads and gates that ran.
    pub gate: Percentiles,
    /// Capture until the sink has the result.
    pub total: Percentiles,
}

/// Percentiles in microseconds; zeros without a frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

impl Percentiles {
    /// Of a histogram in nanoseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let us = |ns: u64| ns as f64 / 1e3;
        let at = |quantile| us(histogram.value_at_quantile(quantile));
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: us(histogram.max()),
        }
    }
}

impl Summary {
    /// Of a run that has ended. `gaps` are the source's.
    #[must_use]
    pub fn new(
        totals: &Aggregate,
        drops: &DropCounters,
        gaps: &BTreeMap<&'static str, u64>,
    ) -> Self {
        let times = totals.latencies();
        let frame = totals.frame_accuracy().share();
        let clip = totals.clip_accuracy().share();
        let dropped = DropReason::ALL.map(|reason| (reason.name().into(), drops.dropped(reason)));
        Self {
            schema: SCHEMA.into(),
            frames: Frames {
                captured: drops.captured(),
                results: totals.results(),
                dropped: dropped.into(),
            },
            source_gaps: gaps.iter().map(|(&kind, &n)| (kind.into(), n)).collect(),
            exits: (1..)
                .zip(totals.exits())
                .map(|(n, &c)| (i32::to_string(&n), c))
                .collect(),
            accuracy: frame.map(|frame| Accuracy { clip, frame }),
            macs_share: totals.macs_share(),
            latency_us: LatencyUs {
                tensor: Percentiles::of(&times.tensor),
                infer: Percentiles::of(&times.infer),
                gate: Percentiles::of(&times.gate),
                total: Percentiles::of(&times.total),
            },
            overhead_us: Percentiles::of(&times.overhead),
            dvfs: None,
            energy: None,
        }
    }

    /// All frames dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.frames.dropped.values().sum()
    }

    /// As one line of JSON.
    ///
    /// # Errors
    /// None for the values a run can give.
    pub fn to_line(&self) -> io::Result<String> {
        let mut text = serde_json::to_string(self)?;
        text.push('\n');
        Ok(text)
    }

    /// Writes it to `path`, so that readers see the old file or the whole new one.
    /// What is no regular file (a pipe, a device) is written to directly; a named
    /// pipe that nobody reads yet is tried again as long as `wanted` says so.
    ///
    /// # Errors
    /// The system's.
    pub fn save(&self, path: &Path, wanted: &dyn Fn() -> bool) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return reader_of(&path, wanted)?.write_all(text.as_bytes());
        }
        let temporary = beside(&path)?;
        let written = write_whole(&temporary, &text).and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

/// Makes sure that a summary can be put at `path`, before a run that would end
/// without one.
///
/// # Errors
/// When its folder is not there or takes no file, or `path` is a folder.
pub fn check_target(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if is_fifo(path) {
        // Opened and closed, it would be at its end for who reads it.
        return Ok(());
    }
    if path.exists() {
        return File::options().append(true).open(path).map(drop);
    }
    let temporary = beside(path)?;
    File::create(&temporary)?;
    fs::remove_file(temporary)
}

/// What is no regular file, opened for writing.
fn reader_of(path: &Path, wanted: &dyn Fn() -> bool) -> io::Result<File> {
    loop {
        if let Some(file) = fifo::open(path, File::options().write(true))? {
            return Ok(file);
        }
        if !wanted() {
            return Err(io::Error::other("nobody reads this named pipe"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A name in the same folder that no other process uses.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let name = format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id());
    Ok(path.with_file_name(name))
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::testing::frame;
    use super::*;
    use serde_json::json;

    fn totals() -> Aggregate {
        let mut totals = Aggregate::new(&[1, 1]);
        for exit in [0, 0, 0, 1] {
            let mut result = frame(exit);
            result.label = Some(0);
            totals.record(&result);
        }
        totals
    }

    #[test]
    fn a_clip_whose_end_nobody_saw_has_no_accuracy() {
        let summary = Summary::new(&totals(), &DropCounters::default(), &BTreeMap::new());
        let value = serde_json::to_value(summary).unwrap();
        assert_eq!(value["accuracy"], json!({"clip": null, "frame": 1.0}));
    }

    fn summary() -> Summary {
        let drops = DropCounters::default();
        (0..6).for_each(|_| drops.capture());
        drops.drop_frame(DropReason::Decimated);
        drops.drop_frame(DropReason::Superseded);
        let mut totals = totals();
        totals.end_clip();
        Summary::new(&totals, &drops, &BTreeMap::from([("driver", 9)]))
    }

    #[test]
    fn the_schema_is_the_documented_one() {
        let value = serde_json::to_value(summary()).unwrap();
        let fields: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        let wanted = [
            "schema",
            "frames",
            "source_gaps",
            "exits",
            "accuracy",
            "macs_share",
            "latency_us",
            "overhead_us",
            "dvfs",
            "energy",
        ];
        assert_eq!(fields, wanted);
        assert_eq!(value["schema"], "e4.summary/1");
        assert_eq!(value["frames"]["captured"], 6);
        assert_eq!(value["frames"]["results"], 4);
        assert_eq!(value["frames"]["dropped"]["decimated"], 1);
        assert_eq!(value["source_gaps"], json!({"driver": 9}));
        assert_eq!(value["exits"], json!({"1": 3, "2": 1}));
        assert_eq!(value["accuracy"], json!({"clip": 1.0, "frame": 1.0}));
        assert_eq!(value["macs_share"], 0.625);
        assert_eq!(value["energy"], json!(null));
        let stages: Vec<_> = value["latency_us"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(stages, ["tensor", "infer", "gate", "total"]);
        for percentiles in stages
            .iter()
            .map(|s| &value["latency_us"][s])
            .chain([&value["overhead_us"]])
        {
            let keys: Vec<_> = percentiles.as_object().unwrap().keys().cloned().collect();
            assert_eq!(keys, ["p50", "p90", "p99", "max"]);
        }
    }

    #[test]
    fn captured_frames_are_results_and_drops() {
        let summary = summary();
        assert_eq!(
            summary.frames.captured,
            summary.frames.results + summary.dropped()
        );
    }

    #[test]
    fn a_run_without_frames_or_labels_says_null() {
        let empty = Aggregate::new(&[1]);
        let summary = Summary::new(&empty, &DropCounters::default(), &BTreeMap::new());
        let value = serde_json::to_value(summary).unwrap();
        assert!(value["accuracy"].is_null() && value["macs_share"].is_null());
        assert_eq!(value["latency_us"]["total"]["p99"], 0.0);
    }

    #[test]
    fn a_saved_summary_reads_back_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        fs::write(&path, "old").unwrap();
        check_target(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        summary().save(&path, &|| true).unwrap();
        let back: Summary = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(back, summary());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_device_is_written_to_not_replaced() {
        summary().save(Path::new("/dev/null"), &|| true).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        summary().save(&link, &|| true).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_ne!(fs::read(&target).unwrap(), b"old");
    }

    #[test]
    fn a_target_that_cannot_be_is_found_out_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check_target(folder.path()).is_err());
        assert!(check_target(&folder.path().join("no/summary.json")).is_err());
        check_target(&folder.path().join("summary.json")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
