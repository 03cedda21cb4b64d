//! Neither the thread that reads a power sensor nor the reader of its figures
//! allocates after the start.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

#[path = "support/allocations.rs"]
mod allocations;
#[path = "support/power_tree.rs"]
mod power_tree;
#[path = "support/watchdog.rs"]
mod watchdog;

use e4::monotonic::now_ns;
use e4::power::{Root, Sampler, Wish, select};
use power_tree::PowerTree;
use std::time::Duration;

fn sampler_thread() -> Option<u64> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    threads.flatten().find_map(|thread| {
        let name = std::fs::read_to_string(thread.path().join("comm")).ok()?;
        let id = thread.file_name().to_str()?.parse().ok()?;
        (name.trim() == "e4-power").then_some(id)
    })
}

fn measure(tree: &PowerTree) {
    let selected = select(&Root::new(tree.root()), &Wish::default()).unwrap();
    let mut sampler = Sampler::start(selected.sensor.unwrap()).unwrap();
    while sampler.losses().readings < 10 {
        std::thread::sleep(Duration::from_millis(5));
        sampler.pull();
    }
    let thread = sampler_thread().unwrap();
    let before = (
        allocations::of_thread(thread),
        allocations::of_this_thread(),
    );
    let (from, begun) = (now_ns(), sampler.losses().readings);
    let mut figures = 0;
    while sampler.losses().readings < begun + 50 {
        std::thread::sleep(Duration::from_millis(1));
        sampler.pull();
        figures += u64::from(
            sampler
                .history()
                .between(from, now_ns() - 40_000_000)
                .is_some(),
        );
    }
    let after = (
        allocations::of_thread(thread),
        allocations::of_this_thread(),
    );
    println!("{figures} figures of {}", sampler.facts().sensor);
    assert!(figures > 0);
    assert_eq!(after, before);
}

#[test]
fn reading_and_asking_allocate_nothing() {
    watchdog::with_watchdog(|| {
        measure(&PowerTree::empty().ina3221(0, &["VDD_IN", "VDD_SOC"]));
        measure(&PowerTree::empty().iio(0, &["VDD_IN"]));
        measure(&PowerTree::empty().rapl());
        measure(&PowerTree::empty().hwmon_energy(0));
        measure(&PowerTree::empty().hwmon_power(0, "ina226"));
    });
}
