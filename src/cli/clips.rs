//! `e4 clips`: writes labelled clips of generated scenes as Y4M files, with
//! `labels.csv` beside them.

use super::complain;
use super::rate::FrameRate;
use crate::source::generator::y4m::Y4mWriter;
use crate::source::generator::{Action, Painter, Script, yuv};
use crate::tensor::PixelFormat;
use clap::Args;
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `e4 clips`.
#[derive(Args, Clone, Debug)]
pub struct Clips {
    /// Seed; different seeds share no clip.
    #[arg(long, value_name = "S", value_parser = whole_from::<0>)]
    pub seed: u64,
    /// Number of clips, drawn from the seed one by one from `--first` on.
    #[arg(long, value_name = "N", value_parser = whole_from::<1>)]
    pub count: u64,
    /// Number of the first clip.
    #[arg(long, value_name = "I", default_value_t = 0, value_parser = whole_from::<0>)]
    pub first: u64,
    /// Folder to write to; made if it is missing.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Width and height in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 96, value_parser = side())]
    pub size: u32,
    /// Width in pixels, in place of --size.
    #[arg(long, value_name = "PIXELS", value_parser = side())]
    pub width: Option<u32>,
    /// Height in pixels, in place of --size.
    #[arg(long, value_name = "PIXELS", value_parser = side())]
    pub height: Option<u32>,
    /// Frames of a clip.
    #[arg(long, value_name = "T", default_value_t = 20, value_parser = whole_from::<1>)]
    pub frames: u64,
    /// Frames per second, as 10, 29.97 or 30000/1001.
    #[arg(long, value_name = "HZ", default_value = "10")]
    pub fps: FrameRate,
    /// Difficulty of every scene, 0 to 1; drawn at random when left out.
    #[arg(long, value_name = "D", value_parser = difficulty)]
    pub difficulty: Option<f32>,
    /// Write streams of F frames whose action and scene change at random, and
    /// beside each a .frames.csv with the class of every frame.
    #[arg(long, value_name = "F", conflicts_with = "frames", value_parser = whole_from::<1>)]
    pub stream_frames: Option<u64>,
    /// Write into a folder that is not empty, replacing files of the same names.
    #[arg(long)]
    pub force: bool,
}

/// Why no clips, or not all of them, were written.
#[derive(Debug, thiserror::Error)]
pub enum ClipsError {
    /// The folder holds something already.
    #[error("--out {path} is not empty; choose another folder or add --force", path = path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// There are no such clips.
    #[error("--first and --count together go beyond the last clip of a seed")]
    TooFar,
    /// It is not a folder.
    #[error("--out {path} is not a folder", path = path.display())]
    NotFolder {
        /// What it names.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("--out: {path}: {source}", path = path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Clips {
    /// Writes the clips; returns the exit code.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        match self.write() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain("e4 clips", &error);
                match error {
                    ClipsError::NotEmpty { .. }
                    | ClipsError::NotFolder { .. }
                    | ClipsError::TooFar => ExitCode::from(2),
                    ClipsError::Io { .. } => ExitCode::FAILURE,
                }
            }
        }
    }

    /// Writes the clips.
    ///
    /// # Errors
    /// When the folder is not empty or cannot be written to.
    pub fn write(&self) -> Result<(), ClipsError> {
        if self.first.checked_add(self.count).is_none() {
            return Err(ClipsError::TooFar);
        }
        prepare(&self.out, self.force)?;
        let path = self.out.join("labels.csv");
        let mut labels = create(&path)?;
        writeln!(labels, "file,class,difficulty").map_err(at(&path))?;
        let mut studio = Studio::new(self);
        let progress = io::stderr().is_terminal();
        for done in 0..self.count {
            let index = self.first + done;
            let name = format!("clip_{index:06}.y4m");
            let (action, difficulty) = studio.write(index, &self.out.join(&name))?;
            // Row by row, so that a command that is killed leaves no clip unlabelled.
            writeln!(labels, "{name},{},{difficulty:.4}", action.name())
                .and_then(|()| labels.flush())
                .map_err(at(&path))?;
            if progress && (done % 16 == 15 || done + 1 == self.count) {
                // Progress that cannot be shown is no reason to stop.
                let _ = write!(io::stderr(), "\r{} of {} clips", done + 1, self.count);
            }
        }
        if progress {
            let _ = writeln!(io::stderr());
        }
        Ok(())
    }

    fn dimensions(&self) -> (u32, u32) {
        (
            self.width.unwrap_or(self.size),
            self.height.unwrap_or(self.size),
        )
    }
}

/// What makes one file after the other, with its buffers.
struct Studio<'a> {
    wish: &'a Clips,
    width: u32,
    height: u32,
    painter: Painter,
    i420: Vec<u8>,
}

impl<'a> Studio<'a> {
    fn new(wish: &'a Clips) -> Self {
        let (width, height) = wish.dimensions();
        Self {
            wish,
            width,
            height,
            painter: Painter::new(width, height),
            i420: Vec::new(),
        }
    }

    /// Writes file number `index`; returns class and difficulty at its start.
    fn write(&mut self, index: u64, path: &Path) -> Result<(Action, f32), ClipsError> {
        let Clips {
            seed,
            difficulty,
            fps,
            ..
        } = *self.wish;
        let (mut script, frames, mut log) = match self.wish.stream_frames {
            None => (
                Script::clip(seed, index, difficulty),
                self.wish.frames,
                None,
            ),
            Some(frames) => {
                let log = FrameLog::create(path.with_extension("frames.csv"))?;
                (Script::stream(seed, index, difficulty), frames, Some(log))
            }
        };
        let start = (script.performance().action, script.scene().difficulty);
        let file = create(path)?;
        let mut y4m =
            Y4mWriter::new(file, self.width, self.height, fps.ratio()).map_err(at(path))?;
        for frame in 0..frames {
            let time_s = fps.time_s(frame);
            let moment = script.advance(time_s);
            let rgb = self.painter.paint(&script, time_s, frame);
            let (width, height) = (self.width as usize, self.height as usize);
            yuv::convert(rgb, width, height, PixelFormat::I420, &mut self.i420);
            y4m.frame(&self.i420).map_err(at(path))?;
            if let Some(log) = &mut log {
                let class = script.performance().action.name();
                let (cut, change) = (u8::from(moment.cut), u8::from(moment.change));
                log.line(format_args!("{frame},{class},{cut},{change}"))?;
            }
        }
        y4m.finish().map_err(at(path))?;
        log.map_or(Ok(()), FrameLog::finish)?;
        Ok(start)
    }
}

/// Class of every frame of a stream.
struct FrameLog {
    path: PathBuf,
    file: BufWriter<File>,
}

impl FrameLog {
    fn create(path: PathBuf) -> Result<Self, ClipsError> {
        let file = create(&path)?;
        let mut log = Self { path, file };
        log.line(format_args!("frame,class,cut,change"))?;
        Ok(log)
    }

    fn line(&mut self, text: std::fmt::Arguments) -> Result<(), ClipsError> {
        writeln!(self.file, "{text}").map_err(at(&self.path))
    }

    fn finish(mut self) -> Result<(), ClipsError> {
        self.file.flush().map_err(at(&self.path))
    }
}

fn prepare(folder: &Path, force: bool) -> Result<(), ClipsError> {
    if folder.exists() && !folder.is_dir() {
        return Err(ClipsError::NotFolder {
            path: folder.to_path_buf(),
        });
    }
    fs::create_dir_all(folder).map_err(at(folder))?;
    let mut entries = fs::read_dir(folder).map_err(at(folder))?;
    if !force && entries.next().is_some() {
        return Err(ClipsError::NotEmpty {
            path: folder.to_path_buf(),
        });
    }
    Ok(())
}

fn create(path: &Path) -> Result<BufWriter<File>, ClipsError> {
    File::create(path).map(BufWriter::new).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ClipsError {
    move |source| ClipsError::Io {
        path: path.to_path_buf(),
        source,
    }
}

fn side() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=16_384)
}

fn whole_from<const LEAST: u64>(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if number >= LEAST => Ok(number),
        _ => Err(format!("not a whole number from {LEAST} to {}", u64::MAX)),
    }
}

fn difficulty(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a difficulty is a number from 0 to 1".to_owned()),
    }
}
