//! What a guard may name. Its file is input that anybody may have written: the only
//! files that are ever given back are those by which its domain is set, with values
//! that are what they claim to be.
//!
//! Costs one pass over the head, and two resolved paths a file.

use super::super::domain::DomainKind;
use super::super::emc::{self, Layout};
use super::super::sysfs::{Role, Tree};
use super::super::{cpufreq, devfreq};
use super::file::{Head, Saved};
use std::io;

/// More bytes are no guard.
pub(super) const LIMIT_BYTES: u64 = 1 << 16;
/// No governor's name is longer (`CPUFREQ_NAME_LEN`, `DEVFREQ_NAME_LEN`).
const WORD: usize = 64;

/// The files of a domain: those by which it is set, with what shows them.
struct Known {
    files: [(Role, String, String); 2],
    governor: Option<String>,
}

/// Whether all that `head` names belongs to one clock domain.
///
/// # Errors
/// The first thing that does not.
pub(super) fn check(head: &Head) -> Result<(), String> {
    let Some(known) = known(head.kind, &head.folder) else {
        return Err(format!("{:?} is no folder of a clock", head.folder));
    };
    if head.files.is_empty() {
        return Err("it names no file".to_owned());
    }
    for (index, saved) in head.files.iter().enumerate() {
        if head.files[..index].iter().any(|s| s.role == saved.role) {
            return Err(format!("it names {:?} twice", saved.file));
        }
        check_file(saved, &known)?;
    }
    let Some(governor) = &head.governor else {
        return Ok(());
    };
    if known.governor.as_ref() != Some(&governor.file) {
        return Err(format!("{:?} names no governor", governor.file));
    }
    if !is_word(&governor.saved) {
        return Err(format!("{:?} is no governor", governor.saved));
    }
    Ok(())
}

fn check_file(saved: &Saved, known: &Known) -> Result<(), String> {
    let is = |(role, file, shown): &(Role, String, String)| {
        saved.role == *role && &saved.file == file && &saved.shown == shown
    };
    if !known.files.iter().any(is) {
        return Err(format!(
            "{:?} is not the file that its clock is set by",
            saved.file
        ));
    }
    let text = saved.text.trim_ascii();
    if text != saved.give_back.to_string() || saved.text.len() > WORD {
        return Err(format!(
            "{:?} is not the number {}",
            saved.text, saved.give_back
        ));
    }
    Ok(())
}

fn known(kind: DomainKind, folder: &str) -> Option<Known> {
    let limits = |names: &super::super::limits::Files| {
        let path = |name: &str| format!("{folder}/{name}");
        Known {
            files: [
                (Role::Min, path(names.min), path(names.min)),
                (Role::Max, path(names.max), path(names.max)),
            ],
            governor: Some(path(names.governor)),
        }
    };
    if kind == DomainKind::Cpu {
        let number = folder.strip_prefix(cpufreq::POLICIES)?;
        let number = number.strip_prefix("/policy")?;
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        return digits.then(|| limits(&cpufreq::FILES));
    }
    if let Some(entry) = folder.strip_prefix(devfreq::DEVICES) {
        let entry = entry.strip_prefix('/')?;
        let plain = !entry.is_empty() && entry != "." && entry != ".." && !entry.contains('/');
        return plain.then(|| limits(&devfreq::FILES));
    }
    let layout = emc::named(folder).filter(|_| kind == DomainKind::Emc)?;
    Some(under_lock(layout))
}

fn under_lock(layout: &Layout) -> Known {
    let [lock, rate, shown] = layout.files();
    Known {
        files: [(Role::Lock, lock.clone(), lock), (Role::Rate, rate, shown)],
        governor: None,
    }
}

/// A governor's name; empty where none was shown.
fn is_word(text: &str) -> bool {
    let in_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    text.len() <= WORD && text.bytes().all(in_word)
}

/// Whether the files that `head` names lie in the `sys` folder of `tree`, wherever
/// links lead.
///
/// # Errors
/// The file that does not.
pub(super) fn check_places(tree: &Tree, head: &Head) -> Result<(), String> {
    let Ok(inside) = tree.path("sys").canonicalize() else {
        // Nothing is there that could be written to.
        return Ok(());
    };
    for saved in &head.files {
        match tree.path(&saved.file).canonicalize() {
            Ok(path) if path.starts_with(&inside) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(path) => {
                let (file, path) = (&saved.file, path.display());
                return Err(format!("/{file} leads to {path}"));
            }
            Err(error) => return Err(format!("/{}: {error}", saved.file)),
        }
    }
    Ok(())
}
