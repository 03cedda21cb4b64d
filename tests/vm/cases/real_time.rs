//! Real time as it was asked for: read back from the kernel, refused in words.

use crate::case::{Case, Outcome};
use crate::guest::process::e4;
use crate::guest::rights::{ROOT, Rights};
use crate::guest::tasks::{FIFO, OTHER, RR, Task, tasks};
use crate::guest::{read, until};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case::new("rt_one_setting_asks_for_all_of_it", one_setting).limit_s(90),
    Case::new("rt_each_stage_has_its_own_class_and_core", each_stage).limit_s(90),
    Case::new("rt_infer_takes_the_isolated_core", isolated)
        .boot("isolcpus=1")
        .limit_s(90),
    Case::new("rt_waits_burn_no_core_under_fifo", idle).limit_s(90),
    Case::new("rt_strict_names_what_is_missing", strict).limit_s(120),
    Case::new("rt_warn_says_it_once_and_goes_on", warn).limit_s(120),
];

const LATENCY: &str = "/dev/cpu_dma_latency";
const AWAY: &str = "/dev/away";
const FOUR: &[&str] = &["--threads", "capture,infer,gate,sink"];

fn run(arguments: &[&str]) -> Command {
    let mut command = e4(&["run", "--source", "generator", "--json"]);
    command
        .args(["--bundle", "/engines/tiny-e2"])
        .args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A run that goes on, with its four threads set up as `wanted` says.
fn running(arguments: &[&str], wanted: impl Fn(&[Task]) -> bool) -> Result<(Child, Vec<Task>)> {
    let child = run(arguments).spawn()?;
    let mut found = Vec::new();
    let settled = until("settled threads", Duration::from_secs(40), || {
        found = tasks(child.id(), "e4-").unwrap_or_default();
        found.retain(|task| task.name != "e4-try");
        found.len() == 4 && wanted(&found)
    });
    settled.with_context(|| format!("{found:?}"))?;
    Ok((child, found))
}

fn end(child: Child) -> Result<Output> {
    let pid = nix::unistd::Pid::from_raw(child.id().try_into()?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT)?;
    let done = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(done.status.success(), "{}: {said}", done.status);
    Ok(done)
}

fn has(tasks: &[Task], name: &str, policy: u32, priority: u32, cores: &str) -> bool {
    tasks.iter().any(|task| {
        task.name == name
            && task.cores == cores
            && (task.policy, task.priority) == (policy, priority)
    })
}

fn locked_kib(pid: u32) -> Result<u64> {
    let status = read(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmLck:"));
    Ok(line
        .context("no VmLck")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?)
}

fn holds_latency(pid: u32) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    files
        .flatten()
        .any(|fd| fs::read_link(fd.path()).is_ok_and(|file| file == *LATENCY))
}

fn one_setting() -> Outcome {
    let urgent_first = |tasks: &[Task]| {
        has(tasks, "e4-capture", FIFO, 40, "0")
            && has(tasks, "e4-gate", FIFO, 35, "0")
            && has(tasks, "e4-sink", FIFO, 30, "0")
            && has(tasks, "e4-infer", FIFO, 25, "1")
    };
    let strict = [&["--rt-class", "fifo", "--on-error", "strict"], FOUR].concat();
    let (child, _) = running(&strict, urgent_first)?;
    let locked = locked_kib(child.id())?;
    println!("{locked} KiB locked");
    // Four threads' heaps of 8 MiB, at least.
    ensure!(locked > 32 << 10, "{locked} KiB locked");
    ensure!(holds_latency(child.id()), "{LATENCY} is not held open");
    let said = end(child)?.stderr;
    ensure!(said.is_empty() || !String::from_utf8_lossy(&said).contains("refused"));

    let (child, _) = running(FOUR, |tasks| tasks.iter().all(|t| t.policy == OTHER))?;
    ensure!(locked_kib(child.id())? == 0, "memory is locked unasked");
    ensure!(!holds_latency(child.id()), "{LATENCY} is held unasked");
    end(child).map(drop)
}

fn each_stage() -> Outcome {
    let own = [
        "--capture-class",
        "fifo",
        "--capture-priority",
        "70",
        "--capture-core",
        "1",
        "--infer-core",
        "0",
        "--gate-class",
        "rr",
        "--gate-core",
        "any",
        "--sink-core",
        "1",
        "--timer-slack-ns",
        "70000",
        "--cpu-dma-latency",
        "20",
        "--lock-memory=false",
        "--on-error",
        "strict",
    ];
    let (child, tasks) = running(&[&own[..], FOUR].concat(), |tasks| {
        has(tasks, "e4-capture", FIFO, 70, "1")
            && has(tasks, "e4-infer", OTHER, 0, "0")
            && has(tasks, "e4-gate", RR, 35, "0-1")
            && has(tasks, "e4-sink", OTHER, 0, "1")
    })?;
    let sink = tasks.iter().find(|task| task.name == "e4-sink");
    let sink = sink.context("no sink")?.id;
    let slack = read(format!("/proc/{sink}/timerslack_ns"))?;
    ensure!(slack == "70000", "timer slack of {slack} ns");
    ensure!(holds_latency(child.id()), "{LATENCY} is not held open");
    ensure!(locked_kib(child.id())? == 0, "memory is locked");
    end(child).map(drop)
}

fn isolated() -> Outcome {
    let (child, _) = running(FOUR, |tasks| {
        has(tasks, "e4-infer", OTHER, 0, "1") && has(tasks, "e4-gate", OTHER, 0, "0")
    })?;
    end(child).map(drop)
}

/// One frame in twenty seconds: what the threads take meanwhile is their waiting.
fn idle() -> Outcome {
    const WATCHED: Duration = Duration::from_secs(5);
    let slow = [
        "--rt-class",
        "fifo",
        "--fps",
        "0.05",
        "--on-error",
        "strict",
    ];
    let set = |tasks: &[Task]| tasks.iter().all(|task| task.policy == FIFO);
    let (child, _) = running(&[&slow[..], FOUR].concat(), set)?;
    // The first frame comes at once.
    sleep(Duration::from_secs(5));
    let before = tasks(child.id(), "e4-")?;
    sleep(WATCHED);
    for task in tasks(child.id(), "e4-")? {
        let old = before.iter().find(|old| old.id == task.id);
        let used = task.cpu_ns - old.context("a new thread")?.cpu_ns;
        println!("{}: {} us in {WATCHED:?}", task.name, used / 1000);
        ensure!(used < 50_000_000, "{} ran for {used} ns", task.name);
    }
    end(child).map(drop)
}

/// What is taken away, and the words that have to name it.
fn losses() -> [(Rights, Option<&'static str>, &'static str); 3] {
    let no_class = Rights {
        real_time: false,
        ..ROOT
    };
    let no_lock = Rights {
        lock_memory: false,
        ..ROOT
    };
    [
        (no_class, None, "CAP_SYS_NICE"),
        (no_lock, None, "CAP_IPC_LOCK"),
        (ROOT, Some(LATENCY), LATENCY),
    ]
}

/// Runs for some frames with `rights`, and without `node`.
fn without(rights: Rights, node: Option<&str>, on_error: &str) -> Result<Output> {
    let words = [
        "--rt-class",
        "fifo",
        "--frames",
        "5",
        "--on-error",
        on_error,
    ];
    if let Some(node) = node {
        fs::rename(node, AWAY)?;
    }
    let done = rights.apply(&mut run(&words)).output();
    if let Some(node) = node {
        fs::rename(AWAY, node)?;
    }
    Ok(done?)
}

fn strict() -> Outcome {
    for (rights, node, name) in losses() {
        let done = without(rights, node, "strict")?;
        let said = String::from_utf8_lossy(&done.stderr);
        println!("{}", said.trim());
        ensure!(done.status.code() == Some(1), "{}: {said}", done.status);
        ensure!(
            said.lines().count() == 1 && said.contains(name),
            "{name}: {said}"
        );
        ensure!(done.stdout.is_empty(), "frames came through");
    }
    Ok(())
}

fn warn() -> Outcome {
    for (rights, node, name) in losses() {
        let done = without(rights, node, "warn")?;
        let said = String::from_utf8_lossy(&done.stderr);
        println!("{}", said.trim());
        ensure!(done.status.success(), "{}: {said}", done.status);
        let times = said.lines().filter(|line| line.contains(name)).count();
        ensure!(times == 1, "{name} is said {times} times: {said}");
        ensure!(!done.stdout.is_empty(), "no frame came through");
    }
    Ok(())
}
