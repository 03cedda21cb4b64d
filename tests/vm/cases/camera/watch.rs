//! A camera that runs on a thread of its own, while the case does things to it.

use anyhow::{Context, Result, bail, ensure};
use e4::monotonic::now_ns;
use e4::source::v4l2::{Camera, CameraFormat, CameraOptions, Reporter};
use e4::source::{FrameSource, Next};
use e4::tensor::Slot;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest wait for anything, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What has happened so far.
#[derive(Debug, Default)]
struct Log {
    /// When each frame came, and its number and time.
    frames: Vec<(Instant, u64, u64)>,
    said: Vec<(Instant, String)>,
    gaps: BTreeMap<&'static str, u64>,
    held: Vec<Slot>,
    hold: usize,
    stop: bool,
    failed: Option<String>,
}

/// A camera at work.
#[derive(Debug)]
pub struct Watch {
    log: Arc<Mutex<Log>>,
    thread: Option<JoinHandle<()>>,
}

/// A camera at 640x480 and 60 frames per second.
pub fn options(device: &Path, format: &str) -> CameraOptions {
    let mut options = CameraOptions::of(&device.to_string_lossy());
    options.wish.formats = vec![CameraFormat::named(format).expect("a known format")];
    options.wish.fps = 60.0;
    options.wait_ns = 20_000_000_000;
    options
}

impl Watch {
    /// Starts the camera; it streams, or waits for the device.
    pub fn start(mut options: CameraOptions) -> Self {
        let log: Arc<Mutex<Log>> = Arc::default();
        let told = log.clone();
        options.reporter = Reporter::new(move |sentence| {
            println!("  said: {sentence}");
            let mut log = told.lock().unwrap();
            log.said.push((Instant::now(), sentence.to_owned()));
        });
        let shared = log.clone();
        let thread = std::thread::spawn(move || {
            if let Err(error) = drive(Camera::new(options), &shared) {
                shared.lock().unwrap().failed = Some(format!("{error:#}"));
            }
        });
        Self {
            log,
            thread: Some(thread),
        }
    }

    /// Waits until `seen` finds something in the log.
    fn until<T>(&self, what: &str, seen: impl Fn(&Log) -> Option<T>) -> Result<T> {
        let began = Instant::now();
        loop {
            let log = self.log.lock().unwrap();
            if let Some(found) = seen(&log) {
                return Ok(found);
            }
            if let Some(failed) = &log.failed {
                bail!("the camera failed: {failed}");
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "no {what}; said: {:?}",
                log.said
            );
            drop(log);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for `count` frames more; when the last of them came.
    pub fn frames(&self, count: usize) -> Result<Instant> {
        let have = self.log.lock().unwrap().frames.len();
        self.until("more frames", |log| {
            log.frames.get(have + count - 1).map(|f| f.0)
        })
    }

    /// When the first frame after `moment` came.
    pub fn frame_after(&self, moment: Instant) -> Result<Instant> {
        self.until("frame", |log| {
            log.frames.iter().map(|f| f.0).find(|&came| came > moment)
        })
    }

    /// When something with these words was first said after `moment`.
    pub fn said_after(&self, words: &str, moment: Instant) -> Result<Instant> {
        self.until(words, |log| {
            let later = log.said.iter().filter(|(when, _)| *when >= moment);
            let mut with_words = later.filter(|(_, sentence)| sentence.contains(words));
            with_words.next().map(|(when, _)| *when)
        })
    }

    /// How often something with these words was said.
    pub fn times_said(&self, words: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.said.iter().filter(|(_, s)| s.contains(words)).count()
    }

    /// The gaps of a kind so far.
    pub fn gaps(&self, kind: &str) -> u64 {
        self.log
            .lock()
            .unwrap()
            .gaps
            .get(kind)
            .copied()
            .unwrap_or(0)
    }

    /// Numbers and times of the frames so far.
    pub fn history(&self) -> Vec<(u64, u64)> {
        let log = self.log.lock().unwrap();
        log.frames
            .iter()
            .map(|&(_, number, time)| (number, time))
            .collect()
    }

    /// From now on `count` slots are held back, or released if there are more.
    pub fn hold(&self, count: usize) {
        self.log.lock().unwrap().hold = count;
    }

    /// Sums over the samples of the frames that are held.
    pub fn held_sums(&self) -> Vec<u64> {
        let log = self.log.lock().unwrap();
        let sum = |slot: &Slot| {
            let surfaces = slot.surfaces().unwrap();
            let bytes = surfaces.iter().flat_map(|surface| surface.bytes);
            bytes.map(|&byte| u64::from(byte)).sum()
        };
        log.held.iter().map(sum).collect()
    }

    /// Stops the camera.
    pub fn stop(mut self) -> Result<()> {
        self.log.lock().unwrap().stop = true;
        let thread = self.thread.take().context("stopped twice")?;
        thread
            .join()
            .map_err(|_| anyhow::anyhow!("the camera panicked"))?;
        match self.log.lock().unwrap().failed.take() {
            Some(failed) => bail!("the camera failed: {failed}"),
            None => Ok(()),
        }
    }
}

fn drive(mut camera: Camera, shared: &Mutex<Log>) -> Result<()> {
    camera.start(4, &|| !shared.lock().unwrap().stop)?;
    loop {
        let mut back = Vec::new();
        let mut log = shared.lock().unwrap();
        if log.stop {
            return Ok(());
        }
        log.gaps = camera.gaps();
        while log.held.len() > log.hold {
            back.extend(log.held.pop());
        }
        drop(log);
        back.into_iter().for_each(|slot| camera.release(slot));
        if let Next::Frame(slot) = camera.next(now_ns() + 20_000_000)? {
            let mut log = shared.lock().unwrap();
            let entry = (Instant::now(), slot.meta.sequence, slot.meta.timestamp_ns);
            log.frames.push(entry);
            if log.held.len() < log.hold {
                log.held.push(slot);
            } else {
                drop(log);
                camera.release(slot);
            }
        }
    }
}

/// The median of recovery times, printed; at most two seconds, as promised.
pub fn within_two_seconds(what: &str, mut times: Vec<Duration>) -> Result<()> {
    times.sort();
    let shown: Vec<_> = times
        .iter()
        .map(|t| format!("{:.3}", t.as_secs_f64()))
        .collect();
    let median = times[times.len() / 2];
    println!(
        "recovery from {what}: median {:.3} s of {}",
        median.as_secs_f64(),
        shown.join(" ")
    );
    ensure!(median <= Duration::from_secs(2), "median {median:?}");
    Ok(())
}
