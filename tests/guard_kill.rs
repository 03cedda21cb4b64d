//! Processes that set clocks are killed at random moments; afterwards the next
//! start or `e4 restore` gives every file its original value.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use e4::clocks::{Guard, Place, Tree, discover, recover};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tree::FakeTree;

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "support/tree.rs"]
mod tree;

/// Names the tree to a process of this test that is to be killed.
const ROOT: &str = "E4_GUARD_KILL_ROOT";
const RUNS: u32 = 1_000;
/// How long a process sets clocks if nobody kills it.
const LIFE: Duration = Duration::from_millis(40);

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to `limit` microseconds.
    fn micros(&mut self, limit: u64) -> Duration {
        Duration::from_micros(self.next() % limit)
    }
}

fn mark(letter: u8) {
    std::io::stderr().write_all(&[letter]).unwrap();
}

/// The process that is killed: `s` before the claim, `a` after the first write,
/// `z` before the clocks are given back.
#[test]
fn child_that_sets_clocks() {
    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else {
        return;
    };
    let place = Place {
        runtime_dir: root.join("run"),
        tree: Tree::new(&root),
    };
    let mut random = Random(u64::from(std::process::id()) | 1);
    mark(b's');
    let mut found = discover(&place.tree);
    let guard = Guard::claim(&place, &mut found.domains).unwrap();
    let since = Instant::now();
    let mut first = true;
    while since.elapsed() < LIFE {
        let domain = usize::try_from(random.next() % 3).unwrap();
        let domain = &mut found.domains[domain];
        let opp = usize::try_from(random.next()).unwrap() % domain.opps().len();
        let opp = domain.opps().iter().nth(opp).unwrap();
        domain.set(opp);
        if std::mem::take(&mut first) {
            mark(b'a');
        }
    }
    mark(b'z');
    guard.give_back();
}

fn spawn(fake: &FakeTree) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_sets_clocks", "--nocapture"])
        .env(ROOT, fake.root())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for a mark; false when the process has ended before.
fn await_mark(child: &mut Child, letter: u8, marks: &mut Vec<u8>) -> bool {
    let mut byte = [0];
    while !marks.contains(&letter) {
        match child.stderr.as_mut().unwrap().read(&mut byte).unwrap() {
            0 => return false,
            _ => marks.push(byte[0]),
        }
    }
    true
}

/// Kills a process at a random moment; true when that was after its first write
/// and before its last.
fn kill_at_random(fake: &FakeTree, run: u32, random: &mut Random) -> bool {
    let mut child = spawn(fake);
    let mut marks = Vec::new();
    // Most are killed while they set clocks, some while they claim or give back.
    let (mark, within_us) = match run % 20 {
        0 => (b's', 3_000),
        1 => (b'z', 2_000),
        _ => (b'a', 12_000),
    };
    if await_mark(&mut child, mark, &mut marks) {
        std::thread::sleep(random.micros(within_us));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    child
        .stderr
        .as_mut()
        .unwrap()
        .read_to_end(&mut marks)
        .unwrap();
    marks.contains(&b'a') && !marks.contains(&b'z')
}

fn restore(fake: &FakeTree) {
    let output = Command::new(env!("CARGO_BIN_EXE_e4"))
        .args(["restore", "--runtime-dir"])
        .arg(fake.runtime_dir())
        .arg("--sysfs-root")
        .arg(fake.root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn guard_kill_at_any_moment_leaves_clocks_that_can_be_given_back() {
    let fake = FakeTree::board();
    let before = fake.files();
    let mut random = Random(0x5EED);
    let (mut inside, mut changed) = (0, 0);
    for run in 0..RUNS {
        inside += u32::from(kill_at_random(&fake, run, &mut random));
        changed += u32::from(fake.files() != before);
        if run % 5 == 0 {
            restore(&fake);
        } else {
            let reports = recover(&fake.runtime_dir(), None).unwrap();
            assert!(
                reports.iter().all(|r| r.is_done()),
                "run {run}: {reports:?}"
            );
        }
        assert_eq!(fake.files(), before, "run {run}");
        let left = std::fs::read_dir(fake.runtime_dir()).map_or(0, Iterator::count);
        assert_eq!(left, 0, "run {run}");
    }
    println!(
        "guard_kill: {RUNS} runs killed, {inside} of them after the first write and before \
         the last, {changed} with changed clocks; every file was given its original value"
    );
    assert!(inside >= 800, "{inside}");
}
