//! Writes originals back, in a safe order, where the files still hold ours.

use super::super::caps::Caps;
use super::super::devfreq;
use super::super::domain::DomainKind;
use super::super::sysfs::{RawKnob, Role, Tree};
use super::file::{Head, Record, Saved};
use super::report::{Action, Ending, FileReport, Report};
use nix::errno::Errno;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Kernels take new limits over in a work queue; until then the old ones show.
const TAKE_OVER: Duration = Duration::from_millis(500);

/// Gives a guard's clocks back and removes it, unless a file failed.
pub(super) fn finish(head: &Head, records: &[Record], guard: &Path) -> Report {
    let tree = Tree::new(&head.sysfs_root);
    let mut files = give_back(&tree, head, records);
    files.extend(governor(&tree, head, records));
    let failed = files
        .iter()
        .any(|report| matches!(report.action, Action::Failed { .. }));
    let removed = if failed {
        Ok(())
    } else {
        fs::remove_file(guard)
    };
    let reason = removed
        .err()
        .map(|error| format!("{} cannot be removed ({error})", guard.display()));
    let ending = if failed || reason.is_some() {
        Ending::Failed
    } else {
        Ending::GivenBack
    };
    Report {
        domain: head.domain.clone(),
        guard: guard.to_owned(),
        ending,
        reason,
        files,
    }
}

/// One file that is given back.
struct Work<'a> {
    saved: &'a Saved,
    holds: Option<u64>,
    action: Action,
}

impl Work<'_> {
    /// What its file is to hold.
    fn now(&self) -> u64 {
        match self.action {
            Action::Restored { now, .. } => now,
            _ => self.saved.give_back,
        }
    }

    /// A choice of others that is in force again is theirs, not the original.
    fn report(self, tree: &Tree) -> FileReport {
        let action = match self.action {
            Action::Restored { now, .. } if now != self.saved.give_back => Action::LeftAlone {
                holds: now.to_string(),
                original: self.saved.give_back.to_string(),
            },
            action => action,
        };
        FileReport {
            file: tree.path(&self.saved.file),
            action,
        }
    }
}

fn give_back(tree: &Tree, head: &Head, records: &[Record]) -> Vec<FileReport> {
    let caps = caps(tree, head);
    let mut works: Vec<Work<'_>> = head
        .files
        .iter()
        .zip(records)
        .map(|(saved, record)| judge(tree, head.kind, saved, *record, &caps))
        .collect();
    for index in order(&works) {
        let work = &mut works[index];
        if matches!(work.action, Action::Restored { .. }) {
            write(tree, work);
        }
    }
    for work in &mut works {
        read_back(tree, head.kind, work, &caps);
    }
    works.into_iter().map(|work| work.report(tree)).collect()
}

fn caps(tree: &Tree, head: &Head) -> Caps {
    match head.kind {
        DomainKind::Cpu => Caps::cpu(tree, &head.folder),
        _ => match head.folder.strip_prefix(devfreq::DEVICES) {
            Some(entry) => Caps::devfreq(tree, entry.trim_start_matches('/')),
            None => Caps::emc(tree),
        },
    }
}

/// What is to be done with a file: [`Action::Restored`] is still to come.
fn judge<'a>(
    tree: &Tree,
    kind: DomainKind,
    saved: &'a Saved,
    record: Record,
    caps: &Caps,
) -> Work<'a> {
    let value = tree.number(&saved.shown);
    let holds = value.as_ref().ok().copied();
    let action = match value {
        _ if record.is_empty() => Action::Untouched,
        Err(error) if is_gone(&error) => Action::Gone,
        Err(error) => Action::Failed {
            reason: error.to_string(),
        },
        Ok(was) if is_ours(kind, saved, record, was, caps) => Action::Restored {
            was,
            now: back(kind, saved, record),
        },
        Ok(holds) => Action::LeftAlone {
            holds: holds.to_string(),
            original: saved.give_back.to_string(),
        },
    };
    Work {
        saved,
        holds,
        action,
    }
}

fn is_gone(error: &io::Error) -> bool {
    [libc::ENOENT, libc::ENODEV, libc::ENXIO]
        .iter()
        .any(|&gone| error.raw_os_error() == Some(gone))
}

/// What a file is to hold again: what another process has chosen since the start,
/// else what it held.
fn back(kind: DomainKind, saved: &Saved, record: Record) -> u64 {
    match record.kept {
        0 => saved.give_back,
        kept if saved.same(kind, kept, saved.give_back) => saved.give_back,
        kept => kept,
    }
}

/// Ours is what we wrote last or were writing, what was there before, what is to
/// be there again, and any of these as the kernel lowers it for now.
fn is_ours(kind: DomainKind, saved: &Saved, record: Record, holds: u64, caps: &Caps) -> bool {
    let ours = [record.holds, record.next, saved.saved, saved.give_back];
    let ours = || {
        ours.into_iter()
            .filter(|&value| value > 0 || saved.role == Role::Lock)
    };
    ours().any(|value| saved.same(kind, holds, value))
        || (matches!(saved.role, Role::Min | Role::Max)
            && caps.passing().is_some()
            && ours().any(|value| holds < value))
}

/// The order of the writes. Limits: the upper one first, unless that would bring
/// it below the lower one that is there. A rate before its lock.
fn order(works: &[Work<'_>]) -> Vec<usize> {
    let find = |role| works.iter().position(|work| work.saved.role == role);
    let lower_now = find(Role::Min).and_then(|at| works[at].holds);
    let upper_then = find(Role::Max).map(|at| works[at].now());
    let upper_first = lower_now
        .zip(upper_then)
        .is_none_or(|(min, max)| max >= min);
    let roles = if upper_first {
        [Role::Max, Role::Min, Role::Rate, Role::Lock]
    } else {
        [Role::Min, Role::Max, Role::Rate, Role::Lock]
    };
    roles.into_iter().filter_map(find).collect()
}

fn write(tree: &Tree, work: &mut Work<'_>) {
    let path = tree.path(&work.saved.file);
    let back = work.now();
    let text = match back == work.saved.give_back {
        true => work.saved.text.clone(),
        false => format!("{back}\n"),
    };
    let written = RawKnob::open(&path).and_then(|knob| knob.write(text.as_bytes()));
    work.action = match written {
        Ok(()) => return,
        Err(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => Action::Gone,
        // What refuses this write has refused the earlier ones.
        Err(_) if work.holds == Some(back) => Action::Untouched,
        Err(errno) => Action::Failed {
            reason: errno.desc().to_owned(),
        },
    };
}

fn read_back(tree: &Tree, kind: DomainKind, work: &mut Work<'_>, caps: &Caps) {
    let Action::Restored { now: given, .. } = work.action else {
        return;
    };
    // Under its governor again, a rate is free.
    if work.saved.role == Role::Rate {
        return;
    }
    let patience = Instant::now() + TAKE_OVER;
    work.action = loop {
        match tree.number(&work.saved.shown) {
            Ok(reads) if work.saved.same(kind, reads, given) => return,
            Ok(reads) if reads < given && caps.passing().is_some() => return,
            Ok(_) if Instant::now() < patience => std::thread::sleep(Duration::from_millis(1)),
            Ok(reads) => break Action::Differs { given, reads },
            Err(error) => {
                let reason = error.to_string();
                break Action::Failed { reason };
            }
        }
    };
}

/// e4 leaves the governor in charge; another one than before was put there by
/// somebody else.
fn governor(tree: &Tree, head: &Head, records: &[Record]) -> Option<FileReport> {
    let governor = head.governor.as_ref()?;
    let holds = tree.read(&governor.file).ok()?.trim().to_owned();
    let touched = records.iter().any(|record| !record.is_empty());
    (touched && holds != governor.saved).then(|| FileReport {
        file: tree.path(&governor.file),
        action: Action::LeftAlone {
            holds,
            original: governor.saved.clone(),
        },
    })
}
