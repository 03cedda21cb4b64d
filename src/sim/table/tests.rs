use super::*;
use crate::board::named;
use crate::gates::ExitPolicy;
use crate::sim::trace::{TraceExit, TraceFrame};
use crate::telemetry::MAX_EXITS;
use crate::telemetry::trace::{SCHEMA, TraceHead};

/// 40 clips of 10 frames over three exits: the first two run deep.
fn trace(policy: ExitPolicy) -> ReadTrace {
    let frame = |n: u32| {
        let deep = match policy {
            ExitPolicy::Always(exit) => exit - 1,
            _ if n % 10 < 2 => 2,
            _ => usize::from(n.is_multiple_of(7)),
        };
        TraceFrame {
            frame: n.into(),
            clip: n / 10,
            first: n.is_multiple_of(10),
            label: Some(0),
            exit: u8::try_from(deep).unwrap(),
            exits: [TraceExit::default(); MAX_EXITS],
        }
    };
    ReadTrace {
        head: TraceHead {
            schema: SCHEMA.into(),
            bundle: "b".into(),
            bundle_sha256: "d".into(),
            exit_policy: policy.to_string(),
            exits: 3,
            endless: false,
            labels: vec!["walk".into()],
        },
        policy,
        frames: (0..400).map(frame).collect(),
    }
}

#[test]
fn every_line_is_there_marked_and_the_parts_add_up() {
    let loads = [SegmentLoad::MOBILENETV2; 3];
    let of = Of {
        bundle: "b".into(),
        sha256: "d".into(),
    };
    let traces = [
        ExitPolicy::Always(3),
        ExitPolicy::Softmax(None),
        ExitPolicy::Gates,
    ]
    .map(trace);
    let wanted = Wanted {
        boards: vec![named("orin-nano").unwrap(), named("tx2").unwrap()],
        networks: vec![Network {
            of: &of,
            loads: &loads,
            traces: [&traces[0], &traces[1], &traces[2]],
        }],
        rates: vec![Rate::Fps(10.0)],
        deadline_ms: None,
        seed: 1,
        frames: None,
    };
    let table = Table::make(&wanted).unwrap();
    assert_eq!(table.entries.len(), 2 * (MethodName::ALL.len() + 1));
    let ours: Vec<&Entry> = table.ours().collect();
    assert_eq!(ours.len(), 2);
    for ours in ours {
        let split = Split::of(&table, ours).unwrap();
        let parts = split.early_exit + split.static_optimum + split.foresight + split.staging;
        assert!((parts - split.whole).abs() < 1e-9, "{split:?}");
        assert!((split.by_exits * split.by_clocks / split.speed_up - 1.0).abs() < 1e-9);
        assert!(split.early_exit > 0.0 && split.whole > split.early_exit);
        assert_eq!(split.accuracy, Some(0.0));
    }
    let markdown = table.markdown();
    for line in markdown
        .lines()
        .filter(|line| line.starts_with("| Orin") || line.starts_with("| TX2"))
    {
        assert!(line.contains("simulated, "), "{line}");
    }
    assert!(markdown.contains("grid-calibrated") && markdown.contains("anchored"));
    let csv = table.csv();
    assert_eq!(csv.lines().count(), 1 + table.entries.len());
    let columns = csv.lines().next().unwrap().split(',').count();
    let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
    assert!(
        reader
            .records()
            .all(|record| record.unwrap().len() == columns)
    );
    let svg = table.svg("tx2").unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("grid-calibrated") && svg.contains("zTT"));
    let again = Table::make(&wanted).unwrap();
    assert_eq!(again.csv(), csv);
}
