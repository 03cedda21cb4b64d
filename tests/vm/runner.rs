//! Runs the selected cases inside the guest, one process each, and reports.
//!
//! A case that panics, is killed or outlasts its limit fails alone. After each
//! the guest is put back in order: strange processes killed, modules that the
//! case loaded unloaded, the pokable registers back at rest. The report is a
//! file that the host reads (its form: `tests/vm/host/results.py`).

use super::case::{self, Case, Tier};
use super::cases;
use super::guest::{self, order};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

const REPORT: &str = "/mnt/results";
/// A busy host slows an emulator down: what a case is granted beyond its limit.
const PATIENCE: u32 = 2;

/// What the host asks for: `--boot=ARGUMENTS`, `--done=NAME`, parts of names.
struct Request<'a> {
    boot: String,
    done: Vec<&'a str>,
    patterns: Vec<&'a str>,
}

/// Runs what the host asks for; the exit code says only whether that was possible.
pub fn run(words: &[&str]) -> ExitCode {
    let Some(mut report) = in_the_guest() else {
        eprintln!("e4-vm guest: runs in the virtual machine of tests/vm/run only");
        return ExitCode::from(2);
    };
    let request = parse(words);
    let (now, later): (Vec<Case>, Vec<Case>) = selected(&request)
        .into_iter()
        .partition(|case| case.boot == request.boot);
    if request.boot.is_empty() {
        announce(&mut report, &later);
    }
    let rest = order::Rest::note();
    for case in now.iter().filter(|c| !request.done.contains(&c.name)) {
        run_one(case, &rest, &mut report);
    }
    ExitCode::SUCCESS
}

/// The report, where this is the rig's guest.
fn in_the_guest() -> Option<File> {
    fs::metadata("/mnt/request").ok()?;
    let mut options = OpenOptions::new();
    options.append(true).create(true).open(REPORT).ok()
}

fn parse<'a>(words: &[&'a str]) -> Request<'a> {
    let values = |flag: &'static str| words.iter().filter_map(move |w| w.strip_prefix(flag));
    Request {
        boot: values("--boot=").collect::<String>().replace('+', " "),
        done: values("--done=").collect(),
        patterns: words
            .iter()
            .filter(|w| !w.starts_with("--"))
            .copied()
            .collect(),
    }
}

fn selected(request: &Request<'_>) -> Vec<Case> {
    let here = cases::all()
        .into_iter()
        .filter(|case| case.runs_on(std::env::consts::ARCH));
    here.filter(|case| is_wanted(case, &request.patterns))
        .collect()
}

/// Without patterns: the normal tier. A tier's name selects the tier, a case's
/// whole name any case, a part of a name those of the normal tier.
fn is_wanted(case: &Case, patterns: &[&str]) -> bool {
    let tier = match case.tier {
        Tier::Normal => None,
        Tier::Soak => Some("soak"),
        Tier::SelfTest => Some("selftest"),
    };
    let matches = |pattern: &&str| match tier {
        None => case.name.contains(pattern),
        Some(tier) => *pattern == tier || *pattern == case.name,
    };
    (patterns.is_empty() && tier.is_none()) || patterns.iter().any(matches)
}

/// Tells the host which cases wait for a boot with other arguments.
fn announce(report: &mut File, later: &[Case]) {
    let mut boots: Vec<&str> = later.iter().map(|case| case.boot).collect();
    boots.sort_unstable();
    boots.dedup();
    for boot in boots {
        let names: Vec<&str> = later
            .iter()
            .filter(|case| case.boot == boot)
            .map(|case| case.name)
            .collect();
        write(report, &format!("later {boot}|{}", names.join(",")));
    }
}

fn write(report: &mut File, line: &str) {
    writeln!(report, "{line}").expect("the host's share can be written");
    report.sync_all().expect("the host's share can be written");
}

fn run_one(case: &Case, rest: &order::Rest, report: &mut File) {
    let limit = case.limit * PATIENCE;
    println!("== {}", case.name);
    write(report, &format!("start {} {}", case.name, limit.as_secs()));
    let (began, log) = (Instant::now(), guest::kernel_log().len());
    let verdict = verdict(case, limit);
    let seconds = began.elapsed().as_secs_f64();
    if verdict.starts_with("fail") {
        print_kernel_log(log);
    }
    let verdict = rest
        .restore()
        .map_or(verdict, |left| format!("fail {} it {left}", case.name));
    println!("{verdict} ({seconds:.1} s)");
    let time = if verdict.starts_with("pass") {
        format!(" {seconds:.1}")
    } else {
        String::new()
    };
    write(report, &format!("{verdict}{time}"));
}

/// Runs a case in its own process: `pass NAME`, `fail NAME REASON`, `skip NAME REASON`.
fn verdict(case: &Case, limit: Duration) -> String {
    let name = case.name;
    let _ = fs::remove_file(case::REASON);
    let child = Command::new("/proc/self/exe")
        .args(["case", name])
        .process_group(0)
        .spawn();
    let ended = child
        .map_err(anyhow::Error::from)
        .map(|child| wait(child, limit));
    let reason = fs::read_to_string(case::REASON).unwrap_or_default();
    match ended {
        Err(error) => format!("fail {name} cannot start: {error}"),
        Ok(None) => format!("fail {name} hangs: no end within {} s", limit.as_secs()),
        Ok(Some(status)) if status.success() => format!("pass {name}"),
        Ok(Some(status)) if status.code() == Some(case::SKIPPED.into()) => {
            format!("skip {name} {reason}")
        }
        Ok(Some(status)) => format!("fail {name} {}", explain(status, &reason)),
    }
}

fn explain(status: ExitStatus, reason: &str) -> String {
    match (reason.is_empty(), status.signal()) {
        (false, _) => reason.to_owned(),
        (true, Some(signal)) => format!("killed by signal {signal}"),
        (true, None) => format!("ended with {status}"),
    }
}

/// The case's end; none where it outlasts its limit: it is killed then, after
/// its threads' places in the kernel were printed.
fn wait(mut child: Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        sleep(Duration::from_millis(20));
    }
    order::print_stacks();
    order::kill_strangers();
    let _ = child.wait();
    None
}

fn print_kernel_log(from: usize) {
    let log = guest::kernel_log();
    for line in log.iter().skip(from).rev().take(40).rev() {
        println!("kernel: {line}");
    }
}
