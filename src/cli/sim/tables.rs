//! `e4 sim --table`: opens what it needs and writes what comes of it.

use super::{Network, Sim, SimulationError, five, print, written};
use crate::sim::NeedsTrace;
use crate::sim::table::{self, Entry, Rate, Table, Wanted};
use crate::sim::trace::ReadTrace;
use serde_json::json;
use std::fs;
use std::path::Path;

/// What is looked at where neither --fps nor --load is given: a camera, and a board
/// with half of what it could do at full depth.
const RATES: [Rate; 2] = [Rate::Fps(30.0), Rate::Load(0.5)];

impl Sim {
    pub(super) fn tabulate(&self) -> Result<(), SimulationError> {
        let bundles = self.bundles()?;
        let networks = bundles.iter().map(|path| Network::open(path));
        let networks = networks.collect::<Result<Vec<_>, _>>()?;
        let traces = self.trace.iter().map(|path| ReadTrace::read(path));
        let traces = traces.collect::<Result<Vec<_>, _>>()?;
        for (path, trace) in self.trace.iter().zip(&traces) {
            let digest = &trace.head.bundle_sha256;
            if !networks.iter().any(|network| network.of.sha256 == *digest) {
                return Err(SimulationError::Foreign { path: path.clone() });
            }
        }
        let wanted = Wanted {
            boards: five().collect(),
            networks: networks
                .iter()
                .map(|network| with_traces(network, &traces))
                .collect::<Result<_, _>>()?,
            rates: self
                .rate()
                .map_or_else(|| RATES.to_vec(), |rate| vec![rate]),
            deadline_ms: self.deadline_ms,
            seed: self.seed,
            frames: self.frames,
        };
        let table = Table::make(&wanted).map_err(SimulationError::Table)?;
        if let Some(folder) = &self.out {
            write(&table, folder)?;
        }
        print(&match self.json {
            true => lines(&table),
            false => table.markdown(),
        })
    }
}

/// One JSON object a line of the table.
fn lines(table: &Table) -> String {
    let object = |entry: &Entry| {
        let value = json!({
            "schema": super::report::SCHEMA,
            "source": "simulated",
            "mark": entry.board.mark(),
            "board": entry.board.name,
            "boundary": entry.board.simulated_boundary(),
            "bundle": entry.bundle,
            "rate": entry.rate.word(),
            "method": entry.method.name(),
            "objective": entry.objective,
            "figures": entry.figures,
        });
        format!("{value}\n")
    };
    table.entries.iter().map(object).collect()
}

/// A bundle with its three traces.
fn with_traces<'a>(
    network: &'a Network,
    traces: &'a [ReadTrace],
) -> Result<table::Network<'a>, SimulationError> {
    let find = |needs: NeedsTrace| {
        let own = |trace: &&ReadTrace| trace.head.bundle_sha256 == network.of.sha256;
        let full = |trace: &&ReadTrace| needs != NeedsTrace::Full || trace.is_full_depth();
        let found = traces
            .iter()
            .filter(own)
            .find(|t| needs.is_met_by(t) && full(t));
        found.ok_or_else(|| SimulationError::Missing {
            bundle: network.of.bundle.clone(),
            needs: needs.to_string(),
        })
    };
    Ok(table::Network {
        of: &network.of,
        loads: &network.loads,
        traces: [
            find(NeedsTrace::Full)?,
            find(NeedsTrace::Softmax)?,
            find(NeedsTrace::Gates)?,
        ],
    })
}

fn write(table: &Table, folder: &Path) -> Result<(), SimulationError> {
    fs::create_dir_all(folder).map_err(written("--out", folder))?;
    let save = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(written("--out", &path))
    };
    save("table.md", &table.markdown())?;
    save("table.csv", &table.csv())?;
    for board in five() {
        let svg = table.svg(&board.name).map_err(SimulationError::Draw)?;
        save(&format!("{}.svg", board.name), &svg)?;
    }
    Ok(())
}
