//! A child process that cannot outlive us.
//!
//! Guarantees: the child and what it starts (its process group) are killed when
//! the [`Child`] is dropped; the child itself is killed by the kernel when this
//! process ends in any way, SIGKILL included. It is always reaped, and never is
//! a signal sent to a number that another process may have taken over. Ctrl-C on
//! the terminal does not reach it, so a run can end in good order.
//!
//! Cost: a thread for each child, which sleeps in reads of its standard error.
//! That thread is the child's parent: the kernel's parent-death signal goes by
//! thread, and the one that asks for a child may end before it. Starting a child
//! forks, after which each page of ours costs a fault when it is first written.

use crate::stop::Stop;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getppid};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Longest stretch of a line of standard error that is kept.
const MAX_LINE: usize = 512;

/// Longest wait before the run's request to end is looked at.
const LOOK_UP: Duration = Duration::from_millis(50);

/// How a child ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: io::Result<ExitStatus>,
    /// What the caller's filter kept of standard error.
    pub(super) words: Vec<String>,
}

/// A running child process.
#[derive(Debug)]
pub(super) struct Child {
    /// The process group; `None` once reaped.
    group: Arc<Mutex<Option<Pid>>>,
    outcome: Receiver<Outcome>,
}

/// Starts `command` with standard output as a pipe. Each line of its standard
/// error goes to `keep`, together with what was kept so far.
pub(super) fn spawn(
    mut command: Command,
    keep: fn(&mut Vec<String>, &str),
) -> io::Result<(Child, ChildStdout)> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let parent = Pid::this();
    // SAFETY: the closure runs between fork and exec and makes two system calls
    // without allocating or locking.
    unsafe {
        command.pre_exec(move || {
            set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have died before the line above took effect.
            if getppid() == parent {
                return Ok(());
            }
            Err(io::ErrorKind::BrokenPipe.into())
        });
    }
    let group = Arc::new(Mutex::new(None));
    let (started, start) = sync_channel(1);
    let (ended, outcome) = sync_channel(1);
    let keeper = Keeper {
        group: Arc::clone(&group),
        ended,
        keep,
    };
    thread::Builder::new()
        .name("e4-child".into())
        .spawn(move || keeper.run(command, &started))?;
    let stdout = start.recv().map_err(|_| io::ErrorKind::BrokenPipe)??;
    Ok((Child { group, outcome }, stdout))
}

/// The thread that is the child's parent.
struct Keeper {
    group: Arc<Mutex<Option<Pid>>>,
    ended: SyncSender<Outcome>,
    keep: fn(&mut Vec<String>, &str),
}

impl Keeper {
    fn run(self, mut command: Command, started: &SyncSender<io::Result<ChildStdout>>) {
        let spawned = command.spawn().and_then(|mut child| {
            let pipes = child.stdout.take().zip(child.stderr.take());
            let pid = i32::try_from(child.id()).ok().map(Pid::from_raw);
            let all = pipes
                .zip(pid)
                .map(|((out, err), pid)| (child, out, err, pid));
            all.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
        });
        let (mut child, stdout, stderr, pid) = match spawned {
            Ok(all) => all,
            Err(error) => {
                // Nobody listens only when the asker's thread is gone.
                let _ = started.send(Err(error));
                return;
            }
        };
        *lock(&self.group) = Some(pid);
        let _ = started.send(Ok(stdout));
        let words = read_lines(stderr, self.keep);
        // Wait without reaping, so that the number stays taken until `group`
        // says that it is free. An error here leaves the waiting to `wait`.
        let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        let status = {
            let mut group = lock(&self.group);
            // What the child started and left behind; usually there is nothing.
            let _ = killpg(pid, Signal::SIGKILL);
            *group = None;
            child.wait()
        };
        let _ = self.ended.send(Outcome { status, words });
    }
}

impl Child {
    /// Waits for the end and says how it was; one that takes longer than
    /// `patience`, or than the run still goes on, is killed and gives `None`.
    pub(super) fn finish(&self, patience: Duration, stop: &Stop) -> Option<Outcome> {
        let since = Instant::now();
        loop {
            match self.outcome.recv_timeout(LOOK_UP) {
                Ok(outcome) => return Some(outcome),
                Err(RecvTimeoutError::Timeout)
                    if since.elapsed() < patience && !stop.is_raised() => {}
                Err(_) => break,
            }
        }
        self.kill();
        None
    }

    /// Kills the child and all that it started.
    pub(super) fn kill(&self) {
        if let Some(group) = *lock(&self.group) {
            // It may be a zombie already, which is as good.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        // Until it is reaped, unless it hangs in the kernel.
        let _ = self.outcome.recv_timeout(Duration::from_secs(1));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads to the end, line by line; neither lines nor their number can grow
/// what is held.
fn read_lines(mut from: ChildStderr, keep: fn(&mut Vec<String>, &str)) -> Vec<String> {
    let mut kept = Vec::new();
    let mut line = Vec::new();
    let mut block = [0; 4096];
    loop {
        let n = match from.read(&mut block) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        for &byte in &block[..n] {
            if matches!(byte, b'\n' | b'\r') {
                keep(&mut kept, String::from_utf8_lossy(&line).trim());
                line.clear();
            } else if line.len() < MAX_LINE {
                line.push(byte);
            }
        }
    }
    keep(&mut kept, String::from_utf8_lossy(&line).trim());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_does_not_wait_for_a_child_to_end() {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let (child, _stdout) = spawn(command, |_, _| {}).unwrap();
        let stop = Stop::new();
        stop.raise();
        assert!(child.finish(Duration::MAX, &stop).is_none());
    }
}
