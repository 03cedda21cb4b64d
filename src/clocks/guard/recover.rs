//! Gives back what a killed e4 has left.

use super::file::decode;
use super::legal::{self, LIMIT_BYTES};
use super::report::{Ending, Report};
use super::{GuardError, SUFFIX, UNFINISHED, boot_id, give_back, lock_folder};
use crate::clocks::sysfs::Tree;
use nix::fcntl::{Flock, FlockArg, OFlag};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Gives back the clocks of every guard in `runtime_dir` whose process is gone. A
/// guard knows its tree; with `tree` given, it must be that one.
///
/// # Errors
/// When the directory cannot be read. What happens to a guard is in its report.
pub fn recover(runtime_dir: &Path, tree: Option<&Tree>) -> Result<Vec<Report>, GuardError> {
    let unusable = |source| GuardError::RuntimeDir {
        path: runtime_dir.to_owned(),
        source,
    };
    match fs::metadata(runtime_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unusable(error)),
        Ok(_) => {}
    }
    let names = names(runtime_dir).map_err(unusable)?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let _folder = lock_folder(runtime_dir)?;
    let mut reports = Vec::new();
    for path in names {
        if path.to_string_lossy().ends_with(UNFINISHED) {
            // Never put in force: no clock was written under it. Whoever may not
            // remove it leaves it to the next one that may.
            let _ = fs::remove_file(&path);
        } else if let Some(report) = recover_one(&path, tree)? {
            reports.push(report);
        }
    }
    Ok(reports)
}

fn names(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.to_string_lossy();
        if name.ends_with(SUFFIX) || name.ends_with(UNFINISHED) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Gives back the clocks of one guard; `None` where it has gone by itself.
fn recover_one(path: &Path, tree: Option<&Tree>) -> Result<Option<Report>, GuardError> {
    let mut bytes = Vec::new();
    let mut file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Ok(Some(damaged(path, error.to_string())));
        }
        Err(error) => {
            let reason = format!(
                "{} cannot be read ({error}); run `e4 restore` as root",
                path.display()
            );
            return Ok(Some(refused(path, Ending::Failed, reason)));
        }
    };
    // A process that gives back its clocks unlinks its guard while it is locked.
    let read = (&mut file).take(LIMIT_BYTES).read_to_end(&mut bytes);
    let Ok(_lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
        let held = who(path, &bytes).to_string();
        return Ok(Some(refused(path, Ending::Running, held)));
    };
    if !path.exists() {
        return Ok(None);
    }
    let decoded = read
        .map_err(|error| error.to_string())
        .and_then(|_| decode(&bytes));
    let (head, records) = match decoded {
        Ok(guard) => guard,
        Err(reason) => return Ok(Some(damaged(path, reason))),
    };
    let recorded = Tree::new(&head.sysfs_root);
    if let Some(tree) = tree
        && tree.root() != recorded.root()
    {
        let reason = format!(
            "{} guards the clocks below {}; name that with --sysfs-root",
            path.display(),
            head.sysfs_root.display()
        );
        return Ok(Some(refused(path, Ending::OtherRoot, reason)));
    }
    if head.boot_id != boot_id(&recorded)? {
        return Ok(Some(discard(path, head.domain)));
    }
    if let Err(reason) = legal::check_places(&recorded, &head) {
        return Ok(Some(damaged(path, reason)));
    }
    Ok(Some(give_back::finish(&head, &records, path)))
}

/// A guard file, if that is what it is: what blocks or leads elsewhere is not
/// opened.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits())
        .open(path);
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
    let file = file.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP | libc::ENXIO) => no_file(),
        _ => error,
    })?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(no_file()),
    }
}

fn damaged(path: &Path, reason: String) -> Report {
    let error = GuardError::Damaged {
        path: path.to_owned(),
        reason,
    };
    refused(path, Ending::Damaged, error.to_string())
}

fn discard(path: &Path, domain: String) -> Report {
    let removed = fs::remove_file(path);
    Report {
        domain,
        guard: path.to_owned(),
        ending: match removed {
            Ok(()) => Ending::Discarded,
            Err(_) => Ending::Failed,
        },
        reason: Some(match removed {
            Ok(()) => format!(
                "{} is of another boot, whose clocks are gone; it is removed",
                path.display()
            ),
            Err(error) => format!("{} cannot be removed ({error})", path.display()),
        }),
        files: Vec::new(),
    }
}

fn refused(path: &Path, ending: Ending, reason: String) -> Report {
    Report {
        domain: domain(path),
        guard: path.to_owned(),
        ending,
        reason: Some(reason),
        files: Vec::new(),
    }
}

fn domain(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(SUFFIX).unwrap_or(&name).to_owned()
}

/// Why a guard file stands in the way of a claim.
pub(super) fn who_holds(path: &Path) -> GuardError {
    let stale = || GuardError::Stale {
        path: path.to_owned(),
    };
    let mut file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return GuardError::Damaged {
                path: path.to_owned(),
                reason: error.to_string(),
            };
        }
        Err(_) => return stale(),
    };
    let mut bytes = Vec::new();
    let read = (&mut file).take(LIMIT_BYTES).read_to_end(&mut bytes);
    if Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err() {
        return who(path, &bytes);
    }
    let reason = match read {
        Ok(_) => decode(&bytes).err(),
        Err(error) => Some(error.to_string()),
    };
    match reason {
        Some(reason) => GuardError::Damaged {
            path: path.to_owned(),
            reason,
        },
        None => stale(),
    }
}

/// The owner of a guard that is locked.
fn who(path: &Path, bytes: &[u8]) -> GuardError {
    GuardError::Busy {
        domain: domain(path),
        pid: decode(bytes).ok().map(|(head, _)| head.pid),
    }
}
