//! The guard: what the clocks were before e4 touched them, kept where a killed
//! process leaves it.
//!
//! Guarantees: before the first write to a domain, its limits, governor and lock
//! stand in `<runtime-dir>/<domain>.guard` (fsynced, renamed into place); each
//! later write is announced there before it is made, so that the next start knows
//! its own values from those of others. [`Guard::give_back`], a drop and a panic
//! write the originals back in an order in which the lower limit never passes the
//! upper one, and remove the file; after SIGKILL [`recover`] does it. A file that
//! somebody else has written to since is left alone and reported; where e4 has
//! written to it again, within what the other allows, the other's value is put back. A limit that
//! was low because of heat or the firmware is given back as the hardware's. A
//! guard of another boot is discarded: that boot's clocks are gone.
//!
//! Ownership of a domain is an `flock` on its guard file and one on the clock's own
//! file, which every e4 shares, wherever it keeps its guards; the pid is text.
//! After the giving back no knob writes any more, whoever still holds it.
//!
//! What a guard file names is input: nothing but its domain's own files is ever
//! written to from it, and nothing but numbers.
//!
//! Not guaranteed: anything against a process that deletes the guard file; what a
//! killed e4 has left under one runtime directory, a start with another one takes
//! for the originals.
//!
//! Costs: a few fsyncs at start; one more `pwrite` (to a tmpfs, usually) a write.

mod error;
mod file;
mod give_back;
mod journal;
mod legal;
mod recover;
mod report;
#[cfg(test)]
mod tests;

pub use error::GuardError;
pub use file::Saved;
pub(super) use journal::Journal;
pub use recover::recover;
pub use report::{Action, Ending, FileReport, Report};

use super::ClockDomain;
use super::domain::SaveError;
use super::sysfs::Tree;
use file::{Head, OldGovernor};
use journal::Gate;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How the name of a guard file ends.
pub(super) const SUFFIX: &str = ".guard";
/// How the name of one that was not finished ends.
const UNFINISHED: &str = ".guard.new";
/// How long another e4 may take to claim or give back.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where guards are kept, and the tree that they guard.
#[derive(Clone, Debug)]
pub struct Place {
    /// The runtime directory; made when it is missing.
    pub runtime_dir: PathBuf,
    /// The tree with the clocks.
    pub tree: Tree,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            runtime_dir: "/run/e4".into(),
            tree: Tree::default(),
        }
    }
}

/// Clocks that are held; gives them back when it is dropped.
#[derive(Debug)]
pub struct Guard {
    handle: GuardHandle,
}

/// Gives the clocks back from wherever it is called: a signal's thread, say.
#[derive(Clone, Debug, Default)]
pub struct GuardHandle {
    held: Arc<Vec<Held>>,
}

#[derive(Debug)]
struct Held {
    head: Head,
    path: PathBuf,
    gate: Arc<Mutex<Gate>>,
    lock: Mutex<Option<Locks>>,
}

/// The guard file, and the clock's own file: that one every e4 locks, wherever it
/// keeps its guards.
#[derive(Debug)]
struct Locks {
    guard: Flock<File>,
    _clock: Flock<File>,
}

impl Guard {
    /// Takes `domains`: writes their guard files and lets their knobs write.
    ///
    /// Call [`recover`] before the domains are opened, so that they do not take
    /// what a killed e4 has left for the limits of others.
    ///
    /// # Errors
    /// When another e4 holds one of the domains, when a guard of a killed one is
    /// still there, or when the guard cannot be kept. None is held then.
    pub fn claim(place: &Place, domains: &mut [Box<dyn ClockDomain>]) -> Result<Self, GuardError> {
        let boot_id = boot_id(&place.tree)?;
        let unusable = |source| GuardError::RuntimeDir {
            path: place.runtime_dir.clone(),
            source,
        };
        fs::create_dir_all(&place.runtime_dir).map_err(unusable)?;
        let folder = lock_folder(&place.runtime_dir)?;
        let mut held = Vec::with_capacity(domains.len());
        for domain in domains.iter_mut() {
            if domain.knobs().is_empty() {
                continue;
            }
            let head = head(place, &boot_id, domain.as_ref());
            let one = head.and_then(|head| hold(place, head));
            held.push(one.inspect_err(|_| give_back_all(&held))?);
        }
        if let Err(source) = folder.sync_all() {
            give_back_all(&held);
            return Err(unusable(source));
        }
        for held in &held {
            arm(held, domains);
        }
        let held = Arc::new(held);
        Ok(Self {
            handle: GuardHandle { held },
        })
    }

    /// Another way to give the clocks back.
    #[must_use]
    pub fn handle(&self) -> GuardHandle {
        self.handle.clone()
    }

    /// Gives the clocks back, once; what has been given back already is not in
    /// the reports.
    pub fn give_back(&self) -> Vec<Report> {
        self.handle.give_back()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        for report in self.give_back() {
            for sentence in report.complaints() {
                // Standard error may be closed; there is nobody to tell then.
                let _ = writeln!(io::stderr(), "e4: {sentence}");
            }
        }
    }
}

impl GuardHandle {
    /// As [`Guard::give_back`].
    pub fn give_back(&self) -> Vec<Report> {
        self.held.iter().filter_map(Held::give_back).collect()
    }
}

impl Held {
    fn give_back(&self) -> Option<Report> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let locks = lock.take()?;
        self.gate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .close();
        let records = file::records(&locks.guard, &self.head);
        Some(give_back::finish(&self.head, &records, &self.path))
    }

    /// A crash, as far as one process can have it: nothing is given back.
    #[cfg(test)]
    fn crash(&self) {
        drop(self.lock.lock().unwrap().take());
        self.gate.lock().unwrap().close();
    }
}

fn give_back_all(held: &[Held]) {
    // Nothing was written yet: this only removes the files.
    held.iter().for_each(|held| {
        held.give_back();
    });
}

fn arm(held: &Held, domains: &mut [Box<dyn ClockDomain>]) {
    let domain = domains.iter_mut().find(|d| d.name() == held.head.domain);
    let Some(domain) = domain else { return };
    for (index, knob) in domain.knobs().iter_mut().enumerate() {
        let offset = held.head.record_offset(index);
        knob.arm(Journal::new(held.gate.clone(), offset));
    }
}

fn head(place: &Place, boot_id: &str, domain: &dyn ClockDomain) -> Result<Head, GuardError> {
    let mut files = domain.save()?;
    for saved in &mut files {
        saved.keep_text(&place.tree);
    }
    let governor = domain.governor().and_then(|file| {
        let saved = place.tree.read(&file).ok()?.trim().to_owned();
        Some(OldGovernor { file, saved })
    });
    Ok(Head {
        boot_id: boot_id.to_owned(),
        pid: std::process::id(),
        sysfs_root: place.tree.root(),
        domain: domain.name().to_owned(),
        kind: domain.kind(),
        folder: domain.folder().to_owned(),
        governor,
        files,
        ..Head::default()
    })
}

/// Writes the guard file of one domain and locks it.
fn hold(place: &Place, head: Head) -> Result<Held, GuardError> {
    let path = place.runtime_dir.join(format!("{}{SUFFIX}", head.domain));
    if path.symlink_metadata().is_ok() {
        return Err(recover::who_holds(&path));
    }
    let unkept = |source| GuardError::Keep {
        path: path.clone(),
        source,
    };
    let clock = lock_clock(place, &head)?;
    let unfinished = path.with_extension("guard.new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unkept(error)),
        _ => {}
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&unfinished)
        .map_err(unkept)?;
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| unkept(errno.into()))?;
    lock.write_all(&head.encode())
        .and_then(|()| lock.sync_all())
        .and_then(|()| fs::rename(&unfinished, &path))
        .map_err(unkept)?;
    let gate = Gate::new(lock.try_clone().map_err(unkept)?);
    Ok(Held {
        head,
        path,
        gate: Arc::new(Mutex::new(gate)),
        lock: Mutex::new(Some(Locks {
            guard: lock,
            _clock: clock,
        })),
    })
}

/// Locks a file of the clock itself against an e4 with another runtime directory.
fn lock_clock(place: &Place, head: &Head) -> Result<Flock<File>, GuardError> {
    let shown = head.files.first().map_or("", |saved| &saved.shown);
    let unreadable = |errno| SaveError {
        file: shown.to_owned(),
        errno,
    };
    let file = File::open(place.tree.path(shown)).map_err(|error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        unreadable(errno)
    })?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => GuardError::Busy {
            domain: head.domain.clone(),
            pid: None,
        },
        errno => unreadable(errno).into(),
    })
}

/// Claims and recoveries in one runtime directory come one after another.
fn lock_folder(path: &Path) -> Result<Flock<File>, GuardError> {
    let unusable = |source| GuardError::RuntimeDir {
        path: path.to_owned(),
        source,
    };
    let since = Instant::now();
    loop {
        let folder = File::open(path).map_err(unusable)?;
        match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((_, nix::Error::EWOULDBLOCK)) if since.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err((_, errno)) => return Err(unusable(errno.into())),
        }
    }
}

/// The kernel's name for the time since it started; a stand-in tree may have its
/// own.
fn boot_id(tree: &Tree) -> Result<String, GuardError> {
    const FILE: &str = "proc/sys/kernel/random/boot_id";
    let id = tree
        .read(FILE)
        .or_else(|_| Tree::default().read(FILE))
        .map_err(GuardError::BootId)?;
    Ok(id.trim().to_owned())
}
