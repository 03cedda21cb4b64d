//! The table of times: each network on each candidate, in turns.

use super::network::Network;
use super::ours::Chain;
use super::stats::Ratio;
use super::worker::{Worker, bytes};
use super::{Wanted, repository};
use crate::table::median;
use anyhow::Context;
use e4::engine::check::relative_error;
use e4::engine::cpu::CpuEngine;
use e4::engine::native::{Isa, NativeEngine};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs that do not count, at the start of a turn.
const WARM: usize = 3;
/// Largest relative difference to our output at which a peer computes the same.
const SAME: f32 = 1e-3;

/// Who runs a network.
enum Who<'a> {
    Ours(Chain),
    Peer(&'a mut Worker),
}

/// A candidate for one network, and the median of each of its turns.
struct Candidate<'a> {
    name: String,
    who: Who<'a>,
    rounds: Vec<f64>,
    /// Largest relative difference to the native engine's output.
    differs: f32,
}

impl Candidate<'_> {
    fn turn(&mut self, network: &str, frames: usize) -> anyhow::Result<()> {
        let mut times = match &mut self.who {
            Who::Peer(worker) => worker.run(network, WARM, frames)?,
            Who::Ours(chain) => {
                for _ in 0..WARM {
                    chain.run()?;
                }
                (0..frames).map(|_| chain.run()).collect::<Result<_, _>>()?
            }
        };
        self.rounds.push(median(&mut times));
        Ok(())
    }

    fn ms(&self) -> f64 {
        median(&mut self.rounds.clone())
    }

    fn is_peer(&self) -> bool {
        matches!(self.who, Who::Peer(_))
    }
}

/// All networks; one table a network, and one of the ratios.
pub fn run(wanted: &Wanted) -> anyhow::Result<()> {
    let mut workers = Worker::all(wanted.python.as_deref());
    let networks = networks(wanted)?;
    let names: Vec<&str> = workers.iter().map(|w| w.name.as_str()).collect();
    println!(
        "{}; {} rounds of {} frames; native: {:?}; peers: {}\n",
        wanted.host,
        wanted.rounds,
        wanted.frames,
        NativeEngine::new().isa(),
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    );
    println!("| network | candidate | ms | native / it | AVX2 / it | differs by |");
    println!("|---|---|---|---|---|---|");
    let mut summary = Vec::new();
    for network in &networks {
        summary.extend(compare(wanted, network, &mut workers)?);
    }
    println!("\n| network | native / best peer | native, AVX2 / best peer |\n|---|---|---|");
    for line in summary {
        println!("{line}");
    }
    Ok(())
}

fn networks(wanted: &Wanted) -> anyhow::Result<Vec<Network>> {
    let mut networks = Vec::new();
    for path in models(wanted)? {
        match Network::file(&path) {
            Ok(network) => networks.push(network),
            Err(error) => eprintln!("without {}: {error}", path.display()),
        }
    }
    for dir in &wanted.bundles {
        networks.push(Network::bundle(dir)?);
    }
    networks.retain(|network| wanted.is_wanted(&network.name));
    Ok(networks)
}

/// The ONNX files to run, exported first where that can be done.
fn models(wanted: &Wanted) -> anyhow::Result<Vec<PathBuf>> {
    let kept = repository("target/compare/models");
    let folder = wanted.models.as_deref().unwrap_or(&kept);
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let files = std::fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path()));
        let mut files: Vec<PathBuf> = files.collect::<Result<_, _>>()?;
        files.retain(|file| file.extension().is_some_and(|e| e == "onnx"));
        files.sort();
        Ok(files)
    };
    if wanted.models.is_some() {
        return list().with_context(|| format!("--models {}", folder.display()));
    }
    let found = list().unwrap_or_default();
    if found.is_empty()
        && wanted
            .python
            .as_deref()
            .is_some_and(|python| export(python, folder))
    {
        return Ok(list()?);
    }
    if found.is_empty() {
        eprintln!(
            "without networks at 224 pixels: run bench/peers/export.py {} in a Python with torch and torchvision",
            folder.display()
        );
    }
    Ok(found)
}

fn export(python: &Path, folder: &Path) -> bool {
    let script = repository("bench/peers/export.py");
    let mut command = Command::new(python);
    let status = command.arg(script).arg(folder).status();
    status.is_ok_and(|status| status.success())
}

/// One network on every candidate; its line of the summary.
fn compare(
    wanted: &Wanted,
    network: &Network,
    workers: &mut [Worker],
) -> anyhow::Result<Option<String>> {
    let x: Vec<f32> = image(network.input.iter().product());
    let mut candidates = match ours(network, &x) {
        Ok(candidates) => candidates,
        Err(error) => {
            eprintln!("without {}: {error}", network.name);
            return Ok(None);
        }
    };
    let expected = match candidates.first_mut() {
        Some(Candidate {
            who: Who::Ours(chain),
            ..
        }) => {
            chain.run()?;
            chain.pooled().context("host memory")?.to_vec()
        }
        _ => Vec::new(),
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("x.bin");
    std::fs::write(&file, bytes(&x))?;
    for worker in workers {
        match worker.load(&network.name, &network.files, (&file, &network.input)) {
            Ok(found) => candidates.push(Candidate {
                name: worker.name.clone(),
                differs: relative_error(&found, &expected),
                who: Who::Peer(worker),
                rounds: Vec::new(),
            }),
            Err(error) => eprintln!("{} without {}: {error}", network.name, worker.name),
        }
    }
    for round in 0..wanted.rounds {
        // Nobody always follows the same one.
        let first = round % candidates.len();
        for at in 0..candidates.len() {
            let at = (first + at) % candidates.len();
            candidates[at].turn(&network.name, wanted.frames)?;
        }
    }
    print(network, &candidates);
    Ok(summary(network, &candidates))
}

/// The native engine, its AVX2 kernels, and tract on the segments of a bundle.
fn ours<'a>(network: &Network, x: &[f32]) -> anyhow::Result<Vec<Candidate<'a>>> {
    let best = NativeEngine::new();
    let mut chains = vec![("native".to_owned(), network.native(&best)?)];
    if let Some(engine) = NativeEngine::with_isa(Isa::Avx2).filter(|e| e.isa() != best.isa()) {
        chains.push(("native, AVX2".to_owned(), network.native(&engine)?));
    }
    if network.as_bundle().is_some() {
        match network.on(&CpuEngine::new()) {
            Ok(chain) => chains.push(("tract".to_owned(), chain)),
            Err(error) => eprintln!("{} without tract: {error}", network.name),
        }
    }
    let mut candidates = Vec::new();
    for (name, segments) in chains {
        candidates.push(Candidate {
            name,
            who: Who::Ours(Chain::new(segments, x)?),
            rounds: Vec::new(),
            differs: 0.0,
        });
    }
    Ok(candidates)
}

/// Values like those of a normalised picture, the same on every run.
fn image(len: usize) -> Vec<f32> {
    let value = |i: usize| f32::from(u8::try_from((i * 7919) % 251).unwrap_or(0));
    (0..len).map(|i| value(i) / 125.0 - 1.0).collect()
}

fn find<'a, 'b>(candidates: &'a [Candidate<'b>], name: &str) -> Option<&'a Candidate<'b>> {
    candidates.iter().find(|c| c.name == name)
}

fn print(network: &Network, candidates: &[Candidate<'_>]) {
    let against = |name: &str, other: &Candidate<'_>| {
        let ours = find(candidates, name).filter(|ours| ours.name != other.name);
        ours.map_or_else(
            || "-".to_owned(),
            |ours| Ratio::of_medians(&ours.rounds, &other.rounds).to_string(),
        )
    };
    for candidate in candidates {
        let same = candidate.differs <= SAME || network.quantised;
        println!(
            "| {} | {} | {:.3} | {} | {} | {} |",
            network.name,
            candidate.name,
            candidate.ms(),
            against("native", candidate),
            against("native, AVX2", candidate),
            match (candidate.is_peer(), same) {
                (false, _) => "-".to_owned(),
                (true, true) => format!("{:.0e}", candidate.differs),
                (true, false) => format!("{:.0e}: not the same network", candidate.differs),
            }
        );
    }
}

fn summary(network: &Network, candidates: &[Candidate<'_>]) -> Option<String> {
    let peers = candidates.iter().filter(|c| c.is_peer());
    let peers = peers.filter(|c| c.differs <= SAME || network.quantised);
    let best = peers.min_by(|a, b| a.ms().total_cmp(&b.ms()))?;
    let ratio = |name: &str| match find(candidates, name) {
        Some(ours) => Ratio::of_medians(&ours.rounds, &best.rounds).to_string(),
        None => "-".to_owned(),
    };
    Some(format!(
        "| {} | {} ({}) | {} |",
        network.name,
        ratio("native"),
        best.name,
        ratio("native, AVX2")
    ))
}
