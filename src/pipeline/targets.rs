//! Which files a run writes, and that none of them is one it reads or writes
//! otherwise, standard output and standard error included.
//!
//! Guarantees: links of both kinds are seen through, and nothing is opened.
//! Not guaranteed: anything about files that others move meanwhile.

use crate::config::{Config, OutputTo, SourceKind};
use crate::source::clip::files;
use nix::sys::stat::fstat;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A run would destroy what it reads, or one result with another.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag} {path} would overwrite the file of {other}: name another", path = path.display())]
pub struct Overwrites {
    /// Flag of the file that would be written.
    flag: &'static str,
    /// Flag or stream of the same file's other use.
    other: &'static str,
    path: PathBuf,
}

/// Makes sure that no file has two uses.
pub(super) fn check(config: &Config) -> Result<(), Overwrites> {
    let output = match &config.sink.output {
        OutputTo::File(path) => Some(("--output", path.as_path())),
        OutputTo::None | OutputTo::Stdout | OutputTo::Datagram(_) => None,
    };
    let summary = config.sink.summary.as_deref();
    let summary = summary
        .filter(|_| !config.sink.summary_on_stdout())
        .map(|path| ("--summary", path));
    let trace = config.sink.trace.as_deref().map(|path| ("--trace", path));
    for (flag, path) in [output, trace, summary].into_iter().flatten() {
        let clip = config.source.path.as_deref();
        let clip = clip.filter(|_| config.source.kind == SourceKind::Clip);
        let clip = clip.filter(|clip| is_of(path, clip)).map(|_| "--clip");
        let mut others = [summary, trace].into_iter().flatten();
        let other = others.find(|&(other, of)| other != flag && same(path, of));
        let stream = [
            ("standard output", redirected(&io::stdout(), path)),
            ("standard error", redirected(&io::stderr(), path)),
        ];
        let stream = stream.into_iter().find(|s| s.1).map(|(name, _)| name);
        let other = clip.or(other.map(|(other, _)| other)).or(stream);
        if let Some(other) = other {
            let path = path.to_owned();
            return Err(Overwrites { flag, other, path });
        }
    }
    Ok(())
}

/// Whether `path` is the clip, or a clip or the labels of a folder of them.
fn is_of(path: &Path, clip: &Path) -> bool {
    files(clip).iter().any(|file| same(path, file))
}

/// Whether `stream` goes into the regular file `path`.
fn redirected(stream: &impl AsFd, path: &Path) -> bool {
    match (fs::metadata(path), fstat(stream)) {
        (Ok(file), Ok(stream)) => {
            file.is_file() && (file.dev(), file.ino()) == (stream.st_dev, stream.st_ino)
        }
        _ => false,
    }
}

/// Whether both are one regular file, or will be. Devices may have many uses.
fn same(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino()),
        (Err(_), Err(_)) => place(a).is_some_and(|a| place(b) == Some(a)),
        _ => false,
    }
}

/// Folder and name of a file that is not there yet.
fn place(path: &Path) -> Option<(PathBuf, &OsStr)> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
    Some((folder, path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_by_any_name_and_a_device_never() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.y4m"), "a").unwrap();
        fs::write(at("b.y4m"), "a").unwrap();
        fs::hard_link(at("a.y4m"), at("hard")).unwrap();
        std::os::unix::fs::symlink(at("a.y4m"), at("soft")).unwrap();
        for name in ["a.y4m", "hard", "soft", "./a.y4m"] {
            assert!(same(&at(name), &at("a.y4m")), "{name}");
        }
        assert!(!same(&at("a.y4m"), &at("b.y4m")));
        assert!(!same(&at("a.y4m"), &at("new")));
        assert!(same(&at("new"), &at("./new")));
        assert!(!same(&at("new"), &at("newer")));
        assert!(!same(Path::new("/dev/null"), Path::new("/dev/null")));
        assert!(is_of(&at("hard"), folder.path()));
        assert!(!is_of(&at("new"), folder.path()));
        fs::write(at("summary.json"), "an earlier run's").unwrap();
        assert!(!is_of(&at("summary.json"), folder.path()));
    }
}
