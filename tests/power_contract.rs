//! Every power sensor is held to one contract; what a kernel won't produce is
//! played on a tree of plain files.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/power_contract.rs"]
mod power_contract;
#[path = "support/power_tree.rs"]
mod power_tree;
#[path = "support/watchdog.rs"]
mod watchdog;

use e4::power::{
    Basis, Choice, Fault, PowerSensor, RailFault, Root, Sampler, SensorKind, Wish, discover, rows,
    select,
};
use power_tree::{HWMON, PowerTree};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn wish(choice: Choice) -> Wish {
    Wish {
        choice,
        ..Wish::default()
    }
}

fn opened(tree: &PowerTree, wish: &Wish) -> Box<dyn PowerSensor> {
    let selected = select(&Root::new(tree.root()), wish).unwrap();
    selected.sensor.expect("a sensor")
}

fn auto(tree: &PowerTree) -> Box<dyn PowerSensor> {
    opened(tree, &Wish::default())
}

/// A tree, the file that its sensor's power is made of, and the file's units in a watt.
type Form = (&'static str, PowerTree, String, f64);

fn forms() -> Vec<Form> {
    let hwmon = |file: &str| format!("{HWMON}/hwmon0/{file}");
    vec![
        (
            "ina3221",
            PowerTree::empty()
                .ina3221(0, &["VDD_IN", "VDD_SOC", "NC"])
                .board("nvidia,p3767-0000"),
            hwmon("curr1_input"),
            200.0,
        ),
        (
            "iio",
            PowerTree::empty()
                .iio(0, &["POM_5V_IN", "POM_5V_GPU"])
                .board("nvidia,p3448-0000"),
            "sys/bus/iio/devices/iio:device0/in_power0_input".into(),
            1e3,
        ),
        (
            "hwmon power",
            PowerTree::empty().hwmon_power(0, "ina226"),
            hwmon("power1_input"),
            1e6,
        ),
        (
            "acpi",
            PowerTree::empty().acpi(0),
            hwmon("device/power1_average"),
            1e6,
        ),
    ]
}

#[test]
fn power_sensors_keep_the_contract() {
    for (name, tree, file, unit) in forms() {
        let mut sensor = auto(&tree);
        let mut poke = |watts: f64| {
            tree.put(&file, (watts * unit).round());
            Ok(())
        };
        let kept = power_contract::contract(sensor.as_mut(), &mut poke);
        kept.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn energy_counters_keep_the_contract() {
    let forms = [
        (
            PowerTree::empty().hwmon_energy(0),
            format!("{HWMON}/hwmon0/energy1_input"),
            u64::MAX,
        ),
        (
            PowerTree::empty().rapl(),
            "sys/class/powercap/intel-rapl:0/energy_uj".to_owned(),
            262_143_328_850,
        ),
    ];
    for (tree, file, range) in forms {
        // A counter that is about to start over.
        let mut counter = range.min(262_143_328_850) - 7_000_000;
        tree.put(&file, counter);
        let mut sensor = auto(&tree);
        let mut poke = |joules: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "some joules"
            )]
            let spent = (joules * 1e6) as u64;
            counter += spent;
            if counter > range {
                counter -= range;
            }
            tree.put(&file, counter);
            Ok(())
        };
        let kept = power_contract::contract(sensor.as_mut(), &mut poke);
        kept.unwrap_or_else(|error| panic!("{}: {error}", sensor.name()));
    }
}

#[test]
fn what_cannot_be_read_is_a_fault_of_its_rail_and_passes() {
    for (name, tree, file, unit) in forms() {
        let mut sensor = auto(&tree);
        let mut values = [0; 8];
        for garbage in ["", "N/A", "12.5", "9999999999999999999999"] {
            tree.put(&file, garbage);
            let fault = RailFault {
                rail: 0,
                part: 0,
                fault: Fault::NotANumber,
            };
            assert_eq!(sensor.read(&mut values), Err(fault), "{name} {garbage:?}");
        }
        tree.put(&file, -(3.0 * unit));
        let backwards = RailFault {
            rail: 0,
            part: 0,
            fault: Fault::Backwards,
        };
        assert_eq!(sensor.read(&mut values), Err(backwards), "{name}");
        tree.put(&file, 5.0 * unit);
        assert_eq!(sensor.read(&mut values), Ok(()), "{name}");
        fs::remove_file(tree.path(&file)).unwrap();
        let gone = RailFault {
            rail: 0,
            part: 0,
            fault: Fault::Gone,
        };
        assert_eq!(sensor.read(&mut values), Err(gone), "{name}");
    }
}

#[test]
fn a_little_less_than_nothing_is_the_converter_and_counts_as_it_is() {
    let tree = PowerTree::empty()
        .ina3221(0, &["VDD_IN"])
        .board("nvidia,p3767-0000");
    let mut sensor = auto(&tree);
    tree.put(&format!("{HWMON}/hwmon0/curr1_input"), -8);
    let mut values = [0];
    sensor.read(&mut values).unwrap();
    assert_eq!(values, [-40_000]);
}

#[test]
fn a_boards_rails_add_up_over_chips_and_nothing_twice() {
    let orin = |tree: PowerTree| tree.board("nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0");
    let labels = ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"];
    let tree = orin(
        PowerTree::empty()
            .ina3221(0, &labels)
            .ina3221(1, &["NC", "VDDQ_VDD2_1V8AO", "nc"]),
    );
    let mut sensor = auto(&tree);
    assert_eq!(sensor.rails(), labels);
    assert_eq!(sensor.boundary().left_out, ["VDDQ_VDD2_1V8AO"]);
    assert_eq!(sensor.boundary().basis, Basis::Board("agx-orin"));
    let mut values = [0; 3];
    sensor.read(&mut values).unwrap();
    assert_eq!(values, [5_000_000; 3]);

    let part = orin(PowerTree::empty().ina3221(0, &["VDD_GPU_SOC", "VDD_CPU_CV"]));
    let words = auto(&part).boundary().to_string();
    assert_eq!(
        words,
        "VDD_GPU_SOC+VDD_CPU_CV (part of agx-orin: without VIN_SYS_5V0)"
    );

    let chips = PowerTree::empty()
        .ina3221(0, &["GPU", "CPU", "SOC"])
        .ina3221(1, &["CV", "VDDRQ", "SYS5V"]);
    let xavier = chips.board("nvidia,p2972-0000");
    assert_eq!(auto(&xavier).rails().len(), 6);
}

#[test]
fn an_unknown_boards_rails_are_all_named_and_the_users_word_goes() {
    let tree = PowerTree::empty().ina3221(0, &["VDD_IN", "VDD_SOC", "NC"]);
    let all = auto(&tree);
    assert_eq!(all.rails(), ["VDD_IN", "VDD_SOC"]);
    assert!(
        all.boundary().to_string().contains("unknown board"),
        "{}",
        all.boundary()
    );
    let board = Wish {
        board: Some("orin-nano".into()),
        ..Wish::default()
    };
    assert_eq!(opened(&tree, &board).rails(), ["VDD_IN"]);
    let rails = Wish {
        rails: vec!["VDD_SOC".into()],
        ..Wish::default()
    };
    let named = opened(&tree, &rails);
    assert_eq!(
        (named.rails(), &named.boundary().basis),
        (&["VDD_SOC".to_owned()][..], &Basis::Chosen)
    );
    let root = Root::new(tree.root());
    let stranger = Wish {
        rails: vec!["VDD_MOON".into()],
        ..Wish::default()
    };
    let error = select(&root, &stranger).unwrap_err().to_string();
    assert!(
        error.contains("no rail VDD_MOON; it has VDD_IN, VDD_SOC"),
        "{error}"
    );
}

#[test]
fn rapl_adds_packages_and_memory_and_not_what_lies_in_them() {
    let sensor = auto(&PowerTree::empty().rapl());
    assert_eq!(sensor.rails(), ["package-0", "package-0/dram"]);
    assert_eq!(sensor.boundary().left_out, ["psys", "package-0/core"]);
}

#[test]
fn the_window_is_the_sensors_own() {
    let tree = PowerTree::empty().ina3221(0, &["VDD_IN"]);
    let window = |tree: &PowerTree| auto(tree).window();
    assert_eq!(
        (window(&tree).span_ns(), window(&tree).is_stated()),
        (7_500_000, true)
    );
    tree.put(&format!("{HWMON}/hwmon0/samples"), 16);
    assert_eq!(window(&tree).span_ns(), 120_000_000);
    for garbage in ["", "soon", "-1", "0"] {
        tree.put(&format!("{HWMON}/hwmon0/update_interval"), garbage);
        tree.put(&format!("{HWMON}/hwmon0/samples"), garbage);
        assert_eq!(
            (window(&tree).span_ns(), window(&tree).is_stated()),
            (6_600_000, false)
        );
    }
    let meter = auto(&PowerTree::empty().acpi(0));
    assert_eq!(meter.window().span_ns(), 100_000_000);
    assert!(
        (meter.accuracy() - 0.05).abs() < 1e-9,
        "{}",
        meter.accuracy()
    );
}

#[test]
fn boards_come_first_and_none_is_none() {
    let tree = PowerTree::empty()
        .acpi(0)
        .rapl()
        .hwmon_power(1, "ina226")
        .ina3221(2, &["VDD_IN"]);
    let kinds: Vec<_> = discover(&Root::new(tree.root()))
        .iter()
        .map(|found| found.kind)
        .collect();
    use SensorKind::{Acpi, Hwmon, Ina3221, Rapl};
    assert_eq!(kinds, [Ina3221, Rapl, Acpi, Hwmon]);
    for kind in kinds {
        let sensor = opened(&tree, &wish(Choice::Kind(kind)));
        assert!(!sensor.rails().is_empty());
    }
    let none = select(&Root::new(tree.root()), &wish(Choice::None)).unwrap();
    assert!(none.sensor.is_none());
}

#[test]
fn a_machine_without_a_sensor_says_so_where_one_is_asked_for() {
    let tree = PowerTree::empty();
    let root = Root::new(tree.root());
    assert!(select(&root, &Wish::default()).unwrap().sensor.is_none());
    for (choice, name) in [
        (Choice::Any, "any"),
        (Choice::Kind(SensorKind::Rapl), "rapl"),
    ] {
        let error = select(&root, &wish(choice)).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("--power-sensor {name}: this machine has no")),
            "{error}"
        );
    }
    assert!(rows(&root).is_empty());
}

#[test]
fn broken_trees_are_passed_over() {
    let tree = PowerTree::empty();
    tree.put(&format!("{HWMON}/hwmon0/name"), "ina3221");
    tree.put(&format!("{HWMON}/hwmon1/power1_input"), 5);
    tree.put(&format!("{HWMON}/hwmon2/name"), "ina3221");
    tree.put(&format!("{HWMON}/hwmon2/in1_input"), 5_000);
    tree.put(&format!("{HWMON}/hwmon2/in2_input"), 5_000);
    tree.put(&format!("{HWMON}/hwmon2/in2_enable"), 0);
    tree.put(&format!("{HWMON}/hwmon2/curr2_input"), 5_000);
    tree.put("sys/class/powercap/intel-rapl:0/name", "package-0");
    assert_eq!(discover(&Root::new(tree.root())), []);
}

/// Root reads whatever it likes: a folder in a file's place stands for what it may not.
#[test]
fn an_unreadable_sensor_is_named_with_the_fix_and_the_next_one_taken() {
    let tree = PowerTree::empty().rapl().acpi(0);
    let file = "sys/class/powercap/intel-rapl:0/energy_uj";
    fs::set_permissions(tree.path(file), fs::Permissions::from_mode(0o000)).unwrap();
    let denied = fs::read(tree.path(file)).is_err();
    if !denied {
        fs::remove_file(tree.path(file)).unwrap();
        fs::create_dir(tree.path(file)).unwrap();
    }
    let root = Root::new(tree.root());
    let selected = select(&root, &Wish::default()).unwrap();
    assert_eq!(selected.sensor.unwrap().rails(), ["power1"]);
    assert_eq!(selected.notices.len(), 1);
    assert!(selected.notices[0].contains(file), "{:?}", selected.notices);
    let error = select(&root, &wish(Choice::Kind(SensorKind::Rapl))).unwrap_err();
    assert!(error.to_string().contains(file), "{error}");
    let rows = rows(&root);
    assert_eq!(
        rows.iter().map(|row| row.readable).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(rows[0].problem, Some(error.to_string()));
    if denied {
        assert_eq!(rows[0].fix, Some(format!("sudo chmod a+r /{file}")));
    }
}

#[test]
fn a_sensor_that_vanishes_leaves_a_gap_and_a_sentence() {
    watchdog::with_watchdog(|| {
        let tree = PowerTree::empty()
            .ina3221(0, &["VDD_IN"])
            .board("nvidia,p3767-0000");
        let mut sampler = Sampler::start(auto(&tree)).unwrap();
        let from = e4::monotonic::now_ns();
        std::thread::sleep(Duration::from_millis(300));
        let to = e4::monotonic::now_ns();
        let figure = sampler.settled(from, to).unwrap();
        assert!((figure.watts() - 5.0).abs() < 1e-6, "{figure:?}");
        assert_eq!(sampler.complaint(), None);
        fs::remove_file(tree.path(&format!("{HWMON}/hwmon0/curr1_input"))).unwrap();
        let from = e4::monotonic::now_ns();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(sampler.settled(from, e4::monotonic::now_ns()), None);
        let words = sampler.complaint().unwrap();
        assert!(
            words.contains("hwmon0/curr1_input") && words.contains("is gone"),
            "{words}"
        );
        assert!(sampler.losses().failed > 0 && sampler.losses().readings > 0);
    });
}
