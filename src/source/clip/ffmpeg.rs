//! Any clip that `ffmpeg` can read, through a child process and a pipe.
//!
//! Guarantees: all whole frames of a clip that breaks off are delivered, the
//! ones that a decoder holds back included (packets cut short are kept from
//! it: with `-xerror` alone they would end ffmpeg on the spot); each frame
//! carries the media time that the container gave it; a child that fails, is
//! killed or falls silent is reported with its own last words; so is one that
//! met an error and went on, and a file that ends before it says so, which ffmpeg
//! may pass over without a word. A file of several recordings in a row plays
//! through, each picture in the size of the first. Not guaranteed: frames that a
//! decoder held back when it met damage in the middle of the data. Costs: the
//! decoder's, and one copy through a pipe; where times start anew midway, the
//! frames up to there are decoded twice.
//!
//! The child may read no other file or address that the clip names: its
//! protocols are restricted to the file itself.

use super::ClipOptions;
use super::child::{self, Child};
use super::input::Input;
use super::nut::Nut;
use super::reader::{ClipReader, Fault, NO_DATA, Step};
use super::words::{SAYS, complaint, ended_on_a_seam, keep, keep_but_seams};
use super::{extent, formats};
use crate::stop::Stop;
use crate::tensor::Frame;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// How to get each frame once, with its own time: in the words of versions up
/// to 7, then of later ones.
const DIALECTS: [[&str; 4]; 2] = [
    ["-vsync", "passthrough", "-enc_time_base", "-1"],
    ["-fps_mode", "passthrough", "-enc_time_base", "demux"],
];

/// Keeps packets that were cut short from the decoder. At a seam the last packet
/// counts as one without being one.
const WHOLE_PACKETS: [&str; 2] = ["-fflags", "+discardcorrupt"];

/// The dialect that was understood last.
static SPOKEN: OnceLock<usize> = OnceLock::new();

/// Words of a version that does not understand a dialect.
const NOT_UNDERSTOOD: [&str; 2] = ["Option not found", "time base"];

/// Longest wait for a child that has closed its pipe to be gone.
const ENDING: Duration = Duration::from_secs(2);

/// Words for data in which ffmpeg finds no container.
const NO_CONTAINER: &str = "Invalid data found";

/// Endings of files that hold samples and nothing else, most of the time.
const RAW_ENDINGS: [&str; 10] = [
    "bgr", "gray", "i420", "nv12", "raw", "rgb", "uyvy", "yuv", "yuv420p", "yuyv",
];

/// A clip being decoded by a child.
#[derive(Debug)]
pub(super) struct Ffmpeg {
    path: PathBuf,
    program: PathBuf,
    patience_ns: u64,
    stop: Stop,
    /// Path as the child is given it, to be cut from its words.
    name: OsString,
    nut: Nut,
    child: Child,
    frames: u64,
    /// Frames that a child before delivered, and this one delivers again.
    repeated: u64,
    /// Index into [`DIALECTS`], and whether the other failed before.
    dialect: usize,
    switched: bool,
    /// What the strict child stumbled over, before the one that runs now and
    /// goes on after damage.
    complaint: Option<String>,
    seam: Seam,
}

/// Whether there are several recordings in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seam {
    /// None was met.
    Unknown,
    /// The strict child ended on one.
    Met,
    /// The child that runs now passes over them.
    Passed,
}

impl Ffmpeg {
    /// Starts a child on `path`; nothing is read yet.
    pub(super) fn open(path: &Path, options: &ClipOptions) -> Result<Self, Fault> {
        let mut name = OsString::from("file:");
        name.push(path);
        let dialect = SPOKEN.get().copied().unwrap_or(0);
        let speech = Speech {
            dialect,
            strict: true,
            seams: false,
        };
        let (nut, child) = start(
            &options.ffmpeg,
            &name,
            options.patience_ns,
            &options.stop,
            speech,
        )
        .map_err(|fault| perhaps_raw(fault, &name))?;
        Ok(Self {
            path: path.to_owned(),
            program: options.ffmpeg.clone(),
            patience_ns: options.patience_ns,
            stop: options.stop.clone(),
            name,
            nut,
            child,
            frames: 0,
            repeated: 0,
            dialect,
            switched: false,
            complaint: None,
            seam: Seam::Unknown,
        })
    }

    /// What was wrong, by the child's end and words, when the stream came to
    /// its end, or to `fault`; `None` when nothing was.
    fn verdict(&mut self, fault: Option<Fault>) -> Option<Fault> {
        if matches!(&fault, Some(Fault::Broken(reason)) if reason == NO_DATA) {
            self.child.kill();
            let seconds = Duration::from_nanos(self.patience_ns).as_secs_f64();
            let reason = format!("ffmpeg gave no data for {seconds} s and was stopped");
            return Some(Fault::Broken(reason));
        }
        let Some(outcome) = self.child.finish(ENDING, &self.stop) else {
            if self.stop.is_raised() {
                return fault;
            }
            return fault
                .or_else(|| Some(Fault::Broken("ffmpeg did not end and was stopped".into())));
        };
        if self.seam == Seam::Unknown && ended_on_a_seam(&outcome) {
            self.seam = Seam::Met;
        }
        let complaint = complaint(&outcome, &self.name.to_string_lossy());
        complaint.map(Fault::Broken).or(fault)
    }

    /// The fault, with what else is known: of a clip that gave no frame what it
    /// may be, of another how much of the file is missing.
    fn explained(&self, fault: Fault) -> Fault {
        let of_ffmpeg = matches!(&fault, Fault::Broken(reason) if reason.starts_with(SAYS));
        match self.frames {
            0 => perhaps_raw(fault, &self.name),
            _ if of_ffmpeg => self.cut().unwrap_or(fault),
            _ => fault,
        }
    }

    /// What to say of a file that ends before it says so.
    fn cut(&self) -> Option<Fault> {
        match extent::early_end(&self.path) {
            Ok(reason) => reason.map(Fault::Broken),
            Err(error) => Some(Fault::Io(error)),
        }
    }

    /// Starts another child when one that gave nothing may do better: in the
    /// other dialect, or without ending at the first damage, as at the start of
    /// a recording that was joined midway; or when one ended where times start
    /// anew.
    fn retry(&mut self, fault: Fault) -> Result<(), Fault> {
        let Fault::Broken(reason) = &fault else {
            return Err(fault);
        };
        let foreign = NOT_UNDERSTOOD.iter().any(|words| reason.contains(words));
        if self.seam == Seam::Met {
            self.seam = Seam::Passed;
            self.repeated = self.frames;
        } else if self.frames > 0 {
            return Err(fault);
        } else if foreign && !self.switched {
            (self.switched, self.dialect) = (true, 1 - self.dialect);
        } else if reason.starts_with(SAYS) {
            self.complaint = Some(reason.clone());
        } else {
            return Err(fault);
        }
        let seams = self.seam == Seam::Passed;
        let speech = Speech {
            dialect: self.dialect,
            strict: self.complaint.is_none() && !seams,
            seams,
        };
        (self.nut, self.child) = start(
            &self.program,
            &self.name,
            self.patience_ns,
            &self.stop,
            speech,
        )?;
        Ok(())
    }
}

/// How a child is spoken to.
#[derive(Clone, Copy)]
struct Speech {
    /// Index into [`DIALECTS`].
    dialect: usize,
    /// It is to end at the first damage.
    strict: bool,
    /// There are several recordings in the file.
    seams: bool,
}

fn start(
    program: &Path,
    name: &OsStr,
    patience_ns: u64,
    stop: &Stop,
    speech: Speech,
) -> Result<(Nut, Child), Fault> {
    let mut command = Command::new(program);
    command
        .args([
            "-nostdin",
            "-hide_banner",
            "-nostats",
            "-v",
            "level+warning",
        ])
        .args(speech.strict.then_some("-xerror"))
        .args(if speech.seams {
            &[][..]
        } else {
            &WHOLE_PACKETS
        })
        .args(["-format_whitelist", formats::ALLOWED])
        .args(["-protocol_whitelist", "file,pipe", "-i"])
        .arg(name)
        .args(["-map", "0:V:0"])
        .args(DIALECTS[speech.dialect])
        .args([
            "-c:v", "rawvideo", "-pix_fmt", "yuv420p", "-f", "nut", "pipe:1",
        ]);
    let keep = if speech.seams { keep_but_seams } else { keep };
    let (child, stdout) = child::spawn(command, keep).map_err(|e| no_child(&e, program))?;
    let stdout = File::from(OwnedFd::from(stdout));
    let input = Input::new(stdout, patience_ns, Vec::new())?.ended_by(stop);
    Ok((Nut::new(input), child))
}

/// Adds to the fault of a file that may hold nothing but samples how to say so.
fn perhaps_raw(fault: Fault, name: &OsStr) -> Fault {
    let ending = Path::new(name).extension().unwrap_or_default();
    let ending = ending.to_string_lossy().to_lowercase();
    match fault {
        Fault::Broken(reason)
            if RAW_ENDINGS.contains(&ending.as_str()) || reason.contains(NO_CONTAINER) =>
        {
            Fault::Broken(format!(
                "{reason}; a raw clip needs --raw-format, --raw-width and --raw-height"
            ))
        }
        fault => fault,
    }
}

fn no_child(error: &io::Error, program: &Path) -> Fault {
    let program = program.display();
    Fault::Broken(match error.kind() {
        io::ErrorKind::NotFound => format!(
            "is neither Y4M nor Motion-JPEG AVI and needs ffmpeg, but there is no program {program}: install ffmpeg"
        ),
        _ => format!("needs ffmpeg, but {program} does not start: {error}"),
    })
}

impl ClipReader for Ffmpeg {
    fn frame_interval_ns(&self) -> Option<u64> {
        self.nut.frame_interval_ns()
    }

    fn next_frame(&mut self, frame: &mut Frame, deadline_ns: u64) -> Result<Step, Fault> {
        loop {
            let fault = match self.nut.next_frame(frame, deadline_ns) {
                Ok(Step::End) => self.verdict(None),
                Err(fault) if self.stop.is_raised() => return Err(fault),
                Err(fault) => self.verdict(Some(fault)),
                Ok(Step::Frame) if self.repeated > 0 => {
                    self.repeated -= 1;
                    continue;
                }
                Ok(Step::Frame) => {
                    // Another program may speak another; then it is tried second.
                    SPOKEN.get_or_init(|| self.dialect);
                    self.frames += 1;
                    return Ok(Step::Frame);
                }
                step => return step,
            };
            match (fault, self.complaint.take()) {
                (None, None) => return self.cut().map_or(Ok(Step::End), Err),
                (_, Some(earlier)) => return Err(self.explained(Fault::Broken(earlier))),
                (Some(fault), None) => {
                    if let Err(fault) = self.retry(fault) {
                        return Err(self.explained(fault));
                    }
                }
            }
        }
    }

    fn frame_bytes(&self) -> usize {
        self.nut.frame_bytes()
    }
}
