use super::*;
use proptest::prelude::*;

const TEXT: &str = "format = \"e4.cost-table/1\"
board = \"tx2\"
boundary = \"VDD_IN\"
bundle = \"tiny-e2\"
bundle_sha256 = \"ab\"
---
segment,cpu_khz,gpu_khz,emc_khz,latency_s,latency_spread_s,energy_j,energy_spread_j,samples,source
0,1000,0,3000,0.002,0.00001,0.01,0,20,measured
0,2000,0,3000,0.001,0,0.02,0.001,1,simulated
1,2000,0,3000,0.5,0,0.0000123,0,1,simulated
";

fn fault(from: &str, to: &str) -> (u64, String) {
    assert!(TEXT.contains(from), "{from}");
    CostTable::parse(TEXT.replacen(from, to, 1).as_bytes()).unwrap_err()
}

#[test]
fn a_table_is_read_and_written_without_loss() {
    let table = CostTable::parse(TEXT.as_bytes()).unwrap();
    assert_eq!(table.head.board, "tx2");
    assert_eq!(table.segments(), [0, 1]);
    assert_eq!(table.segment(0).len(), 2);
    assert!(table.segment(7).is_empty());
    let row = table.at(1, ClockPoint::new([2000, 0, 3000])).unwrap();
    assert_eq!(
        (row.energy_j.mean, row.source),
        (1.23e-5, Source::Simulated)
    );
    assert_eq!(table.to_text(), TEXT);
}

#[test]
fn a_file_is_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tx2.e4cost");
    let table = CostTable::parse(TEXT.as_bytes()).unwrap();
    table.write(&path).unwrap();
    table.write(&path).unwrap();
    assert_eq!(CostTable::read(&path).unwrap(), table);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let nowhere = folder.path().join("missing/file");
    let error = table.write(&nowhere).unwrap_err().to_string();
    assert!(error.contains("missing/file"), "{error}");
}

#[test]
fn bad_lines_are_refused_with_their_number() {
    assert_eq!(fault("0.002,", "-0.002,").0, 8);
    assert_eq!(fault("0.002,", "NaN,").0, 8);
    assert_eq!(
        fault("0,2000,0,3000", "0,1000,0,3000"),
        (9, "segment 0 has cpu 1.0 MHz, emc 3.0 MHz twice".to_owned())
    );
    assert_eq!(fault("1,2000,0,", "1,2000,5,").0, 10);
    assert_eq!(fault(",20,measured", ",0,measured").0, 8);
    assert_eq!(fault(",20,measured", ",20,guessed").0, 8);
    assert_eq!(fault(",20,measured", ",20").0, 8);
    let (line, what) = fault("energy_j,", "energy,");
    assert!(line == 7 && what.contains("energy_j"), "{what}");
    assert_eq!(fault("board = ", "bord = ").0, 2);
    let (line, what) = fault("table/1", "table/2");
    assert!(line == 1 && what.contains("e4.cost-table/2"), "{what}");
    assert!(CostTable::parse(b"").is_err());
}

#[test]
fn a_plain_grid_is_a_table_with_one_segment() {
    let grid = b"emc_khz,cpu_khz,gpu_khz,energy_j,latency_s\n0,20,3,0.5,1\n0,10,3,0.25,2\n";
    let table = CostTable::parse(grid).unwrap();
    assert_eq!(table.rows().len(), 2);
    let row = table.at(0, ClockPoint::new([10, 3, 0])).unwrap();
    assert_eq!((row.latency_s.mean, row.energy_j.mean), (2.0, 0.25));
    assert_eq!(CostTable::parse(table.to_text().as_bytes()).unwrap(), table);
    let missing = CostTable::parse(b"cpu_khz,gpu_khz,emc_khz,latency_s\n1,1,1,1\n").unwrap_err();
    assert!(missing.1.contains("energy_j"), "{}", missing.1);
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let value = || prop_oneof![1e-300..1e300_f64, 1e-6..10.0_f64];
    let row = (
        0..3_u32,
        1..9_u32,
        1..9_u32,
        value(),
        value(),
        0.0..1.0_f64,
        1..99_u32,
    );
    prop::collection::vec(row, 0..30).prop_map(|rows| {
        let mut seen = std::collections::BTreeSet::new();
        let row = |(segment, cpu, emc, latency, energy, spread, samples)| Row {
            segment,
            point: ClockPoint::new([cpu, 0, emc]),
            latency_s: Cost {
                mean: latency,
                spread,
            },
            energy_j: Cost {
                mean: energy,
                spread: spread * energy,
            },
            samples,
            source: if cpu > 4 {
                Source::Measured
            } else {
                Source::Simulated
            },
        };
        let rows = rows.into_iter().map(row);
        rows.filter(|r| seen.insert((r.segment, r.point))).collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(rows in rows(), board in ".*", boundary in "\\PC*") {
        let head = Head { board, boundary, ..Head::default() };
        let table = CostTable::new(head, rows).unwrap();
        let again = CostTable::parse(table.to_text().as_bytes());
        prop_assert_eq!(again.unwrap(), table);
    }

    #[test]
    fn no_bytes_make_it_panic(at in 0..TEXT.len(), bytes in prop::collection::vec(any::<u8>(), 0..8), cut in 0..9_usize) {
        let mut text = TEXT.as_bytes().to_vec();
        let end = (at + cut).min(text.len());
        text.splice(at..end, bytes);
        if let Err((line, what)) = CostTable::parse(&text) {
            prop_assert!(line >= 1 && !what.contains('\n'), "{}", what);
        }
    }
}
