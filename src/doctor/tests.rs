//! A host that has everything, and what the report says when one thing is missing.

use super::*;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A tree that looks like a two-core host with everything granted.
struct Fake(TempDir);

const CPU: &str = "sys/devices/system/cpu";
const CLOCK: &str = "sys/devices/system/clocksource/clocksource0";

impl Fake {
    fn new() -> Self {
        let fake = Self(tempfile::tempdir().unwrap());
        let clock = |name: &str| format!("{CLOCK}/{name}");
        let cpu = |name: &str| format!("{CPU}/{name}");
        let policy = |name: &str| cpu(&format!("cpufreq/policy0/{name}"));
        for (path, text) in [
            ("proc/self/status", STATUS),
            ("proc/self/limits", LIMITS),
            ("proc/sys/kernel/sched_rt_runtime_us", "950000\n"),
            ("proc/sys/kernel/sched_rt_period_us", "1000000\n"),
            ("proc/swaps", "Filename Type Size Used Priority\n"),
            (
                "proc/version",
                "Linux version 6.12 #1 SMP PREEMPT_RT Debian\n",
            ),
            ("sys/kernel/realtime", "1\n"),
            (&clock("current_clocksource"), "tsc\n"),
            (&clock("available_clocksource"), "tsc hpet acpi_pm\n"),
            (&cpu("online"), "0-1\n"),
            (&cpu("present"), "0-1\n"),
            (&cpu("isolated"), "1\n"),
            (&cpu("nohz_full"), "1\n"),
            (&cpu("cpu1/cpuidle/state2/name"), "C6\n"),
            (&cpu("cpu1/cpuidle/state2/latency"), "133\n"),
            ("proc/irq/30/smp_affinity_list", "0-1\n"),
            ("proc/irq/30/effective_affinity_list", "0\n"),
            ("proc/irq/30/camera/x", ""),
            (&policy("affected_cpus"), "0 1\n"),
            (&policy("related_cpus"), "0 1\n"),
            (&policy("cpuinfo_min_freq"), "729600\n"),
            (&policy("cpuinfo_max_freq"), "1510400\n"),
            (&policy("cpuinfo_cur_freq"), "1510400\n"),
            (&policy("scaling_available_frequencies"), "729600 1510400\n"),
            (&policy("scaling_cur_freq"), "1510400\n"),
            (&policy("scaling_min_freq"), "729600\n"),
            (&policy("scaling_max_freq"), "1510400\n"),
            (&policy("scaling_governor"), "schedutil\n"),
            (&policy("scaling_driver"), "tegra194\n"),
            ("dev/cpu_dma_latency", ""),
            ("dev/video0", ""),
            ("usr/lib/x86_64-linux-gnu/libnvinfer.so.10.3.0", ""),
            ("etc/default/grub", ""),
        ] {
            fake.write(path, text);
        }
        let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/tiny-e2");
        fs::create_dir(fake.at("bundle")).unwrap();
        for file in fs::read_dir(bundle).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), fake.at("bundle").join(file.file_name())).unwrap();
        }
        fake
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.at(path)).unwrap();
    }

    fn report(&self, settings: &str) -> Report {
        let mut layers = Layers::default();
        let files = format!("[bundle]\npath = {:?}\n", self.at("bundle"));
        layers.text(settings, "e4.toml").unwrap();
        layers.text(&files, "files.toml").unwrap();
        let config = layers.finish().unwrap();
        let host = Host::under(self.0.path());
        examine(&Subject::new(&config, &layers, host).unwrap())
    }
}

const STATUS: &str =
    "CapEff:\t0000000000804000\nCapBnd:\t000001ffffffffff\nCpus_allowed_list:\t0\n";
const LIMITS: &str = "Limit                     Soft Limit  Hard Limit  Units\n\
    Max locked memory         8388608     8388608     bytes\n\
    Max realtime priority     0           0\n";
/// Everything asked for, nothing done without.
const STRICT: &str = "source.kind = \"camera\"\npipeline.on_error = \"strict\"\nrt.class = \"fifo\"\nstage.infer.core = 1\n";

fn states(report: &Report) -> Vec<(&'static str, State)> {
    report.checks.iter().map(|c| (c.id, c.state)).collect()
}

#[test]
fn a_host_with_everything_is_ready_without_a_warning() {
    let report = Fake::new().report(STRICT);
    assert!(report.ready, "{}", report.text());
    for (id, state) in states(&report) {
        let wanted = match id {
            "onnxruntime" | "clip" | "gpu-clock" | "emc-clock" | "plan" | "power" | "output"
            | "summary" => State::NotApplicable,
            _ => State::Ok,
        };
        assert_eq!(state, wanted, "{id}: {}", report.text());
    }
    assert!(report.text().ends_with("\nready\n"));
}

/// What is taken away, the row that has to say so, and what it then says.
type Loss = (&'static str, State, fn(&Fake), &'static str);

const LOSSES: &[Loss] = &[
    (
        "rt-class",
        State::Fail,
        |fake| fake.write("proc/self/status", &STATUS.replace("804000", "004000")),
        "needs CAP_SYS_NICE or an rtprio limit of at least 40",
    ),
    (
        "rt-throttling",
        State::Fail,
        |fake| fake.write("proc/sys/kernel/sched_rt_runtime_us", "0"),
        "no time at all",
    ),
    (
        "memlock",
        State::Fail,
        |fake| fake.write("proc/self/status", &STATUS.replace("804000", "800000")),
        "needs CAP_IPC_LOCK or an unlimited memlock limit; the limit is 8192 KiB",
    ),
    (
        "swap",
        State::Warn,
        |fake| fake.write("proc/swaps", "Filename Type\n/dev/zram0 partition 1 0 5\n"),
        "/dev/zram0",
    ),
    (
        "preemption",
        State::Warn,
        |fake| {
            fake.remove("sys/kernel/realtime");
            fake.write("proc/version", "Linux version 5.10 #1 SMP PREEMPT_DYNAMIC");
            fake.write("sys/kernel/debug/sched/preempt", "none (voluntary) full");
        },
        "voluntary",
    ),
    (
        "clocksource",
        State::Warn,
        |fake| fake.write(&format!("{CLOCK}/current_clocksource"), "hpet"),
        "hpet",
    ),
    (
        "cores",
        State::Fail,
        |fake| fake.write(&format!("{CPU}/online"), "0"),
        "core 1 is not among those that this process may use (0)",
    ),
    (
        "isolcpus",
        State::Warn,
        |fake| {
            fake.write(&format!("{CPU}/isolated"), "");
            let everywhere = STATUS.replace("list:\t0", "list:\t0-1");
            fake.write("proc/self/status", &everywhere);
        },
        "core 1 (infer) is not among them",
    ),
    (
        "cpu-clock",
        State::Warn,
        |fake| fake.write(&format!("{CPU}/cpufreq/policy0/scaling_max_freq"), "729600"),
        "cpu0 may run at no more than 729600 kHz",
    ),
    (
        "nohz-full",
        State::Warn,
        |fake| fake.write(&format!("{CPU}/nohz_full"), "(null)"),
        "core 1 (infer) is not among them",
    ),
    (
        "irq-affinity",
        State::Warn,
        |fake| fake.write("proc/irq/30/effective_affinity_list", "1"),
        "30 (camera)",
    ),
    (
        "cpu-dma-latency",
        State::Fail,
        |fake| fake.remove("dev/cpu_dma_latency"),
        "No such file",
    ),
    (
        "camera",
        State::Fail,
        |fake| fake.remove("dev/video0"),
        "no /dev/video",
    ),
    (
        "tensorrt",
        State::NotApplicable,
        |fake| fake.remove("usr/lib/x86_64-linux-gnu/libnvinfer.so.10.3.0"),
        "no libnvinfer.so",
    ),
    (
        "bundle",
        State::Fail,
        |fake| fake.write("bundle/CARD.md", "another"),
        "CARD.md",
    ),
];

#[test]
fn whatever_is_taken_away_changes_its_own_row_and_no_other() {
    let before = states(&Fake::new().report(STRICT));
    for (id, state, take_away, words) in LOSSES {
        let fake = Fake::new();
        take_away(&fake);
        let report = fake.report(STRICT);
        let after = states(&report);
        let changed: Vec<_> = (after.iter().zip(&before))
            .filter(|(a, b)| a != b)
            .collect();
        assert_eq!(changed.len(), 1, "{id}: {}", report.text());
        assert_eq!(*changed[0].0, (*id, *state), "{}", report.text());
        let row = report.checks.iter().find(|check| check.id == *id).unwrap();
        assert!(row.found.contains(words), "{id}: {}", row.found);
        assert_eq!(report.ready, *state != State::Fail, "{id}");
        let to_fix = matches!(state, State::Warn | State::Fail);
        assert_eq!(row.fix.is_some(), to_fix, "{id}");
    }
}

#[test]
fn what_is_not_insisted_on_is_a_warning() {
    for settings in ["", "rt.class = \"fifo\"", "pipeline.on_error = \"strict\""] {
        let fake = Fake::new();
        fake.write("proc/self/status", &STATUS.replace("804000", "000000"));
        fake.remove("dev/cpu_dma_latency");
        let report = fake.report(settings);
        assert!(report.ready, "{settings}: {}", report.text());
        for id in ["rt-class", "memlock", "cpu-dma-latency"] {
            let row = report.checks.iter().find(|check| check.id == id).unwrap();
            assert_eq!(row.state, State::Warn, "{settings}: {id}");
        }
    }
}

#[test]
fn one_stage_may_insist_where_the_others_do_not() {
    let fake = Fake::new();
    fake.write("proc/self/status", &STATUS.replace("804000", "000000"));
    let report = fake.report("rt.class = \"fifo\"\nstage.capture.on_error = \"strict\"");
    assert!(report.text().ends_with("\nnot ready: rt-class\n"));
}

#[test]
fn deep_idle_states_are_pointed_out_unless_the_run_limits_them() {
    let fake = Fake::new();
    let row = |settings: &str| {
        let checks = fake.report(settings).checks;
        checks
            .into_iter()
            .find(|check| check.id == "idle-states")
            .unwrap()
    };
    assert_eq!(row("").state, State::Warn);
    assert!(row("").found.contains("C6, takes 133 us"));
    assert_eq!(row("rt.cpu_dma_latency = 10").state, State::Ok);
    fake.write(&format!("{CPU}/cpu1/cpuidle/state2/disable"), "1");
    assert_eq!(row("").state, State::NotApplicable);
}

#[test]
fn an_empty_tree_is_examined_without_a_panic() {
    let empty = tempfile::tempdir().unwrap();
    let mut layers = Layers::default();
    let config = layers.finish().unwrap();
    let subject = Subject::new(&config, &layers, Host::under(empty.path())).unwrap();
    assert_eq!(examine(&subject).checks.len(), ROWS.len());
}

#[test]
fn the_json_form_has_every_row_with_all_its_fields() {
    let report = Fake::new().report(STRICT);
    let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!(json["schema"], SCHEMA);
    assert_eq!(json["ready"], true);
    let checks = json["checks"].as_array().unwrap();
    assert_eq!(checks.len(), ROWS.len());
    for check in checks {
        for field in ["id", "state", "found", "why"] {
            assert!(check[field].is_string(), "{check}");
        }
        assert!(check.get("fix").is_some(), "{check}");
    }
    assert_eq!(checks[0]["state"], "ok");
}
