//! The threads of a process, as the kernel schedules them.

use super::read;
use anyhow::{Context, Result};
use std::fs;

/// `SCHED_OTHER`, `SCHED_FIFO` and `SCHED_RR` in `/proc`.
pub const OTHER: u32 = 0;
pub const FIFO: u32 = 1;
pub const RR: u32 = 2;

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub id: u32,
    pub name: String,
    pub policy: u32,
    pub priority: u32,
    /// The cores it may run on, as the kernel writes them: `0-1`.
    pub cores: String,
    /// Time it has been running, in nanoseconds.
    pub cpu_ns: u64,
}

/// The threads of `pid` whose names begin so.
pub fn tasks(pid: u32, name: &str) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = entry?.path();
        // A thread may end while it is looked at.
        if let Ok(task) = task(&folder.to_string_lossy())
            && task.name.starts_with(name)
        {
            tasks.push(task);
        }
    }
    Ok(tasks)
}

fn task(folder: &str) -> Result<Task> {
    let stat = read(format!("{folder}/stat"))?;
    let (id, rest) = stat.split_once(" (").context("no name")?;
    let (name, rest) = rest.rsplit_once(") ").context("no name")?;
    // proc(5): the state is field 3, rt_priority 40 and policy 41.
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |field: usize| -> Result<u32> {
        let text = fields.get(field - 3).context("a short stat")?;
        Ok(text.parse()?)
    };
    let status = read(format!("{folder}/status"))?;
    let cores = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .context("no cores")?;
    let ran = read(format!("{folder}/schedstat"))?;
    let ran = ran.split(' ').next().unwrap_or_default();
    Ok(Task {
        id: id.parse()?,
        name: name.to_owned(),
        policy: number(41)?,
        priority: number(40)?,
        cores: cores.trim().to_owned(),
        cpu_ns: ran.parse()?,
    })
}
