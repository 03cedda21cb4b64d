//! What a user of real time relies on: the threads of a run are what was asked
//! for, or it says what is missing; and no thread burns its core while it waits.
//!
//! What a host does not grant is skipped, and said; `tests/vm` has a kernel that
//! grants everything.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

mod support;

use e4::monotonic::now_ns;
use e4::pipeline::{GUARD_NS, Until, WaitStrategy, Waiter};
use e4::rt::{SchedClass, ThreadSetup};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::fs;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};
use support::rights::{self, Right};
use support::{repository, watchdog, without};

/// An endless run, in real time.
fn start(words: &[&str], lost: &[Right]) -> Child {
    let mut command = without(lost, env!("CARGO_BIN_EXE_e4"));
    command.args(["run", "--source", "generator", "--json", "--fps", "20"]);
    command
        .args(words)
        .arg("--bundle")
        .arg(repository("engines/tiny-e2"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn ended(child: Child) -> Output {
    watchdog::finished(move || child.wait_with_output().unwrap())
}

fn end(child: Child) -> Output {
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    // It may have ended by itself, which the test then sees.
    let _ = kill(pid, Signal::SIGINT);
    ended(child)
}

/// Name, policy and priority of every thread of a process.
fn threads(pid: u32) -> Vec<(String, u32, u32)> {
    let folder = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = folder.into_iter().flatten().filter_map(Result::ok);
    let read = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("stat")).ok()?;
        let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        // proc(5): state is field 3, rt_priority 40 and policy 41.
        Some((
            name.to_owned(),
            fields.get(38)?.parse().ok()?,
            fields.get(37)?.parse().ok()?,
        ))
    };
    tasks.filter_map(read).collect()
}

/// Waits until the process has its four threads.
fn settled(pid: u32) -> Vec<(String, u32, u32)> {
    let started = Instant::now();
    loop {
        let mut ours = threads(pid);
        ours.retain(|(name, ..)| name.starts_with("e4-") && name != "e4-try");
        let set_up = ours.iter().all(|(_, policy, _)| *policy == 1);
        if (ours.len() == 4 && set_up) || started.elapsed() > Duration::from_secs(20) {
            return ours;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn fifo(priority: u8) -> ThreadSetup {
    ThreadSetup {
        class: SchedClass::Fifo(priority),
        ..ThreadSetup::default()
    }
}

fn granted() -> bool {
    let granted = std::thread::spawn(|| fifo(1).apply().is_ok())
        .join()
        .unwrap();
    if !granted {
        println!("skipped: this host grants no real-time class (run as root)");
    }
    granted
}

#[test]
fn threads_run_in_the_order_of_their_urgency_with_memory_locked() {
    if !granted() {
        return;
    }
    let words = ["--rt-class", "fifo", "--threads", "capture,infer,gate,sink"];
    let child = start(&words, &[]);
    let threads = settled(child.id());
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let output = end(child);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for (name, priority) in [
        ("e4-capture", 40),
        ("e4-infer", 25),
        ("e4-gate", 35),
        ("e4-sink", 30),
    ] {
        let thread = (name.to_owned(), 1, priority);
        assert!(threads.contains(&thread), "{name}: {threads:?}");
    }
    let locked = status
        .lines()
        .find_map(|line| line.strip_prefix("VmLck:"))
        .unwrap();
    let locked: u64 = locked.trim().trim_end_matches(" kB").parse().unwrap();
    let refused = String::from_utf8(output.stderr).unwrap();
    assert!(locked > 0 || refused.contains("CAP_IPC_LOCK"), "{refused}");
}

#[test]
fn strict_ends_before_the_first_frame_and_names_the_right_and_warn_says_it_once() {
    let words = [
        "--rt-class",
        "fifo",
        "--cpu-dma-latency",
        "off",
        "--frames",
        "3",
    ];
    for (right, name) in [
        (rights::SYS_NICE, "CAP_SYS_NICE"),
        (rights::IPC_LOCK, "CAP_IPC_LOCK"),
    ] {
        let strict = start(&[&words[..], &["--on-error", "strict"]].concat(), &[right]);
        let output = ended(strict);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(output.stdout.is_empty());
        let both = rights::SYS_NICE.capability == right.capability;
        // A host that grants neither names the first it asks for: memory.
        assert!(
            stderr.contains(name) || both && stderr.contains("CAP_IPC_LOCK"),
            "{stderr}"
        );

        let output = ended(start(&words, &[right]));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert!(!output.stdout.is_empty(), "{stderr}");
        let said = stderr.lines().filter(|line| line.contains(name));
        assert_eq!(said.count(), 1, "{stderr}");
    }
}

/// The promise: no more than two guards around each arrival that was predicted.
#[test]
fn a_waiting_thread_under_fifo_burns_no_more_than_its_guards() {
    const WAITS: u64 = 20;
    if !granted() {
        return;
    }
    for shared in [false, true] {
        let mut shares: Vec<u64> = (0..5).map(|_| waiting(shared, WAITS)).collect();
        shares.sort_unstable();
        println!(
            "shared {shared}: {} us of CPU a wait",
            shares[2] / WAITS / 1_000
        );
        // Besides the guards: two sleeps and one look at each clock.
        let limit = WAITS * (2 * GUARD_NS + 60_000);
        assert!(shares[2] <= limit, "{} > {limit}", shares[2]);
    }
}

/// CPU time in nanoseconds that a thread under FIFO takes for `waits` waits, each
/// for something that is predicted in mid-wait and never comes.
fn waiting(shared: bool, waits: u64) -> u64 {
    const INTERVAL_NS: u64 = 10_000_000;
    let wait = move || {
        fifo(10).apply().unwrap();
        let mut waiter = Waiter::new(WaitStrategy::Hybrid, shared);
        let before = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
        for _ in 0..waits {
            let now = now_ns();
            let until = Until::deadline(now + INTERVAL_NS).expecting(Some(now + INTERVAL_NS / 2));
            assert!(!waiter.wait(until, || false));
        }
        let after = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
        Duration::from(after) - Duration::from(before)
    };
    let used = std::thread::spawn(wait).join().unwrap();
    used.as_nanos().try_into().unwrap()
}
