//! Any clip that `ffmpeg` can read, through a child process and a pipe.
//!
//! Guarantees: all whole frames of a clip that breaks off are delivered, the
//! ones that a decoder holds back included (packets cut short are kept from
//! it: with `-xerror` alone they would end ffmpeg on the spot); each frame
//! carries the media time that the container gave it; a child that fails, is
//! killed or falls silent is reported with its own last words. Not guaranteed:
//! frames that a decoder held back when it met damage in the middle of the
//! data. Costs: the decoder's, and one copy through a pipe.
//!
//! The child may read no other file or address that the clip names: its
//! protocols are restricted to the file itself.

use super::ClipOptions;
use super::child::{self, Child, Outcome};
use super::input::Input;
use super::nut::Nut;
use super::reader::{ClipReader, Fault, NO_DATA, Step};
use crate::stop::Stop;
use crate::tensor::Frame;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
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

/// The dialect that was understood last.
static SPOKEN: OnceLock<usize> = OnceLock::new();

/// Words of a version that does not understand a dialect.
const NOT_UNDERSTOOD: [&str; 2] = ["Option not found", "time base"];

/// Words for a file without a picture; what follows them is about our command
/// line, which is not the user's.
const NO_VIDEO: &str = "matches no streams";

/// How a reason begins that is made of the child's own words.
const SAYS: &str = "ffmpeg says: ";

/// Longest wait for a child that has closed its pipe to be gone.
const ENDING: Duration = Duration::from_secs(2);

/// Words of a successful run that mean that the file broke off.
const CUT_SHORT: [&str; 4] = ["partial file", "prematurely", "corrupt", "truncat"];

/// Words for data in which ffmpeg finds no container.
const NO_CONTAINER: &str = "Invalid data found";

/// Endings of files that hold samples and nothing else, most of the time.
const RAW_ENDINGS: [&str; 10] = [
    "bgr", "gray", "i420", "nv12", "raw", "rgb", "uyvy", "yuv", "yuv420p", "yuyv",
];

/// A clip being decoded by a child.
#[derive(Debug)]
pub(super) struct Ffmpeg {
    program: PathBuf,
    patience_ns: u64,
    stop: Stop,
    /// Path as the child is given it, to be cut from its words.
    name: OsString,
    nut: Nut,
    child: Child,
    frames: u64,
    /// Index into [`DIALECTS`], and whether the other failed before.
    dialect: usize,
    switched: bool,
    /// What the strict child stumbled over, before the one that runs now and
    /// goes on after damage.
    complaint: Option<String>,
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
            program: options.ffmpeg.clone(),
            patience_ns: options.patience_ns,
            stop: options.stop.clone(),
            name,
            nut,
            child,
            frames: 0,
            dialect,
            switched: false,
            complaint: None,
        })
    }

    /// What was wrong, by the child's end and words, when the stream came to
    /// its end, or to `fault`; `None` when nothing was.
    fn verdict(&self, fault: Option<Fault>) -> Option<Fault> {
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
        let complaint = complaint(&outcome, &self.name.to_string_lossy());
        complaint.map(Fault::Broken).or(fault)
    }

    /// The fault; of a clip that gave no frame, with what else it may be.
    fn without_a_frame(&self, fault: Fault) -> Fault {
        match self.frames {
            0 => perhaps_raw(fault, &self.name),
            _ => fault,
        }
    }

    /// Starts another child when one that gave nothing may do better: in the
    /// other dialect, or without ending at the first damage, as at the start of
    /// a recording that was joined midway.
    fn retry(&mut self, fault: Fault) -> Result<(), Fault> {
        let Fault::Broken(reason) = &fault else {
            return Err(fault);
        };
        let foreign = NOT_UNDERSTOOD.iter().any(|words| reason.contains(words));
        if self.frames > 0 {
            return Err(fault);
        } else if foreign && !self.switched {
            (self.switched, self.dialect) = (true, 1 - self.dialect);
        } else if reason.starts_with(SAYS) {
            self.complaint = Some(reason.clone());
        } else {
            return Err(fault);
        }
        let strict = self.complaint.is_none();
        let speech = Speech {
            dialect: self.dialect,
            strict,
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
        .args(["-fflags", "+discardcorrupt"])
        .args(["-protocol_whitelist", "file,pipe", "-i"])
        .arg(name)
        .args(["-map", "0:V:0"])
        .args(DIALECTS[speech.dialect])
        .args([
            "-c:v", "rawvideo", "-pix_fmt", "yuv420p", "-f", "nut", "pipe:1",
        ]);
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

/// Keeps, of the child's words: first the last error, then the first hint that
/// the data broke off.
fn keep(kept: &mut Vec<String>, line: &str) {
    if line.is_empty() || kept.first().is_some_and(|last| last.contains(NO_VIDEO)) {
        return;
    }
    kept.resize(2, String::new());
    if !line.contains("[warning]") {
        line.clone_into(&mut kept[0]);
    }
    let lower = line.to_ascii_lowercase();
    if kept[1].is_empty() && CUT_SHORT.iter().any(|hint| lower.contains(hint)) {
        line.clone_into(&mut kept[1]);
    }
}

/// The line without ffmpeg's bracketed prefixes and without the file's name,
/// which our own sentence begins with.
fn plain<'a>(line: &'a str, name: &str) -> &'a str {
    let mut rest = line.trim_start();
    while let Some((_, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        rest = after.trim_start();
    }
    let bare = name.strip_prefix("file:").unwrap_or(name);
    let unnamed = rest.strip_prefix(name).or_else(|| rest.strip_prefix(bare));
    let rest = unnamed.and_then(|r| r.strip_prefix(": ")).unwrap_or(rest);
    rest.trim_end_matches('.')
}

/// What the ended child has to complain about, if anything.
fn complaint(outcome: &Outcome, name: &str) -> Option<String> {
    let status = match &outcome.status {
        Ok(status) => status,
        Err(error) => return Some(format!("the end of ffmpeg is unknown: {error}")),
    };
    let word = |at: usize| outcome.words.get(at).filter(|w| !w.is_empty());
    if let Some(signal) = status.signal() {
        return Some(format!("ffmpeg was killed by signal {signal}"));
    }
    let words = if status.success() {
        word(1)
    } else {
        // What broke off comes before what ffmpeg made of it.
        let no_video = word(0).filter(|line| line.contains(NO_VIDEO));
        no_video.or_else(|| word(1)).or_else(|| word(0))
    };
    match words {
        Some(line) if line.contains(NO_VIDEO) => Some("there is no video in it".into()),
        Some(line) => Some(format!("{SAYS}{}", plain(line, name))),
        None if status.success() => None,
        None => Some(format!("ffmpeg failed without a word ({status})")),
    }
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
                Ok(Step::Frame) => {
                    // Another program may speak another; then it is tried second.
                    SPOKEN.get_or_init(|| self.dialect);
                    self.frames += 1;
                    return Ok(Step::Frame);
                }
                step => return step,
            };
            match (fault, self.complaint.take()) {
                (None, None) => return Ok(Step::End),
                (_, Some(earlier)) => return Err(self.without_a_frame(Fault::Broken(earlier))),
                (Some(fault), None) => self.retry(fault).map_err(|f| self.without_a_frame(f))?,
            }
        }
    }

    fn frame_bytes(&self) -> usize {
        self.nut.frame_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_ffmpeg_are_cut_to_what_the_sentence_needs() {
        let name = "file:/tmp/a.mp4";
        for (line, expected) in [
            (
                "[error] file:/tmp/a.mp4: Invalid data found",
                "Invalid data found",
            ),
            (
                "[mov @ 0x55] [error] moov atom not found",
                "moov atom not found",
            ),
            ("[fatal] /tmp/a.mp4: Invalid", "Invalid"),
            ("plain", "plain"),
            (
                "Packet corrupt, dropping it.",
                "Packet corrupt, dropping it",
            ),
            ("[unclosed", "[unclosed"),
        ] {
            assert_eq!(plain(line, name), expected);
        }
    }

    #[test]
    fn warnings_are_no_errors_unless_they_tell_of_a_cut() {
        let mut kept = Vec::new();
        keep(&mut kept, "[warning] deprecated pixel format");
        assert_eq!(kept, ["", ""]);
        keep(&mut kept, "[avi] [warning] Packet corrupt (stream = 0)");
        keep(&mut kept, "[error] last words");
        keep(&mut kept, "");
        assert_eq!(
            kept,
            [
                "[error] last words",
                "[avi] [warning] Packet corrupt (stream = 0)"
            ]
        );
    }
}
