//! [`Camera`]: a device that is there, or is waited for.

use super::controls::{Saved, Wanted};
use super::discover::{self, Found, Identity, SelectError, Selector};
use super::formats::CameraFormat;
use super::gaps::Gaps;
use super::negotiate::{NegotiateError, Wish};
use super::node::Node;
use super::recovery::{Absence, Backoff};
use super::stream::{Stream, StreamError, Taken};
use crate::monotonic::now_ns;
use crate::source::{FrameSource, Next, Reporter, SourceError, SourceInfo};
use crate::telemetry::DropReason;
use crate::tensor::{PoolId, Slot};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Attempts to start a device that is there, however short the wait may be.
const LEAST_ATTEMPTS: u32 = 4;
/// How long a step of a wait may take before the caller is asked again.
const STEP_NS: u64 = 50_000_000;

/// Which camera, and what is wished of it.
#[derive(Clone, Debug)]
pub struct CameraOptions {
    /// Which one.
    pub device: Selector,
    /// Format, size and rate.
    pub wish: Wish,
    /// Controls to set.
    pub controls: Wanted,
    /// Whether a control that cannot be set ends the start.
    pub strict: bool,
    /// How long the start waits for a device that is not there or in use.
    pub wait_ns: u64,
    /// Who is told when the device is lost and when it is back.
    pub reporter: Reporter,
}

impl CameraOptions {
    /// The camera that `device` names, with what most users wish of it: 640x480
    /// at 30 frames per second, in whichever format costs the least.
    #[must_use]
    pub fn of(device: &str) -> Self {
        Self {
            device: Selector::new(Some(device)),
            wish: Wish {
                formats: CameraFormat::all(),
                width: 640,
                height: 480,
                fps: 30.0,
            },
            controls: Wanted::default(),
            strict: false,
            wait_ns: 0,
            reporter: Reporter::silent(),
        }
    }
}

/// A camera. See the module for what it guarantees.
#[derive(Debug)]
pub struct Camera {
    info: SourceInfo,
    options: CameraOptions,
    identity: Option<Identity>,
    saved: Saved,
    state: State,
    gaps: Gaps,
    /// Frames that may be downstream.
    slots: usize,
    /// Those that are, by the pool of their stream.
    downstream: Vec<(PoolId, usize)>,
    /// Number of the first frame of the current stream.
    first: u64,
    clip: u32,
    started: bool,
}

#[derive(Debug)]
enum State {
    Stopped,
    Streaming(Box<Stream>),
    /// Started, but no frame has come yet since the device was lost.
    Lost(Absence),
}

/// Why an attempt to start the device failed.
#[derive(Debug)]
struct Refusal {
    reason: String,
    kind: RefusalKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RefusalKind {
    /// The device is not there.
    Absent,
    /// A call failed that may succeed the next time.
    Passing,
    /// Somebody else uses the device.
    Busy,
    /// The device cannot do what is asked of it.
    Lasting,
}

impl Camera {
    /// A camera that is not open yet.
    #[must_use]
    pub fn new(options: CameraOptions) -> Self {
        Self {
            info: SourceInfo {
                name: options.device.name(),
                live: true,
                frame_interval_ns: None,
                labels: Vec::new(),
            },
            options,
            identity: None,
            saved: Saved::default(),
            state: State::Stopped,
            gaps: Gaps::default(),
            slots: 0,
            downstream: Vec::new(),
            first: 0,
            clip: 0,
            started: false,
        }
    }

    /// Opens the device and starts it.
    fn attempt(&mut self) -> Result<Stream, Refusal> {
        let device = &self.options.device;
        let (node, found) =
            discover::select(device, self.identity.as_ref()).map_err(|error| Refusal {
                kind: match error {
                    SelectError::Absent(_) => RefusalKind::Absent,
                    SelectError::Wrong(_) => RefusalKind::Lasting,
                },
                reason: error.to_string(),
            })?;
        let path = found.path.clone();
        let reserved = Stream::reserve(node, found, &self.options.wish, self.slots);
        let mut stream = reserved.map_err(|error| refusal(&error, &path))?;
        // Not before the device is ours: another's controls are not for us to set.
        self.set_controls(stream.node())?;
        stream.start().map_err(|error| refusal(&error, &path))?;
        Ok(stream)
    }

    fn set_controls(&mut self, node: &Node) -> Result<(), Refusal> {
        let complaints = self.saved.set(node, &self.options.controls);
        if let (true, Some(complaint)) = (self.options.strict, complaints.first()) {
            return Err(Refusal {
                reason: format!("{complaint} (pipeline.on_error is strict)"),
                kind: RefusalKind::Lasting,
            });
        }
        if !self.started {
            complaints.iter().for_each(|c| self.say(c));
        }
        Ok(())
    }

    /// Gives the controls back, also where the stream is lost or never began.
    fn give_controls_back(&self) {
        if let State::Streaming(stream) = &self.state {
            return self.saved.restore(stream.node());
        }
        if self.saved.is_empty() {
            return;
        }
        if let Ok((node, _)) = discover::select(&self.options.device, self.identity.as_ref()) {
            self.saved.restore(&node);
        }
    }

    fn say(&self, words: &str) {
        let name = &self.info.name;
        self.options.reporter.say(&format!("{name}: {words}"));
    }

    /// Takes a fresh stream into use.
    fn adopt(&mut self, stream: &Stream) {
        let Found { identity, path, .. } = stream.found();
        self.identity = Some(identity.clone());
        let selector = &self.options.device;
        self.info.name = match selector {
            Selector::Path(asked) if asked == path => asked.display().to_string(),
            _ => format!("{} ({})", identity.card, path.display()),
        };
        self.downstream.retain(|&(_, count)| count > 0);
        self.downstream.push((stream.pool().id(), 0));
        self.info.frame_interval_ns = stream.agreed().interval_ns;
        self.started = true;
    }

    fn lose(&mut self, error: &StreamError) {
        self.gaps.interruption += 1;
        let mut reason = error.to_string();
        if error.errno() == Some(Errno::ENODEV) {
            reason = "the device is gone".to_owned();
        }
        if let State::Streaming(stream) = std::mem::replace(&mut self.state, State::Stopped) {
            self.first += stream.steps();
        }
        let mut absence = Absence::new(now_ns());
        if absence.is_news(&reason) {
            self.say(&format!(
                "the stream is lost: {reason}; trying to get it back"
            ));
        }
        self.clip = self.clip.wrapping_add(1);
        self.state = State::Lost(absence);
    }

    /// One try to get a lost device back, when its time has come.
    fn recover(&mut self, deadline_ns: u64) {
        let State::Lost(absence) = &self.state else {
            return;
        };
        let due_ns = absence.backoff.due_ns();
        sleep_until(due_ns.min(deadline_ns));
        if due_ns > now_ns() {
            return;
        }
        let attempt = self.attempt();
        let State::Lost(absence) = &mut self.state else {
            return;
        };
        match attempt {
            Ok(stream) => {
                let away_ms = now_ns().saturating_sub(absence.since_ns) / 1_000_000;
                self.adopt(&stream);
                self.say(&format!(
                    "streams again after {away_ms} ms as {}, {}",
                    stream.found().path.display(),
                    stream.agreed().describe()
                ));
                self.state = State::Streaming(Box::new(stream));
            }
            Err(refusal) => {
                absence.backoff.failed(now_ns());
                let told = matches!(refusal.kind, RefusalKind::Busy | RefusalKind::Lasting);
                if told && absence.is_news(&refusal.reason) {
                    self.say(&format!("still lost: {}", refusal.reason));
                }
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> SourceError {
        SourceError::Camera {
            name: self.info.name.clone(),
            reason: refusal.reason,
        }
    }
}

/// What a failed start says, and whether it is worth another try.
fn refusal(error: &StreamError, path: &Path) -> Refusal {
    let lasting = matches!(
        error,
        StreamError::Negotiate(NegotiateError::NoFormat { .. }) | StreamError::TooSmall
    );
    let (kind, reason) = match error.errno() {
        Some(Errno::EBUSY) => (RefusalKind::Busy, busy(path)),
        _ if lasting => (RefusalKind::Lasting, error.to_string()),
        _ => (RefusalKind::Passing, error.to_string()),
    };
    Refusal { reason, kind }
}

fn busy(path: &Path) -> String {
    let holders = discover::holders(path);
    let by = match holders.len() {
        0 => "another program, whose number only root can see".to_owned(),
        1 => format!("process {}", holders[0]),
        _ => format!("one of the processes {}", holders.join(", ")),
    };
    format!("the camera is in use by {by}; end that or choose another camera with --device")
}

fn sleep_until(wake_ns: u64) {
    let wait_ns = wake_ns.saturating_sub(now_ns());
    if wait_ns > 0 {
        std::thread::sleep(Duration::from_nanos(wait_ns));
    }
}

impl FrameSource for Camera {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn start(&mut self, slots: usize, wanted: &dyn Fn() -> bool) -> Result<(), SourceError> {
        self.state = State::Stopped;
        self.slots = slots.max(1);
        self.downstream.clear();
        (self.gaps, self.first, self.clip) = (Gaps::default(), 0, 0);
        let begun_ns = now_ns();
        let give_up_ns = begun_ns.saturating_add(self.options.wait_ns);
        let mut backoff = Backoff::new(begun_ns);
        let mut told = String::new();
        while wanted() {
            if backoff.due_ns() > now_ns() {
                sleep_until(backoff.due_ns().min(now_ns().saturating_add(STEP_NS)));
                continue;
            }
            match self.attempt() {
                Ok(stream) => {
                    self.adopt(&stream);
                    let name = &self.info.name;
                    if let Some(shortfall) = stream.agreed().shortfall(&self.options.wish) {
                        self.options.reporter.say(&format!("{name}: {shortfall}"));
                    }
                    self.state = State::Streaming(Box::new(stream));
                    return Ok(());
                }
                Err(refusal) => {
                    backoff.failed(now_ns());
                    let tried = backoff.failures() >= LEAST_ATTEMPTS || self.options.wait_ns == 0;
                    if refusal.kind == RefusalKind::Lasting || (tried && now_ns() >= give_up_ns) {
                        return Err(self.refused(refusal));
                    }
                    if told != refusal.reason {
                        let seconds = give_up_ns.saturating_sub(now_ns()).div_ceil(1_000_000_000);
                        self.say(&format!(
                            "{}; waiting up to {seconds} s (--camera-wait)",
                            refusal.reason
                        ));
                        told = refusal.reason;
                    }
                }
            }
        }
        Ok(())
    }

    fn next(&mut self, deadline_ns: u64) -> Result<Next, SourceError> {
        let stream = match &mut self.state {
            State::Stopped => return Ok(Next::End),
            State::Lost(_) => {
                self.recover(deadline_ns);
                return Ok(Next::Idle);
            }
            State::Streaming(stream) => stream,
        };
        // A slot of a stream that was lost takes room downstream, too.
        if self.downstream.iter().map(|d| d.1).sum::<usize>() >= self.slots {
            return Ok(Next::Starved);
        }
        match stream.take(deadline_ns, &mut self.gaps) {
            Ok(Taken::Frame(mut slot)) => {
                slot.meta.sequence += self.first;
                slot.meta.clip = self.clip;
                if let Some((_, count)) = self.downstream.last_mut() {
                    *count += 1;
                }
                Ok(Next::Frame(slot))
            }
            Ok(Taken::Undecodable) => Ok(Next::Dropped(DropReason::Undecodable.name())),
            Ok(Taken::Nothing) => Ok(Next::Idle),
            Ok(Taken::Starved) => Ok(Next::Starved),
            Err(error) => {
                self.lose(&error);
                Ok(Next::Idle)
            }
        }
    }

    fn release(&mut self, slot: Slot) {
        let pool = slot.pool_id();
        if let Some((_, count)) = self.downstream.iter_mut().find(|d| d.0 == pool) {
            *count = count.saturating_sub(1);
        }
        if let State::Streaming(stream) = &mut self.state
            && let Err(error) = stream.give_back(slot)
        {
            self.lose(&error);
        }
    }

    fn report_to(&mut self, reporter: Reporter) {
        self.options.reporter = reporter;
    }

    fn gaps(&self) -> BTreeMap<&'static str, u64> {
        self.gaps.by_kind()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.give_controls_back();
    }
}
