//! `bench/compare`: the engine beside the runtimes that people use.
//!
//! Guarantees: every candidate runs the same files on the same values, one thread
//! on the same core, in turns; what a call of a peer costs from Python, whatever
//! it computes, is measured and taken off; an interval is a 95 % bootstrap over
//! rounds (or clips), which resamples all candidates of a round together. Outputs
//! are compared before anything is timed.
//!
//! Non-guarantees: absolute times. Nothing is installed and nothing asserted; what
//! the named Python cannot import is left out, with a sentence.

mod end_to_end;
mod network;
mod ours;
mod speed;
mod stats;
mod worker;

use crate::host::Host;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

const HELP: &str = "\
bench/compare [OPTIONS]              networks at 224 and 96 pixels, and bundles
bench/compare end-to-end [OPTIONS]   whole frames: gated here, at full depth there

  --python PATH   Python whose runtimes are the peers (default: E4_PYTHON)
  --models DIR    folder of ONNX files, one input and one output each (default:
                  target/compare/models, written by bench/peers/export.py where
                  the Python has torch and torchvision)
  --bundle DIR    a bundle, the sum of its segments; may be repeated
                  (default: engines/mobilenetv2-e5)
  --rounds N      turns of each candidate (default 15)
  --frames N      frames of a turn (default 20)
  --only WORDS    models whose name holds one of these words, with commas between
  --seed S        end-to-end: seed of the clips (default: the clock's)
  --count N       end-to-end: number of clips (default 400)
  --size PIXELS   end-to-end: side of the clips (default: the bundle's)
";

/// What was asked for.
#[derive(Debug)]
struct Wanted {
    host: Host,
    python: Option<PathBuf>,
    models: Option<PathBuf>,
    bundles: Vec<PathBuf>,
    rounds: usize,
    frames: usize,
    only: Vec<String>,
    seed: u64,
    count: u64,
    size: Option<u32>,
}

impl Wanted {
    fn new() -> Self {
        Self {
            host: Host::here(),
            python: std::env::var_os("E4_PYTHON").map(PathBuf::from),
            models: None,
            bundles: Vec::new(),
            rounds: 15,
            frames: 20,
            only: Vec::new(),
            seed: e4::monotonic::now_ns() % 1_000_000_007,
            count: 400,
            size: None,
        }
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word))
    }
}

/// A path of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs the comparison that the words ask for.
///
/// # Errors
/// When a word is not understood or a candidate of ours fails.
pub fn main(words: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let mut words = words.filter(|word| word != "--bench").peekable();
    let end_to_end = words.next_if(|word| word == "end-to-end").is_some();
    let mut wanted = Wanted::new();
    while let Some(word) = words.next() {
        if word == "--help" {
            print!("{HELP}");
            return Ok(());
        }
        let value = words
            .next()
            .with_context(|| format!("{word} needs a value"))?;
        read(&mut wanted, &word, value)?;
    }
    if wanted.bundles.is_empty() {
        wanted.bundles.push(repository("engines/mobilenetv2-e5"));
    }
    // A thread of its own, pinned; the peers that it starts inherit its core.
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            wanted.host.set_up(wanted.host.last);
            if end_to_end {
                end_to_end::run(&wanted)
            } else {
                speed::run(&wanted)
            }
        });
        thread.join()
    })
    .map_err(|_| anyhow::anyhow!("the comparison's thread panicked"))?
}

fn read(wanted: &mut Wanted, word: &str, value: String) -> anyhow::Result<()> {
    let number = || value.parse().with_context(|| format!("{word} {value}"));
    match word {
        "--python" => wanted.python = Some(value.into()),
        "--models" => wanted.models = Some(value.into()),
        "--bundle" => wanted.bundles.push(value.into()),
        "--rounds" => wanted.rounds = usize::try_from(number()?)?.max(1),
        "--frames" => wanted.frames = usize::try_from(number()?)?.max(1),
        "--only" => wanted.only = value.split(',').map(str::to_owned).collect(),
        "--seed" => wanted.seed = number()?,
        "--count" => wanted.count = number()?.max(1),
        "--size" => wanted.size = Some(u32::try_from(number()?)?),
        other => bail!("{other} is not an option; bench/compare --help lists them"),
    }
    Ok(())
}
